"""Owns the measurement of the matching engine alone: order events a second, driven from Python.

An order event is a request carried out (create, amend, cancel) or an execution reported; a match
between two users is two executions. Trades and level changes of the market are work of the engine
too, but aren't counted, nor are its other records (resting, armed). What is timed is everything a
user of the engine pays: making the orders, the calls, the records and reading them.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from tickwright.bench.figures import Spread
from tickwright.bench.machine import pin
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import Session
from tickwright.core.orders import Side, TimeInForce
from tickwright.matching import BookOrder, Execution, ExternalLevels, MatchingBook, OrderIds

__all__ = ["EVENTS_PER_S_MIN", "main", "measure_matching"]

#: What the engine must reach in every mix.
EVENTS_PER_S_MIN: Final = 1_000_000

_TOUCH: Final = 100_000
_LEVELS: Final = 200
_LIVE: Final = 64
_DRAIN_EVERY: Final = 16

_BUY, _SELL, _IOC = Side.BUY, Side.SELL, TimeInForce.IOC


class _Desk:
    """A book among 200 external levels a side, and the count of its executions."""

    def __init__(self) -> None:
        self.levels = ExternalLevels()
        for distance in range(_LEVELS):
            self.levels.set_level(_BUY, _TOUCH - distance, 50)
            self.levels.set_level(_SELL, _TOUCH + 1 + distance, 50)
        self.ids = OrderIds()
        self.book = MatchingBook(self.levels, new_id=self.ids)
        self.executions = 0

    def read(self) -> None:
        """Take the records and look at each."""
        for event in self.book.drain():
            if type(event) is Execution:
                self.executions += event.size_units > 0


def _rest_and_cancel(desk: _Desk, requests: int, rng: Random) -> int:
    """Keep 64 orders at 40 prices; each request makes one or cancels the oldest."""
    places = [
        (_BUY, _TOUCH - n) if n % 2 else (_SELL, _TOUCH + 1 + n)
        for n in (rng.randrange(40) for _ in range(1024))
    ]
    book, ids = desk.book, desk.ids
    live = [0] * _LIVE
    for n in range(requests // 2):
        side, price = places[n & 1023]
        order_id = ids()
        book.submit(BookOrder(order_id, 1, side, 5, price), n)
        oldest, live[n % _LIVE] = live[n % _LIVE], order_id
        if oldest:
            book.cancel(oldest, n)
        if n % _DRAIN_EVERY == 0:
            desk.read()
    desk.read()
    return requests - _LIVE


def _meet(desk: _Desk, requests: int, rng: Random) -> int:
    """Let every second order take the one before it whole."""
    sizes = [rng.randrange(1, 9) for _ in range(1024)]
    book, ids = desk.book, desk.ids
    desk.levels.set_level(_SELL, _TOUCH + 1, 0)
    for n in range(requests // 2):
        size = sizes[n & 1023]
        book.submit(BookOrder(ids(), 1, _SELL, size, _TOUCH + 1), n)
        book.submit(BookOrder(ids(), 2, _BUY, size, _TOUCH + 1, time_in_force=_IOC), n)
        if n % _DRAIN_EVERY == 0:
            desk.read()
    desk.read()
    return requests


def _make_market(desk: _Desk, requests: int, rng: Random) -> int:
    """Quote both sides in a moving market: create, amend, cancel, fills by external trades."""
    book, ids, levels = desk.book, desk.ids, desk.levels
    sizes = [rng.randrange(1, 110) for _ in range(1024)]
    taken = 0
    n = 0
    while taken < requests:
        n += 1
        size = sizes[n & 1023]
        bid, ask = ids(), ids()
        book.submit(BookOrder(bid, 1, _BUY, 5, _TOUCH, post_only=True), n)
        book.submit(BookOrder(ask, 1, _SELL, 5, _TOUCH + 1, post_only=True), n)
        book.on_trade(_SELL, _TOUCH, size, n)
        levels.set_level(_BUY, _TOUCH, 50)
        levels.set_level(_SELL, _TOUCH + 1, size)
        book.on_book_change(n)
        taken += 2
        taken += book.amend(ask, n, size_units=4)
        if size & 1:
            taken += book.amend(ask, n, price_units=_TOUCH + 2)
        taken += book.cancel(bid, n)
        taken += book.cancel(ask, n)
        if n % _DRAIN_EVERY == 0:
            desk.read()
    desk.read()
    return taken


_MIXES: Final[dict[str, Callable[[_Desk, int, Random], int]]] = {
    "rest and cancel": _rest_and_cancel,
    "two users meet": _meet,
    "quote a moving market": _make_market,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every mix in alternating rounds and print one JSON report."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.matching")
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    report: dict[str, dict[str, list[float]]] = {
        name: {"events_per_s": [], "ns_per_event": [], "fills_percent": []} for name in _MIXES
    }
    for number in range(options.rounds):
        for name, mix in _MIXES.items():
            desk = _Desk()
            gc.collect()
            started = time.process_time_ns()
            requests = mix(desk, options.requests, Random(number))
            spent_ns = time.process_time_ns() - started
            events = requests + desk.executions
            figures = report[name]
            figures["events_per_s"].append(events * 1e9 / spent_ns)
            figures["ns_per_event"].append(spent_ns / events)
            figures["fills_percent"].append(100 * desk.executions / events)
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def measure_matching(session: Session) -> Section:
    """Measure the matching section."""
    section = Section(
        "matching",
        "The matching engine alone, from Python (processor time, median, min-max)",
        [
            Column("events_per_s", "order events/s"),
            Column("ns_per_event", "ns an event"),
            Column("fills_percent", "executions, %", 1),
        ],
    )
    requests, rounds = (20_000, 3) if session.quick else (200_000, 9)
    session.say(f"matching: {rounds} rounds of {requests:,} requests a mix")
    report: dict[str, Any] = session.call(
        "tickwright.bench.matching", ["--requests", str(requests), "--rounds", str(rounds)]
    )
    for name, figures in report.items():
        spreads = {key: Spread.of(values) for key, values in figures.items()}
        section.add(name, **spreads)
        section.aim(
            f"{name}: order events/s, at least {EVENTS_PER_S_MIN:,}",
            spreads["events_per_s"].median,
            least=EVENTS_PER_S_MIN,
        )
    section.notes.append(
        "An order event is a request (create, amend, cancel) or an execution; market trades, level "
        "changes and other records are worked on but not counted."
    )
    section.notes.append(
        "Timed: making the order objects, the calls from Python, the records and reading them; 200 "
        "external levels a side."
    )
    return section


if __name__ == "__main__":
    sys.exit(main())
