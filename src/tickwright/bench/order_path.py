"""Owns the warm path's measurement: from a strategy's signal to its order's bytes at the socket.

``python -m tickwright.bench.order_path [--quick] [--json PATH]`` drives the production parts in one
process: frames through the scanner and books, a strategy that signals on demand, sizing, planning,
the risk gate, the engine's door with a tap, the account link with a journal in a real file, Bybit's
order session and a WebSocket over loopback. Nothing in it is a stand-in but the venue, which logs
in whoever asks and reads what it gets; its answers and fills are given to the door as inputs.

Time runs from just before the strategy returns its signal to the moment production notes as
"handed to the socket", the send call included. Two kinds of runs alternate: plain ones give the
whole, watched ones the stages (a stopwatch around a call costs about 0.1 µs, taken off). Between
two orders other books are updated, so that caches are as cold as in a running process. It refuses
to say anything about the way before the signal or behind the socket.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final, NoReturn

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
from rich.console import Console

from tickwright.app.door import EngineDoor
from tickwright.bench.figures import Spread, percentile
from tickwright.bench.machine import load_warning, pinned_cpus, read_machine
from tickwright.bench.ours import instrument_of
from tickwright.bench.report import Column, Section, print_section, write_json
from tickwright.bench.runs import Session
from tickwright.bench.tape import COMPOSED_SHAPE, Tape, make_tape
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command, PlaceOrder, SetTimer
from tickwright.core.errors import ConnectionLost, InstrumentUnknown
from tickwright.core.events import BalanceReport, OrderReport, Outcome, Reply, SyncReport
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId, VenueOrderId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind, Fill, OrderState, RequestKind
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.units import MONEY_ONE
from tickwright.engine.config import EngineConfig
from tickwright.engine.engine import Engine
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.request_budget import BudgetLimits
from tickwright.feed.account_link import AccountLink
from tickwright.net.connection import DialGate
from tickwright.net.listener import utc_now_ns
from tickwright.net.loop import make_loop_factory
from tickwright.net.tap import InputTap
from tickwright.risk.limits import RiskLimits, SizingLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.storage.journal import Journal
from tickwright.strategy.base import Strategy
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.bybit.private import PrivateSession
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.scanner import PublicScanner
from tickwright.venues.bybit.sign import Credentials, Secret
from tickwright.venues.bybit.trade import TradeSession

__all__ = ["main", "measure_order_path"]

_ACCOUNT: Final = AccountId("bybit", "bench")
_STRATEGY: Final = StrategyId("bench")
_FRAMES: Final = 20_000
_FRAMES_BETWEEN: Final = 20
_WARM_ROUNDS: Final = 100
_LOGIN_S_MAX: Final = 10.0
_WIDTH_PIPED: Final = 150
_TARGET_US: Final = 15.0
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
    "exit": "exit: signal to bytes at the socket",
    "answer": "input: the venue's answer",
    "fill": "input: a fill",
    "report": "input: the order's final report",
}


class _OnDemand(Strategy):
    """Answers the next update of a book with the signal that was asked for."""

    def __init__(self) -> None:
        self.wanted: Signal | None = None
        self.signalled_ns = 0

    def on_book(self, book: OrderBook) -> Signal | None:
        """Give the wanted signal once."""
        wanted = self.wanted
        if wanted is None or book.instrument_id != wanted.instrument_id:
            return None
        self.wanted = None
        self.signalled_ns = utc_now_ns()
        return wanted


class _Venue(WSListener):
    """Logs in whoever asks and reads the rest."""

    def __init__(self) -> None:
        self.requests = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer logins and subscriptions; count orders."""
        asked = json.loads(frame.get_payload_as_bytes())
        op = asked.get("op", "")
        if op.startswith("order."):
            self.requests += 1
            return
        op = "pong" if op == "ping" else op
        answer = {"success": True, "ret_msg": "", "retCode": 0, "retMsg": "OK", "op": op}
        answer |= {"conn_id": "bench", "connId": "bench", "req_id": asked.get("req_id", "")}
        if op == "auth":
            del answer["success" if "reqId" in asked else "retCode"]
        transport.send(WSMsgType.TEXT, json.dumps(answer).encode())


class _QuietAccount:
    """The REST side of an account with money and nothing else."""

    async def sync(self, categories: Sequence[Category], *, since_ns: int) -> SyncReport:
        """Return a funded, flat account."""
        now_ns = utc_now_ns()
        balance = BalanceReport(
            account_id=_ACCOUNT,
            asset="USDT",
            wallet_balance=1_000_000_000 * MONEY_ONE,
            locked=0,
            venue_ns=now_ns,
            received_ns=now_ns,
        )
        return SyncReport(
            account_id=_ACCOUNT,
            orders=(),
            positions=(),
            balances=(balance,),
            fills=(),
            venue_ns=now_ns,
        )

    async def send(self, *_: object, **__: object) -> NoReturn:
        """Refuse: everything must leave by the socket here."""
        raise ConnectionLost("the order socket was not used")

    query_order = cancel_all = send


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


def _config() -> EngineConfig:
    """Return the production checks with limits wide enough for many orders a second."""
    most = Decimal(10_000)
    return EngineConfig(
        risk=RiskLimits(
            position_percent_max=most,
            exposure_percent_max=most,
            leverage_max=Decimal(100),
            spread_bps_max=most,
            price_band_bps_max=most,
            order_notional_usdt_max=Decimal(10) ** 9,
            orders_per_second_max=10_000,
            orders_per_minute_max=100_000,
            sizing=SizingLimits(depth_share_percent_max=Decimal(100)),
            protections=ProtectionLimits(order_storm_max=10_000, flip_flops_max=10_000),
        ),
        execution=ExecutionConfig(
            answer_timeout_ms=60_000,
            slippage_bps_max=5.0,
            budget=BudgetLimits(limit=100_000),
        ),
    )


class _Path:
    """One process-wide set of production parts from scanner to socket."""

    def __init__(self, tape: Tape, folder: Path) -> None:
        now_ns = utc_now_ns()
        self.engine = Engine(_config(), epoch=1, seed=1, now_ns=now_ns)
        self.engine.add_account(_ACCOUNT)
        self.tap = InputTap()
        self.door = EngineDoor(self.engine, self.tap, self._execute, depth=tape.depth)
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.books: list[OrderBook] = []
        self.sent: list[PlaceOrder] = []
        self.sent_ns = 0
        self.scanner = PublicScanner(
            on_book=self.door.on_book,
            on_commands=self.door.on_commands,
            on_other=self._refuse,
            tap=self.tap,
        )
        for slot, named in enumerate(tape.instruments):
            instrument = instrument_of(named, tape.category)
            book = OrderBook(instrument, capacity=tape.depth)
            self.instruments[instrument.id] = instrument
            self.books.append(book)
            self.door.add_book(slot, book, 0)
            self.scanner.add_book(named.book_topic, book, slot)
            self.scanner.add_trades(named.trade_topic, instrument, slot)
        self.strategy = _OnDemand()
        self.engine.add_strategy(
            _STRATEGY,
            self.strategy,
            account_id=_ACCOUNT,
            instruments=tuple(self.instruments),
        )
        self.journal = Journal(folder, account=str(_ACCOUNT), epoch=1, now_ns=0)
        self.link = AccountLink(
            _ACCOUNT,
            self.door,
            _QuietAccount(),  # type: ignore[arg-type]
            self.journal,
            categories=(Category(tape.category),),
            last_price_units=self._last_price_units,
            on_sent=self._on_sent,
        )
        credentials = Credentials("bench", Secret("bench"))
        self.channel = TradeSession(
            _ACCOUNT,
            credentials,
            OrderEncoder(self._instrument_of),
            self.link,
            wake=self.link.wake,
        )
        rows = RowReader(
            _ACCOUNT,
            lambda category, symbol: self._instrument_of(
                InstrumentId(_ACCOUNT.venue, category, symbol)
            ),
        )
        self._private = PrivateSession(credentials, rows, self.link, wake=self.link.wake)

    def connect(self, url: str) -> None:
        """Give the link its sockets."""
        gate = DialGate(random.Random(1))
        self.link.connect((url, self._private), (url, self.channel), gate, gate)
        self.door.start(utc_now_ns())

    def _instrument_of(self, instrument_id: InstrumentId) -> Instrument:
        instrument = self.instruments.get(instrument_id)
        if instrument is None:
            raise InstrumentUnknown(f"{instrument_id} is not on the tape")
        return instrument

    def _last_price_units(self, command: PlaceOrder) -> int | None:
        twice = self.engine.state.book(command.instrument_id).mid_twice_units
        return None if twice is None else twice // 2

    def _on_sent(self, command: PlaceOrder, sent_ns: int) -> None:
        self.sent_ns = sent_ns
        self.sent.append(command)
        self.door.on_sent(command, sent_ns)

    def _execute(self, commands: Sequence[Command]) -> None:
        self.link.execute_all([one for one in commands if not isinstance(one, SetTimer)])

    def _refuse(self, frame: bytes, now_ns: int) -> None:
        raise AssertionError(f"the tape holds a frame the scanner refuses: {frame[:80]!r}")


class _Run:
    """Sends entries and exits in turn; keeps the whole and, when watched, the stages."""

    def __init__(self, path: _Path, tape: Tape, watch: _Stopwatch | None) -> None:
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
        """Enter and leave so many times, on the books in turn."""
        books = self._path.books
        for number in range(_WARM_ROUNDS + rounds):
            if number == _WARM_ROUNDS:
                self.samples.clear()
            book = books[number % len(books)]
            await self._order("entry", _entry(book, is_long=number % 2 == 0))
            await self._order("exit", _exit(book))
            if number % 64 == 0:
                self._path.tap.take()
                self._path.engine.take_notices()

    async def _order(self, name: str, signal: Signal) -> None:
        """Update books until the strategy has signalled, then answer and fill its order."""
        path, strategy = self._path, self._path.strategy
        for _ in range(_FRAMES_BETWEEN):
            self._feed_next()
        path.sent.clear()
        strategy.wanted = signal
        spent: dict[str, int] = {} if self._watch is None else self._watch.spent
        spent.clear()
        while strategy.wanted is not None:
            self._feed_next()
        if len(path.sent) != 1:
            raise RuntimeError(f"the signal caused {len(path.sent)} orders: {self._why()}")
        self.samples[name].append(path.sent_ns - strategy.signalled_ns)
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
            account_id=_ACCOUNT,
            client_id=order.client_id,
            request=RequestKind.CREATE,
            outcome=Outcome.ACCEPTED,
            code=0,
            text="OK",
            venue_id=venue_id,
            venue_ns=now_ns,
        )
        fill = Fill(
            account_id=_ACCOUNT,
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
            account_id=_ACCOUNT,
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


def _entry(book: OrderBook, *, is_long: bool) -> Signal:
    return Signal(
        instrument_id=book.instrument_id,
        kind=SignalKind.LONG if is_long else SignalKind.SHORT,
        confidence=0.7,
        reason="z -2.41 beyond 2, imbalance +0.31",
        stop_loss_fraction=0.005,
        take_profit_fraction=0.015,
    )


def _exit(book: OrderBook) -> Signal:
    return Signal(
        instrument_id=book.instrument_id, kind=SignalKind.EXIT, reason="z +0.08 within 0.5"
    )


async def _run(tape: Tape, rounds: int, *, is_watched: bool) -> dict[str, list[int]]:
    """Return the samples of one run over fresh parts."""
    server = await ws_create_server(lambda _: _Venue(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    with tempfile.TemporaryDirectory(prefix="tickwright-path-") as folder:
        path = _Path(tape, Path(folder))
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
        assert path.journal.entry_count == 2 * (rounds + _WARM_ROUNDS)
        return run.samples


def _figures(*, runs: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return percentiles in us, by percentile and stage, one figure a run."""
    tape = make_tape(COMPOSED_SHAPE, frames=_FRAMES, category="linear")
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in _PERCENTILES}
    factory = make_loop_factory()
    for _ in range(runs):
        for is_watched in (False, True):
            with asyncio.Runner(loop_factory=factory) as runner:
                samples = runner.run(_run(tape, rounds, is_watched=is_watched))
            for name, values in samples.items():
                if is_watched is (name in _STAGES):
                    ordered = sorted(values)
                    for key, part in _PERCENTILES.items():
                        found[key][name].append(percentile(ordered, part) / 1e3)
    return found


def _section(figures: dict[str, dict[str, list[float]]], *, rounds: int) -> Section:
    runs = len(figures["p50"]["entry"])
    section = Section(
        "order_path",
        "Signal to the order's bytes handed to the socket, in process (µs, median (min-max) "
        f"over {runs} runs of {rounds} entries and exits)",
        [Column(key, key, 1) for key in _PERCENTILES],
    )
    for name, label in _LABELS.items():
        section.add(label, **{key: Spread.of(figures[key][name]) for key in _PERCENTILES})
    reached = Spread.of(figures["p50"]["entry"]).median
    section.aim("p50 of an entry, µs", reached, most=_TARGET_US)
    section.notes.append(
        "one core, uvloop, the venue in the same process over loopback; journal in append mode in "
        "the folder for temporary files; stages from watched runs of their own: they don't add up"
    )
    return section


def _extent(*, quick: bool) -> dict[str, int]:
    return {"runs": 1, "rounds": 300} if quick else {"runs": 9, "rounds": 1_500}


def measure_order_path(session: Session) -> Section:
    """Measure in a process of its own and return the table."""
    extent = _extent(quick=session.quick)
    session.say("signal to order bytes: {runs} plain and watched runs".format(**extent))
    arguments = ["--report", "--quick"] if session.quick else ["--report"]
    figures = session.call("tickwright.bench.order_path", arguments)
    return _section(figures, rounds=extent["rounds"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; with ``--report`` the bare figures as JSON."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.order_path")
    parser.add_argument("--quick", action="store_true", help="one short run of each kind")
    parser.add_argument("--report", action="store_true", help="figures alone, as JSON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    cpu = options.cpu if options.report else pinned_cpus()[0]
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    extent = _extent(quick=options.quick)
    if options.report:
        sys.stdout.write(json.dumps(_figures(**extent)) + "\n")
        return 0
    console = Console() if Console().is_terminal else Console(width=_WIDTH_PIPED)
    machine = read_machine()
    console.print(machine.line(), highlight=False)
    if (warning := load_warning(os.getloadavg()[0])) is not None:
        console.print(f"Warning: {warning}.", style="yellow")
    section = _section(_figures(**extent), rounds=extent["rounds"])
    print_section(console, section)
    if options.json is not None:
        write_json(options.json, machine, [section], [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
