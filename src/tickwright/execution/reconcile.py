"""Owns when a difference between our ledger and the venue's is believed; never at first sight.

An answer by REST may be older than what the stream has told since: a difference counts only when
it is read twice with no execution and no open question between, and the venue's position is at
least as new as our last execution there.
"""

import enum
from collections.abc import Hashable

import msgspec

__all__ = ["Finding", "PositionAudit"]

DOUBTS_MAX = 10_000
"""Positions in doubt at once; the oldest leaves."""


class Finding(enum.Enum):
    """What one comparison came to."""

    AGREES = "agrees"
    UNDECIDED = "undecided"
    """Something is under way, or the answer is older than what we know."""
    DOUBTED = "doubted"
    """Different for the first time: read it again."""
    STANDS = "stands"
    """Different twice, with nothing between that could explain it."""


class _Doubt(msgspec.Struct, frozen=True):
    ours: int
    venue: int
    executions: int
    asked_ns: int


class PositionAudit:
    """Compares positions read from the venue with ours, and remembers what it doubts."""

    def __init__(self) -> None:
        self._doubts: dict[Hashable, _Doubt] = {}

    @property
    def doubted(self) -> int:
        """How many positions are in doubt."""
        return len(self._doubts)

    def compare(
        self,
        key: Hashable,
        *,
        ours: int,
        venue: int,
        venue_ns: int,
        asked_ns: int,
        executions: int,
        last_execution_ns: int,
        is_settled: bool,
    ) -> Finding:
        """Judge one position, sizes in units.

        `venue_ns` is when the venue last changed it, `asked_ns` when it was read; `executions` how
        many we have counted there, `last_execution_ns` the venue's time of the newest. `is_settled`
        says that no request there is unknown and no execution is owed.
        """
        if ours == venue:
            self._doubts.pop(key, None)
            return Finding.AGREES
        if not is_settled or venue_ns < last_execution_ns:
            self._doubts.pop(key, None)
            return Finding.UNDECIDED
        doubt = _Doubt(ours, venue, executions, asked_ns)
        before = self._doubts.pop(key, None)
        if (
            before is not None
            and (before.ours, before.venue, before.executions) == (ours, venue, executions)
            and before.asked_ns < asked_ns
        ):
            return Finding.STANDS
        if len(self._doubts) >= DOUBTS_MAX:
            del self._doubts[next(iter(self._doubts))]
        self._doubts[key] = doubt
        return Finding.DOUBTED
