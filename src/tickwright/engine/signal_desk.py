"""Owns what becomes of a strategy's answer: sized, judged, planned and sent, or refused.

Refuses to let a strategy act on what is not its own: instruments, orders and shares of positions.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tickwright.core.commands import SignalNotice
from tickwright.core.exits import Exits
from tickwright.core.identity import ClientId, InstrumentId, StrategyId
from tickwright.core.orders import OrderIntent, Purpose, Side, TimeInForce
from tickwright.core.signals import Action, AmendIntent, CancelIntent, Signal, SignalKind
from tickwright.core.verdicts import Approved, Check, Reason, Rejected, Verdict
from tickwright.core.work import Algorithm, WorkIntent, WorkState
from tickwright.engine.deadlines import Deadline
from tickwright.engine.lanes import Lane, StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.shares import capped_to_share
from tickwright.engine.state import TradingState
from tickwright.engine.work_desk import WorkDesk
from tickwright.execution.algorithms.work_file import WorkFile
from tickwright.execution.planner import Bracket
from tickwright.execution.position_plan import PositionPlan
from tickwright.execution.records import Record
from tickwright.risk.bound_limits import BoundSizing
from tickwright.risk.memory import JudgedLane

__all__ = ["SignalDesk"]

_MS = 1_000_000
# Looking a member up in its class is a Python call, and these are asked for every order.
_EXIT, _SHORT = SignalKind.EXIT, SignalKind.SHORT
_GTC = TimeInForce.GTC
_OPEN, _CLOSE = Purpose.OPEN, Purpose.CLOSE
_NO_BRACKET = Bracket()


class SignalDesk:
    """Acts on decisions of strategies."""

    def __init__(
        self, state: TradingState, orders: OrderDesk, positions: PositionDesk, works: WorkDesk
    ) -> None:
        self._state = state
        self._works = works
        self._orders = orders
        self._positions = positions
        self._entry_timeout_ns = state.config.execution.entry_timeout_ms * _MS
        self._judged: dict[PositionPlan, JudgedLane] = {}
        """Where the orders of each plan are judged."""
        self._policies: dict[StrategyId, tuple[Signal, Exits]] = {}
        """The last entry of each strategy with its whole policy: most ask for the same again."""
        config = state.config
        self._horizon_ns = config.volatility_horizon_s * 1_000_000_000
        self._acts: dict[type, Callable[[StrategyRun, Any], None]] = {
            Signal: self._signal,
            OrderIntent: self._intent,
            CancelIntent: self._cancel,
            AmendIntent: self._amend,
            WorkIntent: self._work,
        }

    def act(self, run: StrategyRun, actions: tuple[Action, ...]) -> None:
        """Do what a strategy decided, in its order."""
        for action in actions:
            act = self._acts.get(type(action)) or self._act_of(action)
            act(run, action)

    def _act_of(self, action: Action) -> Callable[[StrategyRun, Any], None]:
        """Return what is done with an action of a strategy's own subclass."""
        return next(act for kind, act in self._acts.items() if isinstance(action, kind))

    # signals --------------------------------------------------------------------------------------

    def _signal(self, run: StrategyRun, signal: Signal) -> None:
        run.signal_count += 1
        client_id: ClientId | None = None
        verdict: Verdict
        is_exit = signal.kind is _EXIT
        # An entry's numbers are the sizer's to look at; nobody sizes an exit.
        fault = signal.fault() if is_exit else None
        if fault is not None:
            refused: Rejected | None = _refusal(Reason.SIGNAL_INVALID, fault, "a usable signal")
        else:
            refused = self._unready(run, signal.instrument_id, is_exit=is_exit)
        if refused is not None:
            verdict = refused
        elif is_exit:
            run.exit_count += 1
            verdict, client_id = self._exit(run, signal.instrument_id, signal.reason)
        else:
            verdict, client_id = self._entry(run, signal)
        if type(verdict) is Rejected:
            self._count_refusal(run, verdict)
        moment = self._state.moment
        self._state.outbox.notice(
            SignalNotice(
                strategy_id=run.strategy_id,
                signal=signal,
                verdict=verdict,
                client_id=client_id,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
            )
        )

    def _unready(
        self, run: StrategyRun, instrument_id: InstrumentId, *, is_exit: bool
    ) -> Rejected | None:
        """Say which state refuses before anything is computed; the gate looks at them again."""
        view = self._state.view
        if not run.context.knows(instrument_id):
            return _refusal(Reason.INSTRUMENT_UNKNOWN, str(instrument_id), "a subscribed one")
        if run.context.account_id not in view.ready_accounts:
            return _refusal(Reason.ACCOUNT_NOT_READY, "not reconciled", "ready")
        if is_exit:
            return None
        if view.engine_halt:
            return _refusal(Reason.ENGINE_HALTED, view.engine_halt, "running")
        if run.halt_reason:
            return _refusal(Reason.STRATEGY_HALTED, run.halt_reason, "running")
        return None

    def _exit(
        self, run: StrategyRun, instrument_id: InstrumentId, reason: str
    ) -> tuple[Verdict, ClientId | None]:
        plan = self._positions.plan(run.strategy_id, instrument_id)
        if plan.size_units:
            return self._positions.start_closing(plan, _CLOSE, reason)
        cancelled = self._orders.cancel_where(
            reason, strategy_id=run.strategy_id, instrument_id=instrument_id
        )
        if cancelled:
            return Approved(0), None
        return _refusal(Reason.NOTHING_TO_CLOSE, "flat, no order", "a position or an order"), None

    def _entry(self, run: StrategyRun, signal: Signal) -> tuple[Verdict, ClientId | None]:
        state, positions = self._state, self._positions
        account_id, instrument_id = run.context.account_id, signal.instrument_id
        plan = positions.plan(run.strategy_id, instrument_id)
        lane = state.lanes[instrument_id]
        instrument, book = lane.instrument, lane.book
        if signal.kind is _SHORT and instrument.is_spot:
            if plan.size_units > 0:
                return positions.start_closing(plan, _CLOSE, signal.reason)
            return _refusal(Reason.SHORT_UNAVAILABLE, "nothing held", "spot sells holdings"), None
        occupied = self._occupied(plan, lane)
        if occupied is not None:
            return occupied, None
        blocked = self._orders.obstacle(account_id, instrument_id, is_urgent=False)
        if blocked is not None:
            return blocked, None
        judged = self._judged.get(plan) or self._judge_at(plan)
        limits, twice = judged.limits, book.mid_twice_units
        sizing = limits.sizing
        decision = state.sizer.size(
            signal,
            instrument=instrument,
            book=book,
            equity=judged.holding.account.equity_in(instrument.quote_asset),
            price_units=None if twice is None else twice // 2,
            volatility=(
                None if sizing.volatility_target is None else self._volatility(lane, sizing)
            ),
            position_units=0,
            limits=limits,
            closed_returns=run.returns,
        )
        if type(decision) is Rejected:
            return decision, None
        exits = self._policy(run, signal)
        if type(exits) is Rejected:
            return exits, None
        planner = state.planner
        if not planner.enters_at_once:
            algorithm = planner.algorithm(signal, decision.size_units, book, instrument)
            if algorithm is not None:
                return self._work_entry(run, signal, decision.size_units, algorithm, exits)
        has_bracket = exits.stop_loss_fraction or exits.take_profit_fraction
        is_attached = bool(has_bracket) and positions.can_attach(plan, lane)
        moment = state.moment
        intent = planner.entry(
            signal,
            size_units=decision.size_units,
            book=book,
            instrument=instrument,
            now_ns=moment.now_ns,
            attached=exits if is_attached else None,
        )
        if type(intent) is Rejected:
            return intent, None
        verdict = self._judge(run, intent, lane, judged)
        if type(verdict) is Rejected:
            return verdict, None
        stop_units, take_units = intent.stop_loss_price_units, intent.take_profit_price_units
        attached = _NO_BRACKET
        if stop_units is not None or take_units is not None:
            attached = Bracket(stop_units, take_units)
        plan.begin(exits, intent.side, fixed=_NO_BRACKET, attached=attached)
        client_id = self._place(run, intent, verdict).order.client_id
        plan.entry_id = client_id
        plan.cause_event_id = moment.event_id
        if intent.time_in_force is _GTC:
            due_ns = moment.now_ns + self._entry_timeout_ns
            state.deadlines.add(due_ns, Deadline.ENTRY_TIMEOUT, client_id)
        return verdict, client_id

    def _judge_at(self, plan: PositionPlan) -> JudgedLane:
        """Return where a plan's orders are judged; looked up once, every order asks."""
        state = self._state
        lane = state.gate.lane(
            plan.account_id, plan.strategy_id, plan.instrument_id, state.portfolio
        )
        assert isinstance(lane, JudgedLane), "an instrument with a book is known"
        self._judged[plan] = lane
        return lane

    def _volatility(self, lane: Lane, sizing: BoundSizing) -> float | None:
        """Return the volatility a size is to be scaled by; None while it isn't known."""
        if sizing.is_by_range:
            return lane.ranges.over(self._horizon_ns)
        return lane.volatility.over(self._horizon_ns, interval_ns=1_000_000_000)

    def _work_entry(
        self,
        run: StrategyRun,
        signal: Signal,
        size_units: int,
        algorithm: Algorithm,
        exits: Exits,
    ) -> tuple[Verdict, ClientId | None]:
        """Enter by a work; the plan's entry is under way until it ended."""
        wish = WorkIntent(
            instrument_id=signal.instrument_id,
            side=Side.SELL if signal.kind is _SHORT else Side.BUY,
            size_units=size_units,
            algorithm=algorithm,
            reason=signal.reason,
        )
        begun = self._works.start(run, wish, exits, is_entry=True)
        if isinstance(begun, (Approved, Rejected)):
            return begun, None
        plan = self._positions.plan(run.strategy_id, signal.instrument_id)
        plan.entry_id = begun.work_id
        plan.cause_event_id = self._state.moment.event_id
        return Approved(size_units), begun.children[0] if begun.children else begun.work_id

    def _policy(self, run: StrategyRun, signal: Signal) -> Exits | Rejected:
        """Return how the position is to be left: the signal's word, then what is configured."""
        last = self._policies.get(run.strategy_id)
        if (
            last is not None
            and signal.exits is last[0].exits
            and signal.stop_loss_fraction == last[0].stop_loss_fraction
            and signal.take_profit_fraction == last[0].take_profit_fraction
        ):
            return last[1]
        fault = signal.fault()
        exits = self._state.exits_of(run.strategy_id)
        policy = signal.policy
        if fault is None and policy is not None:
            exits = policy.over(exits)
            fault = exits.fault()
        if fault is not None:
            return _refusal(Reason.SIGNAL_INVALID, fault, "a usable signal")
        self._policies[run.strategy_id] = (signal, exits)
        return exits

    def _occupied(self, plan: PositionPlan, lane: Lane) -> Rejected | None:
        """One position a strategy and instrument: say what stands there already."""
        bound = "one position a strategy and instrument"
        if plan.closing is not None or plan.exit_id is not None:
            return _refusal(Reason.CONFLICTING_POSITION, "being closed", bound)
        if plan.entry_id is not None:
            return _refusal(Reason.CONFLICTING_POSITION, "an entry is under way", bound)
        if plan.size_units:
            word = "long" if plan.size_units > 0 else "short"
            size = lane.instrument.size_text(abs(plan.size_units))
            return _refusal(Reason.CONFLICTING_POSITION, f"{word} {size}", bound)
        return None

    # exact intents --------------------------------------------------------------------------------

    def _intent(self, run: StrategyRun, intent: OrderIntent) -> None:
        verdict = self._place_intent(run, intent)
        if type(verdict) is Rejected:
            self._count_refusal(run, verdict)
            self._orders.tell_refused(run.strategy_id, intent.instrument_id, str(verdict))

    def _place_intent(self, run: StrategyRun, intent: OrderIntent) -> Verdict:
        refused = self._unready(run, intent.instrument_id, is_exit=intent.purpose is not _OPEN)
        if refused is not None:
            return refused
        refused = _unless_whole(
            intent.size_units,
            intent.price_units,
            intent.stop_loss_price_units,
            intent.take_profit_price_units,
            intent.trigger_price_units,
        )
        if refused is not None:
            return refused
        lane = self._state.lanes[intent.instrument_id]
        plan = self._positions.plan(run.strategy_id, intent.instrument_id)
        capped = capped_to_share(self._state, run.strategy_id, plan, intent)
        if type(capped) is Rejected:
            return capped
        stop_units, take_units = intent.stop_loss_price_units, intent.take_profit_price_units
        has_bracket = stop_units is not None or take_units is not None
        bracket = Bracket(stop_units, take_units) if has_bracket else _NO_BRACKET
        exits = self._intent_policy(run, intent)
        if type(exits) is Rejected:
            return exits
        is_attached = has_bracket and self._positions.can_attach(plan, lane)
        if has_bracket and not is_attached:
            # The gate still looks at the levels; what is sent does not carry them.
            fault = self._judge_shape(capped, lane)
            if fault is not None:
                return fault
            capped = replace(capped, stop_loss_price_units=None, take_profit_price_units=None)
        is_urgent = capped.purpose is not _OPEN
        blocked = self._orders.obstacle(
            run.context.account_id, intent.instrument_id, is_urgent=is_urgent
        )
        if blocked is not None:
            return blocked
        verdict = self._judge(run, capped, lane, self._judged.get(plan) or self._judge_at(plan))
        if type(verdict) is Rejected:
            return verdict
        self._begin(plan, intent, exits, bracket, is_attached=is_attached)
        record = self._place(run, capped, verdict)
        self._orders.tell(record, intent.reason)
        return verdict

    def _intent_policy(self, run: StrategyRun, intent: OrderIntent) -> Exits | Rejected:
        exits = self._state.exits_of(run.strategy_id)
        own = intent.exits
        if own is None:
            return exits
        fault = None
        if intent.purpose is not _OPEN or intent.reduce_only:
            fault = "an order that closes has no exits"
        elif intent.stop_loss_price_units is not None and own.stop_loss_fraction is not None:
            fault = "a stop loss as a price and as a fraction"
        elif intent.take_profit_price_units is not None and own.take_profit_fraction is not None:
            fault = "a take profit as a price and as a fraction"
        else:
            exits = own.over(exits)
            fault = exits.fault()
        if fault is not None:
            return _refusal(Reason.SIGNAL_INVALID, fault, "usable exits")
        return exits

    def _begin(
        self,
        plan: PositionPlan,
        intent: OrderIntent,
        exits: Exits,
        bracket: Bracket,
        *,
        is_attached: bool,
    ) -> None:
        """Let the plan know how to leave what this order opens or adds to."""
        if intent.purpose is not _OPEN or intent.reduce_only:
            return
        is_adding = plan.size_units * intent.side > 0
        if is_adding and bracket.is_empty and intent.exits is None:
            # More of the same is left by the same levels.
            return
        if is_adding:
            exits = exits if intent.exits is not None else plan.exits
            bracket = plan.fixed_for(intent.side) if bracket.is_empty else bracket
        attached = bracket if is_attached else _NO_BRACKET
        plan.begin(exits, intent.side, fixed=bracket, attached=attached)
        if is_adding:
            self._positions.change_exits(plan)

    def _judge_shape(self, intent: OrderIntent, lane: Lane) -> Rejected | None:
        for level in (intent.stop_loss_price_units, intent.take_profit_price_units):
            if level is not None:
                fault = lane.instrument.price_fault(level)
                if fault is not None:
                    return _refusal(Reason.PRICE_INVALID, fault, "a valid bracket price")
        return None

    def _cancel(self, run: StrategyRun, wish: CancelIntent) -> None:
        record = self._orders.find(wish.client_id)
        file = self._state.works.get(wish.client_id)
        if file is None and record is not None and record.order.parent_id is not None:
            # Withdrawn alone, a child would be followed by the next.
            file = self._state.works.get(record.order.parent_id)
        if file is not None and file.strategy_id == run.strategy_id:
            reason = wish.reason or "the strategy's wish"
            self._works.stop(file, WorkState.CANCELLED, reason)
            return
        if record is None or record.order.strategy_id != run.strategy_id:
            self._orders.tell_refused(
                run.strategy_id,
                run.context.instruments[0],
                f"cancel of {wish.client_id[:64]}: no order of this strategy",
            )
            return
        self._orders.cancel(record, wish.reason or "the strategy's wish")

    def _amend(self, run: StrategyRun, wish: AmendIntent) -> None:
        record = self._state.blotter.find_ours(wish.client_id)
        instrument_id = run.context.instruments[0]
        refused: object = "no order of this strategy"
        if record is not None and record.order.strategy_id == run.strategy_id:
            instrument_id = record.order.instrument_id
            if record.order.parent_id in self._state.works:
                refused = "the order belongs to a work"
            else:
                verdict = _unless_whole(wish.size_units, wish.price_units) or self._orders.amend(
                    record,
                    self._state.lanes[instrument_id],
                    price_units=wish.price_units,
                    size_units=wish.size_units,
                )
                if verdict is None:
                    return
                self._count_refusal(run, verdict)
                refused = verdict
        words = f"amend of {wish.client_id[:64]}: {refused}"
        self._orders.tell_refused(run.strategy_id, instrument_id, words)

    def _work(self, run: StrategyRun, wish: WorkIntent) -> None:
        begun: Verdict | WorkFile | None = self._unready(
            run, wish.instrument_id, is_exit=wish.reduce_only
        )
        if begun is None:
            exits = self._work_policy(run, wish)
            begun = exits if type(exits) is Rejected else self._works.start(run, wish, exits)
        if type(begun) is Rejected:
            self._count_refusal(run, begun)
            self._orders.tell_refused(run.strategy_id, wish.instrument_id, str(begun))

    def _work_policy(self, run: StrategyRun, wish: WorkIntent) -> Exits | Rejected:
        exits = self._state.exits_of(run.strategy_id)
        if wish.exits is not None:
            exits = wish.exits.over(exits)
        fault = exits.fault()
        return exits if fault is None else _refusal(Reason.SIGNAL_INVALID, fault, "usable exits")

    # shared ---------------------------------------------------------------------------------------

    def _judge(
        self, run: StrategyRun, intent: OrderIntent, lane: Lane, judged: JudgedLane
    ) -> Verdict:
        state = self._state
        moment = state.moment
        return state.gate.check(
            intent,
            strategy_id=run.strategy_id,
            account_id=run.context.account_id,
            event_id=moment.event_id,
            now_ns=moment.now_ns,
            book=lane.book,
            instrument=lane.instrument,
            view=state.view,
            lane=judged,
        )

    def _place(self, run: StrategyRun, intent: OrderIntent, verdict: Approved) -> Record:
        run.order_count += 1
        return self._orders.place(
            intent,
            size_units=verdict.size_units,
            strategy_id=run.strategy_id,
            account_id=run.context.account_id,
            cause_event_id=self._state.moment.event_id,
        )

    def _count_refusal(self, run: StrategyRun, verdict: Rejected) -> None:
        name = verdict.reason.value
        run.refusals[name] = run.refusals.get(name, 0) + 1
        run.last_refusals[name] = verdict


def _unless_whole(size_units: int | None, *prices: int | None) -> Rejected | None:
    """Refuse units that are no whole numbers: a float that passes here is in every sum after."""
    if size_units is not None and type(size_units) is not int:
        found = f"size_units {size_units!r}"
        return _refusal(Reason.SIZE_INVALID, found, "a whole number of units")
    for price_units in prices:
        if price_units is not None and type(price_units) is not int:
            found = f"price_units {price_units!r}"
            return _refusal(Reason.PRICE_INVALID, found, "a whole number of units")
    return None


def _refusal(reason: Reason, value: str, bound: str) -> Rejected:
    return Rejected(Check(reason, value, bound))
