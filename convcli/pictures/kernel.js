// A kernel: the tap that the pointer or the keys are at, said in words and framed.
"use strict";
const known = JSON.parse(document.getElementById("data").textContent);
const { centre, size: [high, wide] } = known;
const told = document.getElementById("told");
const picture = document.getElementById("kernel");
const planes = [...picture.querySelectorAll("rect[data-plane]")];
const taps = known.taps?.map((text) => text.split(" "));
const AXES = ["filter", "channel", "z", "y", "x"];
const frame = document.createElementNS("http://www.w3.org/2000/svg", "rect");
frame.setAttribute("class", "pointed");
let current = null; // { plane, y, x }

const signed = (number) => (number > 0 ? `+${number}` : `${number}`);

function words({ plane, y, x }) {
  const place = { ...planes[plane].dataset, y, x };
  const axes = AXES.filter((axis) => place[axis] !== undefined);
  const offsets = axes.slice(-centre.length).map((axis, i) => signed(place[axis] - centre[i]));
  return `${axes.map((axis) => `${axis} ${place[axis]}`).join(", ")} (offset ${offsets.join(", ")}): ${taps[plane][y * wide + x]}`;
}

function point(tap) {
  const { plane, y, x } = tap;
  if (!planes[plane] || y < 0 || y >= high || x < 0 || x >= wide) return;
  current = tap;
  told.textContent = words(tap);
  const cell = { width: planes[plane].getAttribute("width") / wide, height: planes[plane].getAttribute("height") / high };
  for (const [name, value] of Object.entries({ x: x * cell.width, y: y * cell.height, ...cell })) frame.setAttribute(name, value);
  planes[plane].parentNode.append(frame);
}

/** The tap at a place of the screen, if there is one. */
function under(event) {
  const rect = event.target.closest("g")?.querySelector(":scope > rect[data-plane]");
  if (!rect) return null;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(rect.getScreenCTM().inverse());
  const [x, y] = [at.x / rect.getAttribute("width") * wide, at.y / rect.getAttribute("height") * high].map(Math.floor);
  return { plane: planes.indexOf(rect), y, x };
}

const step = (by) => point({ ...current, y: current.y + (by.y ?? 0), x: current.x + (by.x ?? 0) });
const turn = (by) => point({ ...current, plane: current.plane + by });

const KEYS = {
  ArrowLeft: () => step({ x: -1 }), ArrowRight: () => step({ x: 1 }), ArrowUp: () => step({ y: -1 }), ArrowDown: () => step({ y: 1 }),
  PageUp: () => turn(-1), PageDown: () => turn(1),
  Home: () => point({ plane: 0, y: 0, x: 0 }), End: () => point({ plane: planes.length - 1, y: high - 1, x: wide - 1 }),
};

if (taps) {
  const middle = centre.length === 3 ? Math.max(0, planes.findIndex((plane) => Number(plane.dataset.z) === centre[0])) : 0;
  const start = { plane: middle, y: centre.at(-2), x: centre.at(-1) };
  picture.tabIndex = 0;
  let pointer = ""; // where it was: what moves below it, by a key, is no move of the pointer
  picture.addEventListener("pointermove", (event) => {
    const place = `${event.screenX},${event.screenY}`;
    const tap = place === pointer ? null : under(event);
    pointer = place;
    if (tap) point(tap);
  });
  picture.addEventListener("focus", () => point(current ?? start));
  picture.addEventListener("keydown", (event) => { // elsewhere keys scroll
    if (!KEYS[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
} else {
  told.textContent = "Too many taps to point at each.";
}
