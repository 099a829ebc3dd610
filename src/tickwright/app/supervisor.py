"""Owns running one coroutine as a process's whole life: signals, ends, and bugs that escaped.

The first SIGINT or SIGTERM asks for an orderly end, the second one ends at once. A fault of the
world leaves as the one exception the front door has a sentence for; anything else is a bug of ours:
its traceback goes to the log, a sentence to the screen, and the exit code is 1. This is the only
place that catches every exception.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from tickwright.app.logs import RunLog
from tickwright.core.errors import TickwrightError
from tickwright.net.loop import make_loop_factory

__all__ = ["BUG", "INTERRUPTED", "Life", "single_fault", "supervise"]

BUG = 1
INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Life:
    """What a supervised coroutine may know of its end. `stopping` is set by the first signal."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.signal_name = ""
        self.bug: BaseException | None = None
        self._task: asyncio.Task[int] | None = None

    def _on_signal(self, number: signal.Signals) -> None:
        if self.stopping.is_set() and self._task is not None:
            self._task.cancel()
        self.signal_name = number.name
        self.stopping.set()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something raised in a callback, where nobody could catch it: it ends the run."""
        error = context.get("exception")
        if not isinstance(error, BaseException) or isinstance(error, asyncio.CancelledError):
            loop.default_exception_handler(context)
            return
        if self.bug is None:
            self.bug = error
        if self._task is not None:
            self._task.cancel()


def supervise(
    main: Callable[[Life], Coroutine[Any, Any, int]],
    *,
    log: RunLog,
    busy_poll: bool = False,
    coalesce_us: int = 0,
) -> int:
    """Run `main(life)` to its end and return its exit code.

    Raises:
        TickwrightError: the fault of the world that ended it.
    """
    factory = make_loop_factory(busy_poll=busy_poll, coalesce_us=coalesce_us)
    life: Life | None = None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            life = Life()
            return runner.run(_live(main, life))
    except asyncio.CancelledError:
        if life is not None and life.bug is not None:
            return _end_of(life.bug, log)
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if life is not None and life.bug is not None:
            return _end_of(life.bug, log)
        return _end_of(error, log)


async def _live(main: Callable[[Life], Coroutine[Any, Any, int]], life: Life) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(life._on_loop_error)
    for number in _SIGNALS:
        loop.add_signal_handler(number, life._on_signal, number)
    life._task = asyncio.current_task()
    try:
        return await main(life)
    finally:
        life._task = None
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def single_fault(error: BaseException) -> TickwrightError | None:
    """Return the fault of the world in an exception, or None when there is a bug in it.

    Of several faults in a group the first one speaks: the others are mostly its consequences.
    """
    if isinstance(error, TickwrightError):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    faults = [single_fault(inner) for inner in error.exceptions]
    return None if any(fault is None for fault in faults) else faults[0]


def _end_of(error: BaseException, log: RunLog) -> int:
    fault = single_fault(error)
    if fault is not None:
        # The command line tells it in a sentence.
        log.mute()
        log.log.error("run.failed", text=str(fault), kind=type(fault).__name__)
        raise fault
    log.log.error("run.bug", text="this is a bug of tickwright", exc_info=error)
    where = f"; the traceback is in {log.path}" if log.path is not None else ""
    words = log.clean(f"{type(error).__name__}: {error}")
    sys.stderr.write(f"tickwright: stopped by a bug of its own: {words}{where}\n")
    return BUG
