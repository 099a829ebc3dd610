"""Owns batches that wait on disk for a database that is away; refuses to grow past its bound.

One file a batch, numbered in order: magic, length, CRC-32, the batch. It gets its name once it is
whole and synced, and goes when the database has committed it: a crash leaves each batch whole or
absent, and a batch that was committed just before a crash is cut by its offset when it is written
again. A damaged file is set aside with the ending `.damaged`, one that the database refuses with
`.refused`.

At the bound rows are given up in the order of their `Worth`, those that come first, then those that
wait: no order or execution goes while anything else is there. One process at a time holds a spool.
"""

import binascii
import contextlib
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from tickwright.core.errors import StorageError
from tickwright.storage.history.batch import HistoryBatch, Worth, decode_batch
from tickwright.storage.history.spool_look import ASIDE, BATCH, on_disk

__all__ = ["Spool"]

ASIDE_MAX = 100
"""Files set aside for a person; beyond, the oldest of them go."""
_HEAD = struct.Struct("<4sII")
_MAGIC = b"TWH2"
_LOCK = "lock"


@dataclass(slots=True)
class _Waiting:
    path: Path
    size: int
    kept: int = 0
    """Everything worth more than this is in it still."""


class Spool:
    """A folder of waiting batches, oldest first.

    Args:
        bytes_max: of files that wait.

    Raises:
        StorageError: the folder can't be used, or another process holds it.
    """

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self.damaged = 0
        """Files that were set aside because they couldn't be read."""
        self.lost = 0
        """Rows that there was no room for."""
        self.untold = 0
        """Lost rows that no batch tells of: the next one written should."""
        self._lock = _locked(folder)
        try:
            for draft in folder.glob("*.draft"):
                draft.unlink()
            self._waiting = [
                _Waiting(path, on_disk(path.stat().st_size))
                for path in sorted(folder.glob(f"*{BATCH}"))
            ]
            numbers = [int(one.stem) for one in folder.iterdir() if one.stem.isdigit()]
        except OSError as error:
            raise StorageError(f"the spool {folder} can't be used: {error.strerror}") from None
        self.bytes = sum(one.size for one in self._waiting)
        self._number = max(numbers, default=0)

    def __len__(self) -> int:
        return len(self._waiting)

    def oldest_s(self) -> float | None:
        """Return when the oldest batch was written, in seconds of UTC; None while it is empty."""
        try:
            return self._waiting[0].path.stat().st_mtime if self._waiting else None
        except OSError:
            return None

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def put(self, batch: HistoryBatch, *, held: int = 0) -> bool:
        """Keep a batch behind the others, or what of it there is room for; False if that is none.

        The `held` oldest are being written to the database and stay as they are.

        Raises:
            StorageError: the disk refuses it, though the bound doesn't.
        """
        kept = batch
        body = kept.encode()
        for worth in (Worth.MARKET, Worth.SAMPLE, Worth.TOLD):
            if self._fits(body):
                break
            kept = kept.without(worth)
            body = kept.encode()
            self._give_up(worth, len(body), held)
        if not self._fits(body):
            self.lost += batch.row_count
            self.untold += batch.lost + batch.row_count
            return False
        self._write(self._number + 1, body)
        self._number += 1
        path = self._path(self._number)
        size = on_disk(len(body) + _HEAD.size)
        self._waiting.append(_Waiting(path, size))
        self.bytes += size
        self.lost += batch.row_count - kept.row_count
        return True

    def first(self) -> HistoryBatch | None:
        """Return the oldest whole batch; damaged files before it are set aside."""
        while self._waiting:
            batch = _read(self._waiting[0].path)
            if batch is not None:
                return batch
            self.damaged += 1
            self._leave(".damaged")
        return None

    def drop_first(self) -> None:
        """Forget the oldest: the database has it."""
        one = self._waiting.pop(0)
        self.bytes -= one.size
        # One that can't be removed is cut by its offset when it is written again.
        with contextlib.suppress(OSError):
            one.path.unlink()

    def refuse_first(self) -> Path:
        """Set the oldest aside, for a person to look at; returns where it is."""
        return self._leave(".refused")

    def _fits(self, body: bytes) -> bool:
        return self.bytes + on_disk(len(body) + _HEAD.size) <= self.bytes_max

    def _give_up(self, worth: Worth, needed: int, held: int) -> None:
        """Make room by what waiting batches hold of little worth."""
        needed = on_disk(needed + _HEAD.size)
        for one in self._waiting[held:]:
            if self.bytes + needed <= self.bytes_max:
                return
            if one.kept >= worth:
                continue
            batch = _read(one.path)
            one.kept = worth
            if batch is None:
                continue
            slim = batch.without(worth)
            if slim.row_count == batch.row_count:
                continue
            body = slim.encode()
            self._write(int(one.path.stem), body)
            self.lost += batch.row_count - slim.row_count
            size = on_disk(len(body) + _HEAD.size)
            self.bytes += size - one.size
            one.size = size

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}{BATCH}"

    def _write(self, number: int, body: bytes) -> None:
        path = self._path(number)
        draft = path.with_suffix(".draft")
        try:
            with draft.open("wb") as file:
                file.write(_HEAD.pack(_MAGIC, len(body), binascii.crc32(body)))
                file.write(body)
                file.flush()
                os.fdatasync(file.fileno())
            draft.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StorageError(f"the spool {path} can't be written: {error.strerror}") from None

    def _leave(self, ending: str) -> Path:
        one = self._waiting.pop(0)
        self.bytes -= one.size
        aside = one.path.with_suffix(ending)
        with contextlib.suppress(OSError):
            one.path.rename(aside)
            others = sorted(p for p in self.folder.iterdir() if p.suffix in ASIDE)
            for path in others[:-ASIDE_MAX]:
                path.unlink()
        return aside


def _read(path: Path) -> HistoryBatch | None:
    """Return the batch of a file; None when it can't be read."""
    try:
        raw = path.read_bytes()
        magic, size, checksum = _HEAD.unpack_from(raw)
        body = raw[_HEAD.size :]
        if (_MAGIC, size, checksum) == (magic, len(body), binascii.crc32(body)):
            return decode_batch(body)
    except (OSError, struct.error, StorageError):
        pass
    return None


def _locked(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"the spool {folder} can't be used: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise StorageError(f"the spool {folder} is in use: its process drains it") from None
    return fd
