"""Owns what the gate looks at besides an intent; refuses to judge."""

from dataclasses import dataclass, field

from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.protections_table import RestrictionTable

__all__ = ["RiskView"]


@dataclass(slots=True)
class RiskView:
    """What the gate looks at besides the intent: one object the engine keeps and changes in place.

    Positions, working totals (`Portfolio.set_working`), marks and equity are the portfolio's. The
    engine adds an account to `ready_accounts` after its sync and takes it out when its private
    stream is lost. A halt is its reason, by strategy, instrument, or `engine_halt` for all (""
    while running).
    """

    portfolio: Portfolio
    ready_accounts: set[AccountId] = field(default_factory=set)
    halted_strategies: dict[StrategyId, str] = field(default_factory=dict)
    halted_instruments: dict[InstrumentId, str] = field(default_factory=dict)
    engine_halt: str = ""
    clock_skew_ns: dict[str, int] = field(default_factory=dict)
    """How far each venue's clock may be from ours, uncertainty included; a venue without an entry
    was never measured."""
    restrictions: RestrictionTable = field(default_factory=RestrictionTable)
    """What protections restrict now."""
