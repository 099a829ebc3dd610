"""Owns what a recorded session says of one order: its inputs as they stand, or repeated whole.

`recorded_lines` reads the inputs alone, whatever the strategies are today. `Witness` repeats the
session through the engine and watches: signal, gate, commands, ledger. It believes a replay only up
to the last digest that agreed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tickwright.app.evidence import EvidenceLine, EvidenceWords, Subject
from tickwright.app.replay import Replay
from tickwright.core.commands import (
    CancelAll,
    Command,
    HaltNotice,
    OrderNotice,
    ProtectionNotice,
    SignalNotice,
    WorkNotice,
)
from tickwright.core.events import Input, OrderReport, Reconciliation, SyncReport
from tickwright.core.identity import ClientId, StrategyId
from tickwright.core.orders import FINAL_STATES, Fill
from tickwright.core.units import money_to_decimal
from tickwright.core.verdicts import Approved, Check
from tickwright.execution.client_ids import CLIENT_ID_LENGTH, ClientIds
from tickwright.portfolio.fold import FillEffect
from tickwright.risk.gate import CheckResult
from tickwright.storage.session_log import RecordKind, SessionReader

__all__ = ["LINES_MAX", "Witness", "ids_in", "recorded_lines"]

LINES_MAX = 5_000
"""Lines of one order; more of them and the rest is left out, and said so."""
AFTER_END_NS = 60_000_000_000
"""A replay goes on so long after the end of the order: late evidence counts too."""
_OPERATOR = b'{"type":"operator"'
_CONNECTION = b'{"type":"connection"'
_COUNTER_LENGTH = 7
_PROGRESS_EVERY = 5_000
_UNASKED = frozenset({"event_id", "lane"})
"""What a judgement is given and an explanation isn't."""

Progress = Callable[[int, int], None]
"""Called now and then with the bytes read, and how many there are."""


def recorded_lines(
    folder: Path, subject: Subject, words: EvidenceWords, *, on_progress: Progress | None = None
) -> list[EvidenceLine]:
    """Return what the recorded inputs say of an order, and what else happened to the account.

    Raises:
        StorageError: no session there, or it is damaged.
    """
    reader = SessionReader(folder)
    epoch = reader.header.epoch
    decode = msgspec.json.Decoder(Input).decode
    lines: list[EvidenceLine] = []
    repeats = _Repeats()
    size = max(1, reader.size)
    for number, record in enumerate(reader.records()):
        if on_progress is not None and number % _PROGRESS_EVERY == 0:
            on_progress(reader.position, size)
        payload = record.payload
        if record.kind is not RecordKind.INPUT or len(lines) >= LINES_MAX:
            continue
        if not subject.is_named_in(payload) and not payload.startswith((_OPERATOR, _CONNECTION)):
            continue
        for event in _about(decode(payload), subject, repeats):
            told = words.event(event)
            if told is None:
                continue
            kind, text, venue_ns = told
            venue_id = getattr(event, "venue_id", None)
            if venue_id and getattr(event, "client_id", None) == subject.client_id:
                subject.venue_id = venue_id
            lines.append(
                EvidenceLine(
                    time_ns=getattr(event, "sent_ns", 0) or record.now_ns,
                    source="session",
                    kind=kind,
                    text=text,
                    epoch=epoch,
                    # Written down before it was taken: it gets the next number.
                    event_id=record.number + 1,
                    venue_ns=venue_ns,
                )
            )
    return lines


class _Repeats:
    """What readings of the whole account said last of an order: the same again is no news."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[object, ...]] = {}
        self.executions: set[str] = set()

    def is_news(self, report: OrderReport) -> bool:
        said = (report.state, report.filled_units, report.price_units, report.size_units)
        is_news = self.last.get(report.venue_id) != said
        self.last[report.venue_id] = said
        return is_news


def _about(event: Input, subject: Subject, repeats: _Repeats) -> list[Any]:
    """Return what an input holds about the order; of a whole account, the rows that are news."""
    if isinstance(event, Reconciliation):
        event = event.report
    if not isinstance(event, SyncReport):
        if isinstance(event, Fill):
            repeats.executions.add(event.execution_id)
        elif isinstance(event, OrderReport):
            repeats.is_news(event)
        return [event]
    found: list[Any] = [
        one
        for one in event.orders
        if subject.client_id in (one.client_id, one.parent_id) and repeats.is_news(one)
    ]
    for fill in event.fills:
        is_its = fill.client_id == subject.client_id or (
            bool(subject.venue_id) and fill.venue_id == subject.venue_id
        )
        if is_its and fill.execution_id not in repeats.executions:
            repeats.executions.add(fill.execution_id)
            found.append(fill)
    return found


def ids_in(folder: Path) -> tuple[str, ...]:
    """Return the ids of the orders that a session sent, for one who has no journal.

    Raises:
        StorageError: no session there, or it is damaged.
    """
    mark = b'"client_id":"'
    found: dict[str, None] = {}
    for record in SessionReader(folder).records():
        if record.kind is RecordKind.INPUT and mark in record.payload:
            for part in record.payload.split(mark)[1:]:
                found[part.partition(b'"')[0].decode("utf-8", "replace")] = None
    return tuple(found)


class Witness(Replay):
    """Repeats a session and keeps what concerns one order.

    Raises:
        StorageError: no session there, or it is damaged.
        ConfigError: the recorded configuration no longer fits this version; a strategy is gone.
    """

    def __init__(self, folder: Path, subject: Subject, words: EvidenceWords) -> None:
        super().__init__(folder)
        self.lines: list[EvidenceLine] = []
        self.checks: tuple[CheckResult, ...] = ()
        """Every check of the gate, as it stood when the order was approved."""
        self._subject = subject
        self._words = words
        self._counter = _counter_of(subject.client_id, self.reader.header.epoch)
        self._ended_ns = 0
        self._believed = 0
        self._watch_gate()
        self._watch_ledger()

    def watch(self, on_progress: Progress | None = None) -> None:
        """Repeat until the order has been at its end for a while, or a decision differs."""
        size = max(1, self.reader.size)
        for number, record in enumerate(self.reader.records()):
            self._take(record)
            if self.result.difference:
                del self.lines[self._believed :]
                return
            if record.kind in (RecordKind.DIGEST, RecordKind.STOP):
                self._believed = len(self.lines)
            self._hear()
            if on_progress is not None and number % _PROGRESS_EVERY == 0:
                on_progress(self.reader.position, size)
            if self._ended_ns and record.now_ns > self._ended_ns + AFTER_END_NS:
                return

    def _tell(self, kind: str, text: str, *, now_ns: int = 0, event_id: int = 0) -> None:
        if len(self.lines) >= LINES_MAX:
            return
        moment = self.engine.state.moment
        self.lines.append(
            EvidenceLine(
                time_ns=now_ns or moment.now_ns,
                source="replay",
                kind=kind,
                text=text,
                epoch=self.reader.header.epoch,
                event_id=event_id or moment.event_id,
            )
        )

    # what the engine says -----------------------------------------------------------------------

    def on_commands(self, commands: Sequence[Command]) -> None:
        """Keep what is asked for the order."""
        super().on_commands(commands)
        for command in commands:
            is_its = getattr(command, "client_id", None) == self._subject.client_id
            if is_its or (isinstance(command, CancelAll) and self._lives()):
                told = self._words.command(command)
                if told is not None:
                    self._tell(*told)

    def _lives(self) -> bool:
        record = self.engine.state.blotter.find_ours(ClientId(self._subject.client_id))
        return record is not None and not record.order.is_final

    def _hear(self) -> None:
        """Take the notices: signals, verdicts, states, halts."""
        subject = self._subject
        for notice in self.engine.take_notices():
            at = {"now_ns": notice.now_ns, "event_id": notice.event_id}
            if isinstance(notice, SignalNotice):
                if notice.client_id == subject.client_id:
                    self._tell("signal", _signal_words(notice), **at)
            elif isinstance(notice, OrderNotice):
                if notice.client_id == subject.client_id:
                    if notice.state in FINAL_STATES:
                        self._ended_ns = notice.now_ns
                    filled = self._words.size(notice.filled_units)
                    reason = f": {notice.reason}" if notice.reason else ""
                    self._tell("state", f"{notice.state.value}, {filled} filled{reason}", **at)
            elif isinstance(notice, WorkNotice):
                if subject.client_id in notice.work.children:
                    self._tell("work", self._words.work(notice.work), **at)
            elif isinstance(notice, HaltNotice):
                self._tell("halt", f"{notice.scope}: {notice.reason}", **at)
            elif isinstance(notice, ProtectionNotice):
                words = f"{notice.stage.value} {notice.name}: {notice.reason}"
                self._tell("protection", words, **at)

    def _approval_words(self, verdict: Approved) -> str:
        reduced = "".join(f"; reduced by {_check_words(one)}" for one in verdict.reduced_by)
        return f"approved, size {self._words.size(verdict.size_units)}{reduced}"

    # what is watched ------------------------------------------------------------------------------

    def _watch_gate(self) -> None:
        """Ask the gate for every check right before it judges the order, which has no name yet."""
        gate, ids = self.engine.state.gate, self.engine.state.client_ids
        judge = gate.check
        stem = self._subject.client_id[:-_COUNTER_LENGTH]

        def check(intent: Any, **question: Any) -> Any:
            tag = ClientIds.tag(StrategyId(question["strategy_id"]))
            is_next = ids.issued + 1 == self._counter and stem[2 : 2 + len(tag)] == tag
            if not is_next:
                return judge(intent, **question)
            asked = {name: held for name, held in question.items() if name not in _UNASKED}
            checks = gate.explain(intent, **asked)
            verdict = judge(intent, **question)
            if isinstance(verdict, Approved):
                # A refused intent before it would have had the same name.
                self.checks = checks
                if question["book"] is not None:
                    self._tell("book", _book_words(question["book"], question["now_ns"]))
                self._tell("verdict", self._approval_words(verdict))
            return verdict

        _replace(gate, "check", check)

    def _watch_ledger(self) -> None:
        portfolio = self.engine.state.portfolio
        book = portfolio.apply_fill

        def apply_fill(fill: Fill, strategy_id: StrategyId | None) -> FillEffect | None:
            effect = book(fill, strategy_id)
            subject = self._subject
            is_its = fill.client_id == subject.client_id or (
                bool(subject.venue_id) and fill.venue_id == subject.venue_id
            )
            if is_its:
                self._tell("ledger", self._ledger_words(fill, effect))
            return effect

        _replace(portfolio, "apply_fill", apply_fill)

    def _ledger_words(self, fill: Fill, effect: FillEffect | None) -> str:
        if effect is None:
            return f"execution {fill.execution_id}: counted before, nothing moves"
        if effect.halt_reason:
            return f"execution {fill.execution_id}: not booked: {effect.halt_reason}"
        owner = effect.strategy_id or "nobody here"
        before, after = effect.size_before_units, effect.size_after_units
        told = " (the account's reading held it already)" if effect.is_included else ""
        return (
            f"position {self._signed(before)} -> {self._signed(after)}, realised "
            f"{_money(effect.realised)} {effect.settle_asset}, fee {_money(effect.fee)} "
            f"{effect.fee_asset}, of {owner}{told}"
        )

    def _signed(self, units: int) -> str:
        return f"{'-' if units < 0 else ''}{self._words.size(abs(units))}"


def _replace(owner: object, name: str, watched: Callable[..., Any]) -> None:
    """Stand between an object and whoever calls it; the replay's own engine alone has it."""
    setattr(owner, name, watched)


def _counter_of(client_id: str, epoch: int) -> int:
    """Return which order of its run it is; 0 when it is of another run or none of ours."""
    if len(client_id) != CLIENT_ID_LENGTH or not ClientIds.is_ours(client_id):
        return 0
    try:
        if int(client_id[7:-_COUNTER_LENGTH], 36) != epoch:
            return 0
        return int(client_id[-_COUNTER_LENGTH:], 36)
    except ValueError:
        return 0


def _signal_words(notice: SignalNotice) -> str:
    signal = notice.signal
    reason = f": {signal.reason}" if signal.reason else ""
    return (
        f"{notice.strategy_id} {signal.kind.value} {signal.instrument_id.symbol}, "
        f"confidence {signal.confidence:.3g}{reason}"
    )


def _check_words(check: Check) -> str:
    return f"{check.reason.value}: {check.value} against {check.bound}"


def _book_words(book: Any, now_ns: int) -> str:
    bids, asks = book.bids_text(1), book.asks_text(1)
    bid = f"{bids[0][0]} x {bids[0][1]}" if bids else "none"
    ask = f"{asks[0][0]} x {asks[0][1]}" if asks else "none"
    age_ns = book.age_ns(now_ns)
    age = "" if age_ns is None else f", proven {age_ns / 1e6:.1f} ms ago"
    return f"{book.state.name.lower()}, bid {bid}, ask {ask}{age}"


def _money(units: int) -> str:
    return f"{money_to_decimal(units).normalize():f}"
