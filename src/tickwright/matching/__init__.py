"""Price-time matching, queue positions and triggers of orders; pure, for every simulation."""

from tickwright.matching.book import MatchingBook
from tickwright.matching.events import (
    Amended,
    Armed,
    Cancelled,
    Execution,
    MatchEvent,
    StopsChanged,
    Triggered,
    Trimmed,
    Working,
)
from tickwright.matching.kinds import (
    CancelReason,
    FillCause,
    OrderPhase,
    QueueModel,
    SelfTrade,
    StopKind,
)
from tickwright.matching.levels import ExternalLevels
from tickwright.matching.liquidity import Level, Liquidity
from tickwright.matching.live_orders import MARKET_BOUND_PPM
from tickwright.matching.orders import BookOrder, OrderIds

__all__ = [
    "MARKET_BOUND_PPM",
    "Amended",
    "Armed",
    "BookOrder",
    "CancelReason",
    "Cancelled",
    "Execution",
    "ExternalLevels",
    "FillCause",
    "Level",
    "Liquidity",
    "MatchEvent",
    "MatchingBook",
    "OrderIds",
    "OrderPhase",
    "QueueModel",
    "SelfTrade",
    "StopKind",
    "StopsChanged",
    "Trimmed",
    "Triggered",
    "Working",
]
