"""Over sockets and in process the same venue says the same, byte for byte."""

import asyncio
import hmac
import json
import time
from decimal import Decimal
from hashlib import sha256
from typing import Any

import aiohttp

from tests.integration.simulator_private.client import Client
from tickwright.core.identity import Category
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, build_whole, serve
from tickwright.simulator.whole import WholeVenue

SECOND_NS = 1_000_000_000
SYMBOLS = ("BTCUSDT", "XRPUSDT")
TOPICS = [
    f"{name}.{symbol}"
    for symbol in SYMBOLS
    for name in ("orderbook.1", "orderbook.50", "orderbook.200", "publicTrade", "tickers")
]
EVENTS = ["order", "execution", "position", "wallet"]
WAIT_S = 20.0


class StandingClock:
    """Venue time that moves only when a test says so."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()

    def __call__(self) -> int:
        return self.now_ns


class Reader:
    """Keeps the frames of a socket's topics."""

    def __init__(self, raw: aiohttp.ClientWebSocketResponse) -> None:
        self.raw = raw
        self.frames: list[bytes] = []

    async def answer(self, **message: Any) -> None:
        """Send a request and read up to its answer, which is not kept."""
        await self.raw.send_json(message)
        async with asyncio.timeout(WAIT_S):
            while True:
                received = await self.raw.receive()
                assert received.type is aiohttp.WSMsgType.TEXT, received
                if '"topic"' not in received.data:
                    return
                self.frames.append(received.data.encode())


async def until(venue: RunningSimulator, now_ns: int) -> None:
    """Wait until the server's turns have brought venue time so far."""
    reached = asyncio.Event()
    venue.venue.schedule(now_ns, lambda _: reached.set())
    async with asyncio.timeout(WAIT_S):
        await reached.wait()


def bodies(options: SimulatorOptions, start_ns: int) -> list[tuple[str, dict[str, Any]]]:
    """Return orders that rest, match, are protected and cancelled, at this venue's prices."""
    market = build_whole(options, start_ns=start_ns).venue.markets[Category.LINEAR, "BTCUSDT"]
    bid = Decimal(market.instrument.price_text[market.mid_units]).quantize(Decimal(1))
    base = {"category": "linear", "symbol": "BTCUSDT", "qty": "0.01"}
    return [
        (
            "/v5/order/create",
            base
            | {"side": "Buy", "orderType": "Limit", "price": str(bid - 20), "orderLinkId": "a"},
        ),
        ("/v5/order/create", base | {"side": "Buy", "orderType": "Market"}),
        (
            "/v5/position/trading-stop",
            {"category": "linear", "symbol": "BTCUSDT", "stopLoss": str(bid - 500)},
        ),
        ("/v5/order/cancel", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "a"}),
    ]


async def over_sockets(
    options: SimulatorOptions, clock: StandingClock, requests: list[tuple[str, dict[str, Any]]]
) -> tuple[list[bytes], list[bytes], list[dict[str, Any]]]:
    venue = await serve(options, clock_ns=clock)
    try:
        async with aiohttp.ClientSession() as http:
            client = Client(venue, http)
            public = Reader(await http.ws_connect(f"{venue.public}/linear"))
            private = await http.ws_connect(venue.private)
            stream = Reader(private)
            await public.answer(op="subscribe", args=TOPICS)
            await stream.answer(op="auth", args=signed())
            await stream.answer(op="subscribe", args=EVENTS)
            answers = []
            for path, body in requests:
                answers.append(await client.post(path, **body))
                clock.now_ns += SECOND_NS
                await until(venue, clock.now_ns)
            await public.answer(op="ping")
            await stream.answer(op="ping")
            await private.close()
            await public.raw.close()
            return public.frames, stream.frames, answers
    finally:
        await venue.stop()


def signed() -> list[Any]:
    """Return the arguments of an authorisation."""
    expires = time.time_ns() // 1_000_000 + 60_000
    text = f"GET/realtime{expires}".encode()
    return [DEMO_KEY, expires, hmac.new(DEMO_SECRET.encode(), text, sha256).hexdigest()]


def in_process(
    options: SimulatorOptions, start_ns: int, requests: list[tuple[str, dict[str, Any]]]
) -> tuple[list[bytes], list[bytes], list[dict[str, Any]], WholeVenue]:
    whole = build_whole(options, start_ns=start_ns)
    key = whole.key(DEMO_KEY)
    frames: list[bytes] = []
    messages: list[bytes] = []
    whole.public(Category.LINEAR, frames.append).subscribe(*TOPICS)
    whole.private(key, messages.append, *EVENTS)
    answers = []
    for number, (path, body) in enumerate(requests, start=1):
        reply = whole.post(key, path.removeprefix("/v5/").replace("/", "."), body)
        assert reply.answer is not None
        answers.append(json.loads(reply.answer.body(whole.clock_ms())))
        # What the request makes happens at its own time, as after a server's hurried turn.
        whole.advance(whole.now_ns)
        whole.advance(start_ns + number * SECOND_NS)
    return frames, messages, answers, whole


async def test_fronts_when_given_the_same_requests_then_say_the_same_bytes():
    clock = StandingClock()
    options = SimulatorOptions(symbols=SYMBOLS, categories=(Category.LINEAR,), seed=7)
    start_ns = clock.now_ns
    requests = bodies(options, start_ns)

    theirs, their_messages, their_answers = await over_sockets(options, clock, requests)
    ours, our_messages, our_answers, whole = in_process(options, start_ns, requests)

    assert len(ours) > 200
    assert ours == theirs
    assert [0] * len(requests) == [answer["retCode"] for answer in our_answers]
    assert our_answers == their_answers
    assert len(our_messages) > 5
    assert our_messages == their_messages
    assert [] == whole.ledger.faults() + whole.desk.faults()
