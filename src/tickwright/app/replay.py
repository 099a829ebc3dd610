"""Owns repeating a recorded session: the same inputs through today's code, decision by decision.

It refuses to pass over a difference: the first digest that isn't the recorded one ends it with the
number of the input. Nothing is sent anywhere.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tickwright.app.door import BookAdded, Control
from tickwright.app.plan import TradingPlan, add_strategies, build_engine
from tickwright.app.strategy_source import load_strategy
from tickwright.app.venue_kit import make_replay_session
from tickwright.book.control import BookControl, BookVerb, control_book
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.commands import Command
from tickwright.core.errors import InstrumentUnknown, StorageError
from tickwright.core.events import (
    BookState,
    BookStateChanged,
    Input,
    InstrumentChanged,
    MarketEvent,
    Trade,
)
from tickwright.core.instrument import Instrument
from tickwright.feed.feed import FeedOptions, book_policy
from tickwright.storage.session_log import RECORDING_MODE, Record, RecordKind, SessionReader
from tickwright.venues.public_port import PublicSession, TopicChange

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


class Replay:
    """Feeds a session's records through the production scanner and engine.

    Raises:
        StorageError: no session there, or it is damaged.
        ConfigError: the recorded configuration no longer fits this version.
    """

    def __init__(self, folder: Path) -> None:
        self.reader = SessionReader(folder)
        self.result = ReplayResult()
        header = self.reader.header
        if header.mode == RECORDING_MODE:
            raise StorageError(
                f"{folder} is a recording: no decision stands in it; `tickwright book {folder}` "
                "rebuilds its books"
            )
        self.plan = TradingPlan.from_builtins(header.config)
        here = Path()
        self._classes = {
            s.source: load_strategy(s.source, folder=here) for s in self.plan.strategies
        }
        self.engine = build_engine(
            self.plan, epoch=header.epoch, seed=header.seed, now_ns=header.started_ns
        )
        self.on_book: Callable[[int, int], Sequence[Command]] = self.engine.on_book
        self.frame_time = LatencyHistogram()
        """Work for one frame: scanned, applied, judged by strategies and risk; nothing waits."""
        self._books: dict[int, OrderBook] = {}
        self._instruments: dict[str, Instrument] = {}
        self._sessions: dict[int, PublicSession] = {}
        self._answered: dict[int, str] = {}
        """Digests by input, of the record under way: one frame may hold several inputs, and each
        that asked for something was written down at its own place."""
        self._decode_input = msgspec.json.Decoder(Input).decode
        self._decode_control = msgspec.json.Decoder(Control).decode
        self._decode_book = msgspec.json.Decoder(BookAdded).decode

    def run(self, on_progress: Callable[[int], None] | None = None) -> ReplayResult:
        """Repeat everything; returns what was found."""
        result = self.result
        for number, record in enumerate(self.reader.records()):
            if record.kind is RecordKind.LOSS:
                # A hole would replay as a lie: what is behind it is the market's, not this run's.
                break
            self._take(record)
            if result.difference:
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
            self._control(self._decode_control(record.payload), record.now_ns)
        elif kind is RecordKind.BOOK:
            self._add_book(self._decode_book(record.payload))
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

    # books and sessions -------------------------------------------------------------------------

    def _add_book(self, added: BookAdded) -> None:
        instrument = added.instrument
        book = OrderBook(instrument, capacity=added.capacity, policy=self._policy(added))
        book.slot = added.slot
        self._books[added.slot] = book
        self._instruments[instrument.symbol] = instrument
        self.engine.add_book(added.slot, book)
        session = self._sessions.get(added.source)
        if session is None:
            session = make_replay_session(instrument.id, added.depth, self, added.source)
            self._sessions[added.source] = session
        session.add_book(book)
        session.add_trades(instrument, added.slot)

    def _policy(self, added: BookAdded) -> BookPolicy:
        return book_policy(
            FeedOptions(
                venue=added.instrument.id.venue,
                category=added.instrument.id.category,
                depth=added.depth,
            )
        )

    def _session(self, source: int) -> PublicSession:
        session = self._sessions.get(source)
        if session is None:
            raise StorageError(f"{self.reader.folder}: frames of source {source} before its books")
        return session

    def _control(self, control: BookControl | TopicChange, now_ns: int) -> None:
        if isinstance(control, TopicChange):
            self._session(control.source).apply_topic(control)
            return
        self._do(control.slot, control.verb, control.reason, now_ns)

    def _do(self, slot: int, verb: BookVerb, reason: str, now_ns: int) -> None:
        book = self._books[slot]
        previous = book.state
        control_book(book, verb, reason, now_ns)
        if book.state is not previous:
            change = BookStateChanged(book.instrument_id, book.state, previous, book.stale_reason)
            self._handle(change, now_ns)

    def _change_instrument(self, instrument: Instrument) -> None:
        self._instruments[instrument.symbol] = instrument
        for book in self._books.values():
            if book.instrument_id == instrument.id:
                book.change_instrument(instrument)
        for session in self._sessions.values():
            session.change_instrument(instrument)

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

    def on_book_state(self, slot: int, previous: BookState, now_ns: int) -> None:
        """A frame changed what a book is worth."""
        book = self._books[slot]
        change = BookStateChanged(book.instrument_id, book.state, previous, book.stale_reason)
        self._handle(change, now_ns)

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        """A price, funding, candle or liquidation came."""
        self._handle(event, now_ns)

    def control_book(
        self, slot: int, verb: BookVerb, reason: str, now_ns: int, *, is_derived: bool = False
    ) -> None:
        """Repeat what follows from a frame; the rest stands in the log."""
        if is_derived:
            self._do(slot, verb, reason, now_ns)

    def on_topic(self, change: TopicChange, now_ns: int) -> None:
        """Topic changes stand in the log."""

    def on_refused(self, topic: str, text: str) -> None:
        """Nothing was asked of a venue."""

    def on_instrument_doubt(self, symbol: str) -> None:
        """A new version, if there was one, stands in the log."""

    def instrument_for(self, symbol: str) -> Instrument:
        """Look a symbol up; raises InstrumentUnknown."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise InstrumentUnknown(f"{symbol} is not among the recorded instruments")
        return instrument
