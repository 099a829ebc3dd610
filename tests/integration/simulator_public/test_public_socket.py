"""The public sockets as a client of another library sees them."""

import asyncio
import json
import socket
import ssl

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.simulator_public.client import (
    WAIT_S,
    client,
    get,
    is_book,
    simulator,
)
from tickwright.core.identity import Category
from tickwright.simulator.sources.synthetic import SyntheticStyle

_BUSY = SyntheticStyle(events_per_s=600.0, quiet_symbols=0)


async def test_ack_comes_before_the_snapshot_and_the_book_equals_the_server_at_its_u() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        topics = [f"orderbook.{depth}.BTCUSDT" for depth in (1, 50, 200, 1000)]
        await public.send(req_id="a", op="subscribe", args=topics)
        ack = await public.frame()
        assert (True, "", "a", "subscribe") == (
            ack["success"],
            ack["ret_msg"],
            ack["req_id"],
            ack["op"],
        )
        for _ in range(150):
            await public.wait(is_book)
        for topic in topics:
            depth = topic.split(".")[1]
            book = public.books[topic]
            shown = await get(
                running,
                "/control/book",
                category="linear",
                symbol="BTCUSDT",
                depth=depth,
                u=book.u,
            )
            assert (shown["b"], shown["a"]) == book.levels()
            assert int(depth) == len(shown["b"]) == len(shown["a"])


async def test_categories_keep_their_own_book_of_one_symbol() -> None:
    async with (
        simulator(categories=(Category.LINEAR, Category.SPOT)) as running,
        client(running) as linear,
        client(running, "spot") as spot,
    ):
        assert "" == (await linear.subscribe("orderbook.50.BTCUSDT"))["ret_msg"]
        assert "subscribe" == (await spot.subscribe("orderbook.50.BTCUSDT"))["ret_msg"]
        first = await linear.wait(is_book)
        second = await spot.wait(is_book)
        assert first["data"]["u"] != second["data"]["u"]
        assert ["topic", "type", "ts"] == list(first)[:3]
        assert ["topic", "ts", "type"] == list(second)[:3]


@pytest.mark.parametrize("category", ["inverse", "option"])
async def test_category_without_symbols_answers_and_refuses_topics(category: str) -> None:
    async with simulator() as running, client(running, category) as public:
        await public.send(op="ping", req_id="p")
        assert "ping" == (await public.frame()).get("op") or category == "option"
        refusal = await public.subscribe("orderbook.25.BTCUSDT")
        assert refusal["success"] is False


async def test_refused_request_subscribes_nothing() -> None:
    async with simulator() as running, client(running) as public:
        refusal = await public.subscribe("publicTrade.BTCUSDT", "orderbook.50.NOPEUSDT")
        assert "error:handler not found,topic:orderbook.50.NOPEUSDT" == refusal["ret_msg"]
        assert (await public.subscribe("publicTrade.BTCUSDT"))["success"] is True
        again = await public.subscribe("tickers.BTCUSDT", "publicTrade.BTCUSDT")
        assert "error:already subscribed,topic:publicTrade.BTCUSDT" == again["ret_msg"]
        assert (await public.subscribe("tickers.BTCUSDT"))["success"] is True


async def test_resubscribing_gives_a_fresh_snapshot() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await public.subscribe("orderbook.50.BTCUSDT")
        for _ in range(5):
            await public.wait(is_book)
        await public.send(req_id="u", op="unsubscribe", args=["orderbook.50.BTCUSDT"])
        ack = await public.wait(lambda frame: frame.get("op") == "unsubscribe")
        assert ack["success"] is True
        await public.subscribe("orderbook.50.BTCUSDT")
        assert "snapshot" == (await public.wait(is_book))["type"]


async def test_broken_requests_are_answered_and_the_socket_lives_on() -> None:
    async with simulator() as running, client(running) as public:
        for text, words in (
            ("hello", "Failed to decode"),
            ("[]", "Failed to decode"),
            ('{"op":"fly"}', "error:invalid op"),
            ('{"op":"subscribe","args":[]}', "params error"),
        ):
            await public.socket.send(text)
            assert words in (await public.frame())["ret_msg"]
        await public.send(op="ping")
        assert "pong" == (await public.frame())["ret_msg"]


async def test_request_that_is_too_long_ends_the_socket() -> None:
    async with simulator() as running, client(running) as public:
        await public.socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            await public.text()


async def test_unknown_path_is_refused() -> None:
    async with simulator() as running:
        with pytest.raises(InvalidStatus):
            async with client(running, "spread"):
                pass


async def test_silent_socket_without_subscription_is_cut_and_a_subscribed_one_is_not() -> None:
    async with (
        simulator(idle_s_max=1.0) as running,
        client(running) as subscribed,
    ):
        await subscribed.subscribe("orderbook.50.BTCUSDT")
        async with client(running) as silent:
            with pytest.raises(ConnectionClosed):
                await silent.text()
        await subscribed.wait(is_book)
        await subscribed.wait(is_book)
        assert 1 == (await get(running, "/control/status"))["cut_idle"]


async def _stuck_socket(running_url: str) -> socket.socket:
    """A client that subscribes to everything and never reads."""
    host, port = running_url.removeprefix("ws://").split("/")[0].split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (host, int(port)))
    await loop.sock_sendall(
        raw,
        b"GET /v5/public/linear HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n",
    )
    assert b"101" in await loop.sock_recv(raw, 12)
    message = json.dumps(
        {"op": "subscribe", "args": [f"orderbook.{d}.BTCUSDT" for d in (50, 200, 1000)]}
    ).encode()
    await loop.sock_sendall(raw, bytes((0x81, 0x80 | len(message))) + b"\0\0\0\0" + message)
    return raw


async def test_client_that_never_reads_is_cut_and_another_is_unharmed() -> None:
    options = {"style": _BUSY, "rate": 20_000.0, "send_buffer_bytes_max": 200_000}
    async with simulator(**options) as running, client(running) as healthy:
        await healthy.subscribe("orderbook.50.ETHUSDT")
        stuck = await _stuck_socket(running.public)
        try:
            cut = 0
            async with asyncio.timeout(WAIT_S):
                while not cut:
                    for _ in range(200):
                        await healthy.wait(is_book)
                    cut = (await get(running, "/control/status"))["cut_slow_readers"]
        finally:
            stuck.close()
        assert 1 == cut
        book = healthy.books["orderbook.50.ETHUSDT"]
        assert (50, 50) == (len(book.bids), len(book.asks))


async def test_tls_server_is_trusted_through_the_ready_lines_authority() -> None:
    async with simulator(tls=True) as running:
        ready = json.loads(running.ready_line())
        assert running.rest.startswith("https://")
        trusting = ssl.create_default_context(cafile=ready["ca"])
        async with client(running, ssl=trusting) as public:
            await public.subscribe("orderbook.50.BTCUSDT")
            assert "snapshot" == (await public.wait(is_book))["type"]


async def test_unpaced_rate_reaches_a_subscriber_of_every_symbol() -> None:
    async with simulator(rate=4_000.0, symbols=10) as running, client(running) as public:
        symbols = [symbol for _, symbol in running.venue.markets]
        start_ns = running.venue.now_ns
        await public.subscribe(*(f"orderbook.50.{symbol}" for symbol in symbols))
        seen = set()
        for _ in range(4_000):
            seen.add((await public.wait(is_book))["topic"])
        assert {f"orderbook.50.{symbol}" for symbol in symbols} == seen
        # By the venue's clock, which a busy machine holds up: so many take it a second.
        assert running.venue.now_ns - start_ns > 800_000_000


async def test_client_object_reads_trades_and_tickers() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await public.subscribe("publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT")
        seen: set[str] = set()
        async with asyncio.timeout(WAIT_S):
            while len(seen) < 3:
                seen.add(str((await public.frame()).get("topic")))
        assert {"publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT"} == seen
