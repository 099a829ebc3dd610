"""Owns the rows that the history holds; trades, of which there are most, travel packed.

Refuses to know a database's numbers: rows name their instrument, the writer turns it into an id.
Prices and sizes are whole units of their instrument, money is in units of 10^-18, times are UTC
nanoseconds.
"""

import struct

import msgspec

from tickwright.core.instrument import Instrument

__all__ = [
    "TRADE",
    "TRADE_ID_BYTES_MAX",
    "BookRow",
    "CandleRow",
    "EquityRow",
    "ExecutionRow",
    "FundingRow",
    "HistoryRow",
    "InstrumentRef",
    "OrderRow",
    "PositionRow",
    "RiskEventRow",
    "SignalRow",
    "source_name",
]

TRADE_ID_BYTES_MAX = 40
"""A longer name of a trade is cut in the history."""
TRADE = struct.Struct(f"<qiqqqqhq?{TRADE_ID_BYTES_MAX}s")
"""A trade: offset, number of the instrument, at_ns, received_ns, price_units, size_units, side of
the aggressor (1 or -1), sequence, is_block, trade_id."""


def source_name(started_ns: int, epoch: int) -> str:
    """Return what a run is called among the sources, while it lives and when it is loaded."""
    return f"session:{started_ns}:{epoch}"


class InstrumentRef(msgspec.Struct, frozen=True, gc=False, cache_hash=True, array_like=True):
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


class BookRow(msgspec.Struct, frozen=True, gc=False, tag="book", array_like=True):
    """A synced book at a sampling moment: becomes a row of `tops`, and one of `levels` a level.

    `bids` and `asks` are price and size units, best first; `levels` of each side are kept as such.
    """

    instrument: InstrumentRef
    at_ns: int
    update_id: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    levels: int


class CandleRow(msgspec.Struct, frozen=True, gc=False, tag="candle", array_like=True):
    """A final candle of the venue; `at_ns` is its start."""

    instrument: InstrumentRef
    interval_s: int
    at_ns: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int
    volume_units: int


class FundingRow(msgspec.Struct, frozen=True, gc=False, tag="funding", array_like=True):
    """The rate last announced for one funding, parts per 10^9; longs pay a positive one."""

    instrument: InstrumentRef
    funding_ns: int
    rate_e9: int
    at_ns: int


class SignalRow(msgspec.Struct, frozen=True, gc=False, tag="signal", array_like=True):
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


class OrderRow(msgspec.Struct, frozen=True, gc=False, tag="order", array_like=True):
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


class ExecutionRow(msgspec.Struct, frozen=True, gc=False, tag="execution", array_like=True):
    """One row of the venue's executions.

    `fee` and `cash` are whole units of 10^-18 as text: the money of a day doesn't fit 64 bits.
    """

    account: str
    execution_id: str
    instrument: InstrumentRef
    at_ns: int
    kind: str
    side: int
    price_units: int
    size_units: int
    fee: str
    fee_asset: str
    cash: str
    is_maker: bool
    client_id: str | None
    venue_id: str | None


class PositionRow(msgspec.Struct, frozen=True, gc=False, tag="position", array_like=True):
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


class EquityRow(msgspec.Struct, frozen=True, gc=False, tag="equity", array_like=True):
    """An account's money at a sampling moment, in the equity asset, as exact text."""

    at_ns: int
    account: str
    equity: str | None
    exposure: str | None
    day_loss: str | None


class RiskEventRow(msgspec.Struct, frozen=True, gc=False, tag="risk", array_like=True):
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
    BookRow
    | CandleRow
    | FundingRow
    | SignalRow
    | OrderRow
    | ExecutionRow
    | PositionRow
    | EquityRow
    | RiskEventRow
)
