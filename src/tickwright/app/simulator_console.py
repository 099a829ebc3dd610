"""Owns what a run may ask of a simulator it started, beside the venue's own ways; no orders.

What each market is made of, and one fault on command. A real venue has none of this.
"""

import msgspec

from tickwright.core.errors import ConnectionLost, FrameError
from tickwright.core.identity import Category
from tickwright.net.http import HttpClient
from tickwright.venues.bybit.hosts import Hosts

__all__ = ["SimulatorConsole"]

HTTP_OK = 200
TIMEOUT_S = 2.0


class _Status(msgspec.Struct):
    sources: dict[str, str]


class SimulatorConsole:
    """Speaks with one simulator's control endpoints; close it at the end."""

    def __init__(self, hosts: Hosts) -> None:
        self._http = HttpClient(hosts.rest, timeout_s=TIMEOUT_S)

    async def labels(self) -> dict[str, str]:
        """Return what each market is made of, by `category:SYMBOL`.

        Raises:
            ConnectionLost, FrameError: the simulator didn't answer, or something else did.
        """
        answer = await self._http.request("GET", "/control/status")
        if answer.status != HTTP_OK:
            raise ConnectionLost(f"the simulator's status: HTTP {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=_Status).sources
        except msgspec.MsgspecError as error:
            raise FrameError(f"the simulator's status: {error}") from None

    async def cut_public(self, category: Category) -> None:
        """Reset the next public socket of a category that a frame goes out on.

        Raises:
            ConnectionLost, FrameError: the simulator didn't take the wish.
        """
        fault = {"kind": "cut", "category": category.value, "count": 1}
        answer = await self._http.request(
            "POST",
            "/control/faults",
            headers={"content-type": "application/json"},
            body=msgspec.json.encode(fault),
        )
        if answer.status != HTTP_OK:
            raise ConnectionLost(f"the simulator refused the cut: HTTP {answer.status}")

    async def aclose(self) -> None:
        """Release the connection."""
        await self._http.aclose()
