"""Owns Bybit's public messages as structs and the strict reading of JSON; refuses to interpret.

Unknown fields are ignored, a missing vital field or a wrong type is a `FrameError` that keeps the
beginning of the raw text. `read_strict` also refuses what lenient readers let pass: a repeated key,
NaN, bytes that are not UTF-8. Books, trades and everything private go through it; statistics go
through the faster `read`.
"""

import json
from typing import Any, NoReturn, TypeVar

import msgspec

from tickwright.core.errors import FrameError

__all__ = [
    "FRAME_BYTES_MAX",
    "LEVELS_MAX",
    "TRADES_MAX",
    "CandleData",
    "CandleMessage",
    "Control",
    "InstrumentMismatch",
    "InstrumentUnlisted",
    "LiquidationData",
    "LiquidationMessage",
    "OrderBookData",
    "OrderBookMessage",
    "RequestEcho",
    "TickerData",
    "TickerMessage",
    "TopicVerdicts",
    "TradeData",
    "TradeMessage",
    "read",
    "read_strict",
    "shortened",
]

FRAME_BYTES_MAX = 4 * 1024 * 1024
"""Longest message read at all; a full book of 10,000 levels a side has about 0.6 MB."""
LEVELS_MAX = 10_000
"""Most levels a side in one message: Bybit's largest book."""
TRADES_MAX = 1_024
"""Most trades in one message, by the documentation."""
_SHOWN_BYTES = 240

T = TypeVar("T")


class InstrumentMismatch(FrameError):
    """A frame names an instrument we don't hold, or doesn't fit it: load the instruments again."""

    def __init__(self, symbol: str, text: str) -> None:
        super().__init__(text)
        self.symbol = symbol


class InstrumentUnlisted(InstrumentMismatch):
    """A frame names an instrument we don't hold: somebody else's, or a new one."""


# orderbook.{depth}.{symbol} -----------------------------------------------------------------------


class OrderBookData(msgspec.Struct, frozen=True, gc=False):
    """Levels are pairs of decimal text; `u` counts per topic, `seq` is the matching engine's."""

    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int


class OrderBookMessage(msgspec.Struct, frozen=True, gc=False):
    """A snapshot or delta; `cts` (matching time, ms) is missing in recordings from before 2024."""

    topic: str
    type: str
    ts: int
    data: OrderBookData
    cts: int = 0


# publicTrade.{symbol} -----------------------------------------------------------------------------


class TradeData(msgspec.Struct, frozen=True, gc=False):
    """One public match; `S` is the taker's side, `BT` a block trade."""

    T: int
    s: str
    S: str
    v: str
    p: str
    i: str
    BT: bool = False
    RPI: bool = False
    seq: int = 0


class TradeMessage(msgspec.Struct, frozen=True, gc=False):
    """Trades of one symbol, oldest first."""

    topic: str
    type: str
    ts: int
    data: list[TradeData]


# tickers, kline, allLiquidation -------------------------------------------------------------------


class TickerData(msgspec.Struct, frozen=True, gc=False):
    """The fields of a ticker we use; None means "not in this message", "" means "has none"."""

    symbol: str
    lastPrice: str | None = None  # noqa: N815
    markPrice: str | None = None  # noqa: N815
    indexPrice: str | None = None  # noqa: N815
    fundingRate: str | None = None  # noqa: N815
    nextFundingTime: str | None = None  # noqa: N815
    openInterest: str | None = None  # noqa: N815
    bid1Price: str | None = None  # noqa: N815
    bid1Size: str | None = None  # noqa: N815
    ask1Price: str | None = None  # noqa: N815
    ask1Size: str | None = None  # noqa: N815


class TickerMessage(msgspec.Struct, frozen=True, gc=False):
    """Linear and inverse: snapshot, then deltas; spot: snapshots only. `cs` is a cross sequence."""

    topic: str
    type: str
    ts: int
    data: TickerData
    cs: int = 0


class CandleData(msgspec.Struct, frozen=True, gc=False):
    """One candle; only a confirmed one will not change any more."""

    start: int
    end: int
    interval: str
    open: str
    close: str
    high: str
    low: str
    volume: str
    confirm: bool
    timestamp: int


class CandleMessage(msgspec.Struct, frozen=True, gc=False):
    """Candles of one symbol and interval."""

    topic: str
    ts: int
    data: list[CandleData]


class LiquidationData(msgspec.Struct, frozen=True, gc=False):
    """One liquidated position; `S` "Buy": a long was liquidated, `p`: the bankruptcy price."""

    T: int
    s: str
    S: str
    v: str
    p: str


class LiquidationMessage(msgspec.Struct, frozen=True, gc=False):
    """Liquidations of one symbol in the last half second."""

    topic: str
    ts: int
    data: list[LiquidationData]


# everything that isn't data -----------------------------------------------------------------------


class RequestEcho(msgspec.Struct, frozen=True, gc=False):
    """The request an older acknowledgement repeats instead of its `op` and `req_id`."""

    op: str = ""
    req_id: str | None = None


class TopicVerdicts(msgspec.Struct, frozen=True, gc=False):
    """What the option and spread sockets answer to a subscription, topic by topic."""

    successTopics: list[str] = []  # noqa: N815
    failTopics: list[str] = []  # noqa: N815


class Control(msgspec.Struct, frozen=True, gc=False):
    """Any message of any socket, read only as far as it takes to tell what it is.

    Public and private sockets say `success, ret_msg, req_id, conn_id`, the order-entry socket
    `retCode, retMsg, reqId, connId`; the option socket acknowledges with `type` COMMAND_RESP and
    no `op`. `data` stays raw: its shape depends on the rest.
    """

    topic: str = ""
    op: str = ""
    type: str = ""
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | None = None
    conn_id: str | None = None
    retCode: int | None = None  # noqa: N815
    retMsg: str | None = None  # noqa: N815
    reqId: str | None = None  # noqa: N815
    connId: str | None = None  # noqa: N815
    request: RequestEcho | None = None
    data: msgspec.Raw = msgspec.Raw()


# reading ------------------------------------------------------------------------------------------

_decoders: dict[type, msgspec.json.Decoder[Any]] = {}  # bounded: one per struct of this package


def shortened(frame: bytes | str) -> str:
    """Return the beginning of a raw frame in printable ASCII, for errors and logs."""
    text = frame if isinstance(frame, str) else frame[: 2 * _SHOWN_BYTES].decode("utf-8", "replace")
    shown = ascii(text[:_SHOWN_BYTES])
    return shown if len(frame) <= _SHOWN_BYTES else f"{shown}... ({len(frame)} long)"


def read(frame: bytes, kind: type[T]) -> T:
    """Read a frame as `kind` by msgspec.

    Raises:
        FrameError: too long, not JSON, a vital field is missing or of the wrong type.
    """
    _check_length(frame)
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        result: T = decoder.decode(frame)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"{kind.__name__}: {error}: {shortened(frame)}") from None
    return result


def read_strict(frame: bytes, kind: type[T]) -> T:
    """Read a frame as `kind`; refuse also repeated keys, NaN, infinity and bad UTF-8.

    Raises:
        FrameError: any of these, or what `read` refuses.
    """
    _check_length(frame)
    try:
        document = _strict.decode(frame.decode("utf-8"))
        if b"\\u" in frame:
            # An escape may make half a surrogate pair, which no other code can write out again.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        return msgspec.convert(document, kind)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"{kind.__name__}: {error}: {shortened(frame)}") from None


def _check_length(frame: bytes) -> None:
    if len(frame) > FRAME_BYTES_MAX:
        raise FrameError(f"a frame of {len(frame)} bytes is too long: {shortened(frame)}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key is there twice")
    return record


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_strict = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
