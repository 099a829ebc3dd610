"""Positions guarded: brackets on constructed paths, netting, attached stops, time stops, spot."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.engine.bench import (
    BTC,
    CONFIG,
    RISK,
    SPOT,
    Bench,
    Scripted,
    instrument,
    leave,
    long,
    short,
)
from tickwright.core.events import BalanceReport, InstrumentChanged, MarkPrice, OrderReport
from tickwright.core.exits import Exits
from tickwright.core.identity import VenueOrderId
from tickwright.core.orders import ExecutionKind, OrderIntent, OrderState, OrderType, Purpose, Side
from tickwright.core.units import MONEY_ONE
from tickwright.core.verdicts import Reason, Rejected
from tickwright.engine import EngineConfig
from tickwright.execution import ExecutionConfig

NETTING = EngineConfig(
    risk=msgspec.structs.replace(RISK, deny_conflicting_position=False),
    execution=ExecutionConfig(brackets="synthetic"),
)


def opened(bench: Bench, signal=None, *, by: str = "one", price: int = 600_000) -> None:
    bench.say(signal or long(), by=by)
    bench.execute(bench.placed(), price=price)


@pytest.mark.parametrize(
    ("signal", "path", "purpose"),
    [
        # Long from 60000.0: the stop is 0.5 % below at 59700.0, the profit 1.5 % above at 60900.0.
        (long, [600_000, 598_000, 597_001, 597_000], Purpose.STOP_LOSS),
        (long, [600_000, 608_999, 609_000], Purpose.TAKE_PROFIT),
        # Short from 60000.0: asks count, one tick above the bids here.
        (short, [600_000, 602_998, 602_999], Purpose.STOP_LOSS),
        (short, [600_000, 591_000, 590_999], Purpose.TAKE_PROFIT),
    ],
)
def test_bracket_when_the_path_reaches_a_level_then_closed_at_that_update(signal, path, purpose):
    bench = Bench()
    opened(bench, signal())
    for bid in path[:-1]:
        assert [] == bench.places(bench.book(bid))
    order = bench.places(bench.book(path[-1]))[0]
    assert order.reduce_only
    record = bench.engine.state.blotter.find_ours(order.client_id)
    assert record is not None
    assert purpose is record.order.intent.purpose
    assert purpose.value.replace("_", " ") in bench.verdicts()[-1].signal.reason
    bench.execute(order)
    assert (0, 0) == (bench.share(), bench.net())
    assert [] == bench.places(bench.book(path[-1]))


def test_bracket_when_entry_fills_in_parts_then_around_the_average():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.ack(order)
    bench.fill(order, 83, price=600_000)
    bench.fill(order, 83, price=602_000)
    (plan,) = bench.engine.state.plans.values()
    assert (598_000 - 5 + 0, 610_015) == (plan.bracket.stop_units, plan.bracket.take_units)


def test_bracket_when_no_fractions_then_none_watched():
    bench = Bench()
    opened(bench, long(stop_loss_fraction=None, take_profit_fraction=None))
    assert [] == bench.places(bench.book(300_000))
    assert 166 == bench.share()


def test_bracket_when_the_exit_is_refused_then_tried_again_and_the_position_kept_in_sight():
    bench = Bench()
    opened(bench)
    bench.stale()
    bench.books[BTC].apply_snapshot(
        [(597_000, 5)], [(597_001, 5)], update_id=999, received_ns=bench.now_ns
    )
    (order,) = bench.places(bench.take(bench.engine.on_book(0, bench.now_ns)))
    bench.ack(order)
    bench.report(order, OrderState.CANCELLED)  # nothing to take: the next try follows
    (again,) = bench.places(bench.pass_time(400))
    assert order.client_id != again.client_id
    assert 166 == again.size_units


def test_time_stop_when_held_for_long_then_closed():
    config = EngineConfig(
        risk=RISK,
        execution=ExecutionConfig(brackets="synthetic", exits=Exits(time_stop_ms=2_500)),
    )
    bench = Bench(config)
    opened(bench)
    assert [] == bench.places(bench.pass_time(2_400))
    (order,) = bench.places(bench.pass_time(200))
    assert (Side.SELL, True) == (order.side, order.reduce_only)
    assert "time stop" in bench.verdicts()[-1].signal.reason


def test_netting_when_strategies_hold_opposite_then_exits_come_in_steps_and_leave_the_other():
    bench = Bench(NETTING, strategies={"one": Scripted(), "two": Scripted()})
    opened(bench)
    bench.say(short(), by="two")
    order = bench.placed()
    bench.ack(order)
    bench.fill(order, 100, price=600_000)
    bench.report(order, OrderState.CANCELLED, filled=100)
    assert (166, -100, 66) == (bench.share("one"), bench.share("two"), bench.net())
    bench.say(leave())
    first = bench.placed()
    assert (66, True) == (first.size_units, first.reduce_only)
    bench.execute(first)
    assert (100, -100, 0) == (bench.share("one"), bench.share("two"), bench.net())
    (second,) = bench.places(bench.pass_time(300))
    assert (100, False) == (second.size_units, second.reduce_only)
    bench.execute(second)
    assert (0, -100, -100) == (bench.share("one"), bench.share("two"), bench.net())


def test_netting_when_both_are_long_then_an_exit_takes_only_its_share():
    bench = Bench(strategies={"one": Scripted(), "two": Scripted()})
    opened(bench)
    opened(bench, by="two")
    bench.say(leave(), by="two")
    order = bench.placed()
    assert 166 == order.size_units
    bench.execute(order)
    assert (166, 0, 166) == (bench.share("one"), bench.share("two"), bench.net())
    assert bench.engine.state.portfolio.attribution_fault(order.account_id, BTC) is None


ATTACHED = EngineConfig(risk=RISK)


def test_attached_bracket_when_the_venue_can_then_it_goes_with_the_order_and_nothing_is_watched():
    bench = Bench(ATTACHED)
    bench.say(long())
    order = bench.placed()
    assert order.stop_loss_price_units is not None
    assert order.take_profit_price_units is not None
    bench.execute(order)
    assert [] == bench.places(bench.book(500_000))
    # The venue's stop fires: an order of its own, with our order as parent, or with no name at all.
    bench.fill(order, client_id=None, venue_id=VenueOrderId("stop"), side=Side.SELL, price=597_000)
    assert (0, 0) == (bench.share(), bench.net())


def test_attached_bracket_when_its_order_names_the_parent_then_its_fill_is_ours():
    bench = Bench(ATTACHED)
    bench.say(long())
    order = bench.placed()
    bench.execute(order)
    bench.handle(
        OrderReport(
            account_id=order.account_id,
            instrument_id=BTC,
            client_id=None,
            venue_id=VenueOrderId("stop"),
            side=Side.SELL,
            order_type=OrderType.MARKET,
            state=OrderState.WORKING,
            price_units=None,
            size_units=166,
            filled_units=0,
            reason="",
            venue_ns=bench.now_ns,
            received_ns=bench.now_ns,
            reduce_only=True,
            is_conditional=True,
            parent_id=order.client_id,
        )
    )
    bench.fill(order, client_id=None, venue_id=VenueOrderId("stop"), side=Side.SELL)
    assert 0 == bench.share()


@pytest.mark.parametrize("cause", ["two strategies", "no capability"])
def test_attached_bracket_when_it_would_hit_others_or_is_not_offered_then_synthetic(cause):
    if cause == "two strategies":
        bench = Bench(ATTACHED, strategies={"one": Scripted(), "two": Scripted()})
    else:
        item = instrument()
        plain = msgspec.structs.replace(item.capabilities, has_attached_brackets=False)
        item = msgspec.structs.replace(item, capabilities=plain)
        bench = Bench(ATTACHED, instruments=(item,))
    bench.say(long())
    order = bench.placed()
    assert order.stop_loss_price_units is None
    bench.execute(order, price=600_000)
    assert 1 == len(bench.places(bench.book(597_000)))


def test_intent_bracket_when_exact_then_watched_at_its_levels():
    bench = Bench()
    bench.say(
        OrderIntent(
            instrument_id=BTC,
            side=Side.BUY,
            size_units=100,
            price_units=600_100,
            stop_loss_price_units=599_000,
            take_profit_price_units=601_000,
        )
    )
    order = bench.placed()
    assert order.stop_loss_price_units is None
    bench.execute(order)
    assert [] == bench.places(bench.book(599_001))
    assert 1 == len(bench.places(bench.book(599_000)))


def test_liquidation_when_it_takes_from_shares_then_plans_follow():
    bench = Bench()
    opened(bench)
    order = bench.places(bench.log)[0]
    bench.fill(order, 66, side=Side.SELL, client_id=None, venue_id=None, kind=ExecutionKind.ADL)
    (plan,) = bench.engine.state.plans.values()
    assert (100, 100) == (bench.share(), plan.size_units)


def test_mark_when_the_venue_tells_none_then_the_mid_values_the_position():
    bench = Bench()
    opened(bench)
    bench.book(601_000, after_ms=200)
    portfolio = bench.engine.state.portfolio
    assert 601_000 == portfolio.mark(BTC)
    bench.handle(MarkPrice(BTC, 605_000, bench.now_ns))
    bench.book(601_500, after_ms=200)
    assert 605_000 == portfolio.mark(BTC)


def spot_bench() -> Bench:
    bench = Bench(instruments=(instrument(SPOT, lot_units=10, size_min_units=10),))
    bench.handle(
        BalanceReport(
            account_id=bench.engine.state.accounts[0],
            asset="BTC",
            wallet_balance=0,
            locked=0,
            venue_ns=bench.now_ns,
            received_ns=bench.now_ns,
        )
    )
    return bench


def spot_say(bench: Bench, decision, bid: int = 600_000):
    one = bench.strategies["one"]
    assert isinstance(one, Scripted)
    one.answers.append(decision)
    return bench.book(bid, instrument_id=SPOT)


def test_spot_when_short_and_nothing_held_then_unavailable():
    bench = spot_bench()
    spot_say(bench, short(SPOT))
    verdict = bench.verdicts()[-1].verdict
    assert isinstance(verdict, Rejected)
    assert Reason.SHORT_UNAVAILABLE is verdict.reason


def test_spot_when_the_fee_is_in_base_then_the_exit_is_floored_to_what_is_held():
    bench = spot_bench()
    spot_say(bench, long(SPOT))
    order = bench.placed()
    assert (160, None) == (order.size_units, order.stop_loss_price_units)
    bench.ack(order)
    bench.fill(order, fee=MONEY_ONE * 160 // 1_000 // 1_000, fee_asset="BTC", price=600_000)
    bench.report(order, OrderState.FILLED, filled=160)
    assert 159 == bench.share(instrument_id=SPOT)  # 0.16 less 0.1 %, floored to whole units
    commands = spot_say(bench, short(SPOT))
    (sale,) = bench.places(commands)
    assert (Side.SELL, 150, False) == (sale.side, sale.size_units, sale.reduce_only)
    bench.execute(sale)
    # Less than a lot is dust: nobody's position, and no exit is tried for ever.
    (plan,) = bench.engine.state.plans.values()
    assert 0 == plan.size_units
    assert [] == bench.places(bench.pass_time(5_000))


def test_units_when_the_instrument_changes_decimals_then_orders_are_withdrawn():
    bench = Bench(CONFIG)
    bench.say(OrderIntent(instrument_id=BTC, side=Side.BUY, size_units=5, price_units=599_000))
    bench.report(bench.placed(), OrderState.WORKING)
    change = InstrumentChanged(instrument(price_decimals=2, tick_units=10, version=2))
    assert 1 == len(bench.cancels(bench.handle(change)))
    assert Decimal(1) == bench.engine.state.lanes[BTC].instrument.price(100)
