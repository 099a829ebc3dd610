"""Whole lives of orders over real sockets: REST and order entry in, the private stream out."""

from decimal import Decimal

from tests.integration.simulator_private.client import running

TOPICS = ("order", "execution", "position", "wallet")


async def test_order_by_rest_then_lives_on_the_stream_and_in_the_queries():
    async with running() as client, client.stream(*TOPICS) as stream:
        bid, _ = await client.best()
        price = f"{bid - 100:.2f}"
        created = await client.create(side="Buy", price=price, orderLinkId="life-1")
        assert created["retCode"] == 0
        order_id = created["result"]["orderId"]
        assert created["result"]["orderLinkId"] == "life-1"
        row = await stream.event("order", orderId=order_id, orderStatus="New")
        assert (row["price"], row["leavesQty"], row["category"]) == (price, "0.010", "linear")
        await stream.event("position", symbol="BTCUSDT", side="")
        await stream.event("wallet", accountType="UNIFIED")
        found = await client.get("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
        assert [o["orderId"] for o in found["result"]["list"]] == [order_id]
        lower = f"{bid - 200:.2f}"
        await client.post(
            "/v5/order/amend",
            category="linear",
            symbol="BTCUSDT",
            orderLinkId="life-1",
            price=lower,
            qty="0.02",
        )
        amended = await stream.event("order", orderId=order_id, price=lower)
        assert (amended["orderStatus"], amended["qty"]) == ("New", "0.020")
        body = {"category": "linear", "symbol": "BTCUSDT", "orderId": order_id}
        assert (await client.post("/v5/order/cancel", **body))["retCode"] == 0
        ended = await stream.event("order", orderId=order_id, orderStatus="Cancelled")
        assert ended["cancelType"] == "CancelByUser"
        assert (await client.post("/v5/order/cancel", **body))["retCode"] == 110001
        history = await client.get("/v5/order/history", "category=linear&symbol=BTCUSDT")
        assert [o["orderStatus"] for o in history["result"]["list"]] == ["Cancelled"]


async def test_market_order_by_the_trade_socket_then_fills_and_moves_money_once():
    async with running() as client, client.stream(*TOPICS) as stream, client.trade() as trade:
        answer = await trade.order(
            "order.create",
            "req-1",
            category="linear",
            symbol="BTCUSDT",
            side="Buy",
            orderType="Market",
            qty="0.01",
        )
        assert (answer["reqId"], answer["retCode"], answer["retMsg"]) == ("req-1", 0, "OK")
        assert answer["header"]["X-Bapi-Limit-Status"] == "9"
        order_id = answer["data"]["orderId"]
        execution = await stream.event("execution", orderId=order_id)
        assert (execution["isMaker"], execution["feeRate"]) == (False, "0.00055")
        fee = Decimal(execution["execFee"])
        assert fee == Decimal(execution["execValue"]) * Decimal("0.00055")
        await stream.event("order", orderId=order_id, orderStatus="Filled")
        position = await stream.event("position", side="Buy", size="0.010")
        assert Decimal(position["entryPrice"]) == Decimal(execution["execPrice"])
        positions = await client.get("/v5/position/list", "category=linear&settleCoin=USDT")
        assert positions["result"]["list"][0]["avgPrice"] == position["entryPrice"]
        wallet = await client.get("/v5/account/wallet-balance", "accountType=UNIFIED&coin=USDT")
        coin = wallet["result"]["list"][0]["coin"][0]
        assert Decimal(coin["walletBalance"]) == Decimal(10_000) - fee
        listed = await client.get("/v5/execution/list", "category=linear")
        assert [e["execId"] for e in listed["result"]["list"]] == [execution["execId"]]
        ledger = await client.control("/control/ledger")
        assert (ledger["balanced"], ledger["faults"]) == (True, [])


async def test_post_only_that_would_take_then_ack_is_zero_and_the_stream_says_cancelled():
    async with running() as client, client.stream("order") as stream, client.trade() as trade:
        _, ask = await client.best()
        answer = await trade.order(
            "order.create",
            category="linear",
            symbol="BTCUSDT",
            side="Buy",
            orderType="Limit",
            qty="0.01",
            price=f"{ask + 50:.2f}",
            timeInForce="PostOnly",
        )
        assert (answer["retCode"], "reqId" in answer) == (0, False)
        row = await stream.event("order", orderId=answer["data"]["orderId"])
        assert (row["orderStatus"], row["rejectReason"], row["cumExecQty"]) == (
            "Cancelled",
            "EC_PostOnlyWillTakeLiquidity",
            "0",
        )


async def test_amend_and_cancel_by_the_trade_socket_then_match_by_request_id():
    async with (
        running() as client,
        client.stream("order.linear") as stream,
        client.trade() as trade,
    ):
        bid, _ = await client.best()
        order = {"category": "linear", "symbol": "BTCUSDT"}
        await trade.order(
            "order.create",
            "a",
            **order,
            side="Buy",
            orderType="Limit",
            qty="0.01",
            price=f"{bid - 100:.2f}",
            orderLinkId="mine",
        )
        amended = await trade.order("order.amend", "b", **order, orderLinkId="mine", qty="0.03")
        cancelled = await trade.order("order.cancel", "c", **order, orderLinkId="mine")
        assert [(a["reqId"], a["retCode"]) for a in (amended, cancelled)] == [("b", 0), ("c", 0)]
        row = await stream.event("order.linear", orderStatus="Cancelled")
        assert (row["qty"], row["orderLinkId"]) == ("0.030", "mine")


async def test_trade_socket_when_a_request_is_wrong_then_each_fault_has_its_code():
    async with running() as client, client.trade() as trade:
        good = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
        good |= {"qty": "0.01", "price": "50000"}
        assert (await trade.order("order.create", "1", **good))["retCode"] == 0
        assert (await trade.order("order.create", "1", **good))["retCode"] == 20006
        assert (await trade.order("order.move", "2", **good))["retCode"] == 10404
        assert (await trade.order("order.create", "3", **(good | {"category": "x"})))[
            "retCode"
        ] == 10404
        error = await trade.order("order.create", "4", **(good | {"qty": "900"}))
        assert (error["retCode"], error["data"]) == (110007, {})
        header = {"X-BAPI-TIMESTAMP": "1"}
        late = await trade.ask(reqId="5", header=header, op="order.create", args=[good])
        assert (late["retCode"], late["reqId"]) == (10002, "5")
        none = await trade.ask(reqId="6", op="order.create", args=[good])
        assert none["retCode"] == 10001
        await trade.raw.send_str("{")
        broken = await trade.wait_for(lambda frame: True)
        assert broken["retCode"] == 10001


async def test_stop_loss_when_the_price_falls_on_it_then_closes_the_position():
    async with running() as client, client.stream("order", "position") as stream:
        await client.create(side="Buy", orderType="Market", qty="0.1")
        await stream.event("position", side="Buy", size="0.100")
        # So near under the market that its next moves reach it.
        while True:
            last = (await client.control("/v5/market/tickers?category=linear&symbol=BTCUSDT"))[
                "result"
            ]["list"][0]["lastPrice"]
            answer = await client.post(
                "/v5/position/trading-stop",
                category="linear",
                symbol="BTCUSDT",
                tpslMode="Full",
                positionIdx=0,
                stopLoss=f"{float(last) - 0.1:.2f}",
            )
            if answer["retCode"] == 0:
                break
        armed = await stream.event("order", stopOrderType="StopLoss", orderStatus="Untriggered")
        assert (armed["reduceOnly"], armed["closeOnTrigger"]) == (True, True)
        while True:
            row = await stream.event("position")
            if row["side"] == "":
                break
        filled = await stream.event("order", orderId=armed["orderId"], orderStatus="Filled")
        assert filled["createType"] == "CreateByStopLoss"


async def test_batch_with_one_bad_order_then_outer_code_is_zero_and_each_has_its_verdict():
    async with running() as client:
        order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
        answer = await client.post(
            "/v5/order/create-batch",
            category="linear",
            request=[
                order | {"price": "50000", "orderLinkId": "b-1"},
                order | {"price": "50000", "orderLinkId": "b-1"},
                order | {"price": "oops", "orderLinkId": "b-2"},
            ],
        )
        assert answer["retCode"] == 0
        assert [v["code"] for v in answer["retExtInfo"]["list"]] == [0, 110072, 10001]
        rows = answer["result"]["list"]
        assert [bool(row["orderId"]) for row in rows] == [True, False, False]
        cancelled = await client.post("/v5/order/cancel-all", category="linear", settleCoin="USDT")
        assert cancelled["result"]["success"] == "1"
        assert [row["orderLinkId"] for row in cancelled["result"]["list"]] == ["b-1"]


async def test_spot_order_then_needs_no_position_and_buys_by_quote():
    async with running() as client, client.stream("execution.spot", "wallet") as stream:
        answer = await client.create(
            category="spot", side="Buy", orderType="Market", qty="500", orderFilter="Order"
        )
        assert answer["retCode"] == 0
        row = await stream.event("execution.spot", orderId=answer["result"]["orderId"])
        assert row["feeCurrency"] == "BTC"
        wallet = await stream.event("wallet")
        assert {coin["coin"] for coin in wallet["coin"]} == {"BTC", "USDT"}


async def test_leverage_when_set_twice_then_the_second_is_not_modified():
    async with running() as client:
        body = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "5", "sellLeverage": "5"}
        path = "/v5/position/set-leverage"
        assert (await client.post(path, **body))["result"] == {}
        assert (await client.post(path, **body))["retCode"] == 110043
        listed = await client.get("/v5/position/list", "category=linear&symbol=BTCUSDT")
        assert listed["result"]["list"][0]["leverage"] == "5"
        wrong = body | {"buyLeverage": "1000", "sellLeverage": "1000"}
        assert (await client.post(path, **wrong))["retCode"] == 110013


async def test_lists_when_longer_than_a_page_then_the_cursor_goes_on():
    async with running(rate_scale=10.0) as client:
        for number in range(5):
            await client.create(side="Buy", price="50000", orderLinkId=f"p-{number}")
        await client.turned()
        seen: list[str] = []
        query = "category=linear&symbol=BTCUSDT&limit=2"
        page = query
        while True:
            answer = (await client.get("/v5/order/realtime", page))["result"]
            seen += [row["orderLinkId"] for row in answer["list"]]
            if not answer["nextPageCursor"]:
                break
            page = f"{query}&cursor={answer['nextPageCursor']}"
        assert seen == ["p-4", "p-3", "p-2", "p-1", "p-0"]
