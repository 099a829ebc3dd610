"""What a strategy is written with: contract, typed parameters, indicators, library. Pure."""

from tickwright.strategy.base import AccountEvent, Strategy
from tickwright.strategy.context import PositionView, StrategyContext
from tickwright.strategy.parameters import Bound, StrategyParameters, bounds_of, parameters_from

__all__ = [
    "AccountEvent",
    "Bound",
    "PositionView",
    "Strategy",
    "StrategyContext",
    "StrategyParameters",
    "bounds_of",
    "parameters_from",
]
