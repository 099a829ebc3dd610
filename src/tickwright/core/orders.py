"""Owns the words of an order: wishes, orders, requests and fills.

Refuses to know how any of them moves.

The transition tables live in `execution`; here are only the nouns, all in units and UTC
nanoseconds.
"""

import enum
from copy import copy

import msgspec

from tickwright.core.exits import Exits
from tickwright.core.identity import (
    AccountId,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
    VenueOrderId,
)

__all__ = [
    "FINAL_STATES",
    "ExecutionKind",
    "Fill",
    "Order",
    "OrderIntent",
    "OrderState",
    "OrderType",
    "Purpose",
    "RequestKind",
    "RequestState",
    "SelfTradeRule",
    "Side",
    "TimeInForce",
    "TriggerBy",
]


class Side(enum.IntEnum):
    """Direction of an order or of a trade's aggressor.

    The value is the sign of the position change.
    """

    BUY = 1
    SELL = -1

    @property
    def opposite(self) -> "Side":
        """The other direction."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(enum.Enum):
    """Limit: at this price or better. Market: at once, at any price the venue allows."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(enum.Enum):
    """How long an order lives."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class TriggerBy(enum.Enum):
    """Which price arms a conditional order."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    LAST = "last"
    MARK = "mark"
    INDEX = "index"


class SelfTradeRule(enum.Enum):
    """What the venue does when an order of ours would meet another of ours.

    The rule of the order that arrives counts, not that of the one that rests.
    """

    NONE = "none"
    """They trade with each other."""
    CANCEL_MAKER = "cancel_maker"
    """The one that rests is cancelled, and the other goes on."""
    CANCEL_TAKER = "cancel_taker"
    """The one that arrives is cancelled: what it had left."""
    CANCEL_BOTH = "cancel_both"


class Purpose(enum.Enum):
    """Why an order exists: it decides priority and what a kill leaves standing."""

    OPEN = "open"
    CLOSE = "close"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    FLATTEN = "flatten"


class OrderState(enum.Enum):
    """Where an order stands at the venue, as far as evidence says."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    INTENDED = "intended"
    ACCEPTED = "accepted"
    WORKING = "working"
    PARTLY_FILLED = "partly_filled"
    TRIGGERED = "triggered"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


_INTENDED = OrderState.INTENDED

FINAL_STATES = frozenset(
    {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED}
)


class RequestKind(enum.Enum):
    """What was asked of the venue for an order."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    CREATE = "create"
    AMEND = "amend"
    CANCEL = "cancel"


class RequestState(enum.Enum):
    """How far a request got; `UNKNOWN` ends only by the venue's evidence."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    SENT = "sent"
    ANSWERED = "answered"
    UNKNOWN = "unknown"


_MOVING = frozenset(
    {
        "trade",
        "block_trade",
        "adl",
        "liquidation",
        "move_position",
        "future_spread",
        "delivery",
    }
)


class ExecutionKind(enum.Enum):
    """What a row of the venue's execution list is (DESIGN: the table of kinds)."""

    # Members are single objects; the hash of `Enum` is a Python call on every look-up.
    __hash__ = object.__hash__

    TRADE = "trade"
    BLOCK_TRADE = "block_trade"
    ADL = "adl"
    LIQUIDATION = "liquidation"
    MOVE_POSITION = "move_position"
    FUTURE_SPREAD = "future_spread"
    DELIVERY = "delivery"
    FUNDING = "funding"
    SETTLE = "settle"
    OTHER = "other"

    def __init__(self, word: str) -> None:
        # Named one by one: a kind that nobody thought of moves nothing.
        self.moves_position = word in _MOVING
        """Whether the row changes the size held."""


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True, tag="order_intent"):
    """An order a strategy wishes for, exact to the unit, before the risk gate.

    `price_units` is required for a limit order and, for a market order, is None.
    `stop_loss_price_units` and `take_profit_price_units` ask for a bracket around the position this
    order opens; `exits` asks for the other ways out of it. `trigger_price_units` makes the order
    conditional. An intent older than `valid_until_ns` (0: no end) is dropped, never sent late.
    """

    instrument_id: InstrumentId
    side: Side
    size_units: int
    order_type: OrderType = OrderType.LIMIT
    price_units: int | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    leg: Leg = Leg.NET
    purpose: Purpose = Purpose.OPEN
    stop_loss_price_units: int | None = None
    take_profit_price_units: int | None = None
    trigger_price_units: int | None = None
    trigger_by: TriggerBy = TriggerBy.LAST
    valid_until_ns: int = 0
    reason: str = ""
    exits: Exits | None = None


class Order(msgspec.Struct, eq=False, kw_only=True):
    """An approved intent with a client id, and what the venue has shown of it.

    Mutable, one per client id, changed only by `execution`'s transition table. `filled_units` and
    `remaining_units` count fills by execution id, never a cumulative field of the venue.
    `instrument_id` and `price_units` begin as the intent's.

    A struct is made in a third of the time of a class with so many slots, and every order waits.
    """

    client_id: ClientId
    strategy_id: StrategyId
    account_id: AccountId
    intent: OrderIntent
    instrument_id: InstrumentId
    price_units: int | None
    size_units: int
    cause_event_id: int
    created_ns: int
    parent_id: ClientId | None = None
    updated_ns: int = 0
    """When its state last changed; 0 before the first change."""
    venue_updated_ns: int = 0
    venue_id: VenueOrderId | None = None
    state: OrderState = _INTENDED
    filled_units: int = 0
    filled_notional: int = 0
    """Sum of price_units x size_units over the fills."""
    reason: str = ""

    @property
    def side(self) -> Side:
        """Direction of the order."""
        return self.intent.side

    @property
    def remaining_units(self) -> int:
        """Size that could still fill."""
        return 0 if self.is_final else self.size_units - self.filled_units

    @property
    def is_final(self) -> bool:
        """Whether the venue is done with it."""
        return self.state in FINAL_STATES

    def copy(self) -> "Order":
        """Return a snapshot that later changes leave alone."""
        return copy(self)

    def __repr__(self) -> str:
        return (
            f"Order({self.client_id} {self.intent.side.name} {self.size_units} "
            f"{self.instrument_id} "
            f"{self.state.value} filled {self.filled_units})"
        )


class Fill(msgspec.Struct, frozen=True, kw_only=True, tag="fill"):
    """One row of the venue's executions: it moves position, cash or both, once per `execution_id`.

    `fee` is in money units of `fee_asset`, positive when paid. `cash` is the money a row without a
    price moves (funding: positive when received).
    """

    account_id: AccountId
    instrument_id: InstrumentId
    execution_id: str
    kind: ExecutionKind
    side: Side
    price_units: int
    size_units: int
    fee: int
    fee_asset: str
    is_maker: bool
    venue_ns: int
    received_ns: int
    client_id: ClientId | None = None
    venue_id: VenueOrderId | None = None
    leg: Leg = Leg.NET
    cash: int = 0
    is_of_stop: bool = False
    """Whether the venue says that a position's own stop made it; it carries no client id then."""
