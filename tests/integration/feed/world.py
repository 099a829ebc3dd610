"""The production feed on real sockets against the simulated venue, checked at every book update.

Each update is compared with what the venue published under the same `u`: a book that says it is
synced and differs is a failure, whatever went wrong on the way.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp

from tickwright.app.venue_kit import BybitKit
from tickwright.book.control import BookControl
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import BookState, BookStateChanged, ConnectionChanged, Input, Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.units import units_from_text
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.tap import InputTap
from tickwright.simulator.faults import Fault, fault_specs
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve
from tickwright.simulator.sources.synthetic import SyntheticStyle
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.public_port import TopicChange

__all__ = ["SYMBOLS", "Witness", "World", "running_world"]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
DEADLINE_S = 30.0

Levels = list[tuple[int, int]]


class Witness:
    """Sees one topic inside the venue, before any fault, and remembers the book under every `u`."""

    def __init__(self, price_decimals: int, size_decimals: int) -> None:
        self._decimals = (price_decimals, size_decimals)
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.at: dict[int, list[Levels]] = {}

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        """Take a frame as the venue made it."""
        data = json.loads(payload)["data"]
        if not is_delta:
            self._sides = ({}, {})
        for side, rows in zip(self._sides, (data["b"], data["a"]), strict=True):
            for level in rows:
                price, size = map(units_from_text, level, self._decimals)
                side[price] = size
                if not size:
                    del side[price]
        bids, asks = self._sides
        self.at[data["u"]] = [sorted(bids.items(), reverse=True), sorted(asks.items())]


class World:
    """The venue, the feed, and what the feed told the door behind it."""

    tap: InputTap | None = None

    def __init__(self, running: RunningSimulator, category: Category) -> None:
        self.running = running
        self.category = category
        self.books: dict[int, OrderBook] = {}
        self.pinned: set[str] = set()
        self.events: list[Input] = []
        self.trades: list[Trade] = []
        self.controls: list[BookControl | TopicChange] = []
        self.updates: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.witnesses: dict[str, Witness] = {}
        self.notes: list[tuple[str, str]] = []
        self.strategy_raises: Exception | None = None
        self.compares_best = 0
        self.feed: PublicFeed
        self.task: asyncio.Task[None]
        self.kit = BybitKit(
            "bybit", Hosts(rest=running.rest, public=running.public), Random(running.venue.now_ns)
        )

    # the door

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        self.books[slot] = book

    def remove_book(self, slot: int) -> None:
        del self.books[slot]

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        if self.strategy_raises is not None:
            raise self.strategy_raises
        book = self.books[slot]
        self.updates[book.symbol] += 1
        self.compare(book)
        return None

    def on_derived(self, event: Input, now_ns: int) -> None:
        if isinstance(event, Trade):
            self.trades.append(event)
        else:
            self.events.append(event)

    def on_input(self, event: Input, now_ns: int) -> None:
        self.events.append(event)

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        self.controls.append(control)

    def on_commands(self, commands: Sequence[Command]) -> None:
        raise AssertionError("nobody answers commands here")

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        return instrument_id.symbol in self.pinned

    # the judge

    def watch(self, instrument: Instrument, depth: int) -> None:
        """Place a witness in a topic."""
        witness = Witness(instrument.price_decimals, instrument.size_decimals)
        topic = f"orderbook.{depth}.{instrument.symbol}"
        stream = self.running.venue.stream(self.category, topic)
        assert stream is not None
        stream.subscribe(witness)
        self.running.venue.subscriptions_changed()
        self.witnesses[instrument.symbol] = witness

    def compare(self, book: OrderBook) -> None:
        """Hold a synced book against what the venue published under its `u`."""
        if not book.is_synced:
            return
        self.compared[book.symbol] += 1
        theirs = self.witnesses[book.symbol].at.get(book.update_id)
        if self.compares_best and theirs is not None:
            # Levels that left our few and came back are unknown: ours must be the best of theirs.
            ours = [book.bids(), book.asks()]
            theirs = [side[: len(mine)] for side, mine in zip(theirs, ours, strict=True)]
        if theirs != [book.bids(), book.asks()]:
            self.wrong.append(f"{book.symbol} differs at u {book.update_id}")

    async def compare_by_http(self) -> None:
        """The same by the venue's control endpoint, in exact text."""
        async with aiohttp.ClientSession() as http:
            for book in list(self.books.values()):
                if not book.is_synced:
                    continue
                kept = book.copy()
                query = f"category={self.category.value}&symbol={kept.symbol}&u={kept.update_id}"
                depth = self.feed.options.depth
                url = f"{self.running.rest}/control/book?{query}&depth={depth}"
                async with http.get(url) as answer:
                    shown: dict[str, Any] = await answer.json()
                assert answer.status == 200, shown
                numbers = [
                    [[float(text) for text in level] for level in side]
                    for side in (shown["b"], shown["a"])
                ]
                ours = [
                    [[float(text) for text in level] for level in side]
                    for side in (kept.bids_text(), kept.asks_text())
                ]
                assert numbers == ours, kept

    # the story

    def book(self, symbol: str) -> OrderBook:
        book = self.feed.book(symbol)
        assert book is not None
        return book

    def strike(self, **spec: Any) -> Fault:
        """Put a fault on the venue's board, from now on."""
        (planned,) = fault_specs([spec], "test")
        return self.running.faults.add(planned, self.running.venue.now_ns)

    async def wait(
        self, what: str, condition: Callable[[], bool], seconds: float = DEADLINE_S
    ) -> float:
        """Wait until something holds; returns the seconds it took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not condition():
            if self.task.done():
                self.task.result()
                raise AssertionError("the feed ended")
            assert loop.time() - begun < seconds, f"never: {what}; {self.notes[-5:]}"
            await asyncio.sleep(0.002)
        return loop.time() - begun

    async def wait_done(self) -> None:
        """Wait until the feed ended by itself."""
        await asyncio.wait([self.task], timeout=DEADLINE_S)
        assert self.task.done(), "the feed goes on"

    def exchange_market(self, market: Any) -> None:
        """Let the feed ask this client from now on."""
        self.feed._rest = market

    async def keep(self, symbol: str) -> None:
        """Keep one more book."""
        assert self.kit.market is not None
        instruments = await self.kit.market.instruments(self.category, symbol=symbol)
        (instrument,) = instruments
        self.watch(instrument, self.feed.options.depth)
        self.feed.add(instrument)

    def topics_at_the_venue(self) -> set[str]:
        """What the venue sends us now."""
        return {
            topic
            for connection in self.running.server._connections
            for topic in getattr(connection.session, "topics", ())
        }

    async def all_synced(self, seconds: float = DEADLINE_S) -> float:
        return await self.wait("all synced", lambda: self.feed.is_all_synced, seconds)

    async def flowing(self, *symbols: str, updates: int = 5) -> None:
        """Wait for so many more updates of these symbols (all, if none is named)."""
        wanted = {symbol: self.updates[symbol] + updates for symbol in symbols or self.feed.symbols}
        await self.wait(
            f"updates of {wanted}",
            lambda: all(self.updates[symbol] >= count for symbol, count in wanted.items()),
        )

    def states_of(self, symbol: str) -> list[BookState]:
        """The states a book went through, in order."""
        return [
            event.state
            for event in self.events
            if isinstance(event, BookStateChanged) and event.instrument_id.symbol == symbol
        ]

    def reasons_of(self, symbol: str) -> list[str]:
        """Why a book was stale, each time."""
        return [
            event.reason
            for event in self.events
            if isinstance(event, BookStateChanged)
            and event.instrument_id.symbol == symbol
            and event.state is BookState.STALE
        ]

    def connections_lost(self) -> list[str]:
        return [
            event.reason
            for event in self.events
            if isinstance(event, ConnectionChanged) and not event.is_up
        ]

    async def end_well(self) -> None:
        """Everything flows again, and no synced book ever differed."""
        await self.all_synced()
        await self.flowing()
        await self.compare_by_http()
        assert [] == self.wrong, self.wrong
        assert all(self.compared[symbol] > 0 for symbol in self.feed.symbols)


@asynccontextmanager
async def running_world(
    symbols: Sequence[str] = SYMBOLS,
    *,
    listed: Sequence[str] = (),
    category: Category = Category.LINEAR,
    options: dict[str, Any] | None = None,
    events_per_s: float = 300.0,
    is_synced: bool = True,
) -> AsyncIterator[World]:
    """Run a venue of `symbols` (and the `listed` ones nobody keeps) and a feed of their books."""
    names = [*symbols, *listed]
    running = await serve(
        SimulatorOptions(
            symbols=names,
            categories=(category,),
            seed=7,
            style=SyntheticStyle(levels=300, events_per_s=events_per_s, quiet_symbols=0),
        )
    )
    world = World(running, category)
    try:
        assert world.kit.market is not None
        instruments = {
            instrument.symbol: instrument
            for instrument in await world.kit.market.instruments(category)
        }
        asked: dict[str, Any] = {"depth": 50, "capacity": 50, **(options or {})}
        feed_options = FeedOptions(venue="bybit", category=category, **asked)
        world.feed = world.kit.feed(
            feed_options, world, tap=None, on_note=lambda *note: world.notes.append(note)
        )
        for symbol in symbols:
            world.watch(instruments[symbol], feed_options.depth)
            world.feed.add(instruments[symbol])
        world.task = asyncio.create_task(world.feed.run())
        if is_synced:
            await world.all_synced()
            await world.flowing()
        yield world
    finally:
        if hasattr(world, "task"):
            await world.feed.stop()
            world.task.cancel()
            await asyncio.gather(world.task, return_exceptions=True)
        await world.kit.aclose()
        await running.stop()
