"""Owns the door by which a person tells a running trader something; refuses anybody else.

A Unix socket in the state folder that its owner alone can open. One JSON object comes in, one goes
out. What is told becomes an engine input like any other, and is recorded with the rest.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tickwright.core.errors import ConfigError, ConnectionLost, StorageError
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.core.nearest import nearest
from tickwright.engine.summary import EngineSummary

__all__ = ["CONTROL_SOCKET", "ControlAnswer", "ControlWish", "listen", "tell_trader"]

CONTROL_SOCKET = "control.sock"
LINE_BYTES_MAX = 4_096
ANSWER_S_MAX = 5.0
CALLERS_MAX = 8
"""Connections at once; one more is turned away."""
_REASON_MAX = 200


class ControlWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told. `scope` is `all`, a strategy, or for lift `KIND@SCOPE`."""

    verb: OperatorVerb
    scope: str = "all"
    reason: str = ""


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the trader stands after it was told; `fault` says why nothing was done."""

    fault: str = ""
    event_id: int = 0
    engine_halt: str = ""
    halted_strategies: dict[str, str] = {}
    halted_instruments: dict[str, str] = {}
    protections: tuple[str, ...] = ()
    orders_live: int = 0


def _path(folder: Path, fd: int) -> str:
    # A socket's path may have about 100 characters; by way of the open folder it always fits.
    return f"/proc/self/fd/{fd}/{CONTROL_SOCKET}"


@asynccontextmanager
async def listen(
    folder: Path,
    *,
    summary: Callable[[], EngineSummary],
    act: Callable[[OperatorCommand], None],
    note: Callable[[str, str], None],
) -> AsyncIterator[None]:
    """Take what people tell while the block runs.

    `act` hands the command to the engine's door before it returns.

    Raises:
        StorageError: the socket can't be made.
    """
    door = _Door(summary, act, note)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    path = folder / CONTROL_SOCKET
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(
                door.on_caller, _path(folder, fd), limit=LINE_BYTES_MAX
            )
        finally:
            os.umask(before)
    except OSError as error:
        os.close(fd)
        raise StorageError(f"{path} can't be made: {error.strerror}") from None
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
        os.close(fd)


class _Door:
    def __init__(
        self,
        summary: Callable[[], EngineSummary],
        act: Callable[[OperatorCommand], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._summary = summary
        self._act = act
        self._note = note
        self._callers = 0

    async def on_caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one wish and hang up."""
        self._callers += 1
        try:
            if self._callers <= CALLERS_MAX:
                line = await asyncio.wait_for(reader.readline(), ANSWER_S_MAX)
                writer.write(msgspec.json.encode(self._answer(line)) + b"\n")
                await asyncio.wait_for(writer.drain(), ANSWER_S_MAX)
        except (OSError, TimeoutError, ValueError):
            # Whoever called is gone, slow, or wrote more than a line may hold.
            pass
        finally:
            self._callers -= 1
            writer.close()

    def _answer(self, line: bytes) -> ControlAnswer:
        try:
            wish = msgspec.json.decode(line, type=ControlWish)
        except msgspec.MsgspecError as error:
            return ControlAnswer(fault=f"not understood: {error}")
        before = self._summary()
        fault = _fault(wish, before)
        if fault:
            return ControlAnswer(fault=fault)
        reason = wish.reason[:_REASON_MAX] or "told by a person"
        self._note("operator.told", f"{wish.verb.value} {wish.scope}: {reason}")
        self._act(OperatorCommand(wish.verb, wish.scope, reason))
        after = self._summary()
        return ControlAnswer(
            event_id=after.event_id,
            engine_halt=after.engine_halt,
            halted_strategies={
                one.strategy_id: one.halt_reason for one in after.strategies if one.halt_reason
            },
            halted_instruments=after.halted_instruments,
            protections=tuple(row.name for row in after.protections),
            orders_live=after.orders_live,
        )


def _fault(wish: ControlWish, summary: EngineSummary) -> str:
    """Say what is wrong with a wish as things stand."""
    if wish.verb is OperatorVerb.LIFT:
        standing = [row.name for row in summary.protections]
        if wish.scope not in standing:
            return f"{wish.scope} is not in force; {nearest(wish.scope, standing, what='in force')}"
        return ""
    names = ["all", *(one.strategy_id for one in summary.strategies)]
    if wish.scope not in names:
        return f"no strategy {wish.scope!r}; {nearest(wish.scope, names, what='scopes')}"
    return ""


async def tell_trader(folder: Path, wish: ControlWish) -> ControlAnswer:
    """Tell the trader of a state folder something and return how it stands then.

    Raises:
        ConfigError: no trader listens there.
        ConnectionLost: it listens and gave no answer in time.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(f"state folder {folder}: {error.strerror}") from None
    try:
        reader, writer = await asyncio.open_unix_connection(_path(folder, fd), limit=1 << 20)
    except OSError:
        without = "protections --lift" if wish.verb is OperatorVerb.LIFT else "kill"
        raise ConfigError(
            f"no trader listens in {folder}; `tickwright {without}` works without one"
        ) from None
    finally:
        os.close(fd)
    try:
        writer.write(msgspec.json.encode(wish) + b"\n")
        line = await asyncio.wait_for(reader.readline(), ANSWER_S_MAX)
        return msgspec.json.decode(line, type=ControlAnswer)
    except (OSError, TimeoutError, ValueError, msgspec.MsgspecError):
        raise ConnectionLost(
            f"the trader in {folder} gave no answer: if it is stuck, `tickwright kill` isn't"
        ) from None
    finally:
        writer.close()
