"""Owns the note that a watchdog leaves of itself; refuses to believe it beyond its process.

It stands in the state folder, so that `status` can say whether somebody looks after the trader.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tickwright.net.listener import utc_now_ns
from tickwright.storage.fence import birth_of

__all__ = ["WATCHDOG_FILE", "WatchdogRecord", "noted_watchdog", "watching"]

WATCHDOG_FILE = "watchdog.json"
_BYTES_MAX = 4_096


class WatchdogRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Which process watches, since when, and after how much silence it kills."""

    pid: int
    birth: int
    started_ns: int
    heartbeat_s_max: float

    @property
    def lives(self) -> bool:
        """Whether that very process is still there."""
        return self.pid > 0 and birth_of(self.pid) == self.birth


@contextlib.contextmanager
def watching(folder: Path, heartbeat_s_max: float) -> Iterator[None]:
    """Leave the note while the block runs; a folder that takes none is no reason not to watch."""
    path = folder / WATCHDOG_FILE
    pid = os.getpid()
    record = WatchdogRecord(
        pid=pid, birth=birth_of(pid), started_ns=utc_now_ns(), heartbeat_s_max=heartbeat_s_max
    )
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(record) + b"\n")
    try:
        yield
    finally:
        if noted_watchdog(folder) == record:
            with contextlib.suppress(OSError):
                path.unlink()


def noted_watchdog(folder: Path) -> WatchdogRecord | None:
    """Return the last watchdog's note; None when there is none that can be read."""
    try:
        with (folder / WATCHDOG_FILE).open("rb") as file:
            return msgspec.json.decode(file.read(_BYTES_MAX), type=WatchdogRecord)
    except (OSError, msgspec.MsgspecError):
        return None
