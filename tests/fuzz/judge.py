"""Hold the compiled scanner against the typed decoder, frame by frame.

The property: what the scanner takes, the decoder takes too, and both leave the same book or the
same trades behind; the decoder answers any bytes with a frame or `FrameError`. A frame that only
the decoder takes is merely slow.
"""

import contextlib
import enum

from tests.fuzz.corpus import DEPTHS, SYMBOL
from tests.oracle.instruments import make_instrument
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.errors import FrameError, InstrumentUnknown
from tickwright.core.events import Trade
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.venues.bybit.control import classify
from tickwright.venues.bybit.decode import BookFrame, decode_orderbook, decode_trades
from tickwright.venues.bybit.scanner import PublicScanner

__all__ = ["Judge", "Outcome", "Violation"]

RECEIVED_NS = 1_769_000_000_123_456_789
CAPACITY = 10_000
_POLICY = BookPolicy(restart_id=1)
_BASE_BIDS = [(6_000_000 - place, 5_000) for place in range(1, 12)]
_BASE_ASKS = [(6_000_000 + place, 5_000) for place in range(1, 12)]


class Outcome(enum.Enum):
    """What became of one frame without a violation."""

    BOTH_TAKE_A_BOOK = "both take a book"
    BOTH_TAKE_TRADES = "both take trades"
    ONLY_THE_DECODER = "only the decoder takes it"
    BOTH_REFUSE = "both refuse"


class Violation(AssertionError):
    """The scanner and the decoder disagree, or one of them broke."""


class _Socket:
    """A scanner with all topics of one category, and per book topic two books to compare."""

    def __init__(self, category: Category) -> None:
        decimals = (2, 3) if category is Category.LINEAR else (2, 6)
        self.instrument = make_instrument(
            SYMBOL, price_decimals=decimals[0], size_decimals=decimals[1], category=category
        )
        self.others = 0
        self.trades: list[Trade] = []
        self.scanner = PublicScanner(
            on_book=self._on_book, on_trades=self._on_trades, on_other=self._on_other
        )
        self.scanned: dict[int, OrderBook] = {}
        self.decoded: dict[int, OrderBook] = {}
        for depth in DEPTHS:
            self.scanned[depth] = OrderBook(self.instrument, capacity=CAPACITY, policy=_POLICY)
            self.decoded[depth] = OrderBook(self.instrument, capacity=CAPACITY, policy=_POLICY)
            self.scanner.add_book(f"orderbook.{depth}.{SYMBOL}", self.scanned[depth], depth)
        self.scanner.add_trades(f"publicTrade.{SYMBOL}", self.instrument, 0)

    def instrument_for(self, symbol: str) -> Instrument:
        if symbol != SYMBOL:
            raise InstrumentUnknown(symbol)
        return self.instrument

    def _on_book(self, slot: int, now_ns: int) -> None:
        return None

    def _on_trades(self, trades: list[Trade]) -> None:
        self.trades = trades

    def _on_other(self, frame: bytes, now_ns: int) -> None:
        self.others += 1


class Judge:
    """Judges one frame after another."""

    def __init__(self) -> None:
        self._sockets = {each: _Socket(each) for each in (Category.LINEAR, Category.SPOT)}

    def judge(self, category: Category, frame: bytes) -> Outcome:
        """Say what became of a frame.

        Raises:
            Violation: the property doesn't hold for it.
        """
        socket = self._sockets[category]
        if not frame:
            # To the scanner an empty frame only ends a socket read; the decoder refuses it.
            frame = b" "
        try:
            decoded = _decode(frame, socket)
            _classify(frame)
        except Exception as error:
            raise Violation(f"{type(error).__name__} while decoding: {error}: {frame!r}") from error
        depth = 0
        if isinstance(decoded, BookFrame) and decoded.depth in socket.scanned:
            depth = decoded.depth
            _make_ready(socket.scanned[depth], decoded.update_id)
            _make_ready(socket.decoded[depth], decoded.update_id)
        others = socket.others
        socket.trades = []
        socket.scanner.feed(frame, RECEIVED_NS)
        if socket.others != others:
            return Outcome.BOTH_REFUSE if decoded is None else Outcome.ONLY_THE_DECODER
        if decoded is None:
            raise Violation(f"the scanner took what the decoder refuses: {frame!r}")
        if isinstance(decoded, BookFrame):
            _apply(socket.decoded[depth], decoded)
            _compare(socket.scanned[depth], socket.decoded[depth], frame)
            return Outcome.BOTH_TAKE_A_BOOK
        if decoded != socket.trades:
            raise Violation(f"other trades: {decoded} and {socket.trades}: {frame!r}")
        return Outcome.BOTH_TAKE_TRADES


def _decode(frame: bytes, socket: _Socket) -> BookFrame | list[Trade] | None:
    try:
        return decode_orderbook(frame, socket.instrument_for)
    except FrameError:
        pass
    try:
        return decode_trades(frame, socket.instrument_for, received_ns=RECEIVED_NS)
    except FrameError:
        return None


def _classify(frame: bytes) -> None:
    with contextlib.suppress(FrameError):
        classify(frame)


def _make_ready(book: OrderBook, update_id: int) -> None:
    """Put a book just before the frame, so that its levels count whatever its number is."""
    book.clear()
    book.apply_snapshot(_BASE_BIDS, _BASE_ASKS, update_id=update_id - 1, received_ns=RECEIVED_NS)


def _apply(book: OrderBook, frame: BookFrame) -> None:
    if frame.is_snapshot:
        book.apply_snapshot(
            frame.bids,
            frame.asks,
            update_id=frame.update_id,
            sequence=frame.sequence,
            venue_ns=frame.ts_ms * 1_000_000,
            received_ns=RECEIVED_NS,
        )
    else:
        book.apply_delta(
            frame.bids,
            frame.asks,
            update_id=frame.update_id,
            sequence=frame.sequence,
            venue_ns=frame.ts_ms * 1_000_000,
            received_ns=RECEIVED_NS,
        )


_FACTS = (
    "state", "stale_reason", "update_id", "sequence", "venue_ns", "proof_ns", "update_count",
    "snapshot_count", "gap_count", "duplicate_count", "fault_count", "unknown_delete_count",
)  # fmt: skip


def _compare(scanned: OrderBook, decoded: OrderBook, frame: bytes) -> None:
    for name in _FACTS:
        one, other = getattr(scanned, name), getattr(decoded, name)
        if one != other:
            raise Violation(f"other {name}: scanned {one}, decoded {other}: {frame!r}")
    if scanned.bids() != decoded.bids() or scanned.asks() != decoded.asks():
        raise Violation(f"other levels: {frame!r}")
