"""What the venue does when asked too often, and when it is told to fail, over real sockets."""

import asyncio

import aiohttp
import pytest

from tests.integration.simulator_private.client import Client, running


async def open_orders(client: Client) -> list[str]:
    # An order needs a turn of the venue to reach its book.
    await asyncio.sleep(0.05)
    answer = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    return [row["orderLinkId"] for row in answer["result"]["list"]]


async def test_eleventh_order_in_a_second_then_10006_with_the_reset_time():
    async with running() as client:
        codes = [(await client.create(side="Buy", price="50000"))["retCode"] for _ in range(11)]
        assert codes == [0] * 10 + [10006]
        assert client.headers["X-Bapi-Limit-Status"] == "0"
        answer_at = int(client.headers["X-Bapi-Limit-Reset-Timestamp"])
        assert answer_at > client.venue.venue.now_ns // 1_000_000 - 1_000
        spot = await client.create(category="spot", side="Buy", price="50000")
        assert spot["retCode"] != 10006


async def test_budget_when_spent_by_rest_then_is_spent_for_the_trade_socket_too():
    async with running() as client, client.trade() as trade:
        for _ in range(9):
            await client.create(side="Buy", price="50000")
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        order |= {"qty": "0.01", "price": "50000"}
        codes = [(await trade.order("order.create", **order))["retCode"] for _ in range(2)]
        assert codes == [0, 10006]


async def test_address_that_asks_too_often_then_is_banned_everywhere_but_control():
    async with running(address_requests_max=5) as client:
        url = f"{client.venue.rest}/v5/market/time"
        statuses = []
        for _ in range(7):
            async with client.http.get(url) as response:
                statuses.append(response.status)
        assert statuses == [200] * 5 + [403, 403]
        assert (await client.control("/control/ledger"))["balanced"] is True


@pytest.mark.parametrize("kind", ["cut_before_booking", "cut_after_booking"])
async def test_rest_connection_cut_then_only_the_book_knows_whether_the_order_lives(kind):
    async with running() as client:
        await client.fault(kind=kind, topic="order.create")
        with pytest.raises(aiohttp.ClientError):
            await client.create(side="Buy", price="50000", orderLinkId="cut")
        expected = ["cut"] if kind == "cut_after_booking" else []
        assert await open_orders(client) == expected


async def test_reply_that_is_an_error_after_booking_then_the_order_lives():
    async with running() as client:
        await client.fault(kind="reply_error", topic="rest.order.create")
        with pytest.raises(AssertionError, match="500"):
            await client.create(side="Buy", price="50000", orderLinkId="alive")
        assert await open_orders(client) == ["alive"]


async def test_reply_dropped_on_the_trade_socket_then_the_stream_still_tells_the_order():
    async with running() as client, client.stream("order") as stream, client.trade() as trade:
        await client.fault(kind="reply_dropped", topic="trade.order.create")
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        order |= {"qty": "0.01", "price": "50000", "orderLinkId": "silent"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await trade.order("order.create", "1", **order)
        await stream.event("order", orderLinkId="silent", orderStatus="New")


async def test_trade_socket_cut_after_booking_then_the_order_lives_on():
    async with running() as client, client.trade() as trade:
        await client.fault(kind="cut_after_booking", topic="order.create")
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        order |= {"qty": "0.01", "price": "50000", "orderLinkId": "torn"}
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await trade.order("order.create", "1", **order)
        assert await open_orders(client) == ["torn"]


async def test_private_event_doubled_then_is_the_same_frame_twice():
    async with running() as client, client.stream("order") as stream:
        await client.fault(kind="duplicate_event", category="private", topic="order")
        await client.create(side="Buy", price="50000", orderLinkId="twice")
        first = await stream.wait_for(lambda frame: frame.get("topic") == "order")
        second = await stream.wait_for(lambda frame: frame.get("topic") == "order")
        assert first == second


async def test_private_socket_cut_at_an_event_then_the_client_must_come_back():
    async with running() as client, client.stream("order") as stream:
        await client.fault(kind="cut", category="private", topic="order")
        await client.create(side="Buy", price="50000", orderLinkId="gone")
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await stream.event("order")
        assert await open_orders(client) == ["gone"]
