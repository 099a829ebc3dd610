"""The rules by which a simulated fill may be believed, each on a hand-made feed with its answer.

Most of them are known because some backtester got them wrong: filling a whole order from a trade
of one lot, filling several orders from one trade, taking the same liquidity again and again, or
booking the last of several partial fills alone.
"""

import msgspec
import pytest

from tests.oracle.instruments import make_instrument
from tests.oracle.matching import ExternalLevels as PlainLevels
from tests.unit.matching.tape import Tape
from tickwright.core.orders import Side, TimeInForce
from tickwright.core.units import units_from_text
from tickwright.matching import (
    BookOrder,
    ExternalLevels,
    Level,
    MatchingBook,
    OrderIds,
    SelfTrade,
)

BUY, SELL = Side.BUY, Side.SELL


def tape(latency_ns: int = 10) -> Tape:
    """A market of 100 against 101, five on the bid and four on the ask."""
    return Tape({100: 5, 99: 7, 98: 9}, {101: 4, 102: 6, 103: 8}, latency_ns)


# the queue ------------------------------------------------------------------------------------


def test_order_behind_a_queue_when_trades_use_it_up_then_fills_at_the_trade_that_goes_beyond():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    for at_ns in (20, 30, 40):
        t.trade(at_ns, SELL, 100, 2)
    t.run()
    assert t.fills(order) == [(40, 100, 1)]


def test_queue_when_exactly_used_up_then_the_next_lot_is_ours():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    t.trade(20, SELL, 100, 5)
    t.trade(30, SELL, 100, 1)
    t.run()
    assert t.fills(order) == [(30, 100, 1)]


def test_level_when_it_shrinks_below_our_place_then_no_more_than_it_is_ahead_of_us():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    t.level(20, BUY, 100, 2)
    t.level(30, BUY, 100, 50)
    t.trade(40, SELL, 100, 3)
    t.run()
    assert t.fills(order) == [(40, 100, 1)]


def test_trade_and_the_level_change_that_shows_it_then_the_place_moves_once():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    t.trade(20, SELL, 100, 2)
    t.level(21, BUY, 100, 3)
    t.run()
    assert order.ahead_units == 3


def test_order_that_joins_later_then_waits_for_what_came_before_it():
    t = tape()
    early = t.send(0, BUY, 1, 100)
    t.level(20, BUY, 100, 9)
    late = t.send(21, BUY, 1, 100, account=2)
    t.trade(40, SELL, 100, 6)
    t.trade(50, SELL, 100, 5)
    t.run()
    assert t.fills(early) == [(40, 100, 1)]
    assert t.fills(late) == [(50, 100, 1)]


# what is on its way -----------------------------------------------------------------------------


def test_order_in_flight_when_a_trade_passes_its_price_then_is_not_hit():
    t = tape(latency_ns=10)
    order = t.send(0, BUY, 3, 100)
    t.trade(9, SELL, 98, 100)
    t.run()
    assert t.fills(order) == []
    assert order.remaining_units == 3


def test_order_that_arrives_in_the_nanosecond_of_a_trade_then_the_trade_was_first():
    t = tape(latency_ns=10)
    order = t.send(0, BUY, 3, 100)
    t.trade(10, SELL, 98, 100)
    t.run()
    assert t.fills(order) == []


def test_cancel_in_flight_when_a_trade_comes_first_then_the_order_is_filled():
    t = tape(latency_ns=10)
    order = t.send(0, BUY, 3, 100)
    t.cancel(20, order)
    t.trade(29, SELL, 99, 3)
    t.run()
    assert t.fills(order) == [(29, 100, 3)]
    assert t.end(order) is None


def test_cancel_that_arrives_first_then_nothing_fills():
    t = tape(latency_ns=10)
    order = t.send(0, BUY, 3, 100)
    t.cancel(20, order)
    t.trade(31, SELL, 99, 3)
    t.run()
    assert t.fills(order) == []
    assert t.end(order) == (30, "by_user")


# a fill is limited by what caused it ------------------------------------------------------------


def test_trade_one_tick_through_our_price_when_it_is_one_lot_then_fills_one_lot():
    t = tape()
    order = t.send(0, BUY, 3000, 100)
    t.trade(20, SELL, 99, 1)
    t.run()
    assert t.fills(order) == [(20, 100, 1)]


def test_ask_that_drops_onto_our_bid_when_little_is_shown_then_fills_what_is_shown():
    t = tape()
    order = t.send(0, BUY, 30, 100)
    t.change(20, (BUY, 100, 0), (SELL, 100, 2))
    t.run()
    assert t.fills(order) == [(20, 100, 2)]
    assert t.levels.best() == ((100, 28), (101, 4))


def test_three_own_orders_when_one_trade_reaches_them_then_share_its_size():
    t = tape()
    orders = [t.send(n, BUY, 1, 100, account=n + 1) for n in range(3)]
    t.trade(20, SELL, 100, 6)
    t.run()
    assert t.fills(*orders) == [(20, 100, 1)]
    assert t.fills(orders[0]) == [(20, 100, 1)]


def test_orders_at_several_prices_when_one_trade_sweeps_them_then_its_size_is_spent_once():
    t = tape()
    worse = t.send(0, BUY, 4, 99)
    better = t.send(1, BUY, 4, 100)
    t.trade(20, SELL, 98, 6)
    t.run()
    assert t.fills() == [(20, 100, 4), (20, 99, 2)]
    assert (better.remaining_units, worse.remaining_units) == (0, 2)


def test_market_that_crosses_two_own_orders_then_the_shown_size_is_spent_once():
    t = tape()
    first = t.send(0, BUY, 3, 100)
    second = t.send(1, BUY, 3, 100, account=2)
    t.change(20, (BUY, 100, 0), (SELL, 100, 4))
    t.run()
    assert (t.fills(first), t.fills(second)) == ([(20, 100, 3)], [(20, 100, 1)])


# what was taken stays taken ---------------------------------------------------------------------


def test_taker_of_fifty_on_a_book_of_four_then_gets_four_at_that_price():
    t = tape()
    order = t.send(0, BUY, 50, 101, time_in_force=TimeInForce.IOC)
    t.run()
    assert t.fills(order) == [(10, 101, 4)]
    assert t.end(order) == (10, "remainder")


def test_same_liquidity_when_asked_for_three_times_then_is_given_once():
    t = tape()
    orders = [t.send(n, BUY, 4, 101, time_in_force=TimeInForce.IOC) for n in range(3)]
    t.run()
    assert t.fills() == [(10, 101, 4)]
    assert [t.end(order) for order in orders] == [None, (11, "no_liquidity"), (12, "no_liquidity")]


def test_taken_level_when_the_market_sets_it_again_then_may_be_taken_again():
    t = tape()
    t.send(0, BUY, 4, 101, time_in_force=TimeInForce.IOC)
    t.level(20, SELL, 101, 3)
    again = t.send(20, BUY, 4, 101, time_in_force=TimeInForce.IOC)
    t.run()
    assert t.fills(again) == [(30, 101, 3)]


def test_taken_level_when_another_level_changes_then_stays_taken():
    t = tape()
    t.send(0, BUY, 4, 101, time_in_force=TimeInForce.IOC)
    t.level(20, SELL, 102, 7)
    again = t.send(20, BUY, 1, 101, time_in_force=TimeInForce.IOC)
    t.run()
    assert t.end(again) == (30, "no_liquidity")


# every partial fill counts ----------------------------------------------------------------------


def test_resting_order_that_gets_one_of_three_then_the_position_is_one():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    t.trade(20, SELL, 100, 6)
    t.run()
    assert (order.filled_units, order.remaining_units) == (1, 2)
    assert t.book.positions == {1: 1}


def test_partial_and_then_the_rest_when_booked_then_both_are_in_the_position():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    t.trade(20, SELL, 100, 6)
    t.trade(30, SELL, 100, 2)
    t.run()
    assert t.fills(order) == [(20, 100, 1), (30, 100, 2)]
    assert t.book.positions == {1: 3}


def test_immediate_nine_on_a_level_of_four_then_four_are_held():
    t = tape()
    t.send(0, BUY, 9, 101, time_in_force=TimeInForce.IOC)
    t.run()
    assert t.book.positions == {1: 4}


def test_taker_of_fifteen_over_three_levels_then_each_level_is_booked():
    t = tape()
    order = t.send(0, BUY, 15, 103)
    t.run()
    assert t.fills(order) == [(10, 101, 4), (10, 102, 6), (10, 103, 5)]
    assert t.book.positions == {1: 15}
    assert sum(price * size for _, price, size in t.fills()) == 101 * 4 + 102 * 6 + 103 * 5


def test_order_filled_to_its_last_lot_when_more_trades_come_then_the_tape_goes_on():
    t = tape()
    order = t.send(0, BUY, 3, 100)
    for at_ns in (20, 30, 40):
        t.trade(at_ns, SELL, 99, 3)
    later = t.send(50, BUY, 1, 100)
    t.trade(70, SELL, 99, 1)
    t.run()
    assert t.fills(order) == [(20, 100, 3)]
    assert t.fills(later) == [(70, 100, 1)]


# orders that must not be ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "fills", "ends"),
    [
        (SelfTrade.NONE, 2, (None, None)),
        (SelfTrade.CANCEL_MAKER, 0, ((11, "self_trade"), None)),
        (SelfTrade.CANCEL_TAKER, 0, (None, (11, "self_trade"))),
        (SelfTrade.CANCEL_BOTH, 0, ((11, "self_trade"), (11, "self_trade"))),
    ],
)
def test_own_bid_that_crosses_own_ask_then_the_mode_decides_and_never_do_both_rest(
    mode, fills, ends
):
    t = Tape({}, {})
    ask = t.send(0, SELL, 3, 100)
    bid = t.send(1, BUY, 3, 100, self_trade=mode)
    t.run()
    assert len(t.fills()) == fills
    assert (t.end(ask), t.end(bid)) == ends
    best_bid, best_ask = t.levels.best()
    assert best_bid is None or best_ask is None


def test_post_only_that_crosses_and_fill_or_kill_too_large_then_end_unfilled():
    t = tape()
    maker = t.send(0, BUY, 1, 101, post_only=True)
    whole = t.send(1, BUY, 11, 102, time_in_force=TimeInForce.FOK)
    t.run()
    assert t.fills() == []
    assert t.end(maker) == (10, "post_only_would_take")
    assert t.end(whole) == (11, "not_enough_for_full")


@pytest.mark.parametrize("size", [0, -1])
def test_order_of_no_size_then_cannot_be_made(size: int):
    with pytest.raises(AssertionError):
        BookOrder(1, 1, BUY, size, 100)


@pytest.mark.parametrize("size", ["0.12345678", "0.0005", "0"])
def test_size_off_the_lot_or_below_the_least_then_the_instrument_names_the_fault(size: str):
    lots = {"lot_units": 10**5, "size_min_units": 10**5}
    instrument = msgspec.structs.replace(make_instrument(size_decimals=8), **lots)
    units = units_from_text(size, instrument.size_decimals)
    assert instrument.size_fault(units, is_market=False) is not None


def test_same_feed_when_played_three_times_then_tells_the_same():
    def told() -> list[str]:
        t = tape()
        t.send(0, BUY, 3, 100)
        t.send(5, SELL, 6, 100, account=2)
        t.trade(20, SELL, 99, 4)
        t.change(30, (BUY, 100, 0), (SELL, 99, 9))
        t.run()
        return [repr(event) for event in t.events]

    assert told() == told() == told()


def test_position_taken_over_then_is_flat_and_its_orders_must_have_gone_before():
    t = tape()
    t.send(0, BUY, 4, 101)
    leaving = t.send(5, SELL, 2, 103, reduce_only=True)
    t.run()
    with pytest.raises(AssertionError, match="has orders"):
        t.book.take_over(1)
    t.book.cancel(leaving.order_id, 20)
    t.book.take_over(1)
    t.book.take_over(2)
    assert t.book.positions == {1: 0}
    assert (t.book.position(1), t.book.position(2)) == (0, 0)


# what nobody may do to it -----------------------------------------------------------------------


def test_book_called_from_inside_its_own_call_then_refuses():
    seen: list[str] = []

    def new_id() -> int:
        try:
            book.cancel(1, 5)
        except RuntimeError as error:
            seen.append(str(error))
        return 7

    levels = ExternalLevels()
    levels.set_level(SELL, 101, 1)
    book = MatchingBook(levels, new_id=new_id)
    book.submit(BookOrder(1, 1, BUY, 2, 101), 4)
    assert seen == ["the matching book was called from inside a call of its own"]
    assert book.positions == {1: 1}


def test_order_when_submitted_twice_or_to_two_books_then_is_refused():
    first, second = (MatchingBook(ExternalLevels(), new_id=OrderIds()) for _ in range(2))
    order = BookOrder(1, 1, BUY, 2, 100)
    first.submit(order, 1)
    for book in (first, second):
        with pytest.raises(AssertionError, match="submitted before"):
            book.submit(order, 2)
    with pytest.raises(AssertionError, match="is taken"):
        first.submit(BookOrder(1, 2, SELL, 1, 200), 3)


@pytest.mark.parametrize(
    ("price", "size"), [(0, 1), (-5, 1), (2**62, 1), (100, -1), (2**63, 1), (100, 2**63)]
)
def test_level_that_cannot_be_then_is_refused_and_changes_nothing(price: int, size: int):
    levels = ExternalLevels()
    with pytest.raises((AssertionError, OverflowError)):
        levels.set_level(BUY, price, size)
    assert levels.best() == (None, None)


@pytest.mark.parametrize(("price", "size"), [(0, 1), (-5, 1), (2**62, 1), (100, -1)])
def test_trade_that_cannot_be_then_is_refused_and_fills_nobody(price: int, size: int):
    t = tape()
    order = t.send(0, BUY, 3, 100)
    t.run()
    with pytest.raises(AssertionError):
        t.book.on_trade(SELL, price, size, 20)
    assert order.filled_units == 0
    assert t.book.last_price_units == 0


def test_own_size_when_more_is_taken_back_than_was_shown_then_is_refused():
    levels = ExternalLevels()
    levels.add_own(BUY, 100, 2)
    with pytest.raises(AssertionError, match="own size at 100 would be -1"):
        levels.remove_own(BUY, 100, 3)
    assert levels.best() == ((100, 2), None)


def test_orders_and_books_when_either_is_dropped_first_then_the_other_lives_on():
    book = MatchingBook(ExternalLevels(), new_id=OrderIds())
    orders = [BookOrder(n, 1, BUY, 1, 100, reduce_only=False) for n in range(1, 50)]
    for order in orders:
        book.submit(order, 1)
    events = book.drain()
    del book
    assert repr(orders[0]) == "BookOrder(1 BUY 1/1@100 RESTING)"
    del orders, order
    assert repr(events[-1]) == (
        "Working(order=BookOrder(49 BUY 1/1@100 RESTING), remaining_units=1, ahead_units=0, "
        "now_ns=1)"
    )


def test_port_that_fails_in_the_middle_then_the_error_is_told_and_the_book_answers_on():
    class Broken(PlainLevels):
        def take(self, side: Side, size_units: int, limit_price_units: int | None) -> list[Level]:
            raise LookupError("no levels today")

    book = MatchingBook(Broken(), new_id=OrderIds())
    with pytest.raises(LookupError):
        book.submit(BookOrder(1, 1, BUY, 2, 100), 1)
    book.on_trade(SELL, 99, 5, 2)
    assert book.positions == {}
