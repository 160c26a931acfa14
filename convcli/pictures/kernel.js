// A kernel: the tap that the pointer or the keys are at, said in words and framed.
"use strict";
const { centre } = JSON.parse(document.getElementById("data").textContent);
const told = document.getElementById("told");
const picture = document.getElementById("kernel");
const taps = [...picture.querySelectorAll("rect[data-value]")];
const AXES = ["filter", "channel", "z", "y", "x"];
const keyOf = (place) => AXES.map((axis) => place[axis] ?? "").join(",");
const byPlace = new Map(taps.map((tap) => [keyOf(tap.dataset), tap]));
const frame = document.createElementNS("http://www.w3.org/2000/svg", "rect");
frame.setAttribute("class", "pointed");
let current = null;

const signed = (number) => (number > 0 ? `+${number}` : `${number}`);

function words(place) {
  const axes = AXES.filter((axis) => place[axis] !== undefined);
  const offsets = axes.slice(-centre.length).map((axis, i) => signed(place[axis] - centre[i]));
  return `${axes.map((axis) => `${axis} ${place[axis]}`).join(", ")} (offset ${offsets.join(", ")}): ${place.value}`;
}

function point(tap) {
  if (!tap) return;
  current = tap;
  told.textContent = words(tap.dataset);
  for (const name of ["x", "y", "width", "height"]) frame.setAttribute(name, tap.getAttribute(name));
  tap.parentNode.append(frame);
}

function step(axis, by) {
  point(byPlace.get(keyOf({ ...current.dataset, [axis]: Number(current.dataset[axis]) + by })));
}

function turn(by) { // to the same tap of the next plane, or the one before
  const plane = taps.filter((tap) => tap.parentNode === current.parentNode);
  point(taps[taps.indexOf(current) + by * plane.length]);
}

const KEYS = {
  ArrowLeft: () => step("x", -1), ArrowRight: () => step("x", 1),
  ArrowUp: () => step("y", -1), ArrowDown: () => step("y", 1),
  PageUp: () => turn(-1), PageDown: () => turn(1),
  Home: () => point(taps[0]), End: () => point(taps[taps.length - 1]),
};

if (taps.length) {
  const middle = centre.length === 3 ? { z: centre[0], y: centre[1], x: centre[2] } : { y: centre[0], x: centre[1] };
  const first = taps[0].dataset;
  const start = byPlace.get(keyOf({ ...first, ...middle })) ?? taps[0];
  picture.tabIndex = 0;
  let pointer = ""; // where it was: what moves below it, by a key, is no move of the pointer
  picture.addEventListener("pointermove", (event) => {
    const place = `${event.screenX},${event.screenY}`;
    if (place !== pointer) point(event.target.closest("rect[data-value]"));
    pointer = place;
  });
  picture.addEventListener("focus", () => point(current ?? start));
  document.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (current) KEYS[event.key]();
    else point(start);
  });
} else {
  told.textContent = "Too many taps to point at each.";
}
