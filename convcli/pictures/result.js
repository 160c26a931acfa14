// The page of a result: the edge between before and after follows the slider and the pointer; what is shown is chosen.
const stage = document.getElementById("pictures");
if (stage) {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("slider");
  const choice = document.getElementById("view");
  const zoom = document.getElementById("zoom");
  const place = document.getElementById("window");
  const set = (element, values) => {
    for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
  };
  let view = data.views[0];

  const cut = () => {
    const [x, y, width, height] = view.frame;
    const edge = slider ? x + width * slider.value / 100 : x + width;
    set(document.querySelector("#before-part rect"), { x, y, width: edge - x, height });
    set(document.querySelector("#after-part rect"), { x: edge, y, width: x + width - edge, height });
    set(document.getElementById("edge"), { x1: edge, x2: edge, y1: y, y2: y + height });
  };

  // How many pixels of the screen one of the picture is; whole ones where it grows, so that all are of one size.
  const scale = () => {
    if (zoom.value !== "fit") return parseInt(zoom.value, 10);
    const most = Math.min(place.clientWidth / view.width, 0.75 * innerHeight / view.height);
    return most > 1 && !view.reduced ? Math.floor(most) : most;
  };

  for (const side of ["before", "after"]) {  // those of the first view are on the page, once
    if (view[side]) view[side].picture = document.getElementById(side).getAttribute("href");
  }

  const resize = () => {
    const times = scale();
    set(stage, { width: view.width * times, height: view.height * times });
    for (const image of stage.querySelectorAll("image")) {
      image.setAttribute("image-rendering", times % 1 ? "auto" : "pixelated");
    }
  };

  const show = (number) => {
    view = data.views[number];
    stage.setAttribute("viewBox", view.frame.join(" "));
    const [x, y, width, height] = view.frame;
    set(document.querySelector(".ground"), { x, y, width, height });
    for (const side of ["before", "after"]) {
      if (!view[side]) continue;
      const { picture, ...box } = view[side];
      set(document.getElementById(side), { ...box, href: picture });
    }
    document.getElementById("spots").setAttribute("visibility", number ? "hidden" : "visible");
    document.getElementById("shown").textContent = view.name;
    if (choice) choice.value = String(number);
    cut();
    resize();
  };

  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    slider.value = 100 * (event.clientX - box.left) / box.width;
    cut();
  };

  if (slider) {
    slider.addEventListener("input", cut);
    stage.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
    stage.addEventListener("click", (event) => { if (!event.target.dataset.view) follow(event); });
  }
  for (const spot of stage.querySelectorAll(".spot")) {
    spot.addEventListener("click", () => show(Number(spot.dataset.view)));
  }
  if (choice) choice.addEventListener("change", () => show(Number(choice.value)));
  zoom.addEventListener("change", resize);
  addEventListener("resize", resize);
  show(0);
}
