"""Owns the rows that the history holds, and the batch in which they travel.

Refuses to know a database's numbers: rows name their instrument, the writer turns it into an id.
Prices and sizes are whole units of their instrument, money is in units of 10^-18, times are UTC
nanoseconds. Rows come from a source in the order of its offsets (`HistoryRows`).
"""

from collections.abc import Iterable

import msgspec

from tickwright.core.instrument import Instrument

__all__ = [
    "CandleRow",
    "EquityRow",
    "ExecutionRow",
    "FundingRow",
    "HistoryRow",
    "HistoryRows",
    "InstrumentRef",
    "LevelRow",
    "OrderRow",
    "PositionRow",
    "RiskEventRow",
    "SignalRow",
    "TopRow",
    "TradeRow",
]


class InstrumentRef(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What makes a row's units readable; other decimals make another instrument of the history."""

    venue: str
    category: str
    symbol: str
    price_decimals: int
    size_decimals: int

    @classmethod
    def of(cls, instrument: Instrument) -> "InstrumentRef":
        """Return the reference to an instrument in its present units."""
        one = instrument.id
        return cls(
            one.venue,
            one.category.value,
            one.symbol,
            instrument.price_decimals,
            instrument.size_decimals,
        )


class TradeRow(msgspec.Struct, frozen=True, gc=False, tag="trade"):
    """A public match; `side` is the aggressor's, 1 or -1."""

    instrument: InstrumentRef
    at_ns: int
    received_ns: int
    price_units: int
    size_units: int
    side: int
    sequence: int
    is_block: bool
    trade_id: str


class TopRow(msgspec.Struct, frozen=True, gc=False, tag="top"):
    """The best levels of a synced book at a sampling moment; a side without levels has size 0."""

    instrument: InstrumentRef
    at_ns: int
    bid_units: int
    bid_size_units: int
    ask_units: int
    ask_size_units: int
    update_id: int


class LevelRow(msgspec.Struct, frozen=True, gc=False, tag="level"):
    """One level of a synced book at a sampling moment; `level` 1 is the best of its side."""

    instrument: InstrumentRef
    at_ns: int
    side: int
    level: int
    price_units: int
    size_units: int


class CandleRow(msgspec.Struct, frozen=True, gc=False, tag="candle"):
    """A final candle of the venue; `at_ns` is its start."""

    instrument: InstrumentRef
    interval_s: int
    at_ns: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int
    volume_units: int


class FundingRow(msgspec.Struct, frozen=True, gc=False, tag="funding"):
    """The rate last announced for one funding, parts per 10^9; longs pay a positive one."""

    instrument: InstrumentRef
    funding_ns: int
    rate_e9: int
    at_ns: int


class SignalRow(msgspec.Struct, frozen=True, gc=False, tag="signal"):
    """A signal and what the risk gate said of it."""

    at_ns: int
    event_id: int
    strategy_id: str
    instrument: InstrumentRef
    kind: str
    confidence: float
    reason: str
    verdict: str
    words: str
    client_id: str | None


class OrderRow(msgspec.Struct, frozen=True, gc=False, tag="order"):
    """An order as far as evidence says; the newest row of its id stands.

    `order_id` is our client id, or the venue's id for an order that isn't ours.
    """

    account: str
    order_id: str
    instrument: InstrumentRef
    strategy_id: str | None
    side: int
    order_type: str
    price_units: int | None
    size_units: int
    filled_units: int
    state: str
    reason: str
    created_ns: int
    at_ns: int
    venue_id: str | None


class ExecutionRow(msgspec.Struct, frozen=True, gc=False, tag="execution"):
    """One row of the venue's executions; `fee` and `cash` in units of 10^-18."""

    account: str
    execution_id: str
    instrument: InstrumentRef
    at_ns: int
    kind: str
    side: int
    price_units: int
    size_units: int
    fee: int
    fee_asset: str
    cash: int
    is_maker: bool
    client_id: str | None
    venue_id: str | None


class PositionRow(msgspec.Struct, frozen=True, gc=False, tag="position"):
    """One strategy's share of a position at a sampling moment, as exact text."""

    at_ns: int
    account: str
    strategy_id: str | None
    instrument_name: str
    size: str
    entry_price: str | None
    realised: str
    unrealised: str | None
    funding: str


class EquityRow(msgspec.Struct, frozen=True, gc=False, tag="equity"):
    """An account's money at a sampling moment, in the equity asset, as exact text."""

    at_ns: int
    account: str
    equity: str | None
    exposure: str | None
    day_loss: str | None


class RiskEventRow(msgspec.Struct, frozen=True, gc=False, tag="risk"):
    """A halt, or a protection entered or lifted."""

    at_ns: int
    event_id: int
    kind: str
    scope: str
    stage: str
    reason: str
    until_ns: int | None
    lifted_by: str


HistoryRow = (
    TradeRow
    | TopRow
    | LevelRow
    | CandleRow
    | FundingRow
    | SignalRow
    | OrderRow
    | ExecutionRow
    | PositionRow
    | EquityRow
    | RiskEventRow
)
HistoryRows = Iterable[tuple[int, HistoryRow]]
"""What a source gives: rows with their offsets, which never fall."""
