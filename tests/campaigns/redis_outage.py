"""Takes Redis away from a mirror under load: trading goes on, nothing is lost, all of it counted.

``python -m tests.campaigns.redis_outage --seconds 60`` feeds the frames of a tape through the
production scanner and books on the loop, 50,000 a second in reads of a millisecond, with the mirror
beside them and a real Redis that is killed, stopped, slowed, flushed, full or evicting for so long.
After each it waits until the mirror is well, and compares: every book in Redis with the live one,
every trade in the streams with those that were sent, once each and in order, where the server kept
what it held. How late the reads are before, during and after says what trading paid.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

from tickwright.bench.figures import percentile
from tickwright.bench.redis_server import RedisServer, redis_server
from tickwright.bench.tape import COMPOSED_SHAPE, Tape, make_tape
from tickwright.book.order_book import OrderBook
from tickwright.cache import open_cache
from tickwright.core.events import Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.listener import utc_now_ns
from tickwright.net.loop import make_loop_factory
from tickwright.storage.redis_address import parse_redis_url
from tickwright.storage.redis_mirror import MirrorOptions, MirrorReport, RedisMirror
from tickwright.venues.bybit.scanner import PublicScanner

__all__ = ["SCENARIOS", "Verdict", "main", "run_scenario"]

READ_S = 0.001
WELL_S = 120.0
STREAMS_MAX = 1_000_000


class Market:
    """The books and trades of a tape, fed as a socket would."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._place = 0
        self.sent: list[tuple[str, str]] = []
        """Symbol and id of every trade, in order."""
        self.instruments: dict[str, Instrument] = {}
        self.books: list[OrderBook] = []
        self.on_trades: Callable[[list[Trade]], None] = lambda trades: None
        self._scanner = PublicScanner(
            on_book=lambda slot, now_ns: None,
            on_trades=self._take,
            on_other=lambda frame, now_ns: None,
        )
        for slot, one in enumerate(tape.instruments):
            instrument = Instrument(
                id=InstrumentId("bybit", Category.LINEAR, one.symbol),
                base_asset="A",
                quote_asset="USDT",
                settle_asset="USDT",
                price_decimals=one.price_decimals,
                size_decimals=one.size_decimals,
                tick_units=1,
                lot_units=1,
                size_min_units=1,
                size_max_units=10**15,
                market_size_max_units=10**15,
            )
            book = OrderBook(instrument, capacity=tape.depth)
            self._scanner.add_book(one.book_topic, book, slot)
            self._scanner.add_trades(one.trade_topic, instrument, slot)
            self.books.append(book)
            self.instruments[one.symbol] = instrument

    def feed(self, count: int) -> None:
        """Take the next frames; a lap begins with snapshots."""
        now_ns = utc_now_ns()
        frames = self._tape.frames
        for _ in range(count):
            self._scanner.feed(frames[self._place], now_ns, last=False)
            self._place = (self._place + 1) % len(frames)

    def _take(self, trades: list[Trade]) -> None:
        number = len(self.sent)
        # Laps repeat the tape's ids: each trade gets one of its own.
        named = [
            Trade(
                t.instrument_id, t.side, t.price_units, t.size_units, f"t{number + at}",
                t.venue_ns, t.received_ns, t.sequence,
            )
            for at, t in enumerate(trades)
        ]  # fmt: skip
        self.sent += [(t.instrument_id.symbol, t.trade_id) for t in named]
        self.on_trades(named)


class Pace:
    """Feeds the market at a rate and notes how late each read was done."""

    def __init__(self, market: Market, rate: int) -> None:
        self.late_ns: list[int] = []
        self._market = market
        self._rate = rate

    async def run(self) -> None:
        """Feed until cancelled; what is late is caught up with."""
        began_ns = time.perf_counter_ns()
        fed = 0
        while True:
            due = int((time.perf_counter_ns() - began_ns) * self._rate / 1e9)
            if due > fed:
                self._market.feed(min(due - fed, 2_000))
                done_ns = time.perf_counter_ns()
                self.late_ns.append(done_ns - began_ns - int(fed * 1e9 / self._rate))
                fed += min(due - fed, 2_000)
            await asyncio.sleep(READ_S)

    def take_p99_us(self) -> float:
        """Return the p99 of what was noted since the last call."""
        noted, self.late_ns = sorted(self.late_ns), []
        return percentile(noted, 0.99) / 1e3 if noted else 0.0


class Verdict:
    """What one scenario showed; `faults` is empty when all was as it must be."""

    def __init__(self, name: str, report: MirrorReport, *, trades: int, late_us: list[float]):
        self.name = name
        self.report = report
        self.trades = trades
        self.late_us = late_us
        self.faults: list[str] = []

    def figures(self) -> dict[str, object]:
        """Return what is printed."""
        report = self.report
        return {
            "scenario": self.name,
            "trades": self.trades,
            "lost": report.entries_lost,
            "again": report.entries_again,
            "outages": report.outages,
            "outage_s": report.outage_s,
            "flushes": report.flushes,
            "skipped": report.skipped,
            "late_p99_us": [round(one) for one in self.late_us],
            "faults": self.faults,
        }


async def _killed(server: RedisServer, seconds: float) -> None:
    server.kill()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)


async def _stopped(server: RedisServer, seconds: float) -> None:
    server.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        server.signal(signal.SIGCONT)


async def _slow(server: RedisServer, seconds: float) -> None:
    """Let it run a tenth of the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await _stopped(server, 0.45)
        await asyncio.sleep(0.05)


async def _flushed(server: RedisServer, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.to_thread(_flush, server)
        await asyncio.sleep(0.5)


async def _limited(server: RedisServer, seconds: float, policy: str, room: int) -> None:
    """Leave it so many bytes beyond what it holds."""

    def limit() -> None:
        with server.client() as client:
            client.config_set("maxmemory-policy", policy)
            client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + room)

    def end() -> None:
        with server.client() as client:
            client.config_set("maxmemory", 0)

    await asyncio.to_thread(limit)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(end)


async def _full(server: RedisServer, seconds: float) -> None:
    await _limited(server, seconds, "noeviction", 0)


async def _evicting(server: RedisServer, seconds: float) -> None:
    await _limited(server, seconds, "allkeys-lru", 500_000)


def _flush(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


#: What is done to Redis, and whether it keeps what it held through it.
SCENARIOS: dict[str, tuple[Callable[[RedisServer, float], Awaitable[None]], bool]] = {
    "killed": (_killed, False),
    "stopped": (_stopped, True),
    "slow": (_slow, True),
    "flushed": (_flushed, False),
    "full": (_full, True),
    "evicting": (_evicting, False),
}


@contextlib.asynccontextmanager
async def _mirroring(url: str, market: Market) -> AsyncIterator[RedisMirror]:
    mirror = RedisMirror(
        parse_redis_url(url),
        MirrorOptions(streams_max=STREAMS_MAX),
        books=lambda: market.books,
        random=Random(1),
    )
    market.on_trades = lambda trades: mirror.on_trades(
        trades, lambda symbol: market.instruments[symbol]
    )
    running = asyncio.create_task(mirror.run())
    try:
        yield mirror
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await mirror.aclose()


async def _until(is_true: Callable[[], bool], what: str) -> str:
    """Return what didn't come true in time; nothing when it did."""
    end = time.monotonic() + WELL_S
    while not is_true():
        if time.monotonic() > end:
            return f"waited {WELL_S:g} s for {what}"
        await asyncio.sleep(0.05)
    return ""


async def run_scenario(
    name: str, tape: Tape, *, seconds: float, rate: int, around_s: float = 3.0
) -> Verdict:
    """Bring one about, with so much quiet around it, and judge what is left of it."""
    harm, keeps = SCENARIOS[name]
    market = Market(tape)
    with redis_server() as server:
        async with _mirroring(server.url, market) as mirror:
            pace = Pace(market, rate)
            feeding = asyncio.create_task(pace.run())
            faults = [await _until(lambda: mirror.report().writes > 5, "the first writes")]
            await asyncio.sleep(around_s)
            late = [pace.take_p99_us()]
            await harm(server, seconds)
            late.append(pace.take_p99_us())
            before = mirror.report().writes
            faults.append(await _until(lambda: mirror.report().is_up, "Redis to be back"))
            await asyncio.sleep(around_s)
            late.append(pace.take_p99_us())
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
            sent = len(market.sent)

            def is_settled() -> bool:
                report = mirror.report()
                return report.is_up and report.writes > before + 20 and not mirror.trades_waiting

            faults.append(await _until(is_settled, "what waited"))
            await asyncio.sleep(0.5)
            report = mirror.report()
            verdict = Verdict(name, report, trades=sent, late_us=late)
            faults += await asyncio.to_thread(_compare, server, market, keeps=keeps)
    if report.entries_lost:
        faults.append(f"{report.entries_lost} trades lost")
    # Evicted keys come back by themselves; they count only where the writer's own is among them.
    counted = {"slow": report.skipped, "flushed": report.flushes, "evicting": 1}
    if not counted.get(name, report.outages):
        faults.append("it was not counted")
    verdict.faults = [one for one in faults if one]
    return verdict


def _compare(server: RedisServer, market: Market, *, keeps: bool) -> list[str]:
    """Return how Redis differs from what it must hold."""
    faults = []
    with open_cache(server.url) as cache:
        for book in market.books:
            held = cache.book(book.instrument_id)
            if held is None or held.update_id != book.update_id or not held.is_synced:
                faults.append(f"{book.symbol} is not the live book")
    by_symbol: dict[str, list[str]] = {}
    for symbol, trade_id in market.sent:
        by_symbol.setdefault(symbol, []).append(trade_id)
    with server.client() as client:
        for symbol, expected in by_symbol.items():
            key = f"tickwright:{{{market.instruments[symbol].id}}}:trades"
            rows = client.xrange(key)
            found = [row[b"trade_id"].decode() for _, row in rows]
            if keeps and found != expected:
                faults.append(f"{symbol}: {len(found)} trades of {len(expected)}")
            elif not keeps and (len(set(found)) != len(found) or found != _tail(expected, found)):
                faults.append(f"{symbol}: its {len(found)} trades aren't the newest, once each")
    return faults


def _tail(expected: list[str], found: list[str]) -> list[str]:
    return expected[len(expected) - len(found) :]


def main() -> int:
    """Run scenarios and print what they showed; returns 1 when one found a fault."""
    parser = argparse.ArgumentParser(prog="tests.campaigns.redis_outage")
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], default=[])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tape = make_tape(
        COMPOSED_SHAPE, frames=100_000, symbols=50, category="linear", seed=options.seed
    )
    is_good = True
    for name in options.scenarios or SCENARIOS:
        with asyncio.Runner(loop_factory=make_loop_factory()) as runner:
            verdict = runner.run(
                run_scenario(name, tape, seconds=options.seconds, rate=options.rate)
            )
        is_good &= not verdict.faults
        sys.stdout.write(json.dumps(verdict.figures()) + "\n")
        sys.stdout.flush()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
