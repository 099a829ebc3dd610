"""What restrictions let pass at the gate."""

from decimal import Decimal

import msgspec
import pytest

from tests.unit.portfolio.worlds import ACCOUNT, ALPHA, BETA, fill
from tests.unit.risk.rooms import NOW_NS, WIDE, Desk
from tickwright.core.orders import Purpose, Side
from tickwright.core.restrictions import LiftedBy, ProtectionKind, Restriction, Scope, Stage
from tickwright.core.verdicts import Approved, Reason

SECOND = 1_000_000_000


def restrict(desk: Desk, stage: Stage, scope: Scope, *, until_ns: int | None = None) -> None:
    desk.view.restrictions.put(
        Restriction(
            kind=ProtectionKind.COOLDOWN,
            scope=scope,
            stage=stage,
            lifted_by=LiftedBy.TIME,
            reason="a stop loss closed long",
            since_ns=NOW_NS,
            until_ns=until_ns,
        )
    )


def holding(desk: Desk) -> None:
    desk.portfolio.apply_fill(fill(desk.instrument, Side.BUY, 10, 6_000_000), ALPHA)


def test_check_when_reducing_then_opening_is_refused_in_its_words_and_closing_passes():
    desk = Desk()
    holding(desk)
    restrict(desk, Stage.REDUCING, Scope(strategy_id=ALPHA))
    refused = desk.reject(desk.intent())
    assert Reason.PROTECTION is refused.reason
    assert "protection: cooldown over alpha, reducing: a stop loss closed long against active" == (
        str(refused)
    )
    desk.approve(desk.intent(Side.SELL, reduce_only=True))
    assert isinstance(desk.ask(desk.intent(), strategy_id=BETA), Approved)


def test_check_when_halted_then_only_orders_that_close_on_purpose_pass():
    desk = Desk()
    holding(desk)
    restrict(desk, Stage.HALTED, Scope(strategy_id=ALPHA))
    assert Reason.PROTECTION is desk.reject(desk.intent()).reason
    assert Reason.PROTECTION is desk.reject(desk.intent(Side.SELL, reduce_only=True)).reason
    for purpose in (Purpose.CLOSE, Purpose.STOP_LOSS, Purpose.TAKE_PROFIT, Purpose.FLATTEN):
        desk.approve(desk.intent(Side.SELL, 1, reduce_only=True, purpose=purpose))
    # A purpose alone opens nothing.
    opening = desk.intent(purpose=Purpose.CLOSE)
    assert Reason.PROTECTION is desk.reject(opening).reason


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(account_id=ACCOUNT),
        Scope(strategy_id=ALPHA),
        Scope(instrument_id=Desk().instrument.id),
        Scope(strategy_id=ALPHA, instrument_id=Desk().instrument.id),
    ],
    ids=str,
)
def test_check_when_a_scope_covers_the_order_then_refused(scope):
    desk = Desk()
    restrict(desk, Stage.REDUCING, scope)
    assert str(scope) in desk.reject(desk.intent()).check.value


def test_check_when_the_time_has_passed_then_approved_though_nobody_lifted_it():
    desk = Desk()
    restrict(desk, Stage.REDUCING, Scope(), until_ns=NOW_NS + SECOND)
    desk.reject(desk.intent())
    desk.now_ns = NOW_NS + SECOND
    desk.approve(desk.intent())


def test_restore_when_restarted_then_streaks_requests_and_fill_ratio_go_on():
    limits = msgspec.structs.replace(
        WIDE, loss_streak_max=3, cancels_per_second_max=5, order_to_fill_ratio_max=Decimal(3)
    )
    desk = Desk(limits)
    for money in (1, -1, -1):
        desk.gate.note_trade(ACCOUNT, ALPHA, money, desk.view)
    desk.gate.note_trade(ACCOUNT, BETA, -1, desk.view)
    desk.gate.note_cancel(ACCOUNT, NOW_NS)
    desk.gate.note_amend(ACCOUNT, NOW_NS)
    desk.gate.note_fill(ACCOUNT, NOW_NS)
    state = desk.gate.state()
    (kept,) = state.accounts
    assert (3, {ALPHA: 2, BETA: 1}) == (kept.losses_in_row, kept.strategy_losses)
    assert ((NOW_NS,), (NOW_NS,)) == (kept.amends_ns, kept.cancels_ns)
    assert kept.fill_ratio is not None
    assert 1 == sum(kept.fill_ratio.fills)
    again = Desk(limits)
    again.gate.restore(msgspec.json.decode(msgspec.json.encode(state), type=type(state)))
    assert state == again.gate.state()
    assert Reason.LOSS_STREAK is again.reject(again.intent()).reason
    assert str(desk.ask(desk.intent())) == str(again.ask(again.intent()))
