"""A simulator in a process of its own: what a client finds, its own threads undisturbed."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET

__all__ = ["KEY", "SECRET", "Subscriptions", "Venue", "running", "wait_until"]

KEY, SECRET = DEMO_KEY, DEMO_SECRET

_SERVE = """
import sys
from tickwright.simulator.private import PrivateOptions
from tickwright.simulator.run import SimulatorOptions, main
options = SimulatorOptions(symbols=["BTCUSDT", "ETHUSDT"], seed=11)
# pybit registers the callback of an order only after it has sent it.
sys.exit(main(options, PrivateOptions(reply_delay_s=0.02)))
"""


class Venue:
    """Addresses of a running simulator, and its control endpoints."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.rest = addresses["rest"]
        self.public = addresses["public"]
        self.private = addresses["private"]
        self.trade = addresses["trade"]

    def control(self, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.rest}/control/{path}", data=data)
        with urllib.request.urlopen(request, timeout=30) as response:
            return dict(json.loads(response.read()))

    def fault(self, **spec: Any) -> None:
        self.control("faults", spec)

    def heal(self) -> None:
        """Take every fault off."""
        request = urllib.request.Request(f"{self.rest}/control/faults", method="DELETE")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def account(self) -> dict[str, Any]:
        """Return the demo account's ledger, having checked that the whole ledger balances."""
        report = self.control("ledger")
        assert report["faults"] == []
        return dict(report["accounts"][0])


def wait_until(reached: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for a client's threads to bring something about; returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = reached()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("what was waited for did not happen")


class Subscriptions(dict[str, str]):
    """pybit's note of its requests; it notes one after sending it, and its answer may be faster.

    Over a network it never is. Here the thread that reads waits for the one that writes.
    """

    def __missing__(self, req_id: str) -> str:
        return str(wait_until(lambda: self.get(req_id)))


@contextmanager
def running() -> Iterator[Venue]:
    """Yield a fresh venue with BTCUSDT and ETHUSDT, linear and spot, at the venue's own limits."""
    process = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        try:
            yield Venue(json.loads(process.stdout.readline()))
        finally:
            process.terminate()
