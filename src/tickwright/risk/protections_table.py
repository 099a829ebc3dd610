"""Owns the restrictions in force, found by what they cover; refuses to make or judge any.

Which kind restricts how far, and who ends it, is one table: `RULES`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.core.restrictions import LiftedBy, ProtectionKind, Restriction, Scope, Stage

__all__ = ["RULES", "RestrictionTable", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of protection does."""

    stage: Stage
    lifted_by: LiftedBy

    @property
    def operator_may_lift(self) -> bool:
        """Whether a person may end it: a day's loss ends with the day alone."""
        return self.lifted_by is not LiftedBy.NEXT_DAY


_REDUCING, _HALTED = Stage.REDUCING, Stage.HALTED
_OPERATOR = LiftedBy.OPERATOR
RULES: dict[ProtectionKind, Rule] = {
    ProtectionKind.COOLDOWN: Rule(_REDUCING, LiftedBy.TIME),
    ProtectionKind.LOSS_STREAK: Rule(_REDUCING, LiftedBy.TIME),
    ProtectionKind.VOLATILITY: Rule(_REDUCING, LiftedBy.TIME),
    ProtectionKind.DAILY_LOSS: Rule(_REDUCING, LiftedBy.NEXT_DAY),
    ProtectionKind.DRAWDOWN: Rule(_HALTED, _OPERATOR),
    ProtectionKind.EQUAL_REJECTS: Rule(_HALTED, _OPERATOR),
    ProtectionKind.FLIP_FLOP: Rule(_HALTED, _OPERATOR),
    ProtectionKind.ORDER_STORM: Rule(_HALTED, _OPERATOR),
    ProtectionKind.CONTRADICTION: Rule(_REDUCING, _OPERATOR),
    ProtectionKind.OPERATOR: Rule(_HALTED, _OPERATOR),
}


class RestrictionTable:
    """Restrictions by kind and scope; one of each at most, so bounded by what is configured."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[tuple[ProtectionKind, Scope], Restriction] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Restriction]:
        return iter(tuple(self._rows.values()))

    def get(self, kind: ProtectionKind, scope: Scope) -> Restriction | None:
        """Return the one of this kind and scope."""
        return self._rows.get((kind, scope))

    def put(self, restriction: Restriction) -> None:
        """Add one, or replace the one of its kind and scope."""
        self._rows[restriction.kind, restriction.scope] = restriction

    def remove(self, kind: ProtectionKind, scope: Scope) -> Restriction | None:
        """Take one out and return it."""
        return self._rows.pop((kind, scope), None)

    def over(
        self,
        account_id: AccountId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        now_ns: int,
    ) -> Restriction | None:
        """Return the strictest one over an order, the oldest of equals; None while it is free."""
        found = None
        for row in self._rows.values():
            if row.scope.covers(account_id, strategy_id, instrument_id) and not row.is_over(now_ns):
                if row.stage is Stage.HALTED:
                    return row
                found = found or row
        return found
