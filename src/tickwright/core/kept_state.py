"""Owns what a restart must know of a trader, as one plain record; refuses to act on it.

Levels and sizes are in the instrument's units, whose decimals stand beside them: units that mean
something else by now are never misread.
"""

import msgspec

from tickwright.core.exits import Exits
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.ledger_state import PortfolioState
from tickwright.core.orders import Purpose, Side
from tickwright.core.risk_state import RiskState
from tickwright.core.work import WorkRecord

__all__ = [
    "READING_OVERLAP_NS",
    "HeldRecord",
    "KeptState",
    "LevelsRecord",
    "PlanRecord",
    "ReadingRecord",
    "TradeRecord",
]

READING_OVERLAP_NS = 60_000_000_000
"""How far before the last reading executions are asked for again: one may show late."""


class LevelsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How far the stops that move have come; the rest follows from the exits and the entry."""

    entry_units: int
    best_twice: int
    is_trailing: bool = False
    trail_units: int | None = None
    break_even_units: int | None = None


class HeldRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue was proven to hold; `was_asked` says that it may hold more."""

    stop_units: int = 0
    take_units: int = 0
    distance_units: int = 0
    proven_ns: int = 0
    was_asked: bool = False


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was meant to be done with one strategy's position in one instrument.

    `fixed_*` are exact levels an intent named, `attached_*` what its order carried to the venue,
    both for a position of `bracket_side`. `entry_due_ns` is when a resting entry is withdrawn, 0
    when it isn't.
    """

    strategy_id: StrategyId
    account_id: AccountId
    instrument_id: InstrumentId
    price_decimals: int
    exits: Exits
    opened_ns: int = 0
    entry_id: ClientId | None = None
    entry_due_ns: int = 0
    exit_id: ClientId | None = None
    bracket_side: Side | None = None
    fixed_stop_units: int | None = None
    fixed_take_units: int | None = None
    attached_stop_units: int | None = None
    attached_take_units: int | None = None
    levels: LevelsRecord | None = None
    held: HeldRecord = HeldRecord()
    closing: Purpose | None = None
    closing_reason: str = ""
    attempts: int = 0


class TradeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy's trade under way made so far and closed, in settle money."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    money: int
    notional: int


class ReadingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Until which time of the venue an account was read whole."""

    account_id: AccountId
    venue_ns: int


class KeptState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a restart goes on with; all of it as of one moment, after one input."""

    risk: RiskState
    ledger: PortfolioState = PortfolioState()
    plans: tuple[PlanRecord, ...] = ()
    trades: tuple[TradeRecord, ...] = ()
    readings: tuple[ReadingRecord, ...] = ()
    works: tuple[WorkRecord, ...] = ()
    last_order: str = ""
    """Number of the last order it knows: what was promised after it has a greater one."""

    @property
    def saved_ns(self) -> int:
        """Time of the last input it holds."""
        return self.risk.saved_ns

    def seen_ns(self, account_id: AccountId) -> int:
        """Return since when executions of an account must be asked for; 0: nothing was seen."""
        for reading in self.readings:
            if reading.account_id == account_id:
                return max(0, reading.venue_ns - READING_OVERLAP_NS)
        return 0
