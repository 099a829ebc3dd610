"""What a chart keeps of a long series, and what it shows around a round trip."""

import numpy as np
import pytest

from tests.unit.backtest.made_runs import SECOND, START, MadeRun
from tickwright.backtest.charts_points import shortened
from tickwright.backtest.charts_trips import (
    FILLS_CHARTED,
    MIDS_CHARTED,
    ORDERS_CHARTED,
    TRIPS_CHARTED,
    TripChart,
    make_trip_charts,
    pick_trips,
)
from tickwright.backtest.metrics_columns import make_columns
from tickwright.backtest.metrics_trips import make_trips


def charts(run: MadeRun) -> tuple[TripChart, ...]:
    record = run.record()
    columns = make_columns(record)
    trips = make_trips(columns)
    return make_trip_charts(record, columns, trips, pick_trips(trips))


def test_shortened_when_a_series_is_long_then_every_extreme_and_both_ends_stay():
    values = np.random.default_rng(1).normal(size=100_000).cumsum()
    values[31_415], values[92_653] = 1e9, -1e9

    kept = shortened(values, 500, keep=(7, -1, 10**9))

    assert len(kept) <= 500
    assert (np.diff(kept) > 0).all()
    assert {0, 7, 31_415, 92_653, 99_999} <= set(kept.tolist())


def test_shortened_when_a_series_is_short_then_all_of_it_stays():
    assert [0, 1, 2] == shortened(np.array([3.0, 1.0, 2.0]), 4).tolist()
    assert [] == shortened(np.empty(0), 4).tolist()


def test_shortened_when_points_are_too_few_then_refuses():
    with pytest.raises(ValueError, match="can't hold"):
        shortened(np.arange(100), 3)


def test_trip_chart_when_a_trip_is_shown_then_has_its_market_orders_and_fills():
    run = MadeRun(seconds=60)
    for at in range(61):
        run.mid(at, None if at == 22 else 100 + at / 100)
    run.order("in", 1, 2, 100.05, at=18, rested=18.5, ended=20)
    run.order("out", -1, 2, at=26)
    run.order("far", 1, 1, 90.0, at=40, rested=40, ended=50, state="cancelled")
    run.order("open", 1, 1, 99.0, at=2, rested=2, state="working")
    run.fill(20, 1, 2, 100.05, order="in", maker=True).fill(26, -1, 2, 100.4, order="out")

    (chart,) = charts(run)

    # Twenty to twenty-six with five seconds around, and one sample before.
    assert (1, (START + 15 * SECOND) / 1e6) == (chart.trip, chart.start_ms)
    assert (5000.0, 11_000.0, 0.0) == (chart.entry_ms, chart.exit_ms, chart.mid_ms[0])
    assert (100.14, 100.15) == chart.mid[:2]
    assert None is dict(zip(chart.mid_ms, chart.mid, strict=True))[7000.0]
    assert ["in", "open"] == [order.client_id for order in chart.orders]
    first, still = chart.orders
    assert (3000.0, 5000.0, 100.05, 2.0, "filled") == (
        first.from_ms,
        first.to_ms,
        first.price,
        first.filled,
        first.state,
    )
    # What rested before and after is cut at the edges.
    assert (0.0, 16_000.0) == (still.from_ms, still.to_ms)
    assert [(5000.0, 100.05, 1, True), (11_000.0, 100.4, -1, False)] == [
        (fill.at_ms, fill.price, fill.side, fill.is_maker) for fill in chart.fills
    ]
    assert (0, 0) == (chart.orders_left_out, chart.fills_left_out)


def test_trip_chart_when_much_lies_around_then_is_cut_to_its_bounds_and_says_so():
    run = MadeRun(seconds=2000)
    for at in range(2000):
        run.mid(at, 100 + at % 7)
    run.order("in", 1, 1).order("out", -1, 1)
    run.fill(100, 1, 1, 100, order="in")
    for index in range(200):
        run.order(f"o{index}", 1, 1, 99.0, at=200 + index, ended=300 + index, state="cancelled")
        run.fill(200 + index, 1, 1, 100, strategy="fade")
    run.fill(1900, -1, 1, 101, order="out")

    (chart,) = charts(run)

    assert len(chart.mid) <= MIDS_CHARTED
    assert {100.0, 106.0} <= {*chart.mid}
    assert (ORDERS_CHARTED, 200 - ORDERS_CHARTED) == (len(chart.orders), chart.orders_left_out)
    assert (FILLS_CHARTED, 202 - FILLS_CHARTED) == (len(chart.fills), chart.fills_left_out)
    assert (100, "out") == (chart.fills[0].price, chart.fills[-1].client_id)


def test_trip_chart_when_the_tape_has_no_mids_then_shows_the_fills_alone():
    run = MadeRun().order("a", 1, 1).order("b", -1, 1)
    run.fill(1, 1, 1, 100, order="a").fill(2, -1, 1, 101, order="b")

    (chart,) = charts(run)

    assert ((), 2) == (chart.mid, len(chart.fills))


def test_trip_chart_when_fills_came_out_of_order_then_points_to_the_right_ones():
    run = MadeRun().order("a", 1, 1).order("b", -1, 1)
    run.fill(9, -1, 1, 101, order="b").fill(8, 1, 1, 100, order="a")

    (chart,) = charts(run)

    assert [("a", 100.0), ("b", 101.0)] == [(one.client_id, one.price) for one in chart.fills]


def test_pick_trips_when_they_are_many_then_holds_the_best_and_the_worst():
    run = MadeRun(seconds=10_000)
    for index in range(400):
        result = 50 if index == 123 else -50 if index == 321 else index % 3 - 1
        run.order(f"i{index}", 1, 1).order(f"o{index}", -1, 1)
        run.fill(index * 10, 1, 1, 100, order=f"i{index}")
        run.fill(index * 10 + 5, -1, 1, 100 + result, order=f"o{index}")

    picked = pick_trips(make_trips(make_columns(run.record())))

    assert TRIPS_CHARTED == len(picked) == len(set(picked))
    assert {123, 321} <= set(picked)
    assert sorted(picked) == picked
