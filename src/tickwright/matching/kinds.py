"""Owns the words that sort orders and what happens to them; refuses to hold a figure.

The compiled modules know each of them by its place or value here; a test holds the two equal.
"""

import enum

__all__ = ["CancelReason", "FillCause", "OrderPhase", "QueueModel", "SelfTrade", "StopKind"]


class OrderPhase(enum.IntEnum):
    """Where an order is inside the engine."""

    NEW = 0
    ARMED = 1
    DUE = 2
    """Its price was seen; it enters the book when the orders triggered before it have."""
    RESTING = 3
    DONE = 4


class QueueModel(enum.IntEnum):
    """How an order moves forward when size leaves its price without a trade."""

    BACK = 0
    """Not at all, but for what a shrunk level proves: whoever left stood behind."""
    POWER = 1
    """By the share of before**n among before**n + behind**n."""
    LOG = 2
    """By the share of log(1 + before) among both."""


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


class FillCause(enum.Enum):
    """What made a fill happen; there is no fill without one."""

    TOOK = "took"
    """The order took resting size on arrival."""
    HIT_BY_ORDER = "hit_by_order"
    """Another user's incoming order took it."""
    HIT_BY_TRADE = "hit_by_trade"
    """An external trade at its price used up the queue before it."""
    TRADED_THROUGH = "traded_through"
    """An external trade printed beyond its price."""
    BOOK_CROSSED = "book_crossed"
    """External resting size appeared at or beyond its price."""
