"""Owns one address's dial budget for all processes of a user; refuses to stop anybody by a fault.

A file of time stamps under a lock. When it can't be used the process counts for itself.
"""

import fcntl
import os
import struct
from pathlib import Path

from tickwright.net.backoff import DialBudget

__all__ = ["SharedDialBudget", "dial_file"]

_STAMP = struct.Struct("<q")


def dial_file(host: str) -> Path:
    """Return where the dials to a host are counted."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    safe = "".join(c if c.isalnum() or c in "-." else "_" for c in host)
    return Path(home).expanduser() / "tickwright" / "dials" / safe


class SharedDialBudget(DialBudget):
    """A `DialBudget` that other processes of this user count in, too.

    Stamps are wall-clock based (`net.listener.utc_now_ns`), so that processes mean the same; one
    from the future (a clock that was set back) is dropped.
    """

    __slots__ = ("fault", "path")

    def __init__(
        self, path: Path, *, dials_max: int = 400, window_ns: int = 300_000_000_000
    ) -> None:
        super().__init__(dials_max=dials_max, window_ns=window_ns)
        self.path = path
        self.fault = ""
        """Why the file isn't used; empty while it is."""

    def wait_ns(self, now_ns: int) -> int:
        """Return how long to wait until a dial is allowed; 0 when it is now."""
        stamps = self._stamps(now_ns, spend=False)
        if stamps is None:
            return super().wait_ns(now_ns)
        if len(stamps) < self.dials_max:
            return 0
        return max(0, stamps[-self.dials_max] + self.window_ns - now_ns)

    def spend(self, now_ns: int) -> None:
        """Count one dial."""
        super().spend(now_ns)
        self._stamps(now_ns, spend=True)

    def _stamps(self, now_ns: int, *, spend: bool) -> list[int] | None:
        """Return the stamps of the window, rising, with ours added; None when there is no file."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self.fault = f"{self.path}: {error.strerror}"
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            raw = os.read(fd, 64 * self.dials_max)
            whole = len(raw) - len(raw) % _STAMP.size
            since = now_ns - self.window_ns
            stamps = [s for (s,) in _STAMP.iter_unpack(raw[:whole]) if since < s <= now_ns]
            if spend:
                stamps = [*stamps, now_ns][-4 * self.dials_max :]
                os.ftruncate(fd, 0)
                os.pwrite(fd, b"".join(map(_STAMP.pack, stamps)), 0)
            return sorted(stamps)
        except OSError as error:
            self.fault = f"{self.path}: {error.strerror}"
            return None
        finally:
            os.close(fd)
