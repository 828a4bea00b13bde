"use strict";
(() => {
  const root = document.documentElement;
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");

  // Theme: what the system says until the reader chooses; remembered where the browser lets a file remember.

  function remembered() {
    try { return localStorage.getItem("trt-tuner-theme"); } catch { return null; }
  }

  function remember(theme) {
    try { localStorage.setItem("trt-tuner-theme", theme); } catch { /* a file may not be allowed to */ }
  }

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : darkScheme.matches;
  }

  const themeButton = document.getElementById("theme");

  function showTheme() {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", `Use the ${isDark() ? "light" : "dark"} theme`);
    plots.forEach(draw);
  }

  // Table: sorted by a click on a head, filtered by words that must all be in a row.

  const table = document.getElementById("trials");
  const body = table?.tBodies[0];
  const rows = table ? [...body.rows] : [];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const collator = new Intl.Collator("en", { numeric: true });

  function sortKey(cell) {
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  }

  function compareNumbers(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a - b);
  }

  function compareTexts(a, b, sign) {
    if (!a || !b) return !a - !b;
    return sign * collator.compare(a, b);
  }

  function sortBy(head) {
    const column = head.cellIndex;
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    const sign = ascending ? 1 : -1;
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sorted = [...body.rows].sort((a, b) => {
      const [left, right] = [a.cells[column], b.cells[column]];
      return head.dataset.kind === "number"
        ? compareNumbers(sortKey(left), sortKey(right), sign)
        : compareTexts(left.textContent, right.textContent, sign);
    });
    body.append(...sorted);
  }

  function filterBy(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => texts.get(row).includes(word));
      shown += !row.hidden;
    }
    const total = `${rows.length} ${rows.length === 1 ? "trial" : "trials"}`;
    document.getElementById("shown").textContent = words.length ? `${shown} of ${total}` : total;
  }

  const filter = document.getElementById("filter");

  function revealTarget() {
    const row = location.hash && document.getElementById(location.hash.slice(1));
    if (row && row.hidden) {
      filter.value = "";
      filterBy("");
      row.scrollIntoView();
    }
  }

  // Charts: the library is unpacked in the page, and each figure drawn in the colours of the theme.

  const dark = JSON.parse(document.getElementById("dark").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const charts = new Map(plots.map((plot) => [plot, figuresOf(plot)]));
  let printing = false;

  function figuresOf(plot) {
    return JSON.parse(plot.closest(".card").querySelector("script.views").textContent);
  }

  function coloured(value) {
    if (typeof value === "string") return dark[value] ?? value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]));
  }

  function draw(plot) {
    if (!window.Plotly) return;
    const views = charts.get(plot);
    const view = plot.dataset.view ?? Object.keys(views)[0];
    const figure = isDark() && !printing ? coloured(views[view]) : structuredClone(views[view]);
    figure.layout.autosize = true;
    // Dragging must scroll the page where there is no mouse.
    figure.layout.dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
    if (printing) figure.layout.width = 960;
    plot.querySelector(".waiting")?.remove();
    const config = {
      responsive: !printing, displaylogo: false,
      // Named one by one, since plotly.js would add a button that sends the chart to its vendor.
      modeBarButtons: [["toImage", "resetScale2d"]], plotlyServerURL: "",
    };
    Plotly.react(plot, figure.data, figure.layout, config);
  }

  function choose(button) {
    const card = button.closest("figure");
    for (const other of card.querySelectorAll(".tabs button")) other.setAttribute("aria-pressed", String(other === button));
    const plot = card.querySelector(".plot");
    plot.dataset.view = button.dataset.view;
    draw(plot);
  }

  async function unpack() {
    const packed = atob(document.getElementById("plotly").textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    script.remove();
  }

  async function drawAll() {
    try {
      await unpack();
      for (const plot of plots) draw(plot);
      root.dataset.charts = "drawn";
    } catch (error) {
      for (const note of document.querySelectorAll(".waiting")) {
        note.textContent = "This browser cannot draw the charts; everything else on the page is complete.";
      }
      console.error(error);
    }
  }

  function print(now) {
    printing = now;
    plots.forEach(draw);
  }

  const theme = remembered();
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  showTheme();
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    showTheme();
  });
  darkScheme.addEventListener("change", showTheme);
  if (table) {
    for (const head of table.tHead.rows[0].cells) head.firstElementChild.addEventListener("click", () => sortBy(head));
    filter.addEventListener("input", () => filterBy(filter.value));
    addEventListener("hashchange", revealTarget);
  }
  for (const button of document.querySelectorAll(".tabs button")) button.addEventListener("click", () => choose(button));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  drawAll();
})();
