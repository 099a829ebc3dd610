"""Owns the ledger as plain records, for a restart to go on with; refuses to compute anything.

Money in units of 10^-18 of its asset, sizes in the instrument's units as written beside them.
"""

from dataclasses import dataclass, field

import msgspec

from tickwright.core.account_reports import AccountState, PositionReport
from tickwright.core.identity import AccountId, InstrumentId, Leg, StrategyId

__all__ = [
    "AccountRecord",
    "DayBase",
    "HoldingRecord",
    "IdRecord",
    "LegRecord",
    "PortfolioState",
    "PositionRecord",
    "PurseRecord",
]


@dataclass(frozen=True, slots=True)
class DayBase:
    """A position's sums when the day began; `unrealised` is None until a mark was known."""

    realised: int = 0
    funding: int = 0
    traded: int = 0
    fill_count: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    unrealised: int | None = 0


class PositionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One position or share: every sum of it. `strategy_id` is None for the unowned share."""

    strategy_id: StrategyId | None = None
    size_units: int = 0
    cost: int = 0
    realised: int = 0
    funding: int = 0
    fees: dict[str, int] = {}
    traded: int = 0
    amount: int = 0
    costed: int = 0
    fill_count: int = 0
    opened_ns: int = 0
    updated_ns: int = 0
    day: DayBase = DayBase()


class LegRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One leg: the account's position and how strategies share it."""

    leg: Leg
    adopted_ns: int
    position: PositionRecord
    shares: tuple[PositionRecord, ...]
    told: PositionReport | None = None


class HoldingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of an account; sizes are in units of 10^-`size_decimals`."""

    instrument_id: InstrumentId
    size_decimals: int
    is_hedged: bool
    halt_reason: str
    legs: tuple[LegRecord, ...]


class PurseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One asset; `recent` are the (time, movement) a late report is rebased with."""

    asset: str
    amount: int
    locked: int
    unexplained: int
    transferred: int
    reported_ns: int
    has_report: bool
    pending_flow: int
    forgotten_ns: int
    recent: tuple[tuple[int, int], ...]


class IdRecord(msgspec.Struct, frozen=True, gc=False):
    """One execution that was counted."""

    venue_ns: int
    instrument_id: InstrumentId
    execution_id: str


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One account: its holdings, purses, day and peak, and what it counted."""

    account_id: AccountId
    is_funded: bool
    transferred: int
    unexplained: int
    day_start_ns: int
    day_end_ns: int
    day_start_equity: int | None
    day_start_transferred: int
    day_start_unexplained: int
    peak_equity: int | None
    peak_transferred: int
    peak_unexplained: int
    purses: tuple[PurseRecord, ...]
    holdings: tuple[HoldingRecord, ...]
    ids: tuple[IdRecord, ...]
    ids_forgotten_ns: int
    totals: AccountState | None = None


class PortfolioState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole ledger of a process."""

    accounts: tuple[AccountRecord, ...] = ()
    duplicate_count: int = 0
    dropped_count: int = 0
