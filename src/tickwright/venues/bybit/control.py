"""Owns telling what a frame of any Bybit socket is; refuses to decode its data.

The sockets disagree on shapes: a pong has `op` "ping" on spot and linear and "pong" elsewhere, the
option socket acknowledges without `op`, the order-entry socket spells its keys in camel case.
"""

import enum

import msgspec

from tickwright.core.errors import FrameError
from tickwright.venues.bybit.wire import Control, TopicVerdicts, read, shortened

__all__ = ["Classified", "FrameKind", "classify"]


class FrameKind(enum.Enum):
    """What a frame is, whatever socket it came from."""

    BOOK = "book"
    TRADES = "trades"
    TICKER = "ticker"
    CANDLE = "candle"
    LIQUIDATION = "liquidation"
    PRICE_LIMIT = "price_limit"
    ORDERS = "orders"
    EXECUTIONS = "executions"
    POSITIONS = "positions"
    WALLET = "wallet"
    OTHER_DATA = "other_data"
    """A topic we know no decoder for."""
    PONG = "pong"
    AUTH = "auth"
    SUBSCRIPTION = "subscription"
    """An answer to subscribe or unsubscribe, good or bad."""
    REPLY = "reply"
    """An answer of the order-entry socket to an order request."""
    ERROR = "error"
    """A refusal of something that names no operation we know."""
    UNKNOWN = "unknown"


class Classified(msgspec.Struct, frozen=True, gc=False):
    """A frame told apart: its topic if it carries data, else what it answers and how.

    `is_success` of a reply means code 0. `request_id` is "" when the frame has none.
    `topics_refused` is filled by the option socket alone; elsewhere a refusal concerns the whole
    request.
    """

    kind: FrameKind
    topic: str = ""
    op: str = ""
    request_id: str = ""
    is_success: bool = False
    code: int = 0
    text: str = ""
    topics_refused: tuple[str, ...] = ()


_DATA = {
    "orderbook": FrameKind.BOOK,
    "publicTrade": FrameKind.TRADES,
    "tickers": FrameKind.TICKER,
    "kline": FrameKind.CANDLE,
    "allLiquidation": FrameKind.LIQUIDATION,
    "priceLimit": FrameKind.PRICE_LIMIT,
    "order": FrameKind.ORDERS,
    "execution": FrameKind.EXECUTIONS,
    "position": FrameKind.POSITIONS,
    "wallet": FrameKind.WALLET,
}


def classify(frame: bytes) -> Classified:
    """Tell what a frame is.

    `execution.fast` counts as other data: it lacks fees and, for maker fills, our id.

    Raises:
        FrameError: the frame isn't a JSON object of a shape any socket sends.
    """
    control = read(frame, Control)
    if control.topic:
        head = control.topic.partition(".")[0]
        kind = _DATA.get(head, FrameKind.OTHER_DATA)
        if control.topic == "execution.fast" or control.topic.startswith("execution.fast."):
            kind = FrameKind.OTHER_DATA
        return Classified(kind, topic=control.topic)
    text = control.ret_msg or control.retMsg or ""
    code = control.retCode or 0
    success = control.success if control.success is not None else control.retCode == 0
    request_id = control.req_id or control.reqId or ""
    op = control.op
    if control.request is not None:
        op = op or control.request.op
        request_id = request_id or control.request.req_id or ""
    refused: tuple[str, ...] = ()
    if op == "pong" or text == "pong":
        kind, success = FrameKind.PONG, True
    elif control.type == "COMMAND_RESP":
        kind, op = FrameKind.SUBSCRIPTION, op or "subscribe"
        refused = _refused_topics(control, frame)
    elif op in ("subscribe", "unsubscribe"):
        kind = FrameKind.SUBSCRIPTION
    elif op == "auth":
        kind = FrameKind.AUTH
    elif op.startswith("order."):
        kind = FrameKind.REPLY
    elif control.success is False or code != 0:
        kind = FrameKind.ERROR
    else:
        kind = FrameKind.UNKNOWN
    return Classified(kind, "", op, request_id, success, code, text, refused)


def _refused_topics(control: Control, frame: bytes) -> tuple[str, ...]:
    try:
        verdicts = msgspec.json.decode(control.data, type=TopicVerdicts)
    except ValueError as error:
        raise FrameError(f"subscription answer: {error}: {shortened(frame)}") from None
    return tuple(verdicts.failTopics)
