"""Owns what people, guards and connections tell the engine: halt, resume, cancel, flatten, stop.

Refuses to reopen anything by itself: a halt stays until somebody lifts it.
"""

from tickwright.core.events import ConnectionChanged, OperatorCommand, OperatorVerb
from tickwright.core.identity import StrategyId
from tickwright.core.orders import Purpose
from tickwright.core.restrictions import Scope
from tickwright.engine.dispatch import Dispatch
from tickwright.engine.lanes import StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.protection_desk import ProtectionDesk
from tickwright.engine.state import TradingState

__all__ = ["OperatorDesk"]

_ALL = "all"


class OperatorDesk:
    """Obeys the operator."""

    def __init__(
        self,
        state: TradingState,
        orders: OrderDesk,
        positions: PositionDesk,
        dispatch: Dispatch,
        protections: ProtectionDesk,
    ) -> None:
        self._state = state
        self._orders = orders
        self._positions = positions
        self._dispatch = dispatch
        self._protections = protections

    def on_connection(self, event: ConnectionChanged) -> None:
        """Without its private stream an account is blind: it may trade again after a sync."""
        if event.is_up or event.channel != "private":
            return
        state = self._state
        for account_id in state.accounts:
            is_named = event.name in ("", account_id.name, str(account_id))
            if account_id.venue == event.venue and is_named:
                state.view.ready_accounts.discard(account_id)
                state.halt_notice(str(account_id), f"private stream down: {event.reason}")

    def on_command(self, command: OperatorCommand) -> None:
        """Do what the operator says: for all, for one strategy, or to one protection."""
        state = self._state
        run = None
        if command.verb is OperatorVerb.LIFT:
            self._protections.lift(command.scope, command.reason)
            return
        if command.scope != _ALL:
            run = state.runs.get(StrategyId(command.scope))
            if run is None:
                state.halt_notice(
                    command.scope, f"{command.verb.value} ignored: no strategy of this name"
                )
                return
        reason = command.reason or "the operator's wish"
        verb = command.verb
        if verb is OperatorVerb.HALT:
            if command.outlives_restart:
                strategy_id = None if run is None else run.strategy_id
                self._protections.halt(Scope(strategy_id=strategy_id), reason)
            self._halt(run, reason)
        elif verb is OperatorVerb.RESUME:
            self._resume(run)
            self._protections.lift_waiting(run, reason)
        elif verb is OperatorVerb.CANCEL_ALL:
            self._cancel(run, reason)
        elif verb is OperatorVerb.FLATTEN:
            self._flatten(run, reason)
        else:
            self._stop(run, reason)

    def _halt(self, run: StrategyRun | None, reason: str) -> None:
        if run is not None:
            self._dispatch.halt(run, reason)
            return
        state = self._state
        state.view.engine_halt = reason
        state.halt_notice("engine", reason)
        self._orders.cancel_where(reason)

    def _resume(self, run: StrategyRun | None) -> None:
        if run is not None:
            self._dispatch.resume(run)
            return
        state = self._state
        state.view.engine_halt = ""
        state.view.halted_instruments.clear()
        for account_id in state.accounts:
            for instrument_id in state.lanes:
                state.portfolio.lift_halt(account_id, instrument_id)

    def _cancel(self, run: StrategyRun | None, reason: str) -> None:
        if run is not None:
            self._orders.cancel_where(reason, strategy_id=run.strategy_id, only_opening=False)
            return
        for account_id in self._state.accounts:
            self._orders.cancel_account(account_id, reason)

    def _flatten(self, run: StrategyRun | None, reason: str) -> None:
        if run is None:
            for account_id in self._state.accounts:
                self._orders.cancel_account(account_id, reason)
        for plan in tuple(self._state.plans.values()):
            if run is not None and plan.strategy_id != run.strategy_id:
                continue
            if plan.size_units:
                self._positions.close(plan, Purpose.FLATTEN, reason)
            else:
                self._orders.cancel_where(
                    reason, strategy_id=plan.strategy_id, instrument_id=plan.instrument_id
                )

    def _stop(self, run: StrategyRun | None, reason: str) -> None:
        """Let strategies say their last word, then open nothing more."""
        runs = [run] if run is not None else list(self._state.runs.values())
        for stopping in runs:
            if not stopping.halt_reason:
                self._dispatch.deliver_bare(stopping, "on_stop")
        self._halt(run, f"stopped: {reason}")
