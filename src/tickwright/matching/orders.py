"""Owns an order as the matching engine holds it, in whole numbers; refuses wire words and money."""

import enum

from tickwright.core.orders import Side, TimeInForce, TriggerBy
from tickwright.core.units import INT64_MAX

__all__ = ["BookOrder", "CancelReason", "OrderPhase", "SelfTrade", "StopKind"]


class OrderPhase(enum.IntEnum):
    """Where an order is inside the engine."""

    NEW = 0
    ARMED = 1
    DUE = 2
    """Its price was seen; it enters the book when the orders triggered before it have."""
    RESTING = 3
    DONE = 4


class SelfTrade(enum.IntEnum):
    """What happens when an order meets one of its own account; the incoming one's choice counts."""

    NONE = 0
    CANCEL_MAKER = 1
    CANCEL_TAKER = 2
    CANCEL_BOTH = 3


class StopKind(enum.IntEnum):
    """What a conditional order is for."""

    NONE = 0
    STOP = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3


class CancelReason(enum.Enum):
    """Why an order ended before it was filled."""

    BY_USER = "by_user"
    POST_ONLY_WOULD_TAKE = "post_only_would_take"
    NO_LIQUIDITY = "no_liquidity"
    """An immediate order found nothing at its price."""
    NOT_ENOUGH_FOR_FULL = "not_enough_for_full"
    """A fill-or-kill order could not be filled whole."""
    REMAINDER = "remainder"
    """The rest of an immediate order that was filled in part."""
    QUOTE_SPENT = "quote_spent"
    """An order by quote amount has no more than one lot's price left: it is complete."""
    SELF_TRADE = "self_trade"
    REDUCE_ONLY = "reduce_only"
    """The position has nothing left for it to reduce."""
    STOPS_CLEARED = "stops_cleared"
    """The position's stop or take profit ended with the position, or was replaced."""
    MARGIN = "margin"
    """The owner's check refused it when it was triggered."""


class BookOrder:
    """One order in the engine; changed by `MatchingBook` alone.

    `account` decides self-trades, `position` is the key of the position the order moves (an account
    has one per leg). `price_units` 0 on a market order means: bound it when it enters.
    `quote_units_max` above 0 ends a buy by money: the sum of price_units x size_units it may spend.
    `ahead_units` is the external size still before it at its price.
    """

    __slots__ = (
        "account",
        "ahead_units",
        "arrival",
        "closes_position",
        "filled_units",
        "is_market",
        "order_id",
        "phase",
        "position",
        "post_only",
        "price_units",
        "quote_spent",
        "quote_units_max",
        "reduce_only",
        "remaining_units",
        "self_trade",
        "side",
        "size_units",
        "stop_kind",
        "stop_loss_by",
        "stop_loss_units",
        "take_profit_by",
        "take_profit_units",
        "time_in_force",
        "trigger_by",
        "trigger_price_units",
        "trigger_rises",
    )

    def __init__(
        self,
        order_id: int,
        account: int,
        side: Side,
        size_units: int,
        price_units: int,
        *,
        position: int | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        is_market: bool = False,
        post_only: bool = False,
        reduce_only: bool = False,
        closes_position: bool = False,
        self_trade: SelfTrade = SelfTrade.NONE,
        quote_units_max: int = 0,
        trigger_price_units: int = 0,
        trigger_by: TriggerBy = TriggerBy.LAST,
        trigger_rises: bool = False,
        stop_kind: StopKind = StopKind.NONE,
        take_profit_units: int = 0,
        take_profit_by: TriggerBy = TriggerBy.LAST,
        stop_loss_units: int = 0,
        stop_loss_by: TriggerBy = TriggerBy.LAST,
    ) -> None:
        assert 0 < size_units <= INT64_MAX, f"size {size_units}"
        assert price_units > 0 or is_market, f"price {price_units}"
        self.order_id = order_id
        self.account = account
        self.position = account if position is None else position
        self.side = side
        self.size_units = size_units
        self.remaining_units = size_units
        self.filled_units = 0
        self.price_units = price_units
        self.time_in_force = TimeInForce.IOC if is_market else time_in_force
        self.is_market = is_market
        self.post_only = post_only
        self.reduce_only = reduce_only or closes_position
        self.closes_position = closes_position
        self.self_trade = self_trade
        self.quote_units_max = quote_units_max
        self.quote_spent = 0
        self.trigger_price_units = trigger_price_units
        self.trigger_by = trigger_by
        self.trigger_rises = trigger_rises
        self.stop_kind = stop_kind
        self.take_profit_units = take_profit_units
        self.take_profit_by = take_profit_by
        self.stop_loss_units = stop_loss_units
        self.stop_loss_by = stop_loss_by
        self.ahead_units = 0
        self.arrival = 0
        self.phase = OrderPhase.NEW

    @property
    def is_done(self) -> bool:
        """Whether the order has ended."""
        return self.phase is OrderPhase.DONE

    def __repr__(self) -> str:
        return (
            f"BookOrder({self.order_id} {self.side.name} {self.remaining_units}/{self.size_units}"
            f"@{self.price_units} {self.phase.name})"
        )
