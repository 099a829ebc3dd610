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


_Key = tuple[AccountId | None, StrategyId | None, InstrumentId | None]


class RestrictionTable:
    """Restrictions by kind and scope; one of each at most, so bounded by what is configured.

    An order asks for what covers it: five look-ups, however many rows there are.
    """

    __slots__ = ("by_scope", "rows")

    def __init__(self) -> None:
        self.rows: dict[tuple[ProtectionKind, Scope], Restriction] = {}
        """To read and to ask whether there are any: most of the time there are none."""
        self.by_scope: dict[_Key, tuple[Restriction, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Restriction]:
        return iter(tuple(self.rows.values()))

    def get(self, kind: ProtectionKind, scope: Scope) -> Restriction | None:
        """Return the one of this kind and scope."""
        return self.rows.get((kind, scope))

    def put(self, restriction: Restriction) -> None:
        """Add one, or replace the one of its kind and scope."""
        self.rows[restriction.kind, restriction.scope] = restriction
        self._index(restriction.scope)

    def remove(self, kind: ProtectionKind, scope: Scope) -> Restriction | None:
        """Take one out and return it."""
        row = self.rows.pop((kind, scope), None)
        self._index(scope)
        return row

    def _index(self, scope: Scope) -> None:
        """Write down anew what a scope holds, the strictest first, the oldest of equals."""
        held = [row for row in self.rows.values() if row.scope == scope]
        held.sort(key=lambda row: row.stage is not Stage.HALTED)
        key = (scope.account_id, scope.strategy_id, scope.instrument_id)
        if held:
            self.by_scope[key] = tuple(held)
        else:
            self.by_scope.pop(key, None)

    def over(
        self,
        account_id: AccountId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        now_ns: int,
    ) -> Restriction | None:
        """Return the strictest one over an order, the widest scope of equals; None when free."""
        found = None
        by_scope = self.by_scope
        for key in (
            (None, None, None),
            (account_id, None, None),
            (None, strategy_id, None),
            (None, None, instrument_id),
            (None, strategy_id, instrument_id),
        ):
            for row in by_scope.get(key, ()):
                if not row.is_over(now_ns):
                    if row.stage is Stage.HALTED:
                        return row
                    found = found or row
                    break
        return found
