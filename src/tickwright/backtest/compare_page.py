"""Owns the page of a comparison: one table, curves over each other; refuses to work figures out."""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from tickwright.backtest import report_words as say
from tickwright.backtest.charts import COLOURS, Figure
from tickwright.backtest.compare import ComparedRow, Comparison
from tickwright.backtest.report import BacktestReport
from tickwright.backtest.report_frame import Markup, chart, safe, section, table, whole_page

__all__ = ["make_comparison_page", "value_text"]


def make_comparison_page(comparison: Comparison, reports: Sequence[BacktestReport]) -> str:
    """Return one HTML file with several runs side by side; `reports` in the comparison's order.

    Raises:
        ConfigError: plotly isn't installed.
    """
    names = [run.name for run in comparison.runs]
    has_figures = any(len(report.curve.time_ms) > 1 for report in reports)
    notes = "".join(f'<p class="dim">{safe(note)}</p>' for note in comparison.notes)
    head = Markup(
        f"<header><div><h1>{len(names)} backtests</h1>{notes}</div>"
        '<div class="controls"><button type="button" id="page-look">light / dark</button></div>'
        "</header>"
    )
    parts = [
        head,
        section("Equity, since each run's start", chart("equity") if has_figures else ""),
        *(
            section(title.capitalize(), _rows(names, title, comparison.rows))
            for title in dict.fromkeys(row.section for row in comparison.rows)
        ),
        section("Parameters that differ", _parameters(names, comparison)),
        section("Runs", _runs(comparison)),
        Markup(
            f"<footer>tickwright {safe(comparison.version)}. Bold is the best of a row.</footer>"
        ),
    ]
    figures = {"equity": _curves(names, reports)} if has_figures else {}
    return whole_page(" / ".join(names), "\n".join(part for part in parts if part), figures)


def value_text(row: ComparedRow, value: float | None) -> str:
    """Write one value of a row in its unit."""
    if value is None:
        return say.UNKNOWN
    if row.unit == "money":
        return say.money(value)
    if row.unit == "fraction":
        return say.percent(value)
    if row.unit == "bp":
        return f"{value:+.2f} bp"
    if row.unit == "seconds":
        return say.duration(value)
    return f"{value:,.0f}" if row.unit == "count" else say.figure(value)


def _rows(names: Sequence[str], title: str, rows: Sequence[ComparedRow]) -> Markup:
    def cells(row: ComparedRow) -> list[str]:
        found: list[str] = [row.figure]
        for index, value in enumerate(row.values):
            text = value_text(row, value)
            found.append(
                Markup(f'<span class="best">{safe(text)}</span>') if index == row.best else text
            )
        return found

    return table(("", *names), (cells(row) for row in rows if row.section == title))


def _parameters(names: Sequence[str], comparison: Comparison) -> Markup:
    return table(
        ("strategy", "parameter", *names),
        ((row.strategy, row.name, *row.values) for row in comparison.parameters),
        left=(1,),
    )


def _runs(comparison: Comparison) -> Markup:
    return table(
        ("run", "from", "to", "seed", "plan", "digest of every decision"),
        (
            (run.name, run.started, run.ended, str(run.seed), run.plan_digest, run.digest)
            for run in comparison.runs
        ),
        left=(1, 2, 4, 5),
    )


def _curves(names: Sequence[str], reports: Sequence[BacktestReport]) -> Figure:
    """Lay returns and drawdowns over each other: by date where the runs meet, else by their age."""
    starts = [datetime.fromisoformat(report.facts.started) for report in reports]
    ends = [datetime.fromisoformat(report.facts.ended) for report in reports]
    is_dated = max(starts) < min(ends)
    lines = []
    for index, (name, report) in enumerate(zip(names, reports, strict=True)):
        curve, colour = report.curve, COLOURS[index % len(COLOURS)]
        first = curve.equity[0] if curve.equity else 0.0
        begin = 0.0 if is_dated else curve.time_ms[0] if curve.time_ms else 0.0
        x = [at - begin if is_dated else (at - begin) / 3.6e6 for at in curve.time_ms]
        made = [value / first - 1 if first > 0 else None for value in curve.equity]
        depth = [None if value is None else -value for value in curve.drawdown]
        line = {"color": colour, "width": 1.6, "dash": "solid" if index < len(COLOURS) else "dot"}
        held: Figure = {
            "type": "scatter",
            "mode": "lines",
            "legendgroup": str(index),
            "line": line,
            "x": x,
        }
        lines.append({**held, "name": escape(name), "y": made})
        lines.append({**held, "name": escape(name), "y": depth, "yaxis": "y2", "showlegend": False})
    axis = {"type": "date"} if is_dated else {"title": {"text": "hours since its start"}}
    return {
        "data": lines,
        "layout": {
            "height": 520,
            "margin": {"l": 64, "r": 24, "t": 12, "b": 44},
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {**axis, "anchor": "y2"},
            "yaxis": {"domain": [0.34, 1], "title": {"text": "return"}, "tickformat": ".2%"},
            "yaxis2": {"domain": [0, 0.26], "title": {"text": "drawdown"}, "tickformat": ".2%"},
        },
    }
