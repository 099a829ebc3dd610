"""The engine's side of the ledger: shares always make up the position, legs and margins arrive."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.engine.bench import (
    ACCOUNT,
    BTC,
    ETH,
    Bench,
    Scripted,
    instrument,
    long,
    venue_id,
)
from tickwright.core.events import AccountState, MarkPrice
from tickwright.core.identity import ClientId, Leg
from tickwright.core.orders import OrderState, Side
from tickwright.core.units import MONEY_ONE


def broken(bench: Bench) -> None:
    """Do to the ledger what no code of ours may: take size from a share alone."""
    portfolio = bench.engine.state.portfolio
    for share in portfolio.holding(ACCOUNT, BTC).leg(Leg.NET).shares.values():
        share.size_units -= 7


@pytest.mark.parametrize("by", ["fill", "sync"])
def test_shares_when_they_do_not_make_up_the_position_then_the_instrument_halts(by: str):
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.fill(order, 100)
    assert {} == bench.engine.state.view.halted_instruments
    broken(bench)
    if by == "fill":
        bench.fill(order, 10)
    else:
        bench.sync(positions=(bench.position_report(100),))
    held = 110 if by == "fill" else 100
    assert (
        f"{ACCOUNT} {BTC} net: strategies and unowned hold {held - 7}, the account {held}"
        == bench.engine.state.view.halted_instruments[BTC]
    )
    assert "strategies and unowned hold" in bench.halts()[-1].reason
    assert [] == [one for one in bench.places(bench.say(long())) if not one.reduce_only]


def test_shares_when_another_instrument_is_filled_then_only_that_one_is_looked_at():
    bench = Bench(instruments=(instrument(), instrument(ETH)))
    bench.say(long())
    order = bench.placed()
    bench.fill(order, 100)
    broken(bench)
    bench.fill(order, 5, instrument_id=ETH, client_id=None, venue_id=None)
    assert {} == bench.engine.state.view.halted_instruments


def test_fill_when_its_order_is_known_to_be_of_a_leg_then_that_leg_moves():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    manual = msgspec.structs.replace(order, client_id=ClientId("byhand"))
    bench.report(
        manual,
        OrderState.WORKING,
        client_id=None,
        venue_id=venue_id(manual.client_id),
        leg=Leg.LONG,
    )
    bench.fill(manual, 40, client_id=None)
    portfolio = bench.engine.state.portfolio
    assert 40 == portfolio.position(ACCOUNT, BTC, Leg.LONG).size_units
    assert 0 == bench.net()
    bench.fill(manual, 10, client_id=None, venue_id=None, side=Side.SELL)
    assert "names no leg" in bench.engine.state.view.halted_instruments[BTC]
    assert 40 == portfolio.position(ACCOUNT, BTC, Leg.LONG).size_units


def test_results_when_two_strategies_trade_then_each_has_its_row_and_the_account_the_sum():
    bench = Bench(strategies={"one": Scripted(), "two": Scripted()})
    bench.say(long(), by="one")
    first = bench.placed()
    bench.fill(first, 100, price=600_000, fee=2 * MONEY_ONE)
    bench.say(long(), by="two")
    second = bench.placed()
    bench.fill(second, 50, price=600_000, fee=MONEY_ONE)
    bench.handle(MarkPrice(BTC, 601_000, bench.now_ns))
    results = bench.engine.summary(has_results=True).results
    rows = {(one.strategy_id, one.instrument): one for one in results}
    whole = rows.pop((None, None))
    assert {("one", str(BTC)), ("two", str(BTC))} == set(rows)
    one, two = rows["one", str(BTC)].total, rows["two", str(BTC)].total
    # Bought at 60,000 and marked 100 higher: 0.1 and 0.05 BTC.
    assert [
        (Decimal(6_000), Decimal(10), Decimal(2), Decimal(8), 1),
        (Decimal(3_000), Decimal(5), Decimal(1), Decimal(4), 1),
        (Decimal(9_000), Decimal(15), Decimal(3), Decimal(12), 2),
    ] == [(x.traded, x.unrealised, x.fees, x.net, x.fills) for x in (one, two, whole.total)]
    assert whole.total == whole.day
    # 0.15 BTC at 60,100 on an equity of 100,012.
    assert (Decimal(9_015), Decimal("0.090139")) == (whole.gross, whole.leverage)
    assert (Decimal(6_010), Decimal("0.060093")) == (
        rows["one", str(BTC)].gross,
        rows["one", str(BTC)].leverage,
    )


def test_margins_when_the_account_stream_tells_them_then_the_ledger_keeps_them():
    bench = Bench()
    told = msgspec.structs.replace(bench.position_report(0), maintenance_margin=5 * MONEY_ONE)
    bench.handle(told)
    totals = AccountState(
        account_id=ACCOUNT,
        equity=100 * MONEY_ONE,
        available=50 * MONEY_ONE,
        initial_margin=40 * MONEY_ONE,
        maintenance_margin=5 * MONEY_ONE,
        venue_ns=bench.now_ns,
        received_ns=bench.now_ns,
    )
    bench.handle(totals)
    account = bench.engine.state.portfolio.account(ACCOUNT)
    assert totals == account.totals
    assert told == account.holdings[BTC].leg(Leg.NET).told
    newer = msgspec.structs.replace(totals, venue_ns=bench.now_ns + 1, equity=1)
    bench.sync(totals=newer)
    assert newer == account.totals
