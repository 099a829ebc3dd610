"""Whatever a client may send: answers as the venue's, bounded memory, other clients unharmed."""

import asyncio
import io
import json
import resource
import time
from typing import Any

import aiohttp
import pytest

from tests.integration.simulator_private.client import Client, Socket, running
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET, PrivateOptions
from tickwright.simulator.run import SimulatorOptions, serve

ORDER = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
ORDER |= {"qty": "0.01", "price": "50000"}
DEEP = "[" * 60_000


async def post_text(client: Client, path: str, text: str) -> tuple[int, Any]:
    headers = client.sign(text) | {"Content-Type": "application/json"}
    async with client.http.post(f"{client.venue.rest}{path}", data=text, headers=headers) as reply:
        body = await reply.text()
        return reply.status, json.loads(body) if body.startswith("{") else body


async def is_served(client: Client) -> bool:
    """Whether another client gets its answers at once."""
    began = time.monotonic()
    assert (await client.get("/v5/account/info"))["retCode"] == 0
    return time.monotonic() - began < 0.5


async def ping_for_ever(socket: Socket) -> None:
    """Ask and ask, until the socket ends."""
    for _ in range(200):
        await asyncio.gather(*(socket.raw.send_str('{"op":"ping"}') for _ in range(500)))
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        DEEP,
        '{"category":' + "[" * 60_000,
        "\x00\xff",
        json.dumps({**ORDER, "qty": 0.01}),
        json.dumps({**ORDER, "qty": ["0.01"]}),
        json.dumps({**ORDER, "reduceOnly": "yes"}),
        json.dumps({**ORDER, "category": {"a": 1}}),
        json.dumps({**ORDER, "symbol": "x" * 100_000}),
        json.dumps({"category": "linear", "request": [ORDER] * 5_000}),
    ],
    ids=range(14),
)
async def test_body_that_is_not_an_order_then_is_10001_and_nothing_is_booked(text):
    async with running() as client:
        for path in ("/v5/order/create", "/v5/order/create-batch"):
            status, answer = await post_text(client, path, text)
            assert (status, answer["retCode"]) == (200, 10001)
        found = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
        assert found["result"]["list"] == []


async def test_body_beyond_a_megabyte_then_is_refused_unread():
    async with running() as client:
        url, body = f"{client.venue.rest}/v5/order/create", io.BytesIO(b" " * (3 << 20))
        async with client.http.post(url, data=body, headers=client.sign("")) as reply:
            assert reply.status == 413
        assert await is_served(client)


async def test_signature_when_replayed_then_holds_for_its_body_and_its_window_only():
    async with running() as client:
        text = json.dumps(ORDER)
        headers = client.sign(text, window="300") | {"Content-Type": "application/json"}
        url = f"{client.venue.rest}/v5/order/create"
        codes = []
        for body, wait_s in ((text, 0.0), (text.replace("0.01", "0.02"), 0.0), (text, 0.4)):
            await asyncio.sleep(wait_s)
            async with client.http.post(url, data=body, headers=headers) as reply:
                codes.append((await reply.json())["retCode"])
        assert codes == [0, 10004, 10002]


async def test_clock_of_the_venue_off_by_a_fault_then_requests_are_refused_until_corrected():
    async with running() as client:
        await client.fault(kind="clock", offset_s=60)
        answer = await client.get("/v5/account/info")
        assert answer["retCode"] == 10002
        told = int((await client.control("/v5/market/time"))["result"]["timeNano"]) // 1_000_000
        again = await client.get("/v5/account/info", at_ms=told)
        assert again["retCode"] == 0


@pytest.mark.parametrize("frame", ["", "{", "null", "[]", DEEP, '{"op":5}', '{"op":"dance"}'])
async def test_frame_that_is_no_request_then_is_answered_and_the_socket_lives(frame):
    async with running() as client:
        for url in (client.venue.private, client.venue.trade, f"{client.venue.public}/linear"):
            async with client.socket(url) as socket:
                await socket.raw.send_str(frame)
                answer = await socket.wait_for(lambda frame: "topic" not in frame)
                assert answer.get("success", False) is False
                assert answer.get("retCode", -1) != 0
                pong = await socket.ask(op="ping")
                assert pong["op"] in ("pong", "ping")


async def test_order_ops_that_do_not_exist_then_have_the_codes_of_the_venue():
    async with running() as client, client.trade() as trade:
        for op, body, code in (
            ("order.dance", ORDER, 10404),
            ("order.cancel-all", ORDER, 10404),
            ("order.pre-check", ORDER, 10404),
            ("order.create", {**ORDER, "category": "moon"}, 10404),
            ("order.create", {**ORDER, "qty": "0.0001"}, 10001),
        ):
            assert (await trade.order(op, **body))["retCode"] == code
        first = await trade.order("order.create", "same", **ORDER)
        second = await trade.order("order.create", "same", **ORDER)
        assert (first["retCode"], second["retCode"]) == (0, 20006)


async def test_ten_thousand_subscriptions_then_are_refused_and_cost_nothing():
    async with running() as client, client.socket(f"{client.venue.public}/linear") as socket:
        topics = [f"orderbook.50.SIM{number}USDT" for number in range(10_000)]
        small = [topics[first : first + 500] for first in range(0, 10_000, 500)]
        for args in small:
            answer = await socket.ask(op="subscribe", args=args)
            assert answer["success"] is False
        for _ in range(3):
            answer = await socket.ask(op="subscribe", args=["orderbook.50.BTCUSDT"] * 1_000)
            assert answer["success"] is False
        async with client.stream("order") as stream:
            await stream.send(op="subscribe", args=["order.linear"] * 5_000)
            await client.create(side="Buy", price="50000")
            await stream.event("order", orderStatus="New")
        assert len(client.venue.venue.streams()) < 10
        assert await is_served(client)


async def test_half_requests_that_never_end_then_hold_up_nobody():
    async with running() as client:
        rest = client.venue.rest.removeprefix("http://").rpartition(":")
        sockets = client.venue.private.removeprefix("ws://").partition("/")[0].rpartition(":")
        held = []
        for host, _, port in (rest, sockets) * 100:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Le")
            held.append(writer)
        assert await is_served(client)
        async with client.stream("order") as stream:
            await client.create(side="Buy", price="50000")
            await stream.event("order", orderStatus="New")
        for writer in held:
            writer.close()
            await writer.wait_closed()


async def test_clients_that_never_read_then_are_cut_and_the_others_hear_everything():
    limit = 64 << 10
    venue = await serve(
        SimulatorOptions(symbols=["BTCUSDT"], seed=7, send_buffer_bytes_max=limit),
        PrivateOptions(rate_scale=1_000.0),
    )
    try:
        async with aiohttp.ClientSession() as http:
            client = Client(venue, http)
            async with client.stream("order") as stream, client.trade() as deaf:
                # Pongs pile up behind a socket that asks and never reads.
                transport = deaf.raw._response.connection.transport  # type: ignore[union-attr]
                assert transport is not None
                transport.pause_reading()
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                with pytest.raises((ConnectionError, aiohttp.ClientError)):
                    await ping_for_ever(deaf)
                assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
                assert (await client.create(side="Buy", price="50000"))["retCode"] == 0
                await stream.event("order", orderStatus="New")
            assert (await client.control("/control/status"))["cut_slow_readers"] == 1
    finally:
        await venue.stop()


async def test_login_with_nonsense_then_is_refused_and_may_try_again():
    async with running() as client, client.socket(client.venue.trade) as socket:
        for args in (None, [], [1, 2, 3], [DEMO_KEY, "9" * 40, "x"], ["x" * 10_000, 9e99, "y"]):
            assert (await socket.ask(op="auth", args=args))["retCode"] != 0
        assert (await socket.authorise(DEMO_KEY, DEMO_SECRET))["retCode"] == 0
