"""Owns the private side's inputs: answers, reports, fills, syncs; refuses to guess from silence.

Each input changes the blotter by its tables first, then the portfolio, then the plans; then
strategies hear of it. Evidence that contradicts what was proven halts the instrument, never the
process.
"""

import msgspec

from tickwright.core.commands import CancelOrder, OrderNotice
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    OrderAbsent,
    OrderReport,
    Outcome,
    PositionReport,
    PromisesRestored,
    Reconciliation,
    Reply,
    SendOutcome,
    SyncReport,
)
from tickwright.core.identity import (
    AccountId,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
    VenueOrderId,
)
from tickwright.core.orders import (
    FINAL_STATES,
    ExecutionKind,
    Fill,
    OrderState,
    Purpose,
    RequestKind,
    RequestState,
)
from tickwright.engine.deadlines import Deadline
from tickwright.engine.dispatch import Dispatch
from tickwright.engine.lanes import StrategyRun
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.protection_desk import ProtectionDesk
from tickwright.engine.reconcile_desk import ReconcileDesk
from tickwright.engine.restart_desk import RestartDesk
from tickwright.engine.state import TradingState
from tickwright.engine.work_desk import WorkDesk
from tickwright.execution.blotter import Change
from tickwright.execution.life_cycle import IllegalMove
from tickwright.execution.records import Record
from tickwright.portfolio.position import Position
from tickwright.risk.protections import ClosedFill

__all__ = ["EvidenceDesk"]

_ANSWERS = {
    (request, outcome): f"{request.value} {outcome.value}"
    for request in RequestKind
    for outcome in Outcome
}
"""An answer in words."""
# Looking a member up in its class is a Python call, and these are asked for every input.
_NET = Leg.NET
_CREATE = RequestKind.CREATE
_ACCEPTED, _REFUSED, _UNKNOWN = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNKNOWN
_REJECTED, _WORKING = OrderState.REJECTED, OrderState.WORKING
_SENT = RequestState.SENT
_STOP_LOSS = Purpose.STOP_LOSS


class EvidenceDesk:
    """Takes evidence in."""

    def __init__(
        self,
        state: TradingState,
        orders: OrderDesk,
        positions: PositionDesk,
        dispatch: Dispatch,
        protections: ProtectionDesk,
        restart: RestartDesk,
        works: WorkDesk,
    ) -> None:
        self._works = works
        self._state = state
        self._orders = orders
        self._publish = orders.publish
        self._positions = positions
        self._dispatch = dispatch
        self._protections = protections
        self._restart = restart
        self._cancels_adopted = state.config.execution.adopted_orders == "cancel"
        self.reconcile = ReconcileDesk(state)
        self.fill_count = 0
        self.unowned_fill_count = 0
        self.unknown_instrument_count = 0
        self.sync_count = 0
        self.sync_difference_count = 0

    # answers --------------------------------------------------------------------------------------

    def on_reply(self, reply: Reply) -> None:
        """Take in the venue's answer to a request."""
        state = self._state
        change = state.blotter.on_reply(reply, state.moment.now_ns)
        if change is None:
            return
        record = change.record
        words = _ANSWERS[reply.request, reply.outcome]
        self._after(change, f"{words}: {reply.text}" if reply.text else words)
        if reply.outcome is _UNKNOWN:
            self._orders.chase(record)
        elif self._orders.needs_evidence(record):
            if reply.request is not _CREATE and reply.outcome is not _ACCEPTED:
                # Too late, or unknown there: only the order itself can say how it ended.
                self._orders.query(record)
            else:
                self._orders.ask_later(record)
        elif reply.outcome is not _REFUSED and record.order.state is _REJECTED:
            # Taken for rejected, yet the venue accepts it: ask before believing either.
            self._orders.query(record)

    def on_send_outcome(self, outcome: SendOutcome) -> None:
        """Take in what became of the bytes of a request."""
        state = self._state
        change = state.blotter.on_send_outcome(outcome, state.moment.now_ns)
        if change is None:
            return
        if not outcome.is_sent:
            self._after(change, f"{outcome.request.value} not sent: {outcome.reason}")
            record = change.record
            if outcome.request is RequestKind.CANCEL and not record.order.is_final:
                key = record.client_id
                pause_ns = state.config.execution.exit_retry_ms * 1_000_000
                state.deadlines.add(state.now_ns + pause_ns, Deadline.CANCELS, key)
                self._orders.hold_cancel(record)

    def on_absent(self, event: OrderAbsent) -> None:
        """Take in that a query found no such order; two late ones prove it."""
        state = self._state
        record = self._orders.find(event.client_id)
        if record is None or record.order.is_final:
            return
        if not self._orders.is_absence_proven(record, event.asked_ns):
            return
        # It never arrived: the venue refused nothing, and several lost together are no row.
        self._after(state.blotter.on_absent(record, state.now_ns), "", is_refusal=False)

    def on_promises(self, event: PromisesRestored) -> None:
        """Take up what the journal left open and ask the venue about each of it.

        What belongs to no strategy or instrument of this run is told, and cancelled at the sync
        when it shows there.
        """
        state = self._state
        for promised in event.orders:
            record = None
            if promised.instrument_id in state.lanes:
                record = state.blotter.restore(event.account_id, promised, state.now_ns)
            if record is None:
                if self._orders.find(promised.client_id) is None:
                    words = f"{promised.client_id} was promised by an earlier run and is of nobody"
                    state.halt_notice(str(event.account_id), words)
                continue
            self._restart.on_promise(record, promised)
            self._publish(record)
            self._orders.tell(record, record.create.reason)
            self._orders.chase(record)

    # orders ---------------------------------------------------------------------------------------

    def on_report(self, report: OrderReport) -> None:
        """Take in the venue's view of an order, ours or not."""
        state = self._state
        if report.instrument_id not in state.lanes:
            # Nothing here has the rules to work on it: shown, and at a sync cancelled if ours.
            self._foreign(report)
            return
        try:
            change = state.blotter.on_report(report, state.moment.now_ns)
        except IllegalMove as error:
            self._contradiction(report, error)
            return
        if change is None:
            self._foreign(report)
            return
        record = change.record
        record.absent_count = 0
        # It is there: whatever a cancel was told before, the next one finds it.
        record.cancel_due_ns = 0
        self._after(change, report.reason)
        if self._orders.needs_evidence(record):
            self._orders.ask_later(record)
        if record.cancel is not None and record.cancel.is_confirmed and not record.order.is_final:
            # Asked late enough, it lives: the cancel never arrived.
            self._orders.cancel(record, record.cancel_reason)
        elif record.is_adopted and report.account_id in state.view.ready_accounts:
            # Promised before a crash and booked only now.
            self._leave_or_cancel(record)

    def _contradiction(self, report: OrderReport, error: IllegalMove) -> None:
        state = self._state
        state.halt_instrument(report.instrument_id, f"{report.client_id}: {error}")
        record = state.blotter.find(report.account_id, report.client_id, report.venue_id)
        if record is not None:
            self._orders.query(record)

    def _foreign(self, report: OrderReport) -> None:
        moment = self._state.moment
        self._state.outbox.notice(
            OrderNotice(
                client_id=report.client_id,
                strategy_id=None,
                instrument_id=report.instrument_id,
                state=report.state,
                filled_units=report.filled_units,
                reason=report.reason,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
                foreign=report,
            )
        )

    # fills ----------------------------------------------------------------------------------------

    def on_fill(self, fill: Fill) -> None:
        """Fold a row of the venue's executions, once: ledger, order, plan, strategy."""
        state = self._state
        if fill.instrument_id not in state.lanes:
            # Traded elsewhere on the account, in something this process has no rules for.
            self.unknown_instrument_count += 1
            if self.unknown_instrument_count == 1:
                state.halt_notice(
                    str(fill.account_id), f"an execution in {fill.instrument_id}, not configured"
                )
            return
        blotter = state.blotter
        if not blotter.is_new_fill(fill):
            return
        record = blotter.find(fill.account_id, fill.client_id, fill.venue_id)
        if record is None or record.order.intent.leg is not fill.leg:
            fill = self._with_leg(fill, record)
        if blotter.refused_fills and blotter.is_refused_again(fill):
            return
        owner = self._owner(fill) if record is None else record.order.strategy_id
        share = None
        realised = 0
        if owner is not None:
            share = state.portfolio.strategy_position(
                owner, fill.account_id, fill.instrument_id, fill.leg
            )
            realised = share.realised
        effect = state.portfolio.apply_fill(fill, owner)
        if effect is None:
            self._recount(fill)
            return
        if not effect.is_booked:
            blotter.refuse_fill(fill)
            state.halt_instrument(fill.instrument_id, effect.halt_reason)
            return
        if blotter.refused_fills and blotter.was_refused(fill):
            words = f"execution {fill.execution_id} is booked now, as {fill.kind.value}: resume"
            state.halt_notice(str(fill.instrument_id), f"{words} when you have looked at it")
        self.fill_count += 1
        self.reconcile.note_fill(fill)
        self.unowned_fill_count += owner is None and fill.kind.moves_position
        if effect.halt_reason:
            state.halt_instrument(fill.instrument_id, effect.halt_reason)
        self._check_shares(fill.account_id, fill.instrument_id)
        change = self._counted(fill)
        if owner is not None:
            self._follow(owner, fill, share, realised, _is_stop(fill, change))
        else:
            self._follow_forced(fill)
        if change is not None:
            self._publish(change.record)
            state.gate.note_fill(fill.account_id, state.now_ns)
        self._protections.watch_losses(fill.account_id)
        run = None if owner is None else state.runs.get(owner)
        if run is not None and not run.halt_reason:
            self._dispatch.deliver(run.calls["on_fill"], fill)
        if change is not None:
            self._after(change, "fill")

    def _recount(self, fill: Fill) -> None:
        """Count a row for its order alone: an earlier run folded it, and this one knows no order.

        An order adopted from a report began with what had been filled by then.
        """
        blotter = self._state.blotter
        record = blotter.find(fill.account_id, fill.client_id, fill.venue_id)
        if record is None or record.baseline_units:
            return
        change = self._counted(fill)
        if change is not None:
            self._after(change, "a fill that an earlier run counted")

    def _with_leg(self, fill: Fill, record: Record | None) -> Fill:
        """Name the leg of a fill: executions don't, the order that made it does."""
        if fill.leg is not _NET or fill.venue_id is None:
            return fill
        if record is not None:
            leg = record.order.intent.leg
        else:
            foreign = self._state.blotter.foreign.get((fill.account_id, fill.venue_id))
            leg = _NET if foreign is None else foreign.leg
        return fill if leg is _NET else msgspec.structs.replace(fill, leg=leg)

    def _check_shares(self, account_id: AccountId, instrument_id: InstrumentId) -> None:
        """Halt an instrument whose shares don't make up the account's position: a bug of ours."""
        state = self._state
        fault = state.portfolio.attribution_fault(account_id, instrument_id)
        if fault is not None:
            state.halt_instrument(instrument_id, fault)

    def _counted(self, fill: Fill) -> Change | None:
        state = self._state
        try:
            return state.blotter.on_fill(fill, state.now_ns)
        except IllegalMove as error:
            state.halt_instrument(fill.instrument_id, f"{fill.client_id}: {error}")
            return None

    def _owner(self, fill: Fill) -> StrategyId | None:
        """Return whose fill it is; a stop the venue held belongs to the position it guarded."""
        state = self._state
        owner = state.blotter.owner(fill)
        if owner is not None or fill.kind is not ExecutionKind.TRADE or fill.client_id:
            return owner
        for plan in state.lanes[fill.instrument_id].plans:
            if (
                (plan.held.may_fire or (fill.is_of_stop and self._positions.stops.is_alone(plan)))
                and plan.account_id == fill.account_id
                and plan.size_units * fill.side < 0
                and fill.size_units <= abs(plan.size_units)
            ):
                return plan.strategy_id
        return None

    def _follow(
        self,
        owner: StrategyId,
        fill: Fill,
        share: Position | None,
        realised_before: int,
        is_stop: bool | None,  # noqa: FBT001 - one caller
    ) -> None:
        run = self._state.runs.get(owner)
        if run is None or not fill.kind.moves_position:
            return
        run.fill_count += 1
        plan = self._positions.plan(owner, fill.instrument_id)
        # The plan's size, not the share's: dust that nobody can sell keeps no trade open.
        size_before = plan.size_units
        self._positions.refresh(plan)
        realised = 0 if share is None else share.realised - realised_before
        self._note_trade(run, fill, size_before, plan.size_units, realised)
        asset = self._state.lanes[fill.instrument_id].instrument.settle_asset
        self._state.protections.on_fill(
            ClosedFill(
                account_id=fill.account_id,
                strategy_id=owner,
                instrument_id=fill.instrument_id,
                size_before=size_before,
                size_after=plan.size_units,
                money=realised - (fill.fee if fill.fee_asset == asset else 0),
                asset=asset,
                # What the venue held beside a position has no order of ours: it stopped a loss.
                is_stop=realised < 0 if is_stop is None else is_stop,
            ),
            self._state.now_ns,
        )

    def _note_trade(
        self, run: StrategyRun, fill: Fill, before: int, after: int, realised: int
    ) -> None:
        state = self._state
        instrument = state.lanes[fill.instrument_id].instrument
        closed = min(abs(before), fill.size_units) if before * fill.side < 0 else 0
        trade = run.trades.take(
            fill.instrument_id,
            before=before,
            after=after,
            money=realised - (fill.fee if fill.fee_asset == instrument.settle_asset else 0),
            notional=instrument.notional(closed, fill.price_units) if closed else 0,
        )
        if trade is not None:
            run.returns.add(trade.fraction)
            state.gate.note_trade(fill.account_id, run.strategy_id, trade.money, state.view)

    def _follow_forced(self, fill: Fill) -> None:
        """A liquidation or ADL takes from every share: all plans of the instrument look again."""
        for plan in self._state.lanes[fill.instrument_id].plans:
            if plan.account_id == fill.account_id:
                self._positions.refresh(plan)

    # whole accounts -------------------------------------------------------------------------------

    def on_sync(self, report: SyncReport) -> None:
        """Take in the venue's whole private state; the account may trade from here on."""
        state = self._state
        account_id = report.account_id
        self._take_evidence(report)
        differences = state.portfolio.apply_sync(self.reconcile.as_read(_known(report, state)))
        self.sync_difference_count += len(differences)
        self.sync_count += 1
        self._restart.note_reading(report)
        for instrument_id in tuple(state.portfolio.account(account_id).holdings):
            self._check_shares(account_id, instrument_id)
        for plan in tuple(state.plans.values()):
            if plan.account_id == account_id:
                self._positions.refresh(plan)
        for position in report.positions:
            self._positions.stops.on_report(position)
        self._protections.on_sync(account_id)
        state.portfolio.start_day(state.now_ns)
        state.view.ready_accounts.add(account_id)
        self._restart.on_sync(account_id, differences)
        for plan in tuple(state.plans.values()):
            if plan.account_id == account_id:
                self._positions.stops.tend(plan)
        if self._cancels_adopted:
            self._cancel_adopted(account_id, report)
        for event in (*report.balances, *report.positions):
            self.deliver_account(account_id, event)

    def on_reconciliation(self, event: Reconciliation) -> None:
        """Take a reading made while trading: evidence first, then the positions are compared."""
        state = self._state
        report = event.report
        account_id = report.account_id
        if account_id not in state.view.ready_accounts:
            return
        self._take_evidence(report)
        self._restart.note_reading(report)
        for balance in report.balances:
            state.portfolio.apply_balance(balance)
        standing = self.reconcile.compare(report)
        for position in standing:
            self.reconcile.halt(position)
            state.portfolio.adopt_position(position)
            self._check_shares(account_id, position.instrument_id)
        for plan in tuple(state.plans.values()) if standing else ():
            if plan.account_id == account_id:
                self._positions.refresh(plan)
        self._protections.watch_losses(account_id)

    def _take_evidence(self, report: SyncReport) -> None:
        """Fold executions, follow orders, ask about those the venue doesn't list."""
        for fill in report.fills:
            self.on_fill(fill)
        for order in report.orders:
            self.on_report(order)
        told = {order.venue_id for order in report.orders}
        self._ask_for_missing(report.account_id, told, report.venue_ns)

    def _ask_for_missing(
        self, account_id: AccountId, told: set[VenueOrderId], venue_ns: int
    ) -> None:
        """Ask about orders the venue did not list; being absent from a list is no evidence yet."""
        for record in self._state.blotter.live():
            order = record.order
            if (
                order.account_id == account_id
                and order.venue_id not in told
                and record.last_sent_ns < venue_ns
            ):
                self._orders.query(record)

    def _leave_or_cancel(self, record: Record) -> None:
        """Withdraw what an earlier run left, where the configuration says so.

        What nobody has seen at the venue yet is asked about first: there is nothing to withdraw.
        """
        order = record.order
        is_seen = order.state not in (OrderState.INTENDED, OrderState.REJECTED)
        if self._cancels_adopted and record.is_adopted and is_seen and not order.is_final:
            self._orders.cancel(record, "left by an earlier run")

    def _cancel_adopted(self, account_id: AccountId, report: SyncReport) -> None:
        state = self._state
        for record in state.blotter.live():
            if record.order.account_id == account_id:
                self._leave_or_cancel(record)
        for order in report.orders:
            client_id = order.client_id
            if (
                client_id is not None
                and state.client_ids.is_ours(client_id)
                and order.state not in FINAL_STATES
                and (
                    state.client_ids.owner(client_id) is None
                    or order.instrument_id not in state.lanes
                )
            ):
                # Ours by its prefix, of a strategy or in an instrument no longer configured.
                state.outbox.command(
                    CancelOrder(
                        account_id=account_id,
                        client_id=ClientId(client_id),
                        venue_id=order.venue_id,
                        instrument_id=order.instrument_id,
                        event_id=state.moment.event_id,
                    )
                )

    def on_balance(self, report: BalanceReport) -> None:
        """Take in the venue's view of one asset."""
        self._state.portfolio.apply_balance(report)
        self._protections.watch_losses(report.account_id)
        self.deliver_account(report.account_id, report)

    def on_position(self, report: PositionReport) -> None:
        """Take in what the venue says of a position: the stops it holds, its margin."""
        self._positions.stops.on_report(report)
        self._state.portfolio.note_position(report)
        self.deliver_account(report.account_id, report)

    def on_totals(self, report: AccountState) -> None:
        """Take in what the venue says of a whole account."""
        self._state.portfolio.note_totals(report)
        self.deliver_account(report.account_id, report)

    def deliver_account(self, account_id: AccountId, event: object) -> None:
        """Tell the strategies of an account about a report of it."""
        calls = self._dispatch.account_calls.get(account_id)
        if calls:
            self._dispatch.deliver(calls, event)

    # afterwards -----------------------------------------------------------------------------------

    def _after(self, change: Change, reason: str, *, is_refusal: bool = True) -> None:
        """Let everybody know of a change of one of our orders."""
        record = change.record
        order = record.order
        state = self._state
        self._publish(record)
        if change.anomaly is not None:
            state.halt_instrument(order.instrument_id, f"{change.anomaly.value}: {order.client_id}")
        if not (
            change.is_moved or change.is_request_moved or change.is_filled or change.is_amended
        ):
            # No news.
            return
        self._orders.tell(record, reason)
        run = state.runs.get(order.strategy_id)
        if change.is_moved and run is not None and is_refusal:
            self._count_rejects(run, record)
        if order.state in FINAL_STATES and record.is_settled:
            self._positions.on_settled(record)
        elif record.reported_filled_units > order.filled_units:
            self._orders.ask_later(record)
        if run is not None and not run.halt_reason:
            calls = run.calls["on_order"]
            if calls:
                self._dispatch.deliver(calls, order)
        if order.parent_id is not None:
            self._works.on_child(record)

    def on_answer_due(self, kind: RequestKind, client_id: str) -> None:
        """Take a request that nobody answered in time for unknown, and let everybody know."""
        record = self._state.blotter.find_ours(ClientId(client_id))
        request = None if record is None else record.request(kind)
        if record is None or request is None or request.state is not _SENT:
            # Answered, as nearly always, or asked about already.
            return
        change = self._orders.on_answer_due(record, request)
        if change is not None:
            self._after(change, "no answer: unknown")

    def _count_rejects(self, run: StrategyRun, record: Record) -> None:
        """Count equal refusals in a row: what the venue says thrice it means."""
        order = record.order
        protections = self._state.protections
        if order.state is _REJECTED:
            now_ns = self._state.now_ns
            protections.on_reject(order.account_id, run.strategy_id, order.reason, now_ns)
        elif order.filled_units or order.state is _WORKING:
            protections.on_taken(run.strategy_id)


def _is_stop(fill: Fill, change: Change | None) -> bool | None:
    """Whether a fill is of a stop loss of ours; None when no order of ours stands behind it."""
    if change is not None:
        return change.record.order.intent.purpose is _STOP_LOSS
    return None if fill.client_id is None else False


def _known(report: SyncReport, state: TradingState) -> SyncReport:
    """Leave out positions in instruments this process has no rules for."""
    positions: list[PositionReport] = [
        position for position in report.positions if position.instrument_id in state.lanes
    ]
    if len(positions) == len(report.positions):
        return report
    return msgspec.structs.replace(report, positions=tuple(positions))
