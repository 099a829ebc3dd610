"""Execution quality of runs whose right answers were worked out by hand."""

import msgspec
import numpy as np
import pytest

from tests.unit.backtest.made_runs import MadeRun, instrument, near
from tickwright.backtest.quality import MarkoutRow, Quality, QualityRow, make_quality
from tickwright.backtest.quality_marks import estimate
from tickwright.backtest.quality_orders import ENDS_MAX, quantiles
from tickwright.matching.levels import UNSEEN_UNITS


def quality(run: MadeRun) -> Quality:
    return make_quality(run.record())


def markout(found: Quality, horizon_s: int, liquidity: str) -> MarkoutRow:
    for row in found.markouts:
        if (row.horizon_s, row.liquidity) == (horizon_s, liquidity):
            return row
    raise AssertionError(f"no markout of {liquidity} at {horizon_s} s")


def group(found: Quality, by: str, key: str) -> QualityRow:
    return {(row.by, row.key): row for row in found.groups}[by, key]


def quoted() -> MadeRun:
    """Return a run of a maker buy at 99.9 and a taker buy at 100.2 under a mid that is 100.

    The mid stays for ten seconds, then falls to 99.5, and to 99 after thirty.
    """
    run = MadeRun(seconds=120)
    for at in range(121):
        run.mid(at, 100 if at < 10 else 99.5 if at < 30 else 99)
    run.order("make", 1, 1, 99.9, mid=100.1, arrived=0.25, rested=0.25, ahead=2, ended=8, known=8.1)
    run.order("take", 1, 1, at=20, mid=99.6, arrived=20.25, ended=20.25, known=20.5)
    run.fill(8, 1, 1, 99.9, order="make", maker=True, mid=100, cause="traded through")
    run.fill(20.25, 1, 1, 100.2, order="take", mid=99.5)
    return run


def test_markout_when_the_mid_falls_then_each_horizon_tells_what_the_fill_was_worth():
    found = quality(quoted())

    # Bought as maker at 99.9: 100 after one second, 99.5 after five, 99 after thirty.
    made = [markout(found, horizon, "maker") for horizon in (1, 5, 30)]
    assert near([0.1 / 99.9 * 1e4, -0.4 / 99.9 * 1e4, -0.9 / 99.9 * 1e4]) == [
        row.markout.mean_bp for row in made
    ]
    assert near([0.1, -0.4, -0.9]) == [row.money for row in made]
    assert near([0.0, 0.5 / 99.9 * 1e4, 1 / 99.9 * 1e4]) == [row.adverse.mean_bp for row in made]
    assert [0.0, 1.0, 1.0] == [row.adverse_share for row in made]
    took = markout(found, 5, "taker")
    assert near(-0.7 / 100.2 * 1e4) == took.markout.mean_bp
    assert near(1.4 / 100.2 * 1e4) == took.realised_spread_bp
    # One fill is no sample.
    assert None is took.markout.error_bp


def test_markout_when_both_mids_are_known_then_is_half_the_spread_less_the_adverse_move():
    found = quality(quoted())

    for liquidity in ("maker", "taker"):
        spread = next(row for row in found.liquidity if row.liquidity == liquidity)
        assert spread.effective_spread.mean_bp is not None
        for horizon in (1, 5, 30):
            row = markout(found, horizon, liquidity)
            assert row.adverse.mean_bp is not None
            expected = -spread.effective_spread.mean_bp / 2 - row.adverse.mean_bp
            assert near(expected, abs=1e-9) == row.markout.mean_bp


def test_liquidity_when_a_fill_made_and_one_took_then_spread_and_slippage_stand_apart():
    found = quality(quoted())

    _, made, took = found.liquidity
    assert (1, near(99.9), near(99.9 / 200.1)) == (made.fills, made.notional, made.share)
    # The maker earned 0.2 of 99.9, the taker paid 1.4 of 100.2.
    assert near(-0.2 / 99.9 * 1e4) == made.effective_spread.mean_bp
    assert near(1.4 / 100.2 * 1e4) == took.effective_spread.mean_bp
    assert near(0.6 / 100.2 * 1e4) == took.slippage.mean_bp
    assert near(0.7 / 100.2 * 1e4) == took.arrival_slippage.mean_bp
    assert near(-0.1 / 100.2 * 1e4) == took.delay.mean_bp
    assert near(0.6) == took.slippage_money
    assert near(-0.2) == made.slippage_money


def test_markout_when_no_sample_lies_between_then_it_is_unknown_and_not_counted():
    run = MadeRun(seconds=20).order("a", 1, 1, 100.0, mid=100)
    run.fill(5, 1, 1, 100, order="a", maker=True, mid=100)
    run.mid(0, 100).mid(4, 100).mid(8, None).mid(12, 101)

    found = quality(run)

    # One second on there is only the sample before the fill; five on, no mid; thirty on, no market.
    assert [(0, None)] * 3 == [
        (row.markout.fills, row.markout.mean_bp)
        for row in found.markouts
        if row.liquidity == "maker"
    ]
    assert [0.0] * 3 == [row.money for row in found.markouts if row.liquidity == "maker"]
    assert 4000.0 == found.mid_step_ms


def test_markout_when_the_book_was_stale_in_between_then_an_old_mid_is_not_taken_for_the_new():
    run = MadeRun(seconds=60).order("a", 1, 1, 100.0)
    run.fill(5, 1, 1, 100, order="a", maker=True, mid=100)
    for at in [*range(8), *range(34, 60)]:
        run.mid(at, 101)

    found = quality(run)

    # Five seconds on, the last mid is three seconds old; after thirty the book is back.
    assert [1, 0, 1] == [row.markout.fills for row in found.markouts if row.liquidity == "maker"]


def test_estimate_when_fills_share_a_moment_then_they_count_as_one_for_the_error():
    values, weights = np.array([1.0, 1.0, 3.0, 3.0]), np.array([1.0, 1.0, 1.0, 1.0])

    alone = estimate(values, weights, np.arange(4))
    shared = estimate(values, weights, np.array([7, 7, 9, 9]))

    assert (2.0, 2.0) == (alone.mean_bp, shared.mean_bp)
    # sqrt(4 / 3 x 4) / 4 for four, sqrt(2 x (2^2 + 2^2)) / 4 for two.
    assert (near((16 / 3) ** 0.5 / 4), near(1.0)) == (alone.error_bp, shared.error_bp)


def test_estimate_when_weights_differ_then_the_mean_follows_the_notional():
    found = estimate(np.array([1.0, 5.0, np.nan]), np.array([3.0, 1.0, 9.0]), np.arange(3))

    assert (2, 2.0) == (found.fills, found.mean_bp)


def test_estimate_when_rows_are_independent_then_its_error_is_that_of_repeated_samples():
    chance = np.random.default_rng(3)
    means, errors = [], []
    for _ in range(400):
        drawn = estimate(chance.normal(2.0, 5.0, 100), chance.uniform(1, 3, 100), np.arange(100))
        assert drawn.mean_bp is not None
        assert drawn.error_bp is not None
        means.append(drawn.mean_bp)
        errors.append(drawn.error_bp)

    assert near(float(np.std(means)), rel=0.1) == float(np.mean(errors))


def test_orders_when_some_fill_and_some_do_not_then_ratios_count_those_that_arrived():
    run = MadeRun().order("a", 1, 1, 100.0, at=1, rested=1.5, ended=3, filled=1)
    run.order("b", 1, 4, 50.0, at=1, rested=1.5, cancel=2, ended=4, state="cancelled", filled=1)
    run.order("c", -1, 2, 100.0, at=1, rested=1.5, cancel=2, ended=2.5, state="cancelled")
    run.order("d", -1, 2, 100.0, at=1, state="rejected", reason="110007 no money", ended=1.1)
    run.order("e", -1, 9, 100.0, at=1, state="intended")
    run.orders[-1].arrived_ns = 0
    run.fill(3, 1, 1, 100, order="a", maker=True).fill(3.5, 1, 1, 50, order="b", maker=True)

    found = quality(run)

    orders = found.orders
    assert (5, 4, 3, 2, 1) == (
        orders.orders,
        orders.arrived,
        orders.rested,
        orders.filled_any,
        orders.filled_whole,
    )
    # 100 + 50 of 100 + 200 + 200 + 200.
    assert (0.5, near(150 / 700)) == (orders.fill_ratio_orders, orders.fill_ratio_size)
    assert (2, 1.0, 1, 0.5) == (
        orders.cancels,
        orders.cancel_to_fill,
        orders.races,
        orders.race_share,
    )
    assert (1, near(50.0)) == (found.race_fills, found.race_notional)
    assert [("cancelled", "", 2), ("filled", "", 1)] == [
        (row.state, row.reason, row.orders) for row in found.ends[:2]
    ]
    assert ("rejected", "110007 no money") in [(row.state, row.reason) for row in found.ends]
    # a waited two seconds for its fill, b two and a half, and c was never filled.
    assert (2, 2250.0) == (found.queue_first_ms.count, found.queue_first_ms.p50)
    assert (1, 2000.0) == (found.queue_whole_ms.count, found.queue_whole_ms.max)
    assert (1, 1500.0) == (found.unfilled_ms.count, found.unfilled_ms.p50)


def test_queue_when_size_ahead_grows_then_the_quarters_tell_fewer_fills():
    run = MadeRun(seconds=100)
    for index in range(8):
        state = "filled" if index < 4 else "cancelled"
        run.order(f"o{index}", 1, 1, 100.0, rested=1, ahead=index, ended=20, state=state)
        if index < 4:
            run.fill(2 + index, 1, 1, 100, order=f"o{index}", maker=True)

    found = quality(run)

    assert [(0.0, 100.0, 1.0), (200.0, 300.0, 1.0), (400.0, 500.0, 0.0), (600.0, 700.0, 0.0)] == [
        (row.ahead_from, row.ahead_to, row.fill_ratio_orders) for row in found.queue
    ]
    assert [1500.0, 3500.0, None, None] == [row.first_fill_ms_p50 for row in found.queue]
    assert 350.0 == found.ahead_notional.p50


def test_queue_when_an_order_is_deeper_than_the_feed_shows_then_its_place_counts_nowhere():
    run = MadeRun(seconds=100)
    run.order("deep", 1, 1, 90.0, rested=1, ahead=UNSEEN_UNITS // 1_000 + 1, ended=20)
    run.order("seen", 1, 1, 100.0, rested=1, ahead=3, ended=20)

    found = quality(run)

    assert [(300.0, 300.0, 1)] == [
        (row.ahead_from, row.ahead_to, row.orders) for row in found.queue
    ]
    assert (1, 300.0) == (found.ahead_notional.count, found.ahead_notional.max)
    assert 2 == found.orders.rested


def test_groups_when_two_symbols_trade_then_each_has_its_own_quality():
    bitcoin, ether = instrument("BTCUSDT"), instrument("ETHUSDT")
    run = MadeRun(bitcoin, ether, seconds=7300)
    run.order("a", 1, 1, 100.0, mid=100, rested=1, ended=5)
    run.order("b", -1, 1, at=7200, of=str(ether.id), strategy="fade", mid=10)
    run.fill(5, 1, 1, 100, order="a", maker=True, mid=100.5)
    run.fill(7201, -1, 1, 9.9, order="b", mid=10, of=str(ether.id), strategy="fade")
    for at in range(7300):
        run.mid(at, 101).mid(at, 10, of=str(ether.id))

    found = quality(run)

    assert [("symbol", 2), ("strategy", 2), ("hour", 2)] == [
        (by, sum(row.by == by for row in found.groups)) for by in ("symbol", "strategy", "hour")
    ]
    first = group(found, "symbol", str(bitcoin.id))
    assert (1, 1.0, near(100.0)) == (first.fills, first.maker_share, first.maker_markout_bp[0])
    assert (None, None, None) == first.taker_markout_bp
    second = group(found, "strategy", "fade")
    assert (0.0, near(0.1 / 9.9 * 1e4)) == (second.maker_share, second.slippage_bp)
    assert near((-0.1, -0.1, -0.1)) == second.markout_money
    hour = msgspec.structs.replace(group(found, "hour", "02"), by="strategy", key="fade")
    assert second == hour


def test_refusals_and_latencies_when_recorded_then_are_counted_by_place_and_kind():
    run = quoted().with_(
        refusals={"lean": {"position_limit": 3, "stale_book": 5}},
        venue_refusals={"110007: no money": 2},
        latencies={"order": np.array([1_000_000, 3_000_000]), "feed": np.array([], np.int64)},
    )

    found = quality(run)

    assert [
        ("gate", "lean", "stale_book", 5),
        ("gate", "lean", "position_limit", 3),
        ("venue", "", "110007: no money", 2),
    ] == [(row.place, row.strategy, row.reason, row.count) for row in found.refusals]
    by_kind = {row.kind: row for row in found.latencies}
    assert ["drawn: order", "decision to arrival", "fill to known", "end to known"] == list(by_kind)
    drawn = by_kind["drawn: order"]
    assert (2, 2.0, 3.0) == (drawn.ms.count, drawn.ms.p50, drawn.ms.max)
    assert (2, len(drawn.counts) + 1) == (sum(drawn.counts), len(drawn.bins_ms))
    assert 250.0 == near(by_kind["decision to arrival"].ms.p50)


def test_causes_when_fills_have_them_then_each_has_its_worth():
    found = quality(quoted())

    assert [("taker", 1), ("traded through", 1)] == [(row.cause, row.fills) for row in found.causes]
    assert near(-0.4 / 99.9 * 1e4) == found.causes[1].markout_bp


@pytest.mark.parametrize("run", [MadeRun(), MadeRun(seconds=0), MadeRun().mid(0, 100)])
def test_quality_when_nothing_happened_then_all_of_it_is_unknown(run: MadeRun):
    found = quality(run)

    assert (0, None, None, None) == (
        found.orders.orders,
        found.orders.fill_ratio_orders,
        found.orders.cancel_to_fill,
        found.orders.race_share,
    )
    assert {(0, None)} == {(row.markout.fills, row.markout.mean_bp) for row in found.markouts}
    assert ((), (), (), ()) == (found.queue, found.groups, found.latencies, found.ends)
    assert 0 == found.queue_first_ms.count


def test_quality_when_a_fill_has_no_order_then_it_counts_as_fill_alone():
    run = MadeRun().fill(1, 1, 1, 100, kind="liquidation", mid=100).mid(0, 100)
    run.fill(2, 1, 1, 100, mid=99)

    found = quality(run)

    assert (1, None) == (found.liquidity[0].fills, found.liquidity[0].slippage.mean_bp)
    assert near(200.0) == found.liquidity[0].effective_spread.mean_bp


def test_ends_when_reasons_are_many_then_the_rarest_are_joined():
    run = MadeRun()
    for index in range(ENDS_MAX + 10):
        run.order(f"o{index}", 1, 1, 100.0, state="rejected", reason=f"reason {index}")

    ends = quality(run).ends

    assert (ENDS_MAX + 1, "(others)", 10) == (len(ends), ends[-1].state, ends[-1].orders)


def test_quantiles_when_a_sample_is_given_then_are_its_percentiles():
    found = quantiles(np.arange(101))

    assert (101, 10.0, 50.0, 90.0, 99.0, 100.0) == (
        found.count,
        found.p10,
        found.p50,
        found.p90,
        found.p99,
        found.max,
    )
