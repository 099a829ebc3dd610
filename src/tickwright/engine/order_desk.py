"""Owns sending: creates, cancels and queries within the request budget, and their time-outs.

Refuses to send a create twice: what became of it is asked until the venue's evidence says so.
Cancels are safe to repeat and are, until the order is gone.
"""

from collections.abc import Callable

from tickwright.core.commands import AmendOrder, CancelAll, CancelOrder, OrderNotice, QueryOrder
from tickwright.core.events import Outcome
from tickwright.core.exits import PlannedExits
from tickwright.core.identity import AccountId, Category, ClientId, InstrumentId, StrategyId
from tickwright.core.orders import (
    FINAL_STATES,
    Order,
    OrderIntent,
    OrderState,
    Purpose,
    RequestKind,
)
from tickwright.core.verdicts import Check, Reason, Rejected
from tickwright.core.work import WorkRecord
from tickwright.engine.amends import amend_fault, judge_amend
from tickwright.engine.deadlines import Deadline
from tickwright.engine.lanes import Lane
from tickwright.engine.state import TradingState
from tickwright.execution.blotter import LIVE_ORDERS_MAX, Change
from tickwright.execution.records import Record, Request, Working
from tickwright.portfolio.account import Holding

__all__ = ["OrderDesk"]

_MS = 1_000_000
CANCEL_PAUSE_NS = 1_000 * _MS
"""Between two cancels of an order whose answers say nothing."""
QUERY_PAUSE_NS_MAX = 30_000_000_000
"""Longest pause between two queries about one order."""
ABSENT_ANSWERS = 2
"""Late, empty answers that prove an order does not exist."""
_ANSWER_DEADLINE = {
    RequestKind.CREATE: Deadline.CREATE_ANSWER,
    RequestKind.AMEND: Deadline.AMEND_ANSWER,
    RequestKind.CANCEL: Deadline.CANCEL_ANSWER,
}

_CREATE = {category: f"create.{category.value}" for category in Category}
_AMEND = {category: f"amend.{category.value}" for category in Category}
_CANCEL = {category: f"cancel.{category.value}" for category in Category}
_QUERY = {category: f"query.{category.value}" for category in Category}
"""Names of the request groups, by product line."""
# Looking a member up in its class is a Python call, and these are asked for every order.
_OPEN = Purpose.OPEN
_UNSHOWN = frozenset({OrderState.ACCEPTED, OrderState.INTENDED})
_CREATE_ANSWER, _AMEND_ANSWER = Deadline.CREATE_ANSWER, Deadline.AMEND_ANSWER


class OrderDesk:
    """Sends for everybody else; nobody else sends."""

    def __init__(self, state: TradingState) -> None:
        self._state = state
        execution = state.config.execution
        self._answer_ns = execution.answer_timeout_ms * _MS
        self._query_ns = execution.query_ms * _MS
        self._evidence_ns = execution.evidence_delay_ns
        self._waiting_cancels: dict[ClientId, str] = {}
        """Cancels the budget held back, oldest first; bounded by the live orders."""
        self._cancels_due_ns = 0
        """When they are tried again; one reminder serves them all."""
        self._holdings: dict[Working, Holding] = {}
        """What each sum of the blotter is told to; a holding stays as long as the portfolio."""
        self.on_withdraw: Callable[..., int] | None = None
        """Stops works before orders are withdrawn, or they would send others."""
        self.placed_count = 0
        self.amend_count = 0
        self.cancel_count = 0
        self.query_count = 0

    # creates --------------------------------------------------------------------------------------

    def obstacle(
        self, account_id: AccountId, instrument_id: InstrumentId, *, is_urgent: bool
    ) -> Rejected | None:
        """Say what keeps a create from leaving now, or None; counts nothing."""
        state = self._state
        blotter = state.blotter
        if not is_urgent and blotter.live_count >= LIVE_ORDERS_MAX:
            check = Check(Reason.OPEN_ORDERS_LIMIT, f"{blotter.live_count}", f"{LIVE_ORDERS_MAX}")
            return Rejected(check)
        now_ns = state.moment.now_ns
        group = _CREATE[instrument_id.category]
        due_ns = state.budget.next_ns(account_id, group, now_ns, is_urgent=is_urgent)
        if due_ns <= now_ns:
            return None
        wait_ms = (due_ns - now_ns) / 1e6
        check = Check(
            Reason.RATE_LIMIT, f"no {group} request left", f"one, free in {wait_ms:.0f} ms"
        )
        return Rejected(check)

    def place(
        self,
        intent: OrderIntent,
        *,
        size_units: int,
        strategy_id: StrategyId,
        account_id: AccountId,
        cause_event_id: int,
        work: WorkRecord | None = None,
    ) -> Record:
        """Send an approved order; `obstacle` was asked before. A child names its `work`."""
        state = self._state
        moment = state.moment
        now_ns = moment.now_ns
        instrument_id = intent.instrument_id
        is_opening = intent.purpose is _OPEN
        group = _CREATE[instrument_id.category]
        taken = state.budget.take(account_id, group, now_ns, is_urgent=not is_opening)
        assert taken, "a create is sent only when the budget has room"
        client_id = state.client_ids.next(strategy_id)
        order = Order(
            client_id=client_id,
            strategy_id=strategy_id,
            account_id=account_id,
            intent=intent,
            instrument_id=instrument_id,
            price_units=intent.price_units,
            size_units=size_units,
            cause_event_id=cause_event_id,
            created_ns=now_ns,
            parent_id=None if work is None else work.work_id,
        )
        record = state.blotter.open(order, now_ns)
        planned = self._planned(strategy_id, instrument_id) if is_opening else None
        state.outbox.command(
            state.planner.command(order, moment.event_id, planned=planned, work=work)
        )
        state.deadlines.add(now_ns + self._answer_ns, _CREATE_ANSWER, client_id)
        self.placed_count += 1
        if is_opening:
            state.protections.on_order(account_id, strategy_id, now_ns)
        lane = state.lanes[instrument_id]
        if not lane.has_venue_mark and not lane.marks_from_mid:
            self._mark_from_mid(lane)
        self.publish(record)
        return record

    def _planned(self, strategy_id: StrategyId, instrument_id: InstrumentId) -> PlannedExits | None:
        """Return how what is opened now is to be left, where that isn't only configured."""
        state = self._state
        plan = state.plans.get((strategy_id, instrument_id))
        if plan is None:
            return None
        fixed = plan.fixed_bracket
        is_exact = fixed.stop_units is not None or fixed.take_units is not None
        if not is_exact and plan.exits is state.exits_of(strategy_id):
            return None
        return PlannedExits(
            exits=plan.exits, stop_units=fixed.stop_units, take_units=fixed.take_units
        )

    def ensure_mark(self, lane: Lane) -> None:
        """Value what is held or asked for there by the mid until the venue names a mark."""
        if not lane.has_venue_mark and not lane.marks_from_mid:
            self._mark_from_mid(lane)

    def _mark_from_mid(self, lane: Lane) -> None:
        # Exposure needs a price from the first order on; without a venue's mark the mid is it.
        state = self._state
        lane.marks_from_mid = True
        lane.settle()
        twice = lane.book.mid_twice_units
        if twice is not None:
            state.portfolio.set_mark(
                lane.instrument_id, twice // 2, now_ns=state.moment.now_ns, mid_twice_units=twice
            )

    # amends ---------------------------------------------------------------------------------------

    def amend(
        self,
        record: Record,
        lane: Lane,
        *,
        price_units: int | None = None,
        size_units: int | None = None,
    ) -> Rejected | None:
        """Ask for another price or whole size of a working order, or return what forbids it.

        One amend at a time, none beside a cancel; the gate judges the order as it would be.
        """
        state = self._state
        order, now_ns = record.order, state.moment.now_ns
        is_cancelling = record.is_cancelling or order.client_id in self._waiting_cancels
        fault = amend_fault(record, lane, price_units, size_units, is_cancelling=is_cancelling)
        if fault is not None:
            return fault
        group = _AMEND[order.instrument_id.category]
        due_ns = state.budget.next_ns(order.account_id, group, now_ns, is_urgent=False)
        if due_ns > now_ns:
            bound = f"one, free in {(due_ns - now_ns) / 1e6:.0f} ms"
            return Rejected(Check(Reason.RATE_LIMIT, f"no {group} request left", bound))
        verdict = judge_amend(state, record, lane, price_units, size_units)
        if type(verdict) is Rejected:
            self.publish(record)
            return verdict
        started = state.blotter.start_amend(
            record, now_ns, price_units=price_units, size_units=size_units
        )
        taken = state.budget.take(order.account_id, group, now_ns, is_urgent=False)
        assert started and taken, "an amend was looked at before it is sent"
        self.publish(record)
        state.gate.note_amend(order.account_id, now_ns)
        state.outbox.command(
            AmendOrder(
                account_id=order.account_id,
                client_id=order.client_id,
                venue_id=order.venue_id,
                instrument_id=order.instrument_id,
                price_units=price_units,
                size_units=size_units,
                event_id=state.moment.event_id,
            )
        )
        state.deadlines.add(now_ns + self._answer_ns, _AMEND_ANSWER, order.client_id)
        self.amend_count += 1
        return None

    # cancels --------------------------------------------------------------------------------------

    def cancel(self, record: Record, reason: str) -> None:
        """Withdraw an order now, or as soon as the budget lets a cancel pass."""
        order = record.order
        if order.is_final or record.is_cancelling:
            return
        state = self._state
        now_ns = state.now_ns
        asked = record.cancel
        if (
            asked is not None
            and asked.outcome is Outcome.ACCEPTED
            and not asked.is_confirmed
            and now_ns < asked.sent_ns + self._answer_ns
        ):
            # Accepted, and its end is on the way: once more would say nothing new.
            return
        if now_ns < record.cancel_due_ns:
            # The last answer said nothing, and the next one would say it again.
            self._waiting_cancels[order.client_id] = reason
            return
        group = _CANCEL[order.instrument_id.category]
        if not state.budget.take(order.account_id, group, now_ns, is_urgent=True):
            due_ns = state.budget.next_ns(order.account_id, group, now_ns, is_urgent=True)
            self._waiting_cancels[order.client_id] = reason
            self._try_cancels_at(due_ns)
            return
        self._waiting_cancels.pop(order.client_id, None)
        state.blotter.start_cancel(record, now_ns, reason)
        state.gate.note_cancel(order.account_id, now_ns)
        state.outbox.command(
            CancelOrder(
                account_id=order.account_id,
                client_id=order.client_id,
                venue_id=order.venue_id,
                instrument_id=order.instrument_id,
                event_id=state.moment.event_id,
            )
        )
        state.deadlines.add(now_ns + self._answer_ns, Deadline.CANCEL_ANSWER, order.client_id)
        self.cancel_count += 1

    def on_entry_timeout(self, client_id: str) -> None:
        """Withdraw a resting entry that waited for long enough."""
        record = self.find(ClientId(client_id))
        if record is not None:
            self.cancel(record, "entry timeout")

    def cancel_where(
        self,
        reason: str,
        *,
        account_id: AccountId | None = None,
        strategy_id: StrategyId | None = None,
        instrument_id: InstrumentId | None = None,
        only_opening: bool = True,
        stops_works: bool = True,
    ) -> int:
        """Withdraw live orders of an account, strategy, instrument, or all; return how many.

        Works stop with them, or they would send others; where they may go on later, they pause.
        """
        count = 0
        if stops_works and self.on_withdraw is not None and self._state.works:
            count = self.on_withdraw(
                reason,
                account_id=account_id,
                strategy_id=strategy_id,
                instrument_id=instrument_id,
                only_opening=only_opening,
            )
        for record in self._state.blotter.live():
            order = record.order
            if (
                order.is_final
                or (account_id is not None and order.account_id != account_id)
                or (strategy_id is not None and order.strategy_id != strategy_id)
                or (instrument_id is not None and order.instrument_id != instrument_id)
                or (only_opening and order.intent.purpose is not Purpose.OPEN)
            ):
                continue
            self.cancel(record, reason)
            count += 1
        return count

    def withdraw_works(
        self, reason: str, *, strategy_id: StrategyId, instrument_id: InstrumentId
    ) -> None:
        """Stop all works of a strategy in an instrument, those that close too."""
        if self.on_withdraw is not None and self._state.works:
            self.on_withdraw(
                reason, strategy_id=strategy_id, instrument_id=instrument_id, only_opening=False
            )

    def cancel_account(self, account_id: AccountId, reason: str) -> None:
        """Withdraw everything of ours on an account, by one request where that is right.

        One cancel-all is faster than many cancels, but also hits foreign orders: it is used when
        more orders are live than the cancel budget lets pass at once and none of them is foreign.
        """
        state = self._state
        if self.on_withdraw is not None and state.works:
            self.on_withdraw(reason, account_id=account_id, only_opening=False)
        live = [
            record
            for record in state.blotter.live()
            if record.order.account_id == account_id and not record.order.is_final
        ]
        has_foreign = any(key[0] == account_id for key in state.blotter.foreign)
        if len(live) > state.config.execution.budget.limit and not has_foreign:
            state.outbox.command(
                CancelAll(
                    account_id=account_id,
                    instrument_id=None,
                    event_id=state.moment.event_id,
                )
            )
            for record in live:
                self._ask_again(record, self._query_ns)
            return
        for record in live:
            self.cancel(record, reason)

    def hold_cancel(self, record: Record) -> None:
        """Keep a cancel that could not be sent for the next `Deadline.CANCELS`."""
        self._waiting_cancels[record.client_id] = record.cancel_reason

    def _try_cancels_at(self, due_ns: int) -> None:
        # One reminder each would, tried again, ask for as many more: with forty orders waiting
        # there are soon hundreds of thousands.
        if not self._cancels_due_ns or due_ns < self._cancels_due_ns:
            self._cancels_due_ns = due_ns
            self._state.deadlines.add(due_ns, Deadline.CANCELS)

    def cancel_waiting(self) -> None:
        """Send the cancels that waited for the budget, oldest first."""
        self._cancels_due_ns = 0
        waiting, self._waiting_cancels = self._waiting_cancels, {}
        for client_id, reason in waiting.items():
            record = self.find(client_id)
            if record is not None:
                self.cancel(record, reason)

    # answers that do not come ---------------------------------------------------------------------

    def on_answer_due(self, record: Record, request: Request) -> Change | None:
        """Take a request that nobody answered in time for unknown; a cancel is sent again."""
        state, kind = self._state, request.kind
        due_ns = request.sent_ns + self._answer_ns
        if state.now_ns < due_ns:
            # Sent later than it was planned, or sent again meanwhile.
            state.deadlines.add(due_ns, _ANSWER_DEADLINE[kind], record.client_id)
            return None
        change = state.blotter.lose(record, kind, "no answer")
        self.chase(record)
        return change

    def chase(self, record: Record) -> None:
        """Ask about an order whose state nobody knows, now and until evidence comes.

        A cancel whose answer is lost is sent again, since it does no harm twice; but at once only
        the first time: an answer that says nothing may come back at once, again and again.
        """
        if not record.query_due_ns:
            self.query(record)
        cancel = record.cancel
        if cancel is None or not cancel.is_unknown or record.order.is_final:
            return
        reason = record.cancel_reason
        record.cancel = None
        state = self._state
        state.blotter.refresh(record)
        if record.is_cancel_repeated:
            record.cancel_due_ns = state.now_ns + CANCEL_PAUSE_NS
            state.deadlines.add(record.cancel_due_ns, Deadline.CANCELS)
        record.is_cancel_repeated = True
        self.cancel(record, reason)

    def query(self, record: Record) -> None:
        """Ask the venue what it knows of an order, within the budget, and again later."""
        state = self._state
        order = record.order
        now_ns = state.now_ns
        group = _QUERY[order.instrument_id.category]
        if state.budget.take(order.account_id, group, now_ns, is_urgent=False):
            record.asked_count += 1
            self.query_count += 1
            state.outbox.command(
                QueryOrder(
                    account_id=order.account_id,
                    client_id=order.client_id,
                    instrument_id=order.instrument_id,
                    event_id=state.moment.event_id,
                )
            )
        pause_ns = min(self._query_ns << min(record.asked_count, 16), QUERY_PAUSE_NS_MAX)
        # The second question is timed to count as evidence, whatever the pause says.
        evidence_ns = record.could_arrive_ns + self._evidence_ns - now_ns
        if 0 < evidence_ns < QUERY_PAUSE_NS_MAX:
            pause_ns = evidence_ns
        elif record.absent_count:
            pause_ns = self._query_ns
        self._ask_again(record, pause_ns)

    def ask_later(self, record: Record) -> None:
        """Make sure that an order which should have been shown by now is asked about."""
        if not record.query_due_ns:
            self._ask_again(record, 2 * self._query_ns)

    def _ask_again(self, record: Record, pause_ns: int) -> None:
        record.query_due_ns = self._state.now_ns + pause_ns
        self._state.deadlines.add(record.query_due_ns, Deadline.QUERY, record.client_id)

    def on_query_due(self, client_id: str) -> None:
        """Ask again about an order unless it was resolved meanwhile."""
        record = self.find(ClientId(client_id))
        if record is None or not record.query_due_ns:
            return
        if self._state.now_ns < record.query_due_ns:
            return
        record.query_due_ns = 0
        if self.needs_evidence(record):
            self.query(record)

    @staticmethod
    def needs_evidence(record: Record) -> bool:
        """Whether only the venue can say how an order stands."""
        order = record.order
        if record.unknown_requests or record.reported_filled_units > order.filled_units:
            return True
        if order.state in FINAL_STATES:
            return False
        cancel = record.cancel
        # Acknowledged is not resting, and a cancel that was answered is not a cancelled order.
        is_cancel_answered = cancel is not None and not cancel.is_confirmed
        amend = record.amend
        is_amend_answered = amend is not None and not amend.is_confirmed
        return order.state in _UNSHOWN or is_cancel_answered or is_amend_answered

    def is_absence_proven(self, record: Record, asked_ns: int) -> bool:
        """Count an answer that knew no such order; say whether it was the one that proves it."""
        if asked_ns < record.could_arrive_ns + self._evidence_ns:
            return False
        if asked_ns <= record.absent_asked_ns:
            return False
        record.absent_asked_ns = asked_ns
        record.absent_count += 1
        return record.absent_count >= ABSENT_ANSWERS

    # telling --------------------------------------------------------------------------------------

    def find(self, client_id: ClientId) -> Record | None:
        """Return the record of one of our client ids."""
        return self._state.blotter.find_ours(client_id)

    def publish(self, record: Record) -> None:
        """Tell the portfolio what works beside an order, so that the gate counts it."""
        working = record.working
        holding = self._holdings.get(working)
        if holding is None:
            order = record.order
            holding = self._state.portfolio.holding(order.account_id, order.instrument_id)
            self._holdings[working] = holding
        if (
            holding.working_buy_units != working.buy_units
            or holding.working_sell_units != working.sell_units
            or holding.open_orders != working.open_orders
            or holding.unknown_requests != working.unknown_requests
        ):
            holding.take_working(
                working.buy_units,
                working.sell_units,
                working.open_orders,
                working.unknown_requests,
            )

    def tell(self, record: Record, reason: str = "") -> None:
        """Give notice of an order as it stands now."""
        order = record.order
        moment = self._state.moment
        self._state.outbox.notice(
            OrderNotice(
                client_id=order.client_id,
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                state=order.state,
                filled_units=order.filled_units,
                reason=reason or order.reason,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
            )
        )

    def tell_refused(
        self, strategy_id: StrategyId, instrument_id: InstrumentId, reason: str
    ) -> None:
        """Give notice of a wish that became no order."""
        moment = self._state.moment
        self._state.outbox.notice(
            OrderNotice(
                client_id=None,
                strategy_id=strategy_id,
                instrument_id=instrument_id,
                state=OrderState.REJECTED,
                filled_units=0,
                reason=reason,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
            )
        )
