"""Funding carry: rates told, times passed, and what is asked for when."""

from decimal import Decimal

import pytest

from tests.unit.engine.bench import ACCOUNT, BTC, CONFIG, SECOND, START
from tests.unit.strategy.library.stage import Stage
from tickwright.core.errors import ConfigError
from tickwright.core.events import FeesChanged, FundingUpdate
from tickwright.core.instrument import FeeRates
from tickwright.core.orders import Side
from tickwright.core.signals import SignalKind
from tickwright.strategy.library.funding_carry import FundingCarry, FundingCarryParameters
from tickwright.strategy.parameters import parameters_from

PAYMENT = START + 3_600 * SECOND
BPS = 100_000
"""One basis point in parts per 10^9."""


def stage(**changes) -> Stage:
    values = {"edge_bps": None, "rate_bps_min": 2.0, "rate_bps_full": 6.0, **changes}
    parameters = parameters_from(FundingCarryParameters, values)
    return Stage(FundingCarry(), parameters, config=CONFIG)


def rate(one: Stage, bps: float, *, next_ns: int = PAYMENT) -> None:
    one.handle(FundingUpdate(BTC, round(bps * BPS), next_ns, one.now_ns))


def until(one: Stage, at_ns: int) -> None:
    """Let time pass to just before a moment, and show a fresh book there."""
    one.pass_timers((at_ns - one.now_ns) / 1e6 - 20)
    one.book(600_000)


def at_the_window(one: Stage) -> None:
    """Let the two minutes before the payment begin, on a fresh book."""
    until(one, PAYMENT - 120 * SECOND)
    one.pass_timers(20)


def test_entry_when_longs_pay_then_short_two_minutes_before_and_left_after_the_payment():
    one = stage()
    rate(one, 4.0)
    until(one, PAYMENT - 120 * SECOND)
    assert [] == one.verdicts()
    one.pass_timers(20)
    (entry,) = one.verdicts()
    # Halfway from 2 to 6 bps: three quarters of confidence.
    assert (SignalKind.SHORT, 0.75) == (entry.signal.kind, entry.signal.confidence)
    assert "funding +4.00 bps in 120 s" == entry.signal.reason
    (order,) = one.places(one.log)
    assert Side.SELL is order.side
    one.execute(order, price=600_000)
    until(one, PAYMENT)
    one.pass_timers(10_000)
    rate(one, -1.0, next_ns=PAYMENT + 8 * 3_600 * SECOND)  # the next one: not ours any more
    assert 1 == len(one.verdicts())
    until(one, PAYMENT + 15 * SECOND)
    one.pass_timers(20)
    assert ["the payment is over"] == [n.signal.reason for n in one.verdicts()[1:]]
    leaving = one.places(one.log)[-1]
    assert (Side.BUY, True) == (leaving.side, leaving.reduce_only)


def test_entry_when_shorts_pay_then_long():
    one = stage()
    rate(one, -9.0)
    at_the_window(one)
    (entry,) = one.verdicts()
    assert (SignalKind.LONG, 1.0) == (entry.signal.kind, entry.signal.confidence)


def test_entry_when_the_rate_is_too_low_then_nothing_until_it_rises():
    one = stage()
    rate(one, 1.9)
    until(one, PAYMENT - 60 * SECOND)
    assert [] == one.verdicts()
    rate(one, 2.1)
    assert 1 == len(one.verdicts())


def test_entry_when_costs_eat_the_rate_then_nothing_and_unknown_fees_refuse():
    for taker, expected in ((None, 0), (Decimal("0.00055"), 0), (Decimal("0.0001"), 1)):
        # Two fees and a spread of 1/60 bps against 4 bps, of which 1 must stay.
        one = stage(edge_bps=1.0)
        if taker is not None:
            one.handle(FeesChanged(ACCOUNT, BTC, FeeRates(maker=taker, taker=taker)))
        rate(one, 4.0)
        at_the_window(one)
        assert expected == len(one.verdicts())


def test_entry_when_refused_then_asked_for_again_but_not_at_the_last_moment():
    one = stage()
    rate(one, 4.0)
    one.pass_timers(3_480_000 - 10)  # no fresh book: each entry is refused as stale
    one.pass_timers(6_000)
    asked = len(one.verdicts())
    assert 2 == asked
    one.pass_timers(120_000)
    # Every five seconds until five are left: 120, 115, ... 5 s before.
    assert 24 == len(one.verdicts())


def held(**changes) -> Stage:
    one = stage(**changes)
    rate(one, 4.0)
    at_the_window(one)
    one.execute(one.places(one.log)[0], price=600_000)
    return one


def test_position_when_the_rate_turns_before_the_payment_then_left_at_once():
    one = held()
    rate(one, 3.0)
    assert 1 == len(one.verdicts())
    rate(one, -0.5)
    assert ["the rate turned"] == [n.signal.reason for n in one.verdicts()[1:]]


def test_exit_when_it_does_not_come_about_then_asked_for_again_until_flat():
    one = held()
    one.pass_timers(200_000)  # no book: exits are not planned on it
    reasons = {n.signal.reason for n in one.verdicts()[1:]}
    assert {"the payment is over"} == reasons
    assert len(one.verdicts()) > 3


def restarted(one: Stage) -> FundingCarry:
    fresh = FundingCarry()
    fresh.bind(one.strategies["one"].context)
    fresh.on_start()
    return fresh


def test_restart_when_the_payment_is_due_and_pays_then_kept_for_it():
    one = held()
    fresh = restarted(one)
    assert None is fresh.on_market(FundingUpdate(BTC, 4 * BPS, PAYMENT, one.now_ns))
    assert PAYMENT == fresh._paid_ns[BTC]


@pytest.mark.parametrize(
    ("rate_e9", "next_ns", "words"),
    [
        (-4 * BPS, PAYMENT, "the rate turned"),
        (4 * BPS, PAYMENT + 3_600 * SECOND, "no payment is near"),
    ],
)
def test_restart_when_the_position_has_no_reason_then_left(rate_e9, next_ns, words):
    one = held()
    signal = restarted(one).on_market(FundingUpdate(BTC, rate_e9, next_ns, one.now_ns))
    assert words == signal.reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"enter_until_s": 120}, "enter_until_s must be below"),
        ({"rate_bps_full": 2.0}, "rate_bps_full must be above"),
    ],
)
def test_parameters_when_contradicting_then_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        stage(**wrong)
