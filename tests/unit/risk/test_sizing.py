"""Sizes of signals: every step counts once, says so, and refuses numbers that are none."""

import statistics
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.portfolio.worlds import ALPHA, inverse, linear, money, spot
from tests.unit.risk.rooms import NOW_NS, book_of
from tickwright.book.order_book import OrderBook
from tickwright.core.instrument import Instrument
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.verdicts import Reason, Rejected
from tickwright.portfolio.valuation import quote_value
from tickwright.risk import LimitOverrides, RiskLimits, SizingLimits
from tickwright.risk.bound_limits import bind
from tickwright.risk.sizing import RETURNS_MAX, ClosedReturns, SizeDecision, Sizer

BTC = linear()
PLAIN = SizingLimits()


def size(
    kind: SignalKind = SignalKind.LONG,
    *,
    instrument: Instrument = BTC,
    sizing: SizingLimits = PLAIN,
    confidence: float = 1.0,
    confidence_min: str = "0",
    **changes: Any,
) -> SizeDecision | Rejected:
    limits = RiskLimits(
        sizing=sizing,
        strategies={"alpha": LimitOverrides(confidence_min=Decimal(confidence_min))},
    )
    fields: dict[str, Any] = {
        "book": book_of(instrument),
        "equity": money(10_000),
        "price_units": 6_000_000,
        "volatility": None,
        "position_units": 0,
        "limits": bind(limits, ALPHA, instrument.id),
    }
    fields.update(changes)
    if (returns := fields.get("closed_returns")) is not None:
        fields["closed_returns"] = ClosedReturns(returns)
    signal = Signal(instrument_id=instrument.id, kind=kind, confidence=confidence)
    return Sizer().size(signal, instrument=instrument, **fields)


def decided(*args: Any, **changes: Any) -> SizeDecision:
    decision = size(*args, **changes)
    assert isinstance(decision, SizeDecision), str(decision)
    return decision


def refused(*args: Any, **changes: Any) -> Rejected:
    decision = size(*args, **changes)
    assert isinstance(decision, Rejected), str(decision)
    assert decision.check.value
    assert decision.check.bound
    return decision


def test_size_when_confidence_is_full_then_the_fraction_of_equity_in_whole_lots():
    decision = decided()
    assert decision.size_units == 16
    assert decision.explanation == (
        "10 % of 10000.00 USDT x 1.000 for confidence 1",
        "0.016 in whole lots",
    )


def test_size_when_confidence_is_low_then_it_scales_down_to_the_floor():
    sizing = SizingLimits(equity_percent=Decimal(60), confidence_floor=Decimal("0.2"))
    assert decided(sizing=sizing, confidence=1.0).size_units == 100
    assert decided(sizing=sizing, confidence=0.5).size_units == 60
    assert decided(sizing=sizing, confidence=0.0).size_units == 20


def test_size_when_volatility_is_above_its_target_then_it_scales_down_and_never_up():
    sizing = SizingLimits(equity_percent=Decimal(60), volatility_target_percent=Decimal("0.5"))
    assert decided(sizing=sizing, volatility=0.01).size_units == 50
    assert decided(sizing=sizing, volatility=0.0001).size_units == 100
    assert (
        "x 0.500 for volatility 1 % against 0.5 %"
        in decided(sizing=sizing, volatility=0.01).explanation
    )
    assert refused(sizing=sizing, volatility=None).check.value == "volatility unknown"


def test_size_when_the_book_is_thin_then_it_takes_a_share_of_what_is_visible():
    decision = decided(book=book_of(BTC, size_units=5))
    assert decision.size_units == 10
    assert "capped at 0.010: 20 % of 10 levels" in decision.explanation


def test_size_when_a_position_is_held_then_only_the_rest_is_ordered():
    assert decided(position_units=10).size_units == 6
    assert decided(SignalKind.SHORT, position_units=-10).size_units == 6
    assert refused(position_units=16).reason is Reason.POSITION_LIMIT


def test_size_when_kelly_has_enough_trades_then_it_caps_and_before_it_is_silent():
    sizing = SizingLimits(equity_percent=Decimal(60), kelly_trades_min=20)
    few = [0.01, -0.009] * 9
    assert decided(sizing=sizing, closed_returns=few).size_units == 100
    slight = [0.2, -0.19] * 10
    decision = decided(sizing=sizing, closed_returns=slight)
    assert decision.size_units < 100
    assert any("0.25 of Kelly over 20 trades" in line for line in decision.explanation)
    losing = [0.01, -0.011] * 10
    assert "mean return" in refused(sizing=sizing, closed_returns=losing).check.value
    broken = [float("nan")] * 20
    assert refused(sizing=sizing, closed_returns=broken).reason is Reason.SIGNAL_INVALID


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=60))
def test_closed_returns_when_any_then_mean_and_variance_are_the_statistics(returns: list[float]):
    closed = ClosedReturns(returns)
    assert closed.mean == pytest.approx(statistics.fmean(returns), rel=1e-9, abs=1e-15)
    assert closed.variance == pytest.approx(statistics.variance(returns), rel=1e-9, abs=1e-15)


def test_closed_returns_when_full_then_the_oldest_leave_without_a_trace():
    closed = ClosedReturns([float("nan"), 0.5, *[0.01, -0.02] * (RETURNS_MAX // 2)])
    assert closed.count == RETURNS_MAX
    assert closed.is_finite
    fresh = ClosedReturns([0.01, -0.02] * (RETURNS_MAX // 2))
    assert (closed.mean, closed.variance) == (fresh.mean, fresh.variance)


def test_size_when_the_signal_is_an_exit_then_the_whole_position():
    assert decided(SignalKind.EXIT, position_units=-33, equity=None).size_units == 33
    assert refused(SignalKind.EXIT).reason is Reason.NOTHING_TO_CLOSE


def test_size_when_spot_is_to_go_short_then_holdings_are_sold_or_it_is_refused():
    instrument = spot()
    assert decided(SignalKind.SHORT, instrument=instrument, position_units=5).size_units == 5
    assert refused(SignalKind.SHORT, instrument=instrument).reason is Reason.SHORT_UNAVAILABLE


def test_size_when_the_contract_is_inverse_then_contracts_do_not_depend_on_the_price():
    contract = inverse()
    book = OrderBook(contract)
    book.apply_snapshot([(6_000_000, 10**6)], [(6_000_050, 10**6)], update_id=1, received_ns=1)
    for price_units in (5_000_000, 6_000_000):
        decision = decided(instrument=contract, book=book, price_units=price_units)
        assert decision.size_units == 1_000


NOT_A_SIZE: list[tuple[dict[str, Any], Reason]] = [
    ({"confidence": float("nan")}, Reason.SIGNAL_INVALID),
    ({"confidence": float("inf")}, Reason.SIGNAL_INVALID),
    ({"confidence": -0.1}, Reason.SIGNAL_INVALID),
    ({"confidence": 1e30}, Reason.SIGNAL_INVALID),
    ({"confidence": 0.4, "confidence_min": "0.5"}, Reason.CONFIDENCE_TOO_LOW),
    ({"volatility": float("nan")}, Reason.SIGNAL_INVALID),
    ({"volatility": float("inf")}, Reason.SIGNAL_INVALID),
    ({"volatility": -1.0}, Reason.SIGNAL_INVALID),
    ({"volatility": 0.0}, Reason.SIGNAL_INVALID),
    ({"equity": None}, Reason.NO_EQUITY),
    ({"equity": 0}, Reason.NO_EQUITY),
    ({"equity": -1}, Reason.NO_EQUITY),
    ({"equity": money(10**30)}, Reason.NO_EQUITY),
    ({"price_units": None}, Reason.PRICE_UNKNOWN),
    ({"price_units": 0}, Reason.PRICE_UNKNOWN),
    ({"price_units": -5}, Reason.PRICE_UNKNOWN),
    ({"price_units": 10**30}, Reason.SIZE_INVALID),
    ({"book": None}, Reason.BOOK_NOT_SYNCED),
    ({"equity": money(1)}, Reason.SIZE_INVALID),
    ({"equity": money(100), "price_units": 100_000}, Reason.NOTIONAL_TOO_SMALL),
]


@pytest.mark.parametrize(("changes", "reason"), NOT_A_SIZE)
def test_size_when_a_number_is_none_then_refused_with_its_reason(
    changes: dict[str, Any], reason: Reason
):
    if reason is Reason.NOTIONAL_TOO_SMALL:
        changes = {**changes, "sizing": SizingLimits(equity_percent=Decimal(4))}
    assert refused(**changes).reason is reason


def test_size_when_volatility_is_enormous_then_nothing_is_left_of_the_size():
    sizing = SizingLimits(volatility_target_percent=Decimal(1))
    assert refused(sizing=sizing, volatility=1e30).reason is Reason.SIZE_INVALID


def test_size_when_the_book_is_stale_then_refused():
    book = book_of(BTC)
    book.mark_stale("gap")
    assert refused(book=book).reason is Reason.BOOK_NOT_SYNCED
    assert book.age_ns(NOW_NS) is not None


@given(
    st.floats(0, 1),
    st.integers(1, 10**9),
    st.integers(1, 10**8),
    st.floats(1e-6, 1e3),
    st.integers(-10_000, 10_000),
    st.integers(1, 10**5),
)
def test_size_when_any_input_then_it_is_whole_lots_within_equity_and_depth(
    confidence: float,
    equity: int,
    ticks: int,
    volatility: float,
    position_units: int,
    level_units: int,
):
    sizing = SizingLimits(volatility_target_percent=Decimal(1))
    decision = size(
        confidence=confidence,
        equity=money(equity),
        price_units=ticks * 10,
        volatility=volatility,
        position_units=position_units,
        book=book_of(BTC, size_units=level_units),
        sizing=sizing,
    )
    if isinstance(decision, SizeDecision):
        assert decision.size_units >= 1
        assert decision.size_units <= 10 * level_units // 5
        assert quote_value(BTC, decision.size_units, ticks * 10) <= money(equity) // 10
        assert BTC.size_fault(decision.size_units, is_market=True) is None
