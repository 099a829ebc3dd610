"""Owns a simulated venue in a process of its own; refuses to outlive its starter.

The trader talks to it as to any venue, over sockets: nothing is shared but addresses. On Linux it
ends even when its starter is killed; elsewhere only when the starter ends by itself.
"""

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from tickwright.core.errors import ConnectionLost
from tickwright.venues.bybit.hosts import Hosts, hosts_of

__all__ = ["simulated_venue"]

READY_S = 60.0
STOP_S = 5.0
TEXT_MAX = 2_000
_PR_SET_PDEATHSIG = 1


class _Ready(msgspec.Struct):
    rest: str
    public: str
    private: str
    trade: str


@contextlib.asynccontextmanager
async def simulated_venue(arguments: Sequence[str]) -> AsyncIterator[Hosts]:
    """Start `tickwright simulate` with these arguments and give its addresses; stop it at the end.

    Raises:
        ConnectionLost: it ended, or wasn't ready in time; the text holds what it said.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tickwright",
        "simulate",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_ending_with_starter(),
    )
    try:
        yield await _ready(process)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.communicate(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.communicate()


def _ending_with_starter() -> Callable[[], None] | None:
    """Return what the child does first, so that the kernel ends it with its starter."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork nothing may be loaded

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))

    return ask_kernel


async def _ready(process: asyncio.subprocess.Process) -> Hosts:
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), READY_S)
    except TimeoutError:
        raise ConnectionLost(f"the simulator wasn't ready within {READY_S:.0f} s") from None
    try:
        ready = msgspec.json.decode(line, type=_Ready)
    except msgspec.MsgspecError:
        said = (await process.stderr.read(TEXT_MAX)).decode(errors="replace").strip()
        raise ConnectionLost(f"the simulator didn't start: {said or 'it said nothing'}") from None
    return hosts_of(
        None,
        rest_url=ready.rest,
        public_url=ready.public,
        private_url=ready.private,
        trade_url=ready.trade,
    )
