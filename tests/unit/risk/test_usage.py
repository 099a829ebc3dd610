"""How far limits are used: exact numbers, unknown is not zero, and what is reached refuses."""

from decimal import Decimal

import msgspec

from tests.unit.portfolio.worlds import ACCOUNT, ALPHA, BETA, fill
from tests.unit.risk.rooms import Desk
from tickwright.core.orders import Side
from tickwright.core.verdicts import Reason
from tickwright.risk import LimitOverrides, LimitUse, RiskLimits

LIMITS = RiskLimits(
    position_percent_max=Decimal(20),
    strategies={"alpha": LimitOverrides(position_percent_max=Decimal(10))},
)


def usage(desk: Desk) -> dict[tuple[str, str], LimitUse]:
    assert desk.book is not None
    rows = desk.gate.usage(
        ACCOUNT,
        view=desk.view,
        now_ns=desk.now_ns,
        books={desk.instrument.id: desk.book},
        strategies=(ALPHA, BETA),
    )
    return {(row.name, row.limit): row for row in rows}


def test_usage_when_a_position_is_held_then_use_bound_and_headroom_are_exact():
    desk = Desk(LIMITS)
    # 10 units of 0.001 BTC at 60,000: 600 USDT.
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    rows = usage(desk)
    row = rows["BTCUSDT", "position_percent_max"]
    assert (row.use, row.bound, row.headroom) == (Decimal(600), Decimal(2000), Decimal(1400))
    assert (row.scope, row.unit, row.reason) == ("symbol", "USDT", Reason.POSITION_LIMIT)
    own = rows["alpha BTCUSDT", "position_percent_max"]
    assert (own.bound, own.headroom, own.scope) == (Decimal(1000), Decimal(400), "strategy")
    assert ("beta BTCUSDT", "position_percent_max") not in rows
    whole = rows["sim:main", "exposure_percent_max"]
    assert (whole.use, whole.bound) == (Decimal(600), Decimal(10_000))
    assert rows["sim:main", "leverage_max"].use == Decimal("0.06")
    assert rows["BTCUSDT", "spread_bps_max"].bound == Decimal(50)
    assert not any(row.is_reached for row in rows.values())


def test_usage_when_a_price_is_missing_then_unknown_and_reached_instead_of_zero():
    desk = Desk(LIMITS)
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)
    desk.portfolio.set_mark(desk.instrument.id, None)
    rows = usage(desk)
    for name, limit in (
        ("BTCUSDT", "position_percent_max"),
        ("sim:main", "exposure_percent_max"),
        ("sim:main", "daily_loss_percent_max"),
    ):
        row = rows[name, limit]
        assert (row.use, row.headroom, row.is_reached) == (None, None, True)


def test_usage_when_orders_were_approved_then_rates_count_and_forget():
    desk = Desk(msgspec.structs.replace(LIMITS, orders_per_second_max=2))
    for _ in range(2):
        desk.approve(desk.intent(size_units=1))
    row = usage(desk)["sim:main", "orders_per_second_max"]
    assert (row.use, row.headroom, row.is_reached) == (Decimal(2), Decimal(0), True)
    desk.now_ns += 1_000_000_000
    assert usage(desk)["sim:main", "orders_per_second_max"].use == 0
    assert usage(desk)["sim:main", "orders_per_minute_max"].use == 2
