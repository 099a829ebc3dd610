"""Owns our own row: the production scanner, books, session and connection under a bench strategy.

Nothing here is tuned for the benchmark. The socket form is the connection that trades use: sequence
checks on, every topic subscribed and watched for silence, histograms kept. The rivals do none of
that.
"""

import asyncio
import contextlib
import random
import ssl
import time
from array import array
from collections.abc import Callable, Sequence

from tickwright.bench.rivals import IMBALANCE_LEVELS, WINDOW, Features, Top
from tickwright.bench.tape import Tape, TapeInstrument
from tickwright.book.control import BookControl
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import BookState, BookStateChanged, ConnectionChanged, Input, Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.connection import DialGate
from tickwright.net.tap import InputTap
from tickwright.strategy.indicators import RollingZScore
from tickwright.venues.bybit.public import PublicSession
from tickwright.venues.bybit.scanner import PublicScanner
from tickwright.venues.public_port import TopicChange

__all__ = [
    "BenchDoor",
    "BenchFault",
    "OursClient",
    "OursStack",
    "Strategy",
    "instrument_of",
    "tops_of",
]

_SIZE_UNITS_MAX = 10**15


class BenchFault(RuntimeError):
    """A run went wrong, so that its figures are worth nothing; the text says how."""


def instrument_of(named: TapeInstrument, category: str) -> Instrument:
    """Return the tape's instrument as the core knows instruments; a tick is one unit."""
    return Instrument(
        id=InstrumentId("bybit", Category(category), named.symbol),
        base_asset=named.symbol.removesuffix("USDT"),
        quote_asset="USDT",
        settle_asset="USDT",
        price_decimals=named.price_decimals,
        size_decimals=named.size_decimals,
        tick_units=1,
        lot_units=1,
        size_min_units=1,
        size_max_units=_SIZE_UNITS_MAX,
        market_size_max_units=_SIZE_UNITS_MAX,
    )


def _make_books(tape: Tape) -> list[OrderBook]:
    books = []
    for slot, named in enumerate(tape.instruments):
        book = OrderBook(instrument_of(named, tape.category), capacity=tape.depth)
        book.slot = slot
        books.append(book)
    return books


def tops_of(books: Sequence[OrderBook]) -> dict[str, Top]:
    """Return the touch of every book in quote currency, as the rivals write it."""
    tops = {}
    for book in books:
        bid, ask = book.best_bid, book.best_ask
        if bid is not None and ask is not None:
            scale = 10**book.instrument.price_decimals
            tops[book.symbol] = (bid / scale, ask / scale)
    return tops


class Strategy:
    """Reads the same features as a rival's callback is given and decides by the same rule."""

    def __init__(self, books: Sequence[OrderBook], count: int, features: Features) -> None:
        self.updates = 0
        self.signals = 0
        self.on_book: Callable[[int, int], None] = self._full if features == "full" else self._touch
        self._books = books
        self._scores = [RollingZScore(WINDOW, floor=1e-9) for _ in range(count)]

    def _touch(self, slot: int, now_ns: int) -> None:
        book = self._books[slot]
        self.updates += 1
        book.best_bid, book.best_ask, book.mid, book.spread  # noqa: B018  # reading them is the work

    def _full(self, slot: int, now_ns: int) -> None:
        book = self._books[slot]
        self.updates += 1
        book.best_bid, book.best_ask  # noqa: B018  # reading them is the work
        features = book.features(IMBALANCE_LEVELS)
        mid_twice_units = book.mid_twice_units
        if mid_twice_units is None or features is None:
            return
        z_score = self._scores[slot].step(mid_twice_units)
        if z_score is not None and z_score < -2.0 and features[3] > 0.1:
            self.signals += 1


class OursStack:
    """Our scanner and books in process: bytes to book to features to one Python call."""

    def __init__(self, tape: Tape, features: Features) -> None:
        self.books = _make_books(tape)
        self.strategy = Strategy(self.books, len(self.books), features)
        self.refused: list[bytes] = []
        self.scanner = PublicScanner(
            on_book=self.strategy.on_book, on_trades=self._on_trades, on_other=self._on_other
        )
        for slot, named in enumerate(tape.instruments):
            self.scanner.add_book(named.book_topic, self.books[slot], slot)
            self.scanner.add_trades(named.trade_topic, self.books[slot].instrument, slot)

    @property
    def frames(self) -> int:
        """Return how many frames were taken."""
        return self.scanner.book_frame_count + self.scanner.trade_frame_count

    def feed(self, frame: bytes) -> None:
        """Take one frame."""
        self.scanner.feed(frame, 1)

    def tops(self) -> dict[str, Top]:
        """Return the touch of every book."""
        return tops_of(self.books)

    def finish(self) -> None:
        """Tidy nothing."""

    def _on_trades(self, trades: list[Trade]) -> None:
        return None

    def _on_other(self, frame: bytes, now_ns: int) -> None:
        self.refused.append(frame)


class BenchDoor:
    """Stands where the engine stands: takes what a feed sees and keeps what makes a run worthless.

    ``on_book`` is given from outside, because what a run measures happens there. ``on_first`` is
    called at the first book that is synced, just before its callback; ``on_lost`` when the
    connection is gone.
    """

    tap: InputTap | None = None

    def __init__(
        self,
        on_book: Callable[[int, int], None],
        on_first: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.on_book: Callable[[int, int], Sequence[Command] | None] = on_book
        self.problems: list[str] = []
        self._on_first: Callable[[], None] | None = on_first
        self._on_lost = on_lost
        self._is_lost = False

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """Take note of nothing: the feed keeps the books."""

    def remove_book(self, slot: int) -> None:
        """Take note of nothing: no book of a tape is ever removed."""

    def on_derived(self, event: Input, now_ns: int) -> None:
        """Start the clocks at the first synced book; any other change of state is a problem."""
        if not isinstance(event, BookStateChanged) or self._is_lost:
            return
        if self._on_first is not None:
            self._on_first()
            self._on_first = None
        if event.state is not BookState.SYNCED:
            self.problems.append(f"{event.instrument_id}: {event.state.value} {event.reason}")

    def on_input(self, event: Input, now_ns: int) -> None:
        """End the run when the sender has closed."""
        if isinstance(event, ConnectionChanged) and not event.is_up:
            self._on_lost()

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        """Expect the loss of the connection; anything else done to a book is a problem."""
        if isinstance(control, BookControl) and control.reason.startswith("connection lost"):
            self._is_lost = True
        else:
            self.problems.append(str(control))

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Take commands; a bench strategy gives none."""

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        """Keep every book."""
        return True


class OursClient:
    """Keeps the tape's books over the production feed, one strategy call per book frame.

    With ``arrivals`` the call notes when it was entered, by the number of the frame on the tape.
    """

    def __init__(
        self,
        tape: Tape,
        features: Features,
        on_first: Callable[[], None],
        arrivals: "array[int] | None",
    ) -> None:
        self._tape = tape
        self._features = features
        self._on_first = on_first
        self._arrivals = arrivals
        self._times = array("q", bytes(8 * len(tape.frames)))
        self._update_ids = array("q", bytes(8 * len(tape.frames)))
        self._count = 0
        self._books: list[OrderBook] = []
        self._tops: dict[str, Top] = {}
        self._sessions: list[PublicSession] = []

    @property
    def frames(self) -> int:
        """Return how many book and trade frames came."""
        scanners = [session.scanner for session in self._sessions]
        return sum(scanner.book_frame_count + scanner.trade_frame_count for scanner in scanners)

    def tops(self) -> dict[str, Top]:
        """Return the touch of every book as it was when the sender closed."""
        return self._tops

    def _timed(self, slot: int, now_ns: int) -> None:
        now = time.monotonic_ns()
        count = self._count
        self._times[count] = now
        self._update_ids[count] = self._books[slot].update_id
        self._count = count + 1

    async def listen(self, url: str, context: ssl.SSLContext | None) -> None:
        """Read until the sender closes. Raises BenchFault when a book was in doubt on the way."""
        is_over = asyncio.Event()
        category = Category(self._tape.category)
        # Given before the books are made, because sessions keep the door's call from their start.
        strategy = Strategy(self._books, len(self._tape.instruments), self._features)
        on_book = strategy.on_book if self._arrivals is None else self._timed
        door = BenchDoor(on_book, self._on_first, is_over.set)

        def make_session(feed: PublicFeed, source: int) -> PublicSession:
            # No level-1 companions: the sender answers subscriptions before a run only.
            session = PublicSession(
                category, feed, depth=self._tape.depth, has_companion=False, source=source
            )
            self._sessions.append(session)
            return session

        feed = PublicFeed(
            FeedOptions(
                venue="bybit", category=category, depth=self._tape.depth, has_companion=False
            ),
            door,
            make_session=make_session,
            url=url,
            gate=DialGate(random.Random(1)),
            rest=None,
            ssl_context=context,
        )
        for named in self._tape.instruments:
            self._books.append(feed.add(instrument_of(named, category.value)))
        running = asyncio.create_task(feed.run())
        over = asyncio.create_task(is_over.wait())
        await asyncio.wait((running, over), return_when=asyncio.FIRST_COMPLETED)
        await feed.stop()
        over.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        if door.problems:
            raise BenchFault("; ".join(door.problems[:3]))
        self._tops = tops_of(self._books)

    def finish(self) -> None:
        """Put each noted time at its frame's place on the tape; the clocks have stopped."""
        if self._arrivals is not None:
            places = self._tape.places_of_updates()
            for update_id, at in zip(self._update_ids[: self._count], self._times, strict=False):
                self._arrivals[places[update_id]] = at
