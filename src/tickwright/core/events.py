"""Owns the engine's inputs: everything that may enter by the one door.

Refuses anything without a time.

The hottest input, a book update, has no struct: it is the call `engine.on_book(slot, now_ns)` on a
book that was already changed. Everything else is one of these frozen records, so that the session
log can store it and a replay can repeat it. Times are UTC nanoseconds; 0 means the venue gave none.
"""

import enum

import msgspec

from tickwright.core.account_reports import AccountState, PositionReport
from tickwright.core.exits import PlannedExits
from tickwright.core.identity import AccountId, ClientId, InstrumentId, Leg, VenueOrderId
from tickwright.core.instrument import FeeRates, Instrument
from tickwright.core.kept_state import KeptState
from tickwright.core.orders import Fill, OrderState, OrderType, RequestKind, Side, TimeInForce
from tickwright.core.work import WorkRecord

__all__ = [
    "AccountState",
    "BalanceReport",
    "BookState",
    "BookStateChanged",
    "CandleUpdate",
    "ClockNotice",
    "ConfigChanged",
    "ConnectionChanged",
    "FeesChanged",
    "FundingUpdate",
    "IndexPrice",
    "Input",
    "InstrumentChanged",
    "LastPrice",
    "Liquidation",
    "MarkPrice",
    "MarketEvent",
    "OperatorCommand",
    "OperatorVerb",
    "OrderAbsent",
    "OrderReport",
    "Outcome",
    "PositionReport",
    "PromisedOrder",
    "PromisesRestored",
    "Reconciliation",
    "RateLimitReport",
    "Reply",
    "SendOutcome",
    "StateRestored",
    "StopsReply",
    "SyncReport",
    "TimerFired",
    "Trade",
]


class BookState(enum.IntEnum):
    """What an order book is worth now; orders are allowed on `SYNCED` alone."""

    EMPTY = 0
    BUFFERING = 1
    SYNCED = 2
    STALE = 3
    RESYNCING = 4


# public market ------------------------------------------------------------------------------------


class Trade(msgspec.Struct, frozen=True, gc=False, tag="trade"):
    """A public match; `side` is the aggressor's."""

    instrument_id: InstrumentId
    side: Side
    price_units: int
    size_units: int
    trade_id: str
    venue_ns: int
    received_ns: int
    sequence: int = 0
    is_block: bool = False


class LastPrice(msgspec.Struct, frozen=True, gc=False, tag="last_price"):
    """The venue's latest trade price."""

    instrument_id: InstrumentId
    price_units: int
    venue_ns: int


class MarkPrice(msgspec.Struct, frozen=True, gc=False, tag="mark_price"):
    """The venue's fair price, used for margin and liquidation."""

    instrument_id: InstrumentId
    price_units: int
    venue_ns: int


class IndexPrice(msgspec.Struct, frozen=True, gc=False, tag="index_price"):
    """The venue's reference average of spot markets."""

    instrument_id: InstrumentId
    price_units: int
    venue_ns: int


class FundingUpdate(msgspec.Struct, frozen=True, gc=False, tag="funding"):
    """The funding rate that will be paid at `next_funding_ns`: parts per 10^9, positive.

    Longs pay.
    """

    instrument_id: InstrumentId
    rate_e9: int
    next_funding_ns: int
    venue_ns: int


class CandleUpdate(msgspec.Struct, frozen=True, gc=False, tag="candle"):
    """A candle; only `is_final` ones will not change any more. Volume in size units."""

    instrument_id: InstrumentId
    interval_ns: int
    start_ns: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int
    volume_units: int
    is_final: bool
    venue_ns: int


class Liquidation(msgspec.Struct, frozen=True, gc=False, tag="liquidation"):
    """A liquidated position of somebody.

    `side` is the position order's side as the venue tells it.
    """

    instrument_id: InstrumentId
    side: Side
    price_units: int
    size_units: int
    venue_ns: int


class InstrumentChanged(msgspec.Struct, frozen=True, tag="instrument"):
    """The venue changed an instrument's rules or status; the record holds the new version."""

    instrument: Instrument


MarketEvent = (
    LastPrice
    | MarkPrice
    | IndexPrice
    | FundingUpdate
    | CandleUpdate
    | Liquidation
    | InstrumentChanged
)


class BookStateChanged(msgspec.Struct, frozen=True, gc=False, tag="book_state"):
    """An order book changed what it is worth."""

    instrument_id: InstrumentId
    state: BookState
    previous: BookState
    reason: str


class ConnectionChanged(msgspec.Struct, frozen=True, gc=False, tag="connection"):
    """A connection came up or went down; `channel` is public, private or trade."""

    venue: str
    channel: str
    name: str
    is_up: bool
    reason: str


# private side -------------------------------------------------------------------------------------


class Outcome(enum.Enum):
    """What an answer to a request proves."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    ALREADY_DONE = "already_done"


class Reply(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="reply"):
    """The venue's answer to one request of ours.

    An acknowledgement, never a resting order or a fill.
    """

    account_id: AccountId
    client_id: ClientId
    request: RequestKind
    outcome: Outcome
    code: int
    text: str
    venue_id: VenueOrderId | None = None
    venue_ns: int = 0


class SendOutcome(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="send_outcome"):
    """What became of the bytes of a request.

    Handed to the socket, or not sent at all (journal, no socket).

    `is_sent` False is proof that the venue never saw it; a socket lost afterwards is not, and makes
    the request unknown by `Reply(outcome=UNKNOWN)`.
    """

    account_id: AccountId
    client_id: ClientId
    request: RequestKind
    is_sent: bool
    reason: str
    sent_ns: int = 0


class StopsReply(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="stops_reply"):
    """What became of a request to hold a position's stops at the venue.

    Not modified counts as accepted. `unknown` is every failure that leaves it open or that may
    pass; the request may be repeated, whatever became of it.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    number: int
    outcome: Outcome
    code: int
    text: str
    venue_ns: int = 0


class OrderReport(msgspec.Struct, frozen=True, kw_only=True, tag="order_report"):
    """What the venue's order stream or an order query says of one order (ours or not).

    `filled_units` is the venue's cumulative figure: compared, never added. `venue_ns` orders
    reports.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    client_id: ClientId | None
    venue_id: VenueOrderId
    side: Side
    order_type: OrderType
    state: OrderState
    price_units: int | None
    size_units: int
    filled_units: int
    reason: str
    venue_ns: int
    received_ns: int
    reduce_only: bool = False
    is_conditional: bool = False
    leg: Leg = Leg.NET
    is_from_query: bool = False
    trigger_price_units: int | None = None
    parent_id: ClientId | None = None
    """Our order that this one is attached to (a stop or take profit held by the venue)."""


class OrderAbsent(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="order_absent"):
    """A query answered that no such order exists, in open orders, history and executions.

    `asked_ns` is when the query left. A query that failed is not this: nothing is reported then.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    client_id: ClientId
    asked_ns: int


class RateLimitReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="rate_limit"):
    """What the venue says of a request budget.

    `limit` per second, `remaining` of it, until `reset_ns`.

    `group` is the kind of request and the category ("create.linear"); empty means every request of
    the account. `remaining` 0 with a `reset_ns` in the future stops the group until then.
    """

    account_id: AccountId
    group: str
    limit: int
    remaining: int
    reset_ns: int


class BalanceReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="balance_report"):
    """The venue's view of one asset of an account, in money units."""

    account_id: AccountId
    asset: str
    wallet_balance: int
    locked: int
    venue_ns: int
    received_ns: int


class SyncReport(msgspec.Struct, frozen=True, kw_only=True, tag="sync_report"):
    """The venue's whole private state at a start or reconnect: open orders, positions and balances.

    What an earlier record had and this one lacks is gone. Only then may an account trade. `totals`
    is None where the margin mode has none.
    """

    account_id: AccountId
    orders: tuple[OrderReport, ...]
    positions: tuple[PositionReport, ...]
    balances: tuple[BalanceReport, ...]
    fills: tuple[Fill, ...]
    venue_ns: int
    totals: AccountState | None = None


class Reconciliation(msgspec.Struct, frozen=True, tag="reconciliation"):
    """The venue's private state read while trading: evidence, and positions to compare."""

    report: SyncReport


class PromisedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order an earlier run promised to send and whose end it didn't live to see."""

    client_id: ClientId
    instrument_id: InstrumentId
    side: Side
    size_units: int
    order_type: OrderType
    price_units: int | None
    reduce_only: bool
    leg: Leg
    trigger_price_units: int | None
    stop_loss_price_units: int | None = None
    take_profit_price_units: int | None = None
    planned: PlannedExits | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    work: WorkRecord | None = None


class PromisesRestored(msgspec.Struct, frozen=True, kw_only=True, tag="promises"):
    """What the journal of an account left open; each is unknown until the venue shows more."""

    account_id: AccountId
    orders: tuple[PromisedOrder, ...]


# our own world ------------------------------------------------------------------------------------


class TimerFired(msgspec.Struct, frozen=True, gc=False, tag="timer"):
    """A timer asked for by `SetTimer` came back."""

    owner: str
    name: str
    due_ns: int


class OperatorVerb(enum.Enum):
    """What a person or a guard may tell the engine."""

    HALT = "halt"
    RESUME = "resume"
    CANCEL_ALL = "cancel_all"
    FLATTEN = "flatten"
    STOP = "stop"
    LIFT = "lift"


class OperatorCommand(msgspec.Struct, frozen=True, gc=False, tag="operator"):
    """An order of the operator; `scope` is `all`, a strategy id, or for LIFT `KIND@SCOPE`.

    A HALT that `outlives_restart` stands until somebody lifts it; one that doesn't is remembered by
    whoever gave it.
    """

    verb: OperatorVerb
    scope: str
    reason: str
    outlives_restart: bool = True


class StateRestored(msgspec.Struct, frozen=True, tag="state_restored"):
    """What an earlier run left: ledger, plans, protections; the first input, before the start."""

    state: KeptState


class ClockNotice(msgspec.Struct, frozen=True, gc=False, tag="clock"):
    """The wall clock stepped, or the venue's clock was measured.

    Both in nanoseconds, positive is ahead of us.
    """

    source: str
    offset_ns: int
    uncertainty_ns: int


class FeesChanged(msgspec.Struct, frozen=True, tag="fees"):
    """The fee rates of an account on an instrument."""

    account_id: AccountId
    instrument_id: InstrumentId
    rates: FeeRates


class ConfigChanged(msgspec.Struct, frozen=True, tag="config"):
    """A new configuration took effect; the text is canonical and holds no secret."""

    digest: str
    text: str


Input = (
    Trade
    | LastPrice
    | MarkPrice
    | IndexPrice
    | FundingUpdate
    | CandleUpdate
    | Liquidation
    | InstrumentChanged
    | BookStateChanged
    | ConnectionChanged
    | Reply
    | SendOutcome
    | OrderReport
    | OrderAbsent
    | RateLimitReport
    | Fill
    | PositionReport
    | BalanceReport
    | AccountState
    | SyncReport
    | StopsReply
    | PromisesRestored
    | Reconciliation
    | TimerFired
    | OperatorCommand
    | StateRestored
    | ClockNotice
    | FeesChanged
    | ConfigChanged
)
"""Every record that may pass the engine's door besides a book update."""
