"""A plain client of the venue for tests: signed REST and the two private sockets."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import aiohttp
from yarl import URL

from tickwright.simulator.private import (
    DEMO_KEY,
    DEMO_SECRET,
    PrivateOptions,
)
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve

__all__ = ["Client", "Socket", "running"]

WAIT_S = 30.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Socket:
    """One WebSocket; frames that come are kept until asked for."""

    def __init__(
        self, raw: aiohttp.ClientWebSocketResponse, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self.raw = raw
        self.clock_ms = clock_ms
        self.seen: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:
        await self.raw.send_json(message)

    async def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first frame, kept or new, that is wanted; it is taken out."""
        for frame in self.seen:
            if wanted(frame):
                self.seen.remove(frame)
                return frame
        async with asyncio.timeout(WAIT_S):
            while True:
                message = await self.raw.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError(f"socket ended: {message.type.name}")
                received: dict[str, Any] = json.loads(message.data)
                if wanted(received):
                    return received
                self.seen.append(received)

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send a request and return the next frame that isn't an event."""
        await self.send(**message)
        return await self.wait_for(lambda frame: "topic" not in frame)

    async def event(self, topic: str, **fields: Any) -> dict[str, Any]:
        """Return the first row of a topic that has these fields."""

        def row_of(frame: dict[str, Any]) -> dict[str, Any] | None:
            if frame.get("topic") != topic:
                return None
            for row in frame["data"]:
                if all(row.get(name) == value for name, value in fields.items()):
                    return dict(row)
            return None

        frame = await self.wait_for(lambda frame: row_of(frame) is not None)
        row = row_of(frame)
        assert row is not None
        return row

    async def authorise(self, key: str, secret: str) -> dict[str, Any]:
        expires = self.clock_ms() + 10_000
        sign = hmac.new(secret.encode(), f"GET/realtime{expires}".encode(), sha256).hexdigest()
        return await self.ask(op="auth", args=[key, expires, sign])

    async def order(self, op: str, req_id: str = "", **body: Any) -> dict[str, Any]:
        """Send an order request on a trade socket and return its acknowledgement."""
        message: dict[str, Any] = {"reqId": req_id} if req_id else {}
        header = {"X-BAPI-TIMESTAMP": str(self.clock_ms()), "X-BAPI-RECV-WINDOW": "5000"}
        await self.send(**message, header=header, op=op, args=[body])
        return await self.wait_for(lambda frame: frame.get("op") == op)


class Client:
    """Signed requests to one running simulator."""

    def __init__(self, venue: RunningSimulator, http: aiohttp.ClientSession) -> None:
        self.venue = venue
        self.http = http
        self.key, self.secret = DEMO_KEY, DEMO_SECRET
        self.headers: dict[str, str] = {}

    def clock_ms(self) -> int:
        """Return the venue's time: on a busy machine it may fall a second behind ours."""
        return self.venue.venue.now_ns // 1_000_000

    def sign(
        self, payload: str, *, at_ms: int | None = None, window: str = "5000"
    ) -> dict[str, str]:
        at = str(self.clock_ms() if at_ms is None else at_ms)
        text = f"{at}{self.key}{window}{payload}"
        return {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": at,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": hmac.new(self.secret.encode(), text.encode(), sha256).hexdigest(),
        }

    async def get(self, path: str, query: str = "", **signing: Any) -> dict[str, Any]:
        # As it is, byte for byte: a client that rewrites the query would break its own signature.
        url = URL(f"{self.venue.rest}{path}" + (f"?{query}" if query else ""), encoded=True)
        async with self.http.get(url, headers=self.sign(query, **signing)) as response:
            self.headers = dict(response.headers)
            assert response.status == 200, response.status
            return dict(await response.json())

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        text = json.dumps(body)
        headers = self.sign(text) | {"Content-Type": "application/json"}
        async with self.http.post(
            f"{self.venue.rest}{path}", data=text, headers=headers
        ) as response:
            self.headers = dict(response.headers)
            assert response.status == 200, response.status
            return dict(await response.json())

    async def create(self, **body: Any) -> dict[str, Any]:
        """Create an order by REST, by default on linear BTCUSDT."""
        base = {"category": "linear", "symbol": "BTCUSDT", "orderType": "Limit", "qty": "0.01"}
        return await self.post("/v5/order/create", **(base | body))

    async def control(self, path: str) -> dict[str, Any]:
        async with self.http.get(f"{self.venue.rest}{path}") as response:
            assert response.status == 200, response.status
            return dict(await response.json())

    async def fault(self, **spec: Any) -> None:
        async with self.http.post(f"{self.venue.rest}/control/faults", json=spec) as response:
            assert response.status == 200, await response.text()

    async def best(self, category: str = "linear") -> tuple[float, float]:
        """Return the best bid and ask by the public REST."""
        path = f"/v5/market/orderbook?category={category}&symbol=BTCUSDT&limit=1"
        book = (await self.control(path))["result"]
        return float(book["b"][0][0]), float(book["a"][0][0])

    async def turned(self, later_ns: int = 1) -> None:
        """Wait for a turn of the venue: what was booked before it is in the book behind it.

        With `later_ns` its market has gone on for so long.
        """
        venue = self.venue.venue
        reached = asyncio.Event()
        venue.schedule(venue.now_ns + later_ns, lambda _: reached.set())
        async with asyncio.timeout(WAIT_S):
            await reached.wait()

    async def wait_for_hits(self, count: int = 1) -> None:
        """Wait until the faults on the board struck so often, together."""
        faults = self.venue.faults
        async with asyncio.timeout(WAIT_S):
            while sum(fault.hit for fault in faults.faults) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def socket(self, url: str) -> AsyncIterator[Socket]:
        raw = await self.http.ws_connect(url)
        try:
            yield Socket(raw, self.clock_ms)
        finally:
            await raw.close()

    @asynccontextmanager
    async def stream(self, *topics: str) -> AsyncIterator[Socket]:
        """Yield an authorised private socket with these topics."""
        async with self.socket(self.venue.private) as socket:
            assert (await socket.authorise(self.key, self.secret))["success"] is True
            answer = await socket.ask(op="subscribe", args=list(topics))
            assert answer["success"] is True
            yield socket

    @asynccontextmanager
    async def trade(self) -> AsyncIterator[Socket]:
        """Yield an authorised trade socket."""
        async with self.socket(self.venue.trade) as socket:
            assert (await socket.authorise(self.key, self.secret))["retCode"] == 0
            yield socket


@asynccontextmanager
async def running(
    *, clock_ns: Callable[[], int] | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Yield a client of a fresh simulator with BTCUSDT, linear and spot."""
    venue = await serve(
        SimulatorOptions(symbols=["BTCUSDT"], seed=7),
        PrivateOptions(**options),
        clock_ns=clock_ns,
    )
    try:
        async with aiohttp.ClientSession() as http:
            yield Client(venue, http)
    finally:
        await venue.stop()
