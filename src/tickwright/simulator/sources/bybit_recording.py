"""Owns playing native Bybit frame files as market operations; refuses other venues' formats.

One order book topic per symbol is played (the deepest seen near the start), trades where the file
has them.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec

from tickwright.core.errors import ConfigError, FrameError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import VenueInstrument, instrument_for
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.simulator.sources.operations import (
    BookReset,
    LevelChanges,
    Operation,
    PublicTrade,
    TimedOperation,
    TradePrints,
)
from tickwright.simulator.sources.recording import AfterEnd, Recording, levels_of

__all__ = ["BybitRecording"]

_LOOK_AHEAD_LINES = 20_000


class _BookData(msgspec.Struct):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int


class _BookFrame(msgspec.Struct):
    topic: str
    type: str
    ts: int
    data: _BookData


class _TradeData(msgspec.Struct):
    s: str
    S: str
    v: str
    p: str


class _TradeFrame(msgspec.Struct):
    topic: str
    ts: int
    data: list[_TradeData]


class _Topic(msgspec.Struct):
    topic: str = ""


_decode_topic = msgspec.json.Decoder(_Topic).decode
_decode_book = msgspec.json.Decoder(_BookFrame).decode
_decode_trades = msgspec.json.Decoder(_TradeFrame).decode


class BybitRecording(Recording):
    """A file of native frames of one category.

    The category is read from the frames (`ts` before `type` is spot) unless given.
    """

    format_label = "Bybit recording"

    def __init__(
        self,
        path: Path,
        rng: Random,
        *,
        after_end: AfterEnd = AfterEnd.CONTINUE,
        category: Category | None = None,
    ) -> None:
        self._topics: dict[str, str] = {}
        snapshots: dict[str, tuple[int, _BookFrame, bytes]] = {}
        for number, _, frame in recorded_lines(path):
            topic = _topic_of(frame)
            if topic is None:
                break
            name, _, rest = topic.partition(".")
            depth, _, symbol = rest.partition(".")
            if name == "orderbook" and symbol:
                known = snapshots.get(symbol)
                if depth.isdigit() and (known is None or int(depth) > known[0]):
                    book = _decoded(frame, number)
                    if book.type == "snapshot":
                        snapshots[symbol] = (int(depth), book, frame)
                        self._topics[symbol] = topic
            if number >= _LOOK_AHEAD_LINES:
                break
        if not snapshots:
            raise ConfigError(f"recording {path}: no order book snapshot in it")
        first = next(iter(snapshots.values()))[2]
        if category is None:
            is_spot = first.find(b'"ts"') < first.find(b'"type"')
            category = Category.SPOT if is_spot else Category.LINEAR
        super().__init__(path, category, rng, after_end)
        self.instruments = {
            symbol: _listing(category, symbol, book.data)
            for symbol, (_, book, _) in snapshots.items()
        }

    def play(self) -> Iterator[TimedOperation]:
        """Yield snapshots, deltas and trades at the venue's own spacing."""
        first_ns: int | None = None
        last_ns = 0
        update_ids: dict[str, int] = {}
        for number, received_ns, frame in recorded_lines(self.path):
            topic = _topic_of(frame)
            if topic is None:
                raise FrameError(f"{self.path}: line {number} is not JSON")
            symbol = topic.rpartition(".")[2]
            operation: Operation
            if topic == self._topics.get(symbol):
                book = _decoded(frame, number)
                operation = self._book_operation(book, update_ids, number)
                at_ns = received_ns or book.ts * 1_000_000
            elif topic.startswith("publicTrade.") and symbol in update_ids:
                trades = _decoded_trades(frame, number)
                operation = self._trade_operation(trades, number)
                at_ns = received_ns or trades.ts * 1_000_000
            else:
                continue
            if first_ns is None:
                first_ns = at_ns
            # Recorded times may step back by a millisecond between topics; the market's don't.
            last_ns = max(last_ns, at_ns - first_ns)
            yield last_ns, symbol, operation

    def _book_operation(
        self, frame: _BookFrame, update_ids: dict[str, int], number: int
    ) -> BookReset | LevelChanges:
        data = frame.data
        instrument = self.instruments[data.s]
        bids = levels_of(data.b, instrument, number)
        asks = levels_of(data.a, instrument, number)
        before = update_ids.get(data.s)
        update_ids[data.s] = data.u
        if frame.type == "snapshot":
            return BookReset(bids, asks)
        if before is None or data.u != before + 1:
            raise FrameError(f"{self.path}: line {number}: u {data.u} doesn't follow {before}")
        return LevelChanges(bids, asks)

    def _trade_operation(self, frame: _TradeFrame, number: int) -> TradePrints:
        trades = []
        for trade in frame.data:
            instrument = self.instruments[trade.s]
            ((price, size),) = levels_of([(trade.p, trade.v)], instrument, number)
            trades.append(PublicTrade(Side.BUY if trade.S == "Buy" else Side.SELL, price, size))
        return TradePrints(trades)


def _topic_of(frame: bytes) -> str | None:
    """The topic of a frame, empty when it has none; None for text that isn't JSON."""
    try:
        return _decode_topic(frame).topic
    except (msgspec.DecodeError, ValueError):
        return None


def _decoded(frame: bytes, number: int) -> _BookFrame:
    try:
        return _decode_book(frame)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"line {number} is not a book frame: {error}") from None


def _decoded_trades(frame: bytes, number: int) -> _TradeFrame:
    try:
        return _decode_trades(frame)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"line {number} is not a trade frame: {error}") from None


def _listing(category: Category, symbol: str, book: _BookData) -> VenueInstrument:
    """The catalogue's listing if the frames fit it, else one read off the frame's own decimals."""
    levels = book.b + book.a
    price_decimals = max((_decimals(price) for price, _ in levels), default=0)
    size_decimals = max((_decimals(size) for _, size in levels), default=0)
    known = instrument_for(category, symbol)
    fits_price = price_decimals <= known.price_decimals
    if fits_price and size_decimals <= known.size_decimals and category is Category.SPOT:
        return known
    if price_decimals == known.price_decimals and size_decimals == known.size_decimals:
        return known
    best = int(Decimal((book.b or book.a)[0][0]).scaleb(price_decimals))
    return VenueInstrument(
        category=category,
        symbol=symbol,
        base=known.base,
        quote=known.quote,
        price_decimals=price_decimals,
        tick_units=1,
        size_decimals=size_decimals,
        lot_units=1,
        reference_price_units=best,
        leverage_max=known.leverage_max,
    )


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
