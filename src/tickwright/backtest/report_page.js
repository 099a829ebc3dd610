// Draws the figures of a report and the chart around the chosen round trip.
// Texts of the run reach the page through textContent or escaped figures only.
(function () {
  "use strict";
  const page = JSON.parse(document.getElementById("page-figures").textContent);
  const root = document.documentElement;
  const drawn = new Map();
  root.classList.add("scripted");

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function plain(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function themed(layout) {
    const found = Object.assign({}, layout, {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--text"), size: 12 },
      hoverlabel: { bgcolor: colour("--panel"), font: { color: colour("--text") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--line"), activecolor: colour("--dim") },
    });
    for (const key of Object.keys(found)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      const lines = {
        gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"),
        exponentformat: "none", separatethousands: true,
      };
      if (key[0] === "y") lines.automargin = true;
      // The second axis of a place would draw its grid across the first one's.
      if (found[key].overlaying) lines.showgrid = false;
      found[key] = Object.assign({}, found[key], lines);
    }
    return found;
  }

  // Plotly would offer to send the chart to its makers' cloud.
  const CONFIG = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d"],
  };

  function draw(id, figure) {
    const place = document.getElementById(id);
    if (!place) return;
    drawn.set(id, figure);
    Plotly.react(place, figure.data, themed(figure.layout), CONFIG);
  }

  function redraw() {
    for (const [id, figure] of drawn) draw(id, figure);
  }

  // the look ---------------------------------------------------------------------------------------

  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function isDark() {
    return root.dataset.look ? root.dataset.look === "dark" : dark.matches;
  }

  const toggle = document.getElementById("page-look");
  if (toggle) {
    toggle.addEventListener("click", function () {
      root.dataset.look = isDark() ? "light" : "dark";
      redraw();
    });
  }
  dark.addEventListener("change", redraw);
  let lookBefore = null;
  window.addEventListener("beforeprint", function () {
    lookBefore = root.dataset.look || "";
    root.dataset.look = "light";
    redraw();
  });
  window.addEventListener("afterprint", function () {
    if (lookBefore) root.dataset.look = lookBefore;
    else delete root.dataset.look;
    redraw();
  });

  // round trips ------------------------------------------------------------------------------------

  const charts = new Map((page.charts || []).map((chart) => [chart.trip, chart]));
  const numbers = Array.from(charts.keys());
  const chooser = document.getElementById("page-trip");
  const BUY = "#22a06b";
  const SELL = "#e5484d";

  // Where mids and fills are: an order with a limit far away, as a market order's worst price is,
  // would press them into a line. Zooming out shows it.
  function priceRange(chart) {
    const seen = chart.mid.filter((price) => price !== null).concat(chart.fills.map((fill) => fill.price));
    if (!seen.length) return null;
    const low = Math.min(...seen);
    const high = Math.max(...seen);
    const margin = Math.max((high - low) * 0.25, high * 2e-5);
    return [low - margin, high + margin];
  }

  function tripFigure(chart) {
    const range = priceRange(chart);
    const at = (ms) => chart.start_ms + ms;
    const data = [{
      type: "scatter", mode: "lines", name: "mid", line: { color: "#3b82f6", width: 1.6, shape: "hv" },
      x: chart.mid_ms.map(at), y: chart.mid, hovertemplate: "mid %{y}<extra></extra>",
    }];
    for (const side of [1, -1]) {
      const x = [];
      const y = [];
      const text = [];
      for (const order of chart.orders) {
        if (order.side !== side) continue;
        const words = plain(
          (side > 0 ? "buy " : "sell ") + order.size + " at " + order.price + ", filled " + order.filled +
          ", " + order.state + " (" + order.strategy + " " + order.client_id + ")");
        x.push(at(order.from_ms), at(order.to_ms), null);
        y.push(order.price, order.price, null);
        text.push(words, words, "");
      }
      if (x.length) {
        data.push({
          type: "scatter", mode: "lines", name: side > 0 ? "our bids" : "our asks", x: x, y: y, text: text,
          opacity: 0.55, line: { color: side > 0 ? BUY : SELL, width: 2.5 }, hovertemplate: "%{text}<extra></extra>",
        });
      }
      for (const maker of [true, false]) {
        const fills = chart.fills.filter((fill) => fill.side === side && fill.is_maker === maker);
        if (!fills.length) continue;
        data.push({
          type: "scatter", mode: "markers",
          name: (maker ? "made " : "took ") + (side > 0 ? "buy" : "sell"),
          x: fills.map((fill) => at(fill.at_ms)), y: fills.map((fill) => fill.price),
          text: fills.map((fill) => plain(
            (side > 0 ? "bought " : "sold ") + fill.size + " at " + fill.price +
            (maker ? ", maker" : ", taker") + (fill.cause ? ", " + fill.cause : "") + " (" + fill.client_id + ")")),
          hovertemplate: "%{text}<extra></extra>",
          marker: {
            size: 11, color: side > 0 ? BUY : SELL,
            symbol: (side > 0 ? "triangle-up" : "triangle-down") + (maker ? "-open" : ""), line: { width: 2 },
          },
        });
      }
    }
    const ends = [chart.entry_ms, chart.exit_ms].map((ms) => ({
      type: "line", xref: "x", yref: "paper", x0: at(ms), x1: at(ms), y0: 0, y1: 1, layer: "below",
      line: { color: "#8a94a6", width: 1, dash: "dot" },
    }));
    return {
      data: data,
      layout: {
        shapes: ends, height: 430, margin: { l: 76, r: 24, t: 12, b: 44 }, hovermode: "closest",
        legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
        xaxis: { type: "date", hoverformat: "%H:%M:%S.%L" }, yaxis: Object.assign({ title: { text: "price" } }, range ? { range: range } : {}),
      },
    };
  }

  function choose(number, isScrolled) {
    const chart = charts.get(number);
    if (!chart) return;
    draw("chart-trip", tripFigure(chart));
    if (chooser) chooser.value = String(number);
    for (const row of document.querySelectorAll("tr[data-trip]")) {
      row.classList.toggle("chosen", Number(row.dataset.trip) === number);
    }
    const told = document.getElementById("page-trip-words");
    if (told) {
      const left = [];
      if (chart.orders_left_out) left.push(chart.orders_left_out + " orders");
      if (chart.fills_left_out) left.push(chart.fills_left_out + " fills");
      told.textContent = left.length ? "Not shown, further away: " + left.join(", ") + "." : "";
    }
    if (isScrolled) document.getElementById("round-trips").scrollIntoView({ behavior: "smooth" });
  }

  function step(by) {
    const place = numbers.indexOf(Number(chooser.value)) + by;
    if (place >= 0 && place < numbers.length) choose(numbers[place], false);
  }

  for (const [name, figure] of Object.entries(page.figures)) draw("chart-" + name, figure);
  if (chooser && numbers.length) {
    chooser.addEventListener("change", () => choose(Number(chooser.value), false));
    document.getElementById("page-trip-before").addEventListener("click", () => step(-1));
    document.getElementById("page-trip-after").addEventListener("click", () => step(1));
    for (const button of document.querySelectorAll("button[data-trip]")) {
      button.addEventListener("click", () => choose(Number(button.dataset.trip), false));
    }
    const equity = document.getElementById("chart-equity");
    if (equity && equity.on) {
      equity.on("plotly_click", function (event) {
        const number = event.points[0] && event.points[0].customdata;
        if (number) choose(Number(number), true);
      });
    }
    choose(numbers[0], false);
  }
})();
