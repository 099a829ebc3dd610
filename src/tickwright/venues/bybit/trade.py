"""Owns order entry over a Bybit socket: encode, match, time out; refuses sockets and clocks.

Every request gets exactly one outcome or stays unknown: an answer that came too late, was lost
with its socket or can't be read proves nothing. A definite answer after a time-out still counts.
Of several requests in one message each gets its own.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from tickwright.core.commands import PlaceOrder
from tickwright.core.errors import FrameError
from tickwright.core.events import Outcome, RateLimitReport, Reply
from tickwright.core.identity import AccountId, ClientId, VenueOrderId
from tickwright.core.orders import RequestKind
from tickwright.net.listener import FrameSink
from tickwright.net.session import Action
from tickwright.venues.bybit.control import Classified, FrameKind, classify
from tickwright.venues.bybit.errors import Reaction, is_time_refused, outcome_of, reaction_of
from tickwright.venues.bybit.login import IDLE_PING_NS, Login
from tickwright.venues.bybit.order_batch import BATCH_OPS, ItemVerdict, batch_text, verdicts_of
from tickwright.venues.bybit.order_encode import (
    OrderEncoder,
    OrderForm,
    PlainRow,
    request_kind_of,
)
from tickwright.venues.bybit.private import BytesSink
from tickwright.venues.bybit.private_wire import BatchReply, LimitHeader, TradeReply
from tickwright.venues.bybit.sign import RECV_WINDOW_MS, Credentials
from tickwright.venues.bybit.wire import read_strict, shortened
from tickwright.venues.port import (
    AccountHost,
    Encoded,
    EncodedBatch,
    OrderRequest,
    PricedRequest,
    Unsendable,
)

__all__ = ["OUTSTANDING_MAX", "TradeCounts", "TradeSession", "limit_report"]

OUTSTANDING_MAX = 4_096
"""Most messages without an answer; at this bound new ones are refused."""
LATE_MAX = 1_024
"""Most timed-out requests whose late answer is still recognised."""
REPLY_MARGIN_NS = 1_000_000_000
"""An answer is waited for this much longer than the venue accepts the request."""
_RESTARTING = frozenset({10016, 10019})
_REQUEST_ID_LENGTH_MAX = 36

_PING = b'{"reqId":"ping","op":"ping"}'
_OPS = {
    RequestKind.CREATE: "order.create",
    RequestKind.AMEND: "order.amend",
    RequestKind.CANCEL: "order.cancel",
}


class _Header(msgspec.Struct, frozen=True, gc=False):
    timestamp: str = msgspec.field(name="X-BAPI-TIMESTAMP")
    recv_window: str = msgspec.field(name="X-BAPI-RECV-WINDOW")


class _Request(msgspec.Struct, frozen=True, gc=False):
    reqId: str  # noqa: N815
    header: _Header
    op: str
    args: tuple[OrderForm]


class _Outstanding(msgspec.Struct, frozen=True, gc=False):
    """A message that waits for its answer; a batch has several client ids and an op of its own."""

    client_ids: tuple[ClientId, ...]
    kind: RequestKind
    category: str
    deadline_ns: int
    op: str


class TradeCounts(msgspec.Struct):
    """What one session has seen; counts only ever rise."""

    requests: int = 0
    replies: int = 0
    late_replies: int = 0
    timeouts: int = 0
    lost: int = 0
    unmatched: int = 0
    last_refusal: str = ""


class TradeSession:
    """Thinks for the order-entry socket; see `net.session` and `port.OrderChannel`.

    Args:
        encoder: makes the venue's order rows from requests.
        wake: called when the session wants to be polled at once.
        on_clock_doubt: called when the venue refuses our time.
    """

    def __init__(
        self,
        account_id: AccountId,
        credentials: Credentials,
        encoder: OrderEncoder,
        host: AccountHost,
        *,
        wake: Callable[[], None] | None = None,
        recv_window_ms: int = RECV_WINDOW_MS,
        idle_ping_ns: int = IDLE_PING_NS,
        on_clock_doubt: Callable[[], None] | None = None,
    ) -> None:
        self.on_clock_doubt = on_clock_doubt
        self.counts = TradeCounts()
        self.wake = wake
        self._account_id = account_id
        self._encoder = encoder
        self._host = host
        self._login = Login(credentials, ping=_PING, idle_ping_ns=idle_ping_ns)
        self._recv_window = str(recv_window_ms)
        self._patience_ns = recv_window_ms * 1_000_000 + REPLY_MARGIN_NS
        # In order of their deadlines, because all are given the same patience.
        self._outstanding: OrderedDict[str, _Outstanding] = OrderedDict()
        self._late: OrderedDict[str, _Outstanding] = OrderedDict()
        self._number = 0
        self._json = msgspec.json.Encoder()
        self._sink = BytesSink(self.on_frame)

    @property
    def sink(self) -> FrameSink:
        """Where the connection's frames go."""
        return self._sink

    @property
    def is_proven(self) -> bool:
        """Whether this connection is logged in."""
        return self._login.is_logged_in

    is_ready = is_proven

    def set_clock_offset(self, offset_ns: int) -> None:
        """Say how far the venue's clock is ahead of ours; requests are stamped with its time."""
        self._login.offset_ns = offset_ns

    def on_connected(self, now_ns: int) -> None:
        """Start over on a new socket."""
        self._login.connected(now_ns)

    def on_disconnected(self, reason: str, now_ns: int) -> None:
        """Every request under way is unknown from now on."""
        self._login.disconnected()
        self.counts.lost += sum(len(one.client_ids) for one in self._outstanding.values())
        while self._outstanding:
            _, request = self._outstanding.popitem(last=False)
            self._give_up(request, f"trade socket lost: {reason}", now_ns)

    def encode(
        self, request: OrderRequest, now_ns: int, *, last_price_units: int | None = None
    ) -> Encoded | Unsendable:
        """Make the bytes of a request and wait for its answer from now on.

        Call `not_sent` when the socket didn't take them. `last_price_units` tells a conditional
        order whether its trigger lies above or below the market; see `OrderEncoder`.
        """
        kind = request_kind_of(request)
        obstacle = self._obstacle()
        if obstacle:
            return Unsendable(request.client_id, kind, obstacle)
        row = self._row(request, now_ns, last_price_units)
        if type(row) is Unsendable:
            return row
        request_id = self._request_id(request)
        timestamp_ms = (now_ns + self._login.offset_ns) // 1_000_000
        if isinstance(row, PlainRow):
            # The encoder made sure that the client id needs no escape.
            message = self._message(request_id, timestamp_ms, "order.create", row.text)
        else:
            header = _Header(str(timestamp_ms), self._recv_window)
            message = self._json.encode(_Request(request_id, header, _OPS[kind], (row,)))
        self._outstanding[request_id] = _Outstanding(
            (request.client_id,), kind, row.category, now_ns + self._patience_ns, _OPS[kind]
        )
        self.counts.requests += 1
        return Encoded(request_id, request.client_id, kind, message)

    def encode_batch(self, requests: Sequence[PricedRequest], now_ns: int) -> EncodedBatch:
        """Make one message of several requests and wait for its answer from now on.

        All are of one kind and product line, at most `BATCH_MAX`. What can't be sent is told apart
        from what is; without anything to send the message is empty.
        """
        kind = request_kind_of(requests[0][0])
        obstacle = self._obstacle()
        if obstacle:
            return EncodedBatch("", b"", (), tuple((one, obstacle) for one, _ in requests))
        rows: list[PlainRow | OrderForm] = []
        sent: list[OrderRequest] = []
        refused: list[tuple[OrderRequest, str]] = []
        for request, last_price_units in requests:
            row = self._row(request, now_ns, last_price_units)
            if type(row) is Unsendable:
                refused.append((request, row.reason))
            else:
                rows.append(row)
                sent.append(request)
        if not rows:
            return EncodedBatch("", b"", (), tuple(refused))
        request_id = self._request_id(sent[0])
        timestamp_ms = (now_ns + self._login.offset_ns) // 1_000_000
        message = self._message(request_id, timestamp_ms, BATCH_OPS[kind], batch_text(rows))
        self._outstanding[request_id] = _Outstanding(
            tuple(one.client_id for one in sent),
            kind,
            rows[0].category,
            now_ns + self._patience_ns,
            BATCH_OPS[kind],
        )
        self.counts.requests += len(sent)
        return EncodedBatch(request_id, message, tuple(sent), tuple(refused))

    def not_sent(self, request_id: str) -> None:
        """Forget a message whose bytes never left."""
        message = self._outstanding.pop(request_id, None)
        if message is not None:
            self.counts.requests -= len(message.client_ids)

    def _obstacle(self) -> str:
        if not self._login.is_logged_in:
            return "the trade socket is not logged in"
        if len(self._outstanding) >= OUTSTANDING_MAX:
            return f"{OUTSTANDING_MAX} requests unanswered"
        return ""

    def _row(
        self, request: OrderRequest, now_ns: int, last_price_units: int | None
    ) -> PlainRow | OrderForm | Unsendable:
        if isinstance(request, PlaceOrder):
            row = self._encoder.plain_row(request, now_ns)
            if row is not None:
                return row
        return self._encoder.row(request, now_ns, last_price_units=last_price_units)

    def _request_id(self, request: OrderRequest) -> str:
        self._number += 1
        number = f"-{self._number}"
        return request.client_id[: _REQUEST_ID_LENGTH_MAX - len(number)] + number

    def _message(self, request_id: str, timestamp_ms: int, op: str, arguments: str) -> bytes:
        return (
            f'{{"reqId":"{request_id}","header":{{"X-BAPI-TIMESTAMP":"{timestamp_ms}",'
            f'"X-BAPI-RECV-WINDOW":"{self._recv_window}"}},"op":"{op}",'
            f'"args":[{arguments}]}}'
        ).encode()

    def poll(self, now_ns: int) -> list[Action]:
        """Give up on late answers; return what to send now, or the end of the connection."""
        while self._outstanding:
            request_id, request = next(iter(self._outstanding.items()))
            if now_ns < request.deadline_ns:
                break
            del self._outstanding[request_id]
            self.counts.timeouts += len(request.client_ids)
            self._late[request_id] = request
            if len(self._late) > LATE_MAX:
                self._late.popitem(last=False)
            self._give_up(request, "no answer in time", now_ns)
        return self._login.poll(now_ns)

    def on_frame(self, frame: bytes, now_ns: int) -> None:
        """Read one frame; nothing it holds can raise."""
        self._login.heard(now_ns)
        try:
            what = classify(frame)
            if what.kind is FrameKind.REPLY:
                self._reply(read_strict(frame, TradeReply), frame, now_ns)
            elif what.kind is FrameKind.AUTH:
                self._auth(what, now_ns)
            elif what.kind is not FrameKind.PONG:
                self._unmatched(f"unexpected: {shortened(frame)}", now_ns)
                if what.code in _RESTARTING:
                    self._restart(what.code, what.text)
        except FrameError as error:
            self._unmatched(str(error), now_ns)

    def _auth(self, what: Classified, now_ns: int) -> None:
        if self._login.answered(what):
            self._host.on_ready("trade", now_ns)
        else:
            # A wrong time is one cause, and the venue's words for it are those of others.
            self._doubt_clock()
            self._host.on_login_refused("trade", what.code, what.text, now_ns)
        self._wake()

    def _reply(self, reply: TradeReply, frame: bytes, now_ns: int) -> None:
        request = self._outstanding.pop(reply.reqId, None)
        if request is None:
            request = self._late.pop(reply.reqId, None)
            if request is None:
                # Some refusals carry no id; the request they belong to will time out.
                text = shortened(reply.retMsg)
                self._unmatched(f"answer {reply.retCode} to no request: {text}", now_ns)
                if reply.retCode in _RESTARTING:
                    self._restart(reply.retCode, reply.retMsg)
                return
            self.counts.late_replies += len(request.client_ids)
        self.counts.replies += len(request.client_ids)
        if is_time_refused(reply.retCode):
            self._doubt_clock()
        verdicts = self._verdicts(request, reply, frame)
        for client_id, verdict in zip(request.client_ids, verdicts, strict=True):
            self._host.on_event(
                Reply(
                    account_id=self._account_id,
                    client_id=client_id,
                    request=request.kind,
                    outcome=verdict.outcome,
                    code=verdict.code,
                    text=verdict.text[:200],
                    venue_id=VenueOrderId(verdict.venue_id) if verdict.venue_id else None,
                    venue_ns=_milliseconds(reply.header.time) * 1_000_000,
                ),
                now_ns,
            )
        # Batches have a budget of their own at the venue; ours counts every order in one.
        report = limit_report(
            self._account_id,
            f"{request.kind.value}.{request.category}",
            reply.header,
            is_exceeded=any(verdict.code == 10006 for verdict in verdicts),
            offset_ns=self._login.offset_ns,
            now_ns=now_ns,
        )
        if report is not None:
            self._host.on_event(report, now_ns)
        if reply.retCode in _RESTARTING:
            self._restart(reply.retCode, reply.retMsg)

    def _verdicts(
        self, request: _Outstanding, reply: TradeReply, frame: bytes
    ) -> Sequence[ItemVerdict]:
        """Return what an answer proves about each request of its message."""
        code, text, kind = reply.retCode, reply.retMsg, request.kind
        if reply.op != request.op:
            # The right number on somebody else's answer proves nothing.
            return [ItemVerdict(Outcome.UNKNOWN, code, text) for _ in request.client_ids]
        if request.op != _OPS[kind]:
            try:
                its = read_strict(frame, BatchReply) if code == 0 else BatchReply()
            except FrameError as error:
                return [ItemVerdict(Outcome.UNKNOWN, 0, str(error)) for _ in request.client_ids]
            return verdicts_of(request.client_ids, kind, code, text, its.data, its.retExtInfo)
        outcome = outcome_of(code, kind)
        if reply.data.orderLinkId and reply.data.orderLinkId != request.client_ids[0]:
            outcome = Outcome.UNKNOWN
        venue_id = reply.data.orderId if outcome is Outcome.ACCEPTED else ""
        return (ItemVerdict(outcome, code, text, venue_id),)

    def _restart(self, code: int, text: str) -> None:
        assert reaction_of(code) is Reaction.UNKNOWN
        self._login.fail(f"the venue restarts: {code} {text[:100]}")
        self._wake()

    def _give_up(self, request: _Outstanding, reason: str, now_ns: int) -> None:
        for client_id in request.client_ids:
            self._host.on_event(
                Reply(
                    account_id=self._account_id,
                    client_id=client_id,
                    request=request.kind,
                    outcome=Outcome.UNKNOWN,
                    code=0,
                    text=reason[:200],
                ),
                now_ns,
            )

    def _unmatched(self, text: str, now_ns: int) -> None:
        self.counts.unmatched += 1
        self.counts.last_refusal = text
        self._host.on_unreadable("trade", text, now_ns)

    def _doubt_clock(self) -> None:
        if self.on_clock_doubt is not None:
            self.on_clock_doubt()

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()


def limit_report(
    account_id: AccountId,
    group: str,
    header: LimitHeader,
    *,
    is_exceeded: bool,
    offset_ns: int,
    now_ns: int,
) -> RateLimitReport | None:
    """Return what an answer's headers say of a request budget, in our time; None when nothing.

    `is_exceeded` says that the venue refused for the rate: then nothing is left for at least a
    second, whatever the headers say.
    """
    limit = _milliseconds(header.limit)
    if limit == 0 and not is_exceeded:
        return None
    reset_ns = _milliseconds(header.reset) * 1_000_000
    reset_ns = reset_ns - offset_ns if reset_ns else 0
    if is_exceeded:
        reset_ns = max(reset_ns, now_ns + 1_000_000_000)
    return RateLimitReport(
        account_id=account_id,
        group=group,
        limit=limit,
        remaining=0 if is_exceeded else _milliseconds(header.remaining),
        reset_ns=reset_ns,
    )


def _milliseconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0
