"""A market recorded by the production feed, and what the feed's books were; and the same served."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tests.integration.app.trading import until
from tickwright.app.door import BookAdded
from tickwright.app.record import RecordDoor
from tickwright.app.replay_serve import Addresses, ReplayServer, ServeOptions
from tickwright.app.venue_kit import BybitKit
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.identity import Category
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.simulator.faults import FaultBoard, FaultKind, FaultSpec
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.segments import Record, RecordKind, read_segments
from tickwright.storage.session_log import FORMAT, RECORDING_MODE, SessionHeader, SessionWriter
from tickwright.venues.bybit.hosts import hosts_of
from tickwright.venues.public_port import MarketTopic

__all__ = [
    "SYMBOLS",
    "Feeding",
    "Recorded",
    "SeenDoor",
    "feeding",
    "frames_of",
    "played",
    "record_market",
    "rewritten",
    "serving",
]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
CATEGORIES = {Category.LINEAR: 2, Category.SPOT: 1}
"""Sockets by product line: which of them a recorded loss cuts must be found again."""

SUBSCRIPTIONS = 2 * len(SYMBOLS) * len(CATEGORIES)
"""Book and trades of each symbol and product line; what is left of a recording may know no more."""

Key = tuple[str, str, int]
Levels = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


class SeenDoor(RecordDoor):
    """Remembers every book at every `u`: category, symbol and `u` to all its levels."""

    def __init__(self, tap: InputTap) -> None:
        super().__init__(tap)
        self.depth = 50
        self.at: dict[Key, Levels] = {}
        self.wrong: list[Key] = []
        self._books: dict[int, OrderBook] = {}

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        super().add_book(slot, book, source)
        self._books[slot] = book

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        book = self._books[slot]
        if book.is_synced:
            key = (book.instrument_id.category.value, book.symbol, book.update_id)
            levels = tuple(book.bids()), tuple(book.asks())
            if self.at.setdefault(key, levels) != levels:
                self.wrong.append(key)
        return None


class Feeding:
    """Production feeds of one venue."""

    def __init__(self, door: SeenDoor, feeds: dict[Category, PublicFeed]) -> None:
        self.door = door
        self.feeds = feeds

    @property
    def is_all_synced(self) -> bool:
        return all(feed.is_all_synced for feed in self.feeds.values())

    def count(self, name: str) -> int:
        return sum(getattr(feed.collect(), name) for feed in self.feeds.values())


class Recorded(msgspec.Struct):
    """A recording, and what was seen while it was made."""

    folder: Path
    at: dict[Key, Levels]
    gaps: int
    reconnects: int

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("inputs-*.tws"))

    @property
    def middle(self) -> Path:
        """A segment with frames in it, before it and behind it; chance says how long each is."""
        counts = [len(frames_of(path)) for path in self.files]
        return next(
            path
            for n, path in enumerate(self.files)
            if counts[n] > 10 and sum(counts[:n]) > 50 and sum(counts[n + 1 :]) > 20
        )

    def damaged(self, folder: Path) -> Path:
        """Return a segment of a copy in which a byte is wrong, with frames before and behind it."""
        segment = self.copy(folder) / self.middle.name
        whole = bytearray(segment.read_bytes())
        whole[len(whole) // 2] ^= 0xFF
        segment.write_bytes(whole)
        return segment

    def copy(self, folder: Path) -> Path:
        """Return a copy that may be damaged."""
        shutil.copytree(self.folder, folder)
        return folder


@asynccontextmanager
async def feeding(
    place: RunningSimulator | Addresses, *, tap: InputTap | None = None
) -> AsyncIterator[Feeding]:
    """Run the production feeds of every category against a venue."""
    hosts = hosts_of(None, rest_url=place.rest, public_url=place.public)
    kit = BybitKit("bybit", hosts, Random(5))
    door = SeenDoor(tap or InputTap())
    assert kit.market is not None
    feeds: dict[Category, PublicFeed] = {}
    for category, connections in CATEGORIES.items():
        options = FeedOptions(
            venue="bybit",
            category=category,
            connections=connections,
            market_topics=(MarketTopic.TICKER, MarketTopic.CANDLE),
            audit_interval_s=1.0,
            slot_first=sum(len(feed.books) for feed in feeds.values()),
            source_first=sum(feed.options.connections for feed in feeds.values()),
        )
        feed = feeds[category] = kit.feed(options, door, tap=tap)
        listed = {one.symbol: one for one in await kit.market.instruments(category)}
        for symbol in SYMBOLS:
            feed.add(listed[symbol])
    tasks = [asyncio.create_task(feed.run()) for feed in feeds.values()]
    try:
        yield Feeding(door, feeds)
    finally:
        for feed in feeds.values():
            await feed.stop()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await kit.aclose()


@asynccontextmanager
async def recording(folder: Path, place: RunningSimulator) -> AsyncIterator[Feeding]:
    """Record what the feeds hear."""
    tap = InputTap()
    header = SessionHeader(
        format=FORMAT, code_version="", config_digest="", config={}, seed=0, epoch=0,
        started_ns=utc_now_ns(), mode=RECORDING_MODE,
    )  # fmt: skip
    options = SegmentOptions(segment_s_max=0.5, disk_free_min=0, sync_s=0)
    writer = SessionWriter(folder, header, tap, options=options)
    try:
        async with feeding(place, tap=tap) as fed:
            yield fed
    finally:
        writer.close()


async def record_market(folder: Path) -> Recorded:
    """Record a market in which a delta is lost, a socket is cut and the service restarts."""
    categories = tuple(CATEGORIES)
    running = await serve(SimulatorOptions(symbols=SYMBOLS, categories=categories, seed=3))
    try:
        async with recording(folder, running) as fed:
            door = fed.door
            await until(lambda: fed.is_all_synced and len(door.at) > 100, "all books")
            _strike(running.faults, FaultKind.GAP, category="linear", topic="orderbook.50.BTCUSDT")
            await until(lambda: fed.count("gaps") > 0 and fed.is_all_synced, "a gap, and all again")
            _strike(running.faults, FaultKind.CUT, category="linear", topic="orderbook.50.ETHUSDT")
            await until(lambda: fed.count("reconnects") > 0 and fed.is_all_synced, "a reconnect")
            _strike(
                running.faults, FaultKind.RESTART, category="spot", topic="orderbook.50.SOLUSDT"
            )
            await until(lambda: ("spot", "SOLUSDT", 3) in door.at, "a restarted service")
            seen = len(door.at)
            await until(lambda: len(door.at) > seen + 200, "some more market")
        assert [] == door.wrong
        return Recorded(folder, door.at, fed.count("gaps"), fed.count("reconnects"))
    finally:
        await running.stop()


def _strike(faults: FaultBoard, kind: FaultKind, **wanted: Any) -> None:
    faults.add(FaultSpec(kind=kind, **wanted), utc_now_ns())


@asynccontextmanager
async def serving(*paths: Path, **options: Any) -> AsyncIterator[tuple[ReplayServer, Addresses]]:
    """Serve recordings; playing begins when the block awaits `play`."""
    server = ReplayServer(ServeOptions(paths=paths, **options))
    server.prime()
    try:
        yield server, await server.start()
    finally:
        await server.stop()


async def played(server: ReplayServer, *, subscriptions: int = SUBSCRIPTIONS) -> None:
    """Play to the end, once all clients have subscribed."""
    topics = server.shelf.topics
    await until(lambda: topics.listener_count >= subscriptions, "every subscription", 30.0)
    await asyncio.wait_for(server.play(), 50)


def rewritten(
    source: Path, folder: Path, *, later_ns: int = 0, sources: Sequence[int] = (0, 1, 2)
) -> Path:
    """Write a recording again: so much later, and with the frames of these connections alone."""
    folder.mkdir()
    tap = InputTap()
    for record in read_segments(source):
        payload = record.payload
        held = record.source
        if record.kind is RecordKind.BOOK:
            held = msgspec.json.decode(payload, type=BookAdded).source
        if record.kind in (RecordKind.BOOK, RecordKind.FRAME) and held not in sources:
            continue
        at_ns = record.now_ns + later_ns
        tap.append(record.kind, record.flags, record.source, record.number, at_ns, payload)
    writer = SegmentWriter(folder, SegmentOptions(disk_free_min=0, sync_s=0))
    writer.write(tap.take())
    writer.close()
    return folder


def frames_of(folder: Path) -> list[Record]:
    """Return the recorded frames that carry a topic."""
    return [
        record
        for record in read_segments(folder)
        if record.kind is RecordKind.FRAME and record.payload.startswith(b'{"topic":')
    ]
