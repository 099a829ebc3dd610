"""Owns how an order and its requests move: two explicit tables; refuses every move not in them.

An order's state is what evidence says of it at the venue. A request (create, amend, cancel) is a
question of ours under way. They are two things: a lost answer makes a request unknown and tells
nothing about the order, and an acknowledgement is an answer, not a resting order.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType

from tickwright.core.orders import OrderState, RequestState

__all__ = [
    "EVIDENCE_OF_REPORT",
    "ORDER_MOVES",
    "REQUEST_MOVES",
    "Evidence",
    "IllegalMove",
    "RequestEvent",
    "next_order_state",
    "next_request_state",
]


class IllegalMove(AssertionError):
    """Evidence contradicts what was proven before; the state is left alone."""


class Evidence(enum.Enum):
    """What we learn about an order; `SEEN_*` is the venue's order stream or a query."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    NOT_SENT = "not_sent"
    """Proof that the create never left us."""
    ACKNOWLEDGED = "acknowledged"
    """The venue took the create, or says that it has this id already."""
    REFUSED = "refused"
    """The venue's answer refused the create."""
    ABSENT = "absent"
    """Asked late enough, twice, the venue knows no such order."""
    SEEN_ACCEPTED = "seen_accepted"
    SEEN_WORKING = "seen_working"
    SEEN_PARTLY_FILLED = "seen_partly_filled"
    SEEN_TRIGGERED = "seen_triggered"
    SEEN_FILLED = "seen_filled"
    SEEN_CANCELLED = "seen_cancelled"
    SEEN_REJECTED = "seen_rejected"
    SEEN_EXPIRED = "seen_expired"
    FILLED_PART = "filled_part"
    """A fill by execution id, and size is left."""
    FILLED_WHOLE = "filled_whole"
    """A fill by execution id, and nothing is left."""


S = OrderState
E = Evidence

_FIRST_SIGHT: dict[Evidence, OrderState] = {
    E.SEEN_WORKING: S.WORKING,
    E.SEEN_PARTLY_FILLED: S.PARTLY_FILLED,
    E.SEEN_TRIGGERED: S.TRIGGERED,
    E.SEEN_FILLED: S.FILLED,
    E.SEEN_CANCELLED: S.CANCELLED,
    E.SEEN_REJECTED: S.REJECTED,
    E.SEEN_EXPIRED: S.EXPIRED,
    E.FILLED_PART: S.PARTLY_FILLED,
    E.FILLED_WHOLE: S.FILLED,
}
"""Whatever the venue shows first counts: fills and finals may come before the acknowledgement."""

_ROWS: dict[OrderState, dict[Evidence, OrderState]] = {
    S.INTENDED: {
        E.NOT_SENT: S.REJECTED,
        E.REFUSED: S.REJECTED,
        E.ABSENT: S.REJECTED,
        E.ACKNOWLEDGED: S.ACCEPTED,
        E.SEEN_ACCEPTED: S.ACCEPTED,
        **_FIRST_SIGHT,
    },
    S.ACCEPTED: {
        E.ABSENT: S.REJECTED,
        E.ACKNOWLEDGED: S.ACCEPTED,
        E.SEEN_ACCEPTED: S.ACCEPTED,
        **_FIRST_SIGHT,
    },
    S.WORKING: {
        E.ABSENT: S.CANCELLED,
        E.ACKNOWLEDGED: S.WORKING,
        E.SEEN_ACCEPTED: S.WORKING,
        **_FIRST_SIGHT,
    },
    S.TRIGGERED: {
        E.ABSENT: S.CANCELLED,
        E.ACKNOWLEDGED: S.TRIGGERED,
        E.SEEN_ACCEPTED: S.TRIGGERED,
        **_FIRST_SIGHT,
    },
    S.PARTLY_FILLED: {
        E.ABSENT: S.CANCELLED,
        E.ACKNOWLEDGED: S.PARTLY_FILLED,
        E.SEEN_ACCEPTED: S.PARTLY_FILLED,
        # An amended order is shown as working again; its fills stay.
        E.SEEN_WORKING: S.PARTLY_FILLED,
        E.SEEN_PARTLY_FILLED: S.PARTLY_FILLED,
        E.SEEN_FILLED: S.FILLED,
        E.SEEN_CANCELLED: S.CANCELLED,
        E.SEEN_EXPIRED: S.EXPIRED,
        E.FILLED_PART: S.PARTLY_FILLED,
        E.FILLED_WHOLE: S.FILLED,
    },
    S.FILLED: {
        E.ACKNOWLEDGED: S.FILLED,
        E.SEEN_FILLED: S.FILLED,
        # The loser of a race between cancel and fill: full is full.
        E.SEEN_CANCELLED: S.FILLED,
        # Executions may trail the report that said filled.
        E.FILLED_PART: S.FILLED,
        E.FILLED_WHOLE: S.FILLED,
    },
    S.CANCELLED: {
        E.ACKNOWLEDGED: S.CANCELLED,
        E.SEEN_CANCELLED: S.CANCELLED,
        E.SEEN_FILLED: S.FILLED,
        E.FILLED_PART: S.CANCELLED,
        E.FILLED_WHOLE: S.FILLED,
    },
    S.EXPIRED: {
        E.ACKNOWLEDGED: S.EXPIRED,
        E.SEEN_EXPIRED: S.EXPIRED,
        # One stream says expired where another says cancelled.
        E.SEEN_CANCELLED: S.EXPIRED,
        E.SEEN_FILLED: S.FILLED,
        E.FILLED_PART: S.EXPIRED,
        E.FILLED_WHOLE: S.FILLED,
    },
    S.REJECTED: {
        E.ACKNOWLEDGED: S.REJECTED,
        # "Rejected" may be our conclusion from an answer or from two empty queries. Seeing the
        # order or its fills beats a conclusion: money moved, whatever we believed.
        **_FIRST_SIGHT,
    },
}

ORDER_MOVES: Mapping[tuple[OrderState, Evidence], OrderState] = MappingProxyType(
    {(state, evidence): then for state, row in _ROWS.items() for evidence, then in row.items()}
)
"""The order's table; a pair that is missing is an illegal move."""

EVIDENCE_OF_REPORT: Mapping[OrderState, Evidence] = MappingProxyType(
    {
        S.ACCEPTED: E.SEEN_ACCEPTED,
        S.WORKING: E.SEEN_WORKING,
        S.PARTLY_FILLED: E.SEEN_PARTLY_FILLED,
        S.TRIGGERED: E.SEEN_TRIGGERED,
        S.FILLED: E.SEEN_FILLED,
        S.CANCELLED: E.SEEN_CANCELLED,
        S.REJECTED: E.SEEN_REJECTED,
        S.EXPIRED: E.SEEN_EXPIRED,
    }
)
"""What a report's state proves; `INTENDED` is ours alone and never reported."""


class RequestEvent(enum.Enum):
    """What happens to a request under way."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    ANSWER = "answer"
    LOST = "lost"
    """Time-out, ambiguous answer, socket gone: nobody knows."""
    EVIDENCE = "evidence"
    """The order's own state shows what became of the request."""
    NOT_SENT = "not_sent"


R = RequestState

REQUEST_MOVES: Mapping[tuple[RequestState, RequestEvent], RequestState] = MappingProxyType(
    {
        (R.SENT, RequestEvent.ANSWER): R.ANSWERED,
        (R.SENT, RequestEvent.LOST): R.UNKNOWN,
        (R.SENT, RequestEvent.EVIDENCE): R.ANSWERED,
        (R.SENT, RequestEvent.NOT_SENT): R.ANSWERED,
        (R.UNKNOWN, RequestEvent.ANSWER): R.ANSWERED,
        (R.UNKNOWN, RequestEvent.LOST): R.UNKNOWN,
        (R.UNKNOWN, RequestEvent.EVIDENCE): R.ANSWERED,
        (R.UNKNOWN, RequestEvent.NOT_SENT): R.ANSWERED,
        (R.ANSWERED, RequestEvent.ANSWER): R.ANSWERED,
        (R.ANSWERED, RequestEvent.EVIDENCE): R.ANSWERED,
        # What was answered can't get lost any more.
        (R.ANSWERED, RequestEvent.LOST): R.ANSWERED,
    }
)
"""The request's table; a pair that is missing is an illegal move."""


def next_order_state(state: OrderState, evidence: Evidence) -> OrderState:
    """Return where `evidence` takes an order.

    Raises:
        IllegalMove: the evidence contradicts the state.
    """
    try:
        return _ROWS[state][evidence]
    except KeyError:
        words = f"an order that is {state.value} can't be {evidence.value}"
        raise IllegalMove(words) from None


def next_request_state(state: RequestState, event: RequestEvent) -> RequestState:
    """Return where `event` takes a request.

    Raises:
        IllegalMove: the event contradicts the state.
    """
    try:
        return REQUEST_MOVES[state, event]
    except KeyError:
        raise IllegalMove(f"a request that is {state.value} can't be {event.value}") from None
