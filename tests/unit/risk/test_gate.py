"""Each limit of the gate, met by itself: refusals name limit, value and bound."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.portfolio.worlds import (
    ACCOUNT,
    ALPHA,
    BETA,
    DAY_NS,
    balance,
    fill,
    linear,
    money,
    spot,
)
from tests.unit.risk.rooms import NOW_NS, WIDE, Desk, book_of
from tickwright.core.identity import AccountId, Leg
from tickwright.core.instrument import InstrumentStatus
from tickwright.core.orders import OrderType, Purpose, Side, TimeInForce
from tickwright.core.verdicts import Approved, Reason, Rejected
from tickwright.portfolio import Portfolio
from tickwright.risk import Gate, LimitOverrides, RiskLimits, RiskView


def wide(**changes: object) -> RiskLimits:
    return msgspec.structs.replace(WIDE, **changes)


def test_check_when_everything_fits_then_approved_as_wished():
    desk = Desk()
    assert Approved(10) == desk.approve(desk.intent())
    assert Approved(10) == desk.approve(desk.intent(order_type=OrderType.MARKET))


# states


def test_check_when_the_engine_is_halted_then_only_a_flatten_passes():
    desk = Desk()
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    desk.view.engine_halt = "kill switch"
    assert str(desk.reject(desk.intent())) == "engine_halted: kill switch against running"
    close = desk.intent(Side.SELL, reduce_only=True)
    assert desk.reject(close).reason is Reason.ENGINE_HALTED
    flatten = desk.intent(Side.SELL, reduce_only=True, purpose=Purpose.FLATTEN)
    assert Approved(10) == desk.approve(flatten)


def test_check_when_a_strategy_is_halted_then_it_may_close_and_others_go_on():
    desk = Desk()
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    desk.view.halted_strategies[ALPHA] = "raised ZeroDivisionError"
    assert desk.reject(desk.intent()).reason is Reason.STRATEGY_HALTED
    assert isinstance(desk.ask(desk.intent(), strategy_id=BETA), Approved)
    desk.approve(desk.intent(Side.SELL, reduce_only=True))


def test_check_when_the_account_is_not_ready_then_nothing_passes():
    desk = Desk()
    desk.view.ready_accounts.clear()
    assert desk.reject(desk.intent()).reason is Reason.ACCOUNT_NOT_READY


def test_check_when_the_instrument_does_not_trade_then_refused():
    desk = Desk()
    desk.view.halted_instruments[desk.instrument.id] = "sizes differ"
    assert str(desk.reject(desk.intent())) == (
        "instrument_not_trading: halted: sizes differ against trading"
    )
    del desk.view.halted_instruments[desk.instrument.id]
    desk.instrument = msgspec.structs.replace(desk.instrument, status=InstrumentStatus.SUSPENDED)
    assert desk.reject(desk.intent()).check.value == "suspended"


def test_check_when_the_portfolio_does_not_know_the_instrument_then_refused():
    desk = Desk()
    desk.view.portfolio = Portfolio()
    assert desk.reject(desk.intent()).reason is Reason.INSTRUMENT_UNKNOWN


def test_check_when_the_intent_is_past_its_end_then_refused():
    desk = Desk()
    assert str(desk.reject(desk.intent(valid_until_ns=NOW_NS - 5_000_000))) == (
        "expired: 5 ms past its end against valid_until_ns"
    )
    desk.approve(desk.intent(valid_until_ns=NOW_NS))


# book


def test_check_when_the_book_is_not_synced_then_not_even_a_stop_passes():
    desk = Desk()
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    assert desk.book is not None
    desk.book.mark_stale("gap")
    stop = desk.intent(
        Side.SELL,
        order_type=OrderType.MARKET,
        reduce_only=True,
        trigger_price_units=5_970_000,
        purpose=Purpose.STOP_LOSS,
    )
    assert str(desk.reject(stop)) == "book_not_synced: stale: gap against synced"
    assert desk.reject(desk.intent()).reason is Reason.BOOK_NOT_SYNCED
    desk.book = None
    assert desk.reject(desk.intent()).check.value == "no book"


def test_check_when_the_book_was_proven_too_long_ago_then_refused_with_its_age():
    desk = Desk(wide(book_age_ms_max=1_500))
    desk.now_ns = NOW_NS + 1_500_000_000
    desk.approve(desk.intent())
    desk.now_ns += 1
    assert str(desk.reject(desk.intent())) == (
        "book_too_old: 1500 ms since its proof against 1500 ms"
    )


def test_check_when_a_side_of_the_book_is_empty_then_refused():
    desk = Desk()
    assert desk.book is not None
    desk.book.apply_snapshot([(5_999_990, 5)], [], update_id=2, received_ns=NOW_NS)
    assert desk.reject(desk.intent()).reason is Reason.BOOK_EMPTY


def test_check_when_the_spread_is_wide_then_opening_is_refused_and_closing_is_not():
    desk = Desk(wide(spread_bps_max=Decimal(1)))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    assert desk.book is not None
    desk.book.apply_snapshot([(5_999_000, 50)], [(6_001_000, 50)], update_id=2, received_ns=NOW_NS)
    assert str(desk.reject(desk.intent())) == "spread_too_wide: 3.333 bps against 1 bps"
    desk.approve(desk.intent(Side.SELL, order_type=OrderType.MARKET, reduce_only=True))


# shape


@pytest.mark.parametrize(
    ("size_units", "why"),
    [
        (0, "size must be above zero"),
        (-5, "size must be above zero"),
        (1_000_001, "size 1000.001 is above 1000.000"),
        (10**30, "is above 1000.000"),
    ],
)
def test_check_when_the_size_is_impossible_then_refused(size_units: int, why: str):
    desk = Desk()
    refusal = desk.reject(desk.intent(size_units=size_units))
    assert refusal.reason is Reason.SIZE_INVALID
    assert why in refusal.check.value


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"price_units": None}, "a limit order without a price"),
        ({"price_units": 6_000_001}, "no multiple of"),
        ({"price_units": 0}, "outside"),
        ({"price_units": -10}, "outside"),
        ({"price_units": 10**30}, "outside"),
        ({"stop_loss_price_units": 6_000_000}, "stop loss 60000.00 on the profit side"),
        ({"take_profit_price_units": 5_999_990}, "take profit 59999.90 on the loss side"),
        ({"stop_loss_price_units": 5_999_995}, "no multiple of"),
    ],
)
def test_check_when_a_price_is_impossible_then_refused(changes: dict[str, Any], why: str):
    desk = Desk()
    refusal = desk.reject(desk.intent(**changes))
    assert refusal.reason is Reason.PRICE_INVALID
    assert why in refusal.check.value


def test_check_when_a_sell_has_a_bracket_then_its_sides_are_mirrored():
    desk = Desk()
    desk.approve(
        desk.intent(Side.SELL, stop_loss_price_units=6_030_000, take_profit_price_units=5_910_000)
    )
    refusal = desk.reject(desk.intent(Side.SELL, stop_loss_price_units=5_990_000))
    assert refusal.reason is Reason.PRICE_INVALID


def test_check_when_a_price_leaves_the_band_then_refused_both_ways_and_for_triggers():
    desk = Desk(wide(price_band_bps_max=Decimal(100)))
    desk.approve(desk.intent(price_units=6_060_000))
    refusal = desk.reject(desk.intent(price_units=6_060_010))
    assert str(refusal) == (
        "price_band: price 60600.10 against 100 bps around mid 60000 and mark 60000.00"
    )
    assert desk.reject(desk.intent(price_units=5_939_990)).reason is Reason.PRICE_BAND
    far_stop = desk.intent(
        Side.SELL,
        order_type=OrderType.MARKET,
        trigger_price_units=5_900_000,
    )
    assert desk.reject(far_stop).reason is Reason.PRICE_BAND


def test_check_when_the_mark_is_frozen_far_away_then_the_band_refuses():
    desk = Desk(wide(price_band_bps_max=Decimal(100)))
    desk.portfolio.set_mark(desk.instrument.id, 5_000_000)
    assert desk.reject(desk.intent()).reason is Reason.PRICE_BAND


def test_check_when_a_market_order_is_larger_than_what_is_visible_then_refused():
    desk = Desk(usdt=100_000_000)
    desk.approve(desk.intent(order_type=OrderType.MARKET, size_units=20))
    refusal = desk.reject(desk.intent(order_type=OrderType.MARKET, size_units=20_001))
    assert str(refusal) == "depth_too_thin: size 20.001 against the visible book"


# rates


def test_check_when_orders_come_too_fast_then_refused_and_closing_has_twice_the_room():
    desk = Desk(wide(orders_per_second_max=3, orders_per_minute_max=5))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    for _ in range(3):
        desk.approve(desk.intent())
    refusal = desk.reject(desk.intent())
    assert str(refusal) == "rate_limit: 3 orders in the last second against 3 a second"
    for _ in range(3):
        desk.approve(desk.intent(Side.SELL, reduce_only=True))
    assert desk.reject(desk.intent(Side.SELL, reduce_only=True)).reason is Reason.RATE_LIMIT
    desk.now_ns += 1_000_000_000
    assert desk.reject(desk.intent()).check.bound == "5 a minute"
    desk.now_ns += 59_000_000_000
    assert desk.book is not None
    desk.book.prove(desk.now_ns)
    desk.approve(desk.intent())


def test_explain_when_asked_a_thousand_times_then_no_order_is_counted():
    desk = Desk(wide(orders_per_second_max=1, orders_per_minute_max=1))
    for _ in range(1_000):
        results = desk.gate.explain(
            desk.intent(),
            strategy_id=ALPHA,
            account_id=ACCOUNT,
            now_ns=NOW_NS,
            book=desk.book,
            instrument=desk.instrument,
            view=desk.view,
        )
    assert {result.outcome for result in results} == {"passed"}
    desk.approve(desk.intent())


# opening


def test_check_when_only_closing_is_allowed_then_opening_is_refused():
    desk = Desk(wide(reduce_only=True))
    assert desk.reject(desk.intent()).reason is Reason.REDUCE_ONLY_MODE


def test_check_when_enough_orders_are_open_then_refused():
    desk = Desk(wide(open_orders_per_instrument_max=3))
    desk.portfolio.set_working(
        ACCOUNT, desk.instrument.id, buy_units=1, sell_units=0, open_orders=3
    )
    assert str(desk.reject(desk.intent())) == (
        "open_orders_limit: 3 open orders in BTCUSDT against 3"
    )


def test_check_when_requests_are_unknown_then_refused_above_the_bound():
    desk = Desk(wide(unknown_requests_per_instrument_max=1))
    for unknown, reason in ((1, None), (2, Reason.UNKNOWN_REQUEST)):
        desk.portfolio.set_working(
            ACCOUNT,
            desk.instrument.id,
            buy_units=1,
            sell_units=0,
            open_orders=2,
            unknown_requests=unknown,
        )
        verdict = desk.ask(desk.intent())
        assert reason is (verdict.reason if isinstance(verdict, Rejected) else None)


def test_check_when_the_position_is_on_the_other_side_then_refused_if_conflicts_are_denied():
    desk = Desk()
    desk.portfolio.apply_fill(fill(desk.instrument, Side.SELL, 100, 6_000_000), ALPHA)
    assert str(desk.reject(desk.intent())) == (
        "conflicting_position: buy while short 0.100 against not against the position"
    )
    free = Desk(wide(deny_conflicting_position=False))
    free.portfolio.apply_fill(fill(free.instrument, Side.SELL, 100, 6_000_000), ALPHA)
    free.approve(free.intent())


def test_check_when_opposite_orders_work_then_refused_if_they_are_denied():
    desk = Desk(wide(deny_opposite_orders=True))
    desk.portfolio.set_working(
        ACCOUNT, desk.instrument.id, buy_units=0, sell_units=5, open_orders=1
    )
    assert desk.reject(desk.intent()).reason is Reason.OPPOSITE_ORDER
    desk.approve(desk.intent(Side.SELL))


def test_check_when_any_price_is_missing_then_opening_is_refused_and_never_taken_for_zero():
    other = linear("ETHUSDT", base="ETH")
    desk = Desk()
    desk.portfolio.set_instrument(other)
    desk.portfolio.apply_fill(fill(other, Side.BUY, 1, 300_000), ALPHA)
    refusal = desk.reject(desk.intent())
    assert refusal.reason is Reason.MARK_UNKNOWN
    assert "sim:linear:ETHUSDT" in refusal.check.value
    desk.portfolio.set_mark(other.id, 300_000)
    desk.approve(desk.intent())
    desk.portfolio.apply_balance(balance("GHOST", 1))
    refusal = desk.reject(desk.intent())
    assert refusal.reason is Reason.NO_EQUITY
    assert "GHOST" in refusal.check.value


def test_check_when_the_own_mark_is_missing_and_nothing_is_held_then_the_mid_serves():
    desk = Desk(wide(position_percent_max=Decimal(10)))
    desk.portfolio.set_mark(desk.instrument.id, None)
    assert desk.approve(desk.intent(size_units=100)).size_units == 16


def test_check_when_equity_is_gone_then_refused():
    desk = Desk(usdt=0)
    assert desk.reject(desk.intent()).reason is Reason.NO_EQUITY


# rooms


def test_check_when_an_order_is_too_large_then_it_shrinks_and_says_why():
    desk = Desk(wide(order_notional_usdt_max=Decimal(1_000)))
    verdict = desk.approve(desk.intent(size_units=50))
    assert verdict.size_units == 16
    (check,) = verdict.reduced_by
    assert (check.reason, check.value, check.bound) == (
        Reason.ORDER_NOTIONAL,
        "3000.00 USDT",
        "1000.00 USDT an order",
    )


def test_check_when_it_may_not_shrink_then_refused_by_the_same_limit():
    limits = wide(order_notional_usdt_max=Decimal(1_000))
    fok = Desk(limits)
    refusal = fok.reject(fok.intent(size_units=50, time_in_force=TimeInForce.FOK))
    assert refusal.reason is Reason.ORDER_NOTIONAL
    strict = Desk(msgspec.structs.replace(limits, reduce_to_fit=False))
    assert strict.reject(strict.intent(size_units=50)).reason is Reason.ORDER_NOTIONAL


def test_check_when_position_and_orders_fill_the_limit_then_refused_with_both_counted():
    desk = Desk(wide(position_percent_max=Decimal(60)))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 50, 6_000_000), ALPHA)
    desk.portfolio.set_working(
        ACCOUNT, desk.instrument.id, buy_units=50, sell_units=0, open_orders=1
    )
    assert str(desk.reject(desk.intent())) == (
        "position_limit: 6600.00 USDT in BTCUSDT against 6000.00 USDT (60 % of equity)"
    )


def test_check_when_other_instruments_fill_the_exposure_then_refused():
    other = linear("ETHUSDT", base="ETH")
    desk = Desk(wide(exposure_percent_max=Decimal(90), position_percent_max=Decimal(80)))
    desk.portfolio.set_instrument(other)
    desk.portfolio.set_mark(other.id, 300_000)
    desk.portfolio.set_working(ACCOUNT, other.id, buy_units=0, sell_units=3_000, open_orders=1)
    assert str(desk.reject(desk.intent())) == (
        "exposure_limit: 9600.00 USDT in all against 9000.00 USDT (90 % of equity)"
    )


def test_check_when_leverage_is_the_smaller_bound_then_it_speaks():
    desk = Desk(wide(leverage_max=Decimal(2)))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 330, 6_000_000), ALPHA)
    verdict = desk.approve(desk.intent(size_units=5))
    assert verdict.size_units == 3
    (check,) = verdict.reduced_by
    assert (check.reason, check.value, check.bound) == (
        Reason.LEVERAGE_LIMIT,
        "2.01 times equity",
        "2 times",
    )


def test_check_when_the_rest_is_below_the_minimum_notional_then_refused():
    desk = Desk(wide(position_percent_max=Decimal("0.0001")), usdt=1_000_000)
    refusal = desk.reject(desk.intent())
    assert refusal.reason is Reason.POSITION_LIMIT
    cheap = Desk(mid_units=4_000, usdt=1_000)
    refusal = cheap.reject(cheap.intent(price_units=4_000, size_units=10))
    assert str(refusal) == "notional_too_small: 0.4000 USDT against at least 5 USDT"


# closing


def test_check_when_closing_then_exposure_limits_do_not_stand_in_the_way():
    desk = Desk(wide(position_percent_max=Decimal("0.01"), reduce_only=True))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 500, 6_000_000), ALPHA)
    desk.portfolio.apply_balance(balance("USDT", money(-1), venue_ns=NOW_NS + 1))
    close = desk.intent(Side.SELL, 500, order_type=OrderType.MARKET, reduce_only=True)
    assert desk.approve(close) == Approved(500)


def test_check_when_more_is_closed_than_held_then_it_shrinks_to_what_is_held():
    desk = Desk()
    desk.portfolio.apply_fill(fill(desk.instrument, Side.SELL, 7, 6_000_000), ALPHA)
    verdict = desk.approve(desk.intent(Side.BUY, 10, order_type=OrderType.MARKET, reduce_only=True))
    assert verdict.size_units == 7
    assert verdict.reduced_by[0].reason is Reason.NOTHING_TO_CLOSE


@pytest.mark.parametrize("held", [0, 10])
def test_check_when_nothing_can_be_closed_then_refused(held: int):
    desk = Desk()
    if held:
        desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, held, 6_000_000), ALPHA)
    refusal = desk.reject(desk.intent(Side.BUY, reduce_only=True))
    assert str(refusal) == "nothing_to_close: size 0.010 against size 0.000 can be closed"


def test_check_when_a_stop_waits_for_a_growing_position_then_the_working_part_counts():
    desk = Desk()
    desk.portfolio.set_working(
        ACCOUNT, desk.instrument.id, buy_units=30, sell_units=0, open_orders=1
    )
    stop = desk.intent(
        Side.SELL,
        30,
        order_type=OrderType.MARKET,
        reduce_only=True,
        trigger_price_units=5_970_000,
    )
    assert desk.approve(stop) == Approved(30)


def test_check_when_a_hedge_leg_is_closed_then_it_needs_no_flag():
    desk = Desk(wide(reduce_only=True))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 20, 6_000_000, leg=Leg.LONG), ALPHA)
    assert desk.approve(desk.intent(Side.SELL, 20, leg=Leg.LONG)) == Approved(20)
    assert desk.reject(desk.intent(Side.SELL, leg=Leg.SHORT)).reason is Reason.REDUCE_ONLY_MODE


def test_check_when_legs_are_separate_then_both_count_for_the_position():
    desk = Desk(wide(position_percent_max=Decimal(60)))
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 50, 6_000_000, leg=Leg.LONG), ALPHA)
    assert desk.approve(desk.intent(Side.SELL, 60, leg=Leg.SHORT)).size_units == 50


# spot


def test_check_when_spot_sells_then_only_what_is_held():
    instrument = spot()
    desk = Desk(instrument=instrument)
    sell = desk.intent(Side.SELL, 1_000_000)
    assert str(desk.reject(sell)) == (
        "short_unavailable: size 0.000000 can be closed against spot sells holdings only"
    )
    desk.portfolio.apply_fill(
        fill(instrument, Side.BUY, 100_000, 6_000_000, fee=money("0.0001"), fee_asset="BTC"),
        ALPHA,
    )
    assert desk.approve(sell).size_units == 99_900


# overrides


def test_check_when_strategy_and_symbol_override_then_the_stricter_counts():
    limits = wide(
        strategies={"alpha": LimitOverrides(order_notional_usdt_max=Decimal(1_200))},
        symbols={
            "BTCUSDT": LimitOverrides(order_notional_usdt_max=Decimal(5)),
            "sim:linear:BTCUSDT": LimitOverrides(order_notional_usdt_max=Decimal(600)),
        },
    )
    desk = Desk(limits)
    assert desk.approve(desk.intent(size_units=50)).size_units == 10
    verdict = desk.ask(desk.intent(size_units=50), strategy_id=BETA)
    assert isinstance(verdict, Approved)
    assert verdict.size_units == 10


def test_check_when_an_account_has_its_own_limits_then_they_replace_the_others():
    desk = Desk()
    other = AccountId("sim", "other")
    desk.gate = Gate(WIDE, accounts={ACCOUNT: wide(reduce_only=True)})
    assert desk.reject(desk.intent()).reason is Reason.REDUCE_ONLY_MODE
    assert desk.gate.limits_of(other) == WIDE


# losses


def lose(desk: Desk, price_units: int) -> None:
    """Buy 100 units (6,000 USDT) at 60,000 and see the price fall."""
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 100, 6_000_000), ALPHA)
    desk.portfolio.set_mark(desk.instrument.id, price_units)
    desk.book = book_of(desk.instrument, mid_units=price_units)


def test_check_when_the_days_loss_is_at_its_limit_then_opening_waits_for_tomorrow():
    desk = Desk(wide(daily_loss_percent_max=Decimal(3), spread_bps_max=Decimal(500)))
    lose(desk, 5_700_010)
    order = desk.intent(price_units=5_700_000)
    desk.approve(order)
    desk.portfolio.set_mark(desk.instrument.id, 5_700_000)
    refusal = desk.reject(order)
    assert str(refusal) == (
        "daily_loss: loss of 300.00 USDT today, 3.000 % (limit reached today) "
        "against 3 % of the day's first equity"
    )
    desk.portfolio.set_mark(desk.instrument.id, 6_000_000)
    assert desk.reject(order).reason is Reason.DAILY_LOSS
    desk.approve(desk.intent(Side.SELL, 100, price_units=5_700_000, reduce_only=True))
    desk.portfolio.set_mark(desk.instrument.id, 5_700_000)
    desk.now_ns += DAY_NS
    assert desk.book is not None
    desk.book.prove(desk.now_ns)
    desk.approve(order)


def test_check_when_fees_and_funding_are_the_loss_then_they_count():
    desk = Desk(wide(daily_loss_percent_max=Decimal(1)))
    desk.portfolio.apply_fill(
        fill(desk.instrument, Side.BUY, 1, 6_000_000, fee=money(100), venue_ns=NOW_NS), ALPHA
    )
    assert desk.reject(desk.intent()).reason is Reason.DAILY_LOSS


def test_observe_when_a_limit_is_passed_between_orders_then_it_latches():
    desk = Desk(wide(daily_loss_percent_max=Decimal(3), drawdown_percent_max=Decimal(5)))
    assert not desk.gate.observe(ACCOUNT, desk.now_ns, desk.view)
    lose(desk, 5_400_000)
    assert desk.gate.observe(ACCOUNT, desk.now_ns, desk.view)
    told = desk.gate.latched(ACCOUNT, desk.view)
    assert [check.reason for check in told] == [Reason.DAILY_LOSS, Reason.DRAWDOWN]
    desk.portfolio.set_mark(desk.instrument.id, 6_000_000)
    desk.book = book_of(desk.instrument)
    assert desk.reject(desk.intent()).reason is Reason.DAILY_LOSS


def test_drawdown_when_reached_then_only_a_person_lifts_it():
    desk = Desk(wide(daily_loss_percent_max=Decimal(5), drawdown_percent_max=Decimal(5)))
    lose(desk, 5_400_000)
    desk.gate.observe(ACCOUNT, desk.now_ns, desk.view)
    desk.now_ns += 2 * DAY_NS
    desk.book = book_of(desk.instrument, mid_units=5_400_000)
    desk.book.prove(desk.now_ns)
    order = desk.intent(price_units=5_400_000)
    refusal = desk.reject(order)
    assert str(refusal) == (
        "drawdown: 600.00 USDT below the peak, 6.000 % (limit reached, waits for a reset) "
        "against 5 % of the peak"
    )
    desk.gate.reset_drawdown(ACCOUNT, desk.view)
    desk.approve(order)


def test_restore_when_restarted_then_breaches_and_rates_go_on():
    limits = wide(daily_loss_percent_max=Decimal(3), orders_per_second_max=2)
    desk = Desk(limits)
    desk.approve(desk.intent())
    lose(desk, 5_400_000)
    desk.gate.observe(ACCOUNT, desk.now_ns, desk.view)
    state = desk.gate.state()
    assert state == msgspec.json.decode(msgspec.json.encode(state), type=type(state))
    again = Desk(limits)
    again.gate.restore(state)
    assert again.reject(again.intent()).reason is Reason.DAILY_LOSS
    assert state == again.gate.state()


# explanations


def test_explain_when_a_limit_refuses_then_every_check_is_told_with_its_figures():
    desk = Desk(wide(position_percent_max=Decimal(60), spread_bps_max=Decimal("0.01")))
    results = desk.gate.explain(
        desk.intent(size_units=200),
        strategy_id=ALPHA,
        account_id=ACCOUNT,
        now_ns=NOW_NS,
        book=desk.book,
        instrument=desk.instrument,
        view=desk.view,
    )
    by_reason = {result.reason: result for result in results}
    assert by_reason[Reason.SPREAD_TOO_WIDE].outcome == "refused"
    assert by_reason[Reason.POSITION_LIMIT].outcome == "reduced"
    assert by_reason[Reason.POSITION_LIMIT].size_units == 100
    assert by_reason[Reason.LEVERAGE_LIMIT].value == "0.6 times equity"
    assert all(result.value and result.bound for result in results)
    assert len(results) == 49


def test_explain_when_there_is_neither_book_nor_equity_then_it_says_what_it_cannot_tell():
    desk = Desk()
    desk.book = None
    desk.view = RiskView(Portfolio())
    desk.view.portfolio.set_instrument(desk.instrument)
    results = desk.gate.explain(
        desk.intent(),
        strategy_id=ALPHA,
        account_id=ACCOUNT,
        now_ns=NOW_NS,
        book=None,
        instrument=desk.instrument,
        view=desk.view,
    )
    outcomes = {result.reason: result.outcome for result in results}
    assert outcomes[Reason.ACCOUNT_NOT_READY] == "refused"
    assert outcomes[Reason.BOOK_TOO_OLD] == "unknown"
    assert outcomes[Reason.NO_EQUITY] == "refused"
    assert outcomes[Reason.EXPOSURE_LIMIT] == "unknown"
