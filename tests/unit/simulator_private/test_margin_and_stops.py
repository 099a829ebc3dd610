"""Liquidation, trailing and partial stops, disconnection protection, sub-accounts, the log."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.unit.simulator_private.house import MS, House
from tickwright.core.errors import ConfigError
from tickwright.core.units import MONEY_ONE
from tickwright.simulator.faults import FaultBoard, FaultKind, FaultSpec
from tickwright.simulator.private.accounts import (
    Accounts,
    AccountSpec,
    KeySpec,
    Right,
    parse_account,
)
from tickwright.simulator.private.ledger import Ledger
from tickwright.simulator.private.limits import RequestLimits
from tickwright.simulator.private.margin import maintenance_of, standing
from tickwright.simulator.private.requests import LeverageRequest, TradingStopRequest, read_request
from tickwright.simulator.private.service import Answer, Service
from tickwright.simulator.sources.operations import MarketFacts

WHERE = {"category": "linear", "symbol": "BTCUSDT"}


def service_of(house: House) -> Service:
    return Service(house.desk, RequestLimits(), FaultBoard(Random(3)))


def mark(house: House, price: int) -> None:
    """Pin the mark and let the venue look at it."""
    house.linear.facts = MarketFacts(mark_units=price * 100)
    house.linear.book.changed(house.venue.now_ns, 1)
    house.run()


def lever(house: House, leverage: str) -> None:
    service = service_of(house)
    body = {**WHERE, "buyLeverage": leverage, "sellLeverage": leverage}
    key = house.accounts.keys["key0"]
    assert service.post(key, "position.set-leverage", body).code == 0
    read_request(body, LeverageRequest)


def stop(house: House, **body: Any) -> Answer:
    key = house.accounts.keys["key0"]
    answer = service_of(house).post(key, "position.trading-stop", {**WHERE, **body})
    house.run()
    return answer


# liquidation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "gone"), [("Buy", 49_000), ("Sell", 71_000)])
def test_margin_gone_then_the_account_is_liquidated_and_keeps_nothing(side, gone):
    house = House()
    house.create(side=side, qty="1")
    waiting = house.create(side=side, qty="0.001", price="59990" if side == "Buy" else "60010")
    house.published.clear()
    mark(house, gone)
    fills = [row for row in house.rows("execution") if row["execType"] == "BustTrade"]
    assert [(row["execQty"], row["orderLinkId"]) for row in fills] == [("1.000", "")]
    assert waiting.cancel_type == "CancelAllBeforeLiq"
    assert house.users[0].ledger.positions["BTCUSDT", 0].size_units == 0
    assert 0 <= house.balance() < 2 * MONEY_ONE
    assert house.rows("position")[-1]["size"] == "0"
    assert house.ledger.faults() + house.desk.faults() == []


def test_market_that_jumps_over_the_liquidation_price_then_the_insurance_pays():
    house = House()
    house.create(side="Buy", qty="1")
    mark(house, 30_000)
    paid = house.users[0].ledger.insurance["USDT"]
    assert (house.balance(), house.ledger.house.insurance["USDT"]) == (0, -paid)
    assert paid >= 0
    assert house.ledger.faults() + house.desk.faults() == []


def test_liquidation_price_of_a_position_then_lies_where_equity_meets_the_margin():
    house = House()
    house.create(side="Buy", qty="1")
    price = Decimal(house.rows("position")[-1]["liqPrice"])
    assert Decimal(49_900) < price < Decimal(51_000)
    mark(house, int(price) + 5)
    assert house.users[0].ledger.positions["BTCUSDT", 0].size_units == 1_000
    mark(house, int(price) - 5)
    assert house.users[0].ledger.positions["BTCUSDT", 0].size_units == 0


def test_small_position_that_can_not_be_liquidated_then_has_no_liquidation_price():
    house = House()
    house.create(side="Buy", qty="0.01")
    assert house.rows("position")[-1]["liqPrice"] == ""


def test_maintenance_margin_of_risk_tiers_then_is_continuous_and_rises():
    for value in (2_000_000, 10_000_000, 50_000_000):
        below, above = maintenance_of(value * MONEY_ONE), maintenance_of((value + 1) * MONEY_ONE)
        assert 0 < above - below <= MONEY_ONE


# trailing and partial stops ---------------------------------------------------------------------


def test_trailing_stop_then_follows_the_best_price_and_closes():
    house = House()
    house.trade("Buy", 6_000_100, 1)
    house.create(side="Buy", qty="0.5")
    assert stop(house, trailingStop="50").code == 0
    row = house.rows("order")[-1]
    assert (row["stopOrderType"], row["triggerPrice"]) == ("TrailingStop", "59951.00")
    house.trade("Buy", 6_010_000, 1)
    assert house.rows("order")[-1]["triggerPrice"] == "60050.00"
    house.trade("Sell", 6_006_000, 1)
    assert house.rows("order")[-1]["triggerPrice"] == "60050.00"
    house.trade("Sell", 6_005_000, 1)
    assert house.rows("position")[-1]["size"] == "0"
    assert house.rows("order")[-1]["orderStatus"] == "Filled"
    assert house.ledger.faults() + house.desk.faults() == []


def test_trailing_stop_with_activation_then_waits_for_it():
    house = House()
    house.create(side="Sell", qty="0.5")
    assert stop(house, trailingStop="50", activePrice="59900").code == 0
    assert house.rows("position")[-1]["trailingStop"] == "50.00"
    assert [row for row in house.rows("order") if row["stopOrderType"]] == []
    house.trade("Sell", 5_989_000, 1)
    assert house.rows("order")[-1]["triggerPrice"] == "59940.00"


def test_trailing_stop_when_the_position_closes_then_ends_with_it():
    house = House()
    house.create(side="Buy", qty="0.5")
    stop(house, trailingStop="50")
    house.create(side="Sell", qty="0.5", reduceOnly=True)
    ended = [row for row in house.rows("order") if row["stopOrderType"] == "TrailingStop"][-1]
    assert (ended["orderStatus"], ended["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")
    assert house.rows("position")[-1]["trailingStop"] == "0"


def test_trailing_stop_removed_then_nothing_waits():
    house = House()
    house.create(side="Buy", qty="0.5")
    stop(house, trailingStop="50")
    assert stop(house, trailingStop="50").code == 34040
    assert stop(house, trailingStop="0").code == 0
    assert list(house.desk.stores[house.users[0].uid].live) == []


def test_partial_pair_when_one_triggers_then_the_other_is_cancelled():
    house = House()
    house.create(side="Buy", qty="0.5")
    body = {"tpslMode": "Partial", "tpSize": "0.2", "slSize": "0.2"}
    assert stop(house, **body, takeProfit="60100", stopLoss="59900").code == 0
    house.trade("Buy", 6_010_000, 1)
    rows = {row["stopOrderType"]: row for row in house.rows("order") if row["stopOrderType"]}
    assert rows["PartialTakeProfit"]["orderStatus"] == "Filled"
    assert rows["PartialStopLoss"]["orderStatus"] == "Deactivated"
    assert house.rows("position")[-1]["size"] == "0.300"
    assert list(house.desk.stores[house.users[0].uid].live) == []


def test_order_with_partial_stops_then_they_grow_with_its_fills():
    house = House()
    house.create(
        side="Buy",
        qty="0.3",
        price="59999.5",
        tpslMode="Partial",
        takeProfit="60100",
        tpOrderType="Limit",
        tpLimitPrice="60105",
        stopLoss="59900",
    )
    house.trade("Sell", 5_999_950, 100)
    house.trade("Sell", 5_999_950, 100)
    rows = {row["stopOrderType"]: row for row in house.rows("order") if row["stopOrderType"]}
    assert {row["qty"] for row in rows.values()} == {"0.200"}
    profit = rows["PartialTakeProfit"]
    assert (profit["orderType"], profit["price"], profit["tpslMode"]) == (
        "Limit",
        "60105.00",
        "Partial",
    )


# disconnection ----------------------------------------------------------------------------------


def test_guarded_sockets_gone_for_the_window_then_orders_of_the_product_are_cancelled():
    house = House()
    service, user = service_of(house), house.users[0]
    key = house.accounts.keys["key0"]
    body = {"product": "DERIVATIVES", "timeWindow": 5}
    assert service.post(key, "order.disconnected-cancel-all", body).code == 0
    linear = house.create(side="Buy", qty="0.01", price="59000")
    spot = house.create(category="spot", side="Buy", qty="0.01", price="59700")
    dcp = service.disconnection
    dcp.joined(user, "dcp.future")
    dcp.left(user, "dcp.future")
    house.run(4_000)
    dcp.joined(user, "dcp.future")
    house.run(4_000)
    assert linear.is_live
    dcp.left(user, "dcp.future")
    house.run(5_000)
    assert (linear.status, linear.cancel_type, spot.is_live) == ("Cancelled", "CancelByDCP", True)
    assert service.get(key, "account.query-dcp-info", {}).result == {
        "dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "5"}]
    }


# accounts and keys ------------------------------------------------------------------------------


def test_sub_account_and_second_key_then_belong_where_they_say():
    reader = KeySpec("reader", "r", rights=frozenset({Right.SPOT_TRADE}))
    specs = (
        AccountSpec("master", "m", (("USDT", Decimal(5)),), more_keys=(reader,)),
        parse_account("sub:s@master=7USDT"),
    )
    accounts = Accounts(specs, Ledger(), 0)
    assert accounts.keys["reader"].account is accounts.keys["master"].account
    assert accounts.keys["sub"].account.master is accounts.keys["master"].account
    with pytest.raises(ConfigError, match="nobody"):
        Accounts((parse_account("sub:s@nobody=7USDT"),), Ledger(), 0)


def test_key_without_the_right_then_is_refused_and_says_what_it_may():
    house = House()
    service = service_of(house)
    account = house.users[0]
    spot_only = type(house.accounts.keys["key0"])(
        "spot-only", account, frozenset({Right.SPOT_TRADE}), "secret"
    )
    order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    order["price"] = "59700"
    assert service.post(spot_only, "order.create", {**order, "category": "linear"}).code == 10005
    assert service.post(spot_only, "order.create", {**order, "category": "spot"}).code == 0
    permissions = service.get(spot_only, "user.query-api", {}).result["permissions"]
    assert (permissions["ContractTrade"], permissions["Spot"]) == ([], ["SpotTrade"])


def test_transfer_between_master_and_sub_then_both_logs_show_it_and_money_stays():
    house = House()
    master, sub = house.users
    sub.master = master
    service, key = service_of(house), house.accounts.keys["key0"]
    body = {"transferId": "t", "coin": "USDT", "amount": "2500.5"}
    body |= {"fromMemberId": str(master.uid), "toMemberId": str(sub.uid)}
    assert service.post(key, "asset.universal-transfer", body).code == 0
    assert house.balance(user=1) == 12_500 * MONEY_ONE + MONEY_ONE // 2
    assert service.post(key, "asset.universal-transfer", {**body, "amount": "8000"}).code == 131212
    rows = service.get(house.accounts.keys["key1"], "account.transaction-log", {}).result["list"]
    assert (rows[0]["type"], rows[0]["change"], rows[0]["cashBalance"]) == (
        "TRANSFER_IN",
        "2500.5",
        "12500.5",
    )
    assert house.ledger.faults() == []


def test_transaction_log_then_adds_up_to_every_wallet():
    house = House()
    house.create(side="Buy", qty="0.5")
    house.create(category="spot", side="Buy", qty="500", marketUnit="quoteCoin")
    house.create(side="Sell", qty="0.2", reduceOnly=True)
    account = house.users[0]
    sums: dict[str, int] = {}
    for record in house.desk.stores[account.uid].log:
        sums[record.asset] = sums.get(record.asset, 0) + record.change
        assert record.change == record.cash_flow + record.funding - record.fee
    assert sums == account.ledger.wallet


def test_pre_check_then_says_margin_before_and_after_and_places_nothing():
    house = House()
    body = {**WHERE, "side": "Buy", "orderType": "Limit", "qty": "0.5", "price": "59000"}
    key = house.accounts.keys["key0"]
    result = service_of(house).post(key, "order.pre-check", body).result
    assert (result["preImrE4"], result["postImrE4"]) == (0, 2_950)
    assert list(house.desk.stores[house.users[0].uid].live) == []


# faults of the private side ---------------------------------------------------------------------


def test_lagging_query_then_shows_the_order_as_it_was():
    house = House()
    board = FaultBoard(Random(3))
    service = Service(house.desk, RequestLimits(), board)
    key, query = house.accounts.keys["key0"], dict(WHERE)
    house.desk.settlement.past.is_kept = True
    order = house.create(side="Buy", qty="0.01", price="59000")
    house.run(2_000)
    house.cancel(order)
    house.create(side="Buy", qty="0.02", price="59000")
    fault = board.add(FaultSpec(kind=FaultKind.LAGGING_REST, count=0), house.venue.now_ns)
    rows = service.get(key, "order.realtime", query).result["list"]
    assert [(row["orderId"], row["orderStatus"]) for row in rows] == [(order.order_id, "New")]
    assert (fault.armed, fault.hit) == (1, 1)
    board.clear()
    rows = service.get(key, "order.realtime", query).result["list"]
    assert [row["qty"] for row in rows] == ["0.020"]


def test_halved_limits_then_the_sixth_order_of_the_second_is_too_many():
    house = House()
    board = FaultBoard(Random(3))
    service = Service(house.desk, RequestLimits(), board)
    board.add(FaultSpec(kind=FaultKind.HALVED_LIMITS, count=0), house.venue.now_ns)
    body = {**WHERE, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "59000"}
    key = house.accounts.keys["key0"]
    codes = [service.post(key, "order.create", body).code for _ in range(6)]
    assert codes == [0] * 5 + [10006]


def test_maintenance_then_every_private_request_is_refused_until_it_ends():
    house = House()
    board = FaultBoard(Random(3))
    service = Service(house.desk, RequestLimits(), board)
    spec = FaultSpec(kind=FaultKind.MAINTENANCE, count=0, duration_s=5)
    board.add(spec, house.venue.now_ns)
    key = house.accounts.keys["key0"]
    assert service.get(key, "account.info", {}).code == 10016
    assert board.is_maintained(house.venue.now_ns)
    house.run(5_000)
    assert service.get(key, "account.info", {}).code == 0
    assert not board.is_maintained(house.venue.now_ns)


def test_clock_off_and_drifting_then_says_so_only_while_it_lasts():
    board = FaultBoard(Random(3))
    start = 1_000_000 * MS
    spec = FaultSpec(kind=FaultKind.CLOCK, offset_s=-5, drift_ppm=200, duration_s=100)
    fault = board.add(spec, start)
    assert board.clock_ns(start) == start - 5_000 * MS
    assert board.clock_ns(start + 10_000 * MS) == start + 5_000 * MS + 2 * MS
    assert board.clock_ns(start + 100_000 * MS) == start + 100_000 * MS
    assert fault.hit == 2


def test_standing_of_an_account_without_positions_then_needs_no_margin():
    house = House()
    assert standing(house.users[0], house.desk.settlement.linear_market) == (
        10_000 * MONEY_ONE,
        0,
    )


def test_stops_on_a_flat_position_then_are_refused():
    house = House()
    assert stop(house, trailingStop="50").code == 10001
    assert read_request({**WHERE, "tpSize": "1"}, TradingStopRequest).tp_size == "1"
