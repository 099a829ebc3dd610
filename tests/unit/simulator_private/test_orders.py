"""The way of an order in process: answer first, then the book, then the streams; refusals."""

from typing import Any

import pytest

from tests.unit.simulator_private.house import House
from tickwright.core.units import MONEY_ONE
from tickwright.simulator.private.refusals import VenueRefusal


def refused(house: House, **body: Any) -> int:
    with pytest.raises(VenueRefusal) as caught:
        house.accept(**body)
    return caught.value.code


def spot(**body: Any) -> dict[str, Any]:
    return {"category": "spot", **body}


# ways through the book --------------------------------------------------------------------------


def test_accepted_order_before_the_book_saw_it_then_nothing_is_told():
    house = House()
    order = house.accept(side="Buy", qty="0.01", price="59000")
    assert (order.status, house.published) == ("Created", [])
    house.run()
    assert order.status == "New"
    assert [row["orderStatus"] for row in house.rows("order")] == ["New"]


def test_market_order_then_fills_level_by_level_one_execution_each():
    house = House()
    house.create(side="Buy", qty="1.5")
    rows = house.rows("execution")
    assert [(row["execPrice"], row["execQty"]) for row in rows] == [
        ("60001.00", "1.000"),
        ("60002.00", "0.500"),
    ]
    assert house.rows("order")[-1]["orderStatus"] == "Filled"
    assert house.rows("order")[-1]["avgPrice"] == "60001.33333333"


def test_post_only_that_would_take_then_is_acknowledged_and_cancelled_with_its_reason():
    house = House()
    order = house.create(side="Buy", qty="0.01", price="60001", timeInForce="PostOnly")
    row = house.rows("order")[-1]
    assert (row["orderStatus"], row["rejectReason"]) == (
        "Cancelled",
        "EC_PostOnlyWillTakeLiquidity",
    )
    assert order.filled_units == 0


def test_resting_order_when_the_market_trades_through_then_fills_as_maker():
    house = House()
    house.create(side="Buy", qty="0.01", price="59999.5")
    house.trade("Sell", 5_999_900, 1_000)
    row = house.rows("execution")[-1]
    assert (row["isMaker"], row["execPrice"], row["feeRate"]) == (True, "59999.50", "0.0002")


def test_two_accounts_that_meet_then_both_see_their_side_of_one_match():
    house = House()
    house.create(0, side="Buy", qty="0.2", price="59999.5")
    house.create(1, side="Sell", qty="0.2", price="59999.5")
    maker, taker = house.rows("execution", 0)[-1], house.rows("execution", 1)[-1]
    assert (maker["side"], maker["isMaker"]) == ("Buy", True)
    assert (taker["side"], taker["isMaker"]) == ("Sell", False)
    assert maker["execId"] != taker["execId"]
    assert house.linear.tape[-1].price_units == 5_999_950
    assert house.ledger.faults() + house.desk.faults() == []


def test_position_then_is_told_with_every_order_and_is_empty_sided_when_flat():
    house = House()
    house.create(side="Buy", qty="0.01", price="59000")
    row = house.rows("position")[-1]
    assert (row["side"], row["size"], row["entryPrice"]) == ("", "0", "0")


def test_amend_to_a_new_price_then_the_order_moves():
    house = House()
    order = house.create(side="Buy", qty="0.01", price="59000")
    house.amend(order, price="59500", qty="0.02")
    row = house.rows("order")[-1]
    assert (row["price"], row["qty"], row["orderStatus"]) == ("59500.00", "0.020", "New")


def test_cancel_then_the_order_says_who_asked():
    house = House()
    order = house.create(side="Buy", qty="0.01", price="59000")
    house.cancel(order)
    row = house.rows("order")[-1]
    assert (row["orderStatus"], row["cancelType"]) == ("Cancelled", "CancelByUser")
    assert house.rows("wallet")[-1]["totalInitialMargin"] == "0"


def test_cancel_that_loses_against_a_fill_then_filled_is_told_twice():
    house = House(latency_ns=5_000_000)
    order = house.accept(side="Buy", qty="0.01", price="59999.5")
    house.run(6)
    house.desk.cancel(order.account, _cancel_of(order))
    house.trade("Sell", 5_999_900, 1_000)
    house.run(6)
    rows = house.rows("order")
    assert [row["orderStatus"] for row in rows] == ["New", "Filled", "Filled"]
    assert (rows[-1]["cancelType"], rows[-1]["rejectReason"]) == (
        "CancelByUser",
        "EC_OrigClOrdIDDoesNotExist",
    )


def _cancel_of(order: Any) -> Any:
    from tickwright.simulator.private.requests import CancelRequest

    return CancelRequest(category="linear", symbol="BTCUSDT", order_id=order.order_id)


def test_partly_filled_order_that_is_cancelled_then_keeps_its_fill():
    house = House()
    order = house.create(side="Buy", qty="1.5", price="60001")
    house.cancel(order)
    row = house.rows("order")[-1]
    assert (row["orderStatus"], row["cumExecQty"], row["leavesQty"]) == ("Cancelled", "1.000", "0")


def test_reduce_only_order_then_closes_no_more_than_the_position():
    house = House()
    house.create(side="Buy", qty="0.02")
    house.create(side="Sell", qty="0.5", reduceOnly=True)
    assert house.rows("position")[-1]["side"] == ""
    assert house.rows("execution")[-1]["closedSize"] == "0.020"


def test_quantity_zero_with_close_on_trigger_then_closes_everything():
    house = House()
    house.create(side="Sell", qty="0.02")
    house.create(side="Buy", qty="0", reduceOnly=True, closeOnTrigger=True)
    assert house.rows("position")[-1]["size"] == "0"


# stops and conditions ---------------------------------------------------------------------------


def test_attached_stop_loss_when_the_last_price_reaches_it_then_closes_the_position():
    house = House()
    house.create(side="Buy", qty="0.5", takeProfit="60500", stopLoss="59900", tpslMode="Full")
    armed = [row for row in house.rows("order") if row["orderStatus"] == "Untriggered"]
    assert {(row["stopOrderType"], row["triggerPrice"]) for row in armed} == {
        ("TakeProfit", "60500.00"),
        ("StopLoss", "59900.00"),
    }
    assert house.rows("position")[-1]["stopLoss"] == "59900.00"
    house.trade("Sell", 5_990_000, 1)
    last = {row["orderId"]: row for row in house.rows("order")}
    ends = {row["stopOrderType"]: row["orderStatus"] for row in last.values()}
    assert ends == {"": "Filled", "StopLoss": "Filled", "TakeProfit": "Deactivated"}
    position = house.rows("position")[-1]
    assert (position["size"], position["takeProfit"], position["stopLoss"]) == ("0", "0", "0")
    assert house.ledger.faults() + house.desk.faults() == []


def test_conditional_order_when_triggered_then_passes_through_triggered():
    house = House()
    house.create(side="Buy", qty="0.01", triggerPrice="60100", triggerDirection=1)
    house.trade("Buy", 6_010_000, 1)
    assert [row["orderStatus"] for row in house.rows("order")] == [
        "Untriggered",
        "Triggered",
        "Filled",
    ]


def test_conditional_order_that_is_cancelled_then_is_deactivated():
    house = House()
    order = house.create(side="Buy", qty="0.01", triggerPrice="60100", triggerDirection=1)
    house.cancel(order)
    assert order.status == "Deactivated"


def test_triggered_order_without_margin_then_is_rejected():
    house = House(balances="100")
    order = house.create(side="Buy", qty="0.5", triggerPrice="60100", triggerDirection=1)
    house.trade("Buy", 6_010_000, 1)
    assert order.status == "Rejected"


def test_cancel_all_with_the_order_filter_then_protective_stops_stay():
    house = House()
    house.create(side="Buy", qty="0.5", stopLoss="59900")
    plain = house.create(side="Buy", qty="0.01", price="59000")
    chosen = house.cancel_all(category="linear", symbol="BTCUSDT", orderFilter="Order")
    assert chosen == [plain]
    assert house.rows("position")[-1]["stopLoss"] == "59900.00"
    assert len(house.cancel_all(category="linear", settleCoin="USDT")) == 1
    assert house.rows("position")[-1]["stopLoss"] == "0"


# spot -------------------------------------------------------------------------------------------


def test_spot_market_buy_then_its_quantity_is_money():
    house = House()
    order = house.create(**spot(side="Buy", qty="600.01"))
    row = house.rows("order")[-1]
    assert (order.status, row["qty"], row["cumExecQty"]) == ("Filled", "600.01", "0.01")
    assert row["cumFeeDetail"] == {"BTC": "0.00001"}
    assert house.balance("BTC") == 9_990_000_000_000_000


def test_spot_sell_then_needs_the_coin_and_pays_its_fee_in_quote():
    house = House()
    assert refused(house, **spot(side="Sell", qty="0.01")) == 170131
    house.create(**spot(side="Buy", qty="0.01", marketUnit="baseCoin"))
    house.create(**spot(side="Sell", qty="0.009"))
    assert house.rows("execution")[-1]["feeCurrency"] == "USDT"
    assert house.ledger.faults() == []


def test_spot_limit_order_then_locks_what_it_would_pay():
    house = House(balances="1000")
    house.create(**spot(side="Buy", qty="0.01", price="59900"))
    assert house.rows("wallet")[-1]["coin"][0]["locked"] == "599"
    assert refused(house, **spot(side="Buy", qty="0.01", price="59900")) == 170131


def test_spot_order_filled_in_part_and_cancelled_then_says_so_in_its_own_word():
    house = House(balances="1000000")
    order = house.create(**spot(side="Buy", qty="1.5", price="60001"))
    house.cancel(order)
    assert order.status == "PartiallyFilledCanceled"


# refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"side": "Up", "qty": "1"}, 10001),
        ({"side": "Buy", "qty": "0.0005", "price": "59000"}, 10001),
        ({"side": "Buy", "qty": "0.01", "price": "59000.05"}, 10001),
        ({"side": "Buy", "qty": "1e-2", "price": "59000"}, 10001),
        ({"side": "Buy", "qty": "-1", "price": "59000"}, 10001),
        ({"side": "Buy", "qty": "9" * 30, "price": "59000"}, 10001),
        ({"side": "Buy", "qty": "0.01", "price": "59000", "timeInForce": "GTD"}, 10001),
        ({"side": "Buy", "qty": "0.01", "price": "59000", "orderLinkId": "a b"}, 10001),
        ({"side": "Buy", "qty": "0.01", "price": "59000", "orderLinkId": "x" * 37}, 10001),
        ({"side": "Buy", "qty": "0.01", "price": "59000", "positionIdx": 1}, 10001),
        ({"side": "Buy", "qty": "0.01", "symbol": "NOPEUSDT"}, 10001),
        ({"side": "Buy", "qty": "0.01", "category": "moon"}, 10001),
        ({"side": "Buy", "qty": "0.01", "stopLoss": "61000"}, 10001),
        ({"side": "Buy", "qty": "0.01", "takeProfit": "59000"}, 10001),
        ({"side": "Buy", "qty": "0.01", "reduceOnly": True}, 110017),
        ({"side": "Buy", "qty": "5", "price": "59000"}, 110007),
        ({"side": "Buy", "qty": "1", "triggerPrice": "59000", "triggerDirection": 1}, 110092),
        ({"side": "Buy", "qty": "1", "triggerPrice": "61000", "triggerDirection": 2}, 110093),
        ({"side": "Buy", "qty": "0.0000005", "price": "59000", "category": "spot"}, 170137),
        ({"side": "Buy", "qty": "0.01", "price": "59000.001", "category": "spot"}, 170134),
        ({"side": "Buy", "qty": "0.00001", "price": "59900", "category": "spot"}, 170140),
        ({"side": "Buy", "qty": "0.01", "price": "63000", "category": "spot"}, 170193),
        (
            {"side": "Buy", "qty": "0.01", "price": "59000", "category": "spot", "symbol": "X"},
            170121,
        ),
        ({"side": "Buy", "qty": "100000", "category": "spot"}, 170131),
    ],
)
def test_order_that_breaks_a_rule_then_is_refused_with_the_venues_code(body, code):
    house = House()
    assert refused(house, **body) == code
    assert list(house.desk.stores[house.users[0].uid].live) == []


def test_order_below_the_minimum_notional_then_110094():
    house = House()
    house.linear.instrument.notional_min *= 1000
    assert refused(house, side="Buy", qty="0.01", price="59000") == 110094


def test_link_id_used_before_then_is_duplicate_even_after_the_order_ended():
    house = House()
    order = house.create(side="Buy", qty="0.01", price="59000", orderLinkId="one")
    house.cancel(order)
    assert refused(house, side="Buy", qty="0.01", price="59000", orderLinkId="one") == 110072
    body = spot(side="Buy", qty="0.01", price="59900", orderLinkId="one")
    assert refused(house, **body) == 170141


def test_cancel_of_an_ended_order_then_110001_and_on_spot_its_own_codes():
    house = House()
    order = house.create(side="Buy", qty="0.01")
    with pytest.raises(VenueRefusal) as caught:
        house.cancel(order)
    assert caught.value.code == 110001
    filled = house.create(**spot(side="Buy", qty="0.01", marketUnit="baseCoin"))
    with pytest.raises(VenueRefusal) as caught:
        house.cancel(filled)
    assert caught.value.code == 170139


def test_contract_price_beyond_the_limit_then_is_moved_silently():
    house = House()
    order = house.create(side="Sell", qty="0.01", price="30000")
    assert order.price_units == 5_940_000


def test_margin_of_orders_against_a_position_then_closing_needs_none():
    house = House(balances="650")
    house.create(side="Buy", qty="0.1")
    assert refused(house, side="Buy", qty="0.1", price="59000") == 110007
    order = house.create(side="Sell", qty="0.1", price="60500")
    assert order.status == "New"


# hedge mode and funding -------------------------------------------------------------------------


def test_hedge_mode_then_both_legs_live_side_by_side():
    from tickwright.simulator.private.positions import PositionSettings
    from tickwright.simulator.private.requests import ModeRequest

    house = House()
    settings = PositionSettings(house.desk)
    settings.switch_mode(house.users[0], ModeRequest(category="linear", symbol="BTCUSDT", mode=3))
    house.create(side="Buy", qty="0.02", positionIdx=1)
    house.create(side="Sell", qty="0.01", positionIdx=2)
    rows = {row["positionIdx"]: (row["side"], row["size"]) for row in house.rows("position")}
    assert rows == {1: ("Buy", "0.020"), 2: ("Sell", "0.010")}
    house.create(side="Sell", qty="0.5", positionIdx=1)
    assert house.rows("position")[-1]["side"] == ""
    assert refused(house, side="Sell", qty="0.5", positionIdx=1) == 110017
    assert refused(house, side="Buy", qty="0.01") == 10001
    assert house.ledger.faults() + house.desk.faults() == []


def test_funding_time_then_longs_pay_the_rate_at_the_mark():
    house = House()
    house.create(side="Buy", qty="0.1")
    before = house.balance()
    house.run(8 * 3_600_000)
    row = house.rows("execution")[-1]
    assert (row["execType"], row["feeRate"]) == ("Funding", "0.0001")
    assert before - house.balance() == 6 * MONEY_ONE // 10
    assert house.ledger.faults() == []
