"""What the venue does when asked too often, and when it is told to fail, over real sockets."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import pytest

from tests.integration.simulator_private.client import WAIT_S, Client, running


def is_of(name: str, frame: dict[str, Any]) -> bool:
    return name in frame.get("topic", "")


def standing() -> Callable[[], int]:
    """Return a clock that stands: however slow the machine, all happens within one second."""
    now_ns = time.time_ns()
    return lambda: now_ns


async def open_orders(client: Client) -> list[str]:
    # An order needs a turn of the venue to reach its book.
    await client.turned()
    answer = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    return [row["orderLinkId"] for row in answer["result"]["list"]]


async def test_eleventh_order_in_a_second_then_10006_with_the_reset_time():
    async with running(clock_ns=standing()) as client:
        codes = [(await client.create(side="Buy", price="50000"))["retCode"] for _ in range(11)]
        assert codes == [0] * 10 + [10006]
        assert client.headers["X-Bapi-Limit-Status"] == "0"
        answer_at = int(client.headers["X-Bapi-Limit-Reset-Timestamp"])
        assert answer_at > client.venue.venue.now_ns // 1_000_000 - 1_000
        spot = await client.create(category="spot", side="Buy", price="50000")
        assert spot["retCode"] != 10006


async def test_budget_when_spent_by_rest_then_is_spent_for_the_trade_socket_too():
    async with running(clock_ns=standing()) as client, client.trade() as trade:
        for _ in range(9):
            await client.create(side="Buy", price="50000")
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        order |= {"qty": "0.01", "price": "50000"}
        codes = [(await trade.order("order.create", **order))["retCode"] for _ in range(2)]
        assert codes == [0, 10006]


async def test_address_that_asks_too_often_then_is_banned_everywhere_but_control():
    async with running(address_requests_max=5, clock_ns=standing()) as client:
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


async def test_maintenance_then_rest_and_order_entry_refuse_and_the_status_says_so():
    async with running() as client, client.trade() as trade:
        await client.fault(kind="maintenance", count=0, duration_s=2.0)
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        order |= {"qty": "0.01", "price": "50000"}
        assert (await client.create(side="Buy", price="50000"))["retCode"] == 10016
        assert (await trade.order("order.create", "1", **order))["retCode"] == 10019
        status = (await client.control("/v5/system/status"))["result"]["list"]
        assert [row["state"] for row in status] == ["ongoing"]
        async with asyncio.timeout(WAIT_S):
            while (await client.control("/v5/system/status"))["result"]["list"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await trade.order("order.create", "2", **order))["retCode"] == 0


async def test_outage_of_one_topic_then_the_others_go_on_and_it_comes_back():
    async with running() as client, client.stream("order", "wallet") as stream:
        await client.fault(
            kind="topic_outage", category="private", topic="order", count=0, duration_s=2.0
        )
        (outage,) = client.venue.faults.faults
        await client.create(side="Buy", price="50000", orderLinkId="dark")
        await stream.event("wallet")
        assert [frame for frame in stream.seen if frame.get("topic") == "order"] == []
        async with asyncio.timeout(WAIT_S):
            while not outage.is_over(client.venue.venue.now_ns):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await client.create(side="Buy", price="50000", orderLinkId="seen")
        await stream.event("order", orderLinkId="seen")
        (fault,) = (await client.control("/control/faults"))["faults"]
        assert fault["hit"] == fault["armed"] == 1


async def test_unknown_word_in_an_event_then_is_one_nobody_knows():
    async with running() as client, client.stream("order") as stream:
        await client.fault(kind="unknown_enum", category="private", topic="order")
        await client.create(side="Buy", price="50000")
        frame = await stream.wait_for(lambda frame: frame.get("topic") == "order")
        assert "NeverHeardOf" in frame["data"][0].values()


async def test_query_that_lags_then_does_not_know_the_order_yet():
    async with running() as client:
        await client.fault(kind="lagging_rest", topic="order.realtime", count=0, delay_s=1.5)
        await client.turned()
        await client.create(side="Buy", price="50000", orderLinkId="late")
        assert await open_orders(client) == []
        async with asyncio.timeout(WAIT_S):
            while not (found := await open_orders(client)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert found == ["late"]


async def test_mark_pinned_by_control_then_the_account_is_liquidated_in_public():
    async with running() as client, client.stream("execution") as stream:
        async with client.socket(f"{client.venue.public}/linear") as public:
            await public.ask(op="subscribe", args=["allLiquidation.BTCUSDT"])
            _, ask = await client.best()
            await client.create(side="Buy", orderType="Market", qty="0.5")
            await stream.event("execution", execType="Trade")
            body = {"symbol": "BTCUSDT", "mark": f"{ask * 0.5:.1f}"}
            url = f"{client.venue.rest}/control/mark"
            async with client.http.post(url, json=body) as response:
                assert response.status == 200
            taken = await stream.event("execution", execType="BustTrade")
            told = await public.event("allLiquidation.BTCUSDT")
            assert (told["S"], told["v"], told["p"]) == ("Buy", "0.500", taken["execPrice"])
        report = await client.control("/control/ledger")
        assert (report["balanced"], report["liquidations"]) == (True, 1)
        assert report["accounts"][0]["wallet"]["USDT"] == "0"


async def test_funding_paid_by_control_then_is_an_execution_and_a_row_of_the_log():
    async with running() as client, client.stream("execution") as stream:
        await client.create(side="Buy", orderType="Market", qty="0.1")
        await stream.event("execution", execType="Trade")
        url = f"{client.venue.rest}/control/funding"
        async with client.http.post(url, json={"symbol": "BTCUSDT", "rate": "0.001"}) as response:
            assert response.status == 200
        paid = await stream.event("execution", execType="Funding")
        assert paid["feeRate"] == "0.001"
        log = await client.get("/v5/account/transaction-log", "type=SETTLEMENT")
        assert log["result"]["list"][0]["funding"] == f"-{paid['execFee']}"
        async with client.http.post(url, json={"symbol": "BTCUSDT", "rate": "x"}) as response:
            assert response.status == 400


async def test_clock_put_off_then_every_stamp_of_the_public_side_says_so():
    async with running() as client, client.socket(f"{client.venue.public}/linear") as socket:
        await client.fault(kind="clock", offset_s=3_600)
        await client.turned(100_000_000)
        later = time.time_ns() // 1_000_000 + 3_500_000
        names = ("orderbook.50", "publicTrade", "tickers", "priceLimit")
        await socket.send(op="subscribe", args=[f"{name}.BTCUSDT" for name in names])
        for name in names:
            frame = await socket.wait_for(partial(is_of, name))
            assert frame["ts"] > later
            if name == "orderbook.50":
                assert later < frame["cts"] <= frame["ts"]
            if name == "publicTrade":
                assert frame["data"][0]["T"] > later
        for path in ("orderbook", "price-limit", "tickers", "mark-price-kline"):
            query = "category=linear&symbol=BTCUSDT&interval=1"
            answer = await client.control(f"/v5/market/{path}?{query}")
            assert answer["time"] > later
            assert int(answer["result"].get("ts", later + 1)) > later
        (fault,) = (await client.control("/control/faults"))["faults"]
        assert fault["hit"] == fault["armed"] > 4


async def test_maintenance_of_order_entry_alone_then_rest_goes_on():
    async with running() as client, client.trade() as trade:
        await client.fault(kind="maintenance", topic="trade.*", count=2)
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        order |= {"qty": "0.01", "price": "50000"}
        assert (await client.create(side="Buy", price="50000"))["retCode"] == 0
        assert (await trade.order("order.create", "1", **order))["retCode"] == 10019
        batch = {"category": "linear", "request": [order]}
        assert (await trade.order("order.create-batch", "2", **batch))["retCode"] == 10019
        assert (await trade.order("order.create", "3", **order))["retCode"] == 0
