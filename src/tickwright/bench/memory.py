"""Owns the memory of a whole trading process: 100 symbols, 200 levels a side, 1,000 points each.

``python -m tickwright.bench.memory --rest URL --public URL ...`` runs a trader on a simulator with
everything that `tickwright run` loads, and a strategy that keeps a rolling z-score and the mids of
each book, filled at the first update so that a short run holds what a long one would.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

# What the command line and its configuration bring along belongs to the process.
import rich.live
import structlog
import typer

import tickwright.app.config
from tickwright.app.trader import Trader
from tickwright.bench.figures import Spread
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Session
from tickwright.bench.trading import STRATEGY_ID, bench_settings
from tickwright.bench.venue import started_venue
from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category, InstrumentId
from tickwright.feed.feed import FeedOptions
from tickwright.net.loop import make_loop_factory
from tickwright.strategy.base import Strategy
from tickwright.strategy.indicators import RollingZScore
from tickwright.venues.bybit.hosts import Hosts

__all__ = ["HistoryStrategy", "main", "measure_memory"]

_SYMBOLS: Final = 100
_DEPTH: Final = 200
_HISTORY: Final = 1_000
_SYNC_S_MAX: Final = 30.0
_TARGET_MB: Final = 100.0
_MB: Final = 1_000_000
_COMMAND_LINE: Final = (rich.live, structlog, typer, tickwright.app.config)


class HistoryStrategy(Strategy):
    """Keeps a z-score and the last mids of every book, full from the first update on."""

    def __init__(self) -> None:
        self.points = 0
        self._scores: dict[InstrumentId, RollingZScore] = {}
        self._mids: dict[InstrumentId, deque[float]] = {}

    def on_book(self, book: OrderBook) -> None:
        """Take the mid into the book's history."""
        twice, mid = book.mid_twice_units, book.mid
        if twice is None or mid is None:
            return
        score = self._scores.get(book.instrument_id)
        if score is None:
            score = self._scores[book.instrument_id] = RollingZScore(_HISTORY, floor=1.0)
            mids = self._mids[book.instrument_id] = deque(maxlen=_HISTORY)
            for step in range(_HISTORY):
                # Distinct values: equal ones would share an object and weigh nothing.
                score.update(twice + 1_000 + step)
                mids.append(mid + step * 1e-6)
            self.points += _HISTORY
        score.update(twice)
        self._mids[book.instrument_id].append(mid)


def _resident_mb() -> float:
    """Return this process's resident memory now, in MB of 10^6 bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024 / _MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / _MB


async def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    hosts = Hosts(
        rest=options.rest, public=options.public, private=options.private, trade=options.trade
    )
    feed = FeedOptions(venue="bybit", category=Category.LINEAR, depth=_DEPTH, capacity=_DEPTH)
    imported_mb = _resident_mb()
    symbols = options.symbols.split(",")
    trader = Trader(bench_settings(hosts, feed, symbols, HistoryStrategy, folder, has_log=True))
    await trader.start()
    running = asyncio.create_task(trader.run())
    deadline = time.monotonic() + _SYNC_S_MAX
    while not trader.feeds[0].is_all_synced and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.sleep(options.seconds)
    strategy = trader.engine.state.runs[STRATEGY_ID].strategy
    assert isinstance(strategy, HistoryStrategy)
    books = [book for book in trader.feeds[0].books if book is not None and book.is_synced]
    resident_mb = _resident_mb()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / _MB
    figures = {
        "rss_mb": resident_mb,
        # The kernel notes the peak now and then only.
        "peak_mb": max(peak_mb, resident_mb),
        "imported_mb": imported_mb,
        "books": len(books),
        "levels": min((book.bid_count + book.ask_count) // 2 for book in books),
        "points": strategy.points,
        "updates": sum(book.update_count for book in books),
        "modules": len(sys.modules),
        "loaded": [module.__name__ for module in _COMMAND_LINE],
    }
    trader.stop()
    await running
    await trader.close()
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trader and print its memory."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.memory")
    for name in ("rest", "public", "private", "trade", "symbols"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cpu", type=int, help="accepted for uniformity")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="tickwright-memory-") as folder,
        asyncio.Runner(loop_factory=make_loop_factory()) as runner,
    ):
        figures = runner.run(_run(options, Path(folder)))
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def measure_memory(session: Session) -> Section:
    """Measure the memory section."""
    rounds, seconds = (1, 4.0) if session.quick else (3, 20.0)
    from tickwright.bench.venue import listed_instruments

    reports = []
    for number in range(rounds):
        session.say(f"memory, round {number + 1} of {rounds}")
        with started_venue(_SYMBOLS) as venue:
            listed = listed_instruments(venue, _SYMBOLS)
            arguments = ["--symbols", ",".join(instrument.symbol for instrument in listed)]
            for name in ("rest", "public", "private", "trade"):
                arguments += [f"--{name}", getattr(venue, name)]
            arguments += ["--seconds", str(seconds)]
            reports.append(session.call("tickwright.bench.memory", arguments))
    section = Section(
        "memory",
        f"Whole trading process: {_SYMBOLS} symbols x {_DEPTH} levels x {_HISTORY:,} points (MB)",
        [
            Column("imported", "after imports", 1),
            Column("rss", "resident", 1),
            Column("peak", "peak", 1),
            Column("updates", "updates taken"),
        ],
    )
    section.add(
        "ours, whole trader",
        imported=Spread.of(report["imported_mb"] for report in reports),
        rss=Spread.of(report["rss_mb"] for report in reports),
        peak=Spread.of(report["peak_mb"] for report in reports),
        updates=Spread.of(report["updates"] for report in reports),
    )
    last = reports[-1]
    peak = max(report["peak_mb"] for report in reports)
    section.aim("peak of the whole process in MB, at most 100", peak, most=_TARGET_MB)
    section.notes.append(
        f"{last['books']} synced books of {last['levels']} levels a side, "
        f"{last['points']:,} points of history; engine, journal, session log, order socket and "
        "what the command line needs loaded."
    )
    section.notes.append("MB are 10^6 bytes, resident pages as the kernel counts them.")
    return section


if __name__ == "__main__":
    sys.exit(main())
