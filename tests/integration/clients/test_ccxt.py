"""A trading day with ccxt, unmodified but for its addresses: REST and pro."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt  # type: ignore[import-untyped]
import ccxt.pro  # type: ignore[import-untyped]
import pytest

from tests.integration.clients.venue import KEY, SECRET, Venue, running

PERPETUAL, SPOT = "BTC/USDT:USDT", "BTC/USDT"
WAIT_S = 30.0


def point_to(exchange: Any, venue: Venue) -> None:
    """Give an exchange object a venue's addresses; nothing else of it changes."""
    sockets = exchange.urls["api"].get("ws")
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], venue.rest)
    if sockets is not None:
        categories = ("spot", "linear", "inverse", "option")
        exchange.urls["api"]["ws"] = {
            "public": {category: f"{venue.public}/{category}" for category in categories},
            "private": {
                "spot": {"unified": venue.private},
                "contract": venue.private,
                "usdc": venue.private,
                "trade": venue.trade,
            },
        }


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Any, Venue]]:
    with running() as venue:
        exchange = ccxt.pro.bybit({"apiKey": KEY, "secret": SECRET})
        point_to(exchange, venue)
        try:
            await exchange.load_markets()
            yield exchange, venue
        finally:
            await exchange.close()


async def first(coroutine: Any) -> Any:
    async with asyncio.timeout(WAIT_S):
        return await coroutine


async def watch_on(exchange: Any) -> None:
    """Watch a book until something goes wrong."""
    async with asyncio.timeout(WAIT_S):
        while True:
            await exchange.watch_order_book(PERPETUAL)


async def until(ask: Any, reached: Any) -> Any:
    """Ask again and again until the answer is what was waited for."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await ask()
            if reached(answer):
                return answer


async def test_markets_and_reference_data_then_parse_for_every_product():
    async with connected() as (exchange, _):
        assert sorted(exchange.markets) == ["BTC/USDT", PERPETUAL, "ETH/USDT", "ETH/USDT:USDT"]
        assert exchange.markets[PERPETUAL]["precision"] == {"amount": 0.001, "price": 0.1}
        assert exchange.currencies["BTC"]["code"] == "BTC"
        assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 1_000
        assert (await exchange.fetch_status())["status"] == "ok"
        ticker = await exchange.fetch_ticker(PERPETUAL)
        assert ticker["bid"] < ticker["ask"]
        assert set(await exchange.fetch_tickers([SPOT])) == {SPOT}
        assert (await exchange.fetch_trading_fee(PERPETUAL))["taker"] == 0.00055
        assert PERPETUAL in await exchange.fetch_trading_fees({"category": "linear"})
        assert (await exchange.fetch_funding_rate(PERPETUAL))["fundingRate"] == 0.0001
        assert await exchange.fetch_funding_rate_history(PERPETUAL)
        assert (await exchange.fetch_open_interest(PERPETUAL))["openInterestAmount"] > 1_000
        tiers = await exchange.fetch_market_leverage_tiers(PERPETUAL)
        assert [tier["maxLeverage"] for tier in tiers] == [100, 50, 20, 10]
        await until(lambda: exchange.fetch_trades(PERPETUAL), bool)
        assert len((await exchange.fetch_ohlcv(PERPETUAL))[0]) == 6
        assert (await exchange.fetch_balance())["USDT"]["total"] == 10_000
        assert await exchange.fetch_positions() == []


async def test_orders_by_rest_then_open_edit_cancel_and_fill():
    async with connected() as (exchange, _):
        bid, ask = (await exchange.fetch_order_book(PERPETUAL, 1))["bids"][0][0], 0.0
        ask = (await exchange.fetch_order_book(PERPETUAL, 1))["asks"][0][0]
        await exchange.set_leverage(5, PERPETUAL)
        far = exchange.price_to_precision(PERPETUAL, bid * 0.985)
        order = await exchange.create_order(PERPETUAL, "limit", "buy", 0.01, far)
        found = await until(lambda: exchange.fetch_open_orders(PERPETUAL), bool)
        assert [row["id"] for row in found] == [order["id"]]
        await exchange.edit_order(order["id"], PERPETUAL, "limit", "buy", 0.02, far)
        await exchange.cancel_order(order["id"], PERPETUAL)
        ended = await until(
            lambda: exchange.fetch_canceled_orders(PERPETUAL), lambda rows: len(rows) == 1
        )
        assert ended[0]["amount"] == 0.02
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order(order["id"], PERPETUAL)
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order(PERPETUAL, "limit", "buy", 100, far)
        await exchange.create_order(PERPETUAL, "market", "buy", 0.02)
        (position,) = await until(
            lambda: exchange.fetch_positions([PERPETUAL]), lambda rows: rows[0]["contracts"]
        )
        assert (position["contracts"], position["side"], position["leverage"]) == (0.02, "long", 5)
        stops = {"stopLossPrice": exchange.price_to_precision(PERPETUAL, bid * 0.9)}
        await exchange.create_order(PERPETUAL, "market", "sell", 0.01, None, stops)
        await exchange.create_order(
            PERPETUAL, "market", "sell", 0.01, None, {"trailingAmount": "500"}
        )
        batch = {"symbol": PERPETUAL, "type": "limit", "side": "buy", "amount": 0.01, "price": far}
        assert len(await exchange.create_orders([batch, batch])) == 2
        assert len(await exchange.cancel_all_orders(PERPETUAL)) == 4
        await exchange.create_order(
            PERPETUAL, "limit", "sell", 0.02, float(ask) * 0.995, {"reduceOnly": True}
        )
        # Asked by symbol, the venue shows flat positions too.
        await until(
            lambda: exchange.fetch_positions([PERPETUAL]), lambda rows: not rows[0]["contracts"]
        )
        trades = await exchange.fetch_my_trades(PERPETUAL)
        assert sum(t["amount"] * (1 if t["side"] == "buy" else -1) for t in trades) == 0
        history = await exchange.fetch_positions_history([PERPETUAL])
        assert len(history) == 1
        entries = await exchange.fetch_ledger()
        assert [entries[0]["direction"], entries[-1]["direction"]] == ["in", "out"]


async def test_spot_by_rest_then_amount_size_and_holdings_agree():
    async with connected() as (exchange, venue):
        await exchange.create_market_buy_order_with_cost(SPOT, 300)
        await until(exchange.fetch_balance, lambda b: b.get("BTC", {}).get("total"))
        await exchange.create_order(SPOT, "market", "sell", 0.002)
        trades = await until(
            lambda: exchange.fetch_my_trades(SPOT),
            lambda rows: {row["side"] for row in rows} == {"buy", "sell"},
        )
        assert {trade["fee"]["currency"] for trade in trades} == {"BTC", "USDT"}
        ledger = venue.account()["wallet"]
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["total"] == pytest.approx(float(ledger["USDT"]))


async def test_market_by_pro_then_books_trades_and_tickers_flow():
    async with connected() as (exchange, venue):
        book = await first(exchange.watch_order_book(PERPETUAL))
        assert book["bids"][0][0] < book["asks"][0][0]
        spot = await first(exchange.watch_order_book(SPOT, 50))
        assert spot["bids"][0][0] < spot["asks"][0][0]
        assert (await first(exchange.watch_trades(PERPETUAL)))[0]["symbol"] == PERPETUAL
        assert (await first(exchange.watch_ticker(SPOT)))["symbol"] == SPOT
        assert PERPETUAL in await first(exchange.watch_bids_asks([PERPETUAL]))
        assert await first(exchange.watch_ohlcv(PERPETUAL))
        # A cut breaks the wait; the next call dials again and starts from a snapshot.
        venue.fault(kind="cut", category="linear", topic="orderbook.50.BTCUSDT")
        with pytest.raises(ccxt.NetworkError):
            await watch_on(exchange)
        again = await first(exchange.watch_order_book(PERPETUAL))
        assert again["bids"][0][0] < again["asks"][0][0]


async def test_account_by_pro_then_orders_by_websocket_are_told():
    async with connected() as (exchange, _):
        bid = (await exchange.fetch_order_book(PERPETUAL, 1))["bids"][0][0]
        watching = [
            asyncio.create_task(first(call))
            for call in (
                exchange.watch_my_trades(PERPETUAL),
                exchange.watch_balance(),
                exchange.watch_positions([PERPETUAL]),
            )
        ]
        orders = asyncio.create_task(first(exchange.watch_orders(PERPETUAL)))
        # The subscriptions are under way in their own time: trade until all have heard of it.
        waiting = {*watching, orders}
        while waiting:
            await first(exchange.create_order_ws(PERPETUAL, "market", "buy", 0.01))
            _, waiting = await asyncio.wait(waiting, timeout=0.5)
        trades, balance, positions = [task.result() for task in watching]
        assert orders.result()[-1]["status"] in ("open", "closed")
        assert trades[-1]["amount"] == 0.01
        assert balance["USDT"]["total"] < 10_000
        assert positions[-1]["contracts"] > 0
        far = exchange.price_to_precision(PERPETUAL, bid * 0.985)
        made = await first(exchange.create_order_ws(PERPETUAL, "limit", "buy", 0.01, far))
        await first(exchange.edit_order_ws(made["id"], PERPETUAL, "limit", "buy", 0.02, far))
        await first(exchange.cancel_order_ws(made["id"], PERPETUAL))
        rows = await until(lambda: exchange.fetch_canceled_orders(PERPETUAL), bool)
        assert rows[0]["amount"] == 0.02
