// The page of a batch: rows are sorted by the column whose head is pressed, and shown by their status.
const body = document.querySelector("#files tbody");
const rows = [...body.rows];
const numbers = new Set(["number", "seconds", "clipped", "warnings"]);
const heads = [...document.querySelectorAll("#files thead th")];
const compare = new Intl.Collator(undefined, { numeric: true }).compare;

const ordered = (column, name, turned) => {
  const value = (row) => row.cells[column].dataset.value;
  const by = numbers.has(name) ? (a, b) => a - b : compare;
  return rows.toSorted((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);  // what has no value comes last, either way
    return turned ? by(y, x) : by(x, y);
  });
};

for (const button of document.querySelectorAll("#files thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const turned = head.getAttribute("aria-sort") === "ascending";
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", turned ? "descending" : "ascending");
    body.append(...ordered(heads.indexOf(head), button.dataset.column, turned));
  });
}

const filter = document.getElementById("filter");
const choose = () => {
  for (const row of rows) row.hidden = filter.value !== "all" && row.dataset.status !== filter.value;
  document.getElementById("count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
};
filter.addEventListener("change", choose);
choose();
