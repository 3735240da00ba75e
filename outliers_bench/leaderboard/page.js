
"use strict";
// Sort by a click on a heading; cells without a value are last in either direction.
for (const table of document.querySelectorAll("table.runs")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const ranked = [...body.rows];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const first = head.dataset.first ?? "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const down = (head.getAttribute("aria-sort") === first ? other : first) === "descending";
    heads.forEach((each) => each.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    const numeric = head.classList.contains("number");
    const value = (row) => row.cells[column].dataset.value;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (numeric ? x - y : x.localeCompare(y, undefined, { numeric: true }));
    };
    body.append(...[...ranked].sort(order));  // ties remain in the order of their ranks
  }));
}
for (const box of document.querySelectorAll(".command")) {
  const button = box.querySelector(".copy");
  const text = box.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected, now copy";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  });
}
