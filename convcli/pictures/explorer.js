// The page of a layer or a chain: which places an output reads, marked in the maps and told in words.
// A place is a list of numbers, one for each axis; a set of places of a map is a Uint8Array, row after row.
const known = JSON.parse(document.getElementById("data").textContent);
const LETTERS = ["z", "y", "x"], AXES = ["slice", "row", "column"];
const MOST_TERMS = 30, PAUSE = 600;  // products that are written out; milliseconds
let layer = known.maps.length - 1, place = known.place, timer = 0;

// --- what is read

/** The places of an axis that one position reads, on an axis without ends. */
function reads([, outputs, inputs, spans], position) {
  const [first, count, step] = spans[position % outputs];
  const start = first + Math.floor(position / outputs) * inputs;
  return Array.from({ length: count }, (_, i) => start + i * step);
}

/** The same on the axis itself. */
function inside(axis, position) {
  return reads(axis, position).filter((at) => at >= 0 && at < axis[0]);
}

/** All combinations of one entry of each list. */
function product(lists) {
  return lists.reduce((found, list) => found.flatMap((head) => list.map((entry) => [...head, entry])), [[]]);
}

const volume = (sizes) => sizes.reduce((a, b) => a * b, 1);
const flat = (sizes, at) => sizes.reduce((number, size, axis) => number * size + at[axis], 0);

/** The place with a number, row after row. */
function unflat(sizes, number) {
  const at = [];
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    at[axis] = number % sizes[axis];
    number = Math.floor(number / sizes[axis]);
  }
  return at;
}

/** For each map the places that one place of a map depends on. */
function seenBy(number, at) {
  const seen = known.maps.map((map) => new Uint8Array(volume(map.sizes)));
  seen[number][flat(known.maps[number].sizes, at)] = 1;
  for (let n = number; n > 0; n--) {
    for (const link of known.maps[n].links) {
      const read = through(link, seen[n], known.maps[n].sizes), found = seen[link.source];
      for (let i = 0; i < found.length; i++) found[i] |= read[i];
    }
  }
  return seen;
}

/** What some places read through a link: the axes one after the other, since each reads for itself. */
function through(link, seen, sizes) {
  link.tables ??= link.axes.map((axis, i) => Array.from({ length: sizes[i] }, (_, p) => inside(known.axes[axis], p)));
  let now = [...sizes];
  link.tables.forEach((table, axis) => {
    const size = known.axes[link.axes[axis]][0];
    seen = along(seen, now, axis, table, size);
    now = now.map((n, i) => (i === axis ? size : n));
  });
  return seen;
}

/** What some places read along one axis, which then is `size` long. */
function along(seen, sizes, axis, table, size) {
  const outer = volume(sizes.slice(0, axis)), inner = volume(sizes.slice(axis + 1));
  const found = new Uint8Array(outer * size * inner);
  for (let o = 0; o < outer; o++) {
    for (let p = 0; p < sizes[axis]; p++) {
      const from = (o * sizes[axis] + p) * inner, row = seen.subarray(from, from + inner);
      if (!row.includes(1)) continue;
      for (const read of table[p]) {
        const to = (o * size + read) * inner;
        for (let i = 0; i < inner; i++) found[to + i] |= row[i];
      }
    }
  }
  return found;
}

// --- what is shown

const shapes = { layer: new Map(), stretched: new Map() };
for (const kind of Object.keys(shapes)) {
  for (const element of document.querySelectorAll(`#picture [data-${kind}]:not([data-sheet])`)) {
    const key = keyOf(element.dataset[kind], placeOf(element));
    shapes[kind].set(key, [...(shapes[kind].get(key) ?? []), element]);
  }
}
let changed = [];

function keyOf(number, at) { return `${number}:${at}`; }

function placeOf(element) {
  return LETTERS.filter((letter) => letter in element.dataset).map((letter) => Number(element.dataset[letter]));
}

/** Give a cell, and what stands in it, an attribute until the next look. */
function mark(kind, number, at, name) {
  for (const element of shapes[kind].get(keyOf(number, at)) ?? []) {
    element.setAttribute(`data-${name}`, "");
    changed.push([element, `data-${name}`]);
  }
}

/** Mark places, and as holes what lies between them in the smallest box around them. */
function markBox(kind, number, places) {
  if (!places.length) return;
  const have = new Set(places.map(String));
  const ends = places[0].map((_, axis) => {
    const along = places.map((at) => at[axis]);
    return [along.reduce((a, b) => Math.min(a, b)), along.reduce((a, b) => Math.max(a, b))];
  });
  const box = product(ends.map(([low, high]) => Array.from({ length: high - low + 1 }, (_, i) => low + i)));
  for (const at of box) mark(kind, number, at, have.has(String(at)) ? "marked" : "hole");
}

/** Mark what is seen in a map that is drawn to scale: a path of rows. */
function markSheets(number, seen, name) {
  for (const sheet of document.querySelectorAll(`#picture [data-layer="${number}"][data-sheet="map"]`)) {
    const sizes = known.maps[number].sizes, letters = LETTERS.slice(-sizes.length);
    const axes = sheet.dataset.axes.split(",").map((letter) => letters.indexOf(letter));
    const [left, top, width, height] = ["x", "y", "width", "height"].map((side) => Number(sheet.getAttribute(side)));
    const rows = Number(sheet.dataset.rows), columns = Number(sheet.dataset.columns);
    const shadow = sizes.length < 3 ? seen : shadowOf(seen, sizes, axes);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", runs(shadow, columns, (x, y, length) =>
      `M${left + x * width / columns} ${top + y * height / rows}h${Math.max(2, length * width / columns)}` +
      `v${Math.max(2, height / rows)}h${-Math.max(2, length * width / columns)}z`));
    path.setAttribute("class", name);
    sheet.after(path);
    changed.push([path, ""]);
  }
}

/** A volume seen along the axis that is not among two. */
function shadowOf(seen, sizes, [down, across]) {
  const shadow = new Uint8Array(sizes[down] * sizes[across]);
  seen.forEach((is, i) => {
    if (!is) return;
    const at = unflat(sizes, i);
    shadow[at[down] * sizes[across] + at[across]] = 1;
  });
  return shadow;
}

/** What `draw` makes of each run of places in each row. */
function runs(shadow, columns, draw) {
  let text = "";
  for (let i = 0; i < shadow.length; i++) {
    const first = i, end = (Math.floor(i / columns) + 1) * columns;
    while (i < end && shadow[i]) i++;
    if (i > first) text += draw(first % columns, Math.floor(first / columns), i - first);
    if (i > first && i === end) i--;
  }
  return text;
}

/** Look from a place of a map. */
function look(number, at) {
  [layer, place] = [number, at];
  for (const [element, name] of changed) name ? element.removeAttribute(name) : element.remove();
  changed = [];
  const seen = seenBy(number, at);
  for (let n = 0; n < number; n++) {
    const sizes = known.maps[n].sizes, places = [];
    if (shapes.layer.has(keyOf(n, sizes.map(() => 0)))) {
      seen[n].forEach((is, i) => { if (is) places.push(unflat(sizes, i)); });
      markBox("layer", n, known.layer ? everyRead(at) : places);
    }
    markSheets(n, seen[n], "seen");
  }
  mark("layer", number, at, "chosen");
  markSheets(number, seen[number], "chosen");
  if (known.stretched) {
    markBox("stretched", 0, product(known.stretched.map((axis, i) => reads(known.axes[axis], at[i]))));
  }
  tell(seen);
}

/** The places that an output of the one layer reads, padding too. */
function everyRead(at) {
  const link = known.maps[1].links[0];
  if (!link.axes.length) return [at];
  const take = known.stretched ? inside : reads;
  return product(link.axes.map((axis, i) => take(known.axes[axis], at[i])));
}

// --- what is said

function tell(seen) {
  const axes = place.length > 1 ? AXES.slice(-place.length) : ["place"];
  const names = axes.map((name, axis) => `${name} ${place[axis]}`).join(", ");
  const count = seen[0].reduce((a, b) => a + b, 0);
  const pixels = `${count.toLocaleString("en")} ${count === 1 ? "pixel" : "pixels"} of the input`;
  let told = `Output ${names} of ${known.maps[layer].word} ${known.layer ? "reads" : "sees"} ${pixels}`;
  if (known.layer) {
    const lost = everyRead(place).length - count;
    if (known.channels > 1) told += `, in each of ${known.channels} channels`;
    if (lost) told += ` and ${lost} of padding`;
  } else {
    const box = boxOf(seen[0], known.maps[0].sizes);
    if (volume(box) > count) told += `, of ${volume(box)} in a box of ${box.join("x")}: the others in it are holes`;
  }
  document.getElementById("told").textContent = `${told}.`;
  document.getElementById("sum").textContent = known.layer ? sumOf() : "";
  document.getElementById("layer").value = String(layer);
}

/** The sides of the smallest box around places. */
function boxOf(seen, sizes) {
  const low = sizes.slice(), high = sizes.map(() => -1);
  for (let i = 0; i < seen.length; i++) {
    for (let axis = sizes.length - 1, rest = i; seen[i] && axis >= 0; axis--) {
      const p = rest % sizes[axis];
      rest = (rest - p) / sizes[axis];
      low[axis] = Math.min(low[axis], p);
      high[axis] = Math.max(high[axis], p);
    }
  }
  return sizes.map((_, axis) => Math.max(0, high[axis] - low[axis] + 1));
}

/** The sum that makes the output: with its numbers where they stand in the cells, else in letters. */
function sumOf() {
  const axes = known.maps[1].links[0].axes.map((axis) => known.axes[axis]), numbers = known.numbers;
  const terms = product(axes.map((axis, i) => inside(axis, place[i])));
  const output = numbers ? `output (${place.join(", ")})` : `y(${place.join(",")})`;
  const result = numbers ? ` = ${numbers.outputs[flat(known.maps[1].sizes, place)]}` : "";
  const pixel = (at) => (numbers ? numbers.image[flat(known.maps[0].sizes, at)] : `x(${at})`);
  if (known.kind === "max") return `${output} = the largest of ${few(terms.map(pixel), ", ")}${result}`;
  if (known.counted) {
    const counts = axes.map((axis, i) => reads(axis, place[i]).filter((at) => known.counted[i][0] <= at && at < known.counted[i][1]));
    return `${output} = (${few(terms.map((at) => bracketed(pixel(at))), " + ")}) / ${volume(counts.map((at) => at.length))}${result}`;
  }
  if (!["conv", "pw", "dw", "tconv"].includes(known.kind)) return "";
  if (!terms.length) return `${output} = 0${numbers ? result : ": no input reaches it"}`;
  const all = known.channels > 1 ? "c," : "";
  const products = terms.map((at) => {
    const tap = at.map((p, axis) => tapOn(axes[axis], axis, p));
    if (numbers) return `${bracketed(pixel(at))}*${bracketed(numbers.taps[flat(numbers.kernel, tap)])}`;
    return `w(${all}${tap}) x(${all}${at})`;
  });
  return `${output} = ${few(products, " + ")}${result}${all && overChannels(terms.length)}`;
}

/** What the letter c stands for, and how many products that makes. */
function overChannels(terms) {
  const which = known.groups > 1 ? `over the ${known.channels} channels c of its group` : `over c = 0 to ${known.channels - 1}`;
  return `, summed ${which}: ${(terms * known.channels).toLocaleString("en")} products`;
}

/** A number in a sum; negative ones and fractions stand in brackets. */
const bracketed = (text) => (known.numbers && /^[-~]|\//.test(text) ? `(${text})` : text);

/** The tap by which a place of the input reaches the output. */
function tapOn(axis, number, at) {
  if (known.taps) {
    const [stride, dilation, begin] = known.taps[number];
    return (place[number] + begin - at * stride) / dilation;
  }
  return reads(axis, place[number]).indexOf(at);
}

function few(texts, between) {
  const left = texts.length - MOST_TERMS;
  return left > 0 && !known.numbers ? `${texts.slice(0, MOST_TERMS).join(between)}${between}and ${left} more` : texts.join(between);
}

// --- pointer and keys

const picture = document.getElementById("picture");
let pointed = null;  // the last move of the pointer that nothing was shown of yet
picture.tabIndex = 0;
picture.addEventListener("pointerdown", point);
picture.addEventListener("pointermove", (event) => {  // one look for each picture of the screen, however many moves
  if (!pointed) requestAnimationFrame(() => { point(pointed); pointed = null; });
  pointed = event;
});

function point(event) {
  const element = event.target.closest("rect[data-layer]");
  const number = element ? Number(element.dataset.layer) : 0;
  if (!number || !known.maps[number].links.length) return;
  const at = element.dataset.sheet ? placeOn(element, number, event) : placeOf(element);
  if (at.every((p, axis) => p >= 0 && p < known.maps[number].sizes[axis]) && !(number === layer && String(at) === String(place))) {
    stop();
    look(number, at);
  }
}

/** The place of a map drawn to scale that the pointer is on. */
function placeOn(sheet, number, event) {
  const sizes = known.maps[number].sizes, box = sheet.getBoundingClientRect();
  const at = number === layer ? [...place] : sizes.map((size) => Math.floor((size - 1) / 2));
  if (sheet.dataset.sheet !== "map") return [-1];
  const letters = LETTERS.slice(-sizes.length), axes = sheet.dataset.axes.split(",").map((letter) => letters.indexOf(letter));
  at[axes.at(-1)] = Math.floor((event.clientX - box.left) / box.width * sheet.dataset.columns);
  if (axes.length > 1) at[axes[0]] = Math.floor((event.clientY - box.top) / box.height * sheet.dataset.rows);
  return at;
}

/** Another place along an axis, counted from the last one, as far as the map reaches. */
function move(axis, by) {
  const sizes = known.maps[layer].sizes, at = [...place], which = sizes.length - axis;
  if (which < 0) return;
  at[which] = Math.min(sizes[which] - 1, Math.max(0, at[which] + by));
  look(layer, at);
}

/** The place so many further, row after row, and round again. */
function step(by) {
  const sizes = known.maps[layer].sizes, count = volume(sizes);
  look(layer, unflat(sizes, (flat(sizes, place) + by + count) % count));
}

function jump(last) { look(layer, known.maps[layer].sizes.map((size) => (last ? size - 1 : 0))); }

const playButton = document.getElementById("play");

function stop() {
  clearInterval(timer);
  timer = 0;
  playButton.textContent = "Play";
}

function play() {
  if (timer) { stop(); return; }
  timer = setInterval(() => step(1), PAUSE);
  playButton.textContent = "Pause";
}

playButton.addEventListener("click", play);
for (const [id, act] of Object.entries({ first: () => jump(false), back: () => step(-1), next: () => step(1), last: () => jump(true) })) {
  document.getElementById(id).addEventListener("click", () => { stop(); act(); });
}
document.getElementById("layer").addEventListener("change", (event) => {
  stop();
  const number = Number(event.target.value);
  look(number, known.maps[number].sizes.map((size) => Math.floor((size - 1) / 2)));
});

const KEYS = {
  ArrowLeft: () => move(1, -1), ArrowRight: () => move(1, 1), ArrowUp: () => move(2, -1), ArrowDown: () => move(2, 1),
  PageUp: () => move(3, -1), PageDown: () => move(3, 1), Home: () => jump(false), End: () => jump(true),
};
document.addEventListener("keydown", (event) => {  // where neither the picture nor a button was chosen, keys scroll
  if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest("#picture, .controls button")) return;
  if (event.key === " " && !event.target.closest("button")) play();
  else if (event.key in KEYS && !(event.key.startsWith("Page") && place.length < 3)) { stop(); KEYS[event.key](); }
  else return;
  event.preventDefault();
});

look(layer, place);
