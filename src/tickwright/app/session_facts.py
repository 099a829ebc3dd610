"""Owns what can be told of recorded sessions without repeating them: which, whose, how they ended.

It refuses to read a whole log: heads and tails are enough. A session that is being written has no
end yet.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tickwright.app.door import BookAdded
from tickwright.app.logs import LOG_FILE
from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.storage.session_log import RecordKind, SessionHeader, SessionReader, last_record

__all__ = ["SESSIONS_MAX", "SessionFacts", "instruments_in", "last_words", "sessions_of"]

SESSIONS_MAX = 500
"""Sessions looked at, newest first."""
_LOG_TAIL_BYTES = 64 * 1024
_BOOK_RECORDS_MAX = 20_000


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One session folder. `header` is what its first line says."""

    folder: Path
    header: SessionHeader

    @property
    def is_paper(self) -> bool:
        """Whether orders were matched inside the run."""
        return self.header.mode == "paper"

    def has_end(self) -> bool:
        """Whether the run ended in order: its log is closed."""
        record = last_record(self.folder)
        return record is not None and record.kind is RecordKind.STOP


def sessions_of(folder: Path, *, is_paper: bool | None = None) -> Iterator[SessionFacts]:
    """Yield the sessions of a folder, newest first; what can't be read as one is left out."""
    try:
        names = sorted((p for p in folder.iterdir() if p.is_dir()), reverse=True)
    except OSError:
        return
    for path in names[:SESSIONS_MAX]:
        with contextlib.suppress(StorageError):
            found = SessionFacts(folder=path, header=SessionReader(path).header)
            if is_paper is None or found.is_paper == is_paper:
                yield found


def instruments_in(folder: Path) -> dict[InstrumentId, Instrument]:
    """Return the instruments a session began with; they stand before its first input."""
    found: dict[InstrumentId, Instrument] = {}
    decode = msgspec.json.Decoder(BookAdded).decode
    with contextlib.suppress(StorageError, msgspec.MsgspecError, OSError):
        for number, record in enumerate(SessionReader(folder).records()):
            if record.kind is RecordKind.START or number > _BOOK_RECORDS_MAX:
                break
            if record.kind is RecordKind.BOOK:
                instrument = decode(record.payload).instrument
                found[instrument.id] = instrument
    return found


def last_words(folder: Path) -> str:
    """Return the last thing a run's log says, of what ended it if it says that."""
    try:
        with (folder / LOG_FILE).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return ""
    said = ""
    for line in lines:
        try:
            read = msgspec.json.decode(line, type=_LogLine)
        except msgspec.MsgspecError:
            continue
        if read.text and (read.level == "error" or read.event in _ENDINGS or not said):
            said = f"{read.event}: {read.text}"
    return said


class _LogLine(msgspec.Struct):
    event: str = ""
    text: str = ""
    level: str = ""


_ENDINGS = frozenset({"run.remark", "run.failed", "run.bug", "trader.killed", "engine.halted"})
