// Costs: the row that the pointer or the keys are at, said in words, framed, with its dot on the roofline.
"use strict";
const { rows } = JSON.parse(document.getElementById("data").textContent);
const told = document.getElementById("told");
const picture = document.getElementById("costs");
const fields = new Map([...picture.querySelectorAll("rect[data-row]")].map((field) => [field.dataset.row, field]));
const dots = new Map([...picture.querySelectorAll("[data-dot]")].map((dot) => [dot.dataset.dot, dot]));
const order = [...fields.keys()];
const frame = document.createElementNS("http://www.w3.org/2000/svg", "rect");
frame.setAttribute("class", "pointed");
let current = -1;

function point(row, follow) {
  const field = fields.get(row);
  if (!field) return;
  current = order.indexOf(row);
  told.textContent = rows[row];
  for (const name of ["x", "y", "width", "height"]) frame.setAttribute(name, field.getAttribute(name));
  field.parentNode.append(frame);
  for (const dot of dots.values()) dot.classList.toggle("chosen", dot.dataset.dot === row);
  if (follow) field.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  ArrowUp: () => Math.max(0, current - 1), ArrowDown: () => Math.min(order.length - 1, current + 1),
  Home: () => 0, End: () => order.length - 1,
};

picture.tabIndex = 0;
let pointer = ""; // where it was: what moves below it, by a key, is no move of the pointer
picture.addEventListener("pointermove", (event) => {
  const place = `${event.screenX},${event.screenY}`;
  if (place === pointer) return;
  pointer = place;
  const isBar = event.target.matches("[data-measure][data-layer], [data-products]");
  const over = isBar ? event.target.parentNode.querySelector("[data-row]") : event.target.closest("[data-row]");
  if (over) point(over.dataset.row, false);
});
document.addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  point(order[KEYS[event.key]()], true);
});
