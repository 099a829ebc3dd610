"""Owns the calls into strategies and the one guard around them; refuses to let one hurt another.

A strategy that raises, or answers with something a strategy can't answer, is halted alone: its
orders are cancelled, the reason, the place in its code and the input are kept, and it is not called
again.
"""

import re
from types import TracebackType

from tickwright.core.identity import AccountId
from tickwright.core.orders import Purpose
from tickwright.core.signals import as_decisions
from tickwright.core.work import Work
from tickwright.engine.lanes import Call, StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.signal_desk import SignalDesk
from tickwright.engine.state import TradingState

__all__ = ["Dispatch"]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_REASON_LENGTH_MAX = 400


class Dispatch:
    """Calls strategies and hands their answers on."""

    def __init__(
        self,
        state: TradingState,
        orders: OrderDesk,
        positions: PositionDesk,
        signals: SignalDesk,
    ) -> None:
        self._state = state
        self._orders = orders
        self._positions = positions
        self._signals = signals
        self.account_calls: dict[AccountId, tuple[Call, ...]] = {}
        """Who listens to the reports of an account."""

    def deliver(self, calls: tuple[Call, ...], argument: object) -> None:
        """Call each listener with one argument, in the order the strategies were added."""
        for run, callback in calls:
            try:
                decision = callback(argument)
                if decision is None:
                    continue
                actions = as_decisions(decision)
            except Exception as error:  # noqa: BLE001
                # The one guard of the engine step: whatever a strategy's own code raises must halt
                # that strategy alone, or its bug would take books and other strategies with it.
                self.halt(run, _described(error))
                continue
            if not run.halt_reason:
                self._signals.act(run, actions)

    def deliver_work(self, work: Work) -> None:
        """Let a strategy hear of one of its works."""
        run = self._state.runs.get(work.strategy_id)
        if run is not None and not run.halt_reason:
            self.deliver(run.calls["on_work"], work)

    def deliver_bare(self, run: StrategyRun, name: str) -> None:
        """Call a callback that takes no argument (`on_start`, `on_stop`)."""
        self.deliver(run.calls[name], None)

    def halt(self, run: StrategyRun, reason: str) -> None:
        """Stop calling a strategy, withdraw its opening orders and keep why."""
        if run.halt_reason:
            return
        state = self._state
        run.halt_reason = reason
        state.view.halted_strategies[run.strategy_id] = reason
        self.rebuild()
        state.halt_notice(run.strategy_id, reason)
        self._orders.cancel_where("its strategy was halted", strategy_id=run.strategy_id)
        if state.config.execution.halted_positions == "close":
            for plan in tuple(state.plans.values()):
                if plan.strategy_id == run.strategy_id and plan.size_units:
                    self._positions.close(plan, Purpose.CLOSE, "its strategy was halted")

    def resume(self, run: StrategyRun) -> None:
        """Call a halted strategy again; what it missed it has missed."""
        run.halt_reason = ""
        self._state.view.halted_strategies.pop(run.strategy_id, None)
        self.rebuild()

    def rebuild(self) -> None:
        """Write down anew who listens to which book and account; halted strategies don't."""
        runs = [run for run in self._state.runs.values() if not run.halt_reason]
        for account_id in self._state.accounts:
            listeners = [run for run in runs if run.context.account_id == account_id]
            self.account_calls[account_id] = _calls(listeners, "on_account")
        for lane in self._state.lanes.values():
            listeners = [run for run in runs if lane.instrument_id in run.context.instruments]
            lane.book_calls = _calls([r for r in listeners if not r.wakes_on_touch], "on_book")
            lane.touch_calls = _calls([r for r in listeners if r.wakes_on_touch], "on_book")
            lane.trade_calls = _calls(listeners, "on_trade")
            lane.market_calls = _calls(listeners, "on_market")
            lane.state_calls = _calls(listeners, "on_book_state")
            lane.changed()


def _calls(runs: list[StrategyRun], name: str) -> tuple[Call, ...]:
    return tuple(call for run in runs for call in run.calls[name])


def _described(error: Exception) -> str:
    """Return kind, text and place of an exception: the same words on every machine."""
    text = _ADDRESS.sub("0x…", " ".join(str(error).split()))[:_REASON_LENGTH_MAX]
    return f"{type(error).__name__}: {text} at {_place(error.__traceback__)}"


def _place(traceback: TracebackType | None) -> str:
    place = "unknown place"
    while traceback is not None:
        # The file's name alone: where the package lies differs between machines.
        file_name = traceback.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
        place = f"{file_name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
