"""Owns batches that wait on disk for a database that is away; refuses to grow past its bound.

One file a batch, numbered in order: magic, length, CRC-32, the batch. It gets its name once it is
whole and synced, and goes when the database has committed it: a crash leaves each batch whole or
absent, and a batch that was committed just before a crash is cut by its offset when it is written
again. A damaged file is set aside with the ending `.damaged`, one that the database refuses with
`.refused`; both are told.
"""

import binascii
import os
import struct
from pathlib import Path

from tickwright.core.errors import StorageError
from tickwright.storage.history.batch import HistoryBatch, decode_batch

__all__ = ["Spool"]

_HEAD = struct.Struct("<4sII")
_MAGIC = b"TWH1"


class Spool:
    """A folder of waiting batches, oldest first.

    Args:
        bytes_max: a batch that would exceed it is refused by `put`.

    Raises:
        StorageError: the folder can't be used.
    """

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self.damaged = 0
        """Files that were set aside."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for draft in folder.glob("*.draft"):
                draft.unlink()
            self._waiting = sorted(folder.glob("*.batch"))
            self.bytes = sum(path.stat().st_size for path in self._waiting)
        except OSError as error:
            raise StorageError(f"the spool {folder} can't be used: {error.strerror}") from None
        aside = [path for path in folder.iterdir() if path.stem.isdigit()]
        self._number = max((int(path.stem) for path in aside), default=0)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, batch: HistoryBatch) -> bool:
        """Keep a batch behind the others; False when the spool is full.

        Raises:
            StorageError: the disk refuses it.
        """
        body = batch.encode()
        size = len(body) + _HEAD.size
        if self.bytes + size > self.bytes_max:
            return False
        path = self.folder / f"{self._number + 1:012d}.batch"
        draft = path.with_suffix(".draft")
        try:
            with draft.open("wb") as file:
                file.write(_HEAD.pack(_MAGIC, len(body), binascii.crc32(body)))
                file.write(body)
                file.flush()
                os.fdatasync(file.fileno())
            draft.rename(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StorageError(f"the spool {path} can't be written: {error.strerror}") from None
        self._number += 1
        self._waiting.append(path)
        self.bytes += size
        return True

    def first(self) -> HistoryBatch | None:
        """Return the oldest whole batch; damaged files before it are set aside."""
        while self._waiting:
            path = self._waiting[0]
            try:
                raw = path.read_bytes()
                magic, size, checksum = _HEAD.unpack_from(raw)
                body = raw[_HEAD.size :]
                if (_MAGIC, size, checksum) == (magic, len(body), binascii.crc32(body)):
                    return decode_batch(body)
            except (OSError, struct.error, StorageError):
                pass
            self.damaged += 1
            self._leave(path, ".damaged")
        return None

    def drop_first(self) -> None:
        """Forget the oldest: the database has it."""
        path = self._waiting.pop(0)
        self.bytes -= path.stat().st_size
        path.unlink()

    def refuse_first(self) -> Path:
        """Set the oldest aside, for a person to look at; returns where it is."""
        return self._leave(self._waiting[0], ".refused")

    def _leave(self, path: Path, ending: str) -> Path:
        self._waiting.pop(0)
        aside = path.with_suffix(ending)
        try:
            self.bytes -= path.stat().st_size
            path.rename(aside)
        except OSError:
            self.bytes = max(0, self.bytes)
        return aside
