"""Owns keeping the state of a running engine on the disk; refuses to hold up trading.

A change is written within a second; a protection that was entered is handed to the disk at once,
right after its commands left. What can't be written is told and tried again each second; trading
goes on, because the account and the limits in memory are still right.
"""

from collections.abc import Callable
from pathlib import Path

from tickwright.engine.engine import Engine
from tickwright.storage.kept_state import KeptStateWriter

__all__ = ["SAVE_EVERY_S", "StateKeeper"]

SAVE_EVERY_S = 1.0


class StateKeeper:
    """Saves an engine's state when it changed.

    `now_s` is any monotonic clock. `on_note` is called with (event, text).
    """

    def __init__(
        self, engine: Engine, folder: Path, *, on_note: Callable[[str, str], None]
    ) -> None:
        self._engine = engine
        self._writer = KeptStateWriter(folder)
        self._on_note = on_note
        self._saved: tuple[object, ...] = ()
        self._saved_s = float("-inf")
        self._told = ""
        self.covered_ns = 0
        """Up to which input the file on the disk holds what happened."""

    def look(self, now_s: float) -> None:
        """Save when something changed and the last time is long enough ago; call it often."""
        if now_s < self._saved_s + SAVE_EVERY_S:
            return
        self._tell()
        self._saved_s = now_s
        is_written = not self._writer.fault and self._writer.is_idle
        if self._writer.fault or self._engine.kept_version != self._saved:
            self.covered_ns = max(self.covered_ns, self._writer.written_ns)
            self.save()
        elif is_written:
            # Nothing of it has changed since.
            self.covered_ns = self._engine.state.now_ns

    def save(self) -> None:
        """Save what stands now."""
        self._saved = self._engine.kept_version
        self._writer.save(self._engine.kept_state())

    def close(self) -> None:
        """Save for the last time and wait for the disk."""
        self.save()
        self._writer.close()
        self.covered_ns = self._writer.written_ns
        self._tell()

    def _tell(self) -> None:
        fault = self._writer.fault
        if fault != self._told:
            self._told = fault
            if fault:
                self._on_note("state.unwritten", fault)
            else:
                self._on_note("state.written", "it is on the disk again")
