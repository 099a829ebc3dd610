"""Owns what a restart must know of the engine: the whole state out as a record, and in again.

Refuses to trade on it by itself: what is restored is compared with the venue at the account's next
sync, the venue wins, and only then are time stops, closings and entries gone on with.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from tickwright.core.events import PromisedOrder, StateRestored, SyncReport
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.kept_state import (
    READING_OVERLAP_NS,
    KeptState,
    PlanRecord,
    ReadingRecord,
    TradeRecord,
)
from tickwright.core.orders import TimeInForce
from tickwright.engine.deadlines import Deadline
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.protection_desk import ProtectionDesk
from tickwright.engine.state import TradingState
from tickwright.engine.work_desk import WorkDesk
from tickwright.execution.plan_state import write_plan
from tickwright.execution.planner import Bracket
from tickwright.execution.position_plan import PositionPlan
from tickwright.execution.records import Record
from tickwright.portfolio.sync import SyncDifference

__all__ = ["RestartDesk"]

_MS = 1_000_000


class RestartDesk:
    """Writes the state down and goes on with it."""

    def __init__(
        self,
        state: TradingState,
        orders: OrderDesk,
        positions: PositionDesk,
        protections: ProtectionDesk,
        works: WorkDesk,
    ) -> None:
        self._works = works
        self._state = state
        self._orders = orders
        self._positions = positions
        self._protections = protections
        self._readings: dict[AccountId, int] = {}
        self._plans: dict[tuple[StrategyId, InstrumentId], PlanRecord] = {}
        """Restored; each account's until its first sync."""
        self._last_order = ""
        self._restored: set[AccountId] = set()
        """Accounts whose state was restored and not compared with the venue yet."""
        self._entry_ns = state.config.execution.entry_timeout_ms * _MS

    # out ------------------------------------------------------------------------------------------

    def state(self) -> KeptState:
        """Return everything a restart must know, as of the last input."""
        state = self._state
        kept_ns = {
            account_id: venue_ns - 2 * READING_OVERLAP_NS
            for account_id, venue_ns in self._readings.items()
        }
        return KeptState(
            risk=self._protections.state(),
            ledger=state.portfolio.state(ids_since_ns=kept_ns),
            plans=self._plan_records(),
            trades=tuple(
                TradeRecord(
                    strategy_id=strategy_id,
                    instrument_id=instrument_id,
                    money=money,
                    notional=notional,
                )
                for strategy_id, run in state.runs.items()
                for instrument_id, money, notional in run.trades.under_way()
            ),
            readings=tuple(
                ReadingRecord(account_id=account_id, venue_ns=venue_ns)
                for account_id, venue_ns in sorted(self._readings.items())
            ),
            works=self._works.records(),
            last_order=state.client_ids.last,
        )

    def _plan_records(self) -> tuple[PlanRecord, ...]:
        """Return the plans with anything in them."""
        state = self._state
        return tuple(
            replace(
                write_plan(
                    plan,
                    state.lanes[plan.instrument_id].instrument,
                    entry_due_ns=self._entry_due_ns(self._entry_order(plan)),
                ),
                entry_id=self._entry_order(plan),
            )
            for plan in state.plans.values()
            if plan.instrument_id in state.lanes
            and (plan.size_units or plan.entry_id is not None or plan.exit_id is not None)
        )

    def _entry_order(self, plan: PositionPlan) -> ClientId | None:
        """Return the order of a plan's entry; of a work, its child: the work is kept apart."""
        work = None if plan.entry_id is None else self._state.works.get(plan.entry_id)
        if work is None:
            return plan.entry_id
        return None if work.child is None else work.child.client_id

    def _entry_due_ns(self, entry_id: ClientId | None) -> int:
        record = None if entry_id is None else self._orders.find(entry_id)
        if record is None or record.order.intent.time_in_force is not TimeInForce.GTC:
            return 0
        return record.order.created_ns + self._entry_ns

    @property
    def version(self) -> tuple[object, ...]:
        """Differs whenever `state` does, but for its time and what only a reading proves."""
        return (
            self._protections.version,
            self._state.portfolio.version,
            self._plan_records(),
            self._works.records(),
        )

    # in -------------------------------------------------------------------------------------------

    def on_restored(self, event: StateRestored) -> None:
        """Go on where an earlier run ended; the first input, before anything may trade."""
        kept, state = event.state, self._state
        for instrument_id in state.portfolio.restore(kept.ledger):
            self._tell(str(instrument_id), "was held by an earlier run and is not configured now")
        self._protections.on_restored(kept.risk)
        for trade in kept.trades:
            run = state.runs.get(trade.strategy_id)
            if run is not None:
                run.trades.restore(trade.instrument_id, trade.money, trade.notional)
        self._last_order = kept.last_order
        self._readings = {one.account_id: one.venue_ns for one in kept.readings}
        self._restored = {one.account_id for one in kept.ledger.accounts if one.is_funded}
        for record in kept.plans:
            run = state.runs.get(record.strategy_id)
            if (
                run is not None
                and run.context.account_id == record.account_id
                and record.instrument_id in state.lanes
            ):
                self._positions.restore(record)
                self._plans[record.strategy_id, record.instrument_id] = record
        for account_id, strategy_id, instrument_id, _ in self._shares():
            run = state.runs.get(strategy_id)
            if run is not None and run.context.account_id == account_id:
                self._positions.refresh(self._positions.plan(strategy_id, instrument_id))
        for work in kept.works:
            self._works.restore(work)

    def on_promise(self, record: Record, promised: PromisedOrder) -> None:
        """Plan what an order promised after the state was written is to open; find its work."""
        order = record.order
        # What it fills is valued at once, too.
        self._orders.ensure_mark(self._state.lanes[order.instrument_id])
        is_known = self._state.client_ids.number(order.client_id) <= self._last_order
        if promised.work is not None:
            self._works.on_promise(record, promised.work, is_known=is_known)
        if promised.reduce_only or is_known:
            return
        attached = Bracket(promised.stop_loss_price_units, promised.take_profit_price_units)
        self._positions.begin_promised(order, promised.planned, attached)

    def _shares(self) -> Iterator[tuple[AccountId, StrategyId, InstrumentId, int]]:
        """Yield what strategies hold."""
        for account in self._state.portfolio.accounts():
            for instrument_id, holding in account.holdings.items():
                for book in holding.legs.values():
                    for owner, share in book.shares.items():
                        if owner is not None and share.size_units:
                            yield account.account_id, owner, instrument_id, share.size_units

    # the first sync -------------------------------------------------------------------------------

    def note_reading(self, report: SyncReport) -> None:
        """Remember until when an account was read whole."""
        before = self._readings.get(report.account_id, 0)
        self._readings[report.account_id] = max(before, report.venue_ns)

    def on_sync(self, account_id: AccountId, differences: Iterable[SyncDifference]) -> None:
        """Go on with the plans of an account that was just compared with the venue."""
        state = self._state
        if account_id in self._restored:
            self._restored.discard(account_id)
            for difference in differences:
                self._tell(
                    str(account_id),
                    f"{difference.what}: {difference.ours} was kept, {difference.venue} is at the "
                    "venue and was taken",
                )
            for holder_id, strategy_id, instrument_id, size_units in self._shares():
                run = state.runs.get(strategy_id)
                if holder_id == account_id and (
                    run is None or run.context.account_id != account_id
                ):
                    size = state.instrument(instrument_id).size_text(size_units)
                    self._tell(
                        str(account_id),
                        f"{strategy_id} of an earlier run holds {size} {instrument_id}: nobody "
                        "guards it until that strategy is configured again",
                    )
        for holder_id, _, instrument_id, _ in self._shares():
            # Without a price for what is held there is no equity, and nothing could be opened.
            if holder_id == account_id and instrument_id in state.lanes:
                self._orders.ensure_mark(state.lanes[instrument_id])
        for key, record in tuple(self._plans.items()):
            if record.account_id == account_id:
                del self._plans[key]
                self._go_on(state.plans[key], record)
        self._works.on_sync(account_id)

    def _go_on(self, plan: PositionPlan, record: PlanRecord) -> None:
        """Take up what was under way when the earlier run ended."""
        state = self._state
        if plan.entry_id is not None and not self._is_open(plan.entry_id):
            plan.entry_id = None
        if plan.exit_id is not None and not self._is_open(plan.exit_id):
            plan.exit_id = None
        if plan.entry_id == record.entry_id and record.entry_id and record.entry_due_ns:
            state.deadlines.add(record.entry_due_ns, Deadline.ENTRY_TIMEOUT, record.entry_id)
        time_ms = plan.exits.time_stop_ms
        if plan.size_units and time_ms:
            due_ns = plan.opened_ns + time_ms * _MS
            state.deadlines.add(due_ns, Deadline.TIME_STOP, plan.key)
        if plan.closing is not None and plan.size_units and plan.exit_id is None:
            state.deadlines.add(state.now_ns, Deadline.CLOSE_AGAIN, plan.key)

    def _is_open(self, client_id: ClientId) -> bool:
        if client_id in self._state.works:
            return True
        record = self._orders.find(client_id)
        return record is not None and not record.is_settled

    def _tell(self, scope: str, reason: str) -> None:
        self._state.halt_notice(scope, reason)
