"""Owns a trade session: auth, timestamped requests, acknowledgements; refuses events.

An acknowledgement means accepted; what became of the order is told on the private stream.
"""

from collections import deque
from random import Random
from typing import Any

import msgspec

from tickwright.simulator.faults import FaultBoard, FaultKind
from tickwright.simulator.private.accounts import Accounts, ApiKey
from tickwright.simulator.private.auth import authorise_socket, check_time
from tickwright.simulator.private.limits import AddressLimits
from tickwright.simulator.private.refusals import VenueRefusal, parameter
from tickwright.simulator.private.service import SOCKET_OPS, Answer, Service
from tickwright.simulator.private.session import ACTIVE_NS_DEFAULT, PrivateSession
from tickwright.simulator.session import Line
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["REQUEST_IDS_KEPT", "TradeSession"]

REQUEST_IDS_KEPT = 10_000
"""Latest reqIds of a connection that a new one may not repeat."""

_REQUEST_ID_LENGTH_MAX = 36


class TradeSession(PrivateSession):
    """One client on `/v5/trade`."""

    def __init__(
        self,
        line: Line,
        conn_id: str,
        venue: SimulatedVenue,
        faults: FaultBoard,
        accounts: Accounts,
        service: Service,
        addresses: AddressLimits,
        registry: "dict[TradeSession, None]",
        rng: Random,
        *,
        active_ns: int = ACTIVE_NS_DEFAULT,
        reply_delay_s: float = 0.0,
    ) -> None:
        super().__init__(line, conn_id, venue, faults, active_ns)
        self._accounts = accounts
        self._service = service
        self._addresses = addresses
        self._registry = registry
        self._rng = rng
        self._reply_delay_s = reply_delay_s
        self.key: ApiKey | None = None
        self._ids: set[str] = set()
        self._ids_in_order: deque[str] = deque()

    def open(self, address: str = "") -> None:
        """Count in."""
        super().open(address)
        self._registry[self] = None

    def close(self) -> None:
        """Count out."""
        super().close()
        self._registry.pop(self, None)

    def on_request(self, text: bytes) -> bool:
        """Carry out one text frame."""
        self.heard()
        self._carry_out(text)
        return True

    def _carry_out(self, text: bytes) -> None:
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._service_answer("", "", 10001, "Failed to decode incoming data")
            return
        req_id = message.get("reqId", "")
        op = message.get("op")
        if not isinstance(req_id, str) or not isinstance(op, str):
            self._service_answer("", str(op), 10001, "params error: reqId or op invalid")
        elif op == "ping":
            now = str(self.clock_ms())
            pong: dict[str, Any] = {"reqId": req_id} if req_id else {}
            pong |= {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [now]}
            self.send(pong | {"connId": self.conn_id})
        elif op == "auth":
            self._authorise(message.get("args"), req_id)
        else:
            self._request(op, req_id, message)

    def _authorise(self, args: Any, req_id: str) -> None:
        if self.key is not None:
            self._service_answer(req_id, "auth", 20001, "Repeat auth")
            return
        try:
            self.key = authorise_socket(self._accounts, args, self.clock_ms())
        except VenueRefusal as refusal:
            self._service_answer(req_id, "auth", refusal.code, refusal.text)
            return
        self._service_answer(req_id, "auth", 0, "OK")

    def _request(self, op: str, req_id: str, message: dict[str, Any]) -> None:
        """Carry out an order request, or refuse it with its code."""
        now_ms = self.clock_ms()
        try:
            if self.key is None:
                raise VenueRefusal(10005, "Permission denied, the connection is not authorized")
            if op not in SOCKET_OPS:
                raise VenueRefusal(10404, "op type is not found")
            if not self._addresses.is_allowed(self.address, now_ms):
                raise VenueRefusal(10403, "Exceed the IP rate limit")
            self._check_id(req_id)
            body = self._body(message, now_ms)
        except VenueRefusal as refusal:
            self._order_answer(op, req_id, Answer(refusal.code, refusal.text))
            return
        reply = self._service.submit(self.key, op, body, "trade")
        if reply.answer is None:
            if reply.fault is not FaultKind.REPLY_DROPPED:
                self.line.cut()
            return
        answer = reply.answer
        delay_s = reply.delay_s if reply.fault is not None else self._reply_delay_s
        if delay_s:
            due_ns = self._venue.now_ns + int(delay_s * 1e9)
            self._venue.schedule(due_ns, lambda _: self._order_answer(op, req_id, answer))
        else:
            self._order_answer(op, req_id, answer)

    def _check_id(self, req_id: str) -> None:
        if len(req_id) > _REQUEST_ID_LENGTH_MAX:
            raise parameter("params error: reqId is longer than 36")
        if not req_id:
            return
        if req_id in self._ids:
            raise VenueRefusal(20006, "reqId is duplicated")
        self._ids.add(req_id)
        self._ids_in_order.append(req_id)
        if len(self._ids_in_order) > REQUEST_IDS_KEPT:
            self._ids.discard(self._ids_in_order.popleft())

    def _body(self, message: dict[str, Any], now_ms: int) -> dict[str, Any]:
        header = message.get("header")
        if not isinstance(header, dict) or "X-BAPI-TIMESTAMP" not in header:
            raise parameter("params error: X-BAPI-TIMESTAMP is missing")
        check_time(header["X-BAPI-TIMESTAMP"], header.get("X-BAPI-RECV-WINDOW"), now_ms)
        args = message.get("args")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise parameter("params error: args must hold one object")
        body: dict[str, Any] = args[0]
        if body.get("category") not in ("linear", "spot", "inverse", "option"):
            raise VenueRefusal(10404, "category is not correct")
        return body

    def _service_answer(self, req_id: str, op: str, code: int, text: str) -> None:
        message: dict[str, Any] = {"reqId": req_id} if req_id else {}
        message |= {"retCode": code, "retMsg": text, "op": op, "connId": self.conn_id}
        self.send(message)

    def _order_answer(self, op: str, req_id: str, answer: Answer) -> None:
        now = str(self.clock_ms())
        header = {"Traceid": f"{self._rng.getrandbits(128):032x}", "Timenow": now}
        if answer.budget is not None:
            header = {
                "X-Bapi-Limit": str(answer.budget.limit),
                "X-Bapi-Limit-Status": str(answer.budget.left),
                "X-Bapi-Limit-Reset-Timestamp": str(answer.budget.reset_ms),
                **header,
            }
        message: dict[str, Any] = {"reqId": req_id} if req_id else {}
        message |= {"retCode": answer.code, "retMsg": answer.text, "op": op, "data": answer.result}
        if answer.code == 0:
            message["retExtInfo"] = answer.extra
        self.send(message | {"header": header, "connId": self.conn_id})
