"""Owns who may use a state folder: one process at a time, known by epoch, pid and start.

The lock is the kernel's (`flock` on the file `lease`): it ends with its process however that dies,
and what the file says is for people. It isn't passed on to child processes. Refuses to wait and to
take a lease that is held. On network file systems without `flock` nothing is taken.
"""

import fcntl
import os
import time
from pathlib import Path

import msgspec

from tickwright.core.errors import StorageError
from tickwright.storage.journal import next_epoch

__all__ = ["LEASE_FILE", "Lease", "LeaseRecord", "look_at_lease"]

LEASE_FILE = "lease"
LOCK_TRIES = 3
LOCK_WAIT_S = 0.02
"""Somebody who looks whether the lease is held takes it for microseconds: that is no refusal."""
_RECORD_BYTES_MAX = 4_096


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who took a lease last. `purpose` is `trade`, or the verb that edits the state."""

    epoch: int
    pid: int
    started_ns: int
    purpose: str = "trade"

    def __str__(self) -> str:
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started_ns // 1_000_000_000))
        return f"process {self.pid} ({self.purpose}, epoch {self.epoch}, since {started})"


class Lease:
    """A state folder held by this process until `release`. Make one by `take` or `borrow`."""

    def __init__(self, fd: int, path: Path, record: LeaseRecord) -> None:
        self._fd = fd
        self.path = path
        self.record = record

    @classmethod
    def take(cls, folder: Path, now_ns: int) -> "Lease":
        """Hold a state folder for trading, under a new epoch that no earlier run of it had.

        Raises:
            StorageError: another process holds it (named, with the remedy), or it can't be written.
        """
        fd, path = _lock(folder)
        try:
            epoch = next_epoch(folder, now_ns)
            record = LeaseRecord(epoch=epoch, pid=os.getpid(), started_ns=now_ns)
            _write(fd, path, record)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, path, record)

    @classmethod
    def borrow(cls, folder: Path, now_ns: int, *, purpose: str) -> "Lease":
        """Hold a state folder to edit it; the epoch stays that of the last run.

        Raises:
            StorageError: another process holds it (named, with the remedy), or it can't be written.
        """
        fd, path = _lock(folder)
        try:
            last = _read(path)
            epoch = 0 if last is None else last.epoch
            record = LeaseRecord(epoch=epoch, pid=os.getpid(), started_ns=now_ns, purpose=purpose)
            _write(fd, path, record)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, path, record)

    @property
    def epoch(self) -> int:
        """The number of this run, above every earlier one's."""
        return self.record.epoch

    def release(self) -> None:
        """Let the next process have it; once more does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _lock(folder: Path) -> tuple[int, Path]:
    path = folder / LEASE_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Python's descriptors aren't inherited: a child that outlives us doesn't hold the lease.
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"the lease {path} can't be opened: {error.strerror}") from None
    try:
        _flock(fd)
    except BlockingIOError:
        os.close(fd)
        holder = _read(path)
        who = "another process" if holder is None else str(holder)
        raise StorageError(
            f"state folder {folder} is in use by {who}: stop it first, or give this trader a "
            "session.dir of its own"
        ) from None
    except OSError as error:
        os.close(fd)
        raise StorageError(f"the lease {path} can't be locked: {error.strerror}") from None
    return fd, path


def _flock(fd: int) -> None:
    for _ in range(LOCK_TRIES - 1):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_WAIT_S)
        else:
            return
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def look_at_lease(folder: Path) -> tuple[LeaseRecord | None, bool]:
    """Return who took a folder's lease last, and whether it is held now; holds nothing.

    Raises:
        StorageError: there is one, and it can't be looked at.
    """
    path = folder / LEASE_FILE
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None, False
    except OSError as error:
        raise StorageError(f"the lease {path} can't be opened: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path), True
    except OSError as error:
        raise StorageError(f"the lease {path} can't be looked at: {error.strerror}") from None
    finally:
        os.close(fd)
    return _read(path), False


def _write(fd: int, path: Path, record: LeaseRecord) -> None:
    text = msgspec.json.encode(record) + b"\n"
    try:
        os.ftruncate(fd, 0)
        written = os.pwrite(fd, text, 0)
        os.fsync(fd)
    except OSError as error:
        raise StorageError(f"the lease {path} can't be written: {error.strerror}") from None
    if written != len(text):
        raise StorageError(f"the lease {path} can't be written: only {written} bytes of it were")


def _read(path: Path) -> LeaseRecord | None:
    """Return what the file says; None when it says nothing that can be read."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_RECORD_BYTES_MAX), type=LeaseRecord)
    except (OSError, msgspec.MsgspecError):
        return None
