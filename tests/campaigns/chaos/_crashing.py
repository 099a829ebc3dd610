"""A trader in a process of its own that ends by SIGKILL at a named step of the order path.

The steps are patched in here, in the child alone: the trader has no idea of them, and reads nothing
from its environment.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.campaigns.chaos.world import World, settings
from tests.integration.app.trading import trading
from tickwright.app.door import EngineDoor
from tickwright.app.trader_settings import TraderSettings
from tickwright.core.commands import CancelOrder
from tickwright.core.events import Input, OrderReport, Reply
from tickwright.core.orders import Fill, RequestKind
from tickwright.feed.account_link import AccountLink
from tickwright.storage import journal as journal_room
from tickwright.storage.journal import Journal
from tickwright.venues.bybit.trade import TradeSession

__all__ = ["NEVER", "STEPS", "Addresses", "keep_segments", "live"]

NEVER = "never"
SECONDS_MAX = 28.0
"""A step that was not passed by then is a fault of the campaign: the child ends in order."""
SEGMENTS_MAX = 100_000
"""The history checker reads every promise: none may leave before."""
SEGMENT_BYTES_MAX = 2_000
"""Small, so that a run turns over several segments of its journal."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a venue is, for a process that can't hold the venue itself."""

    rest: str
    public: str
    private: str
    trade: str

    @classmethod
    def of(cls, world: World) -> "Addresses":
        running = world.running
        return cls(running.rest, running.public, running.private, running.trade)


class _Passing:
    """Ends this process when a step is passed for the n-th time."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: type, name: str, wanted: Callable[..., bool]) -> Callable[[_Passing], None]:
    def patch(passing: _Passing) -> None:
        original = getattr(owner, name)

        def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
            if wanted(*args, **kwargs):
                passing()
            return original(self, *args, **kwargs)

        setattr(owner, name, patched)

    return patch


def _after(owner: type, name: str, wanted: Callable[..., bool]) -> Callable[[_Passing], None]:
    def patch(passing: _Passing) -> None:
        original = getattr(owner, name)

        def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
            done = original(self, *args, **kwargs)
            if wanted(*args, **kwargs):
                passing()
            return done

        setattr(owner, name, patched)

    return patch


def _half_a_line(passing: _Passing) -> None:
    original = Journal._append

    def patched(self: Journal, record: Any, now_ns: int) -> None:
        passing.left -= 1
        if passing.left == 0:
            line = self._line(record, now_ns)
            os.write(self._fd, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, record, now_ns)

    Journal._append = patched  # type: ignore[method-assign]


def _while_rotating(passing: _Passing) -> None:
    original = Path.rename

    def patched(self: Path, target: Any) -> Path:
        if self.suffix == ".draft":
            passing()
        return original(self, target)

    Path.rename = patched  # type: ignore[method-assign,assignment]


def _always(*_: Any, **__: Any) -> bool:
    return True


def _is_cancel(command: Any, *_: Any) -> bool:
    return isinstance(command, CancelOrder)


def _is_not_cancel(command: Any, *_: Any, **__: Any) -> bool:
    return not isinstance(command, CancelOrder)


def _reply_to(kind: RequestKind) -> Callable[[Input, int], bool]:
    return lambda event, _: isinstance(event, Reply) and event.request is kind


def _is_fill(event: Input, *_: Any) -> bool:
    return isinstance(event, Fill)


def _is_report(event: Input, *_: Any) -> bool:
    return isinstance(event, OrderReport)


STEPS: dict[str, Callable[[_Passing], None]] = {
    "before the journal": _before(AccountLink, "_promise", _always),
    "half a journal line": _half_a_line,
    "after the journal": _after(Journal, "promise", _always),
    "the journal turned over": _while_rotating,
    "encoded, not sent": _after(TradeSession, "encode", _is_not_cancel),
    "after the bytes": _after(AccountLink, "_is_sent", _is_not_cancel),
    "before the answer": _before(EngineDoor, "on_input", _reply_to(RequestKind.CREATE)),
    "after the answer": _after(EngineDoor, "on_input", _reply_to(RequestKind.CREATE)),
    "before a report": _before(EngineDoor, "on_input", _is_report),
    "before a fill": _before(EngineDoor, "on_input", _is_fill),
    "after a fill": _after(EngineDoor, "on_input", _is_fill),
    "before a cancel": _before(AccountLink, "_send", _is_cancel),
    "after a cancel": _before(Journal, "note_cancel", _always),
    "after a cancel's answer": _after(EngineDoor, "on_input", _reply_to(RequestKind.CANCEL)),
    "at an order's end": _before(Journal, "settle", _always),
}
"""Every step between an intent and the end of its order at which a process may die."""


def keep_segments() -> None:
    """Let no segment of a journal leave, in this process."""
    journal_room.SEGMENTS_MAX = SEGMENTS_MAX


def live(
    addresses: Addresses,
    folder: str,
    step: str,
    number: int,
    parameters: dict[str, int],
    session: str,
) -> None:
    """Trade until killed at a step; the target of a process."""
    keep_segments()
    _turn_segments_over()
    if step != NEVER:
        STEPS[step](_Passing(number))
    chosen: dict[str, Any] = dict(parameters)
    wanted = settings(addresses, Path(folder), **chosen)
    wanted = replace(wanted, session_folder=Path(folder) / session)
    asyncio.run(_trade(wanted))


def _turn_segments_over() -> None:
    original = Journal.__init__

    def patched(self: Journal, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs, segment_bytes_max=SEGMENT_BYTES_MAX)

    Journal.__init__ = patched  # type: ignore[method-assign]


async def _trade(wanted: TraderSettings) -> None:
    async with trading(wanted):
        await asyncio.sleep(SECONDS_MAX)
