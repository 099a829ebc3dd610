"""Owns what a backtest leaves behind: orders, fills, curves and counts; refuses to judge them.

Times are UTC nanoseconds, prices and sizes the instrument's units, money the ledger's units
(`core.units.MONEY_DECIMALS`) of the equity asset unless an asset is named; columns of money are in
units of 10^-`CURVE_DECIMALS`, because int64 would end at 9.2 of the ledger's. A mid is told twice
(`mid_twice_units`), so that it stays whole. "Venue" times are when the exchange did it, "local"
ones when the trader knew.
"""

from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.core.instrument import Instrument

__all__ = ["CURVE_DECIMALS", "BookTime", "Curve", "FillRecord", "OrderRecord", "RunRecord"]

Ints = npt.NDArray[np.int64]

CURVE_DECIMALS = 8
"""Decimals of money in a `Curve`: exact to 1e-8, up to 92 billion of the equity asset."""


class OrderRecord(msgspec.Struct, kw_only=True, gc=False):
    """One order from the strategy's wish to its end. A time of 0: that never happened."""

    client_id: str
    strategy_id: str
    instrument_id: str
    side: int
    """+1 buys, -1 sells."""
    order_type: str
    time_in_force: str
    is_post_only: bool
    is_reduce_only: bool
    price_units: int | None
    size_units: int
    event_id: int
    """The input that caused it."""
    intended_ns: int
    """Local time of the decision."""
    intended_mid_twice: int | None
    """The local book's mid then; None when a side was empty."""
    arrived_ns: int = 0
    """Venue time at which it reached the venue."""
    rested_ns: int = 0
    """Venue time at which it first rested in the book."""
    ahead_units: int = 0
    """External size before it when it first rested; `UNSEEN_UNITS` where that can't be seen."""
    cancel_sent_ns: int = 0
    """Local time of the first cancel of it."""
    ended_ns: int = 0
    """Venue time of its end."""
    known_ns: int = 0
    """Local time at which its end was known."""
    state: str = "intended"
    """An `OrderState` value."""
    filled_units: int = 0
    amends: int = 0
    moves: list[tuple[int, int]] | None = None
    """Its limits after the first one, each with the venue time from which on it had it."""
    reason: str = ""
    """Why it ended as it did: the venue's word, with its code when it was refused."""


class FillRecord(msgspec.Struct, kw_only=True, gc=False):
    """One ledger entry: a fill, a funding payment, a liquidation."""

    execution_id: str
    client_id: str
    """Empty for funding and what the venue did by itself."""
    strategy_id: str
    instrument_id: str
    kind: str
    """An `ExecutionKind` value; only those that move a position have a size."""
    side: int
    price_units: int
    size_units: int
    fee: int
    """Positive when paid, in money units of `fee_asset`."""
    fee_asset: str
    cash: int
    """Money a row without a price moved; positive when received."""
    is_maker: bool
    venue_ns: int
    known_ns: int
    mid_twice: int | None
    """The venue's mid (without our orders) just before it."""
    cause: str = ""
    """Why it filled: the matching engine's word (traded through, hit by a trade, taker ...)."""
    leg: str = "net"
    """A `Leg` value: which position of a hedged account it moved."""
    impact_units: int = 0
    """How much worse its price was for what we had taken before, in price units."""


@dataclass(slots=True)
class Curve:
    """Samples over time; all columns have the same length, times rise.

    Money is in units of 10^-`CURVE_DECIMALS` of the equity asset.
    """

    time_ns: Ints
    equity: Ints
    """Cash and positions at the mark."""
    cash: Ints
    fees: Ints
    """Paid so far."""
    funding: Ints
    """Received so far."""
    exposure: Ints
    """Sum of the absolute notionals of the positions."""


@dataclass(slots=True)
class BookTime:
    """What a tape's book was worth, over the run's time."""

    messages: int = 0
    level_rows: int = 0
    trades: int = 0
    synced_ns: int = 0
    stale_ns: int = 0
    gaps: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """How often it went stale, by reason."""


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """One backtest. `mids` and `positions` are columns (time_ns, value) per instrument.

    `mids` holds the venue's `mid_twice` at each sample, for markouts, 0 while it had none;
    `positions` the signed size after each change.
    """

    name: str
    mode: str = "backtest"
    impact: str = "none"
    """The model of our own impact on prices, in words; `none` without one."""
    started_ns: int
    ended_ns: int
    seed: int
    parameters: dict[str, dict[str, object]]
    """By strategy."""
    plan_digest: str
    digest: str
    """Of every decision: the same tape, plan and seed give the same."""
    instruments: dict[str, Instrument]
    equity_asset: str
    starting_equity: int
    orders: list[OrderRecord]
    fills: list[FillRecord]
    curve: Curve
    mids: dict[str, tuple[Ints, Ints]]
    positions: dict[str, tuple[Ints, Ints]]
    refusals: dict[str, dict[str, int]]
    """By strategy, then reason: what the risk gate refused."""
    venue_refusals: dict[str, int]
    """By the venue's code and text."""
    halted: dict[str, str]
    """Strategies that were halted, with place and reason."""
    books: dict[str, BookTime]
    limits_hit: dict[str, int]
    latencies: dict[str, Ints]
    """Nanoseconds drawn, by kind: "feed", "order", "response"."""
    wall_s: float
    level_rows: int
    messages: int
    wake_ups: int
    """Inputs that the engine took: what could wake a strategy."""
