"use strict";
// Tables are sorted by a click on a column's heading, within their groups; another click turns the order round.
function key(cell) {
  const text = cell.textContent.trim();
  const number = parseFloat(text.replace(/−/g, "-").replace(/[,*]/g, "").replace(/^[^\d+-]+/, ""));
  return Number.isNaN(number) ? [1, 0, text] : [0, number, text];
}
function compare(one, two) {
  return one[0] - two[0] || one[1] - two[1] || one[2].localeCompare(two[2]);
}
function sort(heading) {
  const index = [...heading.parentNode.children].indexOf(heading);
  const table = heading.closest("table");
  const down = heading.getAttribute("aria-sort") === "ascending";
  const words = heading.classList.contains("left");
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].map((row) => {
      const found = key(row.cells[index]);
      return [row, words ? [0, 0, found[2]] : found];
    });
    rows.sort((one, two) => (down ? -1 : 1) * compare(one[1], two[1]));
    body.append(...rows.map((row) => row[0]));
  }
}
for (const heading of document.querySelectorAll("thead th")) {
  heading.tabIndex = 0;
  heading.title = "sort by " + heading.textContent;
  heading.addEventListener("click", () => sort(heading));
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      sort(heading);
    }
  });
}
// Dark and light: as the system has it, until the button is pressed.
const button = document.getElementById("scheme");
const dark = () =>
  (document.documentElement.dataset.scheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const label = () => (button.textContent = dark() ? "Light" : "Dark");
button.hidden = false;
button.addEventListener("click", () => {
  document.documentElement.dataset.scheme = dark() ? "light" : "dark";
  label();
});
label();
