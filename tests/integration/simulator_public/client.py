"""Owns a small WebSocket client of another library than the server's, for the simulator's tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from tests.unit.simulator.oracle import ClientBook
from tickwright.core.identity import Category
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve

WAIT_S = 30.0

Frame = dict[str, Any]


@asynccontextmanager
async def simulator(**options: Any) -> AsyncIterator[RunningSimulator]:
    """Run a simulator of three busy linear symbols, unless told otherwise."""
    wanted: dict[str, Any] = {"symbols": 3, "categories": (Category.LINEAR,)}
    running = await serve(SimulatorOptions(**{**wanted, **options}))
    try:
        yield running
    finally:
        await running.stop()


class Client:
    """One public socket that keeps a `ClientBook` per book topic."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.books: dict[str, ClientBook] = {}

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def subscribe(self, *topics: str, req_id: str = "s") -> Frame:
        await self.send(req_id=req_id, op="subscribe", args=list(topics))
        return await self.wait(lambda frame: "success" in frame)

    async def fence(self) -> None:
        """Read everything that was sent before now: the answer to a ping stands behind it."""
        await self.send(req_id="fence", op="ping")
        await self.wait(lambda frame: frame.get("req_id") == "fence")

    async def read_to_silence(self, span_s: float) -> None:
        """Read until nothing came for a span."""
        while await self.frames_within(span_s):
            pass

    async def text(self) -> str:
        message = await asyncio.wait_for(self.socket.recv(), WAIT_S)
        assert isinstance(message, str)
        return message

    async def frame(self) -> Frame:
        frame: Frame = json.loads(await self.text())
        return frame

    async def read_to_end(self) -> None:
        """Read until the socket ends."""
        while True:
            await self.text()

    async def frames_within(self, span_s: float) -> list[Frame]:
        """Every frame that comes within a span."""
        frames: list[Frame] = []
        loop = asyncio.get_running_loop()
        end = loop.time() + span_s
        while (left := end - loop.time()) > 0:
            try:
                frames.append(json.loads(await asyncio.wait_for(self.socket.recv(), left)))
            except TimeoutError:
                break
        return frames

    async def wait(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Read until a frame fits, keeping books on the way."""
        async with asyncio.timeout(WAIT_S):
            while True:
                frame = await self.frame()
                topic = frame.get("topic", "")
                if topic.startswith("orderbook."):
                    self.books.setdefault(topic, ClientBook()).apply(frame)
                if wanted(frame):
                    return frame


@asynccontextmanager
async def client(
    running: RunningSimulator, category: str = "linear", **options: Any
) -> AsyncIterator[Client]:
    """Open a public socket. With unread frames the library waits out its close: keep that short."""
    url = f"{running.public}/{category}"
    async with connect(url, close_timeout=0.2, **options) as socket:
        yield Client(socket)


async def get(running: RunningSimulator, path: str, **query: Any) -> Frame:
    """GET a path of the REST port."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running.rest}{path}", params=query) as response,
    ):
        body: Frame = await response.json()
        return body


async def post_fault(running: RunningSimulator, **spec: Any) -> Frame:
    """Put a fault on the board through the control endpoint."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.rest}/control/faults", json=spec) as response,
    ):
        body: Frame = await response.json()
        assert response.status == 200, body
        return body


async def hits(running: RunningSimulator) -> int:
    """How often the faults on the board struck, together."""
    report = await get(running, "/control/faults")
    return sum(fault["hit"] for fault in report["faults"])


async def wait_hit(running: RunningSimulator) -> None:
    """Wait until a fault on the board has struck, without reading any socket."""
    async with asyncio.timeout(WAIT_S):
        while not any(fault.hit for fault in running.faults.faults):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def is_book(frame: Frame) -> bool:
    """Whether a frame is one of a book topic."""
    return str(frame.get("topic", "")).startswith("orderbook.")
