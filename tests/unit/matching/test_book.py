"""The rules of fills, one by one, on hand-made markets (prices and sizes in units)."""

import pytest

from tests.unit.matching.market import Market
from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.matching import (
    Amended,
    CancelReason,
    Execution,
    FillCause,
    OrderPhase,
    SelfTrade,
    StopsChanged,
    Triggered,
)

BUY, SELL = Side.BUY, Side.SELL


def market() -> Market:
    return Market({100: 5, 99: 7, 98: 9}, {101: 4, 102: 6, 103: 8})


# queues ---------------------------------------------------------------------------------------


def test_resting_order_when_the_queue_ahead_is_traded_away_then_fills_with_the_rest():
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 100, 2)
    m.trade(SELL, 100, 2)
    assert m.executions(order) == []
    m.trade(SELL, 100, 2)
    assert m.executions(order) == [(100, 1)]
    assert order.remaining_units == 2


def test_resting_order_when_the_queue_is_exactly_used_up_then_stays_unfilled():
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 100, 5)
    assert m.executions(order) == []
    m.trade(SELL, 100, 1)
    assert m.executions(order) == [(100, 1)]


def test_resting_order_when_its_level_shrinks_below_its_place_then_the_place_is_capped():
    m = market()
    order = m.order(BUY, 3, 100)
    m.set(BUY, 100, 2)
    assert order.ahead_units == 2
    m.set(BUY, 100, 9)
    assert order.ahead_units == 2


def test_trade_through_our_price_when_small_then_fills_only_the_traded_size():
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 99, 1)
    assert m.executions(order) == [(100, 1)]


def test_ask_dropping_onto_our_bid_when_less_is_shown_then_fills_only_what_is_shown():
    m = market()
    order = m.order(BUY, 3, 100)
    m.levels.set_level(BUY, 100, 0)
    m.set(SELL, 100, 2)
    assert m.executions(order) == [(100, 2)]
    assert order.remaining_units == 1
    assert m.levels.best() == ((100, 1), (101, 4))


def test_market_moving_far_through_our_bid_then_fills_at_our_price_from_all_crossing_levels():
    m = market()
    order = m.order(BUY, 30, 100)
    for price in (100, 99, 98):
        m.levels.set_level(BUY, price, 0)
    m.levels.set_level(SELL, 97, 2)
    m.set(SELL, 99, 3)
    assert m.executions(order) == [(100, 5)]


def test_own_orders_behind_one_trade_when_it_is_small_then_share_its_size_in_time_order():
    m = market()
    orders = [m.order(BUY, 1, 100, account=n) for n in (1, 2, 3)]
    m.trade(SELL, 100, 7)
    assert [m.executions(order) for order in orders] == [[(100, 1)], [(100, 1)], []]


def test_orders_at_two_prices_when_a_trade_sweeps_then_the_better_price_fills_first():
    m = market()
    low = m.order(BUY, 2, 99)
    high = m.order(BUY, 2, 100)
    m.trade(SELL, 99, 3)
    assert m.executions() == [(100, 2)]
    assert (high.phase, low.ahead_units) == (OrderPhase.DONE, 6)


def test_order_filled_to_its_last_lot_when_another_trade_comes_then_nothing_more_happens():
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 99, 3)
    m.trade(SELL, 99, 3)
    assert m.executions(order) == [(100, 3)]


def test_partial_then_full_fill_then_each_is_one_execution_and_the_position_their_sum():
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 99, 1)
    m.trade(SELL, 99, 2)
    assert m.executions(order) == [(100, 1), (100, 2)]
    assert m.book.positions == {1: 3}


# takers ---------------------------------------------------------------------------------------


def test_taker_over_three_levels_then_every_level_is_an_execution():
    m = market()
    order = m.order(BUY, 15, 103)
    assert m.executions(order) == [(101, 4), (102, 6), (103, 5)]


def test_taken_liquidity_when_asked_again_then_is_gone_until_the_level_is_set_again():
    m = market()
    assert m.executions(m.order(BUY, 4, 101, tif=TimeInForce.IOC)) == [(101, 4)]
    again = m.order(BUY, 4, 101, tif=TimeInForce.IOC)
    assert m.reason(again) is CancelReason.NO_LIQUIDITY
    m.set(SELL, 101, 3)
    assert m.executions(m.order(BUY, 4, 101, tif=TimeInForce.IOC)) == [(101, 3)]


def test_taker_of_50_on_a_thin_book_then_the_rest_is_not_filled_at_the_best_price():
    m = market()
    order = m.order(BUY, 50, 102, tif=TimeInForce.IOC)
    assert m.executions(order) == [(101, 4), (102, 6)]
    assert m.reason(order) is CancelReason.REMAINDER


def test_market_order_when_the_book_is_deep_then_stops_at_its_bound():
    m = Market({}, {1000: 1, 1050: 1, 1051: 1})
    order = m.order(BUY, 3)
    assert m.executions(order) == [(1000, 1), (1050, 1)]
    assert order.price_units == 1050


def test_limit_order_that_crosses_in_part_then_rests_with_the_remainder():
    m = market()
    order = m.order(BUY, 6, 101)
    assert m.executions(order) == [(101, 4)]
    assert m.levels.best() == ((101, 2), (102, 6))
    assert order.ahead_units == 0


def test_taker_when_a_users_order_queues_inside_a_level_then_takes_what_is_before_it_first():
    m = market()
    maker = m.order(SELL, 3, 101, account=2)
    taker = m.order(BUY, 6, 101)
    assert m.executions(taker) == [(101, 4), (101, 2)]
    assert m.executions(maker) == [(101, 2)]
    assert maker.remaining_units == 1


def test_taker_when_a_users_order_has_a_better_price_then_meets_it_before_external_levels():
    m = Market({100: 5}, {105: 4})
    maker = m.order(SELL, 2, 103, account=2)
    taker = m.order(BUY, 3, 105)
    assert m.executions(taker) == [(103, 2), (105, 1)]
    assert m.executions(maker) == [(103, 2)]


def test_match_between_users_then_both_sides_share_the_match_and_name_each_other():
    m = Market({}, {})
    maker = m.order(SELL, 2, 103, account=2)
    taker = m.order(BUY, 2, 103)
    first, second = (event for event in m.book.events if isinstance(event, Execution))
    assert first.match_id == second.match_id
    assert (first.order, first.counter_order_id, first.is_maker) == (maker, taker.order_id, True)
    assert (second.order, second.counter_order_id, second.is_maker) == (
        taker,
        maker.order_id,
        False,
    )
    assert (first.cause, second.cause) == (FillCause.HIT_BY_ORDER, FillCause.TOOK)


def test_post_only_that_would_take_then_is_cancelled_without_a_fill():
    m = market()
    order = m.order(BUY, 1, 101, post_only=True)
    assert m.reason(order) is CancelReason.POST_ONLY_WOULD_TAKE
    assert m.executions() == []


@pytest.mark.parametrize(("size", "fills"), [(10, [(101, 4), (102, 6)]), (11, [])])
def test_fill_or_kill_when_liquidity_within_the_limit_is_counted_then_all_or_nothing(size, fills):
    m = market()
    order = m.order(BUY, size, 102, tif=TimeInForce.FOK)
    assert m.executions(order) == fills


def test_fill_or_kill_when_reduce_only_makers_share_a_position_then_counts_it_once():
    m = Market({}, {101: 2})
    m.order(BUY, 2, 101, account=2)
    for price in (105, 106):
        m.order(SELL, 2, price, account=2, reduce_only=True)
    order = m.order(BUY, 3, 106, tif=TimeInForce.FOK)
    assert m.reason(order) is CancelReason.NOT_ENOUGH_FOR_FULL


def test_buy_by_quote_amount_then_spends_at_most_the_amount():
    m = market()
    order = m.order(BUY, 1_000_000, quote_max=101 * 4 + 102 * 2 + 50)
    assert m.executions(order) == [(101, 4), (102, 2)]
    assert m.reason(order) is CancelReason.QUOTE_SPENT


# self-trade -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "taker_fills", "maker_left"),
    [
        (SelfTrade.NONE, [(101, 2)], 1),
        (SelfTrade.CANCEL_MAKER, [], 0),
        (SelfTrade.CANCEL_TAKER, [], 3),
        (SelfTrade.CANCEL_BOTH, [], 0),
    ],
)
def test_own_orders_that_meet_then_follow_the_incoming_ones_mode(mode, taker_fills, maker_left):
    m = Market({}, {})
    maker = m.order(SELL, 3, 101)
    taker = m.order(BUY, 2, 101, self_trade=mode, tif=TimeInForce.IOC)
    assert m.executions(taker) == taker_fills
    assert sum(order.remaining_units for order in m.book.resting(SELL)) == maker_left
    assert taker.is_done
    assert maker.is_done is (maker_left == 0)


def test_cancel_taker_when_others_are_before_our_order_then_takes_them_first():
    m = Market({}, {})
    other = m.order(SELL, 1, 101, account=2)
    m.order(SELL, 3, 101)
    taker = m.order(BUY, 2, 101, self_trade=SelfTrade.CANCEL_TAKER)
    assert (m.executions(taker), m.executions(other)) == ([(101, 1)], [(101, 1)])
    assert m.reason(taker) is CancelReason.SELF_TRADE


# amend and cancel -----------------------------------------------------------------------------


def test_amend_to_a_smaller_size_then_keeps_the_place():
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 100, 4)
    assert m.book.amend(order.order_id, 9, size_units=2)
    assert (order.ahead_units, order.remaining_units) == (1, 2)
    assert m.levels.best()[0] == (100, 7)


@pytest.mark.parametrize("terms", [{"size_units": 4}, {"price_units": 99}])
def test_amend_to_a_larger_size_or_new_price_then_queues_anew(terms):
    m = market()
    order = m.order(BUY, 3, 100)
    m.trade(SELL, 100, 4)
    m.book.amend(order.order_id, 9, **terms)
    assert order.ahead_units == m.levels.external_size(BUY, order.price_units)
    assert [event.kept_priority for event in m.book.events if isinstance(event, Amended)] == [False]


def test_amend_to_a_crossing_price_then_takes():
    m = market()
    order = m.order(BUY, 3, 100)
    m.book.amend(order.order_id, 9, price_units=101)
    assert m.executions(order) == [(101, 3)]


def test_cancel_of_an_order_that_is_done_then_is_refused():
    m = market()
    order = m.order(BUY, 3, 101)
    assert m.book.cancel(order.order_id, 9) is False


# reduce-only and positions --------------------------------------------------------------------


def test_reduce_only_without_a_position_then_is_cancelled():
    m = market()
    order = m.order(SELL, 3, 101, reduce_only=True)
    assert m.reason(order) is CancelReason.REDUCE_ONLY


def test_reduce_only_larger_than_the_position_then_closes_it_and_no_more():
    m = market()
    m.order(BUY, 4, 101)
    order = m.order(SELL, 9, 100, reduce_only=True)
    assert m.executions(order) == [(100, 4)]
    assert m.book.positions == {1: 0}
    assert order.is_done


def test_resting_reduce_only_when_the_position_closes_otherwise_then_is_trimmed_and_cancelled():
    m = market()
    m.order(BUY, 4, 101)
    exit_order = m.order(SELL, 4, 103, reduce_only=True)
    m.order(SELL, 3, 100)
    assert exit_order.remaining_units == 1
    m.order(SELL, 1, 100)
    assert m.reason(exit_order) is CancelReason.REDUCE_ONLY


# triggers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "rises", "quiet", "firing"),
    [
        (TriggerBy.LAST, True, 109, 110),
        (TriggerBy.LAST, False, 111, 110),
        (TriggerBy.MARK, True, 109, 111),
        (TriggerBy.INDEX, False, 111, 109),
    ],
)
def test_conditional_order_when_its_price_is_reached_then_becomes_an_order(
    by, rises, quiet, firing
):
    m = market()
    order = m.order(BUY, 2, trigger=110, rises=rises, by=by)

    def move(price: int) -> None:
        if by is TriggerBy.LAST:
            m.trade(BUY, price, 1)
        else:
            m.book.on_price(by, price, 9)

    move(quiet)
    assert order.phase is OrderPhase.ARMED
    move(firing)
    assert m.executions(order) == [(101, 2)]


def test_triggers_reached_by_one_move_then_fire_in_the_order_the_price_meets_them():
    m = market()
    far = m.order(BUY, 1, trigger=120, rises=True)
    near = m.order(BUY, 1, trigger=110, rises=True)
    m.trade(BUY, 130, 1)
    fired = [event.order for event in m.book.events if isinstance(event, Triggered)]
    assert fired == [near, far]


def test_own_fill_at_a_price_then_triggers_what_waits_for_it():
    m = market()
    order = m.order(SELL, 1, trigger=102, rises=True)
    m.order(BUY, 5, 102)
    assert m.executions(order) == [(100, 1)]


def test_stop_loss_attached_to_an_order_when_reached_then_closes_the_whole_position():
    m = market()
    m.order(BUY, 4, 101, take_profit=110, stop_loss=95)
    assert m.book.stops(1) == (110, 95)
    m.trade(SELL, 95, 1)
    assert m.book.positions == {1: 0}
    assert m.book.stops(1) == (0, 0)
    assert m.executions()[-1] == (100, 4)
    changes = [event for event in m.book.events if isinstance(event, StopsChanged)]
    assert (changes[-1].take_profit_units, changes[-1].stop_loss_units) == (0, 0)


def test_take_profit_when_the_position_grew_meanwhile_then_closes_all_of_it():
    m = market()
    m.order(BUY, 4, 101, take_profit=110)
    m.order(BUY, 2, 102)
    m.trade(BUY, 110, 1)
    assert m.book.positions == {1: 0}


def test_stops_when_the_position_closes_otherwise_then_end_with_it():
    m = market()
    m.order(BUY, 4, 101, take_profit=110, stop_loss=95)
    m.order(SELL, 4, 100)
    assert len(m.book.orders) == 0


def test_position_stops_when_set_again_then_the_earlier_ones_are_replaced():
    m = market()
    m.order(SELL, 4, 100)
    m.book.set_stops(1, 1, 5, stop_loss_units=110)
    m.book.set_stops(1, 1, 6, stop_loss_units=108, take_profit_units=90)
    assert m.book.stops(1) == (90, 108)
    m.trade(BUY, 108, 1)
    assert m.book.positions == {1: 0}
