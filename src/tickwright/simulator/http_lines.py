"""Owns the REST connections: how many there are, and how long one may take to say its request.

Refuses to know what is asked. A connection that has begun a request and doesn't end it is reset
after `request_s_max`; when there are too many, the one that has waited longest without a request
under way makes room, so that clients who dawdle take nobody's place.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

__all__ = ["REST_CONNECTIONS_MAX", "REST_REQUEST_S_MAX", "HttpLines"]

REST_CONNECTIONS_MAX = 1_000
"""REST connections open at once."""
REST_REQUEST_S_MAX = 10.0
"""Seconds from a request's first byte, or the connection's begin, to its last byte."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _HttpLine(asyncio.Protocol):
    """One connection in front of the protocol that speaks HTTP on it."""

    def __init__(self, lines: "HttpLines", inner: web.RequestHandler) -> None:
        self._lines = lines
        self.inner = inner
        self._transport: asyncio.BaseTransport | None = None
        self.quiet_since = lines.now()
        """When the last request was answered, or the connection made."""
        self.asks_since: float | None = self.quiet_since
        """Since when a request is awaited or under way; None: none is."""
        self.is_busy = False
        """Whether a request is here and not answered yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.inner.connection_made(transport)
        self._lines.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.closed(self.inner)
        self.inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.asks_since is None and not self.is_busy:
            self.asks_since = self._lines.now()
        self.inner.data_received(data)

    def eof_received(self) -> None:
        self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def cut(self) -> None:
        """Reset the connection."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()


class HttpLines:
    """Every REST connection of a server. `cut_count` says how many dawdled too long."""

    def __init__(self, request_s_max: float, connections_max: int) -> None:
        self._request_s_max = request_s_max
        self._connections_max = connections_max
        self._lines: dict[asyncio.BaseProtocol, _HttpLine] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.cut_count = 0

    def __len__(self) -> int:
        return len(self._lines)

    def factory(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        """Return what makes the protocol of each new connection; call it inside the loop."""
        self._loop = asyncio.get_running_loop()
        return lambda: _HttpLine(self, server())

    def now(self) -> float:
        """Return the loop's time."""
        assert self._loop is not None
        return self._loop.time()

    @web.middleware
    async def follow(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Read a request's body and note that it is here; nothing comes before this."""
        line = self._lines.get(request.protocol)
        if line is None:
            return await handler(request)
        line.is_busy = True
        try:
            if request.can_read_body and request.method == "POST":
                # Kept by the request: whoever asks for it again has it at once.
                await request.read()
            line.asks_since = None
            return await handler(request)
        finally:
            line.is_busy, line.asks_since, line.quiet_since = False, None, self.now()

    def opened(self, line: _HttpLine) -> None:
        """Take a connection in; when there are too many, another one ends, or this one."""
        if len(self._lines) >= self._connections_max:
            spare = [one for one in self._lines.values() if one.asks_since or not one.is_busy]
            if not spare:
                line.cut()
                return
            self._cut(min(spare, key=lambda one: one.asks_since or one.quiet_since))
        self._lines[line.inner] = line

    def closed(self, inner: asyncio.BaseProtocol) -> None:
        """Forget a connection."""
        self._lines.pop(inner, None)

    def sweep(self) -> None:
        """Reset every connection whose request has been on its way for too long."""
        latest = self.now() - self._request_s_max
        for line in list(self._lines.values()):
            if line.asks_since is not None and line.asks_since <= latest:
                self._cut(line)

    def _cut(self, line: _HttpLine) -> None:
        self.cut_count += 1
        self._lines.pop(line.inner, None)
        line.cut()
