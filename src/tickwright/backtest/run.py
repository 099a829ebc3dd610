"""Owns one backtest: the live engine, a tape's market, and the ways between them.

Whatever the engine gets in a live run it gets here by the same door: books as they were applied,
trades, prices, answers, reports, fills, timers. It refuses to know better than a live run would:
requests take their time to the venue, what the venue tells takes its time back.
"""

import gc
import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from tickwright.backtest.collector import RunCollector
from tickwright.backtest.impact import ImpactSpec
from tickwright.backtest.latency import LatencySpec, Way, feed_times
from tickwright.backtest.loop import TapeLoop
from tickwright.backtest.record import RunRecord
from tickwright.backtest.tape import Ints, MessageKind, Tape
from tickwright.backtest.venue import AccountTerms, TapeVenue
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.commands import AmendOrder, CancelOrder, Command, PlaceOrder, SetTimer
from tickwright.core.errors import ConfigError
from tickwright.core.events import (
    FundingUpdate,
    IndexPrice,
    Input,
    LastPrice,
    MarkPrice,
    TimerFired,
)
from tickwright.core.identity import AccountId
from tickwright.core.orders import Fill
from tickwright.core.units import money_from_decimal
from tickwright.engine.plan import TradingPlan, add_strategies, build_engine, parse_account
from tickwright.matching import QueueModel
from tickwright.simulator.gateway import News
from tickwright.strategy.base import Strategy

__all__ = ["Backtest", "BacktestSettings", "Progress", "run_backtest"]

CAPACITY_DEFAULT = 1_000
"""Levels a side that our own books keep where the tape shows all."""
SAMPLES_MAX = 4_000_000
"""Mids sampled over all instruments; more than that and they are sampled less often."""
_LOOK_MESSAGES = 1 << 18
"""Messages looked at together before a run: figures about all of them would be in memory."""
CURVE_POINTS = 2_000
_STEPS_S = (1, 2, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)
_NEVER_NS = (1 << 63) - 1
_SECOND_NS = 1_000_000_000
_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestSettings:
    """What a backtest depends on: the same settings give the same result, to the last digit.

    `classes` holds the strategies by their source. `rate_scale` multiplies the venue's request
    limits. `queue` says how an order moves forward when size leaves its price without a trade,
    `queue_exponent` goes with `QueueModel.POWER`. `impact` moves the prices that our orders meet by
    what they took before; with None that is gone, and no more. `from_ns` and `until_ns` bound the
    tape by receive time (0: whole).
    """

    tape: Path
    plan: TradingPlan
    classes: Mapping[str, type[Strategy]]
    accounts: Mapping[str, AccountTerms]
    """By `venue:name`."""
    name: str = "backtest"
    seed: int = 1
    feed: LatencySpec = field(default_factory=lambda: LatencySpec(kind="recorded"))
    orders: LatencySpec = field(default_factory=lambda: LatencySpec(ms=5.0))
    responses: LatencySpec = field(default_factory=lambda: LatencySpec(ms=5.0))
    rate_scale: float = 1.0
    queue: QueueModel = QueueModel.BACK
    queue_exponent: float = 1.0
    impact: ImpactSpec | None = None
    sample_ms: int = 250
    from_ns: int = 0
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: messages and their total, level rows of all, seconds since the start."""

    messages: int
    total: int
    seconds: float


def run_backtest(
    settings: BacktestSettings, *, on_progress: Callable[[Progress], None] | None = None
) -> RunRecord:
    """Run a backtest to the end of its tape.

    Raises:
        ConfigError: the plan names what the tape doesn't hold, or an account without terms.
        StorageError: the tape is damaged.
    """
    return Backtest(settings, on_progress=on_progress).run()


class Backtest:
    """One run over one tape; see `run_backtest`."""

    def __init__(
        self,
        settings: BacktestSettings,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.settings = settings
        self.tape = tape = Tape(settings.tape)
        self._instrument_ids = [one.id for one in tape.instruments]
        self._on_progress = on_progress
        self._began_s = time.perf_counter()
        rng = Random(settings.seed)
        local_ns = feed_times(
            settings.feed, tape.venue_ns, tape.received_ns, seed=rng.getrandbits(63)
        )
        self._first, self._last = _bounds(tape, settings)
        wanted = slice(self._first, self._last)
        start_ns, end_ns = int(local_ns[wanted].min()), int(local_ns[wanted].max())
        self._orders = Way(settings.orders, Random(rng.getrandbits(64)))
        self._responses = Way(settings.responses, Random(rng.getrandbits(64)))
        self._heap: list[tuple[int, int, Callable[[Any, int], None], Any]] = []
        self._number = 0
        self._account_ids = [parse_account(name) for name in settings.plan.accounts]
        self.venue = TapeVenue(
            tape,
            {one: _terms(settings, one) for one in self._account_ids},
            seed=rng.getrandbits(63),
            start_ns=int(tape.venue_ns[wanted].min()),
            rate_scale=settings.rate_scale,
            queue=settings.queue,
            queue_exponent=settings.queue_exponent,
            impact=settings.impact,
            on_news=self._on_news,
        )
        self._held_news: list[tuple[AccountId, News]] | None = None
        engine = self.engine = build_engine(
            settings.plan, epoch=1, seed=rng.getrandbits(63), now_ns=start_ns
        )
        self.books = [_book(tape, slot) for slot in range(len(tape.instruments))]
        for slot, book in enumerate(self.books):
            engine.add_book(slot, book)
        add_strategies(engine, settings.plan, dict(settings.classes))
        self.sample_ns = _sample_ns(settings.sample_ms, end_ns - start_ns, len(self.books))
        samples = (end_ns - start_ns) // self.sample_ns + 1
        mids = np.full((len(self.books), samples), -1, dtype=np.int64)
        venue_order = _venue_order(tape, wanted)
        local_order = _local_order(local_ns[wanted])
        self.loop = TapeLoop(
            self,
            tape,
            local_ns,
            books=self.books,
            sides=self.venue.sides,
            lanes=[engine.state.lanes[one.id] for one in tape.instruments],
            engine=engine,
            mids=mids,
            sample_first_ns=start_ns,
            sample_ns=self.sample_ns,
            venue_order=venue_order,
            local_order=local_order,
            keeps_order=_keeps_order(tape.messages["kind"][wanted], venue_order, local_order),
            first=self._first,
            last=self._last,
        )
        self.venue.follow(self.loop)
        self.collector = RunCollector(self, mids, start_ns=start_ns, end_ns=end_ns)
        self._writes = self.collector.writes
        self._start_ns, self._end_ns = start_ns, end_ns
        self._curve_ns = _curve_ns(end_ns - start_ns)

    def run(self) -> RunRecord:
        """Walk the tape; returns what was left behind."""
        was_enabled = gc.isenabled()
        # Nothing here makes cycles by the million; each look of the collector costs milliseconds.
        gc.disable()
        try:
            self.loop.warm()
            self._start()
            self.loop.run()
        finally:
            if was_enabled:
                gc.enable()
        wall_s = time.perf_counter() - self._began_s
        return self.collector.record(wall_s)

    def starting_equity(self) -> int:
        """Return what the accounts began with in the equity asset, in money units."""
        asset = self.settings.plan.engine.equity_asset
        return sum(
            money_from_decimal(amount)
            for one in self._account_ids
            for name, amount in self.settings.accounts[str(one)].balances
            if name == asset
        )

    def latencies(self) -> dict[str, Ints]:
        """Return every latency that orders and answers had."""
        return {
            "order": np.array(self._orders.drawn, dtype=np.int64),
            "response": np.array(self._responses.drawn, dtype=np.int64),
        }

    def _start(self) -> None:
        engine, start_ns = self.engine, self._start_ns
        self.on_commands(engine.start(start_ns), start_ns)
        for gateway in self.venue.gateways.values():
            for fees in gateway.fees():
                self.on_event(fees, start_ns)
            self.on_event(gateway.sync(), start_ns)
        self._push(start_ns, self._sample, None)

    # the walk's host ----------------------------------------------------------------------------

    def on_event(self, event: Input, now_ns: int) -> None:
        """Let the engine take an input that isn't a plain book update."""
        commands = self.engine.handle(event, now_ns)
        if commands:
            self.on_commands(commands, now_ns)

    def on_commands(self, commands: Sequence[Command], now_ns: int) -> None:
        """Send what the engine asked for on its way."""
        for command in commands:
            if isinstance(command, SetTimer):
                self._push(max(command.due_ns, now_ns), self._fire, command)
            elif isinstance(command, (PlaceOrder, AmendOrder, CancelOrder)):
                self._send(command, now_ns)
            else:
                self._push(self._orders.arrival(now_ns), self._carry_out, command)

    def on_funding(self, slot: int, rate_e9: int, due_ns: int, now_ns: int) -> None:
        """The venue has a new funding rate."""
        self.venue.on_funding(slot, rate_e9, due_ns, now_ns)

    def on_fact(
        self, slot: int, kind: int, first: int, second: int, venue_ns: int, now_ns: int
    ) -> None:
        """A price or a funding rate reached us."""
        instrument_id = self._instrument_ids[slot]
        event: Input
        if kind == MessageKind.MARK:
            event = MarkPrice(instrument_id, first, venue_ns)
        elif kind == MessageKind.INDEX:
            event = IndexPrice(instrument_id, first, venue_ns)
        elif kind == MessageKind.LAST:
            event = LastPrice(instrument_id, first, venue_ns)
        else:
            assert kind == MessageKind.FUNDING, f"a message of kind {kind}"
            event = FundingUpdate(instrument_id, first, second, venue_ns)
        self.on_event(event, now_ns)

    def on_matched(self, slot: int, now_ns: int) -> None:
        """The venue's market reached orders of ours."""
        self.venue.on_matched(slot, now_ns)

    def on_mark(self, slot: int, now_ns: int) -> None:
        """The venue's mid or mark moved where somebody holds something."""
        self.venue.on_mark(slot, now_ns)

    def on_due(self, now_ns: int) -> None:
        """Do the next thing that is due."""
        _, _, action, argument = heapq.heappop(self._heap)
        self.loop.due_ns = self._heap[0][0] if self._heap else _NEVER_NS
        action(argument, now_ns)

    def on_progress(self, messages: int) -> None:
        """Let go of what was walked, and tell whoever waits."""
        self.tape.let_go(min(self._first + messages, len(self.tape) - 1))
        if self._on_progress is not None:
            seconds = time.perf_counter() - self._began_s
            self._on_progress(Progress(messages, self._last - self._first, seconds))

    # ways ---------------------------------------------------------------------------------------

    def _push(self, due_ns: int, action: Callable[[Any, int], None], argument: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (due_ns, self._number, action, argument))
        if due_ns < self.loop.due_ns:
            self.loop.due_ns = due_ns

    def _fire(self, command: SetTimer, now_ns: int) -> None:
        self.on_event(TimerFired(command.owner, command.name, command.due_ns), now_ns)

    def _sample(self, _: None, now_ns: int) -> None:
        self.collector.sample(now_ns)
        self._push(now_ns + self._curve_ns, self._sample, None)

    def _send(self, command: PlaceOrder | AmendOrder | CancelOrder, now_ns: int) -> None:
        self.collector.sent(command, now_ns)
        form, outcome = self.venue.gateways[command.account_id].form(command, now_ns)
        self._push(now_ns, self._deliver, outcome)
        if form is not None:
            self._push(self._orders.arrival(now_ns), self._arrive, (command, form))

    def _arrive(self, request: tuple[Any, Any], now_ns: int) -> None:
        command, form = request
        venue = self.venue
        venue.at(now_ns, command.instrument_id)
        self.collector.arrived(command, now_ns)
        held: list[tuple[AccountId, News]] = []
        self._held_news = held
        replies = venue.gateways[command.account_id].submit(command, form)
        self._held_news = None
        venue.after(command.instrument_id)
        self._answer(replies, held, now_ns)

    def _carry_out(self, command: Any, now_ns: int) -> None:
        if command.instrument_id is not None:
            self.venue.at(now_ns, command.instrument_id)
        else:
            self.venue.at_all(now_ns)
        held: list[tuple[AccountId, News]] = []
        self._held_news = held
        replies = self.venue.gateways[command.account_id].carry_out(command)
        self._held_news = None
        if command.instrument_id is not None:
            self.venue.after(command.instrument_id)
        self._answer(replies, held, now_ns)

    def _answer(
        self, replies: Sequence[Input], held: list[tuple[AccountId, News]], now_ns: int
    ) -> None:
        """Let an answer travel, and behind it the news of what it caused."""
        due_ns = self._responses.arrival(now_ns)
        if replies or held:
            self._push(due_ns, self._hear_all, (replies, held))

    def _on_news(self, account_id: AccountId, news: News, venue_ns: int) -> None:
        if self._held_news is not None:
            self._held_news.append((account_id, news))
        else:
            self._push(self._responses.arrival(venue_ns), self._hear, (account_id, news))
        if isinstance(news[0], Fill):
            self.collector.told_fills(news)

    def _hear_all(
        self, told: tuple[Sequence[Input], list[tuple[AccountId, News]]], now_ns: int
    ) -> None:
        replies, held = told
        for reply in replies:
            self._deliver(reply, now_ns)
        for news in held:
            self._hear(news, now_ns)

    def _hear(self, told: tuple[AccountId, News], now_ns: int) -> None:
        account_id, news = told
        for event in self.venue.gateways[account_id].received(news, now_ns):
            self._deliver(event, now_ns)

    def _deliver(self, event: Input, now_ns: int) -> None:
        commands = self.engine.handle(event, now_ns)
        if commands:
            self.on_commands(commands, now_ns)
        write = self._writes.get(type(event))
        if write is not None:
            write(event, now_ns)


def _terms(settings: BacktestSettings, account_id: AccountId) -> AccountTerms:
    terms = settings.accounts.get(str(account_id))
    if terms is None:
        raise ConfigError(f"account {account_id} has no balances for a backtest")
    return terms


def _book(tape: Tape, slot: int) -> OrderBook:
    depth = tape.header.depths[slot]
    policy = BookPolicy(window=depth)
    return OrderBook(tape.instruments[slot], capacity=depth or CAPACITY_DEFAULT, policy=policy)


def _bounds(tape: Tape, settings: BacktestSettings) -> tuple[int, int]:
    """Return the messages [first, last) that were received between the wanted times."""
    received = tape.received_ns
    first = int(np.searchsorted(received, settings.from_ns)) if settings.from_ns else 0
    last = int(np.searchsorted(received, settings.until_ns)) if settings.until_ns else len(tape)
    if first >= last:
        raise ConfigError(
            f"{tape.folder}: nothing between the wanted times; the tape goes from "
            f"{int(received[0])} to {int(received[-1])} ns"
        )
    return first, last


def _local_order(times: Ints) -> npt.NDArray[np.uint32] | None:
    """Return the places in order of time; None where they are so already."""
    if not np.any(np.diff(times) < 0):
        return None
    return np.argsort(times, kind="stable").astype(np.uint32)


def _venue_order(tape: Tape, wanted: slice) -> npt.NDArray[np.uint32] | None:
    """Return the messages as the venue made them: by time, at one instant trades before levels.

    Otherwise a place in a queue would be counted forward twice: by a trade, and by the level that
    shows it.
    """
    for start in range(wanted.start, wanted.stop, _LOOK_MESSAGES):
        part = slice(start, min(start + _LOOK_MESSAGES + 1, wanted.stop))
        is_book = tape.messages["kind"][part] <= MessageKind.SNAPSHOT
        steps = np.diff(tape.venue_ns[part])
        if np.any(steps < 0) or np.any((steps == 0) & is_book[:-1] & ~is_book[1:]):
            is_book = tape.messages["kind"][wanted] <= MessageKind.SNAPSHOT
            return np.lexsort((is_book, tape.venue_ns[wanted])).astype(np.uint32)
    return None


def _keeps_order(
    kinds: npt.NDArray[np.uint8],
    venue_order: npt.NDArray[np.uint32] | None,
    local_order: npt.NDArray[np.uint32] | None,
) -> bool:
    """Say whether books come in the same order on both sides, trades and prices left aside."""
    if venue_order is None and local_order is None:
        return True
    is_book = (kinds <= MessageKind.SNAPSHOT) | (kinds == MessageKind.STALE)
    places = np.arange(len(kinds), dtype=np.uint32)
    ordered = [
        (places if order is None else order)[is_book if order is None else is_book[order]]
        for order in (venue_order, local_order)
    ]
    return bool(np.array_equal(*ordered))


def _sample_ns(sample_ms: int, span_ns: int, slots: int) -> int:
    wanted = sample_ms * _MS
    return max(wanted, -(-span_ns * slots // SAMPLES_MAX), 1)


def _curve_ns(span_ns: int) -> int:
    for step in _STEPS_S:
        if span_ns // (step * _SECOND_NS) <= CURVE_POINTS:
            return step * _SECOND_NS
    return _STEPS_S[-1] * _SECOND_NS
