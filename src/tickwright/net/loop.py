"""Owns how the event loop waits: blocking, spinning, or collecting; refuses to run anything.

Two settings of the configuration change the trade between latency and CPU (venues send bursts, and
a wake-up costs several times a message): `busy_poll` never sleeps, for a whole core; `coalesce_us`
sleeps that long before each look, so that one wake-up carries several frames.
"""

import asyncio
import contextlib
import selectors
import sys
import time
from collections.abc import Callable

__all__ = ["make_loop_factory"]

COALESCE_US_MAX = 10_000


class _BusySelector(selectors.DefaultSelector):
    """Looks at the sockets without ever sleeping."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(0)


class _CoalescingSelector(selectors.DefaultSelector):
    """Sleeps a little after it woke, so that more frames come in one read."""

    def __init__(self, pause_s: float) -> None:
        super().__init__()
        self._pause_s = pause_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        if ready and timeout != 0:
            time.sleep(self._pause_s)
            return super().select(0)
        return ready


def make_loop_factory(
    *, busy_poll: bool = False, coalesce_us: int = 0, wants_uvloop: bool = True
) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop: uvloop where it is installed and nothing else is wished.

    Raises:
        ValueError: both settings at once, or a pause out of range.
    """
    if busy_poll and coalesce_us:
        raise ValueError("busy_poll and coalesce_us exclude each other")
    if not 0 <= coalesce_us <= COALESCE_US_MAX:
        raise ValueError(f"coalesce_us must be 0 to {COALESCE_US_MAX}, not {coalesce_us}")
    if busy_poll:
        return lambda: asyncio.SelectorEventLoop(_BusySelector())
    if coalesce_us:
        return lambda: asyncio.SelectorEventLoop(_CoalescingSelector(coalesce_us / 1e6))
    if wants_uvloop and sys.platform != "win32":
        with contextlib.suppress(ImportError):
            import uvloop

            return uvloop.new_event_loop
    return asyncio.new_event_loop
