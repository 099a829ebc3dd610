"""Whatever a client may send: answers as the venue's, bounded memory, other clients unharmed."""

import asyncio
import contextlib
import hmac
import io
import json
import resource
import time
from hashlib import sha256
from typing import Any, Self

import aiohttp
import pytest

from tests.integration.simulator_private.client import WAIT_S, Client, Socket, running
from tickwright.core.identity import Category
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET, PrivateOptions
from tickwright.simulator.run import SimulatorOptions, serve

ORDER = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
ORDER |= {"qty": "0.01", "price": "50000"}
DEEP = "[" * 60_000
ORDER_COUNT = 500


async def post_text(client: Client, path: str, text: str) -> tuple[int, Any]:
    headers = client.sign(text) | {"Content-Type": "application/json"}
    async with client.http.post(f"{client.venue.rest}{path}", data=text, headers=headers) as reply:
        body = await reply.text()
        return reply.status, json.loads(body) if body.startswith("{") else body


async def is_served(client: Client) -> bool:
    """Whether another client gets its answers at once; one pause of the machine is none of ours."""
    for _ in range(5):
        began = time.monotonic()
        assert (await client.get("/v5/account/info"))["retCode"] == 0
        if time.monotonic() - began < 0.5:
            return True
    return False


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
        headers = client.sign(text, window="5000") | {"Content-Type": "application/json"}
        url = f"{client.venue.rest}/v5/order/create"
        codes = []
        # The last comes behind the window: by the venue's clock, which nobody has to wait for.
        for body, later_s in ((text, 0.0), (text.replace("0.01", "0.02"), 0.0), (text, 6.0)):
            if later_s:
                await client.fault(kind="clock", offset_s=later_s)
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


class Plain:
    """Connections that say what they are told; they all end with the block."""

    def __init__(self, address: str) -> None:
        self.host, _, port = address.partition("://")[2].partition("/")[0].rpartition(":")
        self.port = int(port)
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def open(self, text: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        self.writers.append(writer)
        writer.write(text)
        return reader, writer


async def is_reset(reader: asyncio.StreamReader, within_s: float = 30.0) -> bool:
    async with asyncio.timeout(within_s):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


HEAD = b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\n"
ANSWERED = b"GET /v5/market/time HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_requests_said_too_slowly_then_are_reset_and_quick_ones_are_not():
    venue = await serve(SimulatorOptions(symbols=["BTCUSDT"], seed=7, request_s_max=0.4))
    try:
        async with aiohttp.ClientSession() as http, Plain(venue.rest) as plain:
            client = Client(venue, http)
            slow = [
                await plain.open(text)
                for text in (
                    b"",
                    HEAD,
                    HEAD + b"Content-Length: 100\r\n\r\n",
                    HEAD + b"Content-Length: 100\r\n\r\n{",
                    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
                )
            ]
            # One that dribbles, and one that was answered and then waits for its next request.
            dribbling, dribbler = await plain.open(HEAD)
            kept, keeper = await plain.open(ANSWERED)
            assert b"timeNano" in await kept.read(1_000)
            for _ in range(10):
                await asyncio.sleep(0.2)
                if not dribbler.is_closing():
                    dribbler.write(b"X-A: b\r\n")
                assert await is_served(client)
            assert await is_reset(dribbling)
            for reader, _ in slow:
                assert await is_reset(reader)
            keeper.write(ANSWERED)
            assert b"timeNano" in await kept.read(1_000)
            assert (await client.control("/control/status"))["cut_slow_requests"] == 6
            # The same connection again, this time with half a request.
            keeper.write(HEAD)
            assert await is_reset(kept)
    finally:
        await venue.stop()


async def test_rest_connections_beyond_the_bound_then_take_the_place_of_those_that_dawdle():
    venue = await serve(SimulatorOptions(symbols=["BTCUSDT"], seed=7, rest_connections_max=20))
    try:
        async with aiohttp.ClientSession() as http, Plain(venue.rest) as plain:
            client = Client(venue, http)
            held = [await plain.open(HEAD) for _ in range(60)]
            for _ in range(5):
                assert await is_served(client)
            assert (await client.control("/control/status"))["rest_connections"] <= 20
            assert [await is_reset(reader) for reader, _ in held[:30]] == [True] * 30
    finally:
        await venue.stop()


async def test_answers_under_way_on_every_connection_then_the_newcomer_is_reset():
    venue = await serve(SimulatorOptions(symbols=["BTCUSDT"], seed=7, rest_connections_max=2))
    try:
        async with aiohttp.ClientSession() as http, Plain(venue.rest) as plain:
            client = Client(venue, http)
            await client.fault(kind="reply_delayed", count=2, delay_s=1.5)
            busy = [asyncio.create_task(client.create(side="Buy", price="50000")) for _ in "ab"]
            await client.wait_for_hits(2)
            reader, _ = await plain.open(ANSWERED)
            assert await is_reset(reader)
            assert [(await task)["retCode"] for task in busy] == [0, 0]
    finally:
        await venue.stop()


async def test_upgrade_that_never_ends_then_is_reset():
    async with running() as client, Plain(client.venue.private) as plain:
        reader, _ = await plain.open(b"GET /v5/private HTTP/1.1\r\nUpgrade: webso")
        assert await is_reset(reader)


async def test_ten_thousand_subscriptions_that_exist_then_go_with_their_sockets():

    symbols = [f"SIM{number:04d}USDT" for number in range(100)]
    venue = await serve(SimulatorOptions(symbols=symbols, categories=(Category.LINEAR,), seed=7))
    names = ("orderbook.50", "orderbook.1", "publicTrade", "tickers", "kline.1", "priceLimit")
    topics = [f"{name}.{symbol}" for name in names for symbol in symbols]
    try:
        async with aiohttp.ClientSession() as http:
            client = Client(venue, http)
            sockets = [client.socket(f"{venue.public}/linear") for _ in range(17)]
            count = 0
            async with contextlib.AsyncExitStack() as stack:
                for socket in sockets:
                    one = await stack.enter_async_context(socket)
                    for first in range(0, len(topics), 100):
                        await one.send(op="subscribe", args=topics[first : first + 100])
                        count += 100
                assert count >= 10_000
                assert await is_served(client)
            assert await is_served(client)
            async with asyncio.timeout(WAIT_S):
                while any(stream.subscribers for stream in venue.venue.streams().values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    finally:
        await venue.stop()


@pytest.mark.parametrize("args", [ORDER_COUNT * [ORDER], [[ORDER] * ORDER_COUNT], [ORDER, ORDER]])
async def test_array_of_orders_on_the_trade_socket_then_is_refused_whole(args):
    async with running() as client, client.trade() as trade:
        header = {"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000)}
        answer = await trade.ask(op="order.create", header=header, args=args, reqId="many")
        assert answer["retCode"] == 10001
        found = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
        assert found["result"]["list"] == []


async def test_login_when_replayed_then_holds_until_it_expires():
    async with running() as client:
        async with client.socket(client.venue.private) as first:
            expires = time.time_ns() // 1_000_000 + 5_000
            text = f"GET/realtime{expires}".encode()
            sign = hmac.new(DEMO_SECRET.encode(), text, sha256).hexdigest()
            login = {"op": "auth", "args": [DEMO_KEY, expires, sign]}
            assert (await first.ask(**login))["success"] is True
        # Later by the venue's clock, which nobody has to wait for.
        await client.fault(kind="clock", offset_s=6.0)
        async with client.socket(client.venue.private) as second:
            assert (await second.ask(**login))["success"] is False


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
