"""Owns the works that a state folder keeps, as people read them; refuses to change any.

What is kept is at most a second old while a trader runs, and what the next start goes on with once
it doesn't.
"""

from pathlib import Path

import msgspec

from tickwright.core.units import decimal_from_units
from tickwright.core.work import WorkRecord
from tickwright.storage.kept_state import read_kept_state

__all__ = ["WorkLine", "works_in"]


class WorkLine(msgspec.Struct, frozen=True, kw_only=True):
    """A work under way. `filled` is what its settled orders got, `order` the one that isn't."""

    work_id: str
    strategy_id: str
    account: str
    instrument: str
    side: str
    algorithm: str
    state: str
    size: str
    filled: str
    orders: int
    order: str | None
    started_ns: int
    reason: str


def works_in(folder: Path) -> tuple[WorkLine, ...]:
    """Return the works that a state folder keeps, the oldest first.

    Raises:
        StorageError: the kept state can't be read or believed.
    """
    kept = read_kept_state(folder)
    return () if kept is None else tuple(_line(work) for work in kept.works)


def _line(work: WorkRecord) -> WorkLine:
    intent, decimals = work.intent, work.size_decimals
    return WorkLine(
        work_id=work.work_id,
        strategy_id=work.strategy_id,
        account=str(work.account_id),
        instrument=str(intent.instrument_id),
        side="buy" if intent.side > 0 else "sell",
        algorithm=intent.kind,
        state="working" if work.stops_as is None else "stopping",
        size=f"{decimal_from_units(intent.size_units, decimals):f}",
        filled=f"{decimal_from_units(work.filled_units, decimals):f}",
        orders=work.child_count + (work.child_id is not None),
        order=work.child_id,
        started_ns=work.started_ns,
        reason=work.reason,
    )
