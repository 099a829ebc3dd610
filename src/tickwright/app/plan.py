"""Names the plan for the rooms that read it from here; it lives in `engine.plan`."""

from tickwright.engine.plan import (
    StrategyPlan,
    TradingPlan,
    add_strategies,
    build_engine,
    parse_account,
)

__all__ = ["StrategyPlan", "TradingPlan", "add_strategies", "build_engine", "parse_account"]
