"""Owns repeating a recorded session: the same inputs through today's code, decision by decision.

It refuses to pass over a difference: the first digest that isn't the recorded one ends it with the
number of the input. Nothing is sent anywhere.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tickwright.app.replay_host import RecordedHost
from tickwright.app.strategy_source import load_strategy
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.commands import Command
from tickwright.core.errors import StorageError
from tickwright.core.events import (
    BookState,
    BookStateChanged,
    Input,
    InstrumentChanged,
    MarketEvent,
    Trade,
)
from tickwright.engine.plan import TradingPlan, add_strategies, build_engine
from tickwright.storage.session_log import RECORDING_MODE, Record, RecordKind, SessionReader

__all__ = ["Replay", "ReplayResult"]


class ReplayResult(msgspec.Struct, kw_only=True):
    """What a replay found. `difference` is empty when every digest agreed."""

    events: int = 0
    frames: int = 0
    decisions_checked: int = 0
    digest: str = ""
    recorded_digest: str = ""
    frames_ns: int = 0
    """Time spent in all frames together."""
    is_complete: bool = False
    difference: str = ""


class Replay(RecordedHost):
    """Feeds a session's records through the production scanner and engine.

    `plan` decides in place of the recorded configuration.

    Raises:
        StorageError: no session there, or it is damaged.
        ConfigError: the recorded configuration no longer fits this version.
    """

    def __init__(self, folder: Path, *, plan: TradingPlan | None = None) -> None:
        super().__init__(folder)
        self.reader = SessionReader(folder)
        self.result = ReplayResult()
        header = self.reader.header
        if header.mode == RECORDING_MODE:
            raise StorageError(
                f"{folder} is a recording: no decision stands in it; `tickwright replay {folder} "
                f"--serve` plays it, `tickwright book {folder}` rebuilds its books"
            )
        self.plan = TradingPlan.from_builtins(header.config) if plan is None else plan
        here = Path()
        self._classes = {
            s.source: load_strategy(s.source, folder=here) for s in self.plan.strategies
        }
        self.engine = build_engine(
            self.plan, epoch=header.epoch, seed=header.seed, now_ns=header.started_ns
        )
        self.on_book = self.engine.on_book
        self.stops_at_difference = True
        self.frame_time = LatencyHistogram()
        """Work for one frame: scanned, applied, judged by strategies and risk; nothing waits."""
        self._answered: dict[int, str] = {}
        """Digests by input, of the record under way: one frame may hold several inputs, and each
        that asked for something was written down at its own place."""

    def run(self, on_progress: Callable[[int], None] | None = None) -> ReplayResult:
        """Repeat everything; returns what was found."""
        result = self.result
        for number, record in enumerate(self.reader.records()):
            if record.kind is RecordKind.LOSS:
                # A hole would replay as a lie: what is behind it is the market's, not this run's.
                break
            self._take(record)
            if result.difference and self.stops_at_difference:
                break
            if on_progress is not None and number % 5_000 == 0:
                on_progress(record.now_ns)
        result.events = self.engine.event_id
        result.digest = self.engine.digest
        return result

    def _take(self, record: Record) -> None:
        kind = record.kind
        if kind is RecordKind.MARK:
            return
        if kind not in (RecordKind.DIGEST, RecordKind.STOP):
            self._answered.clear()
        if kind is RecordKind.FRAME:
            self.result.frames += 1
            sink = self._session(record.source).sink
            began_ns = time.perf_counter_ns()
            sink.feed(record.payload, record.now_ns, last=bool(record.flags & 1))
            spent_ns = time.perf_counter_ns() - began_ns
            self.frame_time.record(spent_ns)
            self.result.frames_ns += spent_ns
        elif kind is RecordKind.INPUT:
            self._add_strategies()
            event = self._decode_input(record.payload)
            self._handle(event, record.now_ns)
            if isinstance(event, InstrumentChanged):
                self._change_instrument(event.instrument)
        elif kind is RecordKind.CONTROL:
            self._control(record.payload, record.now_ns)
        elif kind is RecordKind.BOOK:
            added = self._decode_book(record.payload)
            self.engine.add_book(added.slot, self._add_book(added))
        elif kind is RecordKind.START:
            self._add_strategies()
            self.engine.start(record.now_ns)
        else:
            self._compare(record)

    def _add_strategies(self) -> None:
        """Add them once all books of the start are there: before the first input of its own."""
        if not self.engine.state.runs:
            add_strategies(self.engine, self.plan, self._classes)

    def _compare(self, record: Record) -> None:
        recorded = record.payload.decode("ascii")
        self.result.recorded_digest = recorded
        self.result.decisions_checked += 1
        if record.kind is RecordKind.STOP:
            self.result.is_complete = True
        digest = self._answered.get(record.number)
        if digest is None and self.engine.event_id != record.number:
            self.result.difference = (
                f"the recorded run was at input {record.number} here, the replay is at "
                f"{self.engine.event_id}"
            )
        elif (self.engine.digest if digest is None else digest) != recorded:
            self.result.difference = f"decisions differ at input {record.number}"

    def _handle(self, event: Input, now_ns: int) -> None:
        self.on_commands(self.engine.handle(event, now_ns))

    # the host of the sessions -------------------------------------------------------------------

    def on_trades(self, trades: list[Trade]) -> Sequence[Command] | None:
        """Trades came, oldest first."""
        for trade in trades:
            self._handle(trade, trade.received_ns)
        return None

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Nothing is carried out: what became of it is in the log. How it was decided is kept."""
        if commands:
            self._answered[self.engine.event_id] = self.engine.digest

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price, funding, candle or liquidation came."""
        self._handle(event, now_ns)

    def _state_changed(self, book: OrderBook, previous: BookState, now_ns: int) -> None:
        change = BookStateChanged(book.instrument_id, book.state, previous, book.stale_reason)
        self._handle(change, now_ns)
