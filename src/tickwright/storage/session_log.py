"""Owns the session log: the engine's inputs in order, so that a run can be repeated exactly.

A session folder holds `header.json` (format, code version, digest of the configuration, parameters,
seed, start) and segments (`storage.segments`): the recording of the market and the log of the
engine's inputs are one row of records, so that an input's place is its place among the frames. It
refuses to slow trading: a thread of its own packs and writes, and a log that could not keep up says
where how much is missing.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tickwright.core.errors import StorageError
from tickwright.net.tap import InputTap
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.segments import (
    REPEATED,
    Block,
    Record,
    RecordKind,
    SegmentReader,
    last_record,
    records_in,
)

__all__ = [
    "FORMAT",
    "RECORDING_MODE",
    "Record",
    "RecordKind",
    "SessionHeader",
    "SessionReader",
    "SessionWriter",
    "is_repeated",
    "last_record",
    "read_header",
]

FORMAT = 2
RECORDING_MODE = "record"
"""A recording's header says it where a session's says its world."""
POLL_S = 0.05
FLUSH_S = 0.25
"""How long a record waits in a quiet market: what a crash of the process costs."""
FLUSH_BYTES = 256 * 1024


class SessionHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay must know before the first input. `config` is canonical and holds no secret."""

    format: int
    code_version: str
    config_digest: str
    config: dict[str, object]
    seed: int
    epoch: int
    started_ns: int
    mode: str


class SessionWriter:
    """Writes a session folder from a tap, in a thread of its own.

    Args:
        folder: made here; must not hold a session yet.

    Raises:
        StorageError: the folder can't be made or holds a session already.
    """

    def __init__(
        self,
        folder: Path,
        header: SessionHeader,
        tap: InputTap,
        *,
        options: SegmentOptions | None = None,
    ) -> None:
        self.folder = folder
        self.tap = tap
        self.cpu_seconds = 0.0
        """Of the thread that packs and writes."""
        self._stop = threading.Event()
        self._written_s = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "header.json").open("xb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(header), indent=1))
            self.segments = SegmentWriter(folder, options or SegmentOptions())
        except FileExistsError:
            raise StorageError(f"{folder} holds a session already") from None
        except OSError as error:
            words = error.strerror or error
            raise StorageError(
                f"the session log {folder} can't be written: {words}; make room, or run with "
                "session.record = false"
            ) from None
        self._thread = threading.Thread(target=self._work, name="session-log", daemon=True)
        self._thread.start()

    @property
    def bytes_written(self) -> int:
        """Bytes on disk."""
        return self.segments.bytes_written

    @property
    def fault(self) -> str:
        """Why the log isn't whole; empty while it is."""
        return self.segments.fault

    @property
    def is_whole(self) -> bool:
        """Whether everything so far is, or will be, in the file."""
        return not self.segments.fault and not self.tap.dropped_count

    def close(self) -> None:
        """Write what is left and close the file; the second time does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._write()
        self.segments.close()

    def _work(self) -> None:
        began_s = time.thread_time()
        while not self._stop.wait(POLL_S):
            is_due = time.monotonic() - self._written_s >= FLUSH_S
            if is_due or self.tap.pending_bytes >= FLUSH_BYTES or self.tap.is_full:
                self._write()
            self.cpu_seconds = time.thread_time() - began_s

    def _write(self) -> None:
        # Taken under the GIL in one C call, so the trading thread can't be half-way in it.
        block, dropped = self.tap.take_counted()
        self._written_s = time.monotonic()
        self.segments.write(block, dropped=dropped)


def read_header(folder: Path) -> SessionHeader:
    """Return what a session's folder says of itself.

    Raises:
        StorageError: no session there, or of another format.
    """
    try:
        raw = (folder / "header.json").read_bytes()
    except FileNotFoundError:
        inside = sorted(folder.glob("*/header.json"))
        remedy = f"; it holds some: name one, such as {inside[-1].parent}" if inside else ""
        raise StorageError(f"{folder} holds no session{remedy}") from None
    except OSError as error:
        raise StorageError(f"{folder} holds no session: {error.strerror}") from None
    try:
        header = msgspec.json.decode(raw, type=SessionHeader)
    except msgspec.MsgspecError as error:
        raise StorageError(f"{folder / 'header.json'}: {error}") from None
    if header.format != FORMAT:
        raise StorageError(
            f"{folder} has session format {header.format}; this version reads {FORMAT}"
        )
    return header


class SessionReader:
    """Reads a session folder back, strictly: what is damaged can't be repeated.

    Raises:
        StorageError: no session there, another format, or a damaged file (with its position).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.header = read_header(folder)
        self._segments: SegmentReader | None = None

    @property
    def position(self) -> int:
        """Bytes read so far, for a progress bar."""
        return 0 if self._segments is None else self._segments.position

    @property
    def is_cut(self) -> bool:
        """Whether the log has no end: a crash, or a session still being written."""
        return self._segments is not None and self._segments.is_cut

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(path.stat().st_size for path in self.folder.glob("inputs-*.tws"))

    def records(self) -> Iterator[Record]:
        """Yield the records in order, each once."""
        for block in self.blocks():
            for record in records_in(block.data, block.path, block.position):
                if not is_repeated(record):
                    yield record

    def blocks(self) -> Iterator[Block]:
        """Yield the records in order, many at once; some books may come again (`is_repeated`)."""
        self._segments = SegmentReader(self.folder, is_strict=True)
        yield from self._segments.blocks()


def is_repeated(record: Record) -> bool:
    """Whether a record stood in an earlier segment already."""
    return record.kind is RecordKind.BOOK and bool(record.flags & REPEATED)
