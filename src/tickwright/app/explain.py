"""Owns everything known about one order, merged by time; refuses to hide where a line comes from.

The journal says what was promised, the session's recorded inputs what came in, a replay of the
session what was decided and why. Where a session can't be repeated, the run's log stands in for the
replay, and the notes say so.
"""

import contextlib
from datetime import datetime
from pathlib import Path

import msgspec

from tickwright.app.evidence import EvidenceLine, EvidenceWords, Subject
from tickwright.app.explain_session import LINES_MAX, Progress, Witness, ids_in, recorded_lines
from tickwright.app.logs import LOG_FILE
from tickwright.app.orders import Instruments, OrderLine, order_line
from tickwright.app.session_facts import SessionFacts, instruments_in, sessions_of
from tickwright.app.trader_folder import TraderFolder
from tickwright.core.errors import ConfigError, StorageError, TickwrightError
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.nearest import nearest
from tickwright.execution.client_ids import CLIENT_ID_LENGTH, ClientIds
from tickwright.storage.journal_index import IndexedOrder, JournalIndex
from tickwright.storage.kill_order import read_kill_order
from tickwright.storage.session_log import SessionReader

__all__ = ["ExplainedCheck", "Explanation", "explain_from_config", "explain_from_session"]

SESSIONS_READ_MAX = 5
"""An order lives in one run, or is taken over by the next ones: so many are read."""
_NEAR_MAX = 5_000
_FITTING_MAX = 6
_LOG_BYTES_MAX = 64 * 1024 * 1024
_DECISIONS = frozenset({"signal", "verdict", "command", "state"})


class ExplainedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the risk gate when the order was approved: passed, reduced, refused, unknown."""

    reason: str
    outcome: str
    value: str
    bound: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An order's whole story. `order` is null where no journal promised it.

    `checks` are empty where the session couldn't be repeated. `notes` say what is missing, and why.
    """

    client_id: str
    order: OrderLine | None
    sessions: tuple[str, ...]
    lines: tuple[EvidenceLine, ...]
    checks: tuple[ExplainedCheck, ...]
    notes: tuple[str, ...]


def explain_from_config(
    wanted: str, config: Path, *, replays: bool = True, on_progress: Progress | None = None
) -> Explanation:
    """Explain an order of a configuration's trader; the beginning of its id is enough.

    Raises:
        ConfigError: no such order, or several begin so; the text names the nearest.
    """
    where = TraderFolder(config)
    known: list[str] = []
    for journal in where.journals().values():
        with where.index(journal) as index:
            names = index.beginning_with(wanted, at_most=_FITTING_MAX) if wanted else ()
            if len(names) > 1 and wanted not in names:
                raise _ambiguous(wanted, names)
            if names:
                order = index.order(wanted if wanted in names else names[0])
                assert order is not None, "it was just found"
                return _explain(where, index, order, replays=replays, on_progress=on_progress)
            known += index.newest_ids(_NEAR_MAX)
    lost = _session_of_lost(where, wanted)
    if lost is not None:
        found = explain_from_session(wanted, lost, replays=replays, on_progress=on_progress)
        notes = (*found.notes, "no journal here promised it: it was moved away, or is another's")
        return msgspec.structs.replace(found, notes=notes)
    raise ConfigError(f"no order {wanted!r} in {where.state}; {_near(wanted, known)}")


def explain_from_session(
    wanted: str, folder: Path, *, replays: bool = True, on_progress: Progress | None = None
) -> Explanation:
    """Explain an order by a session alone: no journal is read.

    Raises:
        ConfigError: no such order in it, or several begin so.
        StorageError: no session there, or it is damaged.
    """
    known = ids_in(folder)
    names = [name for name in known if name.startswith(wanted)]
    if len(names) > 1 and wanted not in names:
        raise _ambiguous(wanted, tuple(names))
    if not names:
        raise ConfigError(f"no order {wanted!r} in {folder}; {_near(wanted, list(known))}")
    subject = Subject(wanted if wanted in names else names[0])
    session = SessionFacts(folder=folder, header=SessionReader(folder).header)
    told = _Telling(subject, EvidenceWords(_traded(folder, subject)), on_progress)
    told.take(session, replays=replays)
    return told.explanation(None)


def _ambiguous(wanted: str, names: tuple[str, ...]) -> ConfigError:
    shown = ", ".join(names[: _FITTING_MAX - 1])
    more = ", ..." if len(names) >= _FITTING_MAX else ""
    return ConfigError(f"several orders begin with {wanted!r}: {shown}{more}")


def _near(wanted: str, known: list[str]) -> str:
    if not known:
        return "there is no order at all"
    return nearest(wanted, known, what="orders")[:300]


def _session_of_lost(where: TraderFolder, wanted: str) -> Path | None:
    """Return the session whose run gave such a name, by the epoch in it."""
    if len(wanted) != CLIENT_ID_LENGTH or not ClientIds.is_ours(wanted):
        return None
    with contextlib.suppress(ValueError):
        epoch = int(wanted[7:19], 36)
        for session in sessions_of(where.sessions):
            if session.header.epoch == epoch:
                return session.folder
    return None


def _traded(folder: Path, subject: Subject) -> Instrument | None:
    """Return the instrument of an order by the first input that names both."""
    instruments = instruments_in(folder)
    name = subject.client_id.encode()
    for record in SessionReader(folder).records():
        if name in record.payload:
            for instrument in instruments.values():
                if f'"{instrument.symbol}"'.encode() in record.payload:
                    return instrument
    return next(iter(instruments.values())) if len(instruments) == 1 else None


def _explain(
    where: TraderFolder,
    index: JournalIndex,
    order: IndexedOrder,
    *,
    replays: bool,
    on_progress: Progress | None,
) -> Explanation:
    instruments = Instruments(where.sessions)
    sessions = _sessions_of_order(where, order)
    traded = InstrumentId(order.venue, Category(order.category), order.symbol)
    instrument = None
    for session in sessions:
        instrument = instrument or instruments_in(session.folder).get(traded)
    instrument = instrument or instruments.get(order.venue, order.category, order.symbol)
    told = _Telling(Subject(order.client_id), EvidenceWords(instrument), on_progress)
    if index.fault:
        told.notes.append(index.fault)
    told.take_journal(index, order)
    for session in sessions:
        told.take(session, replays=replays)
    if not sessions:
        told.notes.append(
            "no recorded session of its run: the journal and the log tell what is left"
        )
        told.take_log(where.sessions / LOG_FILE, None)
    told.take_kill(where.state, order)
    return told.explanation(order_line(order, instrument))


def _sessions_of_order(where: TraderFolder, order: IndexedOrder) -> list[SessionFacts]:
    """Return the sessions it lived in, oldest first: its own run's and those that took it over."""
    found = []
    for session in sessions_of(where.sessions, is_paper=where.file.is_paper):
        header = session.header
        is_later = header.epoch > order.epoch and (
            order.settled_ns is None or header.started_ns <= order.settled_ns
        )
        if header.epoch == order.epoch or is_later:
            found.append(session)
        if header.epoch < order.epoch:
            break
    return found[-SESSIONS_READ_MAX:][::-1]


class _Telling:
    """One explanation under way."""

    def __init__(
        self, subject: Subject, words: EvidenceWords, on_progress: Progress | None
    ) -> None:
        self.notes: list[str] = []
        self._subject = subject
        self._words = words
        self._on_progress = on_progress
        self._lines: list[EvidenceLine] = []
        self._checks: tuple[ExplainedCheck, ...] = ()
        self._sessions: list[str] = []

    def take_journal(self, index: JournalIndex, order: IndexedOrder) -> None:
        """Tell what the journal says, read from its segments again."""
        count = 0
        for entry in index.entries_of(order):
            told = self._words.entry(entry)
            if told is not None:
                count += 1
                line = EvidenceLine(
                    time_ns=entry.now_ns,
                    source="journal",
                    kind=told[0],
                    text=told[1],
                    epoch=entry.epoch,
                    event_id=getattr(entry.record, "event_id", None),
                )
                self._lines.append(line)
        if not count:
            self.notes.append("the journal's segment of it is gone: its promise can't be shown")

    def take(self, session: SessionFacts, *, replays: bool) -> None:
        """Tell what a session says: its inputs, then its decisions."""
        folder = session.folder
        self._sessions.append(str(folder))
        recorded: list[EvidenceLine] = []
        try:
            recorded = recorded_lines(
                folder, self._subject, self._words, on_progress=self._on_progress
            )
        except (StorageError, msgspec.MsgspecError) as error:
            self.notes.append(f"{folder} can't be read to its end: {error}")
        if len(recorded) >= LINES_MAX:
            self.notes.append(f"{folder}: more than {LINES_MAX} inputs; the rest is left out")
        self._lines += recorded
        decided = self._decided(folder) if replays else []
        if not replays:
            self.notes.append("--no-replay: decisions are told by the log")
        self._lines += decided
        if not any(line.kind in _DECISIONS for line in decided):
            self.take_log(folder / LOG_FILE, session.header.epoch)

    def _decided(self, folder: Path) -> list[EvidenceLine]:
        """Repeat the session; what can't be repeated is said, and the log stands in."""
        try:
            witness = Witness(folder, self._subject, self._words)
            witness.watch(self._on_progress)
        except TickwrightError as error:
            self.notes.append(f"{folder} can't be repeated, the log tells decisions: {error}")
            return []
        if witness.result.difference:
            self.notes.append(
                f"{folder}: the replay is another one from here on ({witness.result.difference}); "
                "decisions after it are left out"
            )
        self._checks = self._checks or tuple(
            ExplainedCheck(
                reason=one.reason.value, outcome=one.outcome, value=one.value, bound=one.bound
            )
            for one in witness.checks
        )
        return witness.lines

    def take_log(self, path: Path, epoch: int | None) -> None:
        """Tell what the run's log says of it."""
        name = self._subject.client_id.encode()
        try:
            with path.open("rb") as file:
                lines = file.read(_LOG_BYTES_MAX).splitlines()
        except OSError:
            self.notes.append(f"there is no log {path}")
            return
        for line in lines:
            if name in line and len(self._lines) < 2 * LINES_MAX:
                told = _log_line(line, self._subject.client_id, epoch)
                if told is not None:
                    self._lines.append(told)

    def take_kill(self, folder: Path, order: IndexedOrder) -> None:
        """Tell when the kill switch was thrown in the order's life."""
        with contextlib.suppress(StorageError):
            kill = read_kill_order(folder)
            if kill is None or kill.asked_ns < order.promised_ns:
                return
            if order.settled_ns is not None and kill.asked_ns > order.settled_ns:
                return
            for at_ns, text in ((kill.asked_ns, kill.words()), (kill.done_ns, "the kill is done")):
                if at_ns:
                    line = EvidenceLine(time_ns=at_ns, source="state", kind="kill", text=text)
                    self._lines.append(line)

    def explanation(self, order: OrderLine | None) -> Explanation:
        """Return everything in the order of its time."""
        own = [line.time_ns for line in self._lines if line.kind not in _AROUND]
        first, last = (min(own), max(own)) if own else (0, 0)
        lines = [
            line
            for line in self._lines
            if line.kind not in _AROUND or first <= line.time_ns <= last
        ]
        lines.sort(key=_moment)
        return Explanation(
            client_id=self._subject.client_id,
            order=order,
            sessions=tuple(self._sessions),
            lines=tuple(lines),
            checks=self._checks,
            notes=tuple(self.notes),
        )


def _moment(line: EvidenceLine) -> tuple[int, int, int]:
    """Return what lines are sorted by; what has no number comes after what caused it."""
    return line.time_ns, line.epoch or 0, _LAST if line.event_id is None else line.event_id


_LAST = 2**63
_AROUND = frozenset({"operator", "connection", "halt", "protection"})
"""Kinds of lines that concern more than the order."""


class _LogLine(msgspec.Struct):
    event: str
    timestamp: str
    client_id: str = ""
    kind: str = ""
    reason: str = ""
    verdict: str = ""
    state: str = ""
    strategy_id: str = ""
    text: str = ""
    event_id: int | None = None


def _log_line(line: bytes, client_id: str, epoch: int | None) -> EvidenceLine | None:
    try:
        read = msgspec.json.decode(line, type=_LogLine)
        at = msgspec.convert(read.timestamp, datetime)
    except msgspec.MsgspecError:
        return None
    parts = [read.strategy_id, read.kind, read.state, read.reason, read.verdict, read.text]
    kind = "signal" if read.event.startswith("signal.") else "log"
    if read.event == "order.changed":
        kind = "state"
    return EvidenceLine(
        time_ns=int(at.timestamp() * 1_000_000) * 1_000,
        source="log",
        kind=kind,
        text=f"{read.event}: {' '.join(part for part in parts if part)}",
        epoch=epoch,
        event_id=read.event_id,
    )
