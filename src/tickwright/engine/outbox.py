"""Owns what leaves the engine: commands, notices and the digest over both; refuses to grow.

The digest chains every output, each of which names the input that caused it: two runs with equal
digests decided the same. Outputs are frozen, so hashing them waits until somebody asks or
`UNHASHED_MAX` of them wait: commands leave first.
"""

from collections import deque
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from tickwright.core.commands import Command, Notice

__all__ = ["Outbox"]

UNHASHED_MAX = 256
"""Outputs waiting to be hashed."""
_NOTHING: tuple[Command, ...] = ()


class Outbox:
    """Collects the outputs of one input at a time."""

    def __init__(self, *, notices_max: int) -> None:
        self.commands: list[Command] = []
        """Asked for by the input under way."""
        self._notices: deque[Notice] = deque()
        self._notices_max = notices_max
        self._unhashed: list[Command | Notice] = []
        self._hash = blake2b(digest_size=32)
        self._encode = msgspec.msgpack.Encoder().encode
        self.dropped_notices = 0

    def command(self, command: Command) -> None:
        """Ask something of the world."""
        self.commands.append(command)
        self._unhashed.append(command)

    def notice(self, notice: Notice) -> None:
        """Tell something to whoever looks."""
        if len(self._notices) >= self._notices_max:
            self._notices.popleft()
            self.dropped_notices += 1
        self._notices.append(notice)
        self._unhashed.append(notice)
        if len(self._unhashed) >= UNHASHED_MAX:
            self._chain()

    def take_commands(self) -> Sequence[Command]:
        """Return and forget the commands of this input."""
        commands = self.commands
        if not commands:
            return _NOTHING
        self.commands = []
        if len(self._unhashed) >= UNHASHED_MAX:
            self._chain()
        return commands

    def take_notices(self) -> list[Notice]:
        """Return and forget the notices nobody took yet."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    @property
    def digest(self) -> str:
        """The hash over all outputs so far."""
        self._chain()
        return self._hash.hexdigest()

    def _chain(self) -> None:
        """Hash what waits: its bytes, one output after another."""
        unhashed = self._unhashed
        if unhashed:
            # All of them in one call, as a list; what precedes its first item is its length alone.
            encoded = memoryview(self._encode(unhashed))
            self._hash.update(encoded[_head_bytes(len(unhashed)) :])
            unhashed.clear()


def _head_bytes(count: int) -> int:
    """Return how many bytes MessagePack needs to begin a list of so many items."""
    if count < 16:
        return 1
    return 3 if count < 65_536 else 5
