"""Owns works: larger sizes that an algorithm takes in child orders, each judged and sent as any.

Each child passes the gate, the request budget and the journal when it is sent, at the size and the
price it has then; what is not sent yet can't fill and counts nowhere. A work begins only if its
first child may leave. Refuses to have two children alive, and to send one before the last is
settled. What withdraws opening orders (a person, a guard, a halt, a signal to leave) stops works
first; a book in doubt lets them pause. A restart takes them up where their last child was promised.
"""

from random import Random

from msgspec.structs import replace

from tickwright.core.commands import WorkNotice
from tickwright.core.exits import Exits
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.instrument import AmendKind
from tickwright.core.orders import OrderIntent, Purpose, Side
from tickwright.core.verdicts import Approved, Check, Reason, Rejected, Verdict
from tickwright.core.work import Work, WorkIntent, WorkRecord, WorkState
from tickwright.engine.deadlines import Deadline
from tickwright.engine.lanes import Lane, StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.shares import capped_to_share
from tickwright.engine.state import TradingState
from tickwright.execution.algorithms.planners import planner_for
from tickwright.execution.algorithms.steps import Finish, Move, Place, View, Wait, child_units
from tickwright.execution.algorithms.work_file import CHILDREN_MAX, WorkFile
from tickwright.execution.planner import Bracket
from tickwright.execution.records import Record

__all__ = ["WORKS_MAX", "WorkDesk"]

WORKS_MAX = 500
"""Works under way in one engine; no more begin at this bound."""
_MS = 1_000_000
_NO_BRACKET = Bracket()
PASSING = frozenset(
    {
        Reason.BOOK_NOT_SYNCED,
        Reason.BOOK_TOO_OLD,
        Reason.BOOK_EMPTY,
        Reason.PRICE_UNKNOWN,
        Reason.MARK_UNKNOWN,
        Reason.MARK_FROZEN,
        Reason.NO_EQUITY,
        Reason.PRICE_BAND,
        Reason.SPREAD_TOO_WIDE,
        Reason.DEPTH_TOO_THIN,
        Reason.DEPTH_LIMIT,
        Reason.CLOCK_SKEW,
        Reason.OUTSIDE_HOURS,
        Reason.FUNDING_WINDOW,
        Reason.RATE_LIMIT,
        Reason.CANCEL_RATE,
        Reason.AMEND_RATE,
        Reason.AMEND_IMPOSSIBLE,
        Reason.ORDER_TO_FILL,
        Reason.UNKNOWN_REQUEST,
        Reason.UNKNOWN_TOTAL,
        Reason.OPEN_ORDERS_LIMIT,
        Reason.OPPOSITE_ORDER,
        Reason.ACCOUNT_NOT_READY,
        Reason.INSTRUMENT_NOT_TRADING,
    }
)
"""Refusals that may be over in a moment: a work waits, and ends by its own time at the latest."""


class WorkDesk:
    """Works sizes by their planners."""

    def __init__(self, state: TradingState, orders: OrderDesk, positions: PositionDesk) -> None:
        self._state = state
        self._orders = orders
        self._positions = positions
        self._valid_ns = state.config.execution.valid_ms * _MS
        self._begun = 0
        self._awaited: dict[ClientId, ClientId | None] = {}
        """Children that restored works wait for, until a promise or the sync shows them."""
        self.news: list[Work] = []
        """What strategies have to hear of."""
        orders.on_withdraw = self.withdraw

    # beginning and ending -------------------------------------------------------------------------

    def start(
        self, run: StrategyRun, intent: WorkIntent, exits: Exits, *, is_entry: bool = False
    ) -> Verdict | WorkFile:
        """Begin a work by its first child, or return why it may not begin.

        `is_entry` says that a signal asked for it.
        """
        state = self._state
        lane = state.lane(intent.instrument_id)
        fault = intent.fault()
        if fault is not None:
            return Rejected(Check(Reason.SIGNAL_INVALID, fault, "a usable work"))
        if len(state.works) >= WORKS_MAX:
            words = f"{len(state.works)} works under way"
            return Rejected(Check(Reason.OPEN_ORDERS_LIMIT, words, f"{WORKS_MAX}"))
        if not lane.book.is_synced:
            words = lane.book.state.name.lower()
            return Rejected(Check(Reason.BOOK_NOT_SYNCED, words, "synced"))
        self._begun += 1
        now_ns = state.now_ns
        chance = self._chance(run.strategy_id, self._begun)
        file = WorkFile(
            state.client_ids.next(run.strategy_id),
            run.strategy_id,
            run.context.account_id,
            intent,
            exits,
            planner_for(intent, lane.instrument, now_ns, chance),
            now_ns,
            number=self._begun,
            is_entry=is_entry,
        )
        refused = self._step(file, lane, is_first=True)
        if refused is not None:
            return refused
        state.works[file.work_id] = file
        lane.works.append(file)
        lane.settle()
        self._tell(file)
        return file

    def stop(self, file: WorkFile, state: WorkState, reason: str) -> None:
        """Send no more, withdraw the child that lives, and end when it is settled."""
        if file.state is not WorkState.WORKING:
            return
        file.state = WorkState.STOPPING
        file.end_state = state
        file.reason = reason
        if file.is_waiting:
            # Whether a child of it lives is known once the account was read.
            self._tell(file)
            return
        if file.child is None:
            self._end(file)
            return
        self._tell(file)
        self._orders.cancel(file.child, reason)

    def withdraw(
        self,
        reason: str,
        *,
        account_id: AccountId | None = None,
        strategy_id: StrategyId | None = None,
        instrument_id: InstrumentId | None = None,
        only_opening: bool = True,
    ) -> int:
        """Stop the works of an account, strategy, instrument, or all; return how many."""
        count = 0
        for file in tuple(self._state.works.values()):
            intent = file.intent
            if (
                file.state is not WorkState.WORKING
                or (account_id is not None and file.account_id != account_id)
                or (strategy_id is not None and file.strategy_id != strategy_id)
                or (instrument_id is not None and intent.instrument_id != instrument_id)
                or (only_opening and intent.reduce_only)
            ):
                continue
            self.stop(file, WorkState.CANCELLED, reason)
            count += 1
        return count

    def _end(self, file: WorkFile) -> None:
        state = self._state
        if not file.remaining_units:
            file.state = WorkState.DONE
            file.reason = ""
        else:
            file.state = file.end_state
        intent = file.intent
        state.works.pop(file.work_id, None)
        lane = state.lanes.get(intent.instrument_id)
        if lane is not None and file in lane.works:
            lane.works.remove(file)
            lane.settle()
        self._positions.end_entry(file.strategy_id, intent.instrument_id, file.work_id)
        self._tell(file)

    # what happens ---------------------------------------------------------------------------------

    def on_book(self, lane: Lane) -> None:
        """Let the works of a book look at its update."""
        for file in tuple(lane.works):
            self._step(file, lane)

    def on_due(self, key: str) -> None:
        """Look at a work whose time has come."""
        file = self._state.works.get(ClientId(key))
        if file is None:
            return
        now_ns = self._state.now_ns
        while file.wakes and file.wakes[-1] <= now_ns:
            file.wakes.pop()
        self._step(file, self._state.lane(file.intent.instrument_id))

    def on_child(self, record: Record) -> None:
        """Follow a child of a work after anything became known of it."""
        parent_id = record.order.parent_id
        file = None if parent_id is None else self._state.works.get(parent_id)
        if file is None:
            return
        fault = file.note(record)
        if fault and file.state is WorkState.WORKING:
            self.stop(file, WorkState.FAILED, fault)
            return
        self._step(file, self._state.lane(file.intent.instrument_id))

    # stepping -------------------------------------------------------------------------------------

    def _step(self, file: WorkFile, lane: Lane, *, is_first: bool = False) -> Rejected | None:
        """Do what the planner says is next; return what refused it."""
        state = self._state
        now_ns = state.now_ns
        if file.is_waiting:
            return None
        if file.state is WorkState.STOPPING:
            if file.child is None:
                self._end(file)
            return None
        if not file.remaining_units and file.child is None:
            self._end(file)
            return None
        step = file.planner.next(self._view(file, lane))
        if isinstance(step, Wait):
            self._wake(file, step.until_ns)
            return None
        if isinstance(step, Finish):
            if is_first:
                size = lane.instrument.size_text(file.intent.size_units)
                return Rejected(Check(Reason.SIZE_INVALID, f"{size}: {step.reason}", "an order"))
            self.stop(file, WorkState.DONE if step.is_done else WorkState.FAILED, step.reason)
            return None
        if now_ns < file.pause_until_ns:
            self._wake(file, file.pause_until_ns)
            return None
        if file.child_count >= CHILDREN_MAX:
            self.stop(file, WorkState.FAILED, f"{CHILDREN_MAX} orders did not fill it")
            return None
        refused = self._place(file, lane, step) if isinstance(step, Place) else None
        if isinstance(step, Move):
            refused = self._move(file, lane, step)
        if refused is None:
            then = file.planner.next(self._view(file, lane))
            assert isinstance(then, Wait), "what was just sent has to be waited for"
            self._wake(file, then.until_ns)
        elif not is_first:
            self._refused(file, lane, step, refused)
        return refused

    def _view(self, file: WorkFile, lane: Lane) -> View:
        book = lane.book
        is_synced = book.is_synced
        bid, ask = (book.best_bid, book.best_ask) if is_synced else (None, None)
        child = file.view_of_child()
        if child is not None and child.price_units in (bid, ask):
            # The touch without ourselves: who is alone there follows nobody.
            if file.intent.side is Side.BUY and child.price_units == bid:
                bid = _without(book.bids(2), child.remaining_units)
            elif file.intent.side is Side.SELL and child.price_units == ask:
                ask = _without(book.asks(2), child.remaining_units)
        return View(
            now_ns=self._state.now_ns,
            bid=bid,
            ask=ask,
            remaining_units=file.remaining_units,
            child=child,
            last_sent_ns=file.last_sent_ns,
            is_last_empty=file.is_last_empty,
        )

    def _wake(self, file: WorkFile, due_ns: int) -> None:
        """Look again at a time, unless an earlier look is due already and will decide anew."""
        due_ns = max(due_ns, self._state.now_ns + 1)
        if not file.wakes or due_ns < file.wakes[-1]:
            file.wakes.append(due_ns)
            self._state.deadlines.add(due_ns, Deadline.WORK, file.work_id)

    def _place(self, file: WorkFile, lane: Lane, step: Place) -> Rejected | None:
        state = self._state
        wish = file.intent
        plan = self._positions.plan(file.strategy_id, wish.instrument_id)
        intent = OrderIntent(
            instrument_id=wish.instrument_id,
            side=wish.side,
            size_units=step.size_units,
            price_units=step.price_units,
            time_in_force=step.time_in_force,
            post_only=step.post_only,
            reduce_only=wish.reduce_only and lane.instrument.capabilities.has_reduce_only,
            purpose=Purpose.CLOSE if wish.reduce_only else Purpose.OPEN,
            valid_until_ns=state.now_ns + self._valid_ns,
            reason=wish.reason,
        )
        capped = capped_to_share(state, file.strategy_id, plan, intent)
        if isinstance(capped, Rejected):
            return capped
        opens_anew = not wish.reduce_only and plan.size_units * wish.side <= 0
        bracket = _NO_BRACKET
        if opens_anew and self._positions.can_attach(plan, lane):
            bracket = self._bracket(file, lane, step)
            capped = replace(
                capped,
                stop_loss_price_units=bracket.stop_units,
                take_profit_price_units=bracket.take_units,
            )
        # The reserve is for exits that can't wait: a slower way out must not use it up.
        blocked = self._orders.obstacle(file.account_id, wish.instrument_id, is_urgent=False)
        if blocked is not None:
            return blocked
        verdict = self._judge(file, capped, lane)
        if isinstance(verdict, Rejected):
            return verdict
        if opens_anew:
            plan.begin(file.exits, wish.side, fixed=_NO_BRACKET, attached=bracket)
        elif wish.exits is not None and not file.child_count:
            plan.begin(file.exits, wish.side, fixed=_NO_BRACKET, attached=_NO_BRACKET)
            self._positions.change_exits(plan)
        was_paused = bool(file.reason)
        record = self._orders.place(
            capped,
            size_units=verdict.size_units,
            strategy_id=file.strategy_id,
            account_id=file.account_id,
            cause_event_id=state.moment.event_id,
            work=file.record(lane.instrument),
        )
        state.runs[file.strategy_id].order_count += 1
        file.add_child(record, state.now_ns)
        self._orders.tell(record, wish.reason)
        if was_paused:
            self._tell(file)
        return None

    def _judge(self, file: WorkFile, intent: OrderIntent, lane: Lane) -> Approved | Rejected:
        state = self._state
        return state.gate.check(
            intent,
            strategy_id=file.strategy_id,
            account_id=file.account_id,
            event_id=state.moment.event_id,
            now_ns=state.now_ns,
            book=lane.book,
            instrument=lane.instrument,
            view=state.view,
        )

    def _bracket(self, file: WorkFile, lane: Lane, step: Place) -> Bracket:
        """Return the levels a child carries: around the worst price it may come to.

        None where a level would lie on the wrong side of the child's own price; the position's
        stops are then asked for by a request after its first fill.
        """
        exits, side = file.exits, file.intent.side
        bracket = self._state.planner.bracket(
            side,
            step.worst_units,
            lane.instrument,
            stop_loss_fraction=exits.stop_loss_fraction or None,
            take_profit_fraction=exits.take_profit_fraction or None,
        )
        stop, take = bracket.stop_units, bracket.take_units
        price = step.price_units
        is_inside = (stop is None or (price - stop) * side > 0) and (
            take is None or (take - price) * side > 0
        )
        return bracket if is_inside else _NO_BRACKET

    def _move(self, file: WorkFile, lane: Lane, step: Move) -> Rejected | None:
        record = file.child
        assert record is not None, "a planner moves a child that lives"
        if lane.instrument.capabilities.amend is not AmendKind.IN_PLACE:
            # The next child is sent when this one is proven gone, with what is left then.
            file.is_leaving = True
            self._orders.cancel(record, "to be replaced at another price")
            return None
        refused = self._orders.amend(record, lane, price_units=step.price_units)
        if refused is None:
            was_paused = bool(file.reason)
            file.last_sent_ns = self._state.now_ns
            file.resume()
            if was_paused:
                self._tell(file)
        return refused

    def _refused(self, file: WorkFile, lane: Lane, step: Place | Move, verdict: Rejected) -> None:
        """Wait where a refusal may pass; end where it will not."""
        reason = verdict.reason
        if reason is Reason.NOTIONAL_TOO_SMALL and isinstance(step, Place):
            rest = child_units(file.remaining_units, lane.instrument)
            if step.size_units >= rest and file.filled_units:
                self.stop(file, WorkState.DONE, "the rest is too small for an order")
                return
            is_passing = step.size_units < rest
        else:
            is_passing = reason in PASSING
        if not is_passing:
            self.stop(file, WorkState.FAILED, str(verdict))
            return
        run = self._state.runs[file.strategy_id]
        run.refusals[reason.value] = run.refusals.get(reason.value, 0) + 1
        run.last_refusals[reason.value] = verdict
        if file.pause(self._state.now_ns, reason.value):
            self._tell(file)
        self._wake(file, file.pause_until_ns)

    # over a restart -------------------------------------------------------------------------------

    def records(self) -> tuple[WorkRecord, ...]:
        """Return what a restart must know of the works under way."""
        state = self._state
        return tuple(
            file.record(state.lanes[file.intent.instrument_id].instrument)
            for file in state.works.values()
            if file.intent.instrument_id in state.lanes
        )

    def restore(self, held: WorkRecord) -> WorkFile | None:
        """Take a work of an earlier run up; it does nothing before its account was read.

        None, told, where its strategy or instrument isn't there any more, or means other units.
        """
        state = self._state
        intent = held.intent
        run, lane = state.runs.get(held.strategy_id), state.lanes.get(intent.instrument_id)
        fault = ""
        if run is None or run.context.account_id != held.account_id:
            fault = "its strategy is not configured now"
        elif lane is None:
            fault = "its instrument is not configured now"
        elif (held.price_decimals, held.size_decimals) != (
            lane.instrument.price_decimals,
            lane.instrument.size_decimals,
        ):
            fault = "its instrument's units changed"
        if fault or lane is None:
            state.halt_notice(held.strategy_id, f"work {held.work_id} of an earlier run: {fault}")
            return None
        self._begun = max(self._begun, held.number)
        file = WorkFile(
            held.work_id,
            held.strategy_id,
            held.account_id,
            intent,
            held.exits,
            planner_for(
                intent,
                lane.instrument,
                held.started_ns,
                self._chance(held.strategy_id, held.number),
                worst_units=held.worst_units,
            ),
            held.started_ns,
            number=held.number,
            is_entry=held.is_entry,
        )
        file.restore(held)
        file.is_waiting = True
        self._awaited[held.work_id] = held.child_id
        state.works[file.work_id] = file
        lane.works.append(file)
        lane.settle()
        if held.is_entry:
            self._positions.plan(held.strategy_id, intent.instrument_id).entry_id = held.work_id
        self._tell(file)
        return file

    def on_promise(self, record: Record, held: WorkRecord, *, is_known: bool) -> None:
        """Take the child up that a promise of an earlier run names.

        `is_known` says that the kept state was written after the promise: then a work it doesn't
        hold had ended, and a child it doesn't wait for is counted. Otherwise the promise is the
        later word: its work had settled every child before it.
        """
        file = self._state.works.get(held.work_id)
        if is_known:
            if file is None or self._awaited.get(held.work_id) != record.client_id:
                return
        else:
            if file is None:
                file = self.restore(held)
                if file is None:
                    return
            elif file.child is not None:
                file.child.order.parent_id = None
            file.restore(held)
        self._awaited.pop(held.work_id, None)
        record.order.parent_id = file.work_id
        # The work says what becomes of it.
        record.is_adopted = False
        file.take_child(record, self._state.now_ns)

    def on_sync(self, account_id: AccountId) -> None:
        """Go on with the works of an account that was read now, or end them."""
        state = self._state
        is_kept = state.config.execution.adopted_works == "keep"
        for file in tuple(state.works.values()):
            if not file.is_waiting or file.account_id != account_id:
                continue
            file.is_waiting = False
            fault = self._find_awaited(file)
            bars = state.protections.table.over(
                account_id, file.strategy_id, file.intent.instrument_id, state.now_ns
            )
            if file.state is WorkState.STOPPING:
                self._withdraw(file)
            elif fault:
                self.stop(file, WorkState.FAILED, fault)
            elif not is_kept:
                self.stop(file, WorkState.CANCELLED, "left by an earlier run")
            elif bars is not None and not file.intent.reduce_only:
                # What is in force withdrew opening works when it was entered.
                self.stop(file, WorkState.CANCELLED, f"{bars.kind.value}: {bars.reason}")
            else:
                self._tell(file)
                self._step(file, state.lane(file.intent.instrument_id))

    def _find_awaited(self, file: WorkFile) -> str:
        """Take up a child that no journal named from what the venue shows; say what is missing."""
        child_id = self._awaited.pop(file.work_id, None)
        if child_id is None:
            return ""
        record = self._orders.find(child_id)
        if record is None:
            return f"its order {child_id} is in no journal: what that filled is not known"
        record.order.parent_id = file.work_id
        record.is_adopted = False
        file.take_child(record, self._state.now_ns)
        file.count(record.order)
        return ""

    def _withdraw(self, file: WorkFile) -> None:
        if file.child is None:
            self._end(file)
        else:
            self._tell(file)
            self._orders.cancel(file.child, file.reason)

    def _chance(self, strategy_id: StrategyId, number: int) -> Random:
        return self._state.random_for(StrategyId(f"{strategy_id}:work:{number}"))

    # telling --------------------------------------------------------------------------------------

    def take_news(self) -> list[Work]:
        """Return and forget the works that changed, as they stood then."""
        news, self.news = self.news, []
        return news

    def _tell(self, file: WorkFile) -> None:
        moment = self._state.moment
        work = file.snapshot()
        self._state.outbox.notice(
            WorkNotice(work=work, event_id=moment.event_id, now_ns=moment.now_ns)
        )
        self.news.append(work)


def _without(levels: list[tuple[int, int]], own_units: int) -> int | None:
    """Return the best price of a side, leaving out our own size where nobody else stands."""
    if not levels:
        return None
    price, size = levels[0]
    if size > own_units:
        return price
    return levels[1][0] if len(levels) > 1 else price
