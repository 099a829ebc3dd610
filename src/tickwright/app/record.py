"""Owns recording public market data without trading: raw frames into segments, live books beside.

The same feed, tap and segments as a run, without an engine: what it writes is read as a session's
log is. The books are kept to know what the frames are worth: gaps, resyncs and reconnects stand in
the recording. It refuses keys and sends no order.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec

from tickwright import __version__
from tickwright.app.config import Config
from tickwright.app.door import BookAdded, mark_of
from tickwright.app.settings import trader_settings
from tickwright.app.simulated_side import SimulatedSide
from tickwright.app.venue_kit import BybitKit
from tickwright.app.watch import WatchOptions, check_options, instruments_of
from tickwright.book.control import BookControl
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.errors import ConnectionLost, StorageError
from tickwright.core.events import BookStateChanged, Input
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.net.trust import trusted_by
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.storage.session_log import (
    FORMAT,
    RECORDING_MODE,
    RecordKind,
    SessionHeader,
    SessionWriter,
)
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.public_port import TopicChange

__all__ = [
    "FeedPlan",
    "RecordDoor",
    "RecordReport",
    "Recording",
    "plan_of",
    "record",
    "record_config",
]

LOOK_S = 0.5


class FeedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One product line to record. `instruments_path` replaces REST."""

    name: str
    hosts: Hosts
    options: FeedOptions
    symbols: tuple[str, ...]
    instruments_path: Path | None = None
    ca_path: Path | None = None


class RecordReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded; this is the JSON of `record`.

    `lost` counts records that aren't in the recording, each hole marked in its place; `fault` says
    why. `recorder_cpu_seconds` is the part of the thread that packs and writes.
    """

    folder: str
    seconds: float
    messages: int
    messages_per_s: float
    raw_bytes: int
    disk_bytes: int
    bytes_per_message: float | None
    ratio: float | None
    segments: int
    books: int
    books_synced: int
    gaps: int
    resyncs: int
    reconnects: int
    lost: int
    is_whole: bool
    fault: str
    cpu_seconds: float
    recorder_cpu_seconds: float


class RecordDoor:
    """A `feed.door.Door` with a tap and no engine behind it."""

    def __init__(self, tap: InputTap) -> None:
        self._tap = tap
        self._encode = msgspec.json.Encoder().encode
        self.depth = 0
        """Of the books that are added next."""

    @property
    def tap(self) -> InputTap | None:
        """Records frames, controls and inputs in order."""
        return self._tap

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """A book exists: its connection, venue and instrument."""
        added = BookAdded(slot, source, book.instrument, self.depth, book.capacity)
        self._record(RecordKind.BOOK, utc_now_ns(), added)

    def remove_book(self, slot: int) -> None:
        """A book is no longer kept: its last control says so."""

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        """Nobody decides anything."""
        return None

    def on_derived(self, event: Input, now_ns: int) -> None:
        """What follows from a frame stands in it; what a book is worth is marked."""
        if event.__class__ is BookStateChanged:
            self._record(RecordKind.MARK, now_ns, mark_of(event))

    def on_input(self, event: Input, now_ns: int) -> None:
        """Connections and instruments."""
        self._record(RecordKind.INPUT, now_ns, event)

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        """What the feed did to a book or a topic."""
        self._record(RecordKind.CONTROL, now_ns, control)

    def on_commands(self, commands: Sequence[Command]) -> None:
        """No command is ever answered."""

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        """Every book was asked for by name."""
        return True

    def _record(self, kind: RecordKind, now_ns: int, held: object) -> None:
        self._tap.append(kind, 0, 0, 0, now_ns, self._encode(held))


class Recording:
    """One recording under way."""

    def __init__(self, writer: SessionWriter, feeds: list[PublicFeed]) -> None:
        self.writer = writer
        self.feeds = feeds
        self._began_s = time.monotonic()
        self._cpu_began_s = time.process_time()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began_s

    @property
    def dial_fault(self) -> str:
        """Why dialling fails while no socket was ever up; empty before that is known."""
        connections = [c for feed in self.feeds for c in feed.connections]
        if any(c.counts.connects for c in connections):
            return ""
        faults = (f"{c.url}: {c.counts.last_reason}" for c in connections if c.counts.last_reason)
        return next(faults, "")

    def report(self) -> RecordReport:
        """Return everything so far."""
        seconds = self.seconds
        counts = [feed.collect() for feed in self.feeds]
        books = [book for feed in self.feeds for book in feed.books if book is not None]
        written = self.writer.segments
        messages, raw = written.frame_count, written.frame_bytes
        return RecordReport(
            folder=str(self.writer.folder),
            seconds=round(seconds, 3),
            messages=messages,
            messages_per_s=round(messages / max(seconds, 1e-9), 1),
            raw_bytes=raw,
            disk_bytes=written.bytes_written,
            bytes_per_message=round(written.bytes_written / messages, 2) if messages else None,
            ratio=round(written.bytes_written / raw, 4) if raw else None,
            segments=written.segment_count,
            books=len(books),
            books_synced=sum(1 for book in books if book.is_synced),
            gaps=sum(c.gaps for c in counts),
            resyncs=sum(c.resyncs for c in counts),
            reconnects=sum(c.reconnects for c in counts),
            lost=written.lost_count,
            is_whole=self.writer.is_whole,
            fault=self.writer.fault,
            cpu_seconds=round(time.process_time() - self._cpu_began_s, 3),
            recorder_cpu_seconds=round(self.writer.cpu_seconds, 3),
        )


def plan_of(options: WatchOptions) -> FeedPlan:
    """Return the plan of one endpoint.

    Raises:
        ConfigError: wrong options.
    """
    check_options(options)
    return FeedPlan(
        name="record",
        hosts=options.hosts,
        options=FeedOptions(
            venue="bybit",
            category=options.category,
            depth=options.depth,
            capacity=options.depth,
            connections=options.connections,
            books_max=len(options.symbols),
        ),
        symbols=options.symbols,
        instruments_path=options.instruments_path,
        ca_path=options.ca_path,
    )


async def record_config(
    config: Config,
    folder: Path,
    *,
    seconds: float | None,
    on_view: Callable[[RecordReport], None],
    on_note: Callable[[str, str], None],
) -> RecordReport:
    """Record the books that a configuration trades; no key is used.

    Raises:
        TickwrightError: as `record`; ConnectionLost: a simulator didn't start.
    """
    async with contextlib.AsyncExitStack() as stack:
        side = SimulatedSide(
            on_remark=lambda text: on_note("record.remark", text),
            on_end=lambda text: on_note("record.remark", text),
        )
        simulated = await side.start(config, stack)
        settings = trader_settings(config, now_ns=utc_now_ns(), simulated=simulated)
        venues = {venue.name: venue for venue in settings.venues}
        plans = []
        for feed in settings.feeds:
            venue = venues[feed.options.venue]
            plans.append(
                FeedPlan(
                    name=venue.name,
                    hosts=venue.hosts,
                    options=feed.options,
                    symbols=feed.symbols,
                    ca_path=venue.ca_file,
                )
            )
        return await record(
            plans,
            folder,
            options=config.file.session.options(),
            seconds=seconds,
            on_view=on_view,
            on_note=on_note,
        )


async def record(
    plans: Sequence[FeedPlan],
    folder: Path,
    *,
    options: SegmentOptions,
    seconds: float | None,
    on_view: Callable[[RecordReport], None],
    on_note: Callable[[str, str], None],
) -> RecordReport:
    """Record until the time is over or a signal comes.

    `on_view` is called twice a second; `on_note` with (event name, text) of what a person should
    know.

    Raises:
        ConfigError: wrong options, every topic refused.
        InstrumentUnknown: a symbol isn't listed.
        StorageError: the folder can't be written.
        ConnectionLost: REST wasn't reachable, or no socket was ever up until the end.
    """
    tap = InputTap()
    door = RecordDoor(tap)
    async with contextlib.AsyncExitStack() as stack:
        wanted: list[tuple[FeedPlan, BybitKit, Sequence[Instrument]]] = []
        for plan in plans:
            trusted = trusted_by(plan.ca_path, "certificate file")
            kit = BybitKit(plan.name, plan.hosts, Random(), ssl_context=trusted)
            stack.push_async_callback(kit.aclose)
            found = await instruments_of(
                kit, plan.hosts, plan.options.category, plan.symbols, plan.instruments_path
            )
            wanted.append((plan, kit, found))
        started_ns = utc_now_ns()
        header = SessionHeader(
            format=FORMAT,
            code_version=__version__,
            config_digest="",
            config={},
            seed=0,
            epoch=0,
            started_ns=started_ns,
            mode=RECORDING_MODE,
        )
        writer = SessionWriter(_named(folder, started_ns), header, tap, options=options)
        stack.callback(writer.close)
        feeds: list[PublicFeed] = []
        for plan, kit, instruments in wanted:
            counted = msgspec.structs.replace(
                plan.options,
                slot_first=sum(len(feed.books) for feed in feeds),
                source_first=sum(feed.options.connections for feed in feeds),
            )
            feed = kit.feed(counted, door, tap=tap, on_note=on_note)
            door.depth = plan.options.depth
            for instrument in instruments:
                feed.add(instrument)
            feeds.append(feed)
        recording = Recording(writer, feeds)
        shot = await _run(recording, seconds, on_view, on_note)
        if recording.dial_fault and seconds is not None:
            raise ConnectionLost(f"no connection was ever made to {recording.dial_fault}")
        writer.close()
        # The tail is written now; the books' last state was read before the sockets went.
        return msgspec.structs.replace(
            recording.report(), seconds=shot.seconds, books_synced=shot.books_synced
        )


async def _run(
    recording: Recording,
    seconds: float | None,
    on_view: Callable[[RecordReport], None],
    on_note: Callable[[str, str], None],
) -> RecordReport:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    tasks = [asyncio.create_task(feed.run()) for feed in recording.feeds]
    stop = asyncio.create_task(stopped.wait())
    told = ""
    try:
        while not stopped.is_set() and not any(task.done() for task in tasks):
            wait_s = LOOK_S
            if seconds is not None:
                wait_s = min(wait_s, seconds - recording.seconds)
                if wait_s <= 0:
                    break
            await asyncio.wait([stop, *tasks], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            on_view(recording.report())
            fault = recording.writer.fault or recording.dial_fault
            if fault and fault != told:
                told = fault
                on_note("record.fault", fault)
        shot = recording.report()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for feed in recording.feeds:
            await feed.stop()
        for task in (stop, *tasks):
            task.cancel()
        await asyncio.wait([stop, *tasks])
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    return shot


def _named(folder: Path, started_ns: int) -> Path:
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"{folder} is no folder")
    seconds, rest = divmod(started_ns, 1_000_000_000)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return folder / f"{stamp}.{rest // 1_000_000:03d}Z"
