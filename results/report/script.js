"use strict";
// Sorting and filtering of the page's tables. A heading's button sorts, a second press turns the order around; rows without the value stay last.
const text = (row, column) => row.cells[column].textContent;
const value = (row, column) => row.cells[column].dataset.value;

function compare(a, b, column, number, sign) {
	const [x, y] = number ? [value(a, column), value(b, column)] : [text(a, column), text(b, column)];
	if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
	return sign * (number ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
}

function sort(table, heading) {
	const number = heading.classList.contains("number");
	const first = number ? "descending" : "ascending";
	const second = number ? "ascending" : "descending";
	const order = heading.getAttribute("aria-sort") === first ? second : first;
	for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
	heading.setAttribute("aria-sort", order);
	const sign = order === "ascending" ? 1 : -1;
	const rows = [...table.tBodies[0].rows].sort((a, b) => compare(a, b, heading.cellIndex, number, sign));
	table.tBodies[0].append(...rows);
}

function filter(table, controls) {
	const words = controls.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
	const chosen = [...controls.querySelectorAll("select")].filter((s) => s.value);
	let shown = 0;
	for (const row of table.tBodies[0].rows) {
		const all = row.textContent.toLowerCase();
		row.hidden = !words.every((w) => all.includes(w)) || !chosen.every((s) => text(row, s.dataset.column) === s.value);
		if (!row.hidden) shown++;
	}
	controls.querySelector(".count").textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}

for (const controls of document.querySelectorAll(".controls")) {
	const table = document.getElementById(controls.dataset.for);
	controls.addEventListener("input", () => filter(table, controls));
	for (const heading of table.tHead.rows[0].cells) {
		heading.querySelector("button").addEventListener("click", () => sort(table, heading));
	}
	filter(table, controls);
}
