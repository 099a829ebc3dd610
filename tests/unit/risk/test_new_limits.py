"""Limits of sums, flow, moments and the market: each refuses or reduces with its figures."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.portfolio.worlds import ACCOUNT, ALPHA, BETA, fill, linear, money
from tests.unit.risk.rooms import NOW_NS, WIDE, Desk
from tickwright.core.errors import ConfigError
from tickwright.core.events import AccountState
from tickwright.core.orders import OrderType, Side, TimeInForce
from tickwright.core.verdicts import Approved, Reason, Rejected
from tickwright.risk import LimitOverrides, RiskLimits
from tickwright.risk.hours import TradingHours
from tickwright.risk.limits import RiskGroup
from tickwright.risk.round_trips import RoundTrips

SECOND_NS = 1_000_000_000
ETH = linear("ETHUSDT", base="ETH")


def desk_of(**changes: Any) -> Desk:
    return Desk(msgspec.structs.replace(WIDE, **changes))


def hold(desk: Desk, side: Side, size_units: int, *, eth: bool = True) -> None:
    """Hold a position, 60 USDT a unit, in the other symbol."""
    instrument = ETH if eth else desk.instrument
    desk.portfolio.set_instrument(instrument)
    desk.portfolio.set_mark(instrument.id, 6_000_000)
    desk.portfolio.apply_fill(fill(instrument, side, size_units, 6_000_000), ALPHA)


GROUP = RiskGroup(name="pair", symbols=("BTCUSDT", "ETHUSDT"), exposure_percent_max=Decimal(60))


@pytest.mark.parametrize(
    ("changes", "held", "side", "units", "reason"),
    [
        # 10,000 USDT of equity at 60 USDT a unit; the other symbol holds 3,000 USDT.
        ({"net_exposure_percent_max": Decimal(60)}, Side.BUY, Side.BUY, 50, Reason.NET_EXPOSURE),
        ({"net_exposure_percent_max": Decimal(60)}, Side.SELL, Side.BUY, 150, Reason.NET_EXPOSURE),
        (
            {"total_notional_usdt_max": Decimal(6_000)},
            Side.BUY,
            Side.SELL,
            50,
            Reason.TOTAL_POSITION,
        ),
        (
            {"position_notional_usdt_max": Decimal(4_800)},
            Side.BUY,
            Side.BUY,
            80,
            Reason.POSITION_NOTIONAL,
        ),
        ({"order_size_max": Decimal("0.07")}, Side.BUY, Side.BUY, 70, Reason.ORDER_SIZE),
        ({"margin_use_percent_max": Decimal(6)}, Side.BUY, Side.SELL, 50, Reason.MARGIN_USE),
        ({"groups": (GROUP,)}, Side.BUY, Side.SELL, 50, Reason.GROUP_EXPOSURE),
        (
            {"groups": (msgspec.structs.replace(GROUP, direction="net"),)},
            Side.BUY,
            Side.BUY,
            50,
            Reason.GROUP_EXPOSURE,
        ),
        (
            {"groups": (msgspec.structs.replace(GROUP, direction="short"),)},
            Side.BUY,
            Side.SELL,
            100,
            Reason.GROUP_EXPOSURE,
        ),
    ],
)
def test_order_when_a_sum_has_room_for_a_part_then_reduced_to_it_and_refused_at_it(
    changes: dict[str, Any], held: Side, side: Side, units: int, reason: Reason
):
    desk = desk_of(**changes)
    hold(desk, held, 50)
    approved = desk.approve(desk.intent(side, 500))
    assert (units, [reason]) == (approved.size_units, [c.reason for c in approved.reduced_by])
    whole = desk_of(**changes, reduce_to_fit=False)
    hold(whole, held, 50)
    assert isinstance(whole.approve(whole.intent(side, units)), Approved)
    assert reason is whole.reject(whole.intent(side, units + 1)).reason


def test_net_exposure_when_orders_work_on_both_sides_then_the_worse_end_counts():
    desk = desk_of(net_exposure_percent_max=Decimal(60), reduce_to_fit=False)
    desk.portfolio.set_working(
        ACCOUNT, desk.instrument.id, buy_units=90, sell_units=100, open_orders=2
    )
    assert Reason.NET_EXPOSURE is desk.reject(desk.intent(Side.BUY, 11)).reason
    assert Reason.NET_EXPOSURE is desk.reject(desk.intent(Side.SELL, 1)).reason
    desk.approve(desk.intent(Side.BUY, 10))


def test_margin_when_the_venue_tells_more_than_ours_then_its_figure_counts():
    desk = desk_of(margin_use_percent_max=Decimal(50))
    state = AccountState(
        account_id=ACCOUNT,
        equity=0,
        available=0,
        initial_margin=money(4_940),
        maintenance_margin=0,
        venue_ns=1,
        received_ns=1,
    )
    desk.portfolio.note_totals(state)
    # 60 USDT of margin left are 600 USDT of exposure at ten times: ten units.
    assert 10 == desk.approve(desk.intent(Side.BUY, 100)).size_units


def test_positions_when_as_many_as_allowed_then_no_other_symbol_is_opened():
    desk = desk_of(positions_max=1)
    desk.approve(desk.intent(size_units=1))
    hold(desk, Side.BUY, 1)
    refused = desk.reject(desk.intent(size_units=1))
    assert Reason.POSITIONS_LIMIT is refused.reason
    assert ("1 instruments held or ordered", "1") == (refused.check.value, refused.check.bound)


@pytest.mark.parametrize(
    ("later_ns", "mid_units", "is_refused"),
    [
        (60 * SECOND_NS, 6_000_010, False),
        (60 * SECOND_NS + 1, 6_000_010, True),
        # A mark has no reason to move while the book does not.
        (60 * SECOND_NS + 1, 6_000_000, False),
    ],
)
def test_mark_when_not_refreshed_while_the_book_moves_then_opening_is_refused(
    later_ns: int, mid_units: int, is_refused: bool
):
    desk = desk_of(book_age_ms_max=600_000)
    desk.portfolio.set_mark(
        desk.instrument.id, 6_000_000, now_ns=NOW_NS, mid_twice_units=12_000_000
    )
    book = desk.book
    assert book is not None
    best = mid_units // 10 * 10
    book.apply_snapshot([(best - 10, 1_000)], [(best + 10, 1_000)], update_id=2, received_ns=NOW_NS)
    desk.now_ns += later_ns
    verdict = desk.ask(desk.intent(size_units=1))
    assert is_refused == isinstance(verdict, Rejected)
    if isinstance(verdict, Rejected):
        assert Reason.MARK_FROZEN is verdict.reason
        hold(desk, Side.BUY, 5, eth=False)
        desk.approve(desk.intent(Side.SELL, 5, reduce_only=True))


def test_clock_when_skewed_or_unknown_and_denied_then_opening_is_refused():
    desk = desk_of(clock_skew_ms_max=100)
    desk.approve(desk.intent())
    desk.view.clock_skew_ns["sim"] = 100_000_000
    desk.approve(desk.intent())
    desk.view.clock_skew_ns["sim"] += 1
    assert Reason.CLOCK_SKEW is desk.reject(desk.intent()).reason
    strict = desk_of(deny_unknown_clock=True)
    assert "never measured" == strict.reject(strict.intent()).check.value


def test_depth_when_too_little_is_visible_then_opening_is_refused():
    # 20 levels of 1,000 units of 60 USDT; ten of them count.
    assert isinstance(
        desk_of(depth_notional_usdt_min=Decimal(600_000)).ask(desk_of().intent()), Approved
    )
    thin = desk_of(depth_notional_usdt_min=Decimal(600_001))
    assert Reason.DEPTH_LIMIT is thin.reject(thin.intent()).reason


@pytest.mark.parametrize(
    ("windows", "text", "is_open"),
    [
        ((), "mon 12:00", True),
        (("mon-fri 08:00-20:00",), "fri 19:59", True),
        (("mon-fri 08:00-20:00",), "fri 20:00", False),
        (("mon-fri 08:00-20:00",), "sat 12:00", False),
        (("22:00-02:00",), "sun 23:00", True),
        (("22:00-02:00",), "mon 01:59", True),
        (("22:00-02:00",), "mon 02:00", False),
        (("sun 22:00-02:00",), "mon 01:00", True),
        (("sat-mon 00:00-24:00",), "sun 12:00", True),
        (("sat-mon 00:00-24:00",), "tue 00:00", False),
    ],
)
def test_hours_when_asked_then_open_within_their_windows(
    windows: tuple[str, ...], text: str, is_open: bool
):
    day, _, clock = text.partition(" ")
    hour, _, minute = clock.partition(":")
    # 1970-01-05 was a Monday.
    days = 4 + ("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(day)
    now_ns = ((days * 24 + int(hour)) * 60 + int(minute)) * 60 * SECOND_NS
    assert is_open == TradingHours(windows).is_open(now_ns)


def test_funding_when_near_then_opening_waits_and_closing_does_not():
    desk = desk_of(funding_pause_before_s=10, funding_pause_after_s=5)
    next_ns = NOW_NS + 100 * SECOND_NS
    desk.portfolio.set_funding_time(desk.instrument.id, next_ns)
    hold(desk, Side.BUY, 5, eth=False)
    book = desk.book
    assert book is not None
    for moment_ns, is_open in (
        (next_ns - 10 * SECOND_NS, True),
        (next_ns - 10 * SECOND_NS + 1, False),
        (next_ns + 5 * SECOND_NS - 1, False),
        (next_ns + 5 * SECOND_NS, True),
    ):
        desk.now_ns = moment_ns
        book.prove(moment_ns)
        verdict = desk.ask(desk.intent(size_units=1))
        assert is_open == isinstance(verdict, Approved)
        if isinstance(verdict, Rejected):
            assert Reason.FUNDING_WINDOW is verdict.reason
        desk.approve(desk.intent(Side.SELL, 1, reduce_only=True))


def test_symbols_when_denied_or_not_allowed_then_only_closing_passes():
    denied = desk_of(strategies={"alpha": LimitOverrides(symbols_denied=("BTCUSDT",))})
    assert Reason.SYMBOL_DENIED is denied.reject(denied.intent()).reason
    assert isinstance(denied.ask(denied.intent(), strategy_id=BETA), Approved)
    hold(denied, Side.BUY, 5, eth=False)
    denied.approve(denied.intent(Side.SELL, 5, reduce_only=True))
    listed = desk_of(symbols_allowed=("ETHUSDT",))
    assert Reason.SYMBOL_DENIED is listed.reject(listed.intent()).reason


def test_cancels_when_as_many_as_allowed_then_nothing_opens_and_closing_passes():
    desk = desk_of(cancels_per_second_max=2, amends_per_second_max=1)
    hold(desk, Side.BUY, 5, eth=False)
    for _ in range(3):
        desk.gate.note_cancel(ACCOUNT, desk.now_ns)
    assert Reason.CANCEL_RATE is desk.reject(desk.intent()).reason
    desk.approve(desk.intent(Side.SELL, 5, reduce_only=True))
    desk.now_ns += SECOND_NS
    desk.approve(desk.intent())
    desk.gate.note_amend(ACCOUNT, desk.now_ns)
    assert Reason.AMEND_RATE is desk.reject(desk.intent()).reason


def test_order_to_fill_when_few_fill_then_refused_until_they_do_or_leave_the_window():
    desk = desk_of(
        order_to_fill_ratio_max=Decimal(2), order_to_fill_orders_min=3, book_age_ms_max=600_000
    )
    for _ in range(3):
        desk.approve(desk.intent(size_units=1))
    assert Reason.ORDER_TO_FILL is desk.reject(desk.intent(size_units=1)).reason
    desk.gate.note_fill(ACCOUNT, desk.now_ns)
    desk.gate.note_fill(ACCOUNT, desk.now_ns)
    desk.approve(desk.intent(size_units=1))
    assert Reason.ORDER_TO_FILL is desk.reject(desk.intent(size_units=1)).reason
    desk.now_ns += 600 * SECOND_NS
    desk.approve(desk.intent(size_units=1))


def test_losses_when_so_many_in_a_row_then_refused_until_a_win_or_the_next_day():
    desk = desk_of(loss_streak_max=3, strategies={"alpha": LimitOverrides(loss_streak_max=2)})
    for money_made in (-1, -1):
        desk.gate.note_trade(ACCOUNT, ALPHA, money_made, desk.view)
    refused = desk.reject(desk.intent())
    assert "loss_streak: 2 losing trades in a row of alpha against 2" == str(refused)
    assert isinstance(desk.ask(desk.intent(), strategy_id=BETA), Approved)
    desk.gate.note_trade(ACCOUNT, BETA, -1, desk.view)
    assert isinstance(desk.ask(desk.intent(), strategy_id=BETA), Rejected)
    desk.gate.note_trade(ACCOUNT, ALPHA, 1, desk.view)
    desk.approve(desk.intent())


def test_losses_when_restored_after_a_restart_then_they_count_on():
    changes: dict[str, Any] = {"loss_streak_max": 2}
    desk = desk_of(**changes)
    for _ in range(2):
        desk.gate.note_trade(ACCOUNT, ALPHA, -1, desk.view)
    again = desk_of(**changes)
    again.gate.restore(desk.gate.state())
    assert Reason.LOSS_STREAK is again.reject(again.intent()).reason


def test_unknown_requests_when_many_in_all_then_nothing_opens():
    desk = desk_of(unknown_requests_max=2)
    hold(desk, Side.BUY, 1)
    desk.portfolio.set_working(
        ACCOUNT, ETH.id, buy_units=0, sell_units=0, open_orders=3, unknown_requests=3
    )
    assert Reason.UNKNOWN_TOTAL is desk.reject(desk.intent()).reason
    desk.portfolio.set_working(
        ACCOUNT, ETH.id, buy_units=0, sell_units=0, open_orders=0, unknown_requests=0
    )
    desk.approve(desk.intent())


def test_intents_when_by_the_thousand_a_second_then_only_as_many_as_allowed_pass():
    desk = desk_of(orders_per_second_max=20, orders_per_minute_max=100)
    passed = 0
    for number in range(10_000):
        side = Side.BUY if number % 2 else Side.SELL
        passed += isinstance(desk.ask(desk.intent(side, 1)), Approved)
        desk.now_ns += 100_000
    assert passed <= 20


@pytest.mark.parametrize("size_units", [0, -1, 10**30])
@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.MARKET])
def test_order_when_its_size_is_none_then_refused_with_the_figure(
    size_units: int, order_type: OrderType
):
    desk = desk_of()
    refused = desk.reject(desk.intent(size_units=size_units, order_type=order_type))
    assert Reason.SIZE_INVALID is refused.reason


def test_trades_when_closed_by_parts_then_one_trade_counts():
    trips = RoundTrips()
    btc = linear().id
    assert trips.take(btc, before=0, after=10, money=-1, notional=0) is None
    assert trips.take(btc, before=10, after=4, money=30, notional=600) is None
    closed = trips.take(btc, before=4, after=0, money=11, notional=400)
    assert closed is not None
    assert (40, 0.04) == (closed.money, closed.fraction)
    assert trips.take(btc, before=0, after=-2, money=0, notional=0) is None
    flipped = trips.take(btc, before=-2, after=3, money=-5, notional=100)
    assert flipped is not None
    assert -5 == flipped.money


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"net_exposure_percent_max": Decimal(200)},
            "net_exposure_percent_max 200 is above risk.exposure_percent_max 100",
        ),
        (
            {"symbols_allowed": ("A",), "symbols_denied": ("A",)},
            "risk.symbols_allowed and risk.symbols_denied both name A",
        ),
        (
            {"groups": (msgspec.structs.replace(GROUP, exposure_percent_max=Decimal(101)),)},
            "groups.pair",
        ),
        ({"groups": (GROUP, GROUP)}, "names 'pair' twice"),
        ({"trading_hours": ("8-9",)}, "write a window as"),
        ({"trading_hours": ("08:00-08:00",)}, "a window of no length"),
        ({"trading_hours": ("08:61-09:00",)}, "00:00 to 24:00"),
        (
            {
                "trading_hours": ("mon 08:00-09:00",),
                "symbols": {"A": LimitOverrides(trading_hours=("tue 08:00-09:00",))},
            },
            "risk.symbols.A.trading_hours is never open within risk.trading_hours",
        ),
        ({"symbols": {"A": LimitOverrides(loss_streak_max=2)}}, "risk.symbols.A.loss_streak_max"),
        ({"order_size_max": Decimal("NaN")}, "order_size_max is NaN"),
        ({"margin_leverage": Decimal("Infinity")}, "margin_leverage is Infinity"),
        ({"unknown_requests_max": 1}, "unknown_requests_per_instrument_max 2 is above"),
    ],
)
def test_limits_when_new_figures_contradict_then_both_keys_are_named(
    changes: dict[str, Any], words: str
):
    with pytest.raises(ConfigError) as refused:
        RiskLimits(**changes)
    assert words in str(refused.value)


def test_market_order_when_reduced_out_of_the_band_then_refused_by_it():
    """Whole, it reaches down to where the mark's band begins; the part that may go doesn't."""

    def of(order_notional: int) -> Desk:
        desk = desk_of(
            price_band_bps_max=Decimal(100),
            order_notional_usdt_max=Decimal(order_notional),
            spread_bps_max=Decimal(500),
        )
        assert desk.book is not None
        desk.book.apply_snapshot(
            [(5_999_990, 10), (5_990_000, 1_000)],
            [(6_000_010, 10), (6_000_020, 1_000)],
            update_id=2,
            received_ns=NOW_NS,
        )
        desk.portfolio.set_mark(desk.instrument.id, 5_935_000)
        return desk

    market = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}
    whole = of(1_000_000)
    assert 500 == whole.approve(whole.intent(Side.SELL, 500, **market)).size_units
    part = of(500)
    assert Reason.PRICE_BAND is part.reject(part.intent(Side.SELL, 500, **market)).reason
