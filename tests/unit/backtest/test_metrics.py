"""The usual figures of runs whose right answers were worked out by hand."""

from decimal import Decimal

import numpy as np
import pytest

from tests.unit.backtest.made_runs import DAY, HOUR, SECOND, START, MadeRun, instrument, near
from tickwright.backtest.metrics import TRIPS_MIN, Metrics, make_metrics
from tickwright.backtest.metrics_columns import make_columns
from tickwright.backtest.metrics_trips import make_trips
from tickwright.core.identity import Category
from tickwright.core.instrument import Payoff


def figures(run: MadeRun) -> Metrics:
    return make_metrics(run.record())


def won() -> MadeRun:
    """Return a run that buys 2 at 100 as maker and sells them at 110 as taker ten seconds later."""
    run = MadeRun(seconds=100)
    run.order("in", 1, 2, 100.0).order("out", -1, 2, at=20)
    run.fill(10, 1, 2, 100, order="in", maker=True, fee="-0.04")
    run.fill(20, -1, 2, 110, order="out", fee="0.22")
    run.position(10, 2).position(20, 0)
    return run.sample(10, 1000.04, 200).sample(20, 1019.82).sample(100, 1019.82)


def test_metrics_when_one_round_trip_won_then_every_figure_is_exact():
    found = figures(won())

    trips = found.trips
    assert (1, 1, 0, 1.0) == (trips.count, trips.wins, trips.losses, trips.win_rate)
    assert (20.0, near(0.18), near(19.82)) == (
        trips.gross,
        trips.fees,
        trips.net,
    )
    assert near(19.82 / 200 * 1e4) == trips.expectancy_bp
    assert 10.0 == trips.holding_seconds_p50
    assert trips == found.long
    assert 0 == found.short.count
    assert Decimal("19.82") == found.money.net
    assert Decimal("1000") == found.money.starting_equity
    assert near(0.0, abs=1e-9) == found.money.open_result
    assert near(0.01982) == found.returns.total_return
    costs = found.costs
    assert {"USDT": Decimal("0.18")} == costs.fees
    assert (near(-0.04), near(0.22), near(0.04)) == (
        costs.maker_fees,
        costs.taker_fees,
        costs.rebates,
    )
    assert 420.0 == costs.turnover
    assert near(0.18 / 420 * 1e4) == costs.fee_bp
    assert near(420 * 86400 / 100) == costs.turnover_per_day
    assert near(0.1) == found.exposure.time_share
    # 200 for ten of the ninety seconds after the first sample.
    assert near(200 * 10 / 90) == found.exposure.gross_mean
    assert (200.0, near(200 / 1000.04)) == (
        found.exposure.gross_max,
        found.exposure.leverage_max,
    )


def test_metrics_when_samples_are_too_few_then_ratios_are_unknown_and_not_made_up():
    found = figures(won())

    returns = found.returns
    unknown = ("sharpe", "sharpe_error", "sortino", "omega", "calmar", "cagr", "volatility")
    assert [None] * 7 == [getattr(returns, name) for name in unknown]
    assert (0, None) == (returns.samples, returns.sample_seconds)
    assert (None, None) == (found.trips.sqn, found.trips.kelly)
    assert None is found.trips.profit_factor


def test_trips_when_an_order_flips_the_position_then_it_closes_one_and_opens_the_next():
    run = MadeRun().order("a", 1, 1).order("b", -1, 3).order("c", 1, 2)
    run.fill(1, 1, 1, 100, order="a", fee="0.1")
    run.fill(2, -1, 3, 105, order="b", fee="0.3")
    run.fill(3, 1, 2, 101, order="c", fee="0.2")

    trips = make_trips(make_columns(run.record()))

    assert [1, -1] == trips.direction.tolist()
    assert [1000, 2000] == trips.size.tolist()
    assert near([5.0, 8.0]) == trips.gross.tolist()
    # A third of the flip's fee left, two thirds entered.
    assert near([0.1 + 0.1, 0.2 + 0.2]) == trips.fees.tolist()


def test_trips_when_fills_are_partial_then_one_closing_order_is_one_trip_first_in_first_out():
    run = MadeRun().order("a", 1, 3).order("b", 1, 1).order("c", -1, 4)
    run.fill(1, 1, 1, 100, order="a").fill(2, 1, 2, 101, order="a").fill(3, 1, 1, 104, order="b")
    run.fill(10, -1, 2, 103, order="c").fill(12, -1, 2, 102, order="c")

    trips = make_trips(make_columns(run.record()))

    assert [4000] == trips.size.tolist()
    assert near([(3 + 2) + (1 - 2)]) == trips.gross.tolist()
    assert near([(100 + 2 * 101 + 104) / 4 * 100]) == trips.entry.tolist()
    assert near([102.5 * 100]) == trips.leave.tolist()
    assert ([START + SECOND], [START + 12 * SECOND]) == (
        trips.opened_ns.tolist(),
        trips.closed_ns.tolist(),
    )


def test_trips_when_two_orders_scale_out_then_they_are_two_trips():
    run = MadeRun().order("a", 1, 3).order("b", -1, 1).order("c", -1, 1)
    run.fill(1, 1, 3, 100, order="a", fee="0.3")
    run.fill(2, -1, 1, 101, order="b").fill(3, -1, 1, 99, order="c")

    found = figures(run)

    assert (2, 1, 1, 0.5) == (
        found.trips.count,
        found.trips.wins,
        found.trips.losses,
        found.trips.win_rate,
    )
    # 1 - 0.1 and -1 - 0.1: a third of the entry's fee is still held.
    assert near(0.9 / 1.1) == found.trips.profit_factor
    assert (near(0.9), near(-1.1)) == (found.trips.best, found.trips.worst)
    assert near(-0.1) == found.trips.expectancy


def test_trips_when_strategies_and_legs_share_an_instrument_then_each_is_matched_alone():
    run = MadeRun().order("a", 1, 1, strategy="lean").order("b", -1, 1, strategy="fade")
    run.order("c", 1, 1, strategy="fade")
    run.fill(1, 1, 1, 100, order="a", strategy="lean")
    run.fill(2, -1, 1, 110, order="b", strategy="fade")
    run.fill(3, 1, 1, 105, order="c", strategy="fade")
    run.fill(4, 1, 1, 100, strategy="both", leg="long").fill(
        5, -1, 1, 99, strategy="both", leg="short"
    )

    trips = make_trips(make_columns(run.record()))

    assert [5.0] == near(trips.gross.tolist())
    assert [-1] == trips.direction.tolist()


def test_trips_when_the_venue_liquidates_then_that_closes_without_an_order():
    run = MadeRun().order("a", 1, 1)
    run.fill(1, 1, 1, 100, order="a").fill(2, -1, 1, 80, kind="liquidation", fee="0.5")

    found = figures(run)

    assert (1, near(-20.5)) == (found.trips.count, found.trips.net)


def test_trips_when_a_liquidation_names_no_strategy_then_closes_those_that_hold_the_other_side():
    run = MadeRun().order("a", 1, 1).order("b", 1, 3).order("c", -1, 2)
    run.fill(1, 1, 1, 100, order="a", strategy="lean").fill(
        2, 1, 3, 100, order="b", strategy="fade"
    )
    run.fill(3, -1, 2, 100, order="c", strategy="short")
    run.fill(4, -1, 5, 90, strategy="", kind="liquidation", fee="5")

    record = run.record()
    columns = make_columns(record)
    trips = make_trips(columns)

    # Three of the larger, one of the smaller; the fifth opens a position of nobody.
    names = [columns.fills.strategies[code] for code in trips.strategy.tolist()]
    assert [("fade", 3000, -30.0), ("lean", 1000, -10.0)] == sorted(
        zip(names, trips.size.tolist(), trips.gross.tolist(), strict=True)
    )
    assert near(4.0) == float(trips.fees.sum())


def test_metrics_when_funding_is_paid_then_it_stands_apart_from_the_trips():
    run = won().funding(15, "-1.25").funding(16, "0.25", strategy="fade")

    found = figures(run)

    assert {"USDT": Decimal("-1")} == found.costs.funding
    assert near(-1.0) == found.costs.funding_received
    assert near(19.82) == found.trips.net
    assert near(1.0) == found.money.open_result
    by_strategy = {row.key: row for row in found.by_strategy}
    assert (near(-1.25), near(20 - 0.18 - 1.25)) == (
        by_strategy["lean"].funding,
        by_strategy["lean"].net,
    )
    assert (0, near(0.25)) == (by_strategy["fade"].fills, by_strategy["fade"].net)
    assert 2 == found.fills


def test_metrics_when_the_contract_is_inverse_then_profit_is_in_base_and_told_in_equity():
    inverse = instrument("BTCUSD", payoff=Payoff.INVERSE, category=Category.INVERSE)
    run = MadeRun(inverse).order("a", 1, 100).order("b", -1, 100)
    run.fill(1, 1, 100, 100, order="a", fee="0.01", fee_asset="BTC")
    run.fill(2, -1, 100, 125, order="b")

    in_quote = figures(run)
    in_base = figures(run.with_(equity_asset="BTC"))

    # 100 / 100 - 100 / 125 = 0.2 BTC, at 125.
    assert near(25.0) == in_quote.trips.gross
    assert near(0.2) == in_base.trips.gross
    assert (near(1.0), near(0.01)) == (in_quote.costs.fees_paid, 0.01)
    assert near(0.01) == in_base.costs.fees_paid
    assert near(200.0) == in_quote.costs.turnover
    assert near(1.8) == in_base.costs.turnover


def test_metrics_when_a_fee_has_no_rate_then_its_trips_are_unknown_and_its_sum_is_told():
    run = MadeRun().order("a", 1, 1).order("b", -1, 1)
    run.fill(1, 1, 1, 100, order="a", fee="0.5", fee_asset="MNT").fill(2, -1, 1, 101, order="b")

    found = figures(run)

    assert (0, 1, None) == (found.trips.count, found.trips.unknown, found.trips.win_rate)
    assert {"MNT": Decimal("0.5")} == found.costs.fees
    assert 0.0 == found.costs.fees_paid


def test_metrics_when_nothing_happened_then_figures_are_unknown_or_zero():
    for run in (MadeRun(), MadeRun(seconds=0), MadeRun(seconds=60).sample(30, 1000)):
        found = figures(run)

        assert (0, 0, 0.0) == (found.trips.count, found.fills, found.costs.turnover)
        assert None is found.returns.sharpe
        assert None is found.costs.fee_bp
        assert () == found.by_hour
        assert 1 == len(found.days)
    assert None is figures(MadeRun()).money.net
    assert None is figures(MadeRun(seconds=0)).exposure.time_share


def test_metrics_when_an_instrument_is_missing_then_refuses_by_name():
    run = MadeRun().fill(1, 1, 1, 100, of="box:linear:ETHUSDT")

    with pytest.raises(ValueError, match="box:linear:ETHUSDT"):
        figures(run)


def test_streaks_when_wins_and_losses_alternate_then_the_longest_of_each_counts():
    run = MadeRun()
    for index, result in enumerate([1, 1, 0, 1, -1, -1, -1, 1]):
        run.order(f"i{index}", 1, 1).order(f"o{index}", -1, 1)
        run.fill(index, 1, 1, 100, order=f"i{index}")
        run.fill(index + 0.5, -1, 1, 100 + result, order=f"o{index}")

    trips = figures(run).trips

    assert (2, 3, 4, 3) == (trips.win_streak, trips.loss_streak, trips.wins, trips.losses)


def test_quality_number_and_kelly_when_trips_are_enough_then_follow_their_formulas():
    run = MadeRun(seconds=1000)
    results = [3.0, -1.0, 2.0] * (TRIPS_MIN // 3)
    for index, result in enumerate(results):
        run.order(f"i{index}", -1, 1).order(f"o{index}", 1, 1)
        run.fill(index, -1, 1, 100, order=f"i{index}")
        run.fill(index + 0.5, 1, 1, 100 - result, order=f"o{index}")

    trips = figures(run).short

    spread = np.std(results, ddof=1)
    assert near(np.sqrt(TRIPS_MIN) * np.mean(results) / spread) == trips.sqn
    # Wins 2.5 on average, losses 1: 2/3 - 1/3 / 2.5.
    assert near(2 / 3 - 1 / 3 / 2.5) == trips.kelly
    assert near(5.0) == trips.profit_factor


def test_days_when_a_run_spans_midnight_then_each_day_has_its_own():
    run = MadeRun(seconds=2 * 86400).order("a", 1, 1).order("b", -1, 1)
    run.fill(3600, 1, 1, 100, order="a", fee="1")
    run.fill(86400 + 7200, -1, 1, 103, order="b", fee="1", maker=True)
    run.sample(3600, 999).sample(86399, 1010).sample(86400 + 7200, 990).sample(2 * 86400, 1001)

    found = figures(run)

    first, second = found.days
    assert ("2024-10-04", "2024-10-05") == (first.day, second.day)
    assert (10.0, -9.0) == (first.net, second.net)
    assert near([0.001, 20 / 1010]) == [first.drawdown, second.drawdown]
    assert (0, 1, 1) == (first.trips, second.trips, second.wins)
    assert (1.0, 100.0) == (first.fees, first.turnover)
    by_hour = {row.key: row for row in found.by_hour}
    assert ["01", "02"] == sorted(by_hour)
    assert (0.0, 1.0) == (by_hour["01"].maker_share, by_hour["02"].maker_share)
    assert near(2.0) == by_hour["02"].net


def test_drawdown_when_a_curve_dips_and_comes_back_then_its_dates_and_lengths_are_told():
    run = MadeRun(seconds=100)
    for at, equity in ((10, 1100), (20, 990), (30, 1045), (40, 1100), (50, 1200), (60, 1190)):
        run.sample(at, equity)

    found = figures(run).drawdown

    assert near(0.1) == found.depth
    assert 110.0 == found.money
    moments = (found.peak_ns, found.trough_ns, found.recovered_ns)
    assert tuple(START + at * SECOND for at in (10, 20, 40)) == moments
    # The last fall is shallow and lasts to the end.
    assert (30.0, 50.0) == (found.seconds, found.longest_seconds)
    assert near(60 / 100) == found.underwater_share


def test_drawdown_when_equity_only_falls_then_it_starts_at_the_beginning_and_never_recovers():
    run = MadeRun(seconds=20).sample(10, 900).sample(20, 800)

    found = figures(run).drawdown

    assert (START, None, 20.0) == (found.peak_ns, found.recovered_ns, found.seconds)
    assert near(0.2) == found.depth


def test_returns_when_the_interval_is_chosen_then_it_is_the_widest_with_enough_samples():
    for length, wanted in ((40 * DAY, 86400.0), (40 * HOUR, 3600.0), (1800 * SECOND, 60.0)):
        run = MadeRun(seconds=length / SECOND)
        for index in range(41):
            run.sample(index * length / SECOND / 40, 1000 + index % 3)
        assert wanted == figures(run).returns.sample_seconds


def test_returns_when_the_curve_is_coarser_than_the_interval_then_none_is_made_up():
    run = MadeRun(seconds=60)
    for at in range(0, 61, 10):
        run.sample(at, 1000 + at)

    assert 0 == figures(run).returns.samples


def test_returns_when_equity_is_flat_or_goes_broke_then_ratios_are_unknown():
    flat, broke = MadeRun(seconds=60), MadeRun(seconds=60)
    for at in range(61):
        flat.sample(at, 1000)
        broke.sample(at, 1000 - 20 * at)

    assert (0.0, None, None, None) == (
        figures(flat).returns.volatility,
        figures(flat).returns.sharpe,
        figures(flat).returns.sortino,
        figures(flat).returns.omega,
    )
    assert (None, -1.2) == (
        figures(broke).returns.sharpe,
        near(figures(broke).returns.total_return),
    )
    assert 0.0 == figures(flat).drawdown.depth
    assert None is figures(flat).drawdown.peak_ns
