"""Risk tiers, bounds of market orders, margin at the book's door, reduce-only orders as a sum."""

from decimal import Decimal

import pytest

from tests.unit.simulator_private.house import House
from tickwright.core.units import MONEY_ONE
from tickwright.simulator.private.margin import liquidation_price, maintenance_of, standing
from tickwright.simulator.private.positions import PositionSettings
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.private.requests import LeverageRequest
from tickwright.simulator.sources.operations import MarketFacts
from tickwright.simulator.tiers import RISK_TIERS, leverage_for, value_limit


def lever(house: House, leverage: str) -> None:
    request = LeverageRequest("linear", "BTCUSDT", leverage, leverage)
    PositionSettings(house.desk).set_leverage(house.users[0], request)


def mark(house: House, price: int) -> None:
    house.linear.facts = MarketFacts(mark_units=price * 100)
    house.linear.book.changed(house.venue.now_ns, 1)
    house.run()


def deepen(house: House, size: int) -> None:
    """Let the first level of each side hold this many bitcoins."""
    levels = [[(6_000_000 + sign * 100, size * 1_000)] for sign in (-1, 1)]
    house.linear.book.apply(levels[0], levels[1], house.venue.now_ns, 1)


# tiers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leverage", "most", "limit"),
    [
        ("100", "100", 2_000_000),
        ("50.01", "100", 2_000_000),
        ("50", "100", 10_000_000),
        ("10", "100", 200_000_000),
        ("25", "25", 10_000_000),
        ("101", "100", 0),
    ],
)
def test_leverage_then_allows_positions_up_to_the_end_of_a_tier(leverage, most, limit):
    assert limit == value_limit(Decimal(leverage), Decimal(most))


def test_value_beyond_the_last_tier_then_may_be_held_at_no_leverage():
    assert leverage_for(2_000_001, Decimal(100)) == 50
    assert leverage_for(RISK_TIERS[-1].value_max + 1, Decimal(100)) is None


def test_order_beyond_the_tier_of_the_leverage_then_is_refused_and_told_which_one_allows_it():
    house = House(balances="1000000")
    lever(house, "100")
    house.create(side="Buy", qty="30", price="59000")
    with pytest.raises(VenueRefusal, match="leverage to 50 or below") as refused:
        house.create(side="Buy", qty="4", price="59000")
    assert refused.value.code == 110090
    # Orders of the other side don't add to it.
    house.create(side="Sell", qty="30", price="61000")
    lever(house, "50")
    house.create(side="Buy", qty="4", price="59000")


def test_amend_beyond_the_tier_then_is_refused():
    house = House(balances="1000000")
    lever(house, "100")
    order = house.create(side="Buy", qty="30", price="59000")
    with pytest.raises(VenueRefusal) as refused:
        house.amend(order, qty="40")
    assert refused.value.code == 110090


def test_order_beyond_every_tier_then_is_refused_at_any_leverage():
    house = House(balances="900000000")
    lever(house, "1")
    for _ in range(3):
        house.create(side="Buy", qty="1100", price="59000")
    with pytest.raises(VenueRefusal) as refused:
        house.create(side="Buy", qty="1100", price="59000")
    assert refused.value.code == 110089


def test_leverage_that_the_position_is_too_big_for_then_is_refused():
    house = House(balances="1000000")
    lever(house, "50")
    deepen(house, 40)
    house.create(side="Buy", qty="40")
    with pytest.raises(VenueRefusal) as refused:
        lever(house, "60")
    assert refused.value.code == 110013
    assert house.users[0].leverage("BTCUSDT") == 50


@pytest.mark.parametrize("side", ["Buy", "Sell"])
@pytest.mark.parametrize(("size", "balance"), [(20, "70000"), (40, "200000"), (300, "6000000")])
def test_liquidation_price_in_any_tier_then_is_where_equity_meets_maintenance(side, size, balance):
    house = House(balances=balance)
    lever(house, "20")
    deepen(house, size)
    house.create(side=side, qty=str(size))
    account, market = house.users[0], house.linear
    held = account.ledger.positions["BTCUSDT", 0].size_units
    market_of = house.desk.settlement.linear_market
    price = liquidation_price(account, market, held, market_of)
    assert price
    assert Decimal(house.rows("position")[-1]["liqPrice"]) * 100 == price
    tick = market.instrument.tick_units
    sign = 1 if side == "Buy" else -1
    rooms = []
    for at in (price + 2 * sign * tick, price - 2 * sign * tick):
        market.facts = MarketFacts(mark_units=at)
        equity, maintenance = standing(account, market_of)
        assert maintenance == maintenance_of(at * size * 1_000 * 10**13)
        rooms.append(equity - maintenance)
    assert rooms[0] > 0 > rooms[1]


# the bound of market orders ---------------------------------------------------------------------


def test_market_buy_then_needs_margin_at_five_percent_above_the_market():
    # 60,001 x 1.05 = 63,001 / 10 and 0.055 % of it: 6,334.77 for one bitcoin.
    with pytest.raises(VenueRefusal) as refused:
        House(balances="6330").create(side="Buy", qty="1")
    assert refused.value.code == 110007
    house = House(balances="6340")
    order = house.create(side="Buy", qty="1")
    assert (order.status, order.price_units) == ("Filled", 6_300_100)


def test_market_sell_then_needs_margin_at_the_mark_and_not_at_its_low_bound():
    with pytest.raises(VenueRefusal) as refused:
        House(balances="6000").create(side="Sell", qty="1")
    assert refused.value.code == 110007
    assert House(balances="6040").create(side="Sell", qty="1").status == "Filled"


def test_conditional_market_order_when_triggered_then_needs_margin_at_its_bound():
    house = House(balances="6200")
    order = house.create(side="Buy", qty="1", triggerPrice="60005", triggerDirection=1)
    house.trade("Buy", 6_000_600, 1)
    assert (order.status, order.reject_reason) == ("Rejected", "EC_Others")


# the book's door --------------------------------------------------------------------------------


def test_margin_gone_between_answer_and_book_then_the_order_is_cancelled_with_its_reason():
    house = House(balances="8000", latency_ns=100_000_000)
    deepen(house, 5)
    house.accept(side="Buy", qty="1")
    house.run(200)
    late = house.accept(side="Buy", qty="0.1", price="59000")
    mark(house, 57_500)
    assert late.status == "Created"
    house.run(200)
    row = house.rows("order")[-1]
    assert late.status == "Cancelled"
    assert row["orderId"] == late.order_id
    assert row["cancelType"] == "CancelByCannotAffordOrderCost"
    assert house.desk.stores[house.users[0].uid].live == {}
    assert house.ledger.faults() + house.desk.faults() == []


def test_coins_gone_between_answer_and_book_then_the_spot_order_is_cancelled():
    house = House(latency_ns=100_000_000)
    late = house.accept(category="spot", side="Buy", qty="0.1", price="60000")
    house.users[0].ledger.transfer("USDT", -9_000 * MONEY_ONE)
    house.run(200)
    assert (late.status, late.cancel_type) == ("Cancelled", "CancelByCannotAffordOrderCost")


# reduce-only orders -----------------------------------------------------------------------------


def test_reduce_only_orders_then_share_the_position_among_them():
    house = House(balances="100000")
    house.create(side="Buy", qty="1")
    first = house.create(side="Sell", qty="0.7", price="61000", reduceOnly=True)
    second = house.create(side="Sell", qty="0.7", price="61500", reduceOnly=True)
    assert (first.leaves_units, second.leaves_units) == (700, 300)
    with pytest.raises(VenueRefusal, match="truncated to zero") as refused:
        house.create(side="Sell", qty="0.7", price="61000", reduceOnly=True)
    assert refused.value.code == 110017


def test_position_that_shrinks_then_the_newest_reduce_only_orders_give_way():
    house = House(balances="100000")
    house.create(side="Buy", qty="1")
    first = house.create(side="Sell", qty="0.4", price="61000", reduceOnly=True)
    second = house.create(side="Sell", qty="0.4", price="61500", reduceOnly=True)
    third = house.create(side="Sell", qty="0.2", price="61500", reduceOnly=True)
    house.create(side="Sell", qty="0.5", reduceOnly=True)
    assert [order.leaves_units for order in (first, second, third)] == [400, 100, 0]
    assert (third.status, third.cancel_type) == ("Cancelled", "CancelByReduceOnly")
    house.cancel(second)
    assert house.create(side="Sell", qty="1", price="61000", reduceOnly=True).leaves_units == 100
    assert house.desk.desk_of(house.linear).reducing.keys() >= {first.number}
    house.create(side="Sell", qty="0.5", reduceOnly=True)
    assert house.desk.desk_of(house.linear).reducing == {}


def test_reduce_only_order_amended_beyond_the_position_then_is_cut_back():
    house = House(balances="100000")
    house.create(side="Buy", qty="1")
    first = house.create(side="Sell", qty="0.4", price="61000", reduceOnly=True)
    second = house.create(side="Sell", qty="0.4", price="61500", reduceOnly=True)
    house.amend(second, qty="0.9")
    assert (first.leaves_units, second.leaves_units) == (400, 600)
    assert house.rows("order")[-1]["qty"] == "0.600"
