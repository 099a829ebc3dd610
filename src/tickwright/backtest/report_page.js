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
    if (chart.book) {
      const low = chart.book.price_first - chart.book.price_step / 2;
      return [low, low + chart.book.sizes[0].length * chart.book.price_step];
    }
    const seen = chart.mid.filter((price) => price !== null).concat(chart.fills.map((fill) => fill.price));
    if (!seen.length) return null;
    const low = Math.min(...seen);
    const high = Math.max(...seen);
    const margin = Math.max((high - low) * 0.25, high * 2e-5);
    return [low - margin, high + margin];
  }

  // What rested: a column of time and a row of price each, green bids and red asks, the fuller the
  // larger. A square root, and one in fifty at full colour, because a book's largest level would
  // leave the others without any.
  function bookTraces(book, at) {
    const columns = book.sizes.length;
    const rows = book.sizes[0].length;
    const low = book.price_first - book.price_step / 2;
    const rested = book.sizes.flat().filter((share) => share).map(Math.abs).sort((a, b) => a - b);
    const full = rested.length ? rested[Math.floor(0.98 * (rested.length - 1))] : 1;
    const z = [];
    const text = [];
    for (let row = 0; row < rows; row++) {
      const shares = book.sizes.map((column) => column[row]);
      z.push(shares.map((share) => share ? Math.sign(share) * Math.min(1, 0.08 + 0.92 * Math.sqrt(Math.abs(share) / full)) : 0));
      const price = (book.price_first + row * book.price_step).toPrecision(10) / 1;
      text.push(shares.map((share) => share ? (share > 0 ? "bids " : "asks ") +
        (Math.abs(share) / 1000 * book.size_max).toPrecision(3) / 1 + " at " + price : "nothing at " + price));
    }
    const traces = [{
      type: "heatmap", name: "resting size", z: z, text: text, zmin: -1, zmax: 1, showscale: false,
      x: Array.from({ length: columns + 1 }, (_, index) => at(index * book.step_ms)),
      y: Array.from({ length: rows + 1 }, (_, index) => low + index * book.price_step),
      colorscale: [[0, "rgba(229,72,77,0.8)"], [0.5, "rgba(138,148,166,0)"], [1, "rgba(34,160,107,0.8)"]],
      hovertemplate: "%{text}<extra></extra>", hoverongaps: false,
    }];
    const largest = Math.max(0, ...book.trades.map((trade) => trade.size));
    for (const side of [1, -1]) {
      const trades = book.trades.filter((trade) => trade.side === side);
      if (!trades.length) continue;
      traces.push({
        type: "scatter", mode: "markers", name: side > 0 ? "market buys" : "market sells",
        x: trades.map((trade) => at(trade.at_ms)), y: trades.map((trade) => trade.price),
        text: trades.map((trade) => "market " + (side > 0 ? "bought " : "sold ") + trade.size + " at " + trade.price),
        hovertemplate: "%{text}<extra></extra>",
        marker: {
          size: trades.map((trade) => 3 + 9 * Math.sqrt(trade.size / largest)), opacity: 0.75,
          color: side > 0 ? "#0ea5a4" : "#d98e04", line: { width: 0 },
        },
      });
    }
    return traces;
  }

  function tripFigure(chart) {
    const range = priceRange(chart);
    const at = (ms) => chart.start_ms + ms;
    const data = chart.book ? bookTraces(chart.book, at) : [];
    data.push({
      type: "scatter", mode: "lines", name: "mid", line: { color: "#3b82f6", width: 1.6, shape: "hv" },
      x: chart.mid_ms.map(at), y: chart.mid, hovertemplate: "mid %{y}<extra></extra>",
    });
    for (const side of [1, -1]) {
      const x = [];
      const y = [];
      const text = [];
      for (const order of chart.orders) {
        if (order.side !== side) continue;
        const words = (limit) => plain(
          (side > 0 ? "buy " : "sell ") + order.size + " at " + limit + ", filled " + order.filled +
          ", " + order.state + " (" + order.strategy + " " + order.client_id + ")");
        const limits = [[order.from_ms, order.price]].concat(order.moves || []);
        for (let index = 0; index < limits.length; index++) {
          const until = index + 1 < limits.length ? limits[index + 1][0] : order.to_ms;
          x.push(at(limits[index][0]), at(until));
          y.push(limits[index][1], limits[index][1]);
          text.push(words(limits[index][1]), words(limits[index][1]));
        }
        x.push(null);
        y.push(null);
        text.push("");
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
        xaxis: { type: "date", hoverformat: "%H:%M:%S.%L" }, yaxis: Object.assign({ title: { text: "price", standoff: 14 } }, range ? { range: range } : {}),
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
      const words = left.length ? ["Not shown, further away: " + left.join(", ") + "."] : [];
      if (chart.moves_left_out) {
        words.push("Amended limits left out between those shown: " + chart.moves_left_out + ".");
      }
      if (chart.book && chart.book.trades_left_out) {
        words.push("Smaller trades of the market left out: " + chart.book.trades_left_out + ".");
      }
      told.textContent = words.join(" ");
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
