"""Shocks against answers computed by hand, for every kind of position."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.portfolio.worlds import (
    ACCOUNT,
    ALPHA,
    DAY_NS,
    balance,
    fill,
    inverse,
    linear,
    money,
    portfolio_with,
    position_report,
    spot,
)
from tickwright.core.identity import Leg
from tickwright.core.orders import Side
from tickwright.portfolio import Portfolio
from tickwright.risk.limits import RiskLimits
from tickwright.risk.stress import (
    SHOCKS,
    Conditions,
    Shock,
    StressRow,
    liquidation_distance,
    stress,
)

BTC, COIN, CASH = linear(), inverse(), spot()
LIMITS = RiskLimits()
CALM = Conditions()


def prices(percent: int) -> Shock:
    return Shock(name="prices", price_percent=Decimal(percent))


def after(
    portfolio: Portfolio, shock: Shock, conditions: Conditions = CALM, limits: RiskLimits = LIMITS
) -> StressRow:
    (row,) = stress(portfolio.account(ACCOUNT), limits, conditions, [shock])
    return row


def long_linear(size_units: int = 100, *, margin: int | None = 30) -> Portfolio:
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, size_units, 6_000_000), ALPHA)
    told = position_report(BTC, size_units)
    if margin is not None:
        told = msgspec.structs.replace(told, maintenance_margin=money(margin))
    portfolio.note_position(told)
    return portfolio


def test_stress_when_a_linear_long_falls_then_equity_margin_and_leverage_are_the_hand_computed():
    # 0.1 BTC from 60,000 to 48,000: 1,200 lost; 0.5 % of the new 4,800 must stay.
    row = after(long_linear(), prices(-20))
    assert (money(8_800), money(-1_200), money(4_800), money(24)) == (
        row.equity,
        row.change,
        row.gross,
        row.maintenance,
    )
    assert (Decimal("0.545455"), Decimal("0.002727"), False) == (
        row.leverage,
        row.margin_ratio,
        row.is_liquidated,
    )


def test_stress_when_a_linear_long_is_too_large_then_it_is_liquidated():
    # 1 BTC on 10,000: at -20 % equity is -2,000.
    row = after(long_linear(1_000, margin=300), prices(-20))
    assert (money(-2_000), True, None, None) == (
        row.equity,
        row.is_liquidated,
        row.leverage,
        row.margin_ratio,
    )
    # At -16 % it is 400, and 252 must stay.
    row = after(long_linear(1_000, margin=300), prices(-16))
    assert (money(400), money(252), False) == (row.equity, row.maintenance, row.is_liquidated)


def test_stress_when_an_inverse_short_hedges_its_coins_then_equity_in_money_stays():
    portfolio = portfolio_with(COIN, usdt=None)
    portfolio.apply_balance(balance("BTC", money(1)))
    portfolio.set_mark(COIN.id, 5_000_000)
    portfolio.apply_fill(fill(COIN, Side.SELL, 50_000, 5_000_000), ALPHA)
    told = position_report(COIN, -50_000)
    portfolio.note_position(msgspec.structs.replace(told, maintenance_margin=money("0.005")))
    for percent in (-20, 10, 25):
        row = after(portfolio, prices(percent))
        assert row.equity is not None
        assert row.maintenance is not None
        # 50,000 dollars whatever the price is, but for coins cut at 10^-18.
        assert abs(row.equity - money(50_000)) < 10**6
        assert abs(row.maintenance - money(250)) < 10**6
        assert money(50_000) == row.gross
    assert liquidation_distance(portfolio.account(ACCOUNT)).percent is None


def test_stress_when_an_inverse_long_doubles_its_coins_then_it_loses_twice():
    portfolio = portfolio_with(COIN, usdt=None)
    portfolio.apply_balance(balance("BTC", money(1)))
    portfolio.set_mark(COIN.id, 5_000_000)
    portfolio.apply_fill(fill(COIN, Side.BUY, 50_000, 5_000_000), ALPHA)
    row = after(portfolio, prices(-20))
    # 1 BTC at 40,000 less 0.25 BTC lost by the contract.
    assert (money(30_000), money(-20_000)) == (row.equity, row.change)
    assert (None, None) == (row.maintenance, row.is_liquidated)


def test_stress_when_spot_is_held_then_its_worth_falls_and_nothing_is_liquidated():
    portfolio = portfolio_with(CASH, usdt=40_000)
    portfolio.set_mark(CASH.id, 6_000_000)
    portfolio.apply_fill(fill(CASH, Side.BUY, 500_000, 6_000_000), ALPHA)
    row = after(portfolio, prices(-10))
    assert (money(37_000), money(-3_000), money(27_000), False) == (
        row.equity,
        row.change,
        row.gross,
        row.is_liquidated,
    )


def test_stress_when_legs_are_hedged_then_both_count_and_only_the_net_moves():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000, leg=Leg.LONG), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.SELL, 40, 6_000_000, leg=Leg.SHORT), ALPHA)
    for leg, size, margin in ((Leg.LONG, 100, 30), (Leg.SHORT, -40, 12)):
        told = position_report(BTC, size, leg=leg)
        portfolio.note_position(msgspec.structs.replace(told, maintenance_margin=money(margin)))
    row = after(portfolio, prices(-10))
    assert (money(9_640), money(7_560), money("37.8")) == (row.equity, row.gross, row.maintenance)


def test_stress_when_the_spread_blows_out_then_closing_costs_half_of_it():
    # 0.1 BTC, spread 1.00: ten times that is 5.00 a BTC on one side.
    shock = Shock(name="spread", spread_times=Decimal(10))
    row = after(long_linear(), shock, Conditions(spread_units={BTC.id: 100}))
    assert (money("-0.5"), 0, 0, False) == (
        row.change,
        row.gross,
        row.maintenance,
        row.is_liquidated,
    )
    assert after(long_linear(), shock).equity is None


@pytest.mark.parametrize(("side", "change"), [(Side.BUY, "-6"), (Side.SELL, "6")])
def test_stress_when_funding_is_paid_then_longs_pay_and_shorts_receive(side: Side, change: str):
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, side, 100, 6_000_000), ALPHA)
    shock = Shock(name="funding", funding_times=Decimal(10))
    # 0.01 % of 6,000, ten times.
    row = after(portfolio, shock, Conditions(funding_rate_e9={BTC.id: 100_000}))
    assert money(change) == row.change
    assert after(portfolio, shock).equity is None


def test_stress_when_all_comes_at_once_then_the_parts_add_up():
    shock = Shock(
        name="all",
        price_percent=Decimal(-20),
        spread_times=Decimal(10),
        funding_times=Decimal(10),
    )
    conditions = Conditions(spread_units={BTC.id: 100}, funding_rate_e9={BTC.id: 100_000})
    row = after(long_linear(), shock, conditions)
    # 1,200 by the price, 0.5 by the spread, 4.8 by the funding of 4,800.
    assert money("-1205.3") == row.change


def test_stress_when_a_mark_is_missing_then_everything_is_unknown_and_nothing_is_zero():
    portfolio = long_linear()
    portfolio.set_mark(BTC.id, None)
    row = after(portfolio, prices(-20))
    assert (None, None, None, None, None, None, ()) == (
        row.equity,
        row.change,
        row.gross,
        row.leverage,
        row.maintenance,
        row.is_liquidated,
        row.breaches,
    )
    assert not liquidation_distance(portfolio.account(ACCOUNT)).is_known


def test_stress_when_limits_would_break_then_each_names_its_use_and_bound():
    portfolio = long_linear(1_000, margin=300)
    portfolio.start_day(DAY_NS)
    row = after(portfolio, prices(-10))
    found = {breach.limit: (breach.name, breach.use, breach.bound) for breach in row.breaches}
    account = str(ACCOUNT)
    assert found == {
        "daily_loss_percent_max": (account, money(6_000), money(300)),
        "drawdown_percent_max": (account, money(6_000), money(1_500)),
        "exposure_percent_max": (account, money(54_000), money(4_000)),
        "leverage_max": (account, money(54_000), money(12_000)),
        "position_percent_max": ("BTCUSDT", money(54_000), money(800)),
    }


def test_stress_when_nothing_moves_then_the_account_is_as_it_is():
    portfolio = long_linear()
    before = portfolio.state()
    for row in stress(portfolio.account(ACCOUNT), LIMITS, CALM, [prices(0)]):
        assert (portfolio.equity(ACCOUNT), 0) == (row.equity, row.change)
    stress(portfolio.account(ACCOUNT), LIMITS, CALM, SHOCKS)
    assert before == portfolio.state()


def test_liquidation_distance_when_linear_then_the_price_where_equity_is_the_margin():
    # -50,000 + 60,000 f = 300 f: f = 0.83752, and a hundredth is cut, not rounded.
    portfolio = long_linear(1_000, margin=300)
    account = portfolio.account(ACCOUNT)
    assert Decimal("-16.24") == liquidation_distance(account).percent
    assert Decimal("-16.24") == liquidation_distance(account, BTC.id).percent
    eth = linear("ETHUSDT", base="ETH")
    portfolio.set_instrument(eth)
    portfolio.holding(ACCOUNT, eth.id)
    portfolio.set_mark(eth.id, 300_000)
    assert liquidation_distance(account, eth.id).percent is None
    assert liquidation_distance(account, eth.id).is_known


def test_liquidation_distance_when_short_then_it_lies_above():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.SELL, 1_000, 6_000_000), ALPHA)
    told = position_report(BTC, -1_000)
    portfolio.note_position(msgspec.structs.replace(told, maintenance_margin=money(300)))
    # 70,000 - 60,000 f = 300 f: f = 1.16086.
    assert Decimal("16.08") == liquidation_distance(portfolio.account(ACCOUNT)).percent


def test_liquidation_distance_when_small_or_untold_or_gone_then_none_unknown_or_zero():
    small = liquidation_distance(long_linear().account(ACCOUNT))
    untold = liquidation_distance(long_linear(margin=None).account(ACCOUNT))
    gone = long_linear(1_000, margin=300)
    gone.set_mark(BTC.id, 5_000_000)
    assert (None, True) == (small.percent, small.is_known)
    assert (None, False) == (untold.percent, untold.is_known)
    assert Decimal(0) == liquidation_distance(gone.account(ACCOUNT)).percent
