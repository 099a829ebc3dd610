"""Owns all our orders, by client id and venue id, and what the venue showed of others' orders.

Refuses to count a fill twice and to let an older report undo a newer one. Everything is bounded:
settled orders are kept in a ring of `FINAL_ORDERS_MAX`, execution ids in one of
`EXECUTION_IDS_MAX`, rows that nobody could book in one of `REFUSED_FILLS_MAX`, foreign orders in
one of `FOREIGN_ORDERS_MAX`; the oldest leaves first. A fill
that repeats after its id left would count twice, so queries must not reach back further than that
many executions.
"""

import enum
from collections.abc import Iterator

import msgspec

from tickwright.core.events import OrderReport, Outcome, PromisedOrder, Reply, SendOutcome
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId, VenueOrderId
from tickwright.core.orders import (
    FINAL_STATES,
    Fill,
    Order,
    OrderIntent,
    OrderState,
    Purpose,
    RequestKind,
    RequestState,
    Side,
    TimeInForce,
    TriggerBy,
)
from tickwright.execution.client_ids import ClientIds
from tickwright.execution.life_cycle import EVIDENCE_OF_REPORT, Evidence, RequestEvent
from tickwright.execution.records import Record, Request, Working

__all__ = [
    "EXECUTION_IDS_MAX",
    "FINAL_ORDERS_MAX",
    "FOREIGN_ORDERS_MAX",
    "LIVE_ORDERS_MAX",
    "Anomaly",
    "Blotter",
    "Change",
    "Working",
]

LIVE_ORDERS_MAX = 10_000
"""Orders not settled; the planner opens no more at this bound."""
FINAL_ORDERS_MAX = 4_096
EXECUTION_IDS_MAX = 65_536
# Looking a member up in its class is a Python call, and these are asked for every order.
_CREATE, _AMEND = RequestKind.CREATE, RequestKind.AMEND
_INTENDED, _REJECTED = OrderState.INTENDED, OrderState.REJECTED
_ACCEPTED, _REFUSED, _UNKNOWN = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNKNOWN
_ACKNOWLEDGED = Evidence.ACKNOWLEDGED
_FILLED_WHOLE, _FILLED_PART = Evidence.FILLED_WHOLE, Evidence.FILLED_PART
_LOST = RequestState.UNKNOWN
_ANSWER, _EVIDENCE = RequestEvent.ANSWER, RequestEvent.EVIDENCE
_BUY = Side.BUY
FOREIGN_ORDERS_MAX = 1_024
REFUSED_FILLS_MAX = 256


class Anomaly(enum.Enum):
    """What must not happen and did: the instrument is halted until a person looks."""

    OVERFILL = "overfill"
    """Executions exceed the size of the order."""
    REVIVED = "revived"
    """An order we took for rejected exists."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one input did to one order.

    `is_moved`: its state changed; `is_filled`: an execution; `is_amended`: it has another price or
    size now.
    """

    record: Record
    before: OrderState
    is_moved: bool = False
    is_filled: bool = False
    is_request_moved: bool = False
    is_amended: bool = False
    anomaly: Anomaly | None = None


class Blotter:
    """Every order of ours. Methods take inputs and say what changed; nobody else changes one."""

    def __init__(self, client_ids: ClientIds, *, evidence_delay_ns: int) -> None:
        self.client_ids = client_ids
        self._evidence_delay_ns = evidence_delay_ns
        self.foreign: dict[tuple[AccountId, VenueOrderId], OrderReport] = {}
        """Orders on our accounts that are not ours: shown, never touched."""
        self.duplicate_fill_count = 0
        self.older_report_count = 0
        self.overfill_count = 0
        self._live: dict[ClientId, Record] = {}
        self._final: dict[ClientId, Record] = {}
        self._by_venue_id: dict[tuple[AccountId, VenueOrderId], Record] = {}
        self._execution_ids: dict[tuple[AccountId, InstrumentId, str], None] = {}
        self.refused_fills: dict[tuple[AccountId, InstrumentId, str], Fill] = {}
        """Rows that nobody could book, by execution."""
        self._working: dict[tuple[AccountId, InstrumentId], Working] = {}

    # reading --------------------------------------------------------------------------------------

    def find(
        self,
        account_id: AccountId,
        client_id: ClientId | None,
        venue_id: VenueOrderId | None = None,
    ) -> Record | None:
        """Return the record of an order, by our name or the venue's."""
        if client_id is not None:
            record = self._live.get(client_id) or self._final.get(client_id)
            if record is not None:
                return record
        return None if venue_id is None else self._by_venue_id.get((account_id, venue_id))

    def find_ours(self, client_id: ClientId) -> Record | None:
        """Return the record of an order by the name we gave it."""
        return self._live.get(client_id) or self._final.get(client_id)

    def live(self) -> Iterator[Record]:
        """Yield every order that isn't settled, oldest first."""
        return iter(tuple(self._live.values()))

    def live_orders(self, strategy_id: StrategyId) -> tuple[Order, ...]:
        """Return a strategy's orders that are not final, oldest first."""
        found = []
        for record in self._live.values():
            order = record.order
            if order.strategy_id == strategy_id and order.state not in FINAL_STATES:
                found.append(order)
        return tuple(found)

    @property
    def live_count(self) -> int:
        """How many orders are not settled."""
        return len(self._live)

    def finals(self) -> Iterator[Record]:
        """Yield the settled orders still remembered, oldest first."""
        return iter(tuple(self._final.values()))

    def working(self, account_id: AccountId, instrument_id: InstrumentId) -> Working:
        """Return the ready sums of an instrument."""
        try:
            return self._working[account_id, instrument_id]
        except KeyError:
            working = self._working[account_id, instrument_id] = Working()
            return working

    def owner(self, fill: Fill) -> StrategyId | None:
        """Return whose fill it is: by client id, by known venue id, by parent; None is nobody's."""
        record = self.find(fill.account_id, fill.client_id, fill.venue_id)
        if record is not None:
            return record.order.strategy_id
        owner = self.client_ids.owner(fill.client_id)
        if owner is None and fill.venue_id is not None:
            foreign = self.foreign.get((fill.account_id, fill.venue_id))
            if foreign is not None and foreign.parent_id is not None:
                parent = self.find(fill.account_id, foreign.parent_id)
                owner = (
                    parent.order.strategy_id
                    if parent is not None
                    else self.client_ids.owner(foreign.parent_id)
                )
        return owner

    # our own doing --------------------------------------------------------------------------------

    def open(self, order: Order, now_ns: int) -> Record:
        """Take in an order whose create is about to be sent."""
        assert order.client_id not in self._live, "a client id is given once"
        assert order.state is _INTENDED, "a new order is intended"
        working = self.working(order.account_id, order.instrument_id)
        size_units, intent = order.size_units, order.intent
        buy, sell = (size_units, 0) if intent.side is _BUY else (0, size_units)
        record = Record(
            order,
            Request(_CREATE, now_ns),
            working,
            counted_buy_units=buy,
            counted_sell_units=sell,
            counted_open=1,
        )
        self._live[order.client_id] = record
        # What `_count` makes of a new order, without asking it about fills, amends and answers
        # that can't be there yet: a third of the time, and every order waits for it.
        if intent.reduce_only:
            working.reduce_buy_units += buy
            working.reduce_sell_units += sell
        else:
            working.buy_units += buy
            working.sell_units += sell
        working.open_orders += 1
        return record

    def restore(self, account_id: AccountId, promised: PromisedOrder, now_ns: int) -> Record | None:
        """Take up an order an earlier run promised: whether it was ever sent is unknown.

        None when it is known already or belongs to no strategy of this run.
        """
        client_id = promised.client_id
        owner = self.client_ids.owner(client_id)
        if owner is None or self.find_ours(client_id) is not None:
            return None
        intent = OrderIntent(
            instrument_id=promised.instrument_id,
            side=promised.side,
            size_units=promised.size_units,
            order_type=promised.order_type,
            price_units=promised.price_units,
            time_in_force=promised.time_in_force,
            post_only=promised.post_only,
            reduce_only=promised.reduce_only,
            leg=promised.leg,
            purpose=Purpose.CLOSE if promised.reduce_only else Purpose.OPEN,
            trigger_price_units=promised.trigger_price_units,
            reason="restored: an earlier run promised it",
        )
        order = Order(
            client_id=client_id,
            strategy_id=owner,
            account_id=account_id,
            intent=intent,
            instrument_id=intent.instrument_id,
            price_units=intent.price_units,
            size_units=promised.size_units,
            cause_event_id=0,
            created_ns=now_ns,
        )
        record = self.open(order, now_ns)
        record.is_adopted = True
        self.lose(record, RequestKind.CREATE, "the run that promised it ended")
        return record

    def start_cancel(self, record: Record, now_ns: int, reason: str) -> bool:
        """Note a cancel about to be sent; False when one is under way or the order is final."""
        if record.order.is_final or record.is_cancelling:
            return False
        record.cancel = Request(RequestKind.CANCEL, now_ns)
        record.cancel_reason = reason
        return True

    def start_amend(
        self, record: Record, now_ns: int, *, price_units: int | None, size_units: int | None
    ) -> bool:
        """Note an amend about to be sent; False when final or something else is under way."""
        amend = record.amend
        if record.order.state in FINAL_STATES or record.is_cancelling:
            return False
        if amend is not None and not amend.is_confirmed:
            # Accepted is not shown yet: until then the order counts with the larger of both sizes.
            return False
        record.amend = Request(_AMEND, now_ns, price_units=price_units, size_units=size_units)
        if size_units is not None:
            # Another price changes no sum; the amend before it was confirmed, as looked at above.
            self._count(record)
        return True

    def lose(self, record: Record, kind: RequestKind, reason: str) -> Change:
        """Note that the answer of a request won't come: it is unknown until evidence says more."""
        before = record.order.state
        request = record.request(kind)
        moved = False
        if request is not None:
            moved = request.move(RequestEvent.LOST)
            request.reason = reason
        self._count(record)
        return Change(record, before, is_request_moved=moved)

    # what the world says --------------------------------------------------------------------------

    def on_send_outcome(self, outcome: SendOutcome, now_ns: int) -> Change | None:
        """Take in what became of the bytes of a request; None when the order isn't ours."""
        record = self._live.get(outcome.client_id) or self._final.get(outcome.client_id)
        request = None if record is None else record.request(outcome.request)
        if record is None or request is None:
            return None
        before = record.order.state
        if outcome.is_sent:
            if request.is_open and outcome.sent_ns:
                request.sent_ns = outcome.sent_ns
            return Change(record, before)
        if not request.is_open:
            # It was resolved by evidence before we heard that its bytes never left (a cancel that
            # waits while its order fills): what the venue showed stands.
            return None
        moved = request.move(RequestEvent.NOT_SENT)
        request.outcome = Outcome.REFUSED
        request.reason = outcome.reason
        is_moved = False
        if outcome.request is _CREATE:
            is_moved = record.move(Evidence.NOT_SENT, now_ns, outcome.reason or "not sent")
        self._count(record)
        return Change(record, before, is_moved=is_moved, is_request_moved=moved)

    def on_reply(self, reply: Reply, now_ns: int) -> Change | None:
        """Take in the venue's answer to a request; None when it isn't about an order of ours."""
        record = self._live.get(reply.client_id) or self._final.get(reply.client_id)
        request = None if record is None else record.request(reply.request)
        if record is None or request is None:
            return None
        if reply.outcome is _UNKNOWN:
            return self.lose(record, reply.request, reply.text)
        order = record.order
        before = order.state
        was_lost = request.state is _LOST
        moved = request.move(_ANSWER)
        request.outcome = reply.outcome
        request.reason = reply.text
        is_moved = False
        if order.venue_id is None and reply.venue_id is not None:
            self._name(record, reply.venue_id)
        if reply.request is _CREATE:
            if reply.outcome is _REFUSED:
                # Only an order nobody saw yet can be refused: an answer can't unmake evidence.
                if order.state is _INTENDED:
                    is_moved = record.move(Evidence.REFUSED, now_ns, f"{reply.code}: {reply.text}")
            else:
                is_moved = record.move(_ACKNOWLEDGED, now_ns)
        elif reply.request is _AMEND and reply.outcome is _REFUSED:
            request.is_confirmed = True
        if was_lost or reply.outcome is not _ACCEPTED:
            # Else nothing it counts by has changed: accepted is not shown yet.
            self._count(record)
        return Change(record, before, is_moved=is_moved, is_request_moved=moved)

    def on_report(self, report: OrderReport, now_ns: int) -> Change | None:
        """Take in the venue's view of an order; None when it isn't ours, and it is kept as foreign.

        Raises:
            IllegalMove: the report is newer than what was final and contradicts it.
        """
        client_id = report.client_id
        # Ours names itself, and lives: every report waits for the look-up.
        record = None if client_id is None else self._live.get(client_id)
        if record is None:
            record = self.find(report.account_id, client_id, report.venue_id)
        if record is None:
            return self._on_unknown_order(report, now_ns)
        order = record.order
        before = order.state
        if order.venue_id is None:
            self._name(record, report.venue_id)
        if self._is_older(record, report):
            self.older_report_count += 1
            # However old, it proves that the create arrived.
            moved = record.create.is_open and record.create.move(_EVIDENCE)
            self._count(record)
            return Change(record, before, is_request_moved=bool(moved))
        evidence = EVIDENCE_OF_REPORT[report.state]
        was_rejected = before is _REJECTED
        is_moved = record.move(evidence, now_ns, report.reason)
        if report.venue_ns > order.venue_updated_ns:
            order.venue_updated_ns = report.venue_ns
        if report.filled_units > record.reported_filled_units:
            record.reported_filled_units = report.filled_units
        terms = (order.price_units, order.size_units)
        self._take_amended(record, report)
        self._count(record)
        anomaly = Anomaly.REVIVED if is_moved and was_rejected else None
        is_amended = terms != (order.price_units, order.size_units)
        return Change(record, before, is_moved=is_moved, is_amended=is_amended, anomaly=anomaly)

    def on_fill(self, fill: Fill, now_ns: int) -> Change | None:
        """Count a fill of an order of ours; None for a duplicate, or when the order isn't known.

        Ask `is_new_fill` first: it remembers the execution id.
        """
        if not fill.kind.moves_position:
            return None
        record = self.find(fill.account_id, fill.client_id, fill.venue_id)
        if record is None:
            return None
        order = record.order
        before = order.state
        if order.venue_id is None and fill.venue_id is not None:
            self._name(record, fill.venue_id)
        record.count_fill(fill)
        size = record.size_units_max
        is_whole = order.filled_units >= size
        is_moved = record.move(_FILLED_WHOLE if is_whole else _FILLED_PART, now_ns)
        anomaly = None
        if order.filled_units > size:
            self.overfill_count += 1
            anomaly = Anomaly.OVERFILL
        elif is_moved and before is _REJECTED:
            anomaly = Anomaly.REVIVED
        self._count(record)
        return Change(record, before, is_moved=is_moved, is_filled=True, anomaly=anomaly)

    def is_new_fill(self, fill: Fill) -> bool:
        """Whether this execution was never seen; it is remembered from now on."""
        key = (fill.account_id, fill.instrument_id, fill.execution_id)
        if key in self._execution_ids:
            self.duplicate_fill_count += 1
            return False
        if len(self._execution_ids) >= EXECUTION_IDS_MAX:
            del self._execution_ids[next(iter(self._execution_ids))]
        self._execution_ids[key] = None
        return True

    def refuse_fill(self, fill: Fill) -> None:
        """Take a row for not seen: nobody could book it, and it may be told again as what it is."""
        key = (fill.account_id, fill.instrument_id, fill.execution_id)
        self._execution_ids.pop(key, None)
        if len(self.refused_fills) >= REFUSED_FILLS_MAX and key not in self.refused_fills:
            del self.refused_fills[next(iter(self.refused_fills))]
        self.refused_fills[key] = fill

    def is_refused_again(self, fill: Fill) -> bool:
        """Whether a row that nobody could book is told once more, and no better than before."""
        key = (fill.account_id, fill.instrument_id, fill.execution_id)
        refused = self.refused_fills.get(key)
        if refused is None or _terms(refused) != _terms(fill):
            return False
        self._execution_ids.pop(key, None)
        return True

    def was_refused(self, fill: Fill) -> bool:
        """Whether a row that is booked now could not be before; that is forgotten from now on."""
        key = (fill.account_id, fill.instrument_id, fill.execution_id)
        return self.refused_fills.pop(key, None) is not None

    def on_absent(self, record: Record, now_ns: int) -> Change:
        """Conclude from enough late, empty queries that the order does not exist (any more)."""
        before = record.order.state
        is_moved = False
        if not record.order.is_final:
            is_moved = record.move(Evidence.ABSENT, now_ns, "the venue knows no such order")
        for request in (record.create, record.amend, record.cancel):
            if request is not None and request.is_open:
                request.move(_EVIDENCE)
        self._count(record)
        return Change(record, before, is_moved=is_moved, is_request_moved=not is_moved)

    def refresh(self, record: Record) -> None:
        """Count a record anew after one of its requests was taken back."""
        self._count(record)

    # inside ---------------------------------------------------------------------------------------

    def _is_older(self, record: Record, report: OrderReport) -> bool:
        order = record.order
        if report.filled_units < order.filled_units and report.state not in FINAL_STATES:
            # We know executions this report does not: it is from before them.
            return True
        if report.filled_units != record.reported_filled_units:
            return report.filled_units < record.reported_filled_units
        if report.venue_ns != order.venue_updated_ns:
            return report.venue_ns < order.venue_updated_ns
        # At one moment a final state is the later one.
        return order.is_final and report.state not in FINAL_STATES

    def _on_unknown_order(self, report: OrderReport, now_ns: int) -> Change | None:
        owner = self.client_ids.owner(report.client_id)
        if owner is None or report.client_id is None or report.state in FINAL_STATES:
            self._keep_foreign(report)
            return None
        # Our prefix and no record: an earlier run of ours sent it. It is ours again.
        record = self._adopt(report, report.client_id, owner, now_ns)
        return Change(record, OrderState.INTENDED, is_moved=True)

    def _adopt(
        self, report: OrderReport, client_id: ClientId, owner: StrategyId, now_ns: int
    ) -> Record:
        intent = OrderIntent(
            instrument_id=report.instrument_id,
            side=report.side,
            size_units=report.size_units,
            order_type=report.order_type,
            price_units=report.price_units,
            time_in_force=TimeInForce.GTC,
            reduce_only=report.reduce_only,
            leg=report.leg,
            purpose=Purpose.CLOSE if report.reduce_only else Purpose.OPEN,
            trigger_price_units=report.trigger_price_units,
            trigger_by=TriggerBy.LAST,
            reason="adopted: an earlier run sent it",
        )
        order = Order(
            client_id=client_id,
            strategy_id=owner,
            account_id=report.account_id,
            intent=intent,
            instrument_id=intent.instrument_id,
            price_units=intent.price_units,
            size_units=report.size_units,
            cause_event_id=0,
            created_ns=report.venue_ns or now_ns,
            parent_id=report.parent_id,
        )
        record = self.open(order, report.venue_ns or now_ns)
        record.is_adopted = True
        record.baseline_units = report.filled_units
        order.filled_units = report.filled_units
        record.reported_filled_units = report.filled_units
        order.venue_updated_ns = report.venue_ns
        self._name(record, report.venue_id)
        record.move(EVIDENCE_OF_REPORT[report.state], now_ns, report.reason)
        self._count(record)
        return record

    def _keep_foreign(self, report: OrderReport) -> None:
        key = (report.account_id, report.venue_id)
        self.foreign.pop(key, None)
        if report.state in FINAL_STATES and report.parent_id is None:
            return
        # A finished order that was attached to one of ours stays: its executions may trail.
        if len(self.foreign) >= FOREIGN_ORDERS_MAX:
            del self.foreign[next(iter(self.foreign))]
        self.foreign[key] = report

    def _take_amended(self, record: Record, report: OrderReport) -> None:
        order = record.order
        amend = record.amend
        if report.size_units > 0 and report.size_units != order.size_units:
            order.size_units = report.size_units
        if report.price_units is not None and order.price_units is not None:
            order.price_units = report.price_units
        if (
            amend is not None
            and not amend.is_confirmed
            and (
                (
                    amend.size_units in (None, report.size_units)
                    and amend.price_units in (None, report.price_units)
                )
                or self._is_late(amend, report)
            )
        ):
            amend.move(_EVIDENCE)
        cancel = record.cancel
        if cancel is not None and cancel.is_unknown and self._is_late(cancel, report):
            # Asked late enough and still alive: the cancel never arrived, another may be sent.
            cancel.move(_EVIDENCE)

    def _is_late(self, request: Request, report: OrderReport) -> bool:
        late_ns = request.sent_ns + self._evidence_delay_ns
        return report.is_from_query and report.received_ns >= late_ns

    def _name(self, record: Record, venue_id: VenueOrderId) -> None:
        """Take the venue's name of an order that had none."""
        record.order.venue_id = venue_id
        key = (record.order.account_id, venue_id)
        self._by_venue_id[key] = record
        self.foreign.pop(key, None)

    def _count(self, record: Record) -> None:
        """Bring the ready sums up to date with one record, and move it to the ring when settled."""
        intent, working = record.order.intent, record.working
        live, unknown, is_settled = record.standing()
        is_open = 0 if is_settled else 1
        buy, sell = (live, 0) if intent.side is _BUY else (0, live)
        if (
            buy == record.counted_buy_units
            and sell == record.counted_sell_units
            and unknown == record.counted_unknown
            and is_open == record.counted_open
        ):
            return
        if intent.reduce_only:
            working.reduce_buy_units += buy - record.counted_buy_units
            working.reduce_sell_units += sell - record.counted_sell_units
        else:
            working.buy_units += buy - record.counted_buy_units
            working.sell_units += sell - record.counted_sell_units
        record.counted_buy_units = buy
        record.counted_sell_units = sell
        working.unknown_requests += unknown - record.counted_unknown
        record.counted_unknown = unknown
        working.open_orders += is_open - record.counted_open
        record.counted_open = is_open
        if not is_open and record.client_id in self._live:
            del self._live[record.client_id]
            self._keep_final(record)
        elif is_open and record.client_id in self._final:
            del self._final[record.client_id]
            self._live[record.client_id] = record

    def _keep_final(self, record: Record) -> None:
        if len(self._final) >= FINAL_ORDERS_MAX:
            oldest = self._final.pop(next(iter(self._final)))
            if oldest.order.venue_id is not None:
                self._by_venue_id.pop((oldest.order.account_id, oldest.order.venue_id), None)
        self._final[record.client_id] = record


def _terms(fill: Fill) -> tuple[object, ...]:
    """Return what decides whether a row can be booked."""
    return (fill.kind, fill.side, fill.size_units, fill.price_units, fill.leg)
