"""Owns a run's execution quality: what its fills and orders were worth; refuses to draw it.

The usual reports stop at money. This one says whether fills were good (`quality_marks`), whether
orders got them (`quality_orders`), and both by symbol, strategy and hour.
"""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import (
    DAY_NS,
    HOUR_NS,
    SECOND_NS,
    RunColumns,
    make_columns,
)
from tickwright.backtest.quality_marks import (
    HORIZONS_S,
    Estimate,
    FillMarks,
    estimate,
    make_marks,
)
from tickwright.backtest.quality_orders import (
    EndRow,
    LatencyRow,
    OrderFates,
    OrderFigures,
    Quantiles,
    QueueRow,
    RefusalRow,
    make_ends,
    make_fates,
    make_latencies,
    make_queue,
    order_figures,
    quantiles,
)
from tickwright.backtest.record import RunRecord

__all__ = [
    "CauseRow",
    "LiquidityRow",
    "MarkoutRow",
    "Quality",
    "QualityRow",
    "make_quality",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Liquidity = Literal["all", "maker", "taker"]

_MS = 1e6


class LiquidityRow(msgspec.Struct, frozen=True, kw_only=True):
    """Fills that made or took: how many, and at which prices."""

    liquidity: str
    """`all`, `maker` or `taker`."""
    fills: int
    notional: float
    share: float | None
    """Of all notional."""
    effective_spread: Estimate
    slippage: Estimate
    """Against the trader's mid when it decided."""
    arrival_slippage: Estimate
    """Against the venue's mid when the order arrived."""
    delay: Estimate
    """What the mid moved against the order between the two."""
    slippage_money: float
    """Of the known, in the equity asset; a cost when positive."""
    impact: Estimate = Estimate(fills=0, mean_bp=None, error_bp=None)
    """What our own earlier taking added to the prices, where the run had a model of it."""
    impact_money: float = 0.0
    """The same in the equity asset: what the fills would have cost less without it."""


class MarkoutRow(msgspec.Struct, frozen=True, kw_only=True):
    """What fills were worth some time later."""

    horizon_s: int
    liquidity: str
    markout: Estimate
    money: float
    """Of the known, in the equity asset."""
    adverse: Estimate
    """Move of the mid against our side; positive is against us."""
    adverse_share: float | None
    """Of the notional, where the mid moved against us at all."""
    realised_spread_bp: float | None
    """What the spread cost in the end: -2 x markout; negative is earned."""


class CauseRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why orders filled, in the matching engine's words."""

    cause: str
    fills: int
    notional: float
    markout_bp: float | None
    """At the middle horizon."""


class QualityRow(msgspec.Struct, frozen=True, kw_only=True):
    """The execution of one symbol, strategy or hour (UTC; of the decision for orders)."""

    by: str
    """`symbol`, `strategy` or `hour`."""
    key: str
    orders: OrderFigures
    fills: int
    maker_share: float | None
    slippage_bp: float | None
    effective_spread_bp: float | None
    maker_markout_bp: tuple[float | None, ...]
    """At each of `horizons_s`."""
    taker_markout_bp: tuple[float | None, ...]
    markout_money: tuple[float, ...]
    """Of all fills, in the equity asset."""
    adverse_bp: tuple[float | None, ...]
    """Of maker fills."""
    queue_ms: Quantiles
    """Arrival to filled whole."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """The execution quality of one run."""

    horizons_s: tuple[int, ...]
    mid_step_ms: float | None
    """Between samples of the mid, at the median: how exact the moments of markouts are."""
    orders: OrderFigures
    liquidity: tuple[LiquidityRow, ...]
    markouts: tuple[MarkoutRow, ...]
    queue_first_ms: Quantiles
    """Arrival to first fill, of orders that rested."""
    queue_whole_ms: Quantiles
    """Arrival to filled whole, of orders that rested."""
    unfilled_ms: Quantiles
    """Arrival to the end, of orders that rested and ended without a fill."""
    ahead_notional: Quantiles
    """Before orders when they first rested, in the equity asset."""
    queue: tuple[QueueRow, ...]
    race_fills: int
    """Fills after the cancel was sent."""
    race_notional: float
    race_markout: Estimate
    """At the middle horizon."""
    latencies: tuple[LatencyRow, ...]
    ends: tuple[EndRow, ...]
    refusals: tuple[RefusalRow, ...]
    causes: tuple[CauseRow, ...]
    groups: tuple[QualityRow, ...]


def make_quality(record: RunRecord, columns: RunColumns | None = None) -> Quality:
    """Work out a run's execution quality; `columns` when they are there already.

    Raises:
        ValueError: a fill or order is of an instrument that the record doesn't hold.
    """
    columns = columns or make_columns(record)
    marks = make_marks(columns, record.mids, end_ns=record.ended_ns)
    fates = make_fates(columns, marks)
    orders = columns.orders
    everything = np.ones(len(orders.side), np.bool_)
    rested = orders.rested_ns > 0
    all_fills = np.ones(len(marks.row), np.bool_)
    liquidities: tuple[tuple[Liquidity, Flags], ...] = (
        ("all", all_fills),
        ("maker", marks.is_maker),
        ("taker", ~marks.is_maker),
    )
    middle = len(HORIZONS_S) // 2
    first = (fates.first_fill_ns - orders.arrived_ns) / _MS
    life = (orders.ended_ns - orders.arrived_ns) / _MS
    late = fates.is_race_fill
    return Quality(
        horizons_s=HORIZONS_S,
        mid_step_ms=_mid_step_ms(record),
        orders=order_figures(columns, fates, everything),
        liquidity=tuple(_liquidity(marks, name, wanted) for name, wanted in liquidities),
        markouts=tuple(
            _markout(marks, horizon, name, wanted)
            for horizon in range(len(HORIZONS_S))
            for name, wanted in liquidities
        ),
        queue_first_ms=quantiles(first[rested & fates.is_filled]),
        queue_whole_ms=quantiles(life[rested & orders.is_filled & (orders.ended_ns > 0)]),
        unfilled_ms=quantiles(life[rested & ~fates.is_filled & (orders.ended_ns > 0)]),
        ahead_notional=quantiles(fates.ahead[rested & np.isfinite(fates.ahead)]),
        queue=make_queue(columns, fates),
        race_fills=int(late.sum()),
        race_notional=float(marks.notional[late].sum()),
        race_markout=_estimate(marks, marks.markout[middle], late, HORIZONS_S[middle]),
        latencies=make_latencies(columns, fates, record.latencies),
        ends=make_ends(record.orders),
        refusals=_refusals(record),
        causes=_causes(columns, marks, middle),
        groups=_groups(columns, marks, fates),
    )


def _mid_step_ms(record: RunRecord) -> float | None:
    steps = [
        float(np.median(np.diff(times))) for times, _ in record.mids.values() if len(times) > 1
    ]
    return float(np.median(steps)) / _MS if steps else None


def _blocks(marks: FillMarks, seconds: int) -> Ints:
    """Name the cluster of each fill: its instrument and stretch of time; neighbours by order."""
    block = marks.time_ns // (seconds * SECOND_NS)
    width = int(block.max(initial=0)) + 1
    return marks.instrument * width + block


def _estimate(marks: FillMarks, values: Floats, wanted: Flags, seconds: int) -> Estimate:
    cluster = _blocks(marks, seconds)
    return estimate(values[wanted], marks.notional[wanted], cluster[wanted])


def _by_order(marks: FillMarks, values: Floats, wanted: Flags) -> Estimate:
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(marks.order[rows], kind="stable")]
    return estimate(values[rows], marks.notional[rows], marks.order[rows])


def _mean(marks: FillMarks, values: Floats, wanted: Flags | Ints) -> float | None:
    values, weights = values[wanted], marks.notional[wanted]
    is_known = np.isfinite(values) & (weights > 0)
    total = float(weights[is_known].sum())
    return float((values[is_known] * weights[is_known]).sum()) / total if total > 0 else None


def _liquidity(marks: FillMarks, name: Liquidity, wanted: Flags) -> LiquidityRow:
    notional = float(marks.notional[wanted].sum())
    whole = float(marks.notional.sum())
    return LiquidityRow(
        liquidity=name,
        fills=int(wanted.sum()),
        notional=notional,
        share=notional / whole if whole > 0 else None,
        effective_spread=_estimate(marks, marks.effective, wanted, HORIZONS_S[0]),
        slippage=_by_order(marks, marks.slippage, wanted),
        arrival_slippage=_by_order(marks, marks.arrival, wanted),
        delay=_by_order(marks, marks.delay, wanted),
        slippage_money=float(np.nansum(marks.slippage[wanted] * marks.notional[wanted])) / 1e4,
        impact=_by_order(marks, marks.impact, wanted),
        impact_money=float((marks.impact[wanted] * marks.notional[wanted]).sum()) / 1e4,
    )


def _markout(marks: FillMarks, horizon: int, name: Liquidity, wanted: Flags) -> MarkoutRow:
    seconds = HORIZONS_S[horizon]
    found = _estimate(marks, marks.markout[horizon], wanted, seconds)
    adverse = marks.adverse[horizon]
    known = wanted & np.isfinite(adverse)
    weight = float(marks.notional[known].sum())
    against = float(marks.notional[known & (adverse > 0)].sum())
    return MarkoutRow(
        horizon_s=seconds,
        liquidity=name,
        markout=found,
        money=float(np.nansum(marks.money[horizon][wanted])),
        adverse=_estimate(marks, adverse, wanted, seconds),
        adverse_share=against / weight if weight > 0 else None,
        realised_spread_bp=None if found.mean_bp is None else -2 * found.mean_bp,
    )


def _refusals(record: RunRecord) -> tuple[RefusalRow, ...]:
    rows = [
        RefusalRow(place="gate", strategy=strategy, reason=reason, count=count)
        for strategy, reasons in record.refusals.items()
        for reason, count in reasons.items()
    ]
    rows += [
        RefusalRow(place="venue", strategy="", reason=reason, count=count)
        for reason, count in record.venue_refusals.items()
    ]
    return tuple(sorted(rows, key=lambda row: (row.place, -row.count, row.strategy, row.reason)))


def _causes(columns: RunColumns, marks: FillMarks, horizon: int) -> tuple[CauseRow, ...]:
    cause = columns.fills.cause[marks.row]
    rows = [
        CauseRow(
            cause=name,
            fills=int((cause == code).sum()),
            notional=float(marks.notional[cause == code].sum()),
            markout_bp=_mean(marks, marks.markout[horizon], cause == code),
        )
        for code, name in enumerate(columns.fills.causes)
        if (cause == code).any()
    ]
    return tuple(sorted(rows, key=lambda row: -row.notional))


def _groups(columns: RunColumns, marks: FillMarks, fates: OrderFates) -> tuple[QualityRow, ...]:
    """Return the rows of each symbol, strategy and hour with an order or a fill."""
    orders, fills = columns.orders, columns.fills
    strategies = tuple(sorted({*orders.strategies, *fills.strategies}))
    place = {name: code for code, name in enumerate(strategies)}

    def renamed(column: Ints, names: tuple[str, ...]) -> Ints:
        return np.array([place[name] for name in names], np.int64)[column] if names else column

    hours = tuple(f"{hour:02}" for hour in range(24))
    kinds = (
        ("symbol", columns.terms.names, orders.instrument, marks.instrument),
        (
            "strategy",
            strategies,
            renamed(orders.strategy, orders.strategies),
            renamed(marks.strategy, fills.strategies),
        ),
        (
            "hour",
            hours,
            orders.intended_ns % DAY_NS // HOUR_NS,
            marks.time_ns % DAY_NS // HOUR_NS,
        ),
    )
    rows = []
    for by, keys, of_orders, of_fills in kinds:
        counted = np.bincount(of_orders, minlength=len(keys)) + np.bincount(
            of_fills, minlength=len(keys)
        )
        for code in np.flatnonzero(counted):
            row = _group(columns, marks, fates, of_orders == code, of_fills == code)
            rows.append(msgspec.structs.replace(row, by=by, key=keys[code]))
    return tuple(rows)


def _group(
    columns: RunColumns, marks: FillMarks, fates: OrderFates, orders: Flags, fills: Flags
) -> QualityRow:
    made, took = fills & marks.is_maker, fills & ~marks.is_maker
    notional = float(marks.notional[fills].sum())
    horizons = range(len(HORIZONS_S))
    held = columns.orders
    whole = orders & (held.rested_ns > 0) & held.is_filled & (held.ended_ns > 0)
    return QualityRow(
        by="",
        key="",
        orders=order_figures(columns, fates, orders),
        fills=int(fills.sum()),
        maker_share=float(marks.notional[made].sum()) / notional if notional > 0 else None,
        slippage_bp=_mean(marks, marks.slippage, fills),
        effective_spread_bp=_mean(marks, marks.effective, fills),
        maker_markout_bp=tuple(_mean(marks, marks.markout[at], made) for at in horizons),
        taker_markout_bp=tuple(_mean(marks, marks.markout[at], took) for at in horizons),
        markout_money=tuple(float(np.nansum(marks.money[at][fills])) for at in horizons),
        adverse_bp=tuple(_mean(marks, marks.adverse[at], made) for at in horizons),
        queue_ms=quantiles(((held.ended_ns - held.arrived_ns) / _MS)[whole]),
    )
