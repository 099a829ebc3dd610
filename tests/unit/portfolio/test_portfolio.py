"""What the portfolio does beside folding: repeats, halts, legs, owners, marks, days, reports."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.portfolio.worlds import (
    ACCOUNT,
    ALPHA,
    BETA,
    DAY_NS,
    HOUR_NS,
    balance,
    fill,
    inverse,
    linear,
    money,
    portfolio_with,
    position_report,
    spot,
)
from tickwright.core.errors import ConfigError, InstrumentUnknown, UnitsError
from tickwright.core.events import AccountState, BalanceReport, PositionReport, SyncReport
from tickwright.core.identity import Leg
from tickwright.core.orders import ExecutionKind, Side
from tickwright.portfolio import Portfolio
from tickwright.portfolio.fold import EXECUTIONS_MAX
from tickwright.portfolio.results import figures, result_rows

BTC = linear()


def sync(
    *,
    positions: tuple[PositionReport, ...] = (),
    balances: tuple[BalanceReport, ...] = (),
    venue_ns: int = 5_000,
) -> SyncReport:
    return SyncReport(
        account_id=ACCOUNT,
        orders=(),
        positions=positions,
        balances=balances,
        fills=(),
        venue_ns=venue_ns,
    )


# repeats and halts


def test_apply_fill_when_the_id_repeats_then_nothing_moves():
    portfolio = portfolio_with(BTC)
    row = fill(BTC, Side.BUY, 10, 6_000_000, fee=money(1), execution_id="x")
    first = portfolio.apply_fill(row, ALPHA)
    assert first is not None
    assert (0, 10) == (first.size_before_units, first.size_after_units)
    assert portfolio.apply_fill(row, ALPHA) is None
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 10
    assert portfolio.balance(ACCOUNT, "USDT").amount == money(9_999)
    assert portfolio.duplicate_count == 1


def test_apply_fill_when_the_same_id_names_another_instrument_then_it_counts():
    eth = linear("ETHUSDT", base="ETH")
    portfolio = portfolio_with(BTC, eth)
    portfolio.apply_fill(fill(BTC, Side.BUY, 1, 6_000_000, execution_id="x"), None)
    assert portfolio.apply_fill(fill(eth, Side.BUY, 1, 300_000, execution_id="x"), None)


def test_apply_fill_when_older_than_every_remembered_id_then_it_is_dropped_and_counted():
    portfolio = portfolio_with(BTC)
    for n in range(EXECUTIONS_MAX + 1):
        portfolio.apply_fill(fill(BTC, Side.BUY, 1, 6_000_000, venue_ns=1_000 + n), None)
    assert portfolio.apply_fill(fill(BTC, Side.BUY, 1, 6_000_000, venue_ns=999), None) is None
    assert portfolio.dropped_count == 1
    assert portfolio.position(ACCOUNT, BTC.id).size_units == EXECUTIONS_MAX + 1


def test_apply_fill_when_the_kind_is_unknown_then_nothing_moves_and_the_instrument_halts():
    portfolio = portfolio_with(BTC)
    effect = portfolio.apply_fill(
        fill(BTC, Side.BUY, 10, 6_000_000, kind=ExecutionKind.OTHER, execution_id="odd"), ALPHA
    )
    assert effect is not None
    assert effect.halt_reason == "execution odd is of a kind nobody can book"
    holding = portfolio.holding(ACCOUNT, BTC.id)
    assert holding.halt_reason == effect.halt_reason
    assert portfolio.position(ACCOUNT, BTC.id).is_flat
    portfolio.lift_halt(ACCOUNT, BTC.id)
    assert holding.halt_reason == ""


def test_apply_fill_when_told_again_as_a_known_kind_then_it_is_booked_once():
    portfolio = portfolio_with(BTC)
    odd = fill(BTC, Side.BUY, 10, 6_000_000, kind=ExecutionKind.OTHER, execution_id="odd")
    trade = msgspec.structs.replace(odd, kind=ExecutionKind.TRADE)
    effects = [portfolio.apply_fill(one, ALPHA) for one in (odd, trade, trade, odd)]
    assert [False, True] == [one.is_booked for one in effects if one is not None]
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 10


def test_apply_fill_when_a_trade_has_no_price_then_the_instrument_halts():
    portfolio = portfolio_with(BTC)
    effect = portfolio.apply_fill(fill(BTC, Side.BUY, 10, 0), ALPHA)
    assert effect is not None
    assert "without a size or price" in effect.halt_reason
    assert portfolio.position(ACCOUNT, BTC.id).is_flat


def test_apply_fill_when_the_instrument_was_never_told_then_raises():
    with pytest.raises(InstrumentUnknown, match="sim:linear:BTCUSDT"):
        Portfolio().apply_fill(fill(BTC, Side.BUY, 1, 1), None)


# kinds


def test_funding_when_it_arrives_then_cash_moves_and_the_position_stays():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 30, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000), BETA)
    portfolio.apply_fill(
        fill(BTC, Side.SELL, 0, 6_000_000, kind=ExecutionKind.FUNDING, cash=-money(4)), None
    )
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 40
    assert portfolio.balance(ACCOUNT, "USDT").amount == money(9_996)
    assert portfolio.position(ACCOUNT, BTC.id).funding == -money(4)
    assert portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).funding == -money(3)
    assert portfolio.strategy_position(BETA, ACCOUNT, BTC.id).funding == -money(1)


def test_settle_when_it_arrives_then_cash_moves_and_the_entry_is_its_price():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_100_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 1_000, 6_000_000), ALPHA)
    before = portfolio.equity(ACCOUNT)
    portfolio.apply_fill(
        fill(BTC, Side.SELL, 0, 6_100_000, kind=ExecutionKind.SETTLE, cash=money(1_000)), None
    )
    position = portfolio.position(ACCOUNT, BTC.id)
    assert (position.size_units, position.realised) == (1_000, money(1_000))
    assert position.entry_price(BTC) == Decimal(61_000)
    assert portfolio.balance(ACCOUNT, "USDT").amount == money(11_000)
    assert before == portfolio.equity(ACCOUNT) == money(11_000)


def test_liquidation_when_nobody_owns_it_then_all_strategies_lose_their_part():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 30, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.BUY, 11, 6_000_000), BETA)
    portfolio.apply_fill(fill(BTC, Side.SELL, 20, 5_000_000, kind=ExecutionKind.LIQUIDATION), None)
    alpha = portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).size_units
    beta = portfolio.strategy_position(BETA, ACCOUNT, BTC.id).size_units
    assert (16, 5) == (alpha, beta)
    assert portfolio.attribution_fault(ACCOUNT, BTC.id) is None


def test_trade_when_nobody_owns_it_then_it_is_unowned():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 30, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.SELL, 30, 6_000_000), None)
    assert portfolio.position(ACCOUNT, BTC.id).is_flat
    assert portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).size_units == 30
    assert portfolio.strategy_position(None, ACCOUNT, BTC.id).size_units == -30
    assert portfolio.attribution_fault(ACCOUNT, BTC.id) is None


def test_flip_when_one_fill_crosses_zero_then_the_rest_opens_at_its_price():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000), ALPHA)
    effect = portfolio.apply_fill(fill(BTC, Side.SELL, 250, 6_100_000), ALPHA)
    position = portfolio.position(ACCOUNT, BTC.id)
    assert effect is not None
    assert effect.realised == money(100)
    assert position.size_units == -150
    assert position.entry_price(BTC) == Decimal(61_000)


def test_hedge_legs_when_both_are_held_then_they_do_not_net():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000, leg=Leg.LONG), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.SELL, 40, 6_000_000, leg=Leg.SHORT), ALPHA)
    assert portfolio.position(ACCOUNT, BTC.id, Leg.LONG).size_units == 100
    assert portfolio.position(ACCOUNT, BTC.id, Leg.SHORT).size_units == -40
    assert portfolio.exposure(ACCOUNT) == money(140 * 60)
    effect = portfolio.apply_fill(fill(BTC, Side.SELL, 101, 6_000_000, leg=Leg.LONG), ALPHA)
    assert effect is not None
    assert effect.halt_reason == "the long leg went below zero"


def test_hedge_legs_when_a_liquidation_names_none_then_the_leg_it_shrinks_is_meant():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000, leg=Leg.LONG), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.SELL, 40, 6_000_000, leg=Leg.SHORT), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.SELL, 30, 6_000_000, kind=ExecutionKind.LIQUIDATION), None)
    portfolio.apply_fill(fill(BTC, Side.BUY, 40, 6_000_000, kind=ExecutionKind.ADL), None)
    assert portfolio.position(ACCOUNT, BTC.id, Leg.LONG).size_units == 70
    assert portfolio.position(ACCOUNT, BTC.id, Leg.SHORT).is_flat


def test_hedge_legs_when_a_trade_names_none_then_nothing_moves_and_the_instrument_halts():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000, leg=Leg.LONG), ALPHA)
    effect = portfolio.apply_fill(
        fill(BTC, Side.SELL, 30, 6_000_000, execution_id="legless"), ALPHA
    )
    assert effect is not None
    assert effect.halt_reason == "execution legless names no leg and the long one is held"
    assert portfolio.position(ACCOUNT, BTC.id, Leg.LONG).size_units == 100


def test_inverse_equity_when_the_mark_moves_then_coins_and_profit_are_valued_at_it():
    contract = inverse()
    portfolio = portfolio_with(contract, usdt=None)
    portfolio.apply_balance(balance("BTC", money(1)))
    portfolio.apply_fill(fill(contract, Side.BUY, 50_000, 5_000_000), ALPHA)
    assert portfolio.equity(ACCOUNT) is None
    portfolio.set_mark(contract.id, 6_250_000)
    # 50,000 USD bought 1 BTC worth; at 62,500 it is worth 0.8 BTC: profit 0.2 BTC.
    assert portfolio.unrealised(ACCOUNT, contract.id) == money("0.2")
    assert portfolio.equity(ACCOUNT) == money(75_000)
    assert portfolio.exposure(ACCOUNT) == money(50_000)


def test_inverse_equity_when_another_market_prices_its_asset_then_the_profit_follows_it():
    contract, cash_market = inverse(), spot()
    portfolio = portfolio_with(contract, usdt=None)
    portfolio.apply_balance(balance("BTC", money(1)))
    portfolio.set_mark(contract.id, 5_000_000)
    portfolio.apply_fill(fill(contract, Side.BUY, 50_000, 4_000_000), ALPHA)
    # Bought 1.25 BTC worth, now 1 BTC worth: 0.25 BTC of profit, at 50,000 each.
    assert portfolio.equity(ACCOUNT) == money(62_500)
    portfolio.set_instrument(cash_market)
    portfolio.set_mark(cash_market.id, 6_000_000)
    assert portfolio.equity(ACCOUNT) == money(75_000)


# marks


def test_equity_when_a_needed_mark_is_missing_then_it_is_none_and_named():
    eth = linear("ETHUSDT", base="ETH")
    portfolio = portfolio_with(BTC, eth)
    portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000), ALPHA)
    assert portfolio.equity(ACCOUNT) is None
    assert portfolio.exposure(ACCOUNT) is None
    assert portfolio.unrealised(ACCOUNT, BTC.id) is None
    assert portfolio.account(ACCOUNT).missing() == ("sim:linear:BTCUSDT",)
    portfolio.set_mark(BTC.id, 6_000_000)
    assert portfolio.equity(ACCOUNT) == money(10_000)
    portfolio.set_mark(BTC.id, 0)
    assert portfolio.equity(ACCOUNT) is None
    portfolio.set_mark(BTC.id, None)
    assert portfolio.exposure(ACCOUNT) is None


def test_equity_when_no_balance_was_reported_then_it_is_none():
    portfolio = Portfolio()
    assert portfolio.equity(ACCOUNT) is None
    assert portfolio.account(ACCOUNT).missing() == ("no balance reported",)


def test_equity_when_an_asset_has_no_price_then_it_is_none_unless_left_out_on_purpose():
    portfolio = portfolio_with(BTC)
    portfolio.apply_balance(balance("DUST", 1))
    assert portfolio.equity(ACCOUNT) is None
    other = Portfolio(ignored_assets=frozenset({"DUST"}))
    other.apply_balance(balance("DUST", 1))
    other.apply_balance(balance("USDT", money(7)))
    assert other.equity(ACCOUNT) == money(7)


def test_exposure_when_orders_work_then_the_worse_direction_counts():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000), ALPHA)
    portfolio.set_working(ACCOUNT, BTC.id, buy_units=50, sell_units=0, open_orders=1)
    assert portfolio.exposure(ACCOUNT) == money(150 * 60)
    portfolio.set_working(ACCOUNT, BTC.id, buy_units=50, sell_units=300, open_orders=2)
    assert portfolio.exposure(ACCOUNT) == money(200 * 60)
    portfolio.set_working(ACCOUNT, BTC.id, buy_units=0, sell_units=0, open_orders=0)
    assert portfolio.exposure(ACCOUNT) == money(100 * 60)


def test_exposure_when_the_quote_is_another_asset_then_it_is_converted():
    pair = spot("ETHBTC", base="ETH", quote="BTC")
    btc = spot()
    portfolio = portfolio_with(pair, btc)
    portfolio.set_mark(pair.id, 5)  # 0.05 BTC
    portfolio.apply_fill(fill(pair, Side.BUY, 2_000_000, 5), ALPHA)
    assert portfolio.exposure(ACCOUNT) is None
    portfolio.set_mark(btc.id, 6_000_000)
    assert portfolio.exposure(ACCOUNT) == money(6_000)


# instruments that change


def test_set_instrument_when_decimals_grow_then_sizes_follow_and_the_mark_waits():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000), ALPHA)
    finer = msgspec.structs.replace(BTC, size_decimals=4, price_decimals=1, version=2)
    portfolio.set_instrument(finer)
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 100
    assert portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).size_units == 100
    assert portfolio.mark(BTC.id) is None
    assert portfolio.equity(ACCOUNT) is None
    portfolio.set_mark(BTC.id, 600_000)
    assert portfolio.equity(ACCOUNT) == money(10_000)


def test_set_instrument_when_a_held_size_does_not_fit_then_nothing_changes():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 15, 6_000_000), ALPHA)
    with pytest.raises(UnitsError, match="doesn't fit the new decimals"):
        portfolio.set_instrument(msgspec.structs.replace(BTC, size_decimals=2))
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 15
    assert portfolio.instrument(BTC.id) == BTC


# reports


def test_apply_balance_when_it_held_the_fill_already_then_cash_moves_once():
    portfolio = portfolio_with(BTC)
    portfolio.apply_balance(balance("USDT", money(9_999), venue_ns=2_000))
    portfolio.apply_fill(fill(BTC, Side.BUY, 1, 6_000_000, fee=money(1), venue_ns=1_500), ALPHA)
    assert portfolio.balance(ACCOUNT, "USDT").amount == money(9_999)
    assert portfolio.account(ACCOUNT).unexplained == money(10_000)


def test_apply_balance_when_it_is_older_than_a_fill_then_the_fill_is_added():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 1, 6_000_000, fee=money(1), venue_ns=3_000), ALPHA)
    assert portfolio.apply_balance(balance("USDT", money(10_000), venue_ns=2_000))
    assert portfolio.balance(ACCOUNT, "USDT").amount == money(9_999)
    assert not portfolio.apply_balance(balance("USDT", money(5), venue_ns=1_999))


def test_apply_sync_when_the_venue_differs_then_its_word_counts_and_differences_are_told():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000), ALPHA)
    differences = portfolio.apply_sync(
        sync(
            positions=(position_report(BTC, 25, entry_price="60500"),),
            balances=(balance("USDT", money(9_000), venue_ns=5_000),),
        )
    )
    assert [(d.what, d.ours, d.venue) for d in differences] == [
        ("sim:linear:BTCUSDT net", 10, 25),
        ("USDT", money(10_000), money(9_000)),
    ]
    assert portfolio.position(ACCOUNT, BTC.id).entry_price(BTC) == Decimal(60_500)
    assert portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).size_units == 10
    assert portfolio.strategy_position(None, ACCOUNT, BTC.id).size_units == 15
    assert portfolio.attribution_fault(ACCOUNT, BTC.id) is None


def test_apply_sync_when_the_venue_holds_less_then_unowned_goes_first_and_strategies_after():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 30, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000), BETA)
    portfolio.apply_fill(fill(BTC, Side.BUY, 5, 6_000_000), None)
    portfolio.apply_sync(sync(positions=(position_report(BTC, 20),)))
    sizes = [
        portfolio.strategy_position(owner, ACCOUNT, BTC.id).size_units
        for owner in (ALPHA, BETA, None)
    ]
    assert sizes == [15, 5, 0]
    assert portfolio.attribution_fault(ACCOUNT, BTC.id) is None


def test_apply_sync_when_a_position_is_not_listed_then_it_is_flat():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 30, 6_000_000), ALPHA)
    portfolio.apply_sync(sync())
    assert portfolio.position(ACCOUNT, BTC.id).is_flat
    assert portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).is_flat


def test_apply_fill_when_a_report_held_its_size_then_only_its_owner_is_booked():
    portfolio = portfolio_with(BTC)
    portfolio.apply_sync(sync(positions=(position_report(BTC, 25, entry_price="60000"),)))
    effect = portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000, venue_ns=4_999), ALPHA)
    assert effect is not None
    assert effect.is_included
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 25
    assert portfolio.strategy_position(ALPHA, ACCOUNT, BTC.id).size_units == 10
    assert portfolio.strategy_position(None, ACCOUNT, BTC.id).size_units == 15
    late = portfolio.apply_fill(fill(BTC, Side.BUY, 10, 6_000_000, venue_ns=5_001), ALPHA)
    assert late is not None
    assert portfolio.position(ACCOUNT, BTC.id).size_units == 35


# spot


def test_spot_when_the_fee_is_in_base_then_the_exit_floors_to_what_is_held():
    instrument = spot()
    portfolio = portfolio_with(instrument)
    portfolio.apply_fill(
        fill(instrument, Side.BUY, 1_000_000, 6_000_000, fee=money("0.0010005"), fee_asset="BTC"),
        ALPHA,
    )
    assert portfolio.sellable_units(ACCOUNT, instrument.id) == 998_999
    assert portfolio.strategy_position(ALPHA, ACCOUNT, instrument.id).size_units == 998_999
    portfolio.set_working(ACCOUNT, instrument.id, buy_units=0, sell_units=998_990, open_orders=1)
    assert portfolio.sellable_units(ACCOUNT, instrument.id) == 9


def test_spot_when_more_is_sold_than_bought_here_then_the_rest_realises_nothing():
    instrument = spot()
    portfolio = portfolio_with(instrument)
    portfolio.apply_balance(balance("BTC", money(1)))
    portfolio.apply_fill(fill(instrument, Side.BUY, 500_000, 6_000_000), ALPHA)
    effect = portfolio.apply_fill(fill(instrument, Side.SELL, 1_000_000, 7_000_000), ALPHA)
    assert effect is not None
    assert effect.realised == money(5_000)
    assert portfolio.position(ACCOUNT, instrument.id).size_units == 500_000
    assert portfolio.strategy_position(ALPHA, ACCOUNT, instrument.id).size_units == 0


def test_apply_sync_when_a_spot_asset_left_the_wallet_then_its_owners_lose_their_part():
    instrument = spot()
    portfolio = portfolio_with(instrument)
    portfolio.apply_fill(fill(instrument, Side.BUY, 300_000, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(instrument, Side.BUY, 100_000, 6_000_000), BETA)
    portfolio.apply_fill(fill(instrument, Side.BUY, 100_000, 6_000_000), None)
    difference, _, owned = portfolio.apply_sync(
        sync(balances=(balance("BTC", money("0.2"), venue_ns=5_000), balance("USDT", 0)))
    )
    assert ("BTC", money("0.5"), money("0.2")) == (
        difference.what,
        difference.ours,
        difference.venue,
    )
    assert ("sim:spot:BTCUSDT owned", money("0.5"), money("0.2")) == (
        owned.what,
        owned.ours,
        owned.venue,
    )
    shares = [
        portfolio.strategy_position(owner, ACCOUNT, instrument.id) for owner in (ALPHA, BETA, None)
    ]
    assert [150_000, 50_000, 0] == [share.size_units for share in shares]
    assert [money(9_000), money(3_000), 0] == [share.cost for share in shares]
    assert money(12_000) == portfolio.position(ACCOUNT, instrument.id).cost


def test_apply_sync_when_a_wallet_no_longer_lists_an_asset_then_nothing_of_it_is_left():
    portfolio = portfolio_with(spot())
    portfolio.apply_balance(balance("BTC", money(1)))
    portfolio.apply_sync(sync(balances=(balance("USDT", money(7), venue_ns=5_000),)))
    assert 0 == portfolio.balance(ACCOUNT, "BTC").amount
    portfolio.apply_sync(sync(venue_ns=6_000))
    assert money(7) == portfolio.balance(ACCOUNT, "USDT").amount


def test_apply_sync_when_instruments_of_two_categories_are_held_then_both_are_taken():
    cash_market = spot()
    portfolio = portfolio_with(cash_market, BTC)
    portfolio.apply_fill(fill(cash_market, Side.BUY, 1, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(BTC, Side.BUY, 1, 6_000_000), ALPHA)
    portfolio.apply_sync(sync())
    assert portfolio.position(ACCOUNT, BTC.id).is_flat


# margins


def test_margins_when_the_venue_tells_them_then_they_are_kept_and_older_ones_are_not():
    portfolio = portfolio_with(BTC)
    told = msgspec.structs.replace(
        position_report(BTC, 10, venue_ns=9), maintenance_margin=money(3), leverage="10"
    )
    portfolio.note_position(told)
    portfolio.note_position(position_report(BTC, 10, venue_ns=8))
    assert told == portfolio.holding(ACCOUNT, BTC.id).leg(Leg.NET).told
    assert portfolio.position(ACCOUNT, BTC.id).is_flat
    portfolio.note_position(position_report(linear("XRPUSDT", base="XRP"), 10))
    state = AccountState(
        account_id=ACCOUNT,
        equity=money(100),
        available=money(50),
        initial_margin=money(40),
        maintenance_margin=money(5),
        venue_ns=7,
        received_ns=7,
    )
    portfolio.note_totals(state)
    portfolio.note_totals(msgspec.structs.replace(state, venue_ns=6, equity=0))
    assert state == portfolio.account(ACCOUNT).totals


def test_worth_when_positions_are_long_and_short_then_gross_and_net_are_told():
    eth = linear("ETHUSDT", base="ETH")
    portfolio = portfolio_with(BTC, eth)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000), ALPHA)
    portfolio.apply_fill(fill(eth, Side.SELL, 1_000, 300_000), BETA)
    assert portfolio.account(ACCOUNT).held_worth is None
    account = portfolio.account(ACCOUNT)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.set_mark(eth.id, 300_000)
    assert (money(9_000), money(3_000)) == (account.held_worth, account.net_worth)


# days


def test_day_results_when_a_day_begins_then_only_what_came_since_counts():
    portfolio = portfolio_with(BTC)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.start_day(DAY_NS)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000, fee=money(3)), ALPHA)
    portfolio.set_mark(BTC.id, 6_100_000)
    assert portfolio.start_day(2 * DAY_NS)
    portfolio.apply_fill(fill(BTC, Side.SELL, 40, 6_200_000, fee=money(1)), ALPHA)
    (row,) = result_rows(portfolio.account(ACCOUNT))
    whole = figures(row.total, portfolio.valuer)
    day = figures(row.day, portfolio.valuer)
    # 40 were sold 2,000 above the cost of 60,000; 60 stand 1,000 above it.
    assert (money(80), money(60), money(4)) == (whole.realised, whole.unrealised, whole.fees)
    assert money(136) == whole.net
    assert (money("8480"), 2) == (whole.traded, whole.fills)
    # The day began 100 ahead: of these 60 are left.
    assert (money(80), money(-40), money(1)) == (day.realised, day.unrealised, day.fees)
    assert (money(39), 1) == (day.net, day.fills)
    assert money(39) == portfolio.account(ACCOUNT).day_change


def test_day_results_when_no_mark_was_known_at_its_start_then_the_first_one_counts():
    portfolio = portfolio_with(BTC)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000), ALPHA)
    portfolio.start_day(DAY_NS)
    (row,) = result_rows(portfolio.account(ACCOUNT))
    assert figures(row.day, portfolio.valuer).unrealised is None
    portfolio.set_mark(BTC.id, 6_100_000)
    portfolio.start_day(DAY_NS + HOUR_NS)
    portfolio.set_mark(BTC.id, 6_150_000)
    (row,) = result_rows(portfolio.account(ACCOUNT))
    assert money(50) == figures(row.day, portfolio.valuer).unrealised


def test_start_day_when_the_configured_hour_passes_then_the_day_starts_from_equity():
    portfolio = Portfolio(day_start_hour_utc=8)
    portfolio.apply_balance(balance("USDT", money(100)))
    assert portfolio.start_day(10 * DAY_NS + 7 * HOUR_NS)
    assert portfolio.account(ACCOUNT).day_start_ns == 9 * DAY_NS + 8 * HOUR_NS
    assert portfolio.day_start_equity(ACCOUNT) == money(100)
    portfolio.apply_balance(balance("USDT", money(90), venue_ns=2))
    assert not portfolio.start_day(10 * DAY_NS + 8 * HOUR_NS - 1)
    assert portfolio.account(ACCOUNT).day_loss == money(10)
    assert portfolio.start_day(10 * DAY_NS + 8 * HOUR_NS)
    assert portfolio.day_start_equity(ACCOUNT) == money(90)
    assert portfolio.account(ACCOUNT).day_loss == 0


def test_day_loss_when_money_is_transferred_then_it_is_no_profit_and_no_loss():
    portfolio = portfolio_with(usdt=100)
    portfolio.start_day(DAY_NS)
    portfolio.transfer(ACCOUNT, "USDT", money(50), DAY_NS + 1)
    assert portfolio.account(ACCOUNT).day_loss == 0
    portfolio.transfer(ACCOUNT, "USDT", -money(120), DAY_NS + 2)
    assert portfolio.equity(ACCOUNT) == money(30)
    assert portfolio.account(ACCOUNT).day_loss == 0


def test_day_loss_when_a_rise_is_unexplained_then_it_hides_no_loss():
    portfolio = portfolio_with(BTC, usdt=1_000)
    portfolio.start_day(DAY_NS)
    portfolio.set_mark(BTC.id, 6_000_000)
    portfolio.apply_fill(fill(BTC, Side.BUY, 100, 6_000_000, venue_ns=DAY_NS + 1), ALPHA)
    portfolio.set_mark(BTC.id, 5_900_000)
    assert portfolio.account(ACCOUNT).day_loss == money(100)
    portfolio.apply_balance(balance("USDT", money(1_500), venue_ns=DAY_NS + 2))
    assert portfolio.account(ACCOUNT).day_loss == money(100)


def test_day_loss_when_a_fall_is_unexplained_then_it_is_a_loss_until_it_is_told():
    portfolio = portfolio_with(usdt=1_000)
    portfolio.start_day(DAY_NS)
    portfolio.apply_balance(balance("USDT", money(400), venue_ns=DAY_NS + 2))
    assert portfolio.account(ACCOUNT).day_loss == money(600)
    portfolio.transfer(ACCOUNT, "USDT", -money(600), DAY_NS + 1)
    assert portfolio.equity(ACCOUNT) == money(400)
    assert portfolio.account(ACCOUNT).day_loss == 0


def test_peak_equity_when_equity_falls_and_money_leaves_then_it_follows_the_transfer_only():
    portfolio = portfolio_with(usdt=1_000)
    portfolio.start_day(DAY_NS)
    assert portfolio.peak_equity(ACCOUNT) == money(1_000)
    portfolio.transfer(ACCOUNT, "USDT", -money(300), DAY_NS + 1)
    assert portfolio.peak_equity(ACCOUNT) == money(700)


def test_restore_days_when_restarted_then_day_and_peak_go_on():
    portfolio = portfolio_with(usdt=1_000)
    portfolio.start_day(DAY_NS)
    portfolio.apply_balance(balance("USDT", money(900), venue_ns=DAY_NS + 1))
    records = portfolio.day_records()
    again = portfolio_with(usdt=900)
    again.restore_days(records)
    assert not again.start_day(DAY_NS + HOUR_NS)
    assert again.account(ACCOUNT).day_loss == money(100)
    assert again.peak_equity(ACCOUNT) == money(1_000)


def test_portfolio_when_the_hour_is_impossible_then_the_config_is_refused():
    with pytest.raises(ConfigError, match="day_start_hour_utc is 24; choose"):
        Portfolio(day_start_hour_utc=24)
