"""Owns a run's results by day, strategy, symbol and hour; refuses the run's totals.

Days and hours are UTC. A round trip counts where it closed, a fee and a payment when it was paid.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.backtest.metrics_columns import DAY_NS, HOUR_NS, RunColumns, totals
from tickwright.backtest.metrics_curve import EquityCurve
from tickwright.backtest.metrics_trips import TripColumns

__all__ = ["DAYS_MAX", "DayRow", "Split", "SplitRow", "day_name", "make_days", "make_splits"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Split = Literal["strategy", "symbol", "hour"]
DAYS_MAX = 20_000
"""Days a record may span, about 55 years: a damaged time must not ask for a table of millions."""


class DayRow(msgspec.Struct, frozen=True, kw_only=True):
    """One day, UTC; money of the equity asset."""

    day: str
    """ISO 8601."""
    equity: float
    """At its end."""
    net: float
    """Change of equity in it: open positions at their marks included."""
    day_return: float | None
    """net / equity before it."""
    drawdown: float | None
    """Greatest depth below the run's highest equity, in it."""
    trips: int
    wins: int
    fills: int
    turnover: float
    fees: float
    funding: float


class SplitRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy, symbol or hour of the day made of what it closed."""

    key: str
    trips: int
    wins: int
    win_rate: float | None
    fills: int
    maker_share: float | None
    """Of its turnover."""
    turnover: float
    gross: float
    """Of closed lots, before fees."""
    fees: float
    funding: float
    net: float
    """gross - fees + funding: without what is still open."""


def day_name(day: int) -> str:
    """Write a day since 1970 as ISO 8601."""
    return datetime.fromtimestamp(day * DAY_NS / 1e9, UTC).date().isoformat()


def make_days(curve: EquityCurve, columns: RunColumns, trips: TripColumns) -> tuple[DayRow, ...]:
    """Return a row for each day of the run, also for those without a fill.

    Raises:
        ValueError: the record spans more than `DAYS_MAX`.
    """
    fills = columns.fills
    start = int(curve.time_ns[0]) // DAY_NS
    # A run that ends at midnight has nothing of the next day.
    end = max((max(curve.end_ns, int(curve.time_ns[-1])) - 1) // DAY_NS, start)
    count = end - start + 1
    if count > DAYS_MAX:
        raise ValueError(f"the record spans {count} days; at most {DAYS_MAX} are told")
    closes = np.searchsorted(
        curve.time_ns, (np.arange(start, end + 1, dtype=np.int64) + 1) * DAY_NS, side="left"
    )
    closes[-1] = len(curve.time_ns)
    equity = curve.equity[closes - 1]
    before = np.concatenate([curve.equity[:1], equity[:-1]])
    depth = curve.drawdown
    opens = np.concatenate([[0], closes[:-1]])
    filled = _within(fills.time_ns // DAY_NS - start, count)
    closed = _within(trips.closed_ns // DAY_NS - start, count)

    trip_count = np.bincount(closed, minlength=count)
    wins = totals(closed, trips.net > 0, count)
    fill_count = totals(filled, fills.size > 0, count)
    turnover = totals(filled, fills.notional, count)
    fees = totals(filled, fills.fee, count)
    funding = totals(filled, fills.funding, count)
    return tuple(
        DayRow(
            day=day_name(start + index),
            equity=float(equity[index]),
            net=float(equity[index] - before[index]),
            day_return=float(equity[index] / before[index] - 1) if before[index] > 0 else None,
            drawdown=_deepest(depth[opens[index] : closes[index]]),
            trips=int(trip_count[index]),
            wins=int(wins[index]),
            fills=int(fill_count[index]),
            turnover=float(turnover[index]),
            fees=float(fees[index]),
            funding=float(funding[index]),
        )
        for index in range(count)
    )


def _within(days: Ints, count: int) -> Ints:
    """Count what a clock put just outside of the run to its first or last day."""
    return np.clip(days, 0, count - 1)


def _deepest(depth: Floats) -> float | None:
    found = depth[np.isfinite(depth)]
    return float(found.max()) if len(found) else None


def make_splits(split: Split, columns: RunColumns, trips: TripColumns) -> tuple[SplitRow, ...]:
    """Return a row for each key that did something, in the order of the keys."""
    fills = columns.fills
    if split == "strategy":
        keys, of_fills, of_trips = fills.strategies, fills.strategy, trips.strategy
    elif split == "symbol":
        keys, of_fills, of_trips = columns.terms.names, fills.instrument, trips.instrument
    else:
        keys = tuple(f"{hour:02}" for hour in range(24))
        of_fills, of_trips = (time % DAY_NS // HOUR_NS for time in (fills.time_ns, trips.closed_ns))
    count = len(keys)

    trip_count = np.bincount(of_trips, minlength=count)
    wins = totals(of_trips, trips.net > 0, count)
    gross = totals(of_trips, trips.gross, count)
    rows = np.bincount(of_fills, minlength=count)
    fill_count = totals(of_fills, fills.size > 0, count)
    turnover = totals(of_fills, fills.notional, count)
    made = totals(of_fills, np.where(fills.is_maker, fills.notional, 0), count)
    fees = totals(of_fills, fills.fee, count)
    funding = totals(of_fills, fills.funding, count)
    found = [
        SplitRow(
            key=keys[index],
            trips=int(trip_count[index]),
            wins=int(wins[index]),
            win_rate=float(wins[index] / trip_count[index]) if trip_count[index] else None,
            fills=int(fill_count[index]),
            maker_share=float(made[index] / turnover[index]) if turnover[index] > 0 else None,
            turnover=float(turnover[index]),
            gross=float(gross[index]),
            fees=float(fees[index]),
            funding=float(funding[index]),
            net=float(gross[index] - fees[index] + funding[index]),
        )
        for index in range(count)
        if rows[index]
    ]
    return tuple(sorted(found, key=lambda row: row.key))
