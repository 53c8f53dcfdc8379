// What is wrong with the diagrams of a check, beside what is wrong with any page.
const middle = (e) => { const box = e.getBoundingClientRect(); return (box.left + box.right) / 2; };
if (!document.querySelector("svg.arrow, table.matrix")) problems.push("neither diagram nor matrix");
for (const run of document.querySelectorAll("table.run")) {
  const heads = [...run.querySelectorAll(".lanes > div")].map(middle);
  for (const row of run.querySelectorAll("svg.arrow")) {
    const lines = [...row.querySelectorAll(".lifeline")].map(middle);
    const straight = lines.length === heads.length
      && lines.every((x, lane) => Math.abs(x - heads[lane]) < 1);
    const cell = row.parentElement.clientHeight;
    if (!straight || row.clientHeight < cell - 1) problems.push(`lifelines break: ${words(row)}`);
  }
}

// for whoever dumps the page
const told = document.createElement("pre");
told.id = "measured";
told.textContent = [...new Set(problems)].join("\n");
document.body.append(told);
