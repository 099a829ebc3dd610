"""Owns the simulators that a run starts itself: their addresses, what they are made of, one fault.

Refuses to touch anything at a venue that was there before the run.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection

from tickwright.app.config import Config
from tickwright.app.report import CutReport
from tickwright.app.settings import simulator_arguments
from tickwright.app.simulator_console import SimulatorConsole
from tickwright.app.simulator_process import simulated_venue
from tickwright.core.errors import ConnectionLost, FrameError
from tickwright.feed.feed import PublicFeed
from tickwright.venues.bybit.hosts import Hosts

__all__ = ["SimulatedSide"]

LABELS_EVERY_S = 2.0
LOOK_S = 0.002
CUT_WAIT_S = 10.0
"""A cut whose books aren't valid again by then is reported as not healed."""
_RECORDING = "recording"


class SimulatedSide:
    """The simulators of one run.

    Args:
        on_remark: called with what a person should know.
        on_end: called with a sentence when a simulator ends by itself.
    """

    def __init__(self, *, on_remark: Callable[[str], None], on_end: Callable[[str], None]) -> None:
        self.labels: dict[str, str] = {}
        """What each traded market is made of, by symbol."""
        self._on_remark = on_remark
        self._on_end = on_end
        self._consoles: list[SimulatorConsole] = []

    async def start(self, config: Config, stack: contextlib.AsyncExitStack) -> dict[str, Hosts]:
        """Start what the configuration wants; the stack ends it. Returns addresses by venue.

        Raises:
            ConnectionLost: one didn't start.
        """
        used = {account.venue for account in config.file.accounts.values()}
        started: dict[str, Hosts] = {}
        for name, venue in config.file.venues.items():
            if name in used and venue.starts_simulator:
                arguments = simulator_arguments(config, name)
                started[name] = await stack.enter_async_context(
                    simulated_venue(arguments, on_end=self._on_end)
                )
                console = SimulatorConsole(started[name])
                stack.push_async_callback(console.aclose)
                self._consoles.append(console)
        return started

    async def read_labels(self, traded: Collection[str]) -> None:
        """Keep the labels of these symbols fresh until cancelled."""
        while self._consoles:
            for console in self._consoles:
                with contextlib.suppress(ConnectionLost, FrameError):
                    self._take(await console.labels(), traded)
            await asyncio.sleep(LABELS_EVERY_S)

    def _take(self, labels: dict[str, str], traded: Collection[str]) -> None:
        for name, label in labels.items():
            symbol = name.rpartition(":")[2]
            if symbol not in traded:
                continue
            before = self.labels.get(symbol, "")
            if _RECORDING in label:
                self.labels[symbol] = f"real {label}"
            elif before.startswith("real "):
                # What was recorded so far was real, whatever follows it.
                self.labels[symbol] = f"{before.partition(', then ')[0]}, then {label}"
            else:
                self.labels[symbol] = label

    async def cut(self, feed: PublicFeed, seconds: Callable[[], float]) -> CutReport | None:
        """Have a feed's socket reset and wait until every book is valid again.

        `seconds` tells the run's time. None when there was no cut; the remarks say why.
        """
        if not self._consoles:
            return None
        books = len(feed.symbols)
        drops = _drops(feed)
        try:
            await self._consoles[0].cut_public(feed.options.category)
        except (ConnectionLost, FrameError) as error:
            self._on_remark(f"the simulator couldn't be asked to cut the socket: {error}")
            return None
        if not await _until(lambda: _drops(feed) > drops):
            self._on_remark("the simulator was asked to cut the public socket and didn't")
            return None
        began_s = time.monotonic()
        when = f"t={seconds():.1f} s"
        at_s = round(seconds(), 3)
        self._on_remark(f"{when}: the simulator cut the public socket, as the demo asked")
        if not await _until(lambda: feed.is_all_synced):
            self._on_remark(f"{when}: some books aren't valid again after {CUT_WAIT_S:.0f} s")
            return CutReport(at_s=at_s, books=books, valid_after_ms=None)
        valid_ms = round((time.monotonic() - began_s) * 1e3, 1)
        self._on_remark(f"{when}: all {books} books valid again after {valid_ms:.0f} ms")
        return CutReport(at_s=at_s, books=books, valid_after_ms=valid_ms)


def _drops(feed: PublicFeed) -> int:
    return sum(connection.counts.drops for connection in feed.connections)


async def _until(is_true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + CUT_WAIT_S
    while not is_true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True
