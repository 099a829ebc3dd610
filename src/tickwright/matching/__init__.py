"""Price-time matching, queue positions and triggers of orders; pure, for every simulation."""

from tickwright.matching.book import MARKET_BOUND_PPM, MatchingBook
from tickwright.matching.events import (
    Amended,
    Armed,
    Cancelled,
    Execution,
    FillCause,
    MatchEvent,
    StopsChanged,
    Triggered,
    Trimmed,
    Working,
)
from tickwright.matching.levels import ExternalLevels, Level, Liquidity
from tickwright.matching.orders import BookOrder, CancelReason, OrderPhase, SelfTrade, StopKind

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
    "OrderPhase",
    "SelfTrade",
    "StopKind",
    "StopsChanged",
    "Trimmed",
    "Triggered",
    "Working",
]
