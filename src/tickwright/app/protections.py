"""Owns looking at and lifting protections of a trader that isn't running, in its kept state.

Refuses to touch the state of one that runs: it would write over it. `edit` is the same lifting the
engine does, done on the record: the row goes, its counts start anew, and a lifted drawdown lets the
peak start again from the equity of the next start.
"""

from pathlib import Path

import msgspec
from msgspec.structs import replace

from tickwright.app.config import Config
from tickwright.app.settings import trader_settings
from tickwright.core.errors import ConfigError
from tickwright.core.identity import AccountId
from tickwright.core.kept_state import KeptState
from tickwright.core.nearest import nearest
from tickwright.core.restrictions import ProtectionKind, Restriction, Scope, parse_name
from tickwright.core.risk_state import RiskState, StrategyRecord
from tickwright.engine.summary import ProtectionSummary
from tickwright.net.listener import utc_now_ns
from tickwright.risk.protections_table import RULES
from tickwright.storage.kept_state import read_kept_state, write_kept_state
from tickwright.storage.lease import Lease

__all__ = ["KeptProtections", "edit", "kept_protections", "lift_kept", "protections_in"]


class KeptProtections(msgspec.Struct, frozen=True, kw_only=True):
    """What the state folder of a trader holds; `saved_ns` is null when nothing was ever kept."""

    state_folder: str
    saved_ns: int | None
    protections: tuple[ProtectionSummary, ...]
    lifted: tuple[str, ...] = ()


def kept_protections(config: Config) -> KeptProtections:
    """Return the protections that would stand if the trader started now.

    Raises:
        StorageError: the kept state can't be read or believed.
    """
    return protections_in(_folder(config))


def protections_in(folder: Path) -> KeptProtections:
    """Return what a state folder keeps; a running trader writes it within a second of a change.

    Raises:
        StorageError: the kept state can't be read or believed.
    """
    return _kept(folder, read_kept_state(folder))


def lift_kept(config: Config, names: list[str]) -> KeptProtections:
    """Lift protections by `KIND@SCOPE` in the state of a trader that isn't running.

    Raises:
        ConfigError: a name is unknown, not in force, or nobody may lift it; nothing was changed.
        StorageError: the trader runs, or its state can't be read, believed or written.
    """
    folder = _folder(config)
    lease = Lease.borrow(folder, utc_now_ns(), purpose="protections --lift")
    try:
        state = read_kept_state(folder)
        if state is None:
            raise ConfigError(f"{folder} keeps no state: there is nothing to lift")
        risk = state.risk
        for name in names:
            risk = edit(risk, name, utc_now_ns())
        state = replace(state, risk=risk)
        write_kept_state(folder, state)
    finally:
        lease.release()
    return replace(_kept(folder, state), lifted=tuple(names))


def edit(state: RiskState, name: str, now_ns: int) -> RiskState:
    """Return the state without one protection.

    Raises:
        ConfigError: the name is unknown, not in force, or nobody may lift it.
    """
    standing = [row.name for row in state.restrictions if not row.is_over(now_ns)]
    hint = nearest(name, standing, what="in force")
    try:
        kind, scope = parse_name(name)
    except ConfigError as error:
        raise ConfigError(f"--lift {name}: {error}; {hint}") from None
    if name not in standing:
        raise ConfigError(f"--lift {name}: it is not in force; {hint}")
    if not RULES[kind].operator_may_lift:
        raise ConfigError(f"--lift {name}: nobody lifts it: it ends with the day")
    rows = tuple(row for row in state.restrictions if row.name != name)
    state = replace(state, restrictions=rows)
    if kind is ProtectionKind.DRAWDOWN and scope.account_id is not None:
        return _without_drawdown(state, scope.account_id)
    if scope.strategy_id is not None:
        return _counting_anew(state, kind, scope)
    return state


def _without_drawdown(state: RiskState, account_id: AccountId) -> RiskState:
    gate = replace(
        state.gate,
        accounts=tuple(
            replace(one, has_drawdown_breach=False) if one.account_id == account_id else one
            for one in state.gate.accounts
        ),
    )
    days = tuple(
        replace(day, peak_equity=None) if day.account_id == account_id else day
        for day in state.days
    )
    return replace(state, gate=gate, days=days)


def _counting_anew(state: RiskState, kind: ProtectionKind, scope: Scope) -> RiskState:
    def anew(record: StrategyRecord) -> StrategyRecord:
        if record.strategy_id != scope.strategy_id:
            return record
        if kind is ProtectionKind.EQUAL_REJECTS:
            return replace(record, rejects_ns=())
        if kind is ProtectionKind.ORDER_STORM:
            return replace(record, orders_ns=())
        if kind is ProtectionKind.LOSS_STREAK:
            return replace(record, losses_in_row=0)
        return record

    return replace(state, strategies=tuple(anew(one) for one in state.strategies))


def _kept(folder: Path, state: KeptState | None) -> KeptProtections:
    now_ns = utc_now_ns()
    rows: tuple[Restriction, ...] = () if state is None else state.risk.restrictions
    return KeptProtections(
        state_folder=str(folder),
        saved_ns=None if state is None else state.saved_ns,
        protections=tuple(ProtectionSummary.of(row) for row in rows if not row.is_over(now_ns)),
    )


def _folder(config: Config) -> Path:
    return trader_settings(config, now_ns=0).state_folder
