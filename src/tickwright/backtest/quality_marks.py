"""Owns what the market did around our fills: markouts, spreads, slippage; refuses orders' fates.

Everything is in basis points of the fill's price, and counted for our side:

- markout(h) = side x (mid(h after it) - price): positive is a fill that turned out well;
- effective spread = 2 x side x (price - mid just before it): positive is paid, negative earned;
- adverse(h) = -side x (mid(h after it) - mid just before it): positive is against us;
- realised spread(h) = 2 x side x (price - mid(h after it)) = -2 x markout(h).

So markout = -effective / 2 - adverse, of every fill with both mids. Slippage = side x (price - a
mid) is a cost when positive; the mid is the trader's when it decided, or the venue's when the order
arrived; what lies between them is the delay. Own impact = side x (price - what it would have been
without the model of our impact), where a run had one; it is within the others, and never below 0.
Means are weighted by notional.

A mid after a fill is the last sample at or before that time; it must be later than the fill and not
older than a second or two usual steps between samples, else it is unknown, as is one after the
run's end. Fills of one moment share the market's next move, so
standard errors are of clusters: the fills of one instrument within one horizon (markouts), or of
one order (slippage); fewer than two clusters have none.

Sources: Huang and Stoll, "Dealer versus auction markets" (Journal of Financial Economics, 1996) and
the rule 605 of the U.S. Securities and Exchange Commission for the spreads; Perold, "The
implementation shortfall" (Journal of Portfolio Management, 1988) for slippage; Cameron and Miller,
"A practitioner's guide to cluster-robust inference" (Journal of Human Resources, 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import SECOND_NS, RunColumns

__all__ = [
    "HORIZONS_S",
    "MID_AGE_NS_MAX",
    "Estimate",
    "FillMarks",
    "estimate",
    "make_marks",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

HORIZONS_S = (1, 5, 30)
MID_AGE_NS_MAX = SECOND_NS
"""An older sample says nothing of a mid, unless samples are that far apart."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over fills, weighted by notional, in basis points; None is unknown."""

    fills: int
    """Those whose value is known."""
    mean_bp: float | None
    error_bp: float | None
    """Standard error of the mean, of clusters."""


@dataclass(frozen=True, slots=True)
class FillMarks:
    """Our fills by instrument, then time, with the market around them; NaN is unknown.

    The columns of horizons have the shape (horizons, fills).
    """

    row: Ints
    """Index in the fill columns."""
    instrument: Ints
    strategy: Ints
    order: Ints
    time_ns: Ints
    is_maker: Flags
    notional: Floats
    effective: Floats
    markout: Floats
    money: Floats
    """Of the markout, in the equity asset."""
    adverse: Floats
    slippage: Floats
    """Against the trader's mid when it decided."""
    arrival: Floats
    """Against the venue's mid when the order arrived."""
    delay: Floats
    """What the mid moved against the order between the two."""
    impact: Floats
    """What our own earlier taking added to the price; a fill that made has none."""


def make_marks(
    columns: RunColumns, mids: Mapping[str, tuple[Ints, Ints]], *, end_ns: int
) -> FillMarks:
    """Look up the mids around every fill of an order; `mids` by instrument, twice the price."""
    fills, orders = columns.fills, columns.orders
    rows = np.flatnonzero(fills.is_trade & (fills.size > 0))
    rows = rows[np.argsort(fills.instrument[rows], kind="stable")]
    instrument, time_ns = fills.instrument[rows], fills.time_ns[rows]
    side, price = fills.side[rows], fills.price[rows].astype(np.float64)
    size, before = fills.size[rows], fills.mid[rows]
    tape = {
        code: mids[name]
        for code, name in enumerate(columns.terms.names)
        if name in mids and len(mids[name][0])
    }
    bp = side * 1e4 / price
    after = np.stack(
        [
            _mids_at(tape, instrument, time_ns + seconds * SECOND_NS, time_ns, end_ns=end_ns)
            for seconds in HORIZONS_S
        ]
    )
    money = np.stack(
        [columns.terms.result(instrument, side * size, price, later) for later in after]
    )
    order = fills.order[rows]
    has_order = order >= 0
    if len(orders.side):
        at = np.maximum(order, 0)
        decided = np.where(has_order, orders.mid[at], np.nan)
        arrived_ns = np.where(has_order, orders.arrived_ns[at], 0)
    else:
        decided, arrived_ns = np.full(len(rows), np.nan), np.zeros(len(rows), np.int64)
    arrival = _mids_at(tape, instrument, arrived_ns, arrived_ns - MID_AGE_NS_MAX, end_ns=end_ns)
    return FillMarks(
        row=rows,
        instrument=instrument,
        strategy=fills.strategy[rows],
        order=order,
        time_ns=time_ns,
        is_maker=fills.is_maker[rows],
        notional=np.nan_to_num(fills.notional[rows]),
        effective=2 * bp * (price - before),
        markout=bp * (after - price),
        money=money,
        adverse=-bp * (after - before),
        slippage=bp * (price - decided),
        arrival=bp * (price - arrival),
        delay=bp * (arrival - decided),
        impact=np.abs(bp) * fills.impact[rows],
    )


def _mids_at(
    tape: Mapping[int, tuple[Ints, Ints]],
    instrument: Ints,
    time_ns: Ints,
    not_before_ns: Ints,
    *,
    end_ns: int,
) -> Floats:
    """Return the mids at some times in price units; NaN where there is no such sample."""
    found = np.full(len(time_ns), np.nan)
    for code, (times, twice) in tape.items():
        of = np.flatnonzero(instrument == code)
        if not len(of):
            continue
        at = np.searchsorted(times, time_ns[of], side="right") - 1
        place = np.maximum(at, 0)
        step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        oldest = time_ns[of] - int(max(MID_AGE_NS_MAX, 2 * step))
        is_known = (at >= 0) & (times[place] >= np.maximum(not_before_ns[of], oldest))
        is_known &= (time_ns[of] <= end_ns) & (twice[place] > 0)
        found[of] = np.where(is_known, twice[place] / 2, np.nan)
    return found


def estimate(values: Floats, weights: Floats, cluster: Ints) -> Estimate:
    """Return the weighted mean of the known values; rows of one cluster must lie together.

    The error is sqrt(C / (C - 1) x sum over clusters of (sum of w (x - mean))^2) / sum of w.
    """
    is_known = np.isfinite(values) & (weights > 0)
    values, weights, cluster = values[is_known], weights[is_known], cluster[is_known]
    if not len(values):
        return Estimate(fills=0, mean_bp=None, error_bp=None)
    total = float(weights.sum())
    mean = float((weights * values).sum()) / total
    starts = np.flatnonzero(np.diff(cluster, prepend=cluster[0] - 1))
    error = None
    if len(starts) > 1:
        apart = np.add.reduceat(weights * (values - mean), starts)
        factor = len(starts) / (len(starts) - 1)
        error = float(np.sqrt(factor * (apart**2).sum())) / total
    return Estimate(fills=len(values), mean_bp=mean, error_bp=error)
