"""Owns what the public WebSocket answers, per category: acks, refusals, pongs; refuses sockets.

A refused subscribe request is refused whole: none of its topics is subscribed.
"""

import enum
from collections.abc import Callable, Set
from typing import Any

import msgspec

from tickwright.core.identity import Category

__all__ = ["ARGS_CHARACTERS_MAX", "SPOT_ARGS_MAX", "Ask", "PublicWire", "Request"]

ARGS_CHARACTERS_MAX = 21_000
"""Characters of args one public connection may carry, over its active subscriptions."""
SPOT_ARGS_MAX = 10

_encode = msgspec.json.Encoder().encode


class Ask(enum.Enum):
    """What a well-formed request wants of the connection."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    PING = "ping"


class Request(msgspec.Struct, frozen=True):
    """A decoded request: `topics` for subscribe and unsubscribe."""

    ask: Ask
    req_id: str
    topics: tuple[str, ...] = ()


class PublicWire:
    """The wording of one category's socket.

    `exists(topic)` says whether the category has a topic. `decode` gives a request to carry out or
    the text of a refusal; the text of success is asked for afterwards.
    """

    def __init__(self, category: Category, conn_id: str, exists: Callable[[str], bool]) -> None:
        self.category = category
        self.conn_id = conn_id
        self._exists = exists

    def decode(self, text: bytes, active: Set[str]) -> Request | bytes:
        """Read one text frame: a request that may be carried out, or the refusal to send back."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            return self._refusal(f"Failed to decode incoming data: {error}", "", "")
        if not isinstance(message, dict):
            return self._refusal("Failed to decode incoming data: not an object", "", "")
        req_id = message.get("req_id", "")
        req_id = req_id if isinstance(req_id, str) else str(req_id)
        op = message.get("op")
        if op == "ping":
            return Request(Ask.PING, req_id)
        if op not in ("subscribe", "unsubscribe"):
            return self._refusal("error:invalid op", req_id, op if isinstance(op, str) else "")
        args = message.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(a, str) for a in args):
            return self._refusal("error:params error", req_id, op)
        topics = tuple(args)
        reason = self._reason(topics, active) if op == "subscribe" else None
        if reason is not None:
            return self._refusal(reason, req_id, op)
        return Request(Ask(op), req_id, topics)

    def _reason(self, topics: tuple[str, ...], active: Set[str]) -> str | None:
        if self.category is Category.SPOT and len(topics) > SPOT_ARGS_MAX:
            return f"args size >{SPOT_ARGS_MAX}"
        characters = sum(map(len, active)) + sum(map(len, topics)) + 3 * (len(active) + len(topics))
        if characters > ARGS_CHARACTERS_MAX:
            return f"args length >{ARGS_CHARACTERS_MAX}"
        seen = set(active)
        for topic in topics:
            if not self._exists(topic):
                if self.category is Category.SPOT and topic.count("."):
                    return f"Invalid symbol :[{topic}]"
                return f"error:handler not found,topic:{topic}"
            if topic in seen:
                return f"error:already subscribed,topic:{topic}"
            seen.add(topic)
        return None

    def ack(self, request: Request) -> bytes:
        """The success answer of a subscribe or unsubscribe."""
        if self.category is Category.OPTION:
            topics = {"failTopics": [], "successTopics": list(request.topics)}
            frame: dict[str, Any] = {"success": True, "conn_id": self.conn_id, "data": topics}
            return _encode(frame | {"type": "COMMAND_RESP"})
        ret_msg = request.ask.value if self.category is Category.SPOT else ""
        return self._answer(ret_msg, request.req_id, request.ask.value, success=True)

    def pong(self, request: Request, now_ms: int) -> bytes:
        """The answer to a ping, in the shape of the category."""
        if self.category is Category.OPTION:
            return _encode({"args": [str(now_ms)], "op": "pong"})
        frame: dict[str, Any] = {"success": True, "ret_msg": "pong", "conn_id": self.conn_id}
        if self.category is not Category.SPOT:
            frame["req_id"] = request.req_id
        return _encode(frame | {"op": "ping"})

    def refuse(self, request: Request) -> bytes:
        """A refusal of a request that could have been carried out (a fault on command)."""
        reason = f"error:handler not found,topic:{request.topics[0]}"
        return self._refusal(reason, request.req_id, request.ask.value)

    def _refusal(self, ret_msg: str, req_id: str, op: str) -> bytes:
        return self._answer(ret_msg, req_id, op, success=False)

    def _answer(self, ret_msg: str, req_id: str, op: str, *, success: bool) -> bytes:
        return _encode(
            {
                "success": success,
                "ret_msg": ret_msg,
                "conn_id": self.conn_id,
                "req_id": req_id,
                "op": op,
            }
        )
