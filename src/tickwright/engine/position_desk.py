"""Owns the plans of all positions: exits watched, closings tried until flat, time stops.

Refuses to close what is not the strategy's: reduce-only acts on the account's position, so every
step is capped to the strategy's share. A second exit never leaves while the first is not settled.
"""

from tickwright.book.order_book import OrderBook
from tickwright.core.commands import SignalNotice
from tickwright.core.exits import PlannedExits
from tickwright.core.identity import ClientId, InstrumentId, Leg, StrategyId
from tickwright.core.kept_state import PlanRecord
from tickwright.core.orders import Order, Purpose, Side
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.verdicts import Check, Reason, Rejected, Verdict
from tickwright.engine.deadlines import Deadline
from tickwright.engine.lanes import Lane
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.state import TradingState
from tickwright.engine.stops_desk import StopsDesk
from tickwright.execution.exit_levels import ExitLevels, fee_parts
from tickwright.execution.held_stops import HeldStops
from tickwright.execution.plan_state import restore_levels, restore_plan
from tickwright.execution.planner import Bracket
from tickwright.execution.position_plan import PositionPlan
from tickwright.execution.records import Record
from tickwright.portfolio.position import Position

__all__ = ["PositionDesk"]

_MS = 1_000_000
# Looking a member up in its class is a Python call, and these are asked for every order.
_NET = Leg.NET
_CLOSE = Purpose.CLOSE


class PositionDesk:
    """Guards positions by their plans."""

    def __init__(self, state: TradingState, orders: OrderDesk) -> None:
        self._state = state
        self._orders = orders
        self._retry_ns = state.config.execution.exit_retry_ms * _MS
        self.stops = StopsDesk(state)
        self.stop_count = 0
        self.take_count = 0

    def plan(self, strategy_id: StrategyId, instrument_id: InstrumentId) -> PositionPlan:
        """Return the plan of a strategy in an instrument, made when it is new."""
        key = (strategy_id, instrument_id)
        state = self._state
        plan = state.plans.get(key)
        if plan is None:
            account_id = state.runs[strategy_id].context.account_id
            exits = state.exits_of(strategy_id)
            plan = state.plans[key] = PositionPlan(strategy_id, account_id, instrument_id, exits)
            state.lane(instrument_id).plans.append(plan)
        return plan

    def restore(self, record: PlanRecord) -> None:
        """Go on with the plan of an earlier run, for the share that the ledger knows."""
        plan = self.plan(record.strategy_id, record.instrument_id)
        lane = self._state.lane(record.instrument_id)
        share = self._state.portfolio.strategy_position(
            plan.strategy_id, plan.account_id, plan.instrument_id
        )
        size_units = _held_units(share, lane)
        is_same = restore_plan(plan, record, size_units, lane.instrument)
        side = plan.side
        if side is not None:
            levels = self._levels(plan, side, lane)
            if is_same:
                restore_levels(plan, levels, record)
            else:
                # What the venue holds is known again from its report.
                plan.levels = levels
                plan.held = HeldStops(was_asked=record.held.was_asked)
        self.refresh(plan)

    def begin_promised(self, order: Order, planned: PlannedExits | None, attached: Bracket) -> None:
        """Take the policy of an entry that an earlier run promised and maybe sent."""
        plan = self.plan(order.strategy_id, order.instrument_id)
        exits = self._state.exits_of(order.strategy_id)
        fixed = Bracket()
        if planned is not None:
            exits, fixed = planned.exits, Bracket(planned.stop_units, planned.take_units)
        plan.begin(exits, order.side, fixed=fixed, attached=attached)
        if plan.size_units * order.side > 0:
            self.change_exits(plan)

    # following ------------------------------------------------------------------------------------

    def refresh(self, plan: PositionPlan) -> None:
        """Follow the strategy's attributed position: its levels, who holds them, its time stop."""
        state = self._state
        lane = state.lane(plan.instrument_id)
        share = state.portfolio.strategy_position(
            plan.strategy_id, plan.account_id, plan.instrument_id
        )
        was_flat, now_ns = plan.size_units == 0, state.moment.now_ns
        # A fill may be told late, as after a restart: its position is as old as the fill.
        plan.set_size(_held_units(share, lane), min(share.opened_ns or now_ns, now_ns))
        side = plan.side
        if side is not None:
            if plan.levels is None:
                plan.open(self._levels(plan, side, lane))
            entry_units = share.entry_units(lane.instrument)
            levels = plan.levels
            if levels is not None and entry_units is not None:
                levels.set_entry(entry_units)
                if plan.closing is None:
                    # Nobody watches the levels of a plan that is being closed.
                    self._look(levels, lane.book)
        time_ms = plan.exits.time_stop_ms
        if was_flat and plan.size_units and time_ms:
            state.deadlines.add(plan.opened_ns + time_ms * _MS, Deadline.TIME_STOP, plan.key)
        self.stops.tend(plan)

    def _levels(self, plan: PositionPlan, side: Side, lane: Lane) -> ExitLevels:
        rates = self._state.fees(plan.account_id, plan.instrument_id)
        return ExitLevels(
            plan.exits,
            side,
            lane.instrument,
            fixed=plan.fixed_for(side),
            fee=fee_parts(None if rates is None else rates.taker),
        )

    @staticmethod
    def _look(levels: ExitLevels, book: OrderBook) -> bool:
        """Let stops follow the mid; a book that isn't proven moves nothing."""
        if not book.is_synced:
            return False
        twice = book.mid_twice_units
        return twice is not None and levels.follow(twice)

    def on_settled(self, record: Record) -> None:
        """Go on with a plan whose order is through: final, every fill here, no question open."""
        order = record.order
        plan = self._state.plans.get((order.strategy_id, order.instrument_id))
        if plan is None:
            return
        if plan.entry_id == order.client_id:
            plan.entry_id = None
        if plan.exit_id == order.client_id:
            plan.exit_id = None
            if plan.closing is not None and plan.size_units:
                if order.filled_units:
                    plan.attempts = 0
                plan.note_failure(self._state.now_ns, self._retry_ns)
                self._try_again(plan)
        if plan.closing is not None and not plan.size_units and plan.entry_id is None:
            plan.closing = None

    def end_entry(
        self, strategy_id: StrategyId, instrument_id: InstrumentId, entry_id: ClientId
    ) -> None:
        """Let a plan know that the work it was entered by ended."""
        plan = self._state.plans.get((strategy_id, instrument_id))
        if plan is None or plan.entry_id != entry_id:
            return
        plan.entry_id = None
        if plan.closing is not None and not plan.size_units:
            plan.closing = None

    def can_attach(self, plan: PositionPlan, lane: Lane) -> bool:
        """Whether the venue may hold the bracket: it acts on the whole position of the account."""
        holding = self._state.portfolio.holding(plan.account_id, plan.instrument_id)
        return not holding.legs[_NET].position.size_units and self.stops.can_hold(plan, lane)

    # closing --------------------------------------------------------------------------------------

    def on_book(self, lane: Lane) -> None:
        """Let the stops follow the book that just changed, and compare them with it."""
        for plan in lane.watch:
            levels = plan.levels
            if levels is not None and levels.follows and self._look(levels, lane.book):
                self.stops.tend(plan)
            self._compare(plan, lane)

    def on_trade(self, lane: Lane, price_units: int) -> None:
        """Let the stops follow a public trade."""
        for plan in lane.watch:
            levels = plan.levels
            if levels is not None and levels.follows and levels.follow(2 * price_units):
                self.stops.tend(plan)
                self._compare(plan, lane)

    def _compare(self, plan: PositionPlan, lane: Lane) -> None:
        purpose = plan.due(lane.book)
        if purpose is None or plan.closing is not None:
            return
        if purpose is Purpose.STOP_LOSS:
            level = plan.bracket.stop_units
            assert level is not None and plan.levels is not None, "a level that is due exists"
            word = plan.levels.kind_of(level)
            self.stop_count += 1
        else:
            level = plan.bracket.take_units
            assert level is not None, "a level that is due exists"
            word = "take profit"
            self.take_count += 1
        self.close(plan, purpose, f"{word} at {lane.instrument.price_text(level)}")

    def close(self, plan: PositionPlan, purpose: Purpose, reason: str) -> None:
        """Close a position for a reason of our own, and tell it as an exit signal."""
        moment = self._state.moment
        signal = Signal(instrument_id=plan.instrument_id, kind=SignalKind.EXIT, reason=reason)
        verdict, client_id = self.start_closing(plan, purpose, reason)
        self._state.outbox.notice(
            SignalNotice(
                strategy_id=plan.strategy_id,
                signal=signal,
                verdict=verdict,
                client_id=client_id,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
            )
        )

    def start_closing(
        self, plan: PositionPlan, purpose: Purpose, reason: str
    ) -> tuple[Verdict, ClientId | None]:
        """Decide to close a position, withdraw its entries and send the first exit."""
        plan.start_closing(purpose, reason, self._state.moment.event_id)
        # A slower way out must not hold what the exit is to close.
        self._orders.withdraw_works(
            reason, strategy_id=plan.strategy_id, instrument_id=plan.instrument_id
        )
        if self._state.blotter.working(plan.account_id, plan.instrument_id).open_orders:
            self._orders.cancel_where(
                reason, strategy_id=plan.strategy_id, instrument_id=plan.instrument_id
            )
        self._state.lane(plan.instrument_id).settle()
        return self._step(plan)

    def on_close_again(self, key: str) -> None:
        """Try the next step of a closing whose pause is over."""
        plan = self._plan_of(key)
        if (
            plan is not None
            and plan.closing is not None
            and plan.size_units
            and self._state.now_ns >= plan.retry_ns
        ):
            verdict, client_id = self._step(plan)
            record = None if client_id is None else self._orders.find(client_id)
            if record is not None:
                self._orders.tell(record, plan.closing_reason)
            elif type(verdict) is Rejected:
                self._orders.tell_refused(
                    plan.strategy_id, plan.instrument_id, f"exit not sent: {verdict}"
                )

    def on_time_stop(self, key: str) -> None:
        """Close a position that was held for as long as is allowed."""
        plan = self._plan_of(key)
        if plan is None or not plan.size_units or plan.closing is not None:
            return
        time_ms = plan.exits.time_stop_ms
        if not time_ms:
            return
        due_ns = plan.opened_ns + time_ms * _MS
        if self._state.now_ns < due_ns:
            self._state.deadlines.add(due_ns, Deadline.TIME_STOP, key)
            return
        self.close(plan, Purpose.CLOSE, f"time stop after {time_ms} ms")

    def on_stops_due(self, key: str) -> None:
        """Look again at a request to the venue that nobody answered."""
        plan = self._plan_of(key)
        if plan is not None:
            self.stops.on_due(plan)

    def _plan_of(self, key: str) -> PositionPlan | None:
        strategy, _, instrument = key.rpartition(" ")
        instrument_id = InstrumentId.parse(instrument)
        return self._state.plans.get((StrategyId(strategy), instrument_id))

    def _step(self, plan: PositionPlan) -> tuple[Verdict, ClientId | None]:
        """Send the next exit of a closing, or say why not; then it is tried again later."""
        state = self._state
        if plan.exit_id is not None:
            check = Check(Reason.NOTHING_TO_CLOSE, f"exit {plan.exit_id} is under way", "none")
            return Rejected(check), None
        lane = state.lane(plan.instrument_id)
        intent = state.planner.exit(
            share_units=plan.size_units,
            account_units=self._account_units(plan, lane),
            reducing_units=self._reducing_units(plan),
            book=lane.book,
            instrument=lane.instrument,
            purpose=plan.closing or _CLOSE,
            reason=plan.closing_reason,
            now_ns=state.now_ns,
        )
        verdict: Verdict
        if type(intent) is Rejected:
            verdict = intent
        else:
            blocked = self._orders.obstacle(plan.account_id, plan.instrument_id, is_urgent=True)
            verdict = blocked or state.gate.check(
                intent,
                strategy_id=plan.strategy_id,
                account_id=plan.account_id,
                event_id=state.moment.event_id,
                now_ns=state.now_ns,
                book=lane.book,
                instrument=lane.instrument,
                view=state.view,
            )
        if type(verdict) is Rejected or type(intent) is Rejected:
            plan.note_failure(state.now_ns, self._retry_ns)
            self._try_again(plan)
            return verdict, None
        record = self._orders.place(
            intent,
            size_units=verdict.size_units,
            strategy_id=plan.strategy_id,
            account_id=plan.account_id,
            cause_event_id=plan.cause_event_id,
        )
        plan.exit_id = record.client_id
        return verdict, record.client_id

    def _account_units(self, plan: PositionPlan, lane: Lane) -> int:
        portfolio = self._state.portfolio
        if lane.instrument.is_spot:
            return portfolio.sellable_units(plan.account_id, plan.instrument_id)
        return portfolio.position(plan.account_id, plan.instrument_id).size_units

    def _reducing_units(self, plan: PositionPlan) -> int:
        working = self._state.blotter.working(plan.account_id, plan.instrument_id)
        return working.reduce_sell_units if plan.size_units > 0 else working.reduce_buy_units

    def _try_again(self, plan: PositionPlan) -> None:
        self._state.deadlines.add(plan.retry_ns, Deadline.CLOSE_AGAIN, plan.key)

    def change_exits(self, plan: PositionPlan) -> None:
        """Leave an open position by other exits from now on; the venue is asked for them anew."""
        side = plan.side
        if side is None:
            return
        best_twice = 0 if plan.levels is None else plan.levels.best_twice
        levels = plan.levels = self._levels(plan, side, self._state.lane(plan.instrument_id))
        plan.held = HeldStops(was_asked=plan.held.may_fire)
        plan.attached = Bracket()
        self.refresh(plan)
        if best_twice:
            levels.follow(best_twice)
            self.stops.tend(plan)

    def reset_levels(self, plan: PositionPlan) -> None:
        """Compute the levels anew: the instrument's units may mean something else now.

        What the venue holds is known again from its next report; until then all is watched here.
        """
        may_fire = plan.held.may_fire
        plan.fixed_bracket = Bracket()
        plan.attached = Bracket()
        plan.levels = None
        plan.bracket = Bracket()
        self.refresh(plan)
        plan.held = HeldStops(was_asked=may_fire)
        self.stops.tend(plan)


def _held_units(share: Position, lane: Lane) -> int:
    """Return the part of a share that orders can close."""
    instrument, size_units = lane.instrument, share.size_units
    if instrument.is_spot and size_units < max(instrument.lot_units, instrument.size_min_units):
        # Fees in the base asset leave dust that no order can sell: it is nobody's position.
        return 0
    return size_units
