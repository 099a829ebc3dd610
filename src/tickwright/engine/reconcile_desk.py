"""Owns comparing the account with the venue while trading; refuses to correct what may be late.

Executions, orders and balances of such a reading are evidence like any other. Positions are
compared: a difference that stands halts the instrument, and then the venue's size is taken.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from tickwright.core.events import PositionReport, SyncReport
from tickwright.core.identity import AccountId, InstrumentId, Leg
from tickwright.core.orders import Fill
from tickwright.engine.state import TradingState
from tickwright.execution.reconcile import Finding, PositionAudit

__all__ = ["RECENT_FILLS_MAX", "ReconcileDesk"]

RECENT_FILLS_MAX = 1_024
"""Executions kept to tell an older position from a different one; readings take a second."""

_Key = tuple[AccountId, InstrumentId]


class ReconcileDesk:
    """Compares positions every few seconds."""

    def __init__(self, state: TradingState) -> None:
        self._state = state
        self._audit = PositionAudit()
        self._executions: dict[_Key, tuple[int, int]] = {}
        self._recent: deque[Fill] = deque(maxlen=RECENT_FILLS_MAX)
        self.count = 0
        self.mismatch_count = 0

    @property
    def doubted(self) -> int:
        """How many positions wait for a second reading."""
        return self._audit.doubted

    def note_fill(self, fill: Fill) -> None:
        """Remember that an execution was counted: answers older than it say nothing."""
        key = (fill.account_id, fill.instrument_id)
        count, last_ns = self._executions.get(key, (0, 0))
        self._executions[key] = (count + 1, max(last_ns, fill.venue_ns))
        if fill.kind.moves_position:
            self._recent.append(fill)

    def as_read(self, report: SyncReport) -> SyncReport:
        """Bring the positions of a reading to one moment with the executions told so far.

        A reading takes several answers. A position that was told before executions of ours were
        made, while the reading was under way, is ours without these: it is taken with them.
        """
        positions = list(self._positions(report))
        kept = [self._with_later_fills(position, report.venue_ns) for position in positions]
        return (
            report if kept == positions else msgspec.structs.replace(report, positions=tuple(kept))
        )

    def _with_later_fills(self, position: PositionReport, since_ns: int) -> PositionReport:
        ours = self._state.portfolio.position(
            position.account_id, position.instrument_id, position.leg
        ).size_units
        without = ours
        for fill in reversed(self._recent):
            if without == position.size_units:
                break
            if (
                fill.venue_ns >= since_ns
                and fill.instrument_id == position.instrument_id
                and fill.account_id == position.account_id
                and fill.leg is position.leg
            ):
                without -= fill.size_units * fill.side
        if without != position.size_units or without == ours:
            return position
        return msgspec.structs.replace(position, size_units=ours)

    def compare(self, report: SyncReport) -> list[PositionReport]:
        """Compare every position; return those whose difference stands."""
        self.count += 1
        return [
            position
            for position in self._positions(report)
            if self._finding(position, report) is Finding.STANDS
        ]

    def halt(self, position: PositionReport) -> None:
        """Stop an instrument whose position is not what we thought."""
        self.mismatch_count += 1
        state = self._state
        instrument = state.instrument(position.instrument_id)
        ours = state.portfolio.position(
            position.account_id, position.instrument_id, position.leg
        ).size_units
        state.halt_instrument(
            position.instrument_id,
            f"{position.account_id} holds {instrument.size_text(position.size_units)} at the venue "
            f"and {instrument.size_text(ours)} here, read twice; the venue's size was taken",
        )

    def _finding(self, position: PositionReport, report: SyncReport) -> Finding:
        state = self._state
        account_id, instrument_id = position.account_id, position.instrument_id
        executions, last_ns = self._executions.get((account_id, instrument_id), (0, 0))
        working = state.blotter.working(account_id, instrument_id)
        owed = any(
            record.owed_units
            for record in state.blotter.live()
            if record.order.instrument_id == instrument_id
        )
        return self._audit.compare(
            (account_id, instrument_id, position.leg),
            ours=state.portfolio.position(account_id, instrument_id, position.leg).size_units,
            venue=position.size_units,
            venue_ns=position.venue_ns,
            asked_ns=report.venue_ns,
            executions=executions,
            last_execution_ns=last_ns,
            is_settled=not working.unknown_requests and not owed,
        )

    def _positions(self, report: SyncReport) -> Iterable[PositionReport]:
        """Yield what the venue holds and what only we think it does: it lists no flat ones."""
        state = self._state
        told: set[tuple[InstrumentId, Leg]] = set()
        for position in report.positions:
            if position.instrument_id in state.lanes:
                told.add((position.instrument_id, position.leg))
                yield position
        for instrument_id, holding in state.portfolio.account(report.account_id).holdings.items():
            if holding.market.is_spot:
                continue
            for leg, book in holding.legs.items():
                if book.position.size_units and (instrument_id, leg) not in told:
                    yield PositionReport(
                        account_id=report.account_id,
                        instrument_id=instrument_id,
                        leg=leg,
                        size_units=0,
                        entry_price="",
                        venue_ns=report.venue_ns,
                        received_ns=state.now_ns,
                        is_from_query=True,
                    )
