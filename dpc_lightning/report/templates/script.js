"use strict";
// Tables that are sorted by a click on a column's name, or by Enter or Space on it.
(() => {
  const said = document.getElementById("said");

  const key = (cell) => {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "-" ? null : text;
  };

  const compare = (left, right) => {
    if (typeof left === "number" && typeof right === "number") return left - right;
    return String(left).localeCompare(String(right), "en", { numeric: true });
  };

  const sort = (table, heads, place) => {
    const head = heads[place];
    const down = head.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row.cells[place]), row]);
    const known = rows.filter(([value]) => value !== null);
    const unknown = rows.filter(([value]) => value === null); // what has no value stays at the end
    known.sort((left, right) => compare(left[0], right[0]) * (down ? -1 : 1));
    for (const [, row] of [...known, ...unknown]) body.append(row);
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    said.textContent = `${table.caption.textContent}: sorted by ${head.textContent.trim()}, ${down ? "descending" : "ascending"}`;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    if (table.tBodies[0].rows.length < 2) continue;
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, heads, place));
    });
  }

  // on paper everything is open, and a table is as wide as the paper at most
  const PAPER = 670;
  const closed = new Set();
  const tables = document.querySelectorAll("table");
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) {
      closed.add(part);
      part.open = true;
    }
    for (const table of tables) {
      const wide = table.offsetWidth;
      if (wide > PAPER) Object.assign(table.style, { width: `${wide}px`, zoom: PAPER / wide });
    }
  });
  addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
    for (const table of tables) Object.assign(table.style, { width: "", zoom: "" });
    closed.clear();
  });
})();
