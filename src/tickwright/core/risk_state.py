"""Owns what risk must know again after a restart, as plain records; refuses to act on it."""

import msgspec

from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.core.restrictions import Restriction

__all__ = [
    "AccountGateState",
    "DayRecord",
    "FillRatioRecord",
    "GateState",
    "PairRecord",
    "RiskState",
    "StrategyRecord",
]


class FillRatioRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Orders and fills by part of a window; `bucket` numbers the newest part since 1970."""

    bucket_ns: int
    bucket: int
    orders: tuple[int, ...]
    fills: tuple[int, ...]


class AccountGateState(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate remembers of one account.

    `losses_in_row` are those of the day that began at `losses_day_ns`; `strategy_losses` the same
    by strategy.
    """

    account_id: AccountId
    loss_breach_day_ns: int
    has_drawdown_breach: bool
    approvals_ns: tuple[int, ...]
    amends_ns: tuple[int, ...] = ()
    cancels_ns: tuple[int, ...] = ()
    losses_day_ns: int = -1
    losses_in_row: int = 0
    strategy_losses: dict[StrategyId, int] = {}
    fill_ratio: FillRatioRecord | None = None


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate must know again after a restart."""

    accounts: tuple[AccountGateState, ...] = ()


class DayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an account that must survive a restart, money in units of 10^-18."""

    account_id: AccountId
    day_start_ns: int
    day_start_equity: int | None
    peak_equity: int | None


class StrategyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What protections and sizing remember of one strategy.

    `returns` are its closed trades as fractions of their notional, None for one that is no number.
    """

    strategy_id: StrategyId
    losses_in_row: int = 0
    last_reject: str = ""
    rejects_ns: tuple[int, ...] = ()
    orders_ns: tuple[int, ...] = ()
    returns: tuple[float | None, ...] = ()


class PairRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What protections remember of one strategy in one instrument.

    `direction` is the side of its last position, 1 or -1 (0: none yet); `trade_money` what the
    trade under way has made so far, in units of 10^-18 of the settle asset.
    """

    strategy_id: StrategyId
    instrument_id: InstrumentId
    direction: int = 0
    flips_ns: tuple[int, ...] = ()
    trade_money: int = 0


class RiskState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything risk must know again; `saved_ns` is the time of the last input it saw."""

    saved_ns: int
    gate: GateState = GateState()
    days: tuple[DayRecord, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    strategies: tuple[StrategyRecord, ...] = ()
    pairs: tuple[PairRecord, ...] = ()
