"""Fixtures: a simulated venue with accounts, and a server that answers what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from aiohttp import web

from tickwright.core.identity import Category
from tickwright.net.http import HttpClient
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve
from tickwright.venues.bybit.limits import RestBudget, VenueClock
from tickwright.venues.bybit.rest_call import RestCaller
from tickwright.venues.bybit.sign import Credentials, Secret

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def venue() -> AsyncIterator[RunningSimulator]:
    """Serve two symbols, linear and spot, with the demo account."""
    options = SimulatorOptions(
        symbols=("BTCUSDT", "XRPUSDT"), categories=(Category.LINEAR, Category.SPOT), seed=7
    )
    running = await serve(options)
    yield running
    await running.stop()


class Script:
    """A server that answers each request by the next of its answers and keeps what came."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""

    def say(
        self,
        body: str | bytes,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """Add answers with this body."""
        raw = body if isinstance(body, bytes) else body.encode()

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(body=raw, status=status, headers=headers)

        self.answers += [answer] * times

    def do(self, answer: Answer) -> None:
        """Add an answer that is made by a function."""
        self.answers.append(answer)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.raw_path, headers, await request.read()))
        return await self.answers.pop(0)(request)


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    """Serve a script on a free port."""
    made = Script()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


class Naps:
    """Takes the place of sleeping: keeps how long, and moves the clock on."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.ahead_ns = 0

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once."""
        self.slept.append(seconds)
        self.ahead_ns += int(seconds * 1e9)

    def now(self) -> int:
        """Return the time, naps included."""
        return utc_now_ns() + self.ahead_ns


def caller_of(
    url: str, naps: Naps | None = None, *, key: str = "", secret: str = "", timeout_s: float = 20.0
) -> RestCaller:
    """Return a caller of an address, signed when a key is given."""
    return RestCaller(
        HttpClient(url, timeout_s=timeout_s),
        now=utc_now_ns if naps is None else naps.now,
        random=Random(3),
        budget=RestBudget(),
        clock=VenueClock(),
        credentials=Credentials(key, Secret(secret)) if key else None,
        sleep=asyncio.sleep if naps is None else naps.sleep,
    )
