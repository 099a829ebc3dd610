"""Owns one work's file: its planner, its children, what they filled; refuses to send.

Fills are counted by child from the child's own record, so that a fill that trails the end of its
child is counted too, once.
"""

from tickwright.core.exits import Exits
from tickwright.core.identity import AccountId, ClientId, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Order, OrderState, TimeInForce
from tickwright.core.work import Work, WorkIntent, WorkRecord, WorkState
from tickwright.execution.algorithms.planners import WorkPlanner, worst_of
from tickwright.execution.algorithms.steps import ChildView
from tickwright.execution.records import Record

__all__ = ["CHILDREN_MAX", "REJECTS_MAX", "WorkFile"]

CHILDREN_MAX = 2_000
"""Children of one work; it fails there."""
REJECTS_MAX = 3
"""Children in a row that the venue refused; what it says thrice it means."""
PAUSE_NS_MIN = 100_000_000
PAUSE_NS_MAX = 5_000_000_000
"""After a refusal that may pass; doubles from the least to the most."""
_MOVABLE = (OrderState.WORKING, OrderState.PARTLY_FILLED)


class WorkFile:
    """One work under way. `child` is the order that lives or is not settled yet."""

    __slots__ = (
        "_counted",
        "_refusals",
        "account_id",
        "child",
        "children",
        "earlier_count",
        "end_state",
        "exits",
        "filled_notional",
        "filled_units",
        "intent",
        "is_entry",
        "is_last_empty",
        "is_leaving",
        "is_waiting",
        "last_sent_ns",
        "number",
        "pause_until_ns",
        "planner",
        "reason",
        "rejects",
        "started_ns",
        "state",
        "strategy_id",
        "wakes",
        "was_working",
        "work_id",
    )

    def __init__(
        self,
        work_id: ClientId,
        strategy_id: StrategyId,
        account_id: AccountId,
        intent: WorkIntent,
        exits: Exits,
        planner: WorkPlanner,
        started_ns: int,
        *,
        number: int,
        is_entry: bool,
    ) -> None:
        self.work_id = work_id
        self.strategy_id = strategy_id
        self.account_id = account_id
        self.intent = intent
        self.exits = exits
        self.planner = planner
        self.started_ns = started_ns
        self.number = number
        self.is_entry = is_entry
        self.is_waiting = False
        """Whether an earlier run left it, and its account wasn't read yet: it does nothing."""
        self.state = WorkState.WORKING
        self.end_state = WorkState.FAILED
        self.reason = ""
        self.children: list[ClientId] = []
        self.earlier_count = 0
        """Children of earlier runs, the one that may live still left out."""
        self.child: Record | None = None
        self.was_working = False
        """Whether the child was ever seen resting."""
        self.is_leaving = False
        """Whether the child is being withdrawn, to be replaced."""
        self.filled_units = 0
        self.filled_notional = 0
        self.is_last_empty = False
        self.last_sent_ns = 0
        self.pause_until_ns = 0
        self.wakes: list[int] = []
        """When a look is due, the earliest last; bounded, for only earlier ones are added."""
        self.rejects = 0
        self._refusals = 0
        self._counted: dict[ClientId, tuple[int, int]] = {}

    @property
    def remaining_units(self) -> int:
        """Size no child has filled; exact while none lives."""
        return max(0, self.intent.size_units - self.filled_units)

    def view_of_child(self) -> ChildView | None:
        """Return the child as its planner sees it."""
        record = self.child
        if record is None:
            return None
        order, amend = record.order, record.amend
        is_movable = (
            order.state in _MOVABLE
            and not record.create.is_open
            and not record.is_cancelling
            and not self.is_leaving
            and (amend is None or amend.is_confirmed)
        )
        return ChildView(order.price_units or 0, order.remaining_units, is_movable)

    def count(self, order: Order) -> None:
        """Take over what a child has filled by now."""
        units, notional = self._counted.get(order.client_id, (0, 0))
        self.filled_units += order.filled_units - units
        self.filled_notional += order.filled_notional - notional
        self._counted[order.client_id] = (order.filled_units, order.filled_notional)

    def add_child(self, record: Record, now_ns: int) -> None:
        """Take a child that was just sent."""
        assert self.child is None, "a work has one child at a time"
        self.child = record
        self.children.append(record.client_id)
        self.was_working = False
        self.is_leaving = False
        self.last_sent_ns = now_ns
        self.resume()

    @property
    def child_count(self) -> int:
        """Children so far, of all runs."""
        return self.earlier_count + len(self.children)

    def take_child(self, record: Record, now_ns: int) -> None:
        """Take the child that an earlier run sent, or was about to send.

        It is taken for one that rested: who withdrew it meanwhile wanted it gone.
        """
        self.child = record
        self.was_working = True
        self.children = [record.client_id]
        self.last_sent_ns = now_ns

    def restore(self, held: WorkRecord) -> None:
        """Go on from what settled children had filled; raises nothing, judges nothing."""
        self.filled_units = held.filled_units
        self.filled_notional = held.filled_notional
        self.earlier_count = held.child_count
        self.children = []
        self.child = None
        self._counted.clear()
        if held.stops_as is not None:
            self.state, self.end_state = WorkState.STOPPING, held.stops_as
        self.reason = held.reason

    def record(self, instrument: Instrument) -> WorkRecord:
        """Return what a restart must know, as of now."""
        child = self.child
        units, notional = (0, 0) if child is None else self._counted.get(child.client_id, (0, 0))
        is_stopping = self.state is WorkState.STOPPING
        return WorkRecord(
            work_id=self.work_id,
            strategy_id=self.strategy_id,
            account_id=self.account_id,
            intent=self.intent,
            exits=self.exits,
            number=self.number,
            started_ns=self.started_ns,
            price_decimals=instrument.price_decimals,
            size_decimals=instrument.size_decimals,
            filled_units=self.filled_units - units,
            filled_notional=self.filled_notional - notional,
            child_count=self.child_count - (child is not None),
            child_id=None if child is None else child.client_id,
            worst_units=worst_of(self.planner),
            is_entry=self.is_entry,
            stops_as=self.end_state if is_stopping else None,
            reason=self.reason if is_stopping else "",
        )

    def note(self, record: Record) -> str:
        """Follow a child; return why the work can't go on, or ""."""
        order = record.order
        self.count(order)
        if record is not self.child:
            return ""
        if order.state in _MOVABLE:
            self.was_working = True
        if not record.is_settled:
            return ""
        self.child = None
        self.is_last_empty = not order.filled_units
        if order.state is OrderState.REJECTED:
            self.rejects += 1
            return order.reason if self.rejects >= REJECTS_MAX else ""
        self.rejects = 0
        if self._was_taken_away(record):
            return f"its order was cancelled from outside: {order.reason}".rstrip(": ")
        return ""

    def _was_taken_away(self, record: Record) -> bool:
        """Whether somebody else withdrew a child that rested: it isn't put back against them."""
        order = record.order
        is_ended_early = order.state in (OrderState.CANCELLED, OrderState.EXPIRED)
        return (
            is_ended_early
            and order.intent.time_in_force is not TimeInForce.IOC
            and record.cancel is None
            # A post-only order that would take is cancelled by the venue: new, or just moved.
            and not (order.intent.post_only and (not self.was_working or record.amend is not None))
        )

    def pause(self, now_ns: int, reason: str) -> bool:
        """Wait after a refusal; return whether the reason is news."""
        is_news = self.reason != reason
        self.reason = reason
        self.pause_until_ns = now_ns + min(PAUSE_NS_MIN << min(self._refusals, 16), PAUSE_NS_MAX)
        self._refusals += 1
        return is_news

    def resume(self) -> None:
        """Forget a pause: something was sent."""
        self.reason = ""
        self._refusals = 0
        self.pause_until_ns = 0

    def snapshot(self) -> Work:
        """Return the work as it stands."""
        return Work(
            work_id=self.work_id,
            strategy_id=self.strategy_id,
            account_id=self.account_id,
            intent=self.intent,
            state=self.state,
            filled_units=self.filled_units,
            filled_notional=self.filled_notional,
            children=tuple(self.children),
            started_ns=self.started_ns,
            reason=self.reason,
        )
