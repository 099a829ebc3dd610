"""Owns what the engine does about protections: told, opening orders withdrawn, lifted, restored.

When a protection trips is `risk.protections`; which orders it lets pass is the gate's. Refuses to
lift what only the next day may lift.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from tickwright.core.commands import ProtectionNotice
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId, StrategyId
from tickwright.core.nearest import near_names
from tickwright.core.restrictions import (
    LiftedBy,
    ProtectionKind,
    Restriction,
    Scope,
    Stage,
    parse_name,
)
from tickwright.core.risk_state import DayRecord, RiskState, StrategyRecord
from tickwright.core.verdicts import Reason
from tickwright.engine.deadlines import Deadline
from tickwright.engine.dispatch import Dispatch
from tickwright.engine.lanes import StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.state import TradingState
from tickwright.risk.protections import Change
from tickwright.risk.protections_table import RULES
from tickwright.risk.sizing import ClosedReturns

__all__ = ["ProtectionDesk"]

_LATCHED = {
    Reason.DAILY_LOSS: ProtectionKind.DAILY_LOSS,
    Reason.DRAWDOWN: ProtectionKind.DRAWDOWN,
}
_RESTORED = "restart"


class ProtectionDesk:
    """Acts on protections."""

    def __init__(self, state: TradingState, orders: OrderDesk, dispatch: Dispatch) -> None:
        self._state = state
        self._orders = orders
        self._dispatch = dispatch
        self._due_ns = 0
        self._days: dict[AccountId, DayRecord] = {}
        """Restored, and not taken up yet: the account's first sync brings the balances."""
        self._returns: dict[StrategyId, StrategyRecord] = {}
        """Restored of strategies that aren't configured now: kept for when they are again."""

    # acting ---------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Tell what was entered and lifted, and do what follows."""
        protections = self._state.protections
        while protections.changes:
            changes, protections.changes = protections.changes, []
            for change in changes:
                self._tell(change.restriction, change)
                if change.lifted_by:
                    self._undo(change)
                else:
                    self._restrict(change.restriction)

    def _restrict(self, row: Restriction) -> None:
        scope = row.scope
        self._orders.cancel_where(
            f"{row.kind.value}: {row.reason}",
            account_id=scope.account_id,
            strategy_id=scope.strategy_id,
            instrument_id=scope.instrument_id,
        )
        if row.until_ns is not None:
            self._arm(row.until_ns)

    def _undo(self, change: Change) -> None:
        """Take away what stood beside the row that was lifted."""
        row, state = change.restriction, self._state
        scope = row.scope
        if row.kind is ProtectionKind.DRAWDOWN and scope.account_id is not None:
            held = self._days.get(scope.account_id)
            if held is not None:
                self._days[scope.account_id] = replace(held, peak_equity=None)
            state.gate.reset_drawdown(scope.account_id, state.view)
        elif row.kind is ProtectionKind.CONTRADICTION and scope.instrument_id is not None:
            state.view.halted_instruments.pop(scope.instrument_id, None)
            if scope.instrument_id in state.lanes:
                for account_id in state.accounts:
                    state.portfolio.lift_halt(account_id, scope.instrument_id)
        elif row.kind is ProtectionKind.OPERATOR:
            run = None if scope.strategy_id is None else state.runs.get(scope.strategy_id)
            if run is not None:
                self._dispatch.resume(run)
            elif scope.strategy_id is None:
                state.view.engine_halt = ""

    def _tell(self, row: Restriction, change: Change | None) -> None:
        moment = self._state.moment
        by = _RESTORED if change is None else change.lifted_by
        is_lifted = change is not None and bool(change.lifted_by)
        self._state.outbox.notice(
            ProtectionNotice(
                kind=row.kind,
                scope=row.scope,
                stage=Stage.ACTIVE if is_lifted else row.stage,
                reason=row.reason,
                since_ns=row.since_ns,
                until_ns=row.until_ns,
                by=by,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
            )
        )

    def _arm(self, until_ns: int) -> None:
        if not self._due_ns or until_ns < self._due_ns:
            self._due_ns = until_ns
            self._state.deadlines.add(until_ns, Deadline.PROTECTION)

    def on_due(self) -> None:
        """Lift what time ends."""
        now_ns = self._state.now_ns
        if not self._due_ns or now_ns < self._due_ns:
            # An earlier one was asked for since and has been served.
            return
        self._due_ns = 0
        next_ns = self._state.protections.lapse(now_ns)
        if next_ns is not None:
            self._arm(next_ns)

    # watching -------------------------------------------------------------------------------------

    def watch_losses(self, account_id: AccountId) -> None:
        """Let the gate look at the equity, and show the losses it holds against the account."""
        state = self._state
        now_ns, gate, protections = state.moment.now_ns, state.gate, state.protections
        if not gate.observe(account_id, now_ns, state.view) and not protections.table.rows:
            # Nearly always: nothing to show, nothing to lift.
            return
        latched = gate.latched(account_id, state.view)
        scope = Scope(account_id=account_id)
        reached = {}
        for check in latched:
            reached[_LATCHED[check.reason]] = check
        for kind in _LATCHED.values():
            check_ = reached.get(kind)
            if check_ is not None:
                until_ns = None
                if kind is ProtectionKind.DAILY_LOSS:
                    until_ns = state.portfolio.account(account_id).day_end_ns
                words = f"{check_.value}; limit {check_.bound}"
                protections.enter(kind, scope, words, now_ns, until_ns)
            elif protections.table.get(kind, scope) is not None:
                protections.lift(kind, scope, RULES[kind].lifted_by.value)

    # people ---------------------------------------------------------------------------------------

    def halt(self, scope: Scope, reason: str) -> None:
        """Write down that a person halted everything or a strategy: a restart keeps to it."""
        state = self._state
        state.protections.enter(ProtectionKind.OPERATOR, scope, reason, state.now_ns)

    def lift(self, name: str, reason: str) -> None:
        """Lift exactly one protection by its name, or say why not."""
        state = self._state
        try:
            kind, scope = parse_name(name)
        except ConfigError as error:
            state.halt_notice(name, f"lift ignored: {error}; {self._nearest(name)}")
            return
        if state.protections.table.get(kind, scope) is None:
            state.halt_notice(name, f"lift ignored: it is not in force; {self._nearest(name)}")
        elif not RULES[kind].operator_may_lift:
            state.halt_notice(name, "lift ignored: it ends with the day")
        else:
            state.protections.lift(kind, scope, reason or "operator")

    def _nearest(self, name: str) -> str:
        names = [row.name for row in self._state.protections.table]
        near = near_names(name, names, likeness=0.5)
        if near:
            return f"did you mean {near[0]}?"
        return f"in force: {', '.join(names)}" if names else "nothing is in force"

    def lift_waiting(self, run: StrategyRun | None, reason: str) -> None:
        """Lift all that waits for a person, of a strategy or everywhere."""
        for row in self._state.protections.table:
            is_meant = run is None or row.scope.strategy_id == run.strategy_id
            if is_meant and row.lifted_by is LiftedBy.OPERATOR:
                self._state.protections.lift(row.kind, row.scope, reason)

    # restart --------------------------------------------------------------------------------------

    def state(self) -> RiskState:
        """Return what a restart must know."""
        state = self._state
        protections = state.protections
        days = [r for r in state.portfolio.day_records() if r.account_id not in self._days]
        counted = {one.strategy_id: one for one in protections.strategy_records()}
        names = sorted({*counted, *self._returns, *state.runs})
        return RiskState(
            saved_ns=state.now_ns,
            gate=state.gate.state(),
            days=tuple(sorted((*days, *self._days.values()), key=lambda day: day.account_id)),
            restrictions=tuple(protections.table),
            strategies=tuple(self._record(name, counted.get(name)) for name in names),
            pairs=protections.pair_records(),
        )

    def _record(self, name: StrategyId, counted: StrategyRecord | None) -> StrategyRecord:
        record = counted or StrategyRecord(strategy_id=name)
        run = self._state.runs.get(name)
        if run is not None:
            return replace(record, returns=run.returns.fractions())
        held = self._returns.get(name)
        return record if held is None else replace(record, returns=held.returns)

    @property
    def version(self) -> tuple[int, ...]:
        """Figures of which one changes whenever `state` does, but for its time."""
        state = self._state
        return (
            state.protections.version,
            self._orders.placed_count,
            self._orders.cancel_count,
            *(account.base_version for account in state.portfolio.accounts()),
            *(run.returns.total for run in state.runs.values()),
        )

    def on_restored(self, held: RiskState) -> None:
        """Go on where an earlier run ended; before anything may trade."""
        state = self._state
        state.gate.restore(held.gate)
        state.protections.restore(held.restrictions, held.strategies, held.pairs)
        self._days = {day.account_id: day for day in held.days}
        for record in held.strategies:
            run = state.runs.get(record.strategy_id)
            if run is None:
                self._returns[record.strategy_id] = record
            else:
                run.returns = ClosedReturns(
                    float("nan") if fraction is None else fraction for fraction in record.returns
                )
        self._resume(held.restrictions)

    def _resume(self, rows: Iterable[Restriction]) -> None:
        state = self._state
        for row in rows:
            self._tell(row, None)
            scope = row.scope
            if row.kind is ProtectionKind.CONTRADICTION and scope.instrument_id is not None:
                state.view.halted_instruments[scope.instrument_id] = row.reason
            elif row.kind is ProtectionKind.OPERATOR:
                run = None if scope.strategy_id is None else state.runs.get(scope.strategy_id)
                if run is not None:
                    self._dispatch.halt(run, row.reason)
                elif scope.strategy_id is None:
                    state.view.engine_halt = row.reason
        next_ns = state.protections.lapse(state.now_ns)
        if next_ns is not None:
            self._arm(next_ns)

    def on_sync(self, account_id: AccountId) -> None:
        """Go on with the day and the peak of an account that was just read for the first time."""
        record = self._days.pop(account_id, None)
        if record is not None:
            self._state.portfolio.restore_days((record,))
