"""Owns the faults that a feed is timed under: one client process against a simulated venue.

``python -m tickwright.bench.prober SCENARIO --public URL --rest URL --count N`` keeps 50 linear
books over the production feed with its REST checks, commits one fault after another on the
simulator and prints, for each, the seconds until it was noticed and until every book was valid
again, as one JSON report.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import aiohttp

from tickwright.book.control import BookControl
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command
from tickwright.core.events import BookState, BookStateChanged, ConnectionChanged, Input
from tickwright.core.identity import Category, InstrumentId
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.connection import DialGate
from tickwright.net.http import HttpClient
from tickwright.net.listener import utc_now_ns
from tickwright.net.loop import make_loop_factory
from tickwright.net.tap import InputTap
from tickwright.venues.bybit.public import PublicSession
from tickwright.venues.bybit.rest import BybitMarketClient
from tickwright.venues.bybit.rest_call import RestCaller
from tickwright.venues.public_port import TopicChange

__all__ = ["SCENARIOS", "main"]

_CATEGORY: Final = Category.LINEAR
_WAIT_S_MAX: Final = 90.0
#: Gaps between updates are judged every 5 s and from 200 of them on: only then is a topic busy.
_WARM_UP_S: Final = 12.0
_SILENCE_S: Final = 8.0


@dataclass(slots=True)
class _Harm:
    """One way to hurt a feed: the simulator's fault, and whether it is about one book only."""

    kind: str
    topic: str = "*"
    duration_s: float = 0.0
    is_about_one_book: bool = False
    warm_up_s: float = 2.0


def _scenarios(busy_symbol: str, outage_s: float) -> dict[str, _Harm]:
    topic = f"orderbook.50.{busy_symbol}"
    return {
        "reset": _Harm("cut", topic),
        "outage": _Harm("outage", duration_s=outage_s),
        "silent_topic": _Harm(
            "silence_topic", topic, _SILENCE_S, is_about_one_book=True, warm_up_s=_WARM_UP_S
        ),
        "vanished": _Harm("vanish", topic),
        "lost_delta": _Harm("gap", topic, is_about_one_book=True),
    }


SCENARIOS: Final = tuple(_scenarios("", 0.0))


class _Door:
    """Notes when a book fell into doubt and when all of them were valid again."""

    tap: InputTap | None = None

    def __init__(self) -> None:
        self.feed: PublicFeed | None = None
        self.doubt_ns = 0
        self.valid_ns = 0
        self.last_frame_ns = 0
        self.watched = ""
        self.false_alarms = 0
        self.changed = asyncio.Event()

    def expect(self, watched: str) -> None:
        """Forget the last fault; notice doubts about one symbol, or about any for ``""``."""
        self.doubt_ns = self.valid_ns = self.last_frame_ns = 0
        self.watched = watched
        self.changed.clear()

    def add_book(self, slot: int, book: OrderBook, source: int) -> None:
        """Take note of nothing: the feed keeps the books."""

    def remove_book(self, slot: int) -> None:
        """Take note of nothing: no book is removed here."""

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command] | None:
        """Take an update and want nothing."""
        return None

    def on_derived(self, event: Input, now_ns: int) -> None:
        """Take a change of a book's state."""
        if isinstance(event, BookStateChanged):
            self._on_state(event)

    def on_input(self, event: Input, now_ns: int) -> None:
        """Take a lost connection as noticed at once."""
        if isinstance(event, ConnectionChanged) and not event.is_up:
            self.doubt_ns = self.doubt_ns or time.monotonic_ns()
        if isinstance(event, BookStateChanged):
            self._on_state(event)

    def on_control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        """Take what the feed does to a book; the change of state follows."""

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Take commands; nobody gives any."""

    def is_pinned(self, instrument_id: InstrumentId) -> bool:
        """Keep every book."""
        return True

    def _on_state(self, event: BookStateChanged) -> None:
        assert self.feed is not None
        if event.state is BookState.STALE and not self.doubt_ns:
            if self.watched and self.watched != event.instrument_id.symbol:
                self.false_alarms += 1
                return
            self.doubt_ns = time.monotonic_ns()
            book = self.feed.book(event.instrument_id.symbol)
            assert book is not None
            self.last_frame_ns = book.received_ns
        if event.state is BookState.SYNCED and self.doubt_ns and self.feed.is_all_synced:
            self.valid_ns = self.valid_ns or time.monotonic_ns()
            self.changed.set()


class _Prober:
    """Runs one scenario a number of times."""

    def __init__(
        self, feed: PublicFeed, door: _Door, control: str, http: aiohttp.ClientSession
    ) -> None:
        self._feed = feed
        self._door = door
        self._control = control
        self._http = http
        self.results: list[dict[str, float]] = []

    async def settle(self) -> None:
        """Wait until every book is valid."""
        deadline = time.monotonic() + _WAIT_S_MAX
        while not self._feed.is_all_synced:
            if time.monotonic() > deadline:
                raise TimeoutError("the books were never all valid")
            await asyncio.sleep(0.01)

    async def strike(self, fault: _Harm, symbol: str) -> None:
        """Commit the fault once and file how long things took."""
        self._door.expect(symbol if fault.is_about_one_book else "")
        body: dict[str, Any] = {
            "kind": fault.kind,
            "category": _CATEGORY.value,
            "topic": fault.topic,
            "duration_s": fault.duration_s,
        }
        struck_ns = time.monotonic_ns()
        async with self._http.post(self._control, json=body) as reply:
            if reply.status != 200:
                raise RuntimeError(f"the simulator refused {body}: {await reply.text()}")
        await asyncio.wait_for(self._door.changed.wait(), _WAIT_S_MAX)
        door = self._door
        # A book in doubt is noticed late by as long as it had been silent; a lost socket at once.
        silent_s = (utc_now_ns() - door.last_frame_ns) / 1e9 if door.last_frame_ns else 0.0
        silent_s -= (time.monotonic_ns() - door.doubt_ns) / 1e9
        self.results.append(
            {
                "noticed_s": max(0.0, silent_s),
                "valid_s": (door.valid_ns - door.doubt_ns) / 1e9,
                "valid_after_return_s": (door.valid_ns - struck_ns) / 1e9 - fault.duration_s,
            }
        )


async def _probe(options: argparse.Namespace) -> dict[str, Any]:
    door = _Door()
    async with HttpClient(options.rest) as http, aiohttp.ClientSession() as control:
        market = BybitMarketClient(RestCaller(http, now=utc_now_ns, random=Random(1)))
        listed = await market.instruments(_CATEGORY)
        instruments = listed[: options.symbols]

        def make_session(feed: PublicFeed, source: int) -> PublicSession:
            return PublicSession(_CATEGORY, feed, source=source)

        feed = PublicFeed(
            FeedOptions(venue="bybit", category=_CATEGORY),
            door,
            make_session=make_session,
            url=f"{options.public}/{_CATEGORY.value}",
            gate=DialGate(Random(1)),
            rest=market,
        )
        door.feed = feed
        for instrument in instruments:
            feed.add(instrument)
        running = asyncio.create_task(feed.run())
        prober = _Prober(feed, door, f"{options.rest}/control/faults", control)
        fault = _scenarios(instruments[0].symbol, options.outage)[options.scenario]
        work = asyncio.create_task(_strikes(prober, fault, instruments[0].symbol, options.count))
        done, _ = await asyncio.wait((running, work), return_when=asyncio.FIRST_COMPLETED)
        await feed.stop()
        for task in (running, work):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            for task in done:
                task.result()
    return {"results": prober.results, "books": len(instruments), "false_alarms": door.false_alarms}


async def _strikes(prober: _Prober, fault: _Harm, symbol: str, count: int) -> None:
    await prober.settle()
    await asyncio.sleep(fault.warm_up_s)
    pause = Random(1)
    for _ in range(count):
        await prober.settle()
        # Not in step with the venue's pushes or our polls.
        await asyncio.sleep(0.3 + 0.4 * pause.random())
        await prober.strike(fault, symbol)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario and print its report."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.prober")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--public", required=True)
    parser.add_argument("--rest", required=True)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--outage", type=float, default=10.0)
    parser.add_argument("--cpu", type=int, help="accepted for uniformity; both processes share all")
    options = parser.parse_args(arguments)
    with asyncio.Runner(loop_factory=make_loop_factory()) as runner:
        report = runner.run(_probe(options))
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
