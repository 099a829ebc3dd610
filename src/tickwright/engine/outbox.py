"""Owns what leaves the engine: commands, notices and the digest over both; refuses to grow.

The digest chains every output with the number of the input that caused it: two runs with equal
digests decided the same, and one that differs shows from which input on.
"""

from collections import deque
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from tickwright.core.commands import Command, Notice
from tickwright.strategy.context import Moment

__all__ = ["Outbox"]

_NOTHING: tuple[Command, ...] = ()


class Outbox:
    """Collects the outputs of one input at a time."""

    def __init__(self, moment: Moment, *, notices_max: int) -> None:
        self._moment = moment
        self.commands: list[Command] = []
        """Asked for by the input under way."""
        self._notices: deque[Notice] = deque()
        self._notices_max = notices_max
        self._hash = blake2b(digest_size=32)
        self._encode = msgspec.msgpack.Encoder().encode
        self.dropped_notices = 0
        self.output_count = 0

    def command(self, command: Command) -> None:
        """Ask something of the world."""
        self.commands.append(command)
        self._chain(command)

    def notice(self, notice: Notice) -> None:
        """Tell something to whoever looks."""
        if len(self._notices) >= self._notices_max:
            self._notices.popleft()
            self.dropped_notices += 1
        self._notices.append(notice)
        self._chain(notice)

    def take_commands(self) -> Sequence[Command]:
        """Return and forget the commands of this input."""
        commands = self.commands
        if not commands:
            return _NOTHING
        self.commands = []
        return commands

    def take_notices(self) -> list[Notice]:
        """Return and forget the notices nobody took yet."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    @property
    def digest(self) -> str:
        """The hash over all outputs so far."""
        return self._hash.hexdigest()

    def _chain(self, output: Command | Notice) -> None:
        self.output_count += 1
        self._hash.update(self._moment.event_id.to_bytes(8, "big"))
        self._hash.update(self._encode(output))
