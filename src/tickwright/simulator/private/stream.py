"""Owns a private stream session: auth, subscriptions, events of one account; refuses orders.

Topics come all-in-one (`order`) or per category (`order.linear`); one request may not mix both.
No topic begins with a snapshot.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.simulator.faults import (
    DAMAGE_KINDS,
    EVENT_KINDS,
    Fault,
    FaultBoard,
    FaultKind,
)
from tickwright.simulator.private.accounts import Accounts, ApiKey
from tickwright.simulator.private.auth import authorise_socket
from tickwright.simulator.private.dcp import DCP_TOPICS, Disconnection
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.private.session import ACTIVE_NS_DEFAULT, PrivateSession
from tickwright.simulator.private.shapes import Row, fast_execution_row
from tickwright.simulator.session import Line
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["StreamSession"]

_TOPIC = re.compile(r"(order|execution\.fast|execution|position|wallet)(?:\.(linear|spot))?")
_DCP = re.compile(r"(dcp)\.(future|spot|option)")
_EVENT_FAULTS = (
    EVENT_KINDS
    | (DAMAGE_KINDS - {FaultKind.MISSING_FIELD, FaultKind.LONG_NUMBER})
    | {
        FaultKind.TOPIC_OUTAGE,
        FaultKind.CUT,
        FaultKind.VANISH,
        FaultKind.SILENCE_SOCKET,
        FaultKind.SILENCE_TOPIC,
    }
)
_FOREVER_NS = 1 << 62

_encode = msgspec.json.Encoder().encode


class StreamSession(PrivateSession):
    """One client on `/v5/private`."""

    def __init__(
        self,
        line: Line,
        conn_id: str,
        venue: SimulatedVenue,
        faults: FaultBoard,
        accounts: Accounts,
        registry: "dict[StreamSession, None]",
        disconnection: Disconnection,
        *,
        active_ns: int = ACTIVE_NS_DEFAULT,
    ) -> None:
        super().__init__(line, conn_id, venue, faults, active_ns)
        self._accounts = accounts
        self._registry = registry
        self._disconnection = disconnection
        self.key: ApiKey | None = None
        self.topics: set[str] = set()
        self._sent = 0
        self._held: bytes | None = None
        self._silent_until_ns = 0
        self._silent_topics: dict[str, int] = {}

    def open(self, address: str = "") -> None:
        """Take part in publishing."""
        super().open(address)
        self._registry[self] = None

    def close(self) -> None:
        """Take part no more; a guarding topic that goes starts its window."""
        if self.is_open:
            super().close()
            self._registry.pop(self, None)
            self._guard(self.topics, joins=False)

    def _guard(self, topics: Iterable[str], *, joins: bool) -> None:
        for topic in DCP_TOPICS:
            if topic in topics and self.key is not None:
                count = self._disconnection.joined if joins else self._disconnection.left
                count(self.key.account, topic)

    # requests ---------------------------------------------------------------------------------

    def on_request(self, text: bytes) -> bool:
        """Carry out one text frame.

        Answers leave with the next turn: no network is faster, and there are clients that note
        what they subscribed only after they have sent it.
        """
        self.heard()
        self._carry_out(text)
        return False

    def subscribe(self, key: ApiKey, *topics: str) -> None:
        """Subscribe an account's topics without requests and their answers.

        Raises:
            ConfigError: a topic that the venue refuses; then none is subscribed.
        """
        reason = self._reason(list(topics))
        if reason is not None:
            raise ConfigError(reason)
        self.key = key
        self._guard(topics, joins=True)
        self.topics.update(topics)

    def _carry_out(self, text: bytes) -> None:
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            self._answer("", "", "Failed to decode incoming data")
            return
        if not isinstance(message, dict):
            self._answer("", "", "Failed to decode incoming data")
            return
        req_id = message.get("req_id", "")
        req_id = req_id if isinstance(req_id, str) else str(req_id)
        op = message.get("op")
        if op == "ping":
            now_ms = self.clock_ms()
            pong: dict[str, Any] = {"req_id": req_id} if req_id else {}
            self.send(pong | {"op": "pong", "args": [str(now_ms)], "conn_id": self.conn_id})
        elif op == "auth":
            self._authorise(message.get("args"), req_id)
        elif op in ("subscribe", "unsubscribe"):
            self._subscribe(op, message.get("args"), req_id)
        else:
            self._answer(op if isinstance(op, str) else "", req_id, "error:invalid op")

    def _authorise(self, args: Any, req_id: str) -> None:
        try:
            self.key = authorise_socket(self._accounts, args, self.clock_ms())
        except VenueRefusal as refusal:
            self._answer("auth", req_id, refusal.text)
            return
        self._answer("auth", req_id, None)

    def _subscribe(self, op: str, args: Any, req_id: str) -> None:
        if self.key is None:
            self._answer(op, req_id, "Request not authorized")
            return
        if not isinstance(args, list) or not args or not all(isinstance(a, str) for a in args):
            self._answer(op, req_id, "error:params error")
            return
        reason = self._reason(args) if op == "subscribe" else None
        if reason is not None:
            self._answer(op, req_id, reason)
            return
        if op == "subscribe":
            self._guard(args, joins=True)
            self.topics.update(args)
        else:
            self._guard(self.topics & set(args), joins=False)
            self.topics.difference_update(args)
        self._answer(op, req_id, None)

    def _reason(self, topics: list[str]) -> str | None:
        """Say why a subscription is refused whole, or None."""
        kinds: dict[str, set[bool]] = {}
        for topic in topics:
            if topic in DCP_TOPICS and topic not in self.topics:
                continue
            found = _TOPIC.fullmatch(topic) if topic not in DCP_TOPICS else _DCP.fullmatch(topic)
            if found is None or (found[2] and found[1] == "wallet"):
                return f"error:handler not found,topic:{topic}"
            if found[1] == "position" and found[2] == "spot":
                return f"error:handler not found,topic:{topic}"
            if topic in self.topics:
                return f"error:already subscribed,topic:{topic}"
            kinds.setdefault(found[1], set()).add(found[2] is None)
        if any(len(kind) > 1 for kind in kinds.values()):
            return "error:all-in-one and categorised topics cannot be in one request"
        return None

    def _answer(self, op: str, req_id: str, fault: str | None) -> None:
        message: dict[str, Any] = {"success": fault is None, "ret_msg": fault or "", "op": op}
        if req_id:
            message["req_id"] = req_id
        self.send(message | {"conn_id": self.conn_id})

    # events -----------------------------------------------------------------------------------

    def publish(self, topic: str, rows: list[Row]) -> None:
        """Tell the client about rows of `order`, `execution`, `position` or `wallet`."""
        self._publish_as(topic, topic, rows)
        if topic == "execution":
            trades = [fast_execution_row(row) for row in rows if row["execType"] == "Trade"]
            self._publish_as("execution.fast", "execution.fast", trades)

    def _publish_as(self, name: str, topic: str, rows: list[Row]) -> None:
        if name in self.topics:
            self._deliver(topic, rows)
        for category in ("linear", "spot"):
            if f"{name}.{category}" in self.topics:
                chosen = [row for row in rows if row["category"] == category]
                self._deliver(f"{topic}.{category}", chosen)

    def _deliver(self, topic: str, rows: list[Row]) -> None:
        if not rows:
            return
        assert self.key is not None
        now_ns = self._venue.now_ns
        self._sent += 1
        message: Row = {
            "id": f"{self.key.account.uid}_{self.conn_id[:8]}_{self._sent}",
            "topic": topic,
            "creationTime": self.clock_ms(),
            "data": rows,
        }
        if topic.startswith("execution.fast"):
            del message["id"]
        payload = _encode(message)
        if now_ns < max(self._silent_until_ns, self._silent_topics.get(topic, 0)):
            return
        fault = self._faults.strike(_EVENT_FAULTS, "private", (topic,), now_ns)
        held, self._held = self._held, None
        if fault is None:
            self.send_bytes(payload)
        else:
            self._suffer(fault, topic, payload)
        if held is not None:
            self.send_bytes(held)

    def _suffer(self, fault: Fault, topic: str, payload: bytes) -> None:
        kind, spec = fault.spec.kind, fault.spec
        until_ns = _FOREVER_NS
        if spec.duration_s:
            until_ns = self._venue.now_ns + int(spec.duration_s * 1e9)
        if kind is FaultKind.TOPIC_OUTAGE:
            return
        if kind is FaultKind.CUT:
            self.line.cut()
        elif kind is FaultKind.VANISH:
            self.line.vanish()
        elif kind is FaultKind.SILENCE_SOCKET:
            self._silent_until_ns = until_ns
        elif kind is FaultKind.SILENCE_TOPIC:
            self._silent_topics[topic] = until_ns
        elif kind is FaultKind.DUPLICATE_EVENT:
            self.send_bytes(payload)
            self.send_bytes(payload)
        elif kind is FaultKind.REORDER_EVENT:
            self._held = payload
        else:
            self.send_bytes(self._faults.damage(kind, payload))
