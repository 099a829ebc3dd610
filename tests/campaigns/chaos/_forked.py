"""Processes forked from one that has loaded everything: a trader starts in no time.

One server serves the whole campaign; what it loads must be said before its first process.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.campaigns.chaos.world import until

__all__ = ["Forked", "forked", "verb"]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "tests.campaigns.chaos._crashing",
        "tests.campaigns.chaos._swinging",
        "tickwright.app.run",
        "tickwright.app.watchdog_run",
        "tickwright.cli.main",
    ]
)


class Forked:
    """A running process."""

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it lives."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it whatever state it is in."""
        if self.code is None:
            os.kill(self.pid, signal.SIGCONT)
            self._process.kill()

    async def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end, and end it when it takes too long; return its code."""
        if not await until(lambda: self.code is not None, seconds):
            self.kill()
        self._process.join()
        assert self.code is not None
        return self.code


def forked(target: Callable[..., None], *arguments: Any) -> Forked:
    """Start a process that calls `target`."""
    return Forked(target, arguments)


def verb(out: Path, *arguments: str) -> Forked:
    """Start a verb of the program; what it says goes to a file."""
    return Forked(_tickwright, (str(out), arguments))


def _tickwright(out: str, arguments: tuple[str, ...]) -> None:
    from tickwright.cli.main import main

    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    sys.argv = ["tickwright", *arguments]
    main()
