"""Owns what became of our orders: filled, queued, cancelled, refused, late; refuses prices.

An order counts from its arrival at the venue: one that never got there (refused by the gate or
lost) has no fill ratio. Times between two venue times are exact; those between a local and a venue
time have the clocks of both in them, which in a backtest are one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import RunColumns
from tickwright.backtest.quality_marks import FillMarks
from tickwright.backtest.record import OrderRecord
from tickwright.matching.levels import UNSEEN_UNITS

__all__ = [
    "BINS",
    "ENDS_MAX",
    "EndRow",
    "LatencyRow",
    "OrderFates",
    "OrderFigures",
    "Quantiles",
    "QueueRow",
    "RefusalRow",
    "make_ends",
    "make_fates",
    "make_latencies",
    "make_queue",
    "order_figures",
    "quantiles",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ENDS_MAX = 50
"""Kinds of ends and refusals told apart; the rarest beyond it are joined."""
BINS = 40
_MS = 1e6
_OTHERS = "(others)"


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of one sample; None without one."""

    count: int
    p10: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class OrderFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and shares of some orders."""

    orders: int
    """Intended."""
    arrived: int
    rested: int
    filled_any: int
    """Of the arrived, those with a fill."""
    filled_whole: int
    fill_ratio_orders: float | None
    """With a fill / arrived."""
    fill_ratio_size: float | None
    """Filled size / ordered size of the arrived, at their prices."""
    cancels: int
    """Orders that a cancel was sent for."""
    cancel_to_fill: float | None
    """Cancels / orders with a fill."""
    races: int
    """Orders filled after their cancel was sent."""
    race_share: float | None
    """Races / cancels."""


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """Orders that rested behind about the same size: a quarter of them a row."""

    ahead_from: float
    """Notional before them when they first rested, in the equity asset."""
    ahead_to: float
    orders: int
    fill_ratio_orders: float
    first_fill_ms_p50: float | None
    """Rested to first fill, of those filled."""


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of delay, with a histogram whose bins grow by equal factors."""

    kind: str
    ms: Quantiles
    bins_ms: tuple[float, ...]
    """Bounds, one more than counts; empty without a sample above zero."""
    counts: tuple[int, ...]


class EndRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often orders ended so."""

    state: str
    reason: str
    orders: int


class RefusalRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was refused, by the risk gate or by the venue."""

    place: str
    """`gate` or `venue`."""
    strategy: str
    """Empty for the venue."""
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class OrderFates:
    """What fills say of each order; in the order of the order columns, NaN where none."""

    first_fill_ns: Ints
    """0 without a fill."""
    is_filled: Flags
    """With any fill."""
    is_race: Flags
    """With a fill at or after the first cancel was sent."""
    is_race_fill: Flags
    """By row of the marks."""
    notional: Floats
    """Ordered."""
    filled: Floats
    ahead: Floats
    """Notional before it when it first rested."""


def make_fates(columns: RunColumns, marks: FillMarks) -> OrderFates:
    """Join the fills to their orders."""
    orders, terms = columns.orders, columns.terms
    count = len(orders.side)
    of = marks.order >= 0
    order, time_ns = marks.order[of], marks.time_ns[of]
    latest = np.iinfo(np.int64).max
    first = np.full(count, latest, np.int64)
    np.minimum.at(first, order, time_ns)
    is_filled = first < latest
    late = np.zeros(len(marks.order), np.bool_)
    is_race = np.zeros(count, np.bool_)
    if count:
        sent = orders.cancel_sent_ns[np.maximum(marks.order, 0)]
        late = of & (sent > 0) & (marks.time_ns >= sent)
        is_race[marks.order[late]] = True
    price = orders.price
    return OrderFates(
        first_fill_ns=np.where(is_filled, first, 0),
        is_filled=is_filled,
        is_race=is_race,
        is_race_fill=late,
        notional=terms.notional(orders.instrument, orders.size, price),
        filled=terms.notional(orders.instrument, np.minimum(orders.filled, orders.size), price),
        # Deeper than the feed shows nobody knows what was before it.
        ahead=np.where(
            orders.ahead >= UNSEEN_UNITS,
            np.nan,
            terms.notional(orders.instrument, orders.ahead, price),
        ),
    )


def order_figures(columns: RunColumns, fates: OrderFates, wanted: Flags) -> OrderFigures:
    """Count some of the orders."""
    orders = columns.orders
    arrived = wanted & (orders.arrived_ns > 0)
    filled = arrived & fates.is_filled
    priced = arrived & np.isfinite(fates.notional)
    ordered = float(fates.notional[priced].sum())
    cancels = int((wanted & (orders.cancel_sent_ns > 0)).sum())
    races = int((wanted & fates.is_race).sum())
    return OrderFigures(
        orders=int(wanted.sum()),
        arrived=int(arrived.sum()),
        rested=int((wanted & (orders.rested_ns > 0)).sum()),
        filled_any=int(filled.sum()),
        filled_whole=int((arrived & orders.is_filled).sum()),
        fill_ratio_orders=float(filled.sum() / arrived.sum()) if arrived.any() else None,
        fill_ratio_size=float(fates.filled[priced].sum()) / ordered if ordered > 0 else None,
        cancels=cancels,
        cancel_to_fill=cancels / int(filled.sum()) if filled.any() else None,
        races=races,
        race_share=races / cancels if cancels else None,
    )


def make_queue(columns: RunColumns, fates: OrderFates) -> tuple[QueueRow, ...]:
    """Say how the size ahead decided over fills, by quarters of the orders that rested."""
    orders = columns.orders
    rested = np.flatnonzero((orders.rested_ns > 0) & np.isfinite(fates.ahead))
    rested = rested[np.argsort(fates.ahead[rested], kind="stable")]
    waited = (fates.first_fill_ns - orders.rested_ns) / _MS
    rows = []
    for part in np.array_split(rested, 4):
        if not len(part):
            continue
        hit = part[fates.is_filled[part]]
        rows.append(
            QueueRow(
                ahead_from=float(fates.ahead[part[0]]),
                ahead_to=float(fates.ahead[part[-1]]),
                orders=len(part),
                fill_ratio_orders=len(hit) / len(part),
                first_fill_ms_p50=float(np.median(waited[hit])) if len(hit) else None,
            )
        )
    return tuple(rows)


def quantiles(values: Floats | Ints) -> Quantiles:
    """Return the percentiles of a sample, linear between its values."""
    if not len(values):
        return Quantiles(count=0, p10=None, p50=None, p90=None, p99=None, max=None)
    found = np.percentile(values, [10, 50, 90, 99, 100]).tolist()
    return Quantiles(
        count=len(values), p10=found[0], p50=found[1], p90=found[2], p99=found[3], max=found[4]
    )


def make_latencies(
    columns: RunColumns, fates: OrderFates, drawn: Mapping[str, Ints]
) -> tuple[LatencyRow, ...]:
    """Tell the delays that the model drew, then those that the orders lived through."""
    orders, fills = columns.orders, columns.fills
    arrived, ended = orders.arrived_ns > 0, (orders.ended_ns > 0) & (orders.known_ns > 0)
    cancelled = (orders.cancel_sent_ns > 0) & (orders.ended_ns >= orders.cancel_sent_ns)
    known = fills.is_trade & (fills.known_ns > 0)
    kinds: dict[str, Ints] = {f"drawn: {kind}": values for kind, values in sorted(drawn.items())}
    kinds |= {
        "decision to arrival": (orders.arrived_ns - orders.intended_ns)[arrived],
        "fill to known": (fills.known_ns - fills.time_ns)[known],
        "end to known": (orders.known_ns - orders.ended_ns)[ended],
        "cancel sent to end": (orders.ended_ns - orders.cancel_sent_ns)[cancelled],
    }
    return tuple(_latency(kind, values) for kind, values in kinds.items() if len(values))


def _latency(kind: str, values: Ints) -> LatencyRow:
    ms = values / _MS
    positive = ms[ms > 0]
    bins: Floats = np.empty(0)
    counts: Ints = np.empty(0, np.int64)
    if len(positive):
        low, high = float(positive.min()), float(positive.max())
        bins = np.geomspace(low, high if high > low else low * 1.01, BINS + 1)
        # The ends of a geometric row may miss its bounds by rounding.
        bins[0], bins[-1] = low, max(high, bins[-1])
        counts = np.histogram(positive, bins)[0].astype(np.int64)
    return LatencyRow(
        kind=kind, ms=quantiles(ms), bins_ms=tuple(bins.tolist()), counts=tuple(counts.tolist())
    )


def make_ends(orders: Sequence[OrderRecord]) -> tuple[EndRow, ...]:
    """Count how orders ended, the most frequent first."""
    found: Counter[tuple[str, str]] = Counter(map(attrgetter("state", "reason"), orders))
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    rows = [EndRow(state=key[0], reason=key[1], orders=count) for key, count in ranked]
    if len(rows) <= ENDS_MAX:
        return tuple(rows)
    joined = sum(row.orders for row in rows[ENDS_MAX:])
    return (*rows[:ENDS_MAX], EndRow(state=_OTHERS, reason="", orders=joined))
