"""Owns the wiring of `watch`: live books and trades of one endpoint, counted and shown.

Refuses to trade.

It is the production path without an engine: socket, scanner, feed, and `Strategy.on_book` for every
single book update, so that its figures are those a strategy would see.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec

from tickwright.app.venue_kit import BybitKit
from tickwright.book.control import BookControl
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.commands import Command
from tickwright.core.errors import ConfigError, ConnectionLost, InstrumentUnknown
from tickwright.core.events import Input, Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.nearest import near_names
from tickwright.core.signals import Decision
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.net.trust import trusted_by
from tickwright.strategy.base import Strategy
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.bybit.instruments import load_instruments
from tickwright.venues.public_port import TopicChange

__all__ = [
    "DEPTHS",
    "BookRow",
    "Latency",
    "LatencyMax",
    "Watch",
    "WatchOptions",
    "WatchReport",
    "age_s",
    "check_options",
    "instruments_of",
    "watch",
]

DEPTHS = (1, 50, 200, 1000)
"""Depths that the endpoints serve."""
BOOKS_MAX_DEFAULT = 100
REFRESH_S = 0.5
NEAR_MAX = 3


class WatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch. `seconds` None watches until told to stop.

    `instruments_path` replaces REST.
    """

    hosts: Hosts
    category: Category
    symbols: tuple[str, ...]
    depth: int = 50
    connections: int = 1
    seconds: float | None = None
    instruments_path: Path | None = None
    ca_path: Path | None = None


class Latency(msgspec.Struct, frozen=True):
    """Percentiles of a duration; None before the first sample."""

    p50: float | None
    p99: float | None


class LatencyMax(msgspec.Struct, frozen=True):
    """Percentiles and the largest of a duration; None before the first sample."""

    p50: float | None
    p99: float | None
    max: float | None


class BookRow(msgspec.Struct, frozen=True):
    """The top of a book as exact decimal text; None where nothing is known."""

    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None
    update_id: int | None
    state: str


class WatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen; this is the JSON of `watch`.

    `read_to_callback_us` is socket read to strategy callback. `exchange_latency_ms` is venue time
    to receipt, clock skew included.
    """

    messages: int
    seconds: float
    messages_per_s: float
    cpu_seconds: float
    read_to_callback_us: LatencyMax
    exchange_latency_ms: Latency
    gaps: int
    resyncs: int
    reconnects: int
    books: dict[str, BookRow]


class Watcher(Strategy):
    """Looks at every update and wants nothing."""

    def __init__(self) -> None:
        self.book_count = 0
        self.trade_count = 0

    def on_book(self, book: OrderBook) -> Decision:
        """Count."""
        self.book_count += 1
        return None

    def on_trade(self, trade: Trade) -> Decision:
        """Count."""
        self.trade_count += 1
        return None


class WatchDoor:
    """A `feed.door.Door` with one strategy behind it and no engine."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._on_book = strategy.on_book
        self._books: dict[int, OrderBook] = {}

    @property
    def tap(self) -> InputTap | None:
        """Records nothing."""
        return None

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """A book exists."""
        self._books[slot] = book

    def remove_book(self, slot: int) -> None:
        """A book is no longer kept."""
        self._books.pop(slot, None)

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        """Hand the book to the strategy, whose answer nobody acts on."""
        self._on_book(self._books[slot])
        return None

    def on_derived(self, event: Input, now_ns: int) -> None:
        """Hand trades to the strategy."""
        if isinstance(event, Trade):
            self.strategy.on_trade(event)

    def on_input(self, event: Input, now_ns: int) -> None:
        """Connections and instruments: the feed keeps count of them."""

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        """Nothing is recorded."""

    def on_commands(self, commands: Sequence[Command]) -> None:
        """No command is ever answered."""

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        """Every book was asked for by name."""
        return True


class Watch:
    """One running watch: what `view` callbacks read from."""

    def __init__(self, options: WatchOptions, feed: PublicFeed, watcher: Watcher) -> None:
        self.options = options
        self.feed = feed
        self.watcher = watcher
        self.is_over = False
        self._began_s = time.monotonic()
        self._cpu_began_s = time.process_time()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began_s

    @property
    def message_count(self) -> int:
        """Frames received over all sockets, data and control."""
        return sum(connection.frame_count for connection in self.feed.connections)

    @property
    def books(self) -> list[OrderBook]:
        """The books, in the order they were asked for."""
        return [book for book in self.feed.books if book is not None]

    @property
    def has_connected(self) -> bool:
        """Whether any socket was ever up."""
        return any(connection.counts.connects for connection in self.feed.connections)

    @property
    def dial_fault(self) -> str:
        """Why dialling fails while no socket was ever up; empty before that is known."""
        if self.has_connected:
            return ""
        for connection in self.feed.connections:
            if connection.counts.last_reason:
                return f"{connection.url}: {connection.counts.last_reason}"
        return ""

    def note(self, on_note: Callable[[str, str], None] | None, event: str, text: str) -> None:
        """Pass a remark on, unless it is only about our own leaving."""
        if on_note is not None and not self.is_over:
            on_note(event, text)

    def report(self) -> WatchReport:
        """Return everything seen so far."""
        seconds = self.seconds
        counts = self.feed.collect()
        callback = self.feed.callback_time()
        latency = self.feed.feed_latency()
        return WatchReport(
            messages=self.message_count,
            seconds=round(seconds, 3),
            messages_per_s=round(self.message_count / max(seconds, 1e-9), 1),
            cpu_seconds=round(time.process_time() - self._cpu_began_s, 3),
            read_to_callback_us=LatencyMax(
                _scaled(callback.percentile_ns(0.5), 1e3),
                _scaled(callback.percentile_ns(0.99), 1e3),
                _scaled(callback.max_ns if callback.count else None, 1e3),
            ),
            exchange_latency_ms=_latency_ms(latency),
            gaps=counts.gaps,
            resyncs=counts.resyncs,
            reconnects=counts.reconnects,
            books={book.symbol: _row(book) for book in self.books},
        )


async def watch(
    options: WatchOptions,
    *,
    on_view: Callable[[Watch], None] | None = None,
    on_note: Callable[[str, str], None] | None = None,
) -> WatchReport:
    """Watch until the time is over, a signal comes or everything is refused.

    `on_view` is called twice a second; `on_note` with (event name, text) of what a person should
    know.

    Raises:
        ConfigError: wrong options, an unusable instruments file, every topic refused.
        InstrumentUnknown: a symbol isn't listed; names near ones.
        ConnectionLost: REST wasn't reachable, or no socket was ever up until the end.
    """
    check_options(options)
    trusted = trusted_by(options.ca_path, "certificate file")
    kit = BybitKit("watch", options.hosts, Random(), ssl_context=trusted)
    try:
        instruments = await instruments_of(
            kit, options.hosts, options.category, options.symbols, options.instruments_path
        )
        watcher = Watcher()
        feed = kit.feed(
            FeedOptions(
                venue="bybit",
                category=options.category,
                depth=options.depth,
                capacity=options.depth,
                connections=options.connections,
                books_max=max(BOOKS_MAX_DEFAULT, len(instruments)),
            ),
            WatchDoor(watcher),
            tap=None,
            on_note=lambda event, text: running.note(on_note, event, text),
            measures_callbacks=True,
        )
        for instrument in instruments:
            feed.add(instrument)
        running = Watch(options, feed, watcher)
        report = await _run(running, on_view, on_note)
        if not running.has_connected and options.seconds is not None:
            fault = running.dial_fault or f"{options.hosts.public}: no answer yet"
            raise ConnectionLost(f"no connection was ever made to {fault}")
        return report
    finally:
        await kit.aclose()


async def _run(
    running: Watch,
    on_view: Callable[[Watch], None] | None,
    on_note: Callable[[str, str], None] | None,
) -> WatchReport:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    task = asyncio.create_task(running.feed.run())
    stop = asyncio.create_task(stopped.wait())
    has_told = False
    try:
        while not stopped.is_set() and not task.done():
            wait_s = REFRESH_S
            if running.options.seconds is not None:
                wait_s = min(wait_s, running.options.seconds - running.seconds)
                if wait_s <= 0:
                    break
            await asyncio.wait([stop, task], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if on_view is not None:
                on_view(running)
            if running.dial_fault and not has_told and on_note is not None:
                has_told = True
                on_note("watch.unreachable", f"{running.dial_fault}; dialling on")
            _refuse_if_nothing_is_left(running.feed)
        # Before the sockets go, and the books with them.
        report = running.report()
        running.is_over = True
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await running.feed.stop()
        stop.cancel()
        task.cancel()
        await asyncio.wait([stop, task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise _single(error)
    return report


def _single(error: BaseException) -> BaseException:
    """Return what a task group wraps when it is one fault: it is told by its own words."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _refuse_if_nothing_is_left(feed: PublicFeed) -> None:
    refused = [topic for topic in feed.refused if topic.startswith("orderbook.")]
    if refused and len(refused) >= len(feed.symbols):
        raise ConfigError(f"the venue refuses every book: {refused[0]}: {feed.refused[refused[0]]}")


def check_options(options: WatchOptions) -> None:
    """Refuse options that no endpoint could serve; raises ConfigError."""
    if options.depth not in DEPTHS:
        known = ", ".join(str(depth) for depth in DEPTHS)
        raise ConfigError(f"depth {options.depth} is not served; choose one of {known}")
    if not options.symbols:
        raise ConfigError("no symbol is given")
    if not 1 <= options.connections <= 100:
        raise ConfigError(f"connections must be 1 to 100, not {options.connections}")
    if options.seconds is not None and options.seconds <= 0:
        raise ConfigError(f"seconds must be above 0, not {options.seconds:g}")
    if options.ca_path is not None and not options.ca_path.is_file():
        raise ConfigError(f"certificate file {options.ca_path} does not exist")


async def instruments_of(
    kit: BybitKit, hosts: Hosts, category: Category, symbols: Sequence[str], path: Path | None
) -> list[Instrument]:
    """Return the instruments of these symbols, from a file or from REST.

    Raises:
        ConfigError: there is neither; InstrumentUnknown: a symbol isn't listed, near ones named.
    """
    listed: Sequence[Instrument]
    if path is not None:
        listed = load_instruments(path, category).instruments
        source = f"instruments of {path}"
    elif kit.market is not None:
        listed = await kit.market.instruments(category)
        source = f"{category.value} instruments of {hosts.rest}"
    else:
        raise ConfigError("instruments are unknown: give --rest-url URL or --instruments FILE.json")
    by_symbol = {instrument.symbol: instrument for instrument in listed}
    unknown = [symbol for symbol in symbols if symbol not in by_symbol]
    if unknown:
        told = "; ".join(_near(symbol, by_symbol) for symbol in unknown)
        raise InstrumentUnknown(f"not among the {len(by_symbol)} {source}: {told}")
    return [by_symbol[symbol] for symbol in dict.fromkeys(symbols)]


def _near(symbol: str, listed: dict[str, Instrument]) -> str:
    near = near_names(symbol.upper(), listed, count=NEAR_MAX)
    return f"{symbol} (did you mean {', '.join(near)}?)" if near else symbol


def _scaled(value_ns: int | None, by: float) -> float | None:
    return None if value_ns is None else round(value_ns / by, 3)


def _latency_ms(histogram: LatencyHistogram) -> Latency:
    return Latency(
        _scaled(histogram.percentile_ns(0.5), 1e6), _scaled(histogram.percentile_ns(0.99), 1e6)
    )


def _row(book: OrderBook) -> BookRow:
    instrument = book.instrument

    def price(units: int | None) -> str | None:
        return None if units is None else instrument.price_text(units)

    def size(units: int | None) -> str | None:
        return None if units is None else instrument.size_text(units)

    return BookRow(
        bid=price(book.best_bid),
        bid_size=size(book.best_bid_size),
        ask=price(book.best_ask),
        ask_size=size(book.best_ask_size),
        update_id=book.update_id if book.update_id >= 0 else None,
        state=book.state.name.lower(),
    )


def age_s(book: OrderBook) -> float | None:
    """Return seconds since the book's last proof, None before the first."""
    age_ns = book.age_ns(utc_now_ns())
    return None if age_ns is None else age_ns / 1e9
