"""A trading day with pybit, unmodified but for its addresses: REST, streams and order entry."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pybit._websocket_trading as trading_module  # type: ignore[import-untyped]
import pybit.unified_trading as pybit  # type: ignore[import-untyped]
import pytest
from pybit.exceptions import InvalidRequestError  # type: ignore[import-untyped]

from tests.integration.clients.venue import (
    KEY,
    SECRET,
    Subscriptions,
    Venue,
    running,
    wait_until,
)

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}


class Day:
    """pybit's clients of one venue and everything they were told."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.http = pybit.HTTP(api_key=KEY, api_secret=SECRET)
        self.http.endpoint = venue.rest
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.sockets: list[Any] = []

    def take(self, message: dict[str, Any]) -> None:
        self.told.setdefault(message.get("topic") or message["op"], []).append(message)

    def rows(self, topic: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            row
            for message in self.told.get(topic, [])
            for row in message["data"]
            if all(row[name] == value for name, value in fields.items())
        ]

    def row(self, topic: str, **fields: Any) -> dict[str, Any]:
        """Wait for a row of a private topic."""
        return dict(wait_until(lambda: self.rows(topic, **fields))[-1])

    def hear(self, topic: str) -> None:
        """Wait for a message of a topic."""
        wait_until(lambda: self.told.get(topic))

    def public(self, category: str = "linear") -> Any:
        socket = pybit.WebSocket(testnet=False, channel_type=category)
        socket.subscriptions = Subscriptions()
        self.sockets.append(socket)
        return socket

    def private(self) -> Any:
        socket = pybit.WebSocket(
            testnet=False, channel_type="private", api_key=KEY, api_secret=SECRET
        )
        socket.subscriptions = Subscriptions()
        self.sockets.append(socket)
        socket.order_stream(self.take)
        socket.execution_stream(self.take)
        socket.fast_execution_stream(self.take)
        socket.position_stream(self.take)
        socket.wallet_stream(self.take)
        return socket

    def trading(self) -> Any:
        socket = pybit.WebSocketTrading(testnet=False, api_key=KEY, api_secret=SECRET)
        self.sockets.append(socket)
        wait_until(lambda: socket.auth)
        return socket

    def best(self, **where: Any) -> tuple[float, float]:
        book = self.http.get_orderbook(**(where or LINEAR), limit=1)["result"]
        return float(book["b"][0][0]), float(book["a"][0][0])

    def position(self) -> dict[str, Any]:
        return dict(self.http.get_positions(**LINEAR)["result"]["list"][0])


@contextmanager
def _day() -> Iterator[Day]:
    addresses = pybit.PUBLIC_WSS, pybit.PRIVATE_WSS, trading_module.TRADE_WSS
    with running() as venue:
        pybit.PUBLIC_WSS = f"{venue.public}/{{CHANNEL_TYPE}}"
        pybit.PRIVATE_WSS = venue.private
        trading_module.TRADE_WSS = venue.trade
        day = Day(venue)
        try:
            yield day
        finally:
            # Their threads look after 10 s whether it is over, and aren't waited for.
            for stream in day.sockets:
                stream.exit()
            day.http.client.close()
            pybit.PUBLIC_WSS, pybit.PRIVATE_WSS, trading_module.TRADE_WSS = addresses


@pytest.fixture
def day() -> Iterator[Day]:
    with _day() as day:
        yield day


def test_reference_data_by_rest_then_reads_as_the_venue_writes_it(day):
    http = day.http
    assert int(http.get_server_time()["result"]["timeSecond"]) > 1_700_000_000
    listed = http.get_instruments_info(category="linear")["result"]["list"]
    assert [row["symbol"] for row in listed] == ["BTCUSDT", "ETHUSDT"]
    assert http.get_instruments_info(category="inverse")["result"]["list"] == []
    assert http.get_tickers(**SPOT)["result"]["list"][0]["symbol"] == "BTCUSDT"
    wait_until(lambda: http.get_public_trade_history(**LINEAR)["result"]["list"])
    assert len(http.get_kline(**LINEAR, interval=1)["result"]["list"][0]) == 7
    assert len(http.get_mark_price_kline(**LINEAR, interval=1)["result"]["list"][0]) == 5
    assert http.get_funding_rate_history(**LINEAR)["result"]["list"]
    assert http.get_open_interest(**LINEAR, intervalTime="5min")["result"]["list"]
    assert http.get_risk_limit(**LINEAR)["result"]["list"][0]["maxLeverage"] == "100.00"
    assert float(http.get_price_limit(**LINEAR)["result"]["buyLmt"]) > day.best()[1]
    assert http.get_fee_rates(**LINEAR)["result"]["list"][0]["takerFeeRate"] == "0.00055"
    assert http.get_api_key_information()["result"]["permissions"]["Wallet"] == []
    assert http.get_account_info()["result"]["marginMode"] == "REGULAR_MARGIN"
    assert http.get_coin_info(coin="BTC")["result"]["rows"][0]["coin"] == "BTC"
    wallet = http.get_wallet_balance(accountType="UNIFIED", coin="USDT")["result"]["list"][0]
    assert wallet["coin"][0]["walletBalance"] == "10000"


def test_limit_order_by_rest_then_rests_is_amended_and_cancelled(day):
    day.private()
    http = day.http
    bid, _ = day.best()
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    price = f"{bid * 0.985:.1f}"
    first = http.place_order(**order, price=price, orderLinkId="day-1")["result"]
    assert day.row("order", orderId=first["orderId"], orderStatus="New")["leavesQty"] == "0.010"
    with pytest.raises(InvalidRequestError, match="110072"):
        http.place_order(**order, price=price, orderLinkId="day-1")
    http.amend_order(**LINEAR, orderLinkId="day-1", qty="0.02")
    day.row("order", orderId=first["orderId"], qty="0.020")
    (row,) = http.get_open_orders(**LINEAR)["result"]["list"]
    assert (row["orderLinkId"], row["qty"]) == ("day-1", "0.020")
    http.cancel_order(**LINEAR, orderId=first["orderId"])
    day.row("order", orderId=first["orderId"], orderStatus="Cancelled")
    with pytest.raises(InvalidRequestError, match="110001"):
        http.cancel_order(**LINEAR, orderId=first["orderId"])
    (old,) = http.get_order_history(**LINEAR)["result"]["list"]
    assert old["cancelType"] == "CancelByUser"
    assert day.row("wallet")["totalInitialMargin"] == "0"


def test_position_with_every_kind_of_stop_then_closed_shows_its_profit(day):
    day.private()
    http = day.http
    http.set_leverage(**LINEAR, buyLeverage="5", sellLeverage="5")
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.03")
    fill = day.row("execution", execType="Trade")
    assert (fill["isMaker"], fill["side"]) == (False, "Buy")
    assert day.row("execution.fast")["orderId"] == fill["orderId"]
    held = day.row("position", side="Buy", size="0.030")
    assert (held["leverage"], float(held["liqPrice"] or 0) < float(held["entryPrice"])) == ("5", 1)
    bid, _ = day.best()
    http.set_trading_stop(**LINEAR, tpslMode="Full", stopLoss=f"{bid * 0.9:.1f}", positionIdx=0)
    http.set_trading_stop(
        **LINEAR,
        tpslMode="Partial",
        takeProfit=f"{bid * 1.05:.1f}",
        stopLoss=f"{bid * 0.95:.1f}",
        tpSize="0.01",
        slSize="0.01",
        positionIdx=0,
    )
    http.set_trading_stop(**LINEAR, trailingStop="900", positionIdx=0)
    kinds = wait_until(
        lambda: {
            row["stopOrderType"]
            for row in http.get_open_orders(**LINEAR)["result"]["list"]
            if row["orderStatus"] == "Untriggered"
        }
    )
    assert kinds == {"StopLoss", "PartialTakeProfit", "PartialStopLoss", "TrailingStop"}
    assert day.position()["trailingStop"] == "900.00"
    http.place_order(**LINEAR, side="Sell", orderType="Market", qty="0.03", reduceOnly=True)
    day.row("position", side="", size="0")
    assert http.get_open_orders(**LINEAR)["result"]["list"] == []
    (closed,) = http.get_closed_pnl(**LINEAR)["result"]["list"]
    account = day.venue.account()
    gain = Decimal(account["wallet"]["USDT"]) - 10_000
    opening_fee = Decimal(fill["execFee"])
    assert Decimal(closed["closedPnl"]) - opening_fee <= 0
    log = http.get_transaction_log(category="linear")["result"]["list"]
    assert sum(Decimal(row["change"]) for row in log) == gain
    assert Decimal(log[0]["cashBalance"]) == gain + 10_000


def test_orders_of_every_type_then_each_ends_as_it_should(day):
    day.private()
    http = day.http
    bid, ask = day.best()
    base = {**LINEAR, "side": "Buy", "qty": "0.01"}
    far, near = f"{bid * 0.985:.1f}", f"{ask * 1.005:.1f}"
    made: dict[str, dict[str, Any]] = {
        "post": {"orderType": "Limit", "price": near, "timeInForce": "PostOnly"},
        "ioc": {"orderType": "Limit", "price": near, "timeInForce": "IOC"},
        "fok": {"orderType": "Limit", "price": far, "timeInForce": "FOK"},
        "stop": {
            "orderType": "Market",
            "triggerPrice": f"{ask * 1.1:.1f}",
            "triggerDirection": 1,
        },
        "slip": {
            "orderType": "Market",
            "slippageToleranceType": "Percent",
            "slippageTolerance": "0.5",
        },
    }
    for name, fields in made.items():
        http.place_order(**base, **fields, orderLinkId=name)
    lost = day.row("order", orderLinkId="post", orderStatus="Cancelled")
    assert lost["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    assert day.row("order", orderLinkId="ioc", orderStatus="Filled")["cumExecQty"] == "0.010"
    unfilled = day.row("order", orderLinkId="fok", orderStatus="Cancelled")
    assert unfilled["rejectReason"] == "EC_CancelForNoFullFill"
    day.row("order", orderLinkId="stop", orderStatus="Untriggered")
    day.row("order", orderLinkId="slip", orderStatus="Filled")
    batch = http.place_batch_order(
        category="linear",
        request=[
            {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": far},
            {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0", "price": far},
        ],
    )
    assert [row["code"] for row in batch["retExtInfo"]["list"]] == [0, 10001]
    day.row("order", orderId=batch["result"]["list"][0]["orderId"], orderStatus="New")
    cancelled = http.cancel_all_orders(**LINEAR)["result"]["list"]
    assert len(cancelled) == 2
    assert http.get_open_orders(**LINEAR)["result"]["list"] == []


def test_spot_bought_by_amount_then_sold_by_what_is_held(day):
    day.private()
    http = day.http
    http.place_order(**SPOT, side="Buy", orderType="Market", qty="500", marketUnit="quoteCoin")
    bought = day.row("order", category="spot", orderStatus="Filled")
    assert bought["qty"] == "500"
    wallet = http.get_wallet_balance(accountType="UNIFIED", coin="BTC")["result"]["list"][0]
    held = Decimal(wallet["coin"][0]["walletBalance"])
    assert held == Decimal(bought["cumExecQty"]) - Decimal(bought["cumFeeDetail"]["BTC"])
    size = f"{held:.6f}" if Decimal(f"{held:.6f}") <= held else f"{held - Decimal('1e-6'):.6f}"
    http.place_order(**SPOT, side="Sell", orderType="Market", qty=size)
    day.row("order", category="spot", side="Sell", orderStatus="Filled")
    with pytest.raises(InvalidRequestError, match="170131"):
        http.place_order(**SPOT, side="Sell", orderType="Market", qty="1")
    assert Decimal(day.venue.account()["wallet"]["BTC"]) < Decimal("0.000001")


def test_order_entry_by_websocket_then_acknowledges_and_the_stream_tells(day):
    day.private()
    trading = day.trading()
    bid, _ = day.best()
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    order["price"] = f"{bid * 0.985:.1f}"
    trading.place_order(day.take, **order, orderLinkId="socket")
    ack = wait_until(lambda: day.told.get("order.create"))[0]
    assert (ack["retCode"], ack["data"]["orderLinkId"]) == (0, "socket")
    day.row("order", orderLinkId="socket", orderStatus="New")
    trading.amend_order(day.take, **LINEAR, orderLinkId="socket", qty="0.02")
    day.row("order", orderLinkId="socket", qty="0.020")
    trading.cancel_order(day.take, **LINEAR, orderLinkId="socket")
    day.row("order", orderLinkId="socket", orderStatus="Cancelled")
    batch = [{key: value for key, value in order.items() if key != "category"}] * 2
    trading.place_batch_order(day.take, category="linear", request=batch)
    answer = wait_until(lambda: day.told.get("order.create-batch"))[0]
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 0]
    refused: list[dict[str, Any]] = []
    trading.place_order(day.take, error_callback=refused.append, **{**order, "qty": "9999"})
    assert wait_until(lambda: refused)[0]["retCode"] in (10001, 110007, 170124)


def test_market_streams_then_follow_the_book_and_come_back_after_a_cut(day):
    public = day.public()
    public.orderbook_stream(50, "BTCUSDT", day.take)
    public.trade_stream("BTCUSDT", day.take)
    public.ticker_stream("BTCUSDT", day.take)
    public.kline_stream(1, "BTCUSDT", day.take)
    topics = ["orderbook.50", "publicTrade", "tickers", "kline.1"]
    for topic in topics:
        day.hear(f"{topic}.BTCUSDT")
    book = wait_until(lambda: day.told["orderbook.50.BTCUSDT"][-1])["data"]
    bids, asks = ([Decimal(level[0]) for level in book[side]] for side in "ba")
    assert len(bids) == len(asks) == 50
    assert max(bids) < min(asks)
    spot = day.public("spot")
    spot.ticker_stream("ETHUSDT", day.take)
    wait_until(lambda: day.told.get("tickers.ETHUSDT"))
    day.venue.fault(kind="cut", category="linear", topic="orderbook.50.BTCUSDT")
    wait_until(lambda: day.venue.control("faults")["faults"][0]["hit"])
    day.told.clear()
    wait_until(lambda: day.told.get("orderbook.50.BTCUSDT"))
    wait_until(lambda: day.told.get("publicTrade.BTCUSDT"))


def test_private_stream_cut_then_pybit_comes_back_and_hears_new_orders(day):
    day.private()
    bid, _ = day.best()
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    order["price"] = f"{bid * 0.985:.1f}"
    day.venue.fault(kind="cut", category="private", topic="order")
    day.http.place_order(**order, orderLinkId="lost")
    wait_until(lambda: day.venue.control("faults")["faults"][0]["hit"])

    def heard_again() -> bool:
        day.http.place_order(**order)
        return bool(day.rows("order", orderStatus="New"))

    wait_until(heard_again, 30)
    links = {row["orderLinkId"] for row in day.http.get_open_orders(**LINEAR)["result"]["list"]}
    assert "lost" in links
