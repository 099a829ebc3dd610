"""Owns the typed decoding of Bybit's book and trade frames; refuses every frame that is not exact.

It is the definition of correctness: whatever the compiled scanner accepts, this decoder accepts
with the same result. It takes any key order, white space and unknown keys; the scanner only the
canonical grammar.
"""

import re
from collections.abc import Callable

import msgspec

from tickwright.core.errors import FrameError, InstrumentUnknown, UnitsError
from tickwright.core.events import Trade
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.core.units import INT64_MAX, units_from_text
from tickwright.venues.bybit.wire import (
    LEVELS_MAX,
    TRADES_MAX,
    InstrumentMismatch,
    InstrumentUnlisted,
    OrderBookMessage,
    TradeMessage,
    read_strict,
    shortened,
)

__all__ = [
    "DEPTHS",
    "MILLISECONDS_MAX",
    "BookFrame",
    "InstrumentFor",
    "InstrumentMismatch",
    "decode_orderbook",
    "decode_trades",
    "instrument_of",
    "side_of",
    "split_topic",
    "units_of",
    "venue_ns_of",
]

InstrumentFor = Callable[[str], Instrument]
"""Looks a symbol of the socket's category up; raises InstrumentUnknown when we don't hold it."""

DEPTHS = (1, 25, 50, 100, 200, 500, 1000)
"""Depths that Bybit sends or sent (500 ended in 2025; archives hold it)."""
MILLISECONDS_MAX = INT64_MAX // 1_000_000
"""Largest venue time that fits int64 nanoseconds."""

_NUMBER_LENGTH_MAX = 40
_DECIMAL_TEXT = re.compile(r"[0-9]+\.[0-9]+")
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


class BookFrame(msgspec.Struct, frozen=True):
    """One order book message in units: `depth` levels a side, best first in a snapshot.

    `bids` and `asks` hold (price_units, size_units); size 0 removes a level. `ts_ms` is when the
    venue sent, `cts_ms` the matching time (0: not given). `update_id` counts per topic, `sequence`
    per matching engine.
    """

    depth: int
    symbol: str
    is_snapshot: bool
    ts_ms: int
    cts_ms: int
    update_id: int
    sequence: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


def decode_orderbook(frame: bytes, instrument_for: InstrumentFor) -> BookFrame:
    """Decode an `orderbook.{depth}.{symbol}` snapshot or delta.

    Raises:
        InstrumentMismatch: the symbol is unknown, or a number doesn't fit its decimals.
        FrameError: anything else that is not exactly such a message.
    """
    message = read_strict(frame, OrderBookMessage)
    parts = message.topic.split(".", 2)
    if len(parts) != 3 or parts[0] != "orderbook" or parts[1] not in _DEPTH_OF:
        raise FrameError(f"topic {shortened(message.topic)} is no order book: {shortened(frame)}")
    data = message.data
    if data.s != parts[2]:
        raise FrameError(f"symbol {shortened(data.s)} under another's topic: {shortened(frame)}")
    if message.type not in ("snapshot", "delta"):
        raise FrameError(f"book message of type {shortened(message.type)}: {shortened(frame)}")
    if not 0 < data.u <= INT64_MAX or not 0 <= data.seq <= INT64_MAX:
        raise FrameError(f"update id or sequence out of range: {shortened(frame)}")
    if not 0 < message.ts <= MILLISECONDS_MAX or not 0 <= message.cts <= MILLISECONDS_MAX:
        raise FrameError(f"time out of range: {shortened(frame)}")
    if len(data.b) > LEVELS_MAX or len(data.a) > LEVELS_MAX:
        raise FrameError(f"more than {LEVELS_MAX} levels a side: {shortened(frame)}")
    instrument = instrument_of(data.s, instrument_for)
    return BookFrame(
        depth=_DEPTH_OF[parts[1]],
        symbol=data.s,
        is_snapshot=message.type == "snapshot",
        ts_ms=message.ts,
        cts_ms=message.cts,
        update_id=data.u,
        sequence=data.seq,
        bids=_levels(data.b, instrument, frame),
        asks=_levels(data.a, instrument, frame),
    )


def decode_trades(
    frame: bytes, instrument_for: InstrumentFor, *, received_ns: int = 0
) -> list[Trade]:
    """Decode a `publicTrade.{symbol}` message, oldest trade first.

    Raises:
        InstrumentMismatch: the symbol is unknown, or a number doesn't fit its decimals.
        FrameError: anything else that is not exactly such a message.
    """
    message = read_strict(frame, TradeMessage)
    symbol = split_topic(message.topic, "publicTrade", frame)
    if message.type != "snapshot":
        raise FrameError(f"trade message of type {shortened(message.type)}: {shortened(frame)}")
    if not 0 < message.ts <= MILLISECONDS_MAX:
        raise FrameError(f"time out of range: {shortened(frame)}")
    if len(message.data) > TRADES_MAX:
        raise FrameError(f"more than {TRADES_MAX} trades: {shortened(frame)}")
    instrument = instrument_of(symbol, instrument_for)
    trades = []
    for row in message.data:
        if row.s != symbol:
            raise FrameError(f"symbol {shortened(row.s)} under another's topic: {shortened(frame)}")
        if not 0 <= row.seq <= INT64_MAX:
            raise FrameError(f"sequence out of range: {shortened(frame)}")
        if not row.i:
            raise FrameError(f"a trade without an id: {shortened(frame)}")
        price = units_of(row.p, instrument.price_decimals, instrument, frame)
        size = units_of(row.v, instrument.size_decimals, instrument, frame)
        if price <= 0 or size <= 0:
            raise FrameError(f"a trade's price and size must be above zero: {shortened(frame)}")
        trades.append(
            Trade(
                instrument_id=instrument.id,
                side=side_of(row.S, frame),
                price_units=price,
                size_units=size,
                trade_id=row.i,
                venue_ns=venue_ns_of(row.T, frame),
                received_ns=received_ns,
                sequence=row.seq,
                is_block=row.BT,
            )
        )
    return trades


_DEPTH_OF = {str(depth): depth for depth in DEPTHS}


def split_topic(topic: str, name: str, frame: bytes) -> str:
    """Return what follows `name.` in a topic, or raise FrameError."""
    head, dot, rest = topic.partition(".")
    if head != name or not dot or not rest:
        raise FrameError(f"topic {shortened(topic)} is no {name}: {shortened(frame)}")
    return rest


def instrument_of(symbol: str, instrument_for: InstrumentFor) -> Instrument:
    """Look a symbol up; raises InstrumentUnlisted when it is unknown."""
    try:
        return instrument_for(symbol)
    except InstrumentUnknown as error:
        raise InstrumentUnlisted(symbol, f"{error}; load the instruments again") from None


def units_of(text: str, decimals: int, instrument: Instrument, frame: bytes) -> int:
    """Convert plain decimal text exactly; raises InstrumentMismatch when it has more decimals."""
    try:
        return units_from_text(text, decimals)
    except UnitsError as error:
        if len(text) > _NUMBER_LENGTH_MAX or not _DECIMAL_TEXT.fullmatch(text):
            raise FrameError(f"{instrument.id}: {error}: {shortened(frame)}") from None
        raise InstrumentMismatch(
            instrument.symbol,
            f"{instrument.id}: {error}; load the instrument again: {shortened(frame)}",
        ) from None


def side_of(text: str, frame: bytes) -> Side:
    """Return the side of "Buy" or "Sell"; raises FrameError otherwise."""
    side = _SIDES.get(text)
    if side is None:
        raise FrameError(f"side {shortened(text)} is neither Buy nor Sell: {shortened(frame)}")
    return side


def venue_ns_of(milliseconds: int, frame: bytes) -> int:
    """Return nanoseconds of a venue time; raises FrameError when it doesn't fit."""
    if not 0 < milliseconds <= MILLISECONDS_MAX:
        raise FrameError(f"time {milliseconds} out of range: {shortened(frame)}")
    return milliseconds * 1_000_000


def _levels(
    rows: list[tuple[str, str]], instrument: Instrument, frame: bytes
) -> list[tuple[int, int]]:
    price_decimals, size_decimals = instrument.price_decimals, instrument.size_decimals
    levels = []
    for price_text, size_text in rows:
        price = units_of(price_text, price_decimals, instrument, frame)
        if price == 0:
            raise FrameError(f"a level's price must be above zero: {shortened(frame)}")
        levels.append((price, units_of(size_text, size_decimals, instrument, frame)))
    return levels
