"""Owns HTTP requests to one address: time-outs, bounds, and what a failure proves; refuses retries.

A failure before the request left (`NeverSent`) is proof that the other side never saw it; any
later one (`ConnectionLost`) proves nothing.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from types import TracebackType

import aiohttp
import msgspec
from yarl import URL

from tickwright.core.errors import ConfigError, ConnectionLost, FrameError

__all__ = ["HttpClient", "HttpResponse", "NeverSent"]

BODY_BYTES_MAX = 16 * 1024 * 1024
"""Longest answer read; a page of 1,000 instruments has about 1 MB."""
CONCURRENT_MAX = 8
WAITING_MAX = 256
"""Most requests that wait for a free connection; one more is refused."""


class NeverSent(ConnectionLost):
    """The request didn't leave: no connection, or too many are waiting."""


class HttpResponse(msgspec.Struct, frozen=True):
    """An answer of any status; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """Sends requests to one base address over a few kept connections.

    Use as an async context, or call `aclose`. Redirects aren't followed and cookies aren't kept:
    a signed request goes where it was meant to go.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 5.0,
        connect_timeout_s: float = 3.0,
        concurrent_max: int = CONCURRENT_MAX,
        waiting_max: int = WAITING_MAX,
        body_bytes_max: int = BODY_BYTES_MAX,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(f"{base_url!r} is no http(s) address")
        self.base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=connect_timeout_s)
        self._slots = asyncio.Semaphore(concurrent_max)
        self._concurrent_max = concurrent_max
        self._waiting_max = waiting_max
        self._waiting = 0
        self._body_bytes_max = body_bytes_max
        self._ssl: ssl.SSLContext | bool = True if ssl_context is None else ssl_context
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the kept connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path_and_query: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpResponse:
        """Send one request; the path and query go out exactly as given.

        Raises:
            NeverSent: it didn't leave.
            ConnectionLost: it may have arrived, but no whole answer came in time.
            FrameError: the answer is longer than the bound.
        """
        if self._waiting >= self._waiting_max:
            raise NeverSent(f"{self._waiting_max} requests wait for {self.base_url} already")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._exchange(method, path_and_query, headers, body)
        finally:
            self._slots.release()

    async def _exchange(
        self,
        method: str,
        path_and_query: str,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> HttpResponse:
        what = f"{method} {self.base_url}{path_and_query.partition('?')[0]}"
        # `encoded`: a signature covers these bytes, and a cursor is encoded already.
        url = URL(self.base_url + path_and_query, encoded=True)
        try:
            async with self._open().request(
                method, url, headers=headers, data=body, allow_redirects=False, ssl=self._ssl
            ) as response:
                return HttpResponse(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    await self._read(response, what),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NeverSent(f"{what}: {_text(error)}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ConnectionLost(f"{what}: {_text(error)}") from None

    async def _read(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        parts = bytearray()
        async for chunk in response.content.iter_chunked(65_536):
            parts += chunk
            if len(parts) > self._body_bytes_max:
                raise FrameError(f"{what}: the answer exceeds {self._body_bytes_max} bytes")
        return bytes(parts)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=self._concurrent_max, keepalive_timeout=60.0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def _text(error: BaseException) -> str:
    if type(error) is aiohttp.ClientConnectorError and error.os_error.errno:
        # aiohttp's own words name the address again, and how it would have spoken TLS.
        return os.strerror(error.os_error.errno)
    return (str(error) or type(error).__name__)[:200]
