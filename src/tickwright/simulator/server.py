"""Owns the sockets: listeners by path, REST, the turn that moves venue time; refuses rules.

It is one front of a `WholeVenue`: it carries what sessions say and moves venue time with a clock.
Paths are tables, so that the private half is mounted beside the public one: `websocket_paths` maps
a path to a factory of listeners, `app` takes REST routes until the server starts.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from picows import (
    WSListener,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from tickwright.core.identity import Category
from tickwright.simulator.connection import (
    PUBLIC_REQUEST_BYTES_MAX,
    ConnectionLimits,
    SessionSocket,
)
from tickwright.simulator.control import Control
from tickwright.simulator.faults import Fault, FaultKind
from tickwright.simulator.http_lines import HttpLines
from tickwright.simulator.market_rest import MarketRest
from tickwright.simulator.rest import PublicRest
from tickwright.simulator.whole import WholeVenue

__all__ = ["CONNECTIONS_MAX", "ListenerFactory", "SimulatorServer"]

CONNECTIONS_MAX = 1_000
"""Public sockets open at once; more are refused, as the venue does per address."""

_BACKLOG = 1_024
"""REST connections the system may hold before they are taken in."""
_TURN_S = 0.002
_TURN_UNPACED_S = 0.001
_SLICE_NS = 50_000_000
"""Venue time moved at most between two writes, so that a stall is caught up in pieces."""
_IDLE_CHECK_NS = 1_000_000_000

ListenerFactory = Callable[[WSUpgradeRequest], WSListener | None]
"""Makes the listener of one new WebSocket; None refuses it with 404."""


class SimulatorServer:
    """Serves one `WholeVenue` over loopback or a network.

    `clock_ns` moves venue time; unless given, it is UTC anchored at the start plus the monotonic
    clock, and never steps. `make_rest` makes the public REST answers, from what `PublicRest` takes.
    """

    def __init__(
        self,
        whole: WholeVenue,
        limits: ConnectionLimits | None = None,
        *,
        clock_ns: Callable[[], int] | None = None,
        make_rest: Callable[..., PublicRest] = PublicRest,
    ) -> None:
        self.whole = whole
        self.venue = venue = whole.venue
        self.faults = faults = whole.faults
        self.limits = limits or ConnectionLimits()
        self.lines = HttpLines(self.limits.request_s_max, self.limits.rest_connections_max)
        self.app = web.Application(middlewares=[self.lines.follow])
        self.websocket_paths: dict[str, ListenerFactory] = {}
        for category in Category:
            self.websocket_paths[f"/v5/public/{category.value}"] = self._public_factory(category)
        self._connections: set[SessionSocket] = set()
        self._refused_until_ns = 0
        self._begun: set[int] = set()
        self._checked_ns = venue.now_ns
        self._frames_sent = 0
        self._cut_slow = 0
        self._cut_idle = 0
        self._turn_late_ns_max = 0
        self._clock_ns = clock_ns
        self._offset_ns = venue.now_ns - time.monotonic_ns()
        make_rest(
            venue,
            lambda: faults.clock_ns(venue.now_ns),
            lambda: faults.is_maintained(venue.now_ns),
        ).mount(self.app)
        MarketRest(venue, lambda: faults.clock_ns(venue.now_ns)).mount(self.app)
        Control(venue, faults, self.status).mount(self.app)
        whole.hurry = self.hurry
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._websocket_server: asyncio.Server | None = None
        self._rest_server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    # life
    # -------------------------------------------------------------------------------------------

    async def start(
        self, host: str, rest_port: int, websocket_port: int, tls: ssl.SSLContext | None
    ) -> tuple[int, int]:
        """Listen and start time. Returns the (REST, WebSocket) ports.

        Raises:
            OSError: a port can't be bound.
        """
        self._runner = web.AppRunner(self.app, access_log=None)
        await self._runner.setup()
        assert self._runner.server is not None
        self._rest_server = await asyncio.get_running_loop().create_server(
            self.lines.factory(self._runner.server), host, rest_port, ssl=tls, backlog=_BACKLOG
        )
        self._websocket_server = await ws_create_server(
            self._listener_for, host, websocket_port, ssl=tls, max_frame_size=1 << 20
        )
        # Building the market took a moment: venue time begins at the wall's, not behind it.
        self._offset_ns = max(self.venue.now_ns, time.time_ns()) - time.monotonic_ns()
        self._task = asyncio.create_task(self._turns(), name="simulator turns")
        rest = self._rest_server.sockets[0].getsockname()[1]
        return rest, self._websocket_server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, end every socket and the turns. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for server in (self._websocket_server, self._rest_server):
            if server is not None:
                server.close()
        for connection in tuple(self._connections):
            connection.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await asyncio.sleep(0)

    async def wait_failed(self) -> None:
        """Return only when the turns end, raising what ended them."""
        assert self._task is not None
        await self._task

    def status(self) -> dict[str, Any]:
        """Counts of the run, for the control endpoint."""
        unpaced = self.venue.unpaced
        return {
            "now_ns": self.venue.now_ns,
            "connections": len(self._connections),
            "frames_sent": self._frames_sent,
            "frames_late": 0 if unpaced is None else unpaced.frames_late,
            "turn_late_ms_max": self._turn_late_ns_max / 1e6,
            "cut_slow_readers": self._cut_slow,
            "cut_idle": self._cut_idle,
            "rest_connections": len(self.lines),
            "cut_slow_requests": self.lines.cut_count,
            "sources": {
                f"{category.value}:{symbol}": market.label
                for (category, symbol), market in self.venue.markets.items()
            },
        }

    # connections
    # ------------------------------------------------------------------------------------

    def opened(self, connection: SessionSocket) -> None:
        """Count a connection in."""
        self._connections.add(connection)

    def closed(self, connection: SessionSocket) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        self._cut_slow += connection.was_cut_for_slowness

    def hurry(self) -> None:
        """Take the next turn as soon as the loop is free: something waits for it."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _public_factory(self, category: Category) -> ListenerFactory:
        def make(request: WSUpgradeRequest) -> WSListener | None:
            if len(self._connections) >= CONNECTIONS_MAX:
                return None
            idle_ns_max = self.limits.idle_ns_max
            return SessionSocket(
                self,
                lambda line: self.whole.public_session(line, category, idle_ns_max=idle_ns_max),
                PUBLIC_REQUEST_BYTES_MAX,
            )

        return make

    def _listener_for(
        self, request: WSUpgradeRequest
    ) -> WSListener | WSUpgradeResponseWithListener | None:
        if self.venue.now_ns < self._refused_until_ns:
            # What a gateway says when nothing is behind it.
            refusal = WSUpgradeResponse.create_error_response(HTTPStatus.SERVICE_UNAVAILABLE)
            return WSUpgradeResponseWithListener(refusal, None)
        path = request.path.decode("latin-1").partition("?")[0]
        factory = self.websocket_paths.get(path)
        return None if factory is None else factory(request)

    # turns
    # ------------------------------------------------------------------------------------------

    async def _turns(self) -> None:
        pause_s = _TURN_S if self.venue.unpaced is None else _TURN_UNPACED_S
        while True:
            self._turn()
            await self._pause(pause_s)
            # After a stall venue time catches up, piece by piece: it never skips and never steps.
            while self._now_ns() - self.venue.now_ns > _SLICE_NS:
                self._turn()
                await asyncio.sleep(0)

    async def _pause(self, seconds: float) -> None:
        """Wait for the next turn, or until something hurries it."""
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        timer = loop.call_later(seconds, self.hurry)
        try:
            await self._wake
        finally:
            timer.cancel()

    def _now_ns(self) -> int:
        if self._clock_ns is not None:
            return self._clock_ns()
        return time.monotonic_ns() + self._offset_ns

    def _turn(self) -> None:
        venue = self.venue
        now_ns = self._now_ns()
        late_ns = now_ns - venue.now_ns
        self._turn_late_ns_max = max(self._turn_late_ns_max, late_ns)
        self.whole.advance(min(now_ns, venue.now_ns + _SLICE_NS))
        self._begin_outages(venue.now_ns)
        for connection in tuple(self._connections):
            self._frames_sent += connection.flush()
        if venue.now_ns - self._checked_ns >= _IDLE_CHECK_NS:
            self._checked_ns = venue.now_ns
            self._cut_idle_sockets(venue.now_ns)
            self.lines.sweep()

    def _cut_idle_sockets(self, now_ns: int) -> None:
        for connection in tuple(self._connections):
            if connection.is_idle(now_ns):
                self._cut_idle += 1
                connection.cut()

    def _begin_outages(self, now_ns: int) -> None:
        for fault in self.faults.outages(now_ns):
            if fault.number not in self._begun:
                self._begun.add(fault.number)
                self._begin_outage(fault, now_ns)

    def _begin_outage(self, fault: Fault, now_ns: int) -> None:
        fault.armed += 1
        fault.hit += 1
        until_ns = now_ns + int(fault.spec.duration_s * 1e9)
        self._refused_until_ns = max(self._refused_until_ns, until_ns)
        if fault.spec.kind is FaultKind.OUTAGE:
            for connection in tuple(self._connections):
                connection.cut()
        self.faults.end(fault)
