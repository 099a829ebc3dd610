"""Order-flow momentum on constructed touches; flows and ticks are worked out beside them."""

import pytest

from tests.unit.engine.bench import BTC, CONFIG, instrument
from tests.unit.strategy.library.stage import Stage
from tickwright.core.errors import ConfigError
from tickwright.core.events import InstrumentChanged
from tickwright.core.orders import Side
from tickwright.strategy.library.order_flow import OrderFlow, OrderFlowParameters, flow_of
from tickwright.strategy.parameters import parameters_from

TWO_BUCKETS = {"window_ms": 200, "buckets": 2, "entry_ticks": 2.0, "exit_ticks": 0.5}


def stage(**changes) -> Stage:
    parameters = parameters_from(OrderFlowParameters, {**TWO_BUCKETS, **changes})
    return Stage(OrderFlow(), parameters, config=CONFIG, is_shown=False)


def touch(one: Stage, bid_size: int, ask_size: int, *, bid: int = 600_000, **keys) -> None:
    # What stands behind the touch counts for sizing, never for the flow.
    spread = keys.pop("spread", 1)
    one.show(
        [(bid, bid_size), (bid - 1, 10**6)],
        [(bid + spread, ask_size), (bid + spread + 1, 10**6)],
        **keys,
    )


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((100, 7, 101, 5), 2),  # two more on the bid
        ((100, 5, 101, 2), 3),  # three fewer on the ask
        ((101, 4, 102, 6), 4 + 5),  # the bid steps up with 4, the ask of 5 is gone
        ((99, 4, 100, 6), -5 - 6),  # the bid of 5 is gone, the ask steps down with 6
        ((100, 5, 101, 5), 0),
    ],
)
def test_flow_when_the_touch_changes_then_as_the_paper_says(now, expected):
    assert expected == flow_of((100, 5, 101, 5), now)


def warm(one: Stage) -> None:
    """Fill both buckets with a still touch of 10 and 10: no flow."""
    for _ in range(5):
        touch(one, 10, 10, after_ms=50)


def test_entry_when_the_flow_explains_the_ticks_then_long_with_confidence_and_stops():
    one = stage()
    warm(one)
    # The window holds three updates of 20 a touch. Now 30 more on the bid: flow +30, depth 110 over
    # four updates is 13.75 a side, and 30 / 27.5 = 1.09 ticks: too few.
    touch(one, 40, 10, after_ms=10)
    assert [] == one.verdicts()
    # And 40 more: flow +70, depth 200 over five, 20 a side: 70 / 40 = 1.75.
    touch(one, 80, 10, after_ms=10)
    assert [] == one.verdicts()
    # 8 of the ask are gone: flow +78, depth 282 over six, 23.5 a side: 78 / 47 = 1.66.
    touch(one, 80, 2, after_ms=10)
    assert [] == one.verdicts()
    # And 60 more on the bid: flow +138, depth 424 over seven: 138 x 7 / 424 = 2.278 ticks.
    touch(one, 140, 2, after_ms=10)
    (notice,) = one.verdicts()
    assert "flow explains +2.3 ticks" == notice.signal.reason
    assert 138 * 7 / 424 / 4 == pytest.approx(notice.signal.confidence)
    assert notice.signal.exits is not None
    assert 10_000 == notice.signal.exits.time_stop_ms
    order = one.placed()
    assert Side.BUY is order.side


def enter(one: Stage) -> None:
    warm(one)
    touch(one, 400, 10, after_ms=10)
    one.execute(one.placed(), price=600_001)


def test_exit_when_the_flow_turns_then_left_once():
    one = stage()
    enter(one)
    touch(one, 400, 10, after_ms=10)
    assert [] == one.places()
    # 400 on the bid are gone and the ask came down with 300: -400 - 300.
    touch(one, 50, 300, bid=599_999, after_ms=10)
    order = one.placed()
    assert (Side.SELL, True) == (order.side, order.reduce_only)
    one.execute(order, price=599_999)
    assert 0 == one.share()


def test_exit_when_nothing_turned_then_the_time_ends_it():
    one = stage(hold_ms=5_000)
    enter(one)
    before = one.share()
    touch(one, 400, 10, after_ms=10)
    one.pass_time(4_000)
    assert before == one.share()
    touch(one, 400, 10, after_ms=800)
    one.pass_time(300)
    closing = [o for o in one.places(one.log) if o.reduce_only]
    assert [before] == [order.size_units for order in closing]


def test_entry_when_the_spread_is_wide_then_nothing():
    one = stage(spread_ticks_max=1)
    for _ in range(5):
        touch(one, 10, 10, spread=2, after_ms=50)
    touch(one, 900, 10, spread=2, after_ms=10)
    assert [] == one.verdicts()


def test_window_when_the_oldest_bucket_leaves_then_its_flow_is_forgotten():
    one = stage(entry_ticks=1.5)
    warm(one)
    touch(one, 30, 10, after_ms=10)  # +20: 20 / (2 x 12) = 0.83 ticks
    assert [] == one.verdicts()
    for _ in range(5):
        touch(one, 30, 10, after_ms=50)
    # Had the +20 stayed, these +60 would explain 80 / (2 x ~25) > 1.5; alone they are below.
    touch(one, 90, 10, after_ms=1)
    assert [] == one.verdicts()


def test_window_when_silent_for_long_then_empty_and_cheap():
    one = stage()
    warm(one)
    touch(one, 10, 10, after_ms=3_600_000)
    one.sync()
    touch(one, 35, 10, after_ms=1)
    # The window holds what came after the silence alone: flow +25 of two updates, depth 65.
    assert [] == one.verdicts()  # 25 x 2 / 65 = 0.77 ticks


def test_book_when_out_of_sync_then_the_window_starts_anew():
    one = stage()
    warm(one)
    one.stale()
    touch(one, 900, 10, after_ms=10)
    assert [] == one.verdicts()


def test_position_when_restored_then_it_is_left_when_the_flow_turns():
    one = stage()
    enter(one)
    fresh = OrderFlow()
    fresh.bind(one.strategies["one"].context)
    fresh.on_start()
    assert one.share() == fresh._flows[BTC].size_units


def test_orders_when_the_tick_changes_then_the_window_starts_anew():
    one = stage()
    warm(one)
    rules = instrument(tick_units=5, version=2)
    one.books[BTC].change_instrument(rules)
    one.handle(InstrumentChanged(rules))
    touch(one, 900, 10, spread=5, after_ms=10)
    assert [] == one.verdicts()


def test_order_when_rejected_then_asked_for_again_after_the_rest():
    one = stage(rest_ms=500, entry_ticks=1.5)
    warm(one)
    touch(one, 400, 10, after_ms=10)
    one.reply_refused(one.placed(), "no")
    touch(one, 800, 10, after_ms=10)
    assert [] == one.places()
    touch(one, 1_600, 10, after_ms=400)
    touch(one, 9_600, 10, after_ms=100)
    assert 1 == len(one.places())  # 9,200 x 2 / 11,220 = 1.57 ticks


def test_parameters_when_buckets_are_shorter_than_a_millisecond_then_refused():
    with pytest.raises(ConfigError, match="window_ms 10 must be at least buckets 20"):
        parameters_from(OrderFlowParameters, {"window_ms": 10, "buckets": 20})
