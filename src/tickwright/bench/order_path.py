"""Owns the warm path's measurement: from a strategy's wish to its order's bytes at the socket.

``python -m tickwright.bench.order_path [--quick] [--json PATH]`` drives the production parts in one
process: frames through the scanner and books, a strategy that wishes on demand, sizing, planning,
the risk gate, the engine's door with a tap, the account link with a journal in a real file, Bybit's
order session and a WebSocket over loopback. Nothing in it is a stand-in but the venue, which logs
in whoever asks and reads what it gets; its answers and fills are given to the door as inputs.

Time runs from just before the strategy returns its wish to the moment production notes as "handed
to the socket", the send call included. A wish is a signal to enter, which is sized and planned, an
exact intent, or a signal to leave. Runs alternate: plain ones give the whole, one for each policy
of `journal.sync`, so that a slow moment of the machine or its disk meets all of them; watched ones
give the stages (a stopwatch around a call costs about 0.1 µs, taken off). Between two orders other
books are updated, so that caches are as cold as in a running process. It refuses to say anything
about the way before the wish or behind the socket.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final

from picows import ws_create_server
from rich.console import Console

from tickwright.bench.figures import Spread, percentile
from tickwright.bench.machine import load_warning, pin, pinned_cpus, read_machine
from tickwright.bench.order_parts import (
    ACCOUNT,
    OrderPath,
    QuietVenue,
    entry_wish,
    exit_wish,
    intent_wish,
)
from tickwright.bench.report import Column, Section, print_section, write_json
from tickwright.bench.runs import Session
from tickwright.bench.tape import COMPOSED_SHAPE, Tape, make_tape
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import PlaceOrder
from tickwright.core.events import OrderReport, Outcome, Reply
from tickwright.core.identity import VenueOrderId
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    OrderIntent,
    OrderState,
    RequestKind,
)
from tickwright.core.signals import Signal
from tickwright.net.listener import utc_now_ns
from tickwright.net.loop import make_loop_factory
from tickwright.storage.journal import SyncPolicy

__all__ = ["WARM_ROUNDS", "main", "measure_order_path", "measured_run"]

_Figures = dict[str, dict[str, list[float]]]

_FRAMES: Final = 20_000
_FRAMES_BETWEEN: Final = 20
WARM_ROUNDS: Final = 100
_LOGIN_S_MAX: Final = 10.0
_WIDTH_PIPED: Final = 150
_ENTRY_US: Final = 15.0
_INTENT_US_MAX: Final = 50.0
_SENT_S_MAX: Final = 10.0
#: Every policy of the journal, the one that is the default first.
_POLICIES: Final[tuple[SyncPolicy, ...]] = ("never", "interval", "always")
#: The tenth is what other work on the machine disturbs least; it is no target.
_PERCENTILES: Final = {"p10": 0.1, "p50": 0.5, "p99": 0.99}

_STAGES: Final = {
    "entry size": "  of it: size the signal",
    "entry plan": "  of it: plan price and bracket",
    "entry judge": "  of it: risk gate",
    "entry record": "  of it: blotter",
    "entry journal": "  of it: journal (write included)",
    "entry encode": "  of it: venue's bytes",
    "entry send": "  of it: send call",
}
_LABELS: Final = {
    "entry": "entry: signal to bytes at the socket",
    **_STAGES,
    "intent": "intent: exact order to bytes at the socket",
    "exit": "exit: signal to bytes at the socket",
    "book": "input: a book update without a wish",
    "answer": "input: the venue's answer",
    "fill": "input: a fill",
    "report": "input: the order's final report",
}


class _Stopwatch:
    """Notes how long chosen calls take, one list of nanoseconds a stage."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = defaultdict(int)
        self.cost_ns = 0
        self.cost_ns = self._own_cost()

    def watch(self, owner: object, method: str, stage: str) -> None:
        """Time every call of a method of one object."""
        setattr(owner, method, self._timed(getattr(owner, method), stage))

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        spent = self.spent

        def timed(*arguments: Any, **named: Any) -> Any:
            started = perf_counter_ns()
            try:
                return call(*arguments, **named)
            finally:
                spent[stage] += perf_counter_ns() - started - self.cost_ns

        return timed

    def _own_cost(self) -> int:
        empty = self._timed(lambda: None, "")
        costs = []
        for _ in range(2_000):
            self.spent.clear()
            empty()
            costs.append(self.spent[""])
        self.spent.clear()
        return percentile(sorted(costs), 0.5)


class _Run:
    """Sends entries, exits, intents and exits in turn; keeps times and, when watched, stages."""

    def __init__(self, path: OrderPath, tape: Tape, watch: _Stopwatch | None) -> None:
        self.samples: dict[str, list[int]] = defaultdict(list)
        self._path = path
        self._frames = tape.frames[: tape.snapshots], tape.frames[tape.snapshots :]
        self._watch = watch
        self._place = 0
        self._execution = 0
        self._held_price_units = 0
        for frame in self._frames[0]:
            path.scanner.feed(frame, utc_now_ns())
        if watch is not None:
            state = path.engine.state
            watch.watch(state.sizer, "size", "size")
            watch.watch(state.planner, "entry", "plan")
            watch.watch(state.planner, "exit", "plan")
            watch.watch(state.gate, "check", "judge")
            watch.watch(state.blotter, "open", "record")
            watch.watch(path.journal, "promise", "journal")
            watch.watch(path.channel, "encode", "encode")
            watch.watch(path.link.trade_connection, "send", "send")

    async def take(self, rounds: int) -> None:
        """Enter and leave so many times by a signal and by an intent, on the books in turn."""
        books = self._path.books
        for number in range(WARM_ROUNDS + rounds):
            if number == WARM_ROUNDS:
                self.samples.clear()
            book = books[number % len(books)]
            for name, wish in (("entry", entry_wish), ("exit", exit_wish), ("intent", intent_wish)):
                await self._order(name, book, partial(wish, is_long=number % 2 == 0))
            await self._order("exit", book, partial(exit_wish, is_long=number % 2 == 0))
            if number % 64 == 0:
                self._path.tap.take()
                self._path.engine.take_notices()

    async def _order(
        self, name: str, book: OrderBook, wish: Callable[[OrderBook], Signal | OrderIntent]
    ) -> None:
        """Update books until the strategy has wished, then answer and fill its order."""
        path, strategy = self._path, self._path.strategy
        for _ in range(_FRAMES_BETWEEN):
            self._feed_next()
        # What every message costs the engine when nobody acts on it.
        started = perf_counter_ns()
        path.door.on_book(book.slot, utc_now_ns())
        self.samples["book"].append(perf_counter_ns() - started)
        path.sent.clear()
        path.was_sent.clear()
        strategy.wanted, strategy.book = wish, book
        spent: dict[str, int] = {} if self._watch is None else self._watch.spent
        spent.clear()
        while strategy.wanted is not None:
            self._feed_next()
        if path.journal.sync == "always":
            # It leaves once another thread has brought its record to the disk.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SENT_S_MAX):
                    await path.was_sent.wait()
        if len(path.sent) != 1:
            raise RuntimeError(f"the wish caused {len(path.sent)} orders: {self._why()}")
        self.samples[name].append(path.sent_ns - strategy.wished_ns)
        for stage, ns in spent.items():
            self.samples[f"{name} {stage}"].append(ns)
        # The outcome of the send enters, the venue reads.
        await asyncio.sleep(0)
        self._answer(path.sent[0])

    def _why(self) -> str:
        return str([str(notice) for notice in self._path.engine.take_notices()[-2:]])

    def _feed_next(self) -> None:
        rest = self._frames[1]
        if self._place == len(rest):
            self._place = 0
            for frame in self._frames[0]:
                self._path.scanner.feed(frame, utc_now_ns())
        frame = rest[self._place]
        self._place += 1
        self._path.scanner.feed(frame, utc_now_ns())

    def _answer(self, order: PlaceOrder) -> None:
        """Accept and fill an order, timing what the engine makes of each input."""
        now_ns = utc_now_ns()
        self._execution += 1
        venue_id = VenueOrderId(f"1523f-{self._execution}")
        assert order.price_units is not None
        price_units = order.price_units
        if self._held_price_units:
            # Every trade gains a little, or Kelly's rule would soon refuse the next.
            price_units = self._held_price_units - order.side * (self._held_price_units // 1_000)
        self._held_price_units = 0 if self._held_price_units else price_units
        answer = Reply(
            account_id=ACCOUNT,
            client_id=order.client_id,
            request=RequestKind.CREATE,
            outcome=Outcome.ACCEPTED,
            code=0,
            text="OK",
            venue_id=venue_id,
            venue_ns=now_ns,
        )
        fill = Fill(
            account_id=ACCOUNT,
            instrument_id=order.instrument_id,
            execution_id=f"x{self._execution}",
            kind=ExecutionKind.TRADE,
            side=order.side,
            price_units=price_units,
            size_units=order.size_units,
            fee=0,
            fee_asset="USDT",
            is_maker=False,
            venue_ns=now_ns,
            received_ns=now_ns,
            client_id=order.client_id,
            venue_id=venue_id,
        )
        filled = OrderReport(
            account_id=ACCOUNT,
            instrument_id=order.instrument_id,
            client_id=order.client_id,
            venue_id=venue_id,
            side=order.side,
            order_type=order.order_type,
            state=OrderState.FILLED,
            price_units=order.price_units,
            size_units=order.size_units,
            filled_units=order.size_units,
            reason="",
            venue_ns=now_ns,
            received_ns=now_ns,
            reduce_only=order.reduce_only,
        )
        for name, event in (("answer", answer), ("fill", fill), ("report", filled)):
            started = perf_counter_ns()
            self._path.door.on_input(event, utc_now_ns())
            self.samples[name].append(perf_counter_ns() - started)


async def measured_run(
    tape: Tape, rounds: int, *, is_watched: bool, sync: SyncPolicy = "never"
) -> dict[str, list[int]]:
    """Return the samples of one run over fresh parts."""
    server = await ws_create_server(lambda _: QuietVenue(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    with tempfile.TemporaryDirectory(prefix="tickwright-path-") as folder:
        path = OrderPath(tape, Path(folder), sync)
        path.connect(f"ws://{host}:{port}/")
        running = asyncio.create_task(path.link.run())
        async with asyncio.timeout(_LOGIN_S_MAX):
            # Looked at now and then, because nothing calls out when both sockets are ready.
            while not (path.link.is_synced and path.channel.is_ready):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        run = _Run(path, tape, _Stopwatch() if is_watched else None)
        gc.collect()
        gc.freeze()
        try:
            await run.take(rounds)
        finally:
            gc.unfreeze()
            await path.link.stop()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            server.close()
            await server.wait_closed()
            path.journal.close()
        assert path.journal.entry_count == 4 * (rounds + WARM_ROUNDS)
        return run.samples


def _figures(*, runs: int, rounds: int) -> _Figures:
    """Return percentiles in us, by percentile and what was timed, one figure a run.

    Figures of a policy but the first are named `<policy> <name>`.
    """
    tape = make_tape(COMPOSED_SHAPE, frames=_FRAMES, category="linear")
    found: _Figures = {name: defaultdict(list) for name in _PERCENTILES}
    factory = make_loop_factory()
    kinds = [("", _POLICIES[0], True), *((f"{one} ", one, False) for one in _POLICIES)]
    for _ in range(runs):
        for prefix, sync, is_watched in kinds:
            with asyncio.Runner(loop_factory=factory) as runner:
                samples = runner.run(measured_run(tape, rounds, is_watched=is_watched, sync=sync))
            for name, values in samples.items():
                if is_watched is (name in _STAGES):
                    ordered = sorted(values)
                    for key, part in _PERCENTILES.items():
                        found[key][prefix + name].append(percentile(ordered, part) / 1e3)
    return found


def _sections(figures: _Figures, *, rounds: int) -> list[Section]:
    default = f"{_POLICIES[0]} "
    runs = len(figures["p50"][default + "entry"])
    over = f"(µs, median (min-max) over {runs} runs of {rounds} rounds)"
    path = Section(
        "order_path",
        f"Wish to the order's bytes handed to the socket, in process {over}",
        [Column(key, key, 1) for key in _PERCENTILES],
    )
    for name, label in _LABELS.items():
        full = name if name in _STAGES else default + name
        path.add(label, **{key: Spread.of(figures[key][full]) for key in _PERCENTILES})
    for name, most in (("intent", _INTENT_US_MAX), ("entry", _INTENT_US_MAX), ("entry", _ENTRY_US)):
        reached = Spread.of(figures["p50"][default + name]).median
        path.aim(f"p50 of {name}, at most {most:g} µs", reached, most=most)
    path.notes.append(
        "one core, uvloop, the venue in the same process over loopback; journal in append mode in "
        "the folder for temporary files; stages from watched runs of their own: they don't add up"
    )
    policies = Section(
        "order_path_sync",
        f"The same by the journal's policy, journal.sync {over}",
        [
            Column(f"{name}_{key}", f"{name}, {key}", 1)
            for name in ("intent", "entry", "exit")
            for key in ("p50", "p99")
        ],
    )
    for sync in _POLICIES:
        policies.add(
            sync,
            **{
                f"{name}_{key}": Spread.of(figures[key][f"{sync} {name}"])
                for name in ("intent", "entry", "exit")
                for key in ("p50", "p99")
            },
        )
    policies.notes.append(
        "never: written before the send, so it survives the death of the process; interval: forced "
        "to the disk by another thread every 0.2 s; always: forced to the disk before the send, by "
        "another thread. Runs of the three alternate; the disk is that of the temporary files."
    )
    return [path, policies]


def _extent(*, quick: bool) -> dict[str, int]:
    return {"runs": 1, "rounds": 150} if quick else {"runs": 9, "rounds": 600}


def measure_order_path(session: Session) -> list[Section]:
    """Measure in a process of its own and return the tables."""
    extent = _extent(quick=session.quick)
    session.say("wish to order bytes: {runs} runs of each policy and watched".format(**extent))
    arguments = ["--report", "--quick"] if session.quick else ["--report"]
    figures = session.call("tickwright.bench.order_path", arguments)
    return _sections(figures, rounds=extent["rounds"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; with ``--report`` the bare figures as JSON."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.order_path")
    parser.add_argument("--quick", action="store_true", help="one short run of each kind")
    parser.add_argument("--report", action="store_true", help="figures alone, as JSON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    cpu = options.cpu if options.report else pinned_cpus()[0]
    pin(cpu)
    extent = _extent(quick=options.quick)
    if options.report:
        sys.stdout.write(json.dumps(_figures(**extent)) + "\n")
        return 0
    console = Console() if Console().is_terminal else Console(width=_WIDTH_PIPED)
    machine = read_machine()
    console.print(machine.line(), highlight=False)
    if (warning := load_warning(os.getloadavg()[0])) is not None:
        console.print(f"Warning: {warning}.", style="yellow")
    sections = _sections(_figures(**extent), rounds=extent["rounds"])
    for section in sections:
        print_section(console, section)
    if options.json is not None:
        write_json(options.json, machine, sections, [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
