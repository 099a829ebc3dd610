"""Owns one order's file: the order, its requests under way and what the venue last said of it.

Refuses to change an order except through the tables of `life_cycle`.
"""

import msgspec

from tickwright.core.events import Outcome
from tickwright.core.identity import ClientId
from tickwright.core.orders import (
    FINAL_STATES,
    ExecutionKind,
    Fill,
    Order,
    OrderState,
    RequestKind,
    RequestState,
)
from tickwright.execution.life_cycle import (
    Evidence,
    RequestEvent,
    next_order_state,
    next_request_state,
)

__all__ = ["Record", "Request", "Working"]

# Looking a member up in its class is a Python call, and these are asked for every order.
_CREATE, _AMEND = RequestKind.CREATE, RequestKind.AMEND
_INTENDED = OrderState.INTENDED
_EVIDENCE, _NOT_SENT = RequestEvent.EVIDENCE, RequestEvent.NOT_SENT
_ANSWERED = RequestState.ANSWERED
_SENT = RequestState.SENT
_UNKNOWN = RequestState.UNKNOWN


class Request(msgspec.Struct, eq=False):
    """One question of ours about one order: create it, amend it or cancel it."""

    kind: RequestKind
    sent_ns: int
    state: RequestState = _SENT
    outcome: Outcome | None = None
    reason: str = ""
    is_confirmed: bool = False
    """Whether the order itself shows what became of it; an answer alone does not."""
    price_units: int | None = None
    size_units: int | None = None
    """What an amend asked for."""

    @property
    def is_open(self) -> bool:
        """Whether nobody knows yet what became of it."""
        return self.state is not _ANSWERED

    @property
    def is_unknown(self) -> bool:
        """Whether the answer was lost."""
        return self.state is _UNKNOWN

    def move(self, event: RequestEvent) -> bool:
        """Move by the table; return whether the state changed."""
        before = self.state
        self.state = next_request_state(before, event)
        if event is _EVIDENCE or event is _NOT_SENT:
            self.is_confirmed = True
        return self.state is not before


class Working:
    """What is under way in one instrument of one account, in size units, as sums kept ready.

    `buy_units` and `sell_units` leave out reduce-only orders, `reduce_*` are these; unknown
    requests and fills not seen yet count as live.
    """

    __slots__ = (
        "buy_units",
        "open_orders",
        "reduce_buy_units",
        "reduce_sell_units",
        "sell_units",
        "unknown_requests",
    )

    def __init__(self) -> None:
        self.buy_units = 0
        self.sell_units = 0
        self.reduce_buy_units = 0
        self.reduce_sell_units = 0
        self.open_orders = 0
        self.unknown_requests = 0


class Record(msgspec.Struct, eq=False):
    """An order with its requests. `reported_filled_units` is the venue's cumulative figure.

    `query_due_ns` is when the venue is asked about it next (0: it is not), `asked_count` how often
    it was, `absent_count` how often the answer knew no such order although asked late enough.

    `baseline_units` is what an adopted order had filled before we met it: those executions are in
    the position by the venue's report, not by rows of ours.

    A struct is made in a third of the time of a class with so many slots, and every order waits.
    """

    order: Order
    create: Request
    working: Working
    """The sums of its account and instrument, which it is counted in."""
    amend: Request | None = None
    cancel: Request | None = None
    cancel_reason: str = ""
    reported_filled_units: int = 0
    baseline_units: int = 0
    is_adopted: bool = False
    fill_count: int = 0
    """Executions counted; their sizes and the baseline make `order.filled_units`."""
    query_due_ns: int = 0
    asked_count: int = 0
    is_cancel_repeated: bool = False
    """Whether a cancel whose answer was lost was sent again at once already."""
    cancel_due_ns: int = 0
    """No cancel leaves before it."""
    absent_count: int = 0
    absent_asked_ns: int = 0
    counted_buy_units: int = 0
    counted_sell_units: int = 0
    counted_unknown: int = 0
    counted_open: int = 0

    @property
    def client_id(self) -> ClientId:
        """Our name of the order."""
        return self.order.client_id

    @property
    def owed_units(self) -> int:
        """Size the venue says is filled and whose executions did not arrive yet."""
        owed = self.reported_filled_units - self.order.filled_units
        return owed if owed > 0 else 0

    @property
    def live_units(self) -> int:
        """Size that may still change the position: what could fill, and fills not seen yet."""
        return self.standing()[0]

    @property
    def size_units_max(self) -> int:
        """Size the order may have by now: an amend counts as soon as it is asked for."""
        amend = self.amend
        if amend is None or amend.is_confirmed or amend.size_units is None:
            return self.order.size_units
        return max(self.order.size_units, amend.size_units)

    @property
    def unknown_requests(self) -> int:
        """How many requests have lost their answer."""
        count = 1 if self.create.state is _UNKNOWN else 0
        if self.amend is not None and self.amend.state is _UNKNOWN:
            count += 1
        if self.cancel is not None and self.cancel.state is _UNKNOWN:
            count += 1
        return count

    @property
    def is_settled(self) -> bool:
        """Whether nothing can be expected any more: final, every fill here, nothing open."""
        order = self.order
        return (
            order.state in FINAL_STATES
            and self.reported_filled_units <= order.filled_units
            and not self.unknown_requests
        )

    def standing(self) -> tuple[int, int, bool]:
        """Return `live_units`, `unknown_requests` and `is_settled`.

        Everything that happens to an order asks for all three, so they are read at once.
        """
        order, amend, cancel = self.order, self.amend, self.cancel
        unknown = 1 if self.create.state is _UNKNOWN else 0
        if amend is not None and amend.state is _UNKNOWN:
            unknown += 1
        if cancel is not None and cancel.state is _UNKNOWN:
            unknown += 1
        filled = order.filled_units
        owed = self.reported_filled_units - filled
        if owed < 0:
            owed = 0
        if order.state in FINAL_STATES:
            return owed, unknown, not owed and not unknown
        size = order.size_units
        if amend is not None and not amend.is_confirmed and amend.size_units is not None:
            size = max(size, amend.size_units)
        left = size - filled
        return left if left > owed else owed, unknown, False

    @property
    def is_cancelling(self) -> bool:
        """Whether a cancel is under way."""
        return self.cancel is not None and self.cancel.is_open

    @property
    def could_arrive_ns(self) -> int:
        """When the latest request left that could bring the order about; no cancel can."""
        amend = self.amend
        return self.create.sent_ns if amend is None else max(self.create.sent_ns, amend.sent_ns)

    @property
    def last_sent_ns(self) -> int:
        """When the latest of its requests left."""
        return max(
            request.sent_ns
            for request in (self.create, self.amend, self.cancel)
            if request is not None
        )

    def request(self, kind: RequestKind) -> Request | None:
        """Return the last request of a kind."""
        if kind is _CREATE:
            return self.create
        return self.amend if kind is _AMEND else self.cancel

    def move(self, evidence: Evidence, now_ns: int, reason: str = "") -> bool:
        """Move the order by the table; return whether its state changed.

        Raises:
            IllegalMove: the evidence contradicts the state, which is left alone.
        """
        order = self.order
        before = order.state
        then = next_order_state(before, evidence)
        if then is before:
            return False
        order.state = then
        order.updated_ns = now_ns
        if reason:
            order.reason = reason
        if then in FINAL_STATES:
            # A final order answers every question about it.
            for request in (self.create, self.amend, self.cancel):
                if request is not None:
                    request.move(_EVIDENCE)
        elif then is not _INTENDED and self.create.is_open:
            self.create.move(_EVIDENCE)
        return True

    def count_fill(self, fill: Fill) -> None:
        """Add one execution, seen for the first time, to the order's sums."""
        assert fill.kind is not ExecutionKind.FUNDING, "funding is no fill"
        order = self.order
        order.filled_units += fill.size_units
        order.filled_notional += fill.size_units * fill.price_units
        self.fill_count += 1
