"""Owns the session log: the engine's inputs in order, so that a run can be repeated exactly.

Layout of a session folder: `header.json` (format, code version, digest of the configuration,
parameters, seed, start) and `inputs.twl`. The file is a row of blocks: magic, size, CRC-32, then
records as `net.tap` lays them out. A cut tail (a crash) is read up to the last whole block; a block
with a wrong checksum ends the reading with a clear error. It refuses to slow trading: a thread
writes, and a log that could not keep up says that it is not whole.
"""

import binascii
import contextlib
import enum
import os
import struct
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from tickwright.core.errors import StorageError
from tickwright.net.tap import HEADER_SIZE, InputTap

__all__ = [
    "Record",
    "RecordKind",
    "SessionHeader",
    "SessionReader",
    "SessionWriter",
    "last_record",
]

FORMAT = 1
_MAGIC = b"TWL1"
_BLOCK = struct.Struct("<4sII")
_RECORD = struct.Struct("<IBBHqq")
_BLOCK_BYTES_MAX = 512 * 1024 * 1024
FLUSH_S = 0.05
TAIL_BYTES = 4 * 1024 * 1024
"""How much of a log's end is looked at for its last record."""

assert _RECORD.size == HEADER_SIZE


class RecordKind(enum.IntEnum):
    """What a record holds; the numbers are on disk."""

    FRAME = 1
    """A raw frame of the public feed; `source` is the connection, flag 1 the last of a read."""
    CONTROL = 2
    """What the feed did to a book or topic, JSON (money is wider than 64 bits)."""
    INPUT = 3
    """An engine input of its own, JSON (money is wider than 64 bits)."""
    START = 4
    """The engine was started at this time."""
    DIGEST = 5
    """The engine's digest after event `number`: a replay stops at the first that differs."""
    STOP = 6
    """The engine was stopped in order; payload is the final digest."""
    BOOK = 7
    """A book was added: its slot and instrument, JSON (money is wider than 64 bits)."""


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


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of the log."""

    kind: RecordKind
    flags: int
    source: int
    number: int
    now_ns: int
    payload: bytes


class SessionWriter:
    """Writes a session folder from a tap, in a thread of its own.

    Args:
        folder: made here; must not hold a session yet.
        bytes_max: the log stops growing there and says that it isn't whole; trading goes on.

    Raises:
        StorageError: the folder can't be made or holds a session already.
    """

    def __init__(
        self,
        folder: Path,
        header: SessionHeader,
        tap: InputTap,
        *,
        bytes_max: int = 8 * 1024**3,
    ) -> None:
        self.folder = folder
        self.tap = tap
        self.bytes_written = 0
        self.fault = ""
        """Why the log isn't whole; empty while it is."""
        self._bytes_max = bytes_max
        self._stop = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "inputs.twl"
            self._file: BinaryIO = path.open("xb")
            (folder / "header.json").write_bytes(
                msgspec.json.format(msgspec.json.encode(header), indent=1)
            )
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
    def is_whole(self) -> bool:
        """Whether everything so far is, or will be, in the file."""
        return not self.fault and not self.tap.is_full

    def close(self) -> None:
        """Write what is left and close the file."""
        self._stop.set()
        self._thread.join()
        self._write(self.tap.take())
        self._file.close()

    def _work(self) -> None:
        # `take` swaps under the GIL in one C call, so the trading thread can't be half-way in it.
        while not self._stop.wait(FLUSH_S):
            self._write(self.tap.take())

    def _write(self, block: bytes) -> None:
        if self.tap.is_full and not self.fault:
            self.fault = f"the disk was too slow: {self.tap.bytes_max} bytes waited"
        if not block or self.fault:
            return
        if self.bytes_written + len(block) > self._bytes_max:
            self.fault = f"the log reached its bound of {self._bytes_max} bytes"
            return
        try:
            self._file.write(_BLOCK.pack(_MAGIC, len(block), binascii.crc32(block)))
            self._file.write(block)
            self._file.flush()
        except OSError as error:
            self.fault = f"the log can't be written: {error}"
            return
        self.bytes_written += len(block) + _BLOCK.size


class SessionReader:
    """Reads a session folder back.

    Raises:
        StorageError: no session there, another format, or a damaged file (with its position).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            raw = (folder / "header.json").read_bytes()
        except OSError as error:
            raise StorageError(f"{folder} holds no session: {error.strerror}") from None
        try:
            self.header = msgspec.json.decode(raw, type=SessionHeader)
        except msgspec.MsgspecError as error:
            raise StorageError(f"{folder / 'header.json'}: {error}") from None
        if self.header.format != FORMAT:
            raise StorageError(
                f"{folder} has session format {self.header.format}; this version reads {FORMAT}"
            )
        self.position = 0
        """Bytes read so far, for a progress bar."""
        self.is_cut = False
        """Whether the file ended inside a block: a crash, or a session still being written."""

    @property
    def size(self) -> int:
        """Bytes of the inputs file."""
        return os.stat(self.folder / "inputs.twl").st_size

    def records(self) -> Iterator[Record]:
        """Yield the records in order."""
        path = self.folder / "inputs.twl"
        try:
            file = path.open("rb")
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from None
        with contextlib.closing(file):
            while True:
                position = file.tell()
                head = file.read(_BLOCK.size)
                if len(head) < _BLOCK.size:
                    self.is_cut = len(head) > 0
                    return
                magic, size, checksum = _BLOCK.unpack(head)
                if magic != _MAGIC or size > _BLOCK_BYTES_MAX:
                    raise StorageError(f"{path}: no block starts at byte {position}")
                block = file.read(size)
                if len(block) < size:
                    self.is_cut = True
                    return
                if binascii.crc32(block) != checksum:
                    raise StorageError(f"{path}: the block at byte {position} is damaged")
                self.position = file.tell()
                yield from _records(block, path, position)


def _records(block: bytes, path: Path, position: int) -> Iterator[Record]:
    at = 0
    while at < len(block):
        if len(block) - at < HEADER_SIZE:
            raise StorageError(f"{path}: half a record in the block at byte {position}")
        size, kind, flags, source, number, now_ns = _RECORD.unpack_from(block, at)
        at += HEADER_SIZE
        if at + size > len(block):
            raise StorageError(f"{path}: half a record in the block at byte {position}")
        try:
            known = RecordKind(kind)
        except ValueError:
            raise StorageError(
                f"{path}: record kind {kind} in the block at byte {position} is unknown"
            ) from None
        yield Record(known, flags, source, number, now_ns, block[at : at + size])
        at += size


def last_record(folder: Path) -> Record | None:
    """Return the last whole record of a session's log, read from its end; None when there is none.

    The tail of the last block alone is looked at: a session that ended in order ends with a small
    one.
    """
    path = folder / "inputs.twl"
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read()
    except OSError:
        return None
    at = tail.rfind(_MAGIC)
    while at >= 0:
        if len(tail) - at >= _BLOCK.size:
            _, length, checksum = _BLOCK.unpack_from(tail, at)
            block = tail[at + _BLOCK.size : at + _BLOCK.size + length]
            # The letters may stand in a frame too: only a block fits its length and checksum.
            if len(block) == length and binascii.crc32(block) == checksum:
                records = deque(_records(block, path, at), maxlen=1)
                return records[0] if records else None
        at = tail.rfind(_MAGIC, 0, at)
    return None
