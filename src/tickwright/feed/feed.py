"""Owns the books of one venue's product line.

Who carries which symbol, what happens to a book in doubt.

It refuses to decide about orders: everything it learns goes in by the engine's door. Sessions (one
per socket) think about topics; here are what concerns several sockets or REST: shards, the bound on
books, the check of a silent book's top, the audit, and instruments that change while running.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence

import msgspec

from tickwright.book.control import BookControl, BookVerb, control_book
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.commands import Command
from tickwright.core.errors import ConfigError, InstrumentUnknown, TickwrightError
from tickwright.core.events import (
    BookState,
    BookStateChanged,
    ConnectionChanged,
    InstrumentChanged,
    MarketEvent,
    Trade,
)
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.feed.door import Door
from tickwright.net.connection import Connection, DialGate
from tickwright.net.listener import utc_now_ns
from tickwright.venues.port import MarketClient
from tickwright.venues.public_port import MarketTopic, PublicSession, TopCheck, TopicChange

__all__ = ["FeedCounts", "FeedOptions", "PublicFeed", "book_policy"]

CHECKS_AT_ONCE_MAX = 8
CHECK_TIMEOUT_S = 0.45
AUDIT_TIMEOUT_S = 3.0


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a feed keeps its books.

    `depth` is the subscribed depth, `capacity` the most levels kept a side. `connections` spreads
    the symbols over that many sockets. `books_max` bounds the books; the least recently used
    unpinned one makes room. Intervals in seconds; 0 switches that check off.
    """

    venue: str
    category: Category
    depth: int = 50
    capacity: int = 50
    connections: int = 1
    books_max: int = 100
    has_trades: bool = True
    has_companion: bool = True
    market_topics: tuple[MarketTopic, ...] = ()
    conflate_after: int = 0
    audit_interval_s: float = 30.0
    instruments_interval_s: float = 3600.0
    restart_id: int = 1
    slot_first: int = 0
    """Slots and sources count from here, so that several feeds share one engine and one log."""
    source_first: int = 0


class FeedCounts(msgspec.Struct):
    """What one feed went through; counts only ever rise."""

    resyncs: int = 0
    gaps: int = 0
    reconnects: int = 0
    alarms: int = 0
    suspicions: int = 0
    refused_frames: int = 0
    audits_agreed: int = 0
    audits_differed: int = 0
    audits_skipped: int = 0
    instruments_changed: int = 0
    evicted: int = 0


class _Shard:
    __slots__ = ("connection", "session")

    def __init__(self, session: PublicSession, connection: Connection) -> None:
        self.session = session
        self.connection = connection


class PublicFeed:
    """Keeps the books of a venue's product line.

    A `venues.public_port.PublicHost` for its sessions.

    Args:
        options: see `FeedOptions`.
        door: where everything goes in.
        make_session: makes the venue's session for one socket: `make_session(host, source)`.
        url: the public socket of this category.
        gate: shared by all connections to that address.
        rest: reads REST; None where there is none (then checks and audits are off).
        on_note: called with (event name, text) for the log.
    """

    def __init__(
        self,
        options: FeedOptions,
        door: Door,
        *,
        make_session: Callable[["PublicFeed", int], PublicSession],
        url: str,
        gate: DialGate,
        rest: MarketClient | None,
        ssl_context: ssl.SSLContext | None = None,
        on_note: Callable[[str, str], None] | None = None,
    ) -> None:
        if options.connections < 1 or options.books_max < 1:
            raise ConfigError("a feed needs at least one connection and one book")
        self.options = options
        self.books: list[OrderBook | None] = []
        self.counts = FeedCounts()
        self.refused: dict[str, str] = {}
        self.on_book: Callable[[int, int], Sequence[Command] | None] = door.on_book
        """The hottest call goes straight through."""
        self.trade_taps: list[Callable[[list[Trade]], None]] = []
        """Each is given the trades of a frame, after the engine took them; must not raise."""
        self._door = door
        self._rest = rest
        self._on_note = on_note
        self._instruments: dict[str, Instrument] = {}
        self._slot_of: dict[str, int] = {}
        self._used: dict[str, None] = {}
        self._shards: list[_Shard] = []
        self._shard_of: dict[str, _Shard] = {}
        self._policy = book_policy(options)
        self._group: asyncio.TaskGroup | None = None
        self._checks: set[asyncio.Task[None]] = set()
        self._doubts: set[str] = set()
        self._audit_next = 0
        for source in range(options.connections):
            session = make_session(self, options.source_first + source)
            connection = Connection(
                url,
                session,
                gate,
                name=f"{options.venue}-{options.category.value}-{source}",
                ssl_context=ssl_context,
                on_change=self._changed(source),
                after_poll=self._after_poll(session),
            )
            session.wake = connection.wake
            self._shards.append(_Shard(session, connection))

    # symbols --------------------------------------------------------------------------------------

    @property
    def sessions(self) -> list[PublicSession]:
        """One session per socket."""
        return [shard.session for shard in self._shards]

    @property
    def connections(self) -> list[Connection]:
        """The sockets."""
        return [shard.connection for shard in self._shards]

    def book(self, symbol: str) -> OrderBook | None:
        """Return a kept book and count it as used."""
        slot = self._slot_of.get(symbol)
        if slot is None:
            return None
        self._used.pop(symbol, None)
        self._used[symbol] = None
        return self._held(slot)

    @property
    def symbols(self) -> list[str]:
        """The symbols whose books are kept."""
        return list(self._slot_of)

    @property
    def is_all_synced(self) -> bool:
        """Whether every kept book is synced."""
        return all(book.is_synced for book in self.books if book is not None)

    def add(self, instrument: Instrument) -> OrderBook:
        """Keep the book of an instrument; at the bound the least recently used unpinned one goes.

        Raises:
            ConfigError: all kept books are pinned.
        """
        symbol = instrument.symbol
        if symbol in self._slot_of:
            raise ConfigError(f"the book of {symbol} is kept already")
        if len(self._slot_of) >= self.options.books_max:
            self._evict()
        book = OrderBook(instrument, capacity=self.options.capacity, policy=self._policy)
        place = next((i for i, held in enumerate(self.books) if held is None), len(self.books))
        if place == len(self.books):
            self.books.append(book)
        else:
            self.books[place] = book
        slot = book.slot = self.options.slot_first + place
        self._slot_of[symbol] = slot
        self._instruments[symbol] = instrument
        self._used[symbol] = None
        shard = min(self._shards, key=lambda s: sum(1 for o in self._shard_of.values() if o is s))
        self._shard_of[symbol] = shard
        source = self.options.source_first + self._shards.index(shard)
        self._door.add_book(slot, book, source)
        shard.session.add_book(book)
        if self.options.has_trades:
            shard.session.add_trades(instrument, slot)
        for topic in self.options.market_topics:
            shard.session.add_market(instrument, slot, topic)
        if shard.connection.is_up:
            shard.connection.wake()
        return book

    def remove(self, symbol: str) -> None:
        """Keep a book no longer."""
        slot = self._slot_of.pop(symbol)
        now_ns = utc_now_ns()
        self.control_book(slot, BookVerb.CLEAR, "no longer kept", now_ns)
        self._shard_of.pop(symbol).session.remove_symbol(symbol, now_ns)
        self._used.pop(symbol, None)
        self._instruments.pop(symbol, None)
        self.books[slot - self.options.slot_first] = None
        self._door.remove_book(slot)

    def _held(self, slot: int) -> OrderBook:
        book = self.books[slot - self.options.slot_first]
        assert book is not None, "sessions speak of kept books only"
        return book

    def _evict(self) -> None:
        for symbol in self._used:
            if not self._door.is_pinned(self._instruments[symbol].id):
                self.counts.evicted += 1
                self._note("feed.book_evicted", symbol)
                self.remove(symbol)
                return
        raise ConfigError(
            f"{self.options.books_max} books are kept and every one is needed by a strategy, an "
            "order or a position; raise books_max"
        )

    # the host of the sessions ---------------------------------------------------------------------

    def on_trades(self, trades: list[Trade]) -> Sequence[Command] | None:
        """Trades came: each is an input of its own, none is ever dropped."""
        for trade in trades:
            self._door.on_derived(trade, trade.received_ns)
        for tap in self.trade_taps:
            tap(trades)
        return None

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Do what the engine answered."""
        self._door.on_commands(commands)

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price, funding, candle or liquidation came."""
        self._door.on_derived(event, now_ns)

    def on_book_state(self, slot: int, previous: BookState, now_ns: int) -> None:
        """A frame changed what a book is worth."""
        book = self._held(slot)
        if book.state is BookState.STALE:
            self.counts.gaps += 1
            self._note("feed.book_stale", f"{book.symbol}: {book.stale_reason}")
        change = BookStateChanged(book.instrument_id, book.state, previous, book.stale_reason)
        self._door.on_derived(change, now_ns)

    def control_book(
        self, slot: int, verb: BookVerb, reason: str, now_ns: int, *, is_derived: bool = False
    ) -> None:
        """Do this to a book, record it, and tell the strategies when its state changed."""
        book = self._held(slot)
        previous = book.state
        if not is_derived:
            self._door.on_control(BookControl(slot, verb, reason), now_ns)
        control_book(book, verb, reason, now_ns)
        if verb is BookVerb.STALE and self._shard_of[book.symbol].connection.is_up:
            # A lost connection is one event in the log, not one for each of its books.
            self._note("feed.book_stale", f"{book.symbol}: {reason}")
        if book.state is not previous:
            change = BookStateChanged(book.instrument_id, book.state, previous, book.stale_reason)
            self._door.on_derived(change, now_ns)

    def on_topic(self, change: TopicChange, now_ns: int) -> None:
        """A companion topic came or went."""
        self._door.on_control(change, now_ns)

    def on_refused(self, topic: str, text: str) -> None:
        """The venue refuses a topic for good: kept for the report."""
        self.refused[topic] = text
        self._note("feed.topic_refused", f"{topic}: {text}")

    def on_instrument_doubt(self, symbol: str) -> None:
        """A number didn't fit the instrument: read it again from the venue."""
        if self._rest is None or symbol in self._doubts or symbol not in self._slot_of:
            return
        self._doubts.add(symbol)
        self._spawn(self._reload((symbol,)))

    def instrument_for(self, symbol: str) -> Instrument:
        """Look a symbol up; raises InstrumentUnknown."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise InstrumentUnknown(f"{symbol} is not among the loaded instruments")
        return instrument

    # running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep everything alive until cancelled; raises only what the program itself did wrong."""
        async with asyncio.TaskGroup() as group:
            # A bug in a check must end the feed, not pass for a venue that doesn't answer.
            self._group = group
            for shard in self._shards:
                group.create_task(shard.connection.run())
            if self._rest is not None and self.options.audit_interval_s > 0:
                group.create_task(self._audit_for_ever())
            if self._rest is not None and self.options.instruments_interval_s > 0:
                group.create_task(self._reload_for_ever())

    async def stop(self) -> None:
        """End all connections for good."""
        for shard in self._shards:
            await shard.connection.stop()
        for task in self._checks:
            task.cancel()

    def collect(self) -> FeedCounts:
        """Return the counts of all shards, summed."""
        sessions = self.sessions
        counts = self.counts
        counts.resyncs = sum(s.counts.resyncs for s in sessions)
        counts.alarms = sum(s.counts.alarms for s in sessions)
        counts.suspicions = sum(s.counts.suspicions for s in sessions)
        counts.refused_frames = sum(s.counts.refused_frames for s in sessions)
        counts.reconnects = sum(max(0, c.counts.connects - 1) for c in self.connections)
        return counts

    def feed_latency(self) -> LatencyHistogram:
        """Return venue time to receipt over all books, clock skew included."""
        total = LatencyHistogram()
        for book in self.books:
            if book is not None:
                total.merge(book.feed_latency)
        return total

    def callback_time(self) -> LatencyHistogram:
        """Return socket read to callback over all sockets, when it is measured."""
        total = LatencyHistogram()
        for session in self.sessions:
            total.merge(session.callback_time)
        return total

    def _changed(self, source: int) -> Callable[[bool, str], None]:
        def on_change(is_up: bool, reason: str) -> None:  # noqa: FBT001 (a callback)
            name = self._shards[source].connection.name
            self._note(
                "feed.connected" if is_up else "feed.disconnected", f"{name} {reason}".strip()
            )
            event = ConnectionChanged(self.options.venue, "public", name, is_up, reason)
            self._door.on_input(event, utc_now_ns())

        return on_change

    def _after_poll(self, session: PublicSession) -> Callable[[int], None]:
        def after_poll(now_ns: int) -> None:
            for check in session.top_checks(now_ns):
                self._spawn(self._check(session, check))

        return after_poll

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._group is None:
            work.close()  # nobody runs this feed yet
            return
        task = self._group.create_task(work)
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    def _note(self, event: str, text: str) -> None:
        if self._on_note is not None:
            self._on_note(event, text)

    async def _check(self, session: PublicSession, check: TopCheck) -> None:
        """Ask REST for the top of a silent book."""
        instrument = self._instruments.get(check.symbol)
        asked_ns = utc_now_ns()
        if instrument is None:
            return
        top = None
        if self._rest is not None and len(self._checks) <= CHECKS_AT_ONCE_MAX:
            try:
                async with asyncio.timeout(CHECK_TIMEOUT_S):
                    top = await self._rest.top_of_book(instrument)
            except (TickwrightError, OSError, TimeoutError):
                top = None
        session.on_top_checked(check.slot, top, asked_ns, utc_now_ns())

    async def _audit_for_ever(self) -> None:
        """Compare one book after another with REST."""
        assert self._rest is not None
        while True:
            await asyncio.sleep(self.options.audit_interval_s / max(1, len(self._slot_of)))
            await self._audit_one()

    async def _audit_one(self) -> None:
        assert self._rest is not None
        held = [book for book in self.books if book is not None]
        if not held:
            return
        self._audit_next = (self._audit_next + 1) % len(held)
        book = held[self._audit_next]
        if not _is_synced(book):
            return
        before = book.update_count
        try:
            # Not `wait_for`: on Python 3.11 it forgets a cancellation that comes with the result.
            async with asyncio.timeout(AUDIT_TIMEOUT_S):
                top = await self._rest.top_of_book(book.instrument)
        except (TickwrightError, OSError, TimeoutError):
            self.counts.audits_skipped += 1
            return
        # Only where both mean the same moment does a difference prove anything.
        is_same_moment = top.sequence == book.sequence and before == book.update_count
        if not (is_same_moment and _is_synced(book)):
            self.counts.audits_skipped += 1
            return
        if book.top_agrees(
            top.bid_price_units, top.bid_size_units, top.ask_price_units, top.ask_size_units
        ):
            self.counts.audits_agreed += 1
            return
        self.counts.audits_differed += 1
        now_ns = utc_now_ns()
        shard = self._shard_of[book.symbol]
        self.control_book(book.slot, BookVerb.STALE, "the REST audit shows another top", now_ns)
        shard.session.resync(book.slot, now_ns)

    async def _reload_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.options.instruments_interval_s)
            await self._reload(tuple(self._slot_of))

    async def _reload(self, symbols: Sequence[str]) -> None:
        """Read instruments again and take what changed."""
        assert self._rest is not None
        try:
            only = symbols[0] if len(symbols) == 1 else ""
            for instrument in await self._rest.instruments(self.options.category, symbol=only):
                self.change_instrument(instrument)
        except (TickwrightError, OSError, TimeoutError) as error:
            self._note("feed.instruments_unread", str(error))
        finally:
            self._doubts.difference_update(symbols)

    def change_instrument(self, instrument: Instrument) -> None:
        """Take a new version of an instrument while running.

        An engine input, and maybe a fresh book.
        """
        held = self._instruments.get(instrument.symbol)
        slot = self._slot_of.get(instrument.symbol)
        if held is None or slot is None or _same_rules(held, instrument):
            return
        now_ns = utc_now_ns()
        changed = msgspec.structs.replace(
            instrument, version=held.version + 1, valid_from_ns=now_ns
        )
        self.counts.instruments_changed += 1
        self._door.on_input(InstrumentChanged(changed), now_ns)
        has_other_units = (held.price_decimals, held.size_decimals) != (
            changed.price_decimals,
            changed.size_decimals,
        )
        if has_other_units:
            # Said before the book forgets its levels, so that strategies hear of it.
            self.control_book(slot, BookVerb.CLEAR, "its units changed", now_ns)
        self.apply_instrument(changed)
        if has_other_units:
            self._shard_of[changed.symbol].session.resync(slot, now_ns)

    def apply_instrument(self, instrument: Instrument) -> None:
        """Read numbers by this version from now on."""
        self._instruments[instrument.symbol] = instrument
        self._held(self._slot_of[instrument.symbol]).change_instrument(instrument)
        self._shard_of[instrument.symbol].session.change_instrument(instrument)

    def instrument_id(self, symbol: str) -> InstrumentId:
        """Return the id of a symbol of this feed."""
        return InstrumentId(self.options.venue, self.options.category, symbol)


def book_policy(options: FeedOptions) -> BookPolicy:
    """Return the numbering rules of a feed's books."""
    return BookPolicy(window=options.depth, restart_id=options.restart_id)


def _is_synced(book: OrderBook) -> bool:
    return book.is_synced  # it changes across an await, which a type checker can't know


def _same_rules(one: Instrument, other: Instrument) -> bool:
    return msgspec.structs.replace(one, version=1, valid_from_ns=0) == msgspec.structs.replace(
        other, version=1, valid_from_ns=0
    )
