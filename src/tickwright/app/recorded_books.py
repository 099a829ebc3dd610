"""Owns the books of a recording, one adapter per venue's frames; refuses to read files or print.

Both go the production way: Bybit's frames through the compiled scanner with the typed decoder
behind it, Binance's through the typed decoder, and both into the compiled book under the venue's
own numbering rule.
"""

from typing import Protocol

import msgspec

from tickwright.app.recorded_units import UnitsSurvey
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.book.verdict import BookVerdict
from tickwright.core.errors import FrameError, InstrumentUnknown
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.venues.binance import decode as binance
from tickwright.venues.binance.policy import SPOT_POLICY, USDM_POLICY
from tickwright.venues.bybit.control import FrameKind, classify
from tickwright.venues.bybit.decode import DEPTHS, decode_orderbook
from tickwright.venues.bybit.scanner import PublicScanner

__all__ = ["BinanceRecorded", "BybitRecorded", "Recorded", "recorded_kind"]

SYMBOLS_MAX = 2_000
"""Most books of one recording; a venue lists fewer per product line."""
BINANCE_CAPACITY = 10_000
"""Most levels a side: full books hold over 3,000."""


class Recorded(Protocol):
    """Books made of one venue's frames: `survey` all first, then `open`, then `take` each."""

    name: str

    def survey(self, frame: bytes) -> None:
        """Learn symbols, depths and decimals from a frame; ignores what it can't read."""
        ...

    def open(self) -> None:
        """Make the books of what was surveyed."""
        ...

    def take(self, frame: bytes, received_ns: int) -> str | None:
        """Apply a frame; returns why it was refused, or None."""
        ...

    @property
    def books(self) -> list[OrderBook]:
        """One book per symbol, in the order they appeared."""
        ...


def recorded_kind(frame: bytes) -> "type[BybitRecorded] | type[BinanceRecorded] | None":
    """Tell by its content whose frame this is; None when it tells nothing."""
    if b'"topic"' in frame and b'"orderbook.' in frame:
        return BybitRecorded
    if b'"lastUpdateId"' in frame or b'"depthUpdate"' in frame:
        return BinanceRecorded
    return None


class _Topic(msgspec.Struct):
    topic: str = ""


_topic = msgspec.json.Decoder(_Topic)


class _Listed:
    """What the survey learned of one symbol."""

    __slots__ = ("depth", "is_spot", "units")

    def __init__(self) -> None:
        self.depth = 0
        self.is_spot = False
        self.units = UnitsSurvey()


class BybitRecorded:
    """The deepest order book topic of each symbol; other topics are read and left alone."""

    name = "Bybit"

    def __init__(self) -> None:
        self._listed: dict[str, _Listed] = {}
        self._books: dict[str, OrderBook] = {}
        self._by_symbol: dict[str, OrderBook] = {}
        self._refusal: str | None = None
        self._scanner = PublicScanner(on_book=_nobody, on_other=self._take_other)

    @property
    def books(self) -> list[OrderBook]:
        """One book per symbol, in the order they appeared."""
        return list(self._books.values())

    def survey(self, frame: bytes) -> None:
        """Learn from an order book frame."""
        topic = _topic_of(frame)
        depth, symbol = _split(topic)
        if not depth:
            return
        listed = self._listed.get(symbol)
        if listed is None:
            if len(self._listed) >= SYMBOLS_MAX:
                return
            listed = self._listed[symbol] = _Listed()
        listed.depth = max(listed.depth, depth)
        # Spot puts the time before the type; level 1 does so everywhere.
        if depth > 1:
            listed.is_spot = frame.find(b'"ts"') < frame.find(b'"type"')
        listed.units.see(frame)

    def open(self) -> None:
        """Make the books: as deep as their topic, under Bybit's rules."""
        for slot, (symbol, listed) in enumerate(self._listed.items()):
            category = Category.SPOT if listed.is_spot else Category.LINEAR
            book = OrderBook(
                listed.units.instrument(InstrumentId("bybit", category, symbol)),
                capacity=listed.depth,
                policy=BookPolicy(window=listed.depth, restart_id=1),
            )
            topic = f"orderbook.{listed.depth}.{symbol}"
            self._books[topic] = book
            self._by_symbol[symbol] = book
            self._scanner.add_book(topic, book, slot)

    def take(self, frame: bytes, received_ns: int) -> str | None:
        """Apply a frame; returns why it was refused, or None."""
        self._refusal = None
        self._scanner.feed(frame, received_ns)
        return self._refusal

    def _take_other(self, frame: bytes, now_ns: int) -> None:
        try:
            what = classify(frame)
            if what.kind is not FrameKind.BOOK or what.topic not in self._books:
                return
            book = decode_orderbook(frame, self._instrument_for)
        except FrameError as error:
            self._refusal = str(error)
            known = self._books.get(_topic_of(frame))
            if known is not None:
                # A message of this topic was lost to us: what follows can't be trusted.
                known.mark_stale("a frame could not be read")
            return
        self._scanner.take_decoded(
            what.topic,
            is_snapshot=book.is_snapshot,
            update_id=book.update_id,
            sequence=book.sequence,
            venue_ns=book.ts_ms * 1_000_000,
            bids=book.bids,
            asks=book.asks,
        )

    def _instrument_for(self, symbol: str) -> Instrument:
        book = self._by_symbol.get(symbol)
        if book is None:
            raise InstrumentUnknown(f"{symbol} is not in the recording")
        return book.instrument


class BinanceRecorded:
    """Diff-depth events joined with the REST snapshot that stands among them, spot or USD-M."""

    name = "Binance"

    def __init__(self) -> None:
        self._units: dict[str, UnitsSurvey] = {}
        self._is_futures = False
        self._nameless = UnitsSurvey()
        self._books: dict[str, OrderBook] = {}

    @property
    def books(self) -> list[OrderBook]:
        """One book per symbol, in the order they appeared."""
        return list(self._books.values())

    def survey(self, frame: bytes) -> None:
        """Learn from a depth event or snapshot."""
        try:
            kind = binance.classify(frame)
            if kind is binance.FrameKind.DEPTH_SNAPSHOT:
                self._nameless.see(frame)
            elif kind is binance.FrameKind.DEPTH_EVENT:
                symbol = binance.symbol_of(frame)
                if symbol and (symbol in self._units or len(self._units) < SYMBOLS_MAX):
                    # The first event's symbol owns the snapshot, which names none.
                    self._units.setdefault(symbol, UnitsSurvey() if self._units else self._nameless)
                    self._units[symbol].see(frame)
                    self._is_futures = self._is_futures or b'"pu":' in frame
        except FrameError:
            return

    def open(self) -> None:
        """Make the books, each waiting for its snapshot."""
        category = Category.LINEAR if self._is_futures else Category.SPOT
        policy = USDM_POLICY if self._is_futures else SPOT_POLICY
        for symbol, units in self._units.items():
            instrument = units.instrument(InstrumentId("binance", category, symbol))
            book = OrderBook(instrument, capacity=BINANCE_CAPACITY, policy=policy)
            book.start_buffering()
            self._books[symbol] = book

    def take(self, frame: bytes, received_ns: int) -> str | None:
        """Apply a frame; returns why it was refused, or None."""
        try:
            kind = binance.classify(frame)
            if kind is binance.FrameKind.DEPTH_EVENT:
                return self._take_event(frame, received_ns)
            if kind is binance.FrameKind.DEPTH_SNAPSHOT:
                return self._take_snapshot(frame, received_ns)
        except FrameError as error:
            return str(error)
        return None

    def _take_event(self, frame: bytes, received_ns: int) -> str | None:
        book = self._books.get(binance.symbol_of(frame))
        if book is None:
            return "an event of a symbol that was not surveyed"
        try:
            event = binance.decode_depth_event(frame, book.instrument)
        except FrameError:
            book.start_buffering()
            raise
        verdict = _apply(book, event, received_ns)
        if verdict >= BookVerdict.GAP:
            # As live: wait for the next snapshot, and keep what it may have to be joined with.
            book.start_buffering()
            _apply(book, event, received_ns)
        return None

    def _take_snapshot(self, frame: bytes, received_ns: int) -> str | None:
        if len(self._books) != 1:
            return "a depth snapshot names no symbol, and the recording holds several"
        (book,) = self._books.values()
        snapshot = binance.decode_depth_snapshot(frame, book.instrument)
        if book.is_synced:
            return None  # a book in order needs no older picture of itself
        book.apply_snapshot(
            snapshot.bids,
            snapshot.asks,
            update_id=snapshot.last_id,
            received_ns=received_ns,
            venue_ns=snapshot.venue_ns,
        )
        return None


def _apply(book: OrderBook, event: binance.DepthEvent, received_ns: int) -> BookVerdict:
    return book.apply_delta(
        event.bids,
        event.asks,
        update_id=event.last_id,
        first_id=event.first_id,
        previous_id=event.previous_id,
        received_ns=received_ns,
        venue_ns=event.venue_ns,
    )


def _nobody(slot: int, now_ns: int) -> None:
    return None


def _topic_of(frame: bytes) -> str:
    try:
        return _topic.decode(frame).topic
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""


def _split(topic: str) -> tuple[int, str]:
    """Return (depth, symbol) of an order book topic, (0, "") of any other."""
    parts = topic.split(".", 2)
    if len(parts) != 3 or parts[0] != "orderbook" or not parts[2].isascii():
        return 0, ""
    depth = int(parts[1]) if parts[1].isdigit() and len(parts[1]) < 5 else 0
    return (depth, parts[2]) if depth in DEPTHS else (0, "")
