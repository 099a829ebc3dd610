"""Owns the page that a trader, its watchdog and the kill switch share; refuses to act on it.

One small file in the state folder, mapped into each process. The trader writes its epoch and its
heartbeat there; the kill switch writes which epochs are revoked, and the trader looks at that word
before every byte that could open something: a revocation holds from the moment it is written, even
for a trader that is stuck in a strategy and reads nothing else.
"""

import fcntl
import mmap
import os
import struct
import time
from pathlib import Path

import msgspec

from tickwright.core.errors import StorageError

__all__ = [
    "EVERY_EPOCH",
    "Fence",
    "FenceState",
    "birth_of",
    "fence_path",
    "look",
    "revoke",
]

EVERY_EPOCH = 2**63 - 1
"""Revoked up to here: no trader of this folder may open anything until somebody lifts it."""
_MAGIC = int.from_bytes(b"TWFENCE1", "little")
_WORDS = struct.Struct("<7Q")
_EPOCH, _REVOKED, _HEARTBEAT, _ENDED, _PID, _BIRTH = 1, 2, 3, 4, 5, 6


class FenceState(msgspec.Struct, frozen=True):
    """The page at one moment. `heartbeat_ns` is the machine's monotonic clock.

    `birth` is when the process began, by the kernel's own count: a number given anew to another
    process must never be taken for the trader.
    """

    epoch: int
    revoked_epoch: int
    heartbeat_ns: int
    has_ended: bool
    pid: int
    birth: int

    @property
    def lives(self) -> bool:
        """Whether the trader's process is still there."""
        return self.pid > 0 and birth_of(self.pid) == self.birth

    @property
    def is_revoked(self) -> bool:
        """Whether the trader of this page may not open anything any more."""
        return self.revoked_epoch >= self.epoch

    def silence_s(self) -> float:
        """Return how long the trader has not shown life; endless after a restart of the machine."""
        age_ns = time.monotonic_ns() - self.heartbeat_ns
        return age_ns / 1e9 if age_ns >= 0 else float("inf")


class Fence:
    """The trader's side of the page.

    Raises:
        StorageError: the page can't be made or isn't one.
    """

    def __init__(self, folder: Path, *, epoch: int) -> None:
        self._epoch = epoch
        self._map = _mapped(fence_path(folder), create=True)
        self._words = memoryview(self._map).cast("Q")
        self._words[_PID] = os.getpid()
        self._words[_BIRTH] = birth_of(os.getpid())
        self._words[_ENDED] = 0
        self.beat()
        self._words[_EPOCH] = epoch

    @property
    def is_revoked(self) -> bool:
        """Whether the kill switch was thrown: nothing may be opened from here on."""
        return self._words[_REVOKED] >= self._epoch

    def beat(self) -> None:
        """Show that the loop turns."""
        self._words[_HEARTBEAT] = time.monotonic_ns()

    def end(self) -> None:
        """Note an orderly end: nobody need look after this epoch any more."""
        self._words[_ENDED] = 1
        self._words.release()
        self._map.close()


def fence_path(folder: Path) -> Path:
    """Return where the page of a state folder is."""
    return folder / "fence"


def look(folder: Path) -> FenceState | None:
    """Read the page; None when no trader ever ran here.

    Raises:
        StorageError: it can't be read or isn't one.
    """
    path = fence_path(folder)
    if not path.exists():
        return None
    page = _mapped(path, create=False)
    try:
        words = _WORDS.unpack(page[: _WORDS.size])
    finally:
        page.close()
    return FenceState(
        epoch=words[_EPOCH],
        revoked_epoch=words[_REVOKED],
        heartbeat_ns=words[_HEARTBEAT],
        has_ended=bool(words[_ENDED]),
        pid=words[_PID],
        birth=words[_BIRTH],
    )


def revoke(folder: Path, epoch: int = EVERY_EPOCH) -> None:
    """Forbid every trader up to an epoch to open anything; 0 lifts it again.

    Raises:
        StorageError: the page can't be written.
    """
    page = _mapped(fence_path(folder), create=True)
    try:
        struct.pack_into("<Q", page, 8 * _REVOKED, epoch)
        page.flush()
    except OSError as error:
        raise StorageError(f"{fence_path(folder)} can't be written: {error.strerror}") from None
    finally:
        page.close()


def birth_of(pid: int) -> int:
    """Return when a process began, 0 when it is not there (or ended and was not waited for)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == b"Z" else int(fields[19])


def _mapped(path: Path, *, create: bool) -> mmap.mmap:
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_size == 0:
                os.write(fd, _WORDS.pack(_MAGIC, 0, 0, 0, 1, 0, 0))
                os.fsync(fd)
            if os.fstat(fd).st_size != _WORDS.size:
                raise StorageError(
                    f"{path} is no page of this version; remove it while no trader runs"
                )
            page = mmap.mmap(fd, _WORDS.size)
        finally:
            # A mapping keeps a copy of the descriptor, and with it the lock, as long as it lives.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)
    except OSError as error:
        raise StorageError(f"{path} can't be mapped: {error.strerror or error}") from None
    if struct.unpack_from("<Q", page)[0] != _MAGIC:
        page.close()
        raise StorageError(f"{path} is no page of this version; remove it while no trader runs")
    return page
