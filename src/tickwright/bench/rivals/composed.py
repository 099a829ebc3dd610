"""Owns the best stack a Python engineer composes today: picows, msgspec to float, bisect lists.

Everything is tuned that plain Python lets one tune: the decoder turns price and size strings into
floats itself and skips the fields nobody reads, books are parallel sorted lists, the z-score runs
on sums kept up to date, structs are invisible to the collector, and the listener is the stack.
"""

import ssl
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Final

import msgspec
import picows

from tickwright.bench.rivals.contract import (
    IMBALANCE_LEVELS,
    WINDOW,
    Callback,
    Features,
    Top,
    subscribe_requests,
)

__all__ = ["ComposedStack", "listen"]

# Where `{"topic":"orderbook...` and `{"topic":"publicTrade...` first differ.
_KIND_AT: Final = 10
_BOOK: Final = ord("o")
_TRADE: Final = ord("p")


class _Data(msgspec.Struct, gc=False):
    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class _Frame(msgspec.Struct, gc=False):
    type: str
    data: _Data


class _TradeData(msgspec.Struct, gc=False):
    s: str
    p: float
    v: float
    S: str


class _TradeFrame(msgspec.Struct, gc=False):
    data: list[_TradeData]


_decode_book = msgspec.json.Decoder(_Frame, strict=False).decode
_decode_trade = msgspec.json.Decoder(_TradeFrame, strict=False).decode


class _Book:
    """Prices ascending beside their sizes: the best bid is last, the best ask first.

    ``offsets`` are the last mids as distances from the first one, with their sum and sum of
    squares: sums of distances keep the digits that sums of prices would lose.
    """

    __slots__ = (
        "ask_prices",
        "ask_sizes",
        "bid_prices",
        "bid_sizes",
        "offsets",
        "origin",
        "squares",
        "total",
    )

    def __init__(self) -> None:
        self.bid_prices: list[float] = []
        self.bid_sizes: list[float] = []
        self.ask_prices: list[float] = []
        self.ask_sizes: list[float] = []
        self.offsets: deque[float] = deque(maxlen=WINDOW)
        self.origin = 0.0
        self.total = 0.0
        self.squares = 0.0


def _apply(prices: list[float], sizes: list[float], levels: list[tuple[float, float]]) -> None:
    for price, size in levels:
        at = bisect_left(prices, price)
        if at < len(prices) and prices[at] == price:
            if size:
                sizes[at] = size
            else:
                del prices[at], sizes[at]
        elif size:
            prices.insert(at, price)
            sizes.insert(at, size)


class ComposedStack(picows.WSListener):
    """Keeps plain-list books and calls back once per book frame; is its own socket listener."""

    def __init__(
        self,
        symbols: Sequence[str],
        callback: Callback,
        features: Features,
        on_first: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.frames = 0
        self._books = {symbol: _Book() for symbol in symbols}
        self._callback = callback
        self._is_full = features == "full"
        self._on_first = on_first

    def feed(self, frame: bytes) -> None:
        """Take one frame: decode to floats, update the lists, compute the features, call back."""
        self.frames += 1
        kind = frame[_KIND_AT]
        if kind != _BOOK:
            if kind == _TRADE:
                _decode_trade(frame)
            return
        message = _decode_book(frame)
        data = message.data
        symbol = data.s
        book = self._books[symbol]
        bid_prices, ask_prices = book.bid_prices, book.ask_prices
        if message.type == "snapshot":
            bid_prices[:] = [price for price, _ in reversed(data.b)]
            book.bid_sizes[:] = [size for _, size in reversed(data.b)]
            ask_prices[:] = [price for price, _ in data.a]
            book.ask_sizes[:] = [size for _, size in data.a]
        else:
            if data.b:
                _apply(bid_prices, book.bid_sizes, data.b)
            if data.a:
                _apply(ask_prices, book.ask_sizes, data.a)
        bid, ask = bid_prices[-1], ask_prices[0]
        mid = (bid + ask) * 0.5
        if not self._is_full:
            self._callback(symbol, bid, ask, mid, ask - bid, 0.0, 0.0)
            return
        bids, asks = sum(book.bid_sizes[-IMBALANCE_LEVELS:]), sum(book.ask_sizes[:IMBALANCE_LEVELS])
        imbalance = (bids - asks) / (bids + asks)
        self._callback(symbol, bid, ask, mid, ask - bid, imbalance, _z_score(book, mid))

    def tops(self) -> dict[str, Top]:
        """Return the touch of every book."""
        return {
            s: (b.bid_prices[-1], b.ask_prices[0]) for s, b in self._books.items() if b.bid_prices
        }

    def finish(self) -> None:
        """Tidy nothing."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Feed one frame of the socket; acknowledgements are not counted."""
        if frame.msg_type is not picows.WSMsgType.TEXT:
            if frame.msg_type is picows.WSMsgType.CLOSE:
                transport.disconnect()
            return
        if self._on_first is not None:
            if not frame.get_payload_as_bytes().startswith(b'{"topic"'):
                return
            self._on_first()
            self._on_first = None
        self.feed(frame.get_payload_as_bytes())


def _z_score(book: _Book, mid: float) -> float:
    """Add a mid to the book's window; return its z-score, 0.0 until the window is full."""
    offsets = book.offsets
    if not offsets:
        book.origin = mid
    offset = mid - book.origin
    if len(offsets) == WINDOW:
        oldest = offsets[0]
        book.total += offset - oldest
        book.squares += offset * offset - oldest * oldest
        offsets.append(offset)
    else:
        offsets.append(offset)
        book.total += offset
        book.squares += offset * offset
        if len(offsets) < WINDOW:
            return 0.0
    mean = book.total / WINDOW
    variance = book.squares / WINDOW - mean * mean
    return (offset - mean) / sqrt(variance) if variance > 1e-18 else 0.0


async def listen(
    url: str,
    topics: Sequence[str],
    stack: ComposedStack,
    context: ssl.SSLContext | None,
) -> None:
    """Read until the sender closes."""
    transport, _ = await picows.ws_connect(lambda: stack, url, ssl_context=context)
    for request in subscribe_requests(topics):
        transport.send(picows.WSMsgType.TEXT, request.encode())
    await transport.wait_disconnected()
