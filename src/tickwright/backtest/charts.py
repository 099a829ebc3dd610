"""Owns which pictures a report has, as figures that plotly draws; refuses to draw them itself.

A figure is plotly's own document: traces under `data`, axes under `layout`. Colours of text, grid
and ground are the page's, as they follow its look; here are those of the traces, readable on both.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from tickwright.backtest.quality_orders import LatencyRow
from tickwright.backtest.report import BacktestReport

__all__ = ["COLOURS", "Figure", "make_figures", "symbol_of"]

Figure = dict[str, Any]

BLUE, GREEN, RED, AMBER = "#3b82f6", "#22a06b", "#e5484d", "#d98e04"
VIOLET, TEAL, GREY = "#8b5cf6", "#0ea5a4", "#8a94a6"
COLOURS = (BLUE, AMBER, GREEN, VIOLET, RED, TEAL, GREY, "#c2559b", "#7a8b2e", "#b0653c")
_TIME: Mapping[str, Any] = {"type": "date", "hoverformat": "%Y-%m-%d %H:%M:%S.%L"}


def symbol_of(instrument: str) -> str:
    """Return the short name of an instrument, the venue's symbol, or of what owns a row."""
    return instrument.rpartition(":")[2] or "(unowned)"


def make_figures(report: BacktestReport) -> dict[str, Figure]:
    """Return a report's figures by the name of their place; those with nothing to show left out."""
    made = {
        "equity": _equity(report),
        "positions": _positions(report),
        "days": _days(report),
        "costs": _costs(report),
        "results": _results(report),
        "markout": _markout(report),
        "queue": _queue(report),
        "latency": _latency(report.quality.latencies),
        "hours": _hours(report),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def _layout(height: int, **more: Any) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 64, "r": 56, "t": 12, "b": 44},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        **more,
    }


def _line(
    name: str, x: Sequence[Any], y: Sequence[Any], colour: str, **more: Any
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape(name),
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 1.6},
        **more,
    }


def _equity(report: BacktestReport) -> Figure:
    curve, asset = report.curve, escape(report.facts.equity_asset)
    trips = [trip for trip in report.trips if trip.equity is not None]
    marks = {
        "type": "scatter",
        "mode": "markers",
        "name": "round trips (click one)",
        "x": [trip.closed_ms for trip in trips],
        "y": [trip.equity for trip in trips],
        "customdata": [trip.number for trip in trips],
        "text": [
            escape(f"{trip.number}: {trip.direction} {symbol_of(trip.instrument)}, ")
            + ("unknown" if trip.net is None else f"{trip.net:+,.4g} {asset}")
            for trip in trips
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": 7,
            "color": [GREEN if (trip.net or 0) > 0 else RED for trip in trips],
            "symbol": [
                "triangle-up" if trip.direction == "long" else "triangle-down" for trip in trips
            ],
        },
    }
    depth = [None if value is None else -value for value in curve.drawdown]
    under = _line("drawdown", curve.time_ms, depth, RED, yaxis="y2", fill="tozeroy")
    return {
        "data": [_line("equity", curve.time_ms, curve.equity, BLUE), marks, under],
        "layout": _layout(
            480,
            xaxis={**_TIME, "anchor": "y2"},
            yaxis={"domain": [0.34, 1], "title": {"text": f"equity, {asset}"}},
            yaxis2={"domain": [0, 0.26], "title": {"text": "drawdown"}, "tickformat": ".2%"},
        ),
    }


def _positions(report: BacktestReport) -> Figure | None:
    if not report.positions:
        return None
    # Flat before the first change, and the last size to the end.
    start, end = report.curve.time_ms[0], report.curve.time_ms[-1]
    lines = [
        _line(
            symbol_of(row.instrument),
            [min(start, row.time_ms[0]), *row.time_ms, max(end, row.time_ms[-1])],
            [0, *row.size, row.size[-1]],
            COLOURS[index % len(COLOURS)],
            visible=True if index < 3 else "legendonly",
        )
        for index, row in enumerate(report.positions)
    ]
    for line in lines:
        line["line"]["shape"] = "hv"
    return {
        "data": lines,
        "layout": _layout(300, xaxis=dict(_TIME), yaxis={"title": {"text": "position, size"}}),
    }


def _days(report: BacktestReport) -> Figure | None:
    days = report.metrics.days
    if len(days) < 2:
        return None
    bars = {
        "type": "bar",
        "name": "net",
        "x": [row.day for row in days],
        "y": [row.net for row in days],
        "marker": {"color": [GREEN if row.net >= 0 else RED for row in days]},
    }
    title = f"net a day, {escape(report.facts.equity_asset)}"
    return {
        "data": [bars],
        "layout": _layout(260, xaxis={"type": "date"}, yaxis={"title": {"text": title}}),
    }


def _costs(report: BacktestReport) -> Figure | None:
    curve = report.curve
    if not any(curve.fees) and not any(curve.funding):
        return None
    title = f"so far, {escape(report.facts.equity_asset)}"
    return {
        "data": [
            _line("fees paid", curve.time_ms, curve.fees, AMBER),
            _line("funding received", curve.time_ms, curve.funding, TEAL),
            _line("gross exposure", curve.time_ms, curve.exposure, GREY, yaxis="y2"),
        ],
        "layout": _layout(
            300,
            xaxis=dict(_TIME),
            yaxis={"title": {"text": title}},
            yaxis2={"overlaying": "y", "side": "right", "title": {"text": "exposure"}},
        ),
    }


def _results(report: BacktestReport) -> Figure | None:
    found = report.results_bp
    if not found.counts:
        return None
    centres = [(a + b) / 2 for a, b in zip(found.bounds, found.bounds[1:], strict=False)]
    bars = {
        "type": "bar",
        "name": "round trips",
        "x": centres,
        "y": list(found.counts),
        "width": [b - a for a, b in zip(found.bounds, found.bounds[1:], strict=False)],
        "marker": {"color": [GREEN if centre > 0 else RED for centre in centres]},
    }
    return {
        "data": [bars],
        "layout": _layout(
            280,
            xaxis={"title": {"text": "net result, bp of the entry"}},
            yaxis={"title": {"text": "round trips"}},
        ),
    }


def _markout(report: BacktestReport) -> Figure | None:
    quality = report.quality
    lines = []
    for liquidity, colour in (("maker", BLUE), ("taker", AMBER)):
        rows = [row for row in quality.markouts if row.liquidity == liquidity]
        if not any(row.markout.fills for row in rows):
            continue
        spread = next(row for row in quality.liquidity if row.liquidity == liquidity)
        paid = spread.effective_spread.mean_bp
        lines.append(
            _line(
                f"{liquidity} ({rows[0].markout.fills:,} fills)",
                ["at the fill", *(f"{row.horizon_s} s" for row in rows)],
                [None if paid is None else -paid / 2, *(row.markout.mean_bp for row in rows)],
                colour,
                mode="lines+markers",
                error_y={
                    "type": "data",
                    "array": [0, *(row.markout.error_bp or 0 for row in rows)],
                    "visible": True,
                },
            )
        )
    if not lines:
        return None
    return {
        "data": lines,
        "layout": _layout(
            300,
            xaxis={"type": "category", "title": {"text": "after the fill"}},
            yaxis={"title": {"text": "markout, bp, with standard errors"}, "zeroline": True},
        ),
    }


def _queue(report: BacktestReport) -> Figure | None:
    rows = report.quality.queue
    if not rows:
        return None
    names = [f"{row.ahead_from:,.0f} to {row.ahead_to:,.0f}" for row in rows]
    bars = {
        "type": "bar",
        "name": "orders with a fill",
        "x": names,
        "y": [row.fill_ratio_orders for row in rows],
        "marker": {"color": BLUE},
    }
    waits = _line(
        "rested to first fill, p50",
        names,
        [row.first_fill_ms_p50 for row in rows],
        AMBER,
        mode="lines+markers",
        yaxis="y2",
    )
    title = f"size ahead when it first rested, {escape(report.facts.equity_asset)}"
    return {
        "data": [bars, waits],
        "layout": _layout(
            300,
            xaxis={"type": "category", "title": {"text": title}},
            yaxis={"title": {"text": "filled"}, "tickformat": ".0%", "rangemode": "tozero"},
            yaxis2={
                "overlaying": "y",
                "side": "right",
                "title": {"text": "ms"},
                "rangemode": "tozero",
            },
        ),
    }


def _latency(rows: Sequence[LatencyRow]) -> Figure | None:
    lines = []
    for index, row in enumerate(row for row in rows if row.counts):
        whole = sum(row.counts)
        share = [0.0, *(done / whole for done in accumulate(row.counts))]
        lines.append(_line(row.kind, row.bins_ms, share, COLOURS[index % len(COLOURS)]))
    if not lines:
        return None
    return {
        "data": lines,
        "layout": _layout(
            300,
            xaxis={"type": "log", "title": {"text": "ms"}},
            yaxis={
                "title": {"text": "at most so late"},
                "tickformat": ".0%",
                "rangemode": "tozero",
            },
        ),
    }


def _hours(report: BacktestReport) -> Figure | None:
    rows = report.metrics.by_hour
    if len(rows) < 2:
        return None
    middle = len(report.quality.horizons_s) // 2
    quality = [row for row in report.quality.groups if row.by == "hour"]
    bars = {
        "type": "bar",
        "name": "net of what closed",
        "x": [row.key for row in rows],
        "y": [row.net for row in rows],
        "marker": {"color": [GREEN if row.net >= 0 else RED for row in rows]},
    }
    marks = _line(
        f"maker markout, {report.quality.horizons_s[middle]} s",
        [row.key for row in quality],
        [row.maker_markout_bp[middle] for row in quality],
        VIOLET,
        mode="lines+markers",
        yaxis="y2",
    )
    asset = escape(report.facts.equity_asset)
    return {
        "data": [bars, marks],
        "layout": _layout(
            280,
            xaxis={
                "type": "category",
                "title": {"text": "hour, UTC"},
                "categoryorder": "category ascending",
            },
            yaxis={"title": {"text": f"net, {asset}"}},
            yaxis2={"overlaying": "y", "side": "right", "title": {"text": "bp"}},
        ),
    }
