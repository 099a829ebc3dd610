"""Configured limits: what is taken, what is refused and how."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.portfolio.worlds import ALPHA, BETA, linear
from tickwright.core.errors import ConfigError
from tickwright.risk import LimitOverrides, RiskLimits
from tickwright.risk.bound_limits import bind


def test_limits_when_read_from_toml_then_numbers_are_exact():
    text = """
    position_percent_max = 12.5
    leverage_max = 2
    [sizing]
    equity_percent = 0.3
    [strategies.alpha]
    order_notional_usdt_max = 250.5
    """
    limits = msgspec.toml.decode(text, type=RiskLimits)
    assert limits.position_percent_max == Decimal("12.5")
    assert limits.sizing.equity_percent == Decimal("0.3")
    assert limits.strategies["alpha"].order_notional_usdt_max == Decimal("250.5")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position_percent_max": Decimal("NaN")}, "position_percent_max is NaN; choose"),
        ({"position_percent_max": Decimal("Infinity")}, "position_percent_max is Infinity"),
        ({"position_percent_max": Decimal(-1)}, "position_percent_max is -1; choose a number"),
        ({"position_percent_max": Decimal("0.00001")}, "position_percent_max"),
        ({"position_percent_max": Decimal("1.00001")}, "at most four decimals"),
        ({"leverage_max": Decimal(0)}, "leverage_max is 0"),
        ({"leverage_max": Decimal("1e30")}, "leverage_max is 1E.30; choose"),
        ({"order_notional_usdt_max": Decimal("1e30")}, "order_notional_usdt_max"),
        ({"orders_per_second_max": 0}, "orders_per_second_max is 0; choose a whole number"),
        ({"book_age_ms_max": 0}, "book_age_ms_max is 0"),
        ({"confidence_min": Decimal(2)}, "confidence_min is 2"),
        ({"position_percent_max": Decimal(200)}, "above risk.exposure_percent_max 100"),
        ({"daily_loss_percent_max": Decimal(20)}, "lower it or raise drawdown_percent_max"),
        (
            {"orders_per_second_max": 50, "orders_per_minute_max": 40},
            "lower it or raise orders_per_minute_max",
        ),
        ({"strategies": {"": LimitOverrides()}}, "an entry without a name"),
        ({"symbols": {"a:b": LimitOverrides()}}, "venue:category:SYMBOL"),
        (
            {"symbols": {"BTCUSDT": LimitOverrides(spread_bps_max=Decimal(0))}},
            "risk.symbols.BTCUSDT.spread_bps_max is 0",
        ),
        (
            {"strategies": {"alpha": LimitOverrides(position_percent_max=Decimal(101))}},
            "risk.strategies.alpha.position_percent_max 101 is above",
        ),
    ],
)
def test_limits_when_impossible_or_contradicting_then_the_key_and_a_remedy_are_named(
    changes: dict[str, Any], words: str
):
    with pytest.raises(ConfigError, match=words):
        RiskLimits(**changes)


def test_limits_when_a_key_is_unknown_then_refused():
    with pytest.raises(msgspec.ValidationError, match="positon_percent_max"):
        msgspec.convert({"positon_percent_max": 3}, RiskLimits)


def test_bind_when_nothing_overrides_then_the_accounts_figures_count():
    limits = RiskLimits(
        strategies={"alpha": LimitOverrides(deny_conflicting_position=False, reduce_only=False)},
        reduce_only=True,
    )
    alpha = bind(limits, ALPHA, linear().id)
    beta = bind(limits, BETA, linear().id)
    assert (False, True) == (alpha.deny_conflicting_position, beta.deny_conflicting_position)
    assert alpha.reduce_only
    assert beta.position_parts == 200_000
    assert beta.order_notional == 10_000 * 10**18
    assert beta.book_age_ns == 5_000_000_000


def test_bind_when_two_overrides_name_a_figure_then_the_stricter_counts():
    limits = RiskLimits(
        strategies={
            "alpha": LimitOverrides(position_percent_max=Decimal(40), confidence_min=Decimal("0.5"))
        },
        symbols={
            "BTCUSDT": LimitOverrides(
                position_percent_max=Decimal(30), confidence_min=Decimal("0.1")
            )
        },
    )
    bound = bind(limits, ALPHA, linear().id)
    assert bound.position_parts == 300_000
    assert bound.confidence_min == 0.5
