"""Owns the journal: what we promised the venue, written before its first byte leaves.

A line of the file is `<crc32 hex> <json>`; a reader takes whole lines with a right checksum. It
refuses to lie: an intent that could not be written raises, and then nothing is sent. Cancels never
wait for it: they are recorded afterwards, and a failure there is only counted.

Sync policy: `never` and `interval` survive the death of the process (the record is in the kernel),
`interval` survives a loss of power but for the last interval, `always` survives a loss of power and
costs an fdatasync per order, off the loop thread.
"""

import binascii
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tickwright.core.commands import AmendOrder, CancelAll, CancelOrder, PlaceOrder
from tickwright.core.errors import StorageError

__all__ = ["Journal", "JournalEntry", "SyncPolicy", "next_epoch", "read_journal"]

SyncPolicy = Literal["never", "interval", "always"]
_LINE_BYTES_MAX = 64 * 1024
Promise = PlaceOrder | AmendOrder | CancelOrder | CancelAll


class JournalEntry(msgspec.Struct, frozen=True):
    """One record: what was promised, when, by which epoch."""

    epoch: int
    now_ns: int
    promise: Promise


class Journal:
    """Appends promises to one file.

    Raises:
        StorageError: the file can't be opened for appending.
    """

    def __init__(self, path: Path, *, epoch: int, sync: SyncPolicy = "never") -> None:
        self.path = path
        self.sync: SyncPolicy = sync
        self.entry_count = 0
        self.flush_count = 0
        self.lost_cancels = 0
        """Cancels that went out but could not be recorded."""
        self.fault = ""
        """Set by a failed write or sync: no new order may be sent from then on."""
        self._epoch = epoch
        self._encode = msgspec.json.Encoder().encode
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            _mend_tail(self._fd)
        except OSError as error:
            raise StorageError(f"journal {path} can't be opened: {error.strerror}") from None

    def promise(self, command: Promise, now_ns: int) -> None:
        """Write a promise; it may be sent once this returns (and `flush`, when sync is always).

        Raises:
            StorageError: it isn't in the file, so it must not be sent.
        """
        if self.fault:
            raise StorageError(self.fault)
        line = self._line(command, now_ns)
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            self.fault = f"journal {self.path} can't be written: {error.strerror}"
            raise StorageError(self.fault) from None
        if written != len(line):
            self.fault = f"journal {self.path}: only {written} of {len(line)} bytes were written"
            raise StorageError(self.fault)
        self.entry_count += 1

    def note_cancel(self, command: CancelOrder | CancelAll, now_ns: int) -> None:
        """Record a cancel that was sent already; a full disk must not have stopped it."""
        try:
            os.write(self._fd, self._line(command, now_ns))
        except OSError:
            self.lost_cancels += 1

    def flush(self) -> None:
        """Bring everything to the disk; call off the loop thread.

        Raises:
            StorageError: the sync failed; from now on no order may be sent.
        """
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self.fault = f"journal {self.path} can't be synced: {error.strerror}"
            raise StorageError(self.fault) from None
        self.flush_count += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _line(self, command: Promise, now_ns: int) -> bytes:
        body = self._encode(JournalEntry(self._epoch, now_ns, command))
        return b"%08x %b\n" % (binascii.crc32(body), body)


def _mend_tail(fd: int) -> None:
    """Drop half a line that a crash left: its promise never returned, so it was never sent."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _LINE_BYTES_MAX, max(0, size - _LINE_BYTES_MAX))
    rest = tail[tail.rfind(b"\n") + 1 :]
    if not rest:
        return
    if _is_whole(rest):
        os.write(fd, b"\n")
    else:
        os.ftruncate(fd, size - len(rest))


def _is_whole(line: bytes) -> bool:
    checksum, _, body = line.partition(b" ")
    try:
        return len(checksum) == 8 and int(checksum, 16) == binascii.crc32(body)
    except ValueError:
        return False


def read_journal(path: Path) -> Iterator[JournalEntry]:
    """Yield the whole entries of a journal; a cut last line is a crash and is left out.

    Raises:
        StorageError: a line before the last is damaged (named), or the file can't be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"journal {path} can't be read: {error.strerror}") from None
    decode = msgspec.json.Decoder(JournalEntry).decode
    last = len(lines) - 1
    for number, line in enumerate(lines):
        if not line:
            continue
        if not _is_whole(line):
            if number == last:
                return
            raise StorageError(f"journal {path}: line {number + 1} is damaged")
        try:
            yield decode(line[9:])
        except msgspec.MsgspecError as error:
            raise StorageError(f"journal {path}: line {number + 1}: {error}") from None


def next_epoch(folder: Path, now_ns: int) -> int:
    """Return a number no earlier run of this folder used, on disk before it is returned.

    It is also above the clock in seconds, so that a lost folder can't repeat an epoch.

    Raises:
        StorageError: it can't be written.
    """
    path = folder / "epoch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = int(path.read_text().strip() or "0")
        except FileNotFoundError:
            held = 0
        except ValueError:
            raise StorageError(f"{path} holds no number; remove it to start over") from None
        epoch = max(held + 1, now_ns // 1_000_000_000)
        with path.open("w") as file:
            file.write(f"{epoch}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error}") from None
    return epoch
