"""Owns a simulated venue in a process of its own; refuses to outlive its starter.

The trader talks to it as to any venue, over sockets: nothing is shared but addresses. On Linux it
ends even when its starter is killed; elsewhere only when the starter ends by itself.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from tickwright.core.errors import ConnectionLost
from tickwright.venues.bybit.hosts import Hosts, hosts_of

__all__ = ["simulated_venue"]

READY_S = 60.0
STOP_S = 5.0
LAST_WORDS_S = 1.0
SAID_LINES = 20
LINE_MAX = 500
_PR_SET_PDEATHSIG = 1


class _Ready(msgspec.Struct):
    rest: str
    public: str
    private: str
    trade: str


@contextlib.asynccontextmanager
async def simulated_venue(
    arguments: Sequence[str], *, on_end: Callable[[str], None] | None = None
) -> AsyncIterator[Hosts]:
    """Start `tickwright simulate` with these arguments and give its addresses; stop it at the end.

    `on_end` is called with a sentence when it ends before it was told to.

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
    said: deque[str] = deque(maxlen=SAID_LINES)
    # Read for as long as it runs: a full pipe would hold it up.
    listening = asyncio.create_task(_listen(process, said))
    watching: asyncio.Task[None] | None = None
    try:
        hosts = await _ready(process, listening, said)
        if on_end is not None:
            watching = asyncio.create_task(_watch(process, said, on_end))
        yield hosts
    finally:
        if watching is not None:
            watching.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        await listening


async def _listen(process: asyncio.subprocess.Process, said: deque[str]) -> None:
    assert process.stderr is not None
    with contextlib.suppress(ValueError):  # a line longer than the stream's bound
        async for line in process.stderr:
            said.append(line.decode(errors="replace").strip()[:LINE_MAX])


async def _watch(
    process: asyncio.subprocess.Process, said: deque[str], on_end: Callable[[str], None]
) -> None:
    code = await process.wait()
    last = f": {said[-1]}" if said else ""
    on_end(f"the simulator ended by itself with code {code}{last}")


def _ending_with_starter() -> Callable[[], None] | None:
    """Return what the child does first, so that the kernel ends it with its starter."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork nothing may be loaded

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        # A venue across the network can't push the trader off its core the moment an order arrives;
        # on loopback the kernel would wake this process there, inside the trader's own send.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    return ask_kernel


async def _ready(
    process: asyncio.subprocess.Process, listening: "asyncio.Task[None]", said: deque[str]
) -> Hosts:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), READY_S)
    except TimeoutError:
        raise ConnectionLost(f"the simulator wasn't ready within {READY_S:.0f} s") from None
    try:
        ready = msgspec.json.decode(line, type=_Ready)
    except msgspec.MsgspecError:
        await asyncio.wait({listening}, timeout=LAST_WORDS_S)
        text = " ".join(said).strip()
        raise ConnectionLost(f"the simulator didn't start: {text or 'it said nothing'}") from None
    return hosts_of(
        None,
        rest_url=ready.rest,
        public_url=ready.public,
        private_url=ready.private,
        trade_url=ready.trade,
    )
