"""Owns one trading process: venue, feed, engine and accounts put together, started and ended.

It refuses to decide: the engine does. The order of a start is fixed: addresses, clock, instruments,
key rights, books, strategies, then the sockets; an account trades once it was read whole.
"""

import asyncio
import contextlib
import gc
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tickwright import __version__
from tickwright.app.door import EngineDoor
from tickwright.app.notice_log import protection_words, work_words
from tickwright.app.promises import Promises
from tickwright.app.state_keeper import StateKeeper
from tickwright.app.timers import Timers
from tickwright.app.trader_settings import (
    AccountSettings,
    FeedSettings,
    TraderSettings,
)
from tickwright.app.trader_snapshot import (
    TraderSnapshot,
    book_line,
    microseconds,
    percentiles,
)
from tickwright.app.venue_kit import BybitKit
from tickwright.book.order_book import LatencyHistogram
from tickwright.core.commands import (
    Command,
    HaltNotice,
    Notice,
    OrderNotice,
    PlaceOrder,
    ProtectionNotice,
    SetTimer,
    SignalNotice,
    StopsNotice,
    WorkNotice,
)
from tickwright.core.errors import (
    ConfigError,
    ConnectionLost,
    FrameError,
    InstrumentUnknown,
    VenueError,
)
from tickwright.core.events import (
    ClockNotice,
    OperatorCommand,
    OperatorVerb,
    StateRestored,
)
from tickwright.core.identity import AccountId, Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.nearest import near_names
from tickwright.core.verdicts import Rejected
from tickwright.engine.engine import Engine
from tickwright.engine.plan import add_strategies, build_engine
from tickwright.feed.account_link import AccountLink
from tickwright.feed.feed import PublicFeed
from tickwright.feed.together import AccountCommand
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.net.trust import trusted_by
from tickwright.storage.fence import Fence
from tickwright.storage.journal import Journal
from tickwright.storage.kept_state import read_kept_state
from tickwright.storage.kill_order import read_kill_order
from tickwright.storage.lease import Lease
from tickwright.storage.session_log import FORMAT, SessionHeader, SessionWriter
from tickwright.venues.bybit.account_rest import BybitAccountClient
from tickwright.venues.bybit.errors import remedy_of
from tickwright.venues.bybit.hosts import Hosts

if TYPE_CHECKING:
    from tickwright.app.paper import PaperVenue

__all__ = ["Trader"]

T = TypeVar("T")

NOTES_MAX = 200
"""Log lines kept for the screen."""
STOP_GRACE_S = 3.0
"""How long the end waits for cancels to be answered."""
STOP_LOOK_S = 0.02
CLOCK_EVERY_S = 60.0
NOTICES_EVERY_S = 0.1
START_TRIES_S = 10.0
"""How long a start keeps asking a venue that doesn't answer."""


class Trader:
    """Runs what `settings` say until it is stopped.

    Args:
        on_note: called with (event, text) for the log.
        on_notice: called with every notice of the engine, about ten times a second.
    """

    def __init__(
        self,
        settings: TraderSettings,
        *,
        on_note: Callable[[str, str], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self.settings = settings
        self.feeds: list[PublicFeed] = []
        self.links: dict[AccountId, AccountLink] = {}
        self.clients: dict[AccountId, BybitAccountClient] = {}
        """For questions besides trading, such as the check of the ledger at the end."""
        self.notes: deque[str] = deque(maxlen=NOTES_MAX)
        self.last_refusals: deque[str] = deque(maxlen=20)
        self.last_signals: deque[str] = deque(maxlen=20)
        self._on_note = on_note
        self._on_notice = on_notice
        self._random = Random(settings.seed)
        self._kits: dict[str, BybitKit] = {}
        self._account_kits: dict[str, BybitKit] = {}
        """Where accounts are: at the venue itself, or at the paper one."""
        self._paper: PaperVenue | None = None
        self.paper_hosts: Hosts | None = None
        """Where the paper venue of this run listens."""
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._started = time.monotonic()
        self._cpu_started = time.process_time()
        self._log: SessionWriter | None = None
        self._promises: Promises | None = None
        self._stop = asyncio.Event()
        self.started_ns = 0
        self.epoch = 0
        """When this run began, and under which lease: the two name its session."""
        self.killed = ""
        """Why the kill switch ended this run; empty while it didn't."""
        self._fence: Fence | None = None
        self._lease: Lease | None = None
        self._keeper: StateKeeper | None = None
        self.engine: Engine
        self.door: EngineDoor
        self._timers: Timers

    # starting -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Ask the venues everything that must be known before the first socket.

        Raises:
            ConfigError: an unknown symbol, a key that may withdraw, nothing to trade.
            ConnectionLost, VenueError, FrameError: a venue couldn't be asked.
            StorageError: another trader uses the state folder, or what it kept can't be believed.
        """
        settings = self.settings
        self._lease = Lease.take(settings.state_folder, utc_now_ns())
        kept = None if settings.has_fresh_accounts else read_kept_state(settings.state_folder)
        kill = read_kill_order(settings.state_folder)
        if kill is not None:
            raise ConfigError(
                f"{kill.words()}; `tickwright kill CONFIG --lift` lets it trade again"
            )
        for venue in settings.venues:
            trusted = trusted_by(venue.ca_file, f"venue {venue.name}: ca_file")
            self._kits[venue.name] = BybitKit(
                venue.name, venue.hosts, self._random, ssl_context=trusted
            )
        clocks = [
            await self._patiently(venue.name, self._kits[venue.name].measure_clock)
            for venue in settings.venues
        ]
        for feed in settings.feeds:
            await self._load_instruments(feed)
        await self._open_account_venues()
        clients = self.clients
        for account in settings.accounts:
            kit = self._account_kits[account.account_id.venue]
            client = kit.client(
                account.account_id,
                account.credentials,
                self._instrument_of,
                self_trade=account.self_trade,
            )
            await self._check_key(client)
            clients[account.account_id] = client
        started_ns = utc_now_ns()
        epoch = self._lease.epoch
        self.started_ns, self.epoch = started_ns, epoch
        self._fence = Fence(settings.state_folder, epoch=epoch)
        self._promises = Promises(settings.state_folder, settings.journal_sync, epoch=epoch)
        tap = self._open_log(epoch, started_ns)
        self.engine = build_engine(
            settings.plan, epoch=epoch, seed=settings.seed, now_ns=started_ns
        )
        depth = settings.feeds[0].options.depth if settings.feeds else 50
        if self._paper is None:
            self.door = EngineDoor(self.engine, tap, self._execute, depth=depth)
        else:
            self.door = self._paper.door(self.engine, tap, self._execute, depth=depth)
        self._timers = Timers(self.door.on_input)
        for feed in settings.feeds:
            self._add_feed(feed, tap)
        add_strategies(self.engine, settings.plan, settings.classes)
        for account in settings.accounts:
            seen_ns = 0 if kept is None else kept.seen_ns(account.account_id)
            journal = self._promises.open(account.account_id, utc_now_ns())
            self._add_link(account, clients[account.account_id], journal, seen_ns=seen_ns)
        if kept is not None:
            # Before the start: strategies find their positions in `on_start`.
            self.door.on_input(StateRestored(kept), utc_now_ns())
        self.door.start(utc_now_ns())
        for clock in clocks:
            # Limits count from the first order on, not from the next measurement.
            self.door.on_input(clock, utc_now_ns())
            self._tell_skew(clock)
        self._keeper = StateKeeper(self.engine, settings.state_folder, on_note=self._note)
        self.door.on_restricted = self._keeper.save
        for restored in self._promises.restored():
            count = len(restored.orders)
            self._note("journal.open", f"{restored.account_id}: {count} orders of an earlier run")
            self.door.on_input(restored, utc_now_ns())
        for account in settings.accounts:
            for category in account.categories:
                symbols = [s for f in settings.feeds for s in f.symbols]
                for fees in await clients[account.account_id].fees(category, symbols=symbols):
                    self.door.on_input(fees, utc_now_ns())
        # What stands now stays: modules, books, configuration. The collector would look through it
        # again and again, each time holding the loop for about 20 ms.
        gc.collect()
        gc.freeze()

    async def _check_key(self, client: BybitAccountClient) -> None:
        """Refuse a key that can't trade, or may do more than trade."""
        account = f"account {client.account_id}"
        try:
            rights = await client.key_rights()
        except VenueError as error:
            remedy = remedy_of(error.code)
            if not remedy:
                raise
            raise ConfigError(
                f"{account}: the venue refuses its API key ({error}); {remedy}"
            ) from None
        except FrameError as error:
            text = f"{account}: the venue's answer about its API key can't be read: {error}"
            raise FrameError(text) from None
        if rights.can_withdraw:
            raise ConfigError(f"{account}: its API key may withdraw; make one that can't")
        if rights.is_read_only:
            raise ConfigError(f"{account}: its API key may only read; make one that may trade")
        if not rights.is_bound_to_address and self.mode not in ("simulator", "paper"):
            self._note("account.key_unbound", f"{client.account_id}: bind the key to your IP")

    async def _patiently(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until it works or the start has waited long enough."""
        deadline = time.monotonic() + START_TRIES_S
        while True:
            try:
                return await ask()
            except ConnectionLost as error:
                if time.monotonic() > deadline:
                    raise ConnectionLost(f"venue {name} doesn't answer: {error}") from None
                self._note("venue.unreachable", f"{name}: {error}")
                await asyncio.sleep(0.5)

    async def _open_account_venues(self) -> None:
        """Know where accounts trade; a paper venue is opened for them here."""
        settings = self.settings
        if settings.paper is None:
            self._account_kits = self._kits
            return
        # A live run has no use for the simulated venue's code.
        from tickwright.app.paper import PaperVenue

        self._paper = PaperVenue(
            settings.paper,
            [(account.account_id, account.credentials) for account in settings.accounts],
            self._instruments.values(),
            on_note=self._note,
        )
        hosts = self.paper_hosts = await self._paper.start()
        for venue in settings.venues:
            # A clock of its own: the real venue's may differ from this machine's.
            kit = BybitKit(venue.name, hosts, self._random)
            self._account_kits[venue.name] = kit
            await kit.measure_clock()

    async def _load_instruments(self, feed: FeedSettings) -> None:
        kit = self._kits[feed.options.venue]
        assert kit.market is not None
        listed = {i.symbol: i for i in await kit.market.instruments(feed.options.category)}
        for symbol in feed.symbols:
            instrument = listed.get(symbol)
            if instrument is None:
                near = near_names(symbol, listed, count=3)
                hint = f"; near: {', '.join(near)}" if near else ""
                raise InstrumentUnknown(
                    f"{feed.options.venue} lists no {feed.options.category.value} symbol "
                    f"{symbol}{hint}"
                )
            self._instruments[instrument.id] = instrument

    def _open_log(self, epoch: int, started_ns: int) -> InputTap | None:
        settings = self.settings
        if settings.session_folder is None:
            return None
        tap = InputTap()
        header = SessionHeader(
            format=FORMAT,
            code_version=__version__,
            config_digest=settings.plan.digest(),
            config=settings.plan.to_builtins(),
            seed=settings.seed,
            epoch=epoch,
            started_ns=started_ns,
            mode=self.mode,
        )
        self._log = SessionWriter(
            settings.session_folder, header, tap, options=settings.session_options
        )
        return tap

    def _add_feed(self, feed: FeedSettings, tap: InputTap | None) -> None:
        options = msgspec.structs.replace(
            feed.options,
            slot_first=sum(len(f.books) for f in self.feeds),
            source_first=sum(f.options.connections for f in self.feeds),
        )
        kit = self._kits[options.venue]
        made = kit.feed(options, self.door, tap=tap, on_note=self._note, measures_callbacks=True)
        for symbol in feed.symbols:
            made.add(self._instruments[InstrumentId(options.venue, options.category, symbol)])
        self.feeds.append(made)

    def _add_link(
        self,
        account: AccountSettings,
        client: BybitAccountClient,
        journal: Journal,
        *,
        seen_ns: int,
    ) -> None:
        account_id = account.account_id
        kit = self._account_kits[account_id.venue]
        self.links[account_id] = kit.link(
            account_id,
            account.credentials,
            client,
            self.door,
            journal,
            self._instrument_of,
            categories=account.categories,
            last_price_units=self._last_price_units,
            on_sent=self.door.on_sent,
            on_note=self._note,
            wants_trade_socket=not account.orders_by_rest,
            batches=account.batches_orders,
            self_trade=account.self_trade,
            fence=self._fence,
            reconcile_s=self.settings.plan.engine.execution.reconcile_ms / 1e3,
            seen_ns=seen_ns,
        )

    # running ------------------------------------------------------------------------------------

    async def run(
        self,
        seconds: float | None = None,
        *,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Trade until `stop` is called or `seconds` have passed; then end in order.

        `before_end` is called once nothing is opened and no order works any more, while the sockets
        are still up: the moment to compare with the venue.
        """
        self._started = time.monotonic()
        self._cpu_started = time.process_time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(feed.run()) for feed in self.feeds]
            tasks += [group.create_task(link.run()) for link in self.links.values()]
            if self._paper is not None:
                tasks.append(group.create_task(self._paper.run()))
            tasks.append(group.create_task(self._look_after()))
            tasks.append(group.create_task(self._keep_clocks()))
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), seconds)
            await self._end(before_end)
            for task in tasks:
                task.cancel()

    def stop(self) -> None:
        """End as soon as possible, in order."""
        self._stop.set()

    async def close(self) -> None:
        """Release files and connections; call once `run` is over."""
        if hasattr(self, "door"):
            self.take_notices()
            self.door.stop(utc_now_ns())
        if self._keeper is not None:
            self._keeper.close()
            if self._promises is not None:
                self._promises.settle(self._keeper.covered_ns)
            self._keeper = None
        if self._fence is not None:
            self._fence.end()
            self._fence = None
        if self._log is not None:
            self._log.close()
        if self._promises is not None:
            self._promises.close()
        for kit in {*self._kits.values(), *self._account_kits.values()}:
            await kit.aclose()
        if self._paper is not None:
            await self._paper.stop()
        if self._lease is not None:
            self._lease.release()

    async def _end(self, before_end: Callable[[], Awaitable[None]] | None) -> None:
        """Open nothing more, cancel what works, wait for the answers, then drop the sockets."""
        self.door.on_input(
            OperatorCommand(OperatorVerb.STOP, "all", "end of the run"), utc_now_ns()
        )
        if self.killed:
            # The switch cancels by itself, and ends a trader that lingers.
            before_end = None
        for _ in range(int(STOP_GRACE_S / STOP_LOOK_S)):
            if self.killed or not self.engine.state.blotter.live_count:
                break
            await asyncio.sleep(STOP_LOOK_S)
        if before_end is not None:
            await before_end()
        self._timers.clear()
        for feed in self.feeds:
            await feed.stop()
        for link in self.links.values():
            await link.stop()

    async def _look_after(self) -> None:
        """Beat, show notices, keep what risk must know again."""
        while True:
            await asyncio.sleep(NOTICES_EVERY_S)
            self._show_life()
            self.take_notices()
            if self._keeper is not None:
                self._keeper.look(time.monotonic())
                assert self._promises is not None
                self._promises.settle(self._keeper.covered_ns)

    async def _keep_clocks(self) -> None:
        """Measure the venues' clocks now and then, and at once where our time was refused.

        Apart from the heartbeat: a venue that doesn't answer must not look like a dead trader.
        """
        next_clock = time.monotonic() + CLOCK_EVERY_S
        while True:
            await asyncio.sleep(NOTICES_EVERY_S)
            is_due = time.monotonic() > next_clock
            if is_due:
                next_clock = time.monotonic() + CLOCK_EVERY_S
            for name, kit in self._kits.items():
                if not (is_due or kit.clock.is_doubted):
                    continue
                try:
                    notice = await kit.measure_clock()
                except (ConnectionLost, FrameError, VenueError) as error:
                    self._note("venue.clock_unread", f"{name}: {error}")
                    continue
                self.door.on_input(notice, utc_now_ns())

    def _tell_skew(self, clock: ClockNotice) -> None:
        """Say what helps when our clock is too far from the venue's to open anything."""
        skew_ms = (abs(clock.offset_ns) + clock.uncertainty_ns) / 1e6
        bound_ms = self.settings.plan.engine.risk.clock_skew_ms_max
        if skew_ms > bound_ms:
            self._note(
                "venue.clock_apart",
                f"{clock.source}: our clock is {skew_ms / 1e3:.1f} s from the venue's and "
                f"clock_skew_ms_max is {bound_ms}: nothing is opened; let NTP set it: "
                "`timedatectl set-ntp true`",
            )

    def _show_life(self) -> None:
        """Beat, and end at once when the kill switch was thrown."""
        fence = self._fence
        if fence is None or self.killed:
            return
        fence.beat()
        if fence.is_revoked:
            order = read_kill_order(self.settings.state_folder)
            self.killed = "the kill switch was thrown" if order is None else order.words()
            self._note("trader.killed", self.killed)
            # The switch's own order outlives a restart, and is lifted by itself.
            halt = OperatorCommand(OperatorVerb.HALT, "all", self.killed, outlives_restart=False)
            self.door.on_input(halt, utc_now_ns())
            self._stop.set()

    def take_notices(self) -> None:
        """Pass on what the engine told since the last call."""
        for notice in self.engine.take_notices():
            if isinstance(notice, SignalNotice):
                self._show_signal(notice)
            elif isinstance(notice, HaltNotice):
                self._note("engine.halted", f"{notice.scope}: {notice.reason}")
            elif isinstance(notice, ProtectionNotice):
                self.notes.append(protection_words(notice))
            elif isinstance(notice, StopsNotice):
                self._note(
                    "stops.held" if notice.is_held else "stops.watched",
                    f"{notice.instrument_id.symbol} {notice.strategy_id}: {notice.reason}",
                )
            elif isinstance(notice, WorkNotice):
                self.notes.append(work_words(notice))
            else:
                if self._promises is not None:
                    self._promises.end(notice, self.engine)
                if notice.reason:
                    self.notes.append(_order_text(notice))
            if self._on_notice is not None:
                self._on_notice(notice)

    def _show_signal(self, notice: SignalNotice) -> None:
        signal = notice.signal
        head = f"{signal.instrument_id.symbol} {signal.kind.value} {signal.reason}".strip()
        if isinstance(notice.verdict, Rejected):
            self.last_refusals.append(f"{head} -> {notice.verdict}")
        else:
            self.last_signals.append(head)

    # commands -----------------------------------------------------------------------------------

    def _execute(self, commands: Sequence[Command]) -> None:
        by_account: dict[AccountId, list[AccountCommand]] = {}
        if len(commands) == 1 and isinstance(commands[0], PlaceOrder):
            # Most steps that ask for anything ask for one order, and it waits for this.
            self.links[commands[0].account_id].execute(commands[0])
            return
        for command in commands:
            if isinstance(command, SetTimer):
                self._timers.set(command)
            else:
                by_account.setdefault(command.account_id, []).append(command)
        for account_id, its in by_account.items():
            self.links[account_id].execute_all(its)

    def _instrument_of(self, category: Category, symbol: str) -> Instrument:
        for feed in self.feeds:
            if feed.options.category is category:
                return feed.instrument_for(symbol)
        for instrument_id, instrument in self._instruments.items():
            if instrument_id.category is category and instrument_id.symbol == symbol:
                return instrument
        raise InstrumentUnknown(f"{category.value} {symbol} is not among the configured ones")

    def _last_price_units(self, command: PlaceOrder) -> int | None:
        book = self.engine.state.book(command.instrument_id)
        twice = book.mid_twice_units
        return None if twice is None else twice // 2

    def _note(self, event: str, text: str) -> None:
        self.notes.append(f"{event} {text}")
        if self._on_note is not None:
            self._on_note(event, text)

    # looking ------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """What screens and reports call this run."""
        return self.market if self.settings.paper is None else "paper"

    @property
    def market(self) -> str:
        """Where the market data comes from."""
        return "+".join(sorted({venue.mode for venue in self.settings.venues}))

    @property
    def seconds(self) -> float:
        """Since trading began."""
        return time.monotonic() - self._started

    @property
    def log_fault(self) -> str:
        """Why the session log isn't whole; empty while it is."""
        return "" if self._log is None else self._log.fault

    def snapshot(self, *, has_results: bool = False) -> TraderSnapshot:
        """Return the whole process at this moment; results by strategy where wanted."""
        now_ns = utc_now_ns()
        counts = [feed.collect() for feed in self.feeds]
        listeners = [c.listener for f in self.feeds for c in f.connections if c.listener]
        feed_time, callback, turn = LatencyHistogram(), LatencyHistogram(), LatencyHistogram()
        for feed in self.feeds:
            feed_time.merge(feed.feed_latency())
            callback.merge(feed.callback_time())
        for listener in listeners:
            turn.merge(listener.turn_time)
        sessions = [s for f in self.feeds for s in f.sessions]
        books = [book_line(b, now_ns) for f in self.feeds for b in f.books if b is not None]
        offsets = [kit.clock.offset_ns for kit in self._kits.values()]
        return TraderSnapshot(
            mode=self.mode,
            market=self.market,
            seconds=self.seconds,
            cpu_seconds=time.process_time() - self._cpu_started,
            messages=sum(c.frame_count for f in self.feeds for c in f.connections),
            book_updates=sum(s.book_frame_count for s in sessions),
            trades=sum(s.trade_count for s in sessions),
            frames_per_turn_max=max((x.turn_frames_max for x in listeners), default=0),
            turn_us_p99=microseconds(turn.percentile_ns(0.99)),
            conflated=sum(s.conflated_count for s in sessions),
            feed_ms=percentiles(feed_time, 1e6),
            callback_us=percentiles(callback, 1e3),
            tick_to_order_us=percentiles(self.door.tick_to_order, 1e3),
            gaps=sum(c.gaps for c in counts),
            resyncs=sum(c.resyncs for c in counts),
            reconnects=sum(c.reconnects for c in counts),
            suspicions=sum(c.suspicions for c in counts),
            alarms=sum(c.alarms for c in counts),
            refused_frames=sum(c.refused_frames for c in counts),
            audits_agreed=sum(c.audits_agreed for c in counts),
            audits_differed=sum(c.audits_differed for c in counts),
            clock_offset_ms=max(offsets, key=abs, default=0) / 1e6,
            books_synced=sum(1 for line in books if line.state == "synced"),
            books=tuple(books),
            engine=self.engine.summary(has_results=has_results),
            log_is_whole=self._log is None or self._log.is_whole,
            log_bytes=0 if self._log is None else self._log.bytes_written,
            journal_entries=0 if self._promises is None else self._promises.entry_count,
            last_refusals=tuple(self.last_refusals),
            last_signals=tuple(self.last_signals),
            notes=tuple(self.notes),
        )


def _order_text(notice: OrderNotice) -> str:
    # What the venue attached to a position, or another client placed, has no name of ours.
    name = notice.client_id or "held by the venue"
    symbol = notice.instrument_id.symbol
    return f"order {symbol} {name} {notice.state.value}: {notice.reason}"
