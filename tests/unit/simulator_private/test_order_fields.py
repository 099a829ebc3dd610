"""Best-bid-offer prices, slippage, spot margin, and what happens to a price beyond the limits."""

from random import Random
from typing import Any

import pytest

from tests.unit.simulator_private.house import House
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.private.limits import RequestLimits
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.private.service import Answer, Service
from tickwright.simulator.tickers import price_limits


def refused(house: House, **body: Any) -> int:
    """Return the code an order is refused with."""
    with pytest.raises(VenueRefusal) as caught:
        house.create(**({"side": "Buy", "qty": "0.1"} | body))
    return caught.value.code


def post(house: House, name: str, **body: Any) -> Answer:
    service = Service(house.desk, RequestLimits(), FaultBoard(Random(3)))
    return service.post(house.accounts.keys["key0"], name, body)


def settings(house: House) -> dict[str, Any]:
    service = Service(house.desk, RequestLimits(), FaultBoard(Random(3)))
    key = house.accounts.keys["key0"]
    return dict(service.get(key, "account.user-setting-config", {}).result)


# best bid and offer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "bbo", "level", "price", "filled"),
    [
        ("Buy", "Queue", "1", 5_999_900, 0),
        ("Buy", "Queue", "3", 5_999_700, 0),
        ("Sell", "Queue", "5", 6_000_500, 0),
        ("Buy", "Counterparty", "1", 6_000_100, 100),
        ("Sell", "Counterparty", "2", 5_999_800, 100),
    ],
)
def test_best_price_order_then_takes_the_price_of_its_level(side, bbo, level, price, filled):
    house = House()
    body = {"orderType": "Limit", "bboSideType": bbo, "bboLevel": level}
    order = house.create(side=side, qty="0.1", **body)
    assert (order.price_units, order.filled_units) == (price, filled)


def test_best_price_order_with_a_price_of_its_own_then_ignores_it():
    house = House()
    order = house.create(side="Buy", qty="0.1", price="50000", bboSideType="Queue", bboLevel="1")
    assert order.price_units == 5_999_900


@pytest.mark.parametrize(
    "body",
    [
        {"bboSideType": "Queue"},
        {"bboLevel": "1"},
        {"bboSideType": "Queue", "bboLevel": "6"},
        {"bboSideType": "Queue", "bboLevel": "٣"},
        {"bboSideType": "Middle", "bboLevel": "1"},
        {"bboSideType": "Queue", "bboLevel": "1", "orderType": "Market"},
        {"bboSideType": "Queue", "bboLevel": "1", "category": "spot"},
        {
            "bboSideType": "Queue",
            "bboLevel": "1",
            "triggerPrice": "60005",
            "triggerDirection": 1,
        },
    ],
    ids=range(8),
)
def test_best_price_order_that_makes_no_sense_then_is_10001(body):
    assert refused(House(), **({"orderType": "Limit"} | body)) == 10001


def test_best_price_of_a_level_the_book_does_not_have_then_is_10001():
    house = House()
    bids = [(6_000_000 - 100 * n, 0) for n in range(3, 11)]
    house.linear.book.apply(bids, [], house.venue.now_ns, 1)
    body: dict[str, Any] = {"orderType": "Limit", "bboSideType": "Queue"}
    assert refused(house, bboLevel="3", **body) == 10001
    house.create(side="Buy", qty="0.1", bboLevel="2", **body)


# slippage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "tolerance", "bound"),
    [
        ("TickSize", "1", 6_000_110),
        ("TickSize", "10000", 6_100_100),
        ("Percent", "0.01", 6_000_700),
        ("Percent", "10", 6_600_110),
    ],
)
def test_slippage_then_bounds_the_order_and_is_shown(kind, tolerance, bound):
    house = House()
    body = {"slippageToleranceType": kind, "slippageTolerance": tolerance}
    order = house.create(side="Buy", qty="0.1", **body)
    assert order.price_units == bound
    row = house.rows("order")[-1]
    assert row["slippageToleranceType"] == kind
    assert row["slippageTolerance"] == tolerance


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [
        ("TickSize", "0"),
        ("TickSize", "10001"),
        ("TickSize", "1.5"),
        ("Percent", "0.001"),
        ("Percent", "0.015"),
        ("Percent", "10.01"),
        ("Percent", "NaN"),
        ("Points", "1"),
    ],
)
def test_slippage_out_of_range_then_is_10001(kind, tolerance):
    body = {"slippageToleranceType": kind, "slippageTolerance": tolerance}
    assert refused(House(), **body) == 10001


# spot margin ------------------------------------------------------------------------------------


def test_spot_order_on_margin_then_is_refused_and_without_it_accepted():
    house = House()
    body: dict[str, Any] = {"category": "spot", "price": "59900"}
    assert refused(house, isLeverage=1, **body) == 170344
    assert refused(house, isLeverage=2, **body) == 10001
    house.create(side="Buy", qty="0.1", isLeverage=0, **body)
    house.create(side="Buy", qty="0.01", price="59900", isLeverage=1)


# price limits -----------------------------------------------------------------------------------


def test_contract_price_when_adjusting_is_off_then_is_refused():
    house = House()
    assert (
        post(house, "account.set-limit-px-action", category="linear", modifyEnable=False).code == 0
    )
    assert settings(house)["lpaPerp"] is True
    assert refused(house, side="Sell", price="30000") == 110003
    order = house.create(side="Sell", qty="0.01", price="60010")
    with pytest.raises(VenueRefusal) as caught:
        house.amend(order, price="30000")
    assert caught.value.code == 110003
    assert (
        post(house, "account.set-limit-px-action", category="inverse", modifyEnable=True).code == 0
    )
    assert house.create(side="Sell", qty="0.01", price="30000").price_units == 5_940_000


def test_spot_price_when_adjusting_is_on_then_is_moved():
    house = House()
    assert refused(house, category="spot", price="70000") == 170193
    assert post(house, "account.set-limit-px-action", category="spot", modifyEnable=True).code == 0
    assert settings(house) == {"lpaSpot": True, "lpaPerp": False, "smsef": False, "fmsef": False}
    order = house.create(category="spot", side="Buy", qty="0.1", price="70000")
    assert order.price_units == 6_030_000


@pytest.mark.parametrize(
    "body", [{"category": "moon", "modifyEnable": True}, {"category": "spot"}, {"modifyEnable": 5}]
)
def test_setting_that_makes_no_sense_then_is_10001(body):
    assert post(House(), "account.set-limit-px-action", **body).code == 10001


def test_contract_limits_then_follow_the_premium_of_the_last_thirty_seconds():
    house = House()
    assert price_limits(house.linear) == (6_060_000, 5_940_000)
    house.linear.facts = type(house.linear.facts)(mark_units=5_990_000, index_units=5_990_000)
    house.run(15_000)
    # Fifteen seconds of a mid that is 10,000 above the mark, and a moment of one that is not.
    highest, lowest = price_limits(house.linear)
    assert (highest, lowest) == (6_049_900 + 10_000, 5_930_100)
    house.linear.facts = type(house.linear.facts)(mark_units=6_060_000, index_units=6_050_000)
    house.run(31_000)
    assert price_limits(house.linear) == (6_120_600, 5_999_400 - 60_000)


# cancel all -------------------------------------------------------------------------------------


def test_cancel_all_of_plain_stops_then_the_stops_of_the_position_stay():
    house = House(balances="100000")
    house.create(side="Buy", qty="0.5", takeProfit="61000", stopLoss="59000")
    stop = house.create(side="Buy", qty="0.1", triggerPrice="60500", triggerDirection=1)
    plain = house.create(side="Buy", qty="0.1", price="59500")
    where: dict[str, Any] = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderFilter": "StopOrder",
    }
    assert house.cancel_all(**where, stopOrderType="Stop") == [stop]
    assert (stop.status, plain.status) == ("Deactivated", "New")
    kinds = {order.stop_order_type for order in house.desk.stores[plain.account.uid].live.values()}
    assert kinds == {"", "TakeProfit", "StopLoss"}
    assert len(house.cancel_all(**where)) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"category": "linear", "orderFilter": "StopOrder", "stopOrderType": "TrailingStop"},
        {"category": "linear", "orderFilter": "Order", "stopOrderType": "Stop"},
        {"category": "spot", "orderFilter": "StopOrder", "stopOrderType": "Stop"},
    ],
)
def test_cancel_all_with_a_stop_type_that_makes_no_sense_then_is_10001(body):
    with pytest.raises(VenueRefusal) as caught:
        House().cancel_all(symbol="BTCUSDT", **body)
    assert caught.value.code == 10001
