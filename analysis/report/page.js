"use strict";
// What the page does: draws the charts, moves the margin, sorts tables and gives them as CSV. Every number and verdict
// comes from Python; nothing is computed here.
const data = (element) => JSON.parse(element.textContent);
const views = [];

// Columns as rows; words are places in a list.
function rows(columns) {
  const names = Object.keys(columns);
  const value = (column, at) => (column.words ? column.words[column.places[at]] : column[at]);
  const length = (columns[names[0]].places || columns[names[0]]).length;
  return Array.from({ length }, (_, at) => Object.fromEntries(names.map((name) => [name, value(columns[name], at)])));
}

async function drawFigure(figure) {
  const source = figure.querySelector(".specification");
  if (!source) return;
  figure.classList.add("drawn");
  try {
    for (const plot of figure.querySelectorAll(".plot")) {
      const specification = data(source);
      for (const name in specification.datasets) specification.datasets[name] = rows(specification.datasets[name]);
      specification.params.find((each) => each.name === "panel").value = plot.dataset.panel;
      const options = { actions: false, renderer: "svg", ast: true, mode: "vega-lite" };
      const { view } = await vegaEmbed(plot, specification, options);
      views.push({ view, figure, names: new Set(specification.params.map((each) => each.name)) });
    }
  } catch (error) {
    figure.classList.remove("drawn"); // the static picture stays
    console.error(error);
  }
}

function set(name, value, figure) {
  for (const each of views) {
    if (each.names.has(name) && (!figure || each.figure === figure)) each.view.signal(name, value).runAsync();
  }
}

function moveMargin(slider) {
  const answers = data(document.getElementById("margins"));
  const cards = [...document.querySelectorAll(".card")];
  const output = document.querySelector(".margin output");
  slider.addEventListener("input", () => {
    const { margin, cards: told } = answers[slider.value];
    output.textContent = margin;
    cards.forEach((card, place) => {
      card.querySelector(".enough").textContent = told[place].enough;
      card.querySelector(".remedy").textContent = told[place].remedy;
      card.querySelectorAll(".moves").forEach((cell, at) => (cell.textContent = told[place].moves[at]));
    });
    set("margin", margin);
  });
}

function sortable(table) {
  const body = table.tBodies[0];
  const words = new Intl.Collator("en", { numeric: true });
  // A date or a run id that begins with digits is no number.
  const number = (text) => {
    const found = text.replaceAll("−", "-").replaceAll(",", "").match(/^[<\s+]*(-?[\d.]+(?:e-?\d+)?|-?∞)(?![\w-])/);
    return found ? (found[1].endsWith("∞") ? (found[1][0] === "-" ? -Infinity : Infinity) : Number(found[1])) : NaN;
  };
  table.querySelectorAll("th").forEach((head, column) =>
    head.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const text = (row) => row.cells[column].textContent;
      const compare = (a, b) => {
        const [x, y] = [number(text(a)), number(text(b))];
        const order = Number.isNaN(x) ? words.compare(text(a), text(b)) : x < y ? -1 : Number(x > y);
        const known = Number(Number.isNaN(x)) - Number(Number.isNaN(y)); // what is no number comes last
        return known || order * (down ? -1 : 1);
      };
      table.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...body.rows].sort(compare));
    })
  );
}

function downloadable(table) {
  const button = document.createElement("button");
  button.className = "csv";
  button.textContent = "CSV";
  button.addEventListener("click", () => {
    const quoted = (cell) => `"${cell.textContent.replaceAll('"', '""')}"`;
    const text = [...table.rows].map((row) => [...row.cells].map(quoted).join(",")).join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "table.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  table.after(button);
}

async function main() {
  document.documentElement.classList.add("script");
  const slider = document.getElementById("margin");
  if (slider) moveMargin(slider);
  document.querySelectorAll("details table").forEach((table) => {
    sortable(table);
    downloadable(table);
  });
  document.querySelectorAll("select").forEach((choice) =>
    choice.addEventListener("change", () => set(choice.dataset.param, choice.value, choice.closest("figure")))
  );
  for (const figure of document.querySelectorAll("figure")) await drawFigure(figure);
  document.documentElement.dataset.ready = "true";
}
main();
