"""Owns how a run throws the kill switch on itself: signal, file, risk rule; refuses to cancel.

The fence falls at once, in this process; the cancelling is done by `tickwright kill` in a process
of its own, so that it goes on whatever becomes of this one.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tickwright.core.commands import HaltNotice, Notice, ProtectionNotice
from tickwright.core.errors import StorageError
from tickwright.storage.fence import revoke

__all__ = ["KILL_FILE", "KILL_SIGNAL", "KillEntries"]

KILL_FILE = "KILL"
"""Make a file of this name in the state folder to throw the switch; what it holds is the reason."""
KILL_SIGNAL = signal.SIGUSR1
_REASON_MAX = 200


class KillEntries:
    """Throws the switch once, by whichever entry comes first.

    Args:
        rules: reasons of halts that throw it.
        arguments: of `tickwright kill`, without reason and entry.
    """

    def __init__(
        self,
        folder: Path,
        arguments: list[str],
        *,
        rules: frozenset[str],
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._arguments = arguments
        self._rules = rules
        self._say = say
        self._is_thrown = False

    def listen(self, stack: contextlib.ExitStack) -> None:
        """Take the signal until the stack ends."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(KILL_SIGNAL, self.throw, "signal", f"{KILL_SIGNAL.name} came")
        stack.callback(loop.remove_signal_handler, KILL_SIGNAL)

    def look(self) -> None:
        """See whether somebody made the file; call it several times a second."""
        path = self._folder / KILL_FILE
        if not self._is_thrown and path.exists():
            with contextlib.suppress(OSError):
                words = path.read_text(errors="replace")[:_REASON_MAX].strip()
                self.throw("file", words or f"{KILL_FILE} was made")

    def on_notice(self, notice: Notice) -> None:
        """Throw it for a halt that the configuration names."""
        if isinstance(notice, HaltNotice):
            rule = notice.reason.partition(":")[0]
            if rule in self._rules:
                self.throw("rule", f"{notice.scope}: {notice.reason}")
        elif (
            isinstance(notice, ProtectionNotice)
            # What was lifted, or stood before the restart, was thrown for already.
            and not notice.by
            and notice.kind.value in self._rules
        ):
            self.throw("rule", f"{notice.name}: {notice.reason}")

    def throw(self, by: str, reason: str) -> None:
        """Let the fence fall and start the switch."""
        if self._is_thrown:
            return
        self._is_thrown = True
        self._say(f"kill switch by {by}: {reason}")
        try:
            revoke(self._folder)
        except StorageError as error:
            self._say(str(error))
        wish = ["--by", by, "--reason", reason[:_REASON_MAX]]
        with (self._folder / "kill.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "tickwright", "kill", *self._arguments, *wish],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
