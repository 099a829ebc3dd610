"""Execution algorithms as pure planners: hand-computed steps, and what must hold whatever comes."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.engine.bench import MS, START, instrument
from tickwright.core.orders import Side, TimeInForce
from tickwright.core.work import FollowTouch, Iceberg, Marketable, Twap, WorkIntent
from tickwright.execution.algorithms import (
    ChildView,
    Finish,
    FollowPlanner,
    IcebergPlanner,
    MarketablePlanner,
    Move,
    Place,
    TwapPlanner,
    View,
    Wait,
    planner_for,
    schedule,
)

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC


def view(at_ms: float = 0, bid: int | None = 600_000, ask: int | None = 600_001, **changes: Any):
    values: dict[str, Any] = {"remaining_units": 100, **changes}
    return View(now_ns=START + int(at_ms * MS), bid=bid, ask=ask, **values)


def child(price: int, remaining: int = 100, *, is_movable: bool = True) -> ChildView:
    return ChildView(price, remaining, is_movable)


# following the touch ------------------------------------------------------------------------------


def follow(side: Side = BUY, **changes: Any) -> FollowPlanner:
    wish = FollowTouch(
        **{"amend_ms_min": 200, "give_up_ms": 5_000, "chase_bps_max": 1.0, **changes}
    )
    return FollowPlanner(wish, side, instrument(), START)


def test_follow_when_it_begins_then_post_only_at_the_own_touch_with_its_worst_price():
    # 1 bp of 600000 is 60 ticks.
    assert Place(600_000, 100, GTC, 600_060, post_only=True) == follow().next(view())
    assert Place(600_001, 100, GTC, 599_941, post_only=True) == follow(SELL).next(view())


def test_follow_when_offset_then_rests_that_many_ticks_behind():
    item = instrument(tick_units=5)
    planner = FollowPlanner(FollowTouch(offset_ticks=3), BUY, item, START)
    step = planner.next(view(bid=600_000, ask=600_005))
    assert isinstance(step, Place)
    assert 599_985 == step.price_units


def test_follow_when_the_touch_moves_then_moved_but_not_before_its_interval():
    planner = follow()
    planner.next(view())
    resting = child(600_000)
    assert Wait(START + 5_000 * MS) == planner.next(view(50, child=resting, last_sent_ns=START))
    early = view(50, bid=600_010, ask=600_011, child=resting, last_sent_ns=START)
    assert Wait(START + 200 * MS) == planner.next(early)
    due = view(200, bid=600_010, ask=600_011, child=resting, last_sent_ns=START)
    assert Move(600_010) == planner.next(due)
    back = view(450, bid=599_990, ask=599_991, child=child(600_010), last_sent_ns=START + 200 * MS)
    assert Move(599_990) == planner.next(back)


def test_follow_when_a_request_is_open_then_waits():
    planner = follow()
    planner.next(view())
    moved = view(900, bid=600_010, child=child(600_000, is_movable=False), last_sent_ns=START)
    assert Wait(START + 5_000 * MS) == planner.next(moved)


def test_follow_when_the_market_runs_away_then_stays_at_its_worst_price():
    planner = follow()
    planner.next(view())
    away = view(900, bid=600_500, ask=600_501, child=child(600_000), last_sent_ns=START)
    assert Move(600_060) == planner.next(away)
    assert Wait(START + 5_000 * MS) == planner.next(
        view(2_000, bid=600_700, ask=600_701, child=child(600_060), last_sent_ns=START + 900 * MS)
    )


def test_follow_when_the_rest_follows_a_fill_then_at_once_and_after_nothing_later():
    planner = follow()
    planner.next(view())
    filled = view(10, remaining_units=40, last_sent_ns=START)
    assert Place(600_000, 40, GTC, 600_060, post_only=True) == planner.next(filled)
    # Cancelled by the venue because it would have taken: not again at once.
    refused = view(10, last_sent_ns=START, is_last_empty=True)
    assert Wait(START + 200 * MS) == planner.next(refused)


def test_follow_when_its_time_is_over_then_gives_up():
    assert Finish("gave up after 5000 ms") == follow().next(view(5_000))


def test_follow_when_a_side_is_empty_then_waits():
    assert Wait(START + 5_000 * MS) == follow().next(view(bid=None))


def test_follow_when_the_rest_is_below_the_smallest_order_then_done():
    item = instrument(size_min_units=10, lot_units=10)
    step = FollowPlanner(FollowTouch(), BUY, item, START).next(view(remaining_units=9))
    assert Finish("the rest is too small for an order", is_done=True) == step


@given(
    st.sampled_from([BUY, SELL]),
    st.integers(0, 20),
    st.floats(0, 50),
    st.lists(st.tuples(st.integers(-3_000, 3_000), st.integers(1, 40)), min_size=1, max_size=30),
)
def test_follow_when_the_market_wanders_then_never_crosses_and_never_beyond_its_worst(
    side, offset, bps, moves
):
    wish = FollowTouch(offset_ticks=offset, chase_bps_max=bps, amend_ms_min=100)
    planner = FollowPlanner(wish, side, instrument(), START)
    first = 600_000 + moves[0][0] + (moves[0][1] if side is SELL else 0)
    held: ChildView | None = None
    sent = 0
    at_ms = 0.0
    for shift, spread in moves:
        bid, ask = 600_000 + shift, 600_000 + shift + spread
        step = planner.next(view(at_ms, bid, ask, child=held, last_sent_ns=sent))
        if isinstance(step, (Place, Move)):
            price = step.price_units
            assert (price < ask) if side is BUY else (price > bid)
            assert (price - first) * side <= first * bps / 10_000
            assert not sent or START + at_ms * MS - sent >= 100 * MS
            held, sent = child(price), START + int(at_ms * MS)
        at_ms += 37.0


# time weighted ------------------------------------------------------------------------------------


def twap(size: int = 100, side: Side = BUY, item: Any = None, **changes: Any) -> TwapPlanner:
    wish = Twap(**{"duration_ms": 10_000, "slices": 4, "slippage_bps_max": 1.0, **changes})
    return TwapPlanner(wish, side, size, item or instrument(), START, Random(1))


def test_schedule_when_even_then_equal_parts_at_equal_times():
    slices = twap(102).slices
    assert [25, 26, 25, 26] == [one.size_units for one in slices]
    assert [0, 2_500, 5_000, 7_500] == [(one.due_ns - START) // MS for one in slices]


def test_schedule_when_slices_would_be_too_small_then_fewer():
    item = instrument(lot_units=10, size_min_units=30)
    slices = schedule(Twap(duration_ms=900, slices=10), 105, item, START, Random(1))
    assert [30, 30, 40] == [one.size_units for one in slices]
    assert [0, 300, 600] == [(one.due_ns - START) // MS for one in slices]


@given(
    st.integers(1, 1_000_000),
    st.integers(1, 500),
    st.floats(0, 0.99),
    st.sampled_from([1, 5, 10, 100]),
    st.integers(1, 500),
    st.integers(0, 1_000),
)
def test_schedule_when_anything_then_whole_lots_that_sum_to_the_size_in_order(
    size, count, fraction, lot, least, seed
):
    item = instrument(lot_units=lot, size_min_units=least)
    wish = Twap(duration_ms=60_000, slices=count, randomise_fraction=fraction)
    slices = schedule(wish, size, item, START, Random(seed))
    assert size // lot * lot == sum(one.size_units for one in slices)
    assert all(one.size_units % lot == 0 for one in slices)
    if size // lot * lot >= -(-least // lot) * lot:
        assert all(one.size_units >= least for one in slices)
    assert len(slices) <= count
    times = [one.due_ns for one in slices]
    assert times == sorted(times)
    assert START == times[0]
    assert times[-1] < START + 60_000 * MS
    assert slices == schedule(wish, size, item, START, Random(seed))


def test_twap_when_slices_fill_then_one_at_a_time_on_its_schedule():
    planner = twap()
    # 1 bp of 600001 is 60 whole ticks.
    assert Place(600_061, 25, IOC, 600_061) == planner.next(view())
    assert Wait(START + 2_500 * MS) == planner.next(
        view(10, remaining_units=75, last_sent_ns=START)
    )
    assert Place(600_061, 25, IOC, 600_061) == planner.next(
        view(2_500, remaining_units=75, last_sent_ns=START)
    )


def test_twap_when_a_slice_found_nothing_then_again_soon_and_later_at_most_double():
    planner = twap()
    planner.next(view())
    empty = view(10, last_sent_ns=START, is_last_empty=True)
    assert Wait(START + 50 * MS) == planner.next(empty)
    again = view(50, last_sent_ns=START, is_last_empty=True)
    assert Place(600_061, 25, IOC, 600_061) == planner.next(again)
    # Three slices late, it catches up by its own size at most.
    late = view(7_500, last_sent_ns=START + 50 * MS, is_last_empty=True)
    assert Place(600_061, 50, IOC, 600_061) == planner.next(late)
    part = view(7_510, remaining_units=60, last_sent_ns=START + 7_500 * MS)
    assert Place(600_061, 10, IOC, 600_061) == planner.next(part)
    rest = view(7_520, remaining_units=50, last_sent_ns=START + 7_510 * MS)
    assert Wait(START + 10_000 * MS) == planner.next(rest)
    assert Finish("not to be had within the cap by the end") == planner.next(
        view(10_000, remaining_units=50, last_sent_ns=START + 7_510 * MS)
    )


def test_twap_when_the_market_is_beyond_the_cap_then_waits_and_caps():
    planner = twap(price_units=600_030)
    assert Place(600_030, 25, IOC, 600_030) == planner.next(view())
    gone = view(2_500, bid=600_100, ask=600_101, remaining_units=75, last_sent_ns=START)
    assert Wait(START + 5_000 * MS) == planner.next(gone)
    sold = twap(side=SELL, price_units=599_990)
    assert Place(599_990, 25, IOC, 599_990) == sold.next(view())


# iceberg ------------------------------------------------------------------------------------------


def iceberg(side: Side = BUY, item: Any = None, **changes: Any) -> IcebergPlanner:
    wish = Iceberg(**{"shown_units": 30, "price_units": 599_900, "give_up_ms": 60_000, **changes})
    return IcebergPlanner(wish, side, item or instrument(), START)


def test_iceberg_when_parts_fill_then_the_next_is_shown_and_the_last_is_the_rest():
    planner = iceberg()
    assert Place(599_900, 30, GTC, 599_900) == planner.next(view())
    resting = child(599_900, 30)
    assert Wait(START + 60_000 * MS) == planner.next(view(10, child=resting, last_sent_ns=START))
    assert Place(599_900, 10, GTC, 599_900) == planner.next(
        view(20, remaining_units=10, last_sent_ns=START)
    )


def test_iceberg_when_a_part_was_refused_then_pauses_and_at_the_end_gives_up():
    planner = iceberg(post_only=True)
    assert Place(599_900, 30, GTC, 599_900, post_only=True) == planner.next(view())
    assert Wait(START + 250 * MS) == planner.next(view(10, last_sent_ns=START, is_last_empty=True))
    assert Finish("gave up after 60000 ms") == planner.next(view(60_000))


def test_iceberg_when_the_part_is_no_order_then_fails_and_a_small_rest_is_done():
    item = instrument(size_min_units=20)
    too_small = iceberg(item=item, shown_units=10).next(view())
    assert Finish("the part to show is smaller than an order may be") == too_small
    assert Finish("the rest is too small for an order", is_done=True) == iceberg(item=item).next(
        view(remaining_units=10)
    )


@given(st.integers(1, 10_000), st.integers(1, 500), st.integers(0, 1_000))
def test_iceberg_when_filled_in_any_parts_then_never_shows_more_and_ends_exactly(size, shown, seed):
    chance = Random(seed)
    planner = iceberg(shown_units=shown, give_up_ms=86_400_000)
    remaining, at_ms = size, 0.0
    while remaining:
        step = planner.next(view(at_ms, remaining_units=remaining, last_sent_ns=START))
        assert isinstance(step, Place)
        assert 0 < step.size_units <= min(shown, remaining)
        remaining -= chance.randint(1, step.size_units)
        at_ms += 1
    assert isinstance(planner.next(view(at_ms, remaining_units=0)), Finish)


# marketable ---------------------------------------------------------------------------------------


def take(side: Side = BUY, item: Any = None, **changes: Any) -> MarketablePlanner:
    wish = Marketable(**{"slippage_bps_max": 1.0, "give_up_ms": 1_000, **changes})
    return MarketablePlanner(wish, side, item or instrument(), START)


def test_marketable_when_it_begins_then_ioc_up_to_the_cap():
    assert Place(600_061, 100, IOC, 600_061) == take().next(view())
    assert Place(599_940, 100, IOC, 599_940) == take(SELL).next(view())


def test_marketable_when_a_part_is_left_then_again_within_the_first_cap():
    planner = take()
    planner.next(view())
    # The touch went up by 50 ticks: the cap did not.
    left = view(10, bid=600_050, ask=600_051, remaining_units=60, last_sent_ns=START)
    assert Place(600_061, 60, IOC, 600_061) == planner.next(left)
    gone = view(20, bid=600_070, ask=600_071, remaining_units=60, last_sent_ns=START)
    assert Wait(START + 1_000 * MS) == planner.next(gone)
    assert Finish("not to be had within the cap in 1000 ms") == planner.next(
        view(1_000, remaining_units=60, last_sent_ns=START)
    )


def test_marketable_when_nothing_was_found_then_a_moment_later():
    planner = take()
    planner.next(view())
    assert Wait(START + 50 * MS) == planner.next(view(10, last_sent_ns=START, is_last_empty=True))


def test_marketable_when_larger_than_an_order_may_be_then_in_several():
    step = take(item=instrument(size_max_units=40)).next(view())
    assert isinstance(step, Place)
    assert 40 == step.size_units


# all of them --------------------------------------------------------------------------------------

ALGORITHMS = (
    FollowTouch(amend_ms_min=50, give_up_ms=20_000, chase_bps_max=3.0),
    Twap(duration_ms=20_000, slices=7, randomise_fraction=0.4, price_units=600_200),
    Twap(duration_ms=20_000, slices=7, slippage_bps_max=2.0),
    Iceberg(shown_units=37, price_units=600_000, give_up_ms=20_000),
    Marketable(slippage_bps_max=2.0, give_up_ms=20_000),
)
OVER_NS = START + 20_000 * MS
"""When the time of each of them is over."""


@example(wish=ALGORITHMS[1], side=BUY, seed=36_698)
@given(st.sampled_from(ALGORITHMS), st.sampled_from([BUY, SELL]), st.integers(0, 100_000))
def test_algorithm_when_anything_happens_then_ends_in_time_and_never_takes_more(wish, side, seed):
    chance = Random(seed)
    size = chance.randint(1, 500)
    item = instrument(lot_units=chance.choice([1, 5]), size_min_units=chance.choice([1, 10]))
    intent = WorkIntent(instrument_id=item.id, side=side, size_units=size, algorithm=wish)
    planner = planner_for(intent, item, START, Random(seed))
    remaining, held, sent, is_empty, at_ms = size, None, 0, False, 0.0
    bid = 600_000
    for _ in range(4_000):
        bid += chance.randint(-20, 20)
        step = planner.next(
            View(
                now_ns=START + int(at_ms * MS),
                bid=bid,
                ask=bid + chance.randint(1, 9),
                remaining_units=remaining,
                child=held,
                last_sent_ns=sent,
                is_last_empty=is_empty,
            )
        )
        if isinstance(step, Finish):
            break
        # Once its time is over nothing is sent any more, and a quote that rests is withdrawn at
        # once. What takes at once or not at all may have been sent a moment before: no cancel can
        # bring that back, so its fate is waited for, however long the venue needs, and the very
        # next answer is the end. To give up earlier would report a size that may still grow.
        assert START + int(at_ms * MS) < OVER_NS or (
            isinstance(step, Wait) and held is not None and isinstance(wish, (Twap, Marketable))
        )
        if isinstance(step, Place):
            assert held is None
            assert (step.time_in_force is IOC) == isinstance(wish, (Twap, Marketable))
            assert 0 < step.size_units <= remaining
            assert 0 == step.size_units % item.lot_units
            assert (step.price_units - step.worst_units) * side <= 0
            if isinstance(wish, Twap) and wish.price_units is not None:
                assert (step.price_units - wish.price_units) * side <= 0
            held, sent = child(step.price_units, step.size_units), START + int(at_ms * MS)
            is_empty = True
        elif isinstance(step, Move):
            assert held is not None
            held = msgspec.structs.replace(held, price_units=step.price_units)
            sent = START + int(at_ms * MS)
        else:
            assert isinstance(step, Wait)
            assert step.until_ns > START + int(at_ms * MS), "it would be asked for ever"
        if held is not None and chance.random() < 0.5:
            filled = chance.randint(0, held.remaining_units)
            remaining -= filled
            is_empty &= not filled
            left = held.remaining_units - filled
            held = None if not left or chance.random() < 0.5 else child(held.price_units, left)
        at_ms += chance.choice([1, 9, 130])
    assert isinstance(step, Finish)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (FollowTouch(chase_bps_max=float("nan")), "chase_bps_max nan is not between 0 and 1000"),
        (FollowTouch(amend_ms_min=1), "amend_ms_min 1 is not between 10 and 8.64e+07"),
        (Twap(duration_ms=0), "duration_ms 0 is not between 1 and 8.64e+07"),
        (Twap(duration_ms=1, slices=501), "slices 501 is not between 1 and 500"),
        (Twap(duration_ms=1, randomise_fraction=1.0), "randomise_fraction 1.0 is not from 0 to"),
        (Iceberg(shown_units=0, price_units=1), "shown_units and price_units must be above zero"),
        (Marketable(slippage_bps_max=-1.0), "slippage_bps_max -1.0 is not between 0 and 1000"),
    ],
)
def test_wish_when_out_of_bounds_then_says_so(wish, words):
    assert str(wish.fault()).startswith(words)
