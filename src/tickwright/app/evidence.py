"""Owns one line of evidence about an order, and the words for what the engine took in.

Every line says where it comes from: the journal, the session's recorded inputs, a replay of them,
the log of the run, or the state folder. Refuses to guess: what an input doesn't say isn't told.
"""

import msgspec

from tickwright.core.commands import AmendOrder, CancelAll, CancelOrder, PlaceOrder
from tickwright.core.events import (
    ConnectionChanged,
    Input,
    OperatorCommand,
    OrderAbsent,
    OrderReport,
    PromisesRestored,
    Reply,
    SendOutcome,
)
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill
from tickwright.core.units import money_to_decimal
from tickwright.core.work import Work, WorkRecord
from tickwright.storage.journal import JournalEntry, Settled

__all__ = ["EvidenceLine", "EvidenceWords", "Subject"]


class EvidenceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing known about an order.

    `time_ns` is ours, UTC; `venue_ns` is the venue's where it told one. `event_id` numbers the
    engine's input that it is, or that caused it, within the run of `epoch`.
    """

    time_ns: int
    source: str
    kind: str
    text: str
    epoch: int | None = None
    event_id: int | None = None
    venue_ns: int | None = None


class Subject(msgspec.Struct):
    """The order asked about, as it becomes known."""

    client_id: str
    venue_id: str = ""

    def is_named_in(self, payload: bytes) -> bool:
        """Whether a recorded input names the order; cheap, and never wrong about a "no"."""
        if self.client_id.encode() in payload:
            return True
        return bool(self.venue_id) and self.venue_id.encode() in payload


class EvidenceWords:
    """Writes units as exact text where the instrument is known."""

    def __init__(self, instrument: Instrument | None) -> None:
        self.instrument = instrument

    def size(self, units: int) -> str:
        """Write a size."""
        if self.instrument is None:
            return f"{units} units"
        return self.instrument.size_text(units)

    def price(self, units: int | None) -> str:
        """Write a price; a market order has none."""
        if units is None:
            return "market"
        if self.instrument is None:
            return f"{units} units"
        return self.instrument.price_text(units)

    # what we asked for --------------------------------------------------------------------------

    def place(self, order: PlaceOrder) -> str:
        """Say what a create asks for."""
        side = "buy" if order.side > 0 else "sell"
        parts = [
            f"{side} {self.size(order.size_units)} {order.instrument_id.symbol}",
            f"{order.order_type.value} {self.price(order.price_units)}"
            if order.price_units is not None
            else "at market",
            order.time_in_force.value,
        ]
        parts += ["post-only"] if order.post_only else []
        parts += ["reduce-only"] if order.reduce_only else []
        for name, units in (
            ("trigger", order.trigger_price_units),
            ("stop loss", order.stop_loss_price_units),
            ("take profit", order.take_profit_price_units),
        ):
            if units is not None:
                parts.append(f"{name} {self.price(units)}")
        if order.work is not None:
            parts.append(self._child(order.work))
        return ", ".join(parts)

    def _child(self, work: WorkRecord) -> str:
        return (
            f"order {work.child_count + 1} of work {work.work_id} ({work.intent.kind}, "
            f"{self.size(work.filled_units)} of {self.size(work.intent.size_units)} filled before)"
        )

    def work(self, work: Work) -> str:
        """Say how a work stands."""
        reason = f": {work.reason}" if work.reason else ""
        return (
            f"work {work.work_id} ({work.intent.kind}) {work.state.value}, "
            f"{self.size(work.filled_units)} of {self.size(work.size_units)} filled{reason}"
        )

    def entry(self, entry: JournalEntry) -> tuple[str, str] | None:
        """Say what a journal entry is: its kind and its words."""
        record = entry.record
        if isinstance(record, PlaceOrder):
            return "promise", f"promised before its bytes left: {self.place(record)}"
        if isinstance(record, AmendOrder):
            return "promise", f"promised amend: {self._amend(record)}"
        if isinstance(record, CancelOrder):
            return "cancel", "noted that its cancel was sent"
        if isinstance(record, CancelAll):
            return "cancel", "noted that a cancel of all orders was sent"
        if isinstance(record, Settled):
            return "settled", f"ended {record.state.value}, {self.size(record.filled_units)} filled"
        return None

    def _amend(self, order: AmendOrder) -> str:
        parts = []
        if order.price_units is not None:
            parts.append(f"price {self.price(order.price_units)}")
        if order.size_units is not None:
            parts.append(f"size {self.size(order.size_units)}")
        return ", ".join(parts)

    def command(self, command: object) -> tuple[str, str] | None:
        """Say what the engine asked of the world."""
        if isinstance(command, PlaceOrder):
            return "command", f"create: {self.place(command)}"
        if isinstance(command, AmendOrder):
            return "command", f"amend: {self._amend(command)}"
        if isinstance(command, CancelOrder):
            return "command", "cancel"
        if isinstance(command, CancelAll):
            return "command", "cancel all orders"
        return "query", "asks the venue what became of it"

    # what came in -------------------------------------------------------------------------------

    def event(self, event: Input) -> tuple[str, str, int | None] | None:
        """Say what an input is: kind, words, the venue's time; None for what isn't about orders."""
        if isinstance(event, SendOutcome):
            if not event.is_sent:
                return "unsent", f"{event.request.value}: never left: {event.reason}", None
            return "sent", f"{event.request.value}: bytes handed to the socket", None
        if isinstance(event, Reply):
            code = f" (code {event.code}: {event.text})" if event.code or event.text else ""
            name = f", venue id {event.venue_id}" if event.venue_id else ""
            text = f"{event.request.value}: {event.outcome.value}{code}{name}"
            return "reply", text, event.venue_ns or None
        if isinstance(event, OrderReport):
            return "report", self.report(event), event.venue_ns or None
        if isinstance(event, Fill):
            return "execution", self.fill(event), event.venue_ns or None
        if isinstance(event, OrderAbsent):
            return "absent", "neither in open orders nor in history nor in executions", None
        if isinstance(event, OperatorCommand):
            words = f"{event.verb.value} {event.scope}: {event.reason}"
            return "operator", words, None
        if isinstance(event, ConnectionChanged):
            state = "is up" if event.is_up else "is down"
            return "connection", f"{event.venue} {event.channel} {state} {event.reason}", None
        if isinstance(event, PromisesRestored):
            return "restored", "a later run took the promise from the journal: unknown", None
        return None

    def report(self, report: OrderReport) -> str:
        """Say what the venue says of an order."""
        source = "query" if report.is_from_query else "stream"
        reason = f": {report.reason}" if report.reason else ""
        held = f", {report.client_id or report.venue_id} attached to it" if report.parent_id else ""
        return (
            f"{source} says {report.state.value}, {self.size(report.filled_units)} of "
            f"{self.size(report.size_units)} filled{held}{reason}"
        )

    def fill(self, fill: Fill) -> str:
        """Say what an execution is."""
        side = "buy" if fill.side > 0 else "sell"
        fee = f"{money_to_decimal(fill.fee).normalize():f} {fill.fee_asset}"
        role = "maker" if fill.is_maker else "taker"
        return (
            f"{fill.kind.value} {side} {self.size(fill.size_units)} at "
            f"{self.price(fill.price_units)}, {role}, fee {fee}, execution {fill.execution_id}"
        )
