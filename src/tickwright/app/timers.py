"""Owns the engine's wishes to be called back; refuses to call late ones twice."""

import asyncio
from collections.abc import Callable

from tickwright.core.commands import SetTimer
from tickwright.core.events import TimerFired
from tickwright.net.listener import utc_now_ns

__all__ = ["Timers"]

TIMERS_MAX = 100_000


class Timers:
    """Turns `SetTimer` commands into `TimerFired` inputs; the same owner and name replaces."""

    def __init__(self, fire: Callable[[TimerFired, int], None]) -> None:
        self._fire = fire
        self._waiting: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def set(self, command: SetTimer) -> None:
        """Call back at `due_ns`, at once when that is past."""
        key = (command.owner, command.name)
        held = self._waiting.pop(key, None)
        if held is not None:
            held.cancel()
        assert len(self._waiting) < TIMERS_MAX, "the engine bounds timers by strategy"
        wait_s = max(0.0, (command.due_ns - utc_now_ns()) / 1e9)
        event = TimerFired(command.owner, command.name, command.due_ns)
        loop = asyncio.get_running_loop()
        self._waiting[key] = loop.call_later(wait_s, self._due, key, event)

    def clear(self) -> None:
        """Forget all wishes: the engine was stopped."""
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()

    def _due(self, key: tuple[str, str], event: TimerFired) -> None:
        del self._waiting[key]
        self._fire(event, utc_now_ns())
