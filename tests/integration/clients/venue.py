"""A simulator in a thread of its own, so that clients that block may be tested beside it."""

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tickwright.core.errors import TickwrightError
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET, PrivateOptions, private_half
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve

__all__ = ["KEY", "SECRET", "Venue", "running", "wait_until"]

KEY, SECRET = DEMO_KEY, DEMO_SECRET
_START_S = 20.0


class Venue:
    """Addresses of a running simulator, and its control endpoints."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self.rest = simulator.rest
        self.public = simulator.public
        self.private = simulator.private
        self.trade = simulator.trade

    def control(self, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.rest}/control/{path}", data=data)
        with urllib.request.urlopen(request, timeout=5) as response:
            return dict(json.loads(response.read()))

    def fault(self, **spec: Any) -> None:
        self.control("faults", spec)

    def account(self) -> dict[str, Any]:
        """Return the demo account's ledger, having checked that the whole ledger balances."""
        report = self.control("ledger")
        assert report["faults"] == []
        return dict(report["accounts"][0])


def wait_until(reached: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Wait for a client's threads to bring something about; returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = reached()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("what was waited for did not happen")


@contextmanager
def running(**options: Any) -> Iterator[Venue]:
    """Yield a fresh venue with BTCUSDT and ETHUSDT, linear and spot, at the venue's own limits."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    found: list[RunningSimulator] = []
    stop = asyncio.Event()

    async def live() -> None:
        simulator = await serve(
            SimulatorOptions(symbols=["BTCUSDT", "ETHUSDT"], seed=11),
            plug_ins=[private_half(PrivateOptions(**options))],
        )
        found.append(simulator)
        started.set()
        await stop.wait()
        await simulator.stop()

    def run() -> None:
        try:
            loop.run_until_complete(live())
        except (OSError, TickwrightError):
            started.set()
            raise
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="simulator")
    thread.start()
    started.wait(_START_S)
    assert found, "the simulator did not start"
    try:
        yield Venue(found[0])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_START_S)
