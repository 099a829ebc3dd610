"""Owns the page of a walk-forward: the stitched curve, what each window chose, how steady it was.

It refuses to work figures out: they are the summary's.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from tickwright import __version__
from tickwright.backtest import report_words as say
from tickwright.backtest.charts import COLOURS, Figure
from tickwright.backtest.report_frame import (
    Markup,
    cards,
    chart,
    safe,
    section,
    table,
    tinted,
    whole_page,
)
from tickwright.research.walkforward import WalkForwardResult
from tickwright.research.walkforward_summary import Stability, WalkForwardSummary, WindowSummary

__all__ = ["make_walkforward_page", "probability", "short_moment"]


def make_walkforward_page(name: str, result: WalkForwardResult) -> str:
    """Return one HTML file with a walk-forward.

    Raises:
        ConfigError: plotly isn't installed.
    """
    summary = result.summary()
    kind = "anchored" if summary.is_anchored else "rolling"
    head = Markup(
        f"<header><div><h1>Walk-forward of {safe(name)}</h1>"
        f'<p class="dim">{len(summary.windows)} {kind} windows, {summary.trials} trials in sample, '
        f"chosen by {safe(summary.objective)}. The curve is of times that no choice saw.</p></div>"
        '<div class="controls"><button type="button" id="page-look">light / dark</button></div>'
        "</header>"
    )
    times, returns = result.returns()
    figures: dict[str, Figure] = {}
    if len(returns):
        figures["stitched"] = _curve(summary, times.tolist(), returns.tolist())
    numbers = [one for one in summary.stability if one.mean is not None]
    for place, one in enumerate(numbers):
        figures[f"choice-{place}"] = _choice(one, summary.windows)
    parts = [
        head,
        cards(_headline(summary)),
        section("Out of sample", chart("stitched") if len(returns) else ""),
        section("Windows", _windows(summary)),
        section(
            "What was chosen",
            _stability(summary.stability),
            *(chart(f"choice-{place}") for place in range(len(numbers))),
        ),
        Markup(f"<footer>tickwright {safe(__version__)}. Times are UTC.</footer>"),
    ]
    return whole_page(f"walk-forward of {name}", "\n".join(p for p in parts if p), figures)


def probability(value: float | None) -> str:
    """Write a probability."""
    return say.UNKNOWN if value is None else f"{value:.3f}"


def short_moment(moment_ns: int) -> str:
    """Write a time to the second."""
    moment = datetime.fromtimestamp(moment_ns // 1_000_000_000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _headline(summary: WalkForwardSummary) -> list[tuple[str, str, str]]:
    out = summary.out_of_sample
    return [
        (
            "return out of sample",
            say.signed_percent(out.total_return),
            f"{out.observations} returns",
        ),
        ("Sharpe ratio", say.figure(out.sharpe), "yearly, out of sample"),
        ("true ratio above 0", probability(out.probabilistic_sharpe), "probability"),
        ("the same, deflated", probability(out.deflated_sharpe), "by the trials of a window"),
        ("greatest drawdown", say.percent(out.drawdown), "of the stitched curve"),
        ("windows won", say.percent(summary.windows_won), f"of {len(summary.windows)}"),
        ("efficiency", say.figure(summary.efficiency), "return kept out of sample"),
        ("overfitting", probability(summary.overfitting), "mean probability in sample"),
    ]


def _windows(summary: WalkForwardSummary) -> Markup:
    names = [one.name for one in summary.stability]
    head = ("window", "chosen on", "judged until", *names, "in sample", "out of sample")
    rest = ("return in", "return out", "deflated Sharpe", "overfitting", "")
    return table(
        (*head, *rest),
        (_cells(row, names) for row in summary.windows),
        left=(1, 2, len(names) + 9),
    )


def _cells(row: WindowSummary, names: Sequence[str]) -> list[str]:
    chosen = [row.parameters.get(name) for name in names]
    return [
        str(row.number + 1),
        f"{short_moment(row.in_from_ns)} to {short_moment(row.in_until_ns)}",
        short_moment(row.out_until_ns),
        *(say.UNKNOWN if value is None else _value(value) for value in chosen),
        say.figure(row.in_sample),
        say.figure(row.out_of_sample),
        say.signed_percent(row.in_sample_return),
        tinted(say.signed_percent(row.out_of_sample_return), row.out_of_sample_return),
        probability(row.deflated_sharpe),
        probability(row.overfitting),
        row.error,
    ]


def _stability(rows: Sequence[Stability]) -> Markup:
    return table(
        ("parameter", "mean", "deviation", "values", "changes"),
        (
            (
                one.name,
                say.figure(one.mean),
                say.figure(one.deviation),
                f"{one.distinct} of {len(one.values)}",
                str(one.changes),
            )
            for one in rows
        ),
    )


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _curve(
    summary: WalkForwardSummary, times_ns: Sequence[int], returns: Sequence[float]
) -> Figure:
    equity, peak = 1.0, 1.0
    made: list[float] = []
    depth: list[float] = []
    for one in returns:
        equity *= 1.0 + one
        peak = max(peak, equity)
        made.append(equity - 1.0)
        depth.append(equity / peak - 1.0)
    x = [at / 1e6 for at in times_ns]
    line = {"color": COLOURS[0], "width": 1.6}
    shade = {"color": COLOURS[4], "width": 1.2}
    edges = [row.out_until_ns / 1e6 for row in summary.windows]
    return {
        "data": [
            {"type": "scatter", "mode": "lines", "name": "return", "x": x, "y": made, "line": line},
            {
                "type": "scatter",
                "mode": "lines",
                "name": "drawdown",
                "x": x,
                "y": depth,
                "yaxis": "y2",
                "fill": "tozeroy",
                "line": shade,
            },
        ],
        "layout": {
            "height": 480,
            "margin": {"l": 64, "r": 24, "t": 12, "b": 44},
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {"type": "date", "anchor": "y2"},
            "yaxis": {"domain": [0.34, 1], "title": {"text": "return"}, "tickformat": ".2%"},
            "yaxis2": {"domain": [0, 0.26], "title": {"text": "drawdown"}, "tickformat": ".2%"},
            "shapes": [
                {
                    "type": "line",
                    "x0": at,
                    "x1": at,
                    "y0": 0,
                    "y1": 1,
                    "yref": "paper",
                    "line": {"color": COLOURS[6], "width": 0.6, "dash": "dot"},
                }
                for at in edges
            ],
        },
    }


def _choice(one: Stability, windows: Sequence[WindowSummary]) -> Figure:
    chosen = [(row.number + 1, row.parameters.get(one.name)) for row in windows]
    points: list[tuple[int, Any]] = [
        (number, value) for number, value in chosen if value is not None
    ]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(one.name),
                "x": [number for number, _ in points],
                "y": [value for _, value in points],
                "line": {"color": COLOURS[0], "width": 1.4, "shape": "hv"},
            }
        ],
        "layout": {
            "height": 220,
            "margin": {"l": 64, "r": 24, "t": 12, "b": 44},
            "xaxis": {"title": {"text": "window"}, "dtick": 1},
            "yaxis": {"title": {"text": escape(one.name)}},
        },
    }
