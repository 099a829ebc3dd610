"""Owns the article's stack: websockets, json.loads, asyncio.Queue, SortedDict and numpy statistics.

Written from its description and kept as described: float prices as dictionary keys, statistics over
the last hundred mids computed by numpy at every update, a latency list that grows without end. Two
things are kinder than the description: the levels are read as the venue sends them, and a full
queue makes the reader wait where the article drops the oldest message, which would corrupt the
books.
"""

import asyncio
import json
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from sortedcontainers import SortedDict
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tickwright.bench.rivals.contract import (
    IMBALANCE_LEVELS,
    WINDOW,
    Callback,
    Features,
    Top,
    subscribe_requests,
)

__all__ = ["ArticleStack", "listen"]

_QUEUE_CAPACITY: Final = 1_000


class _Book:
    """Bids and asks of one symbol as sorted dictionaries from float price to float size."""

    def __init__(self) -> None:
        self.bids: Any = SortedDict()
        self.asks: Any = SortedDict()
        self.mids: deque[float] = deque(maxlen=WINDOW)

    def update(self, data: dict[str, Any], *, is_snapshot: bool) -> None:
        if is_snapshot:
            self.bids.clear()
            self.asks.clear()
        self._update_side(self.bids, data["b"])
        self._update_side(self.asks, data["a"])

    @staticmethod
    def _update_side(side: Any, levels: Sequence[Sequence[str]]) -> None:
        for price_text, size_text in levels:
            price, size = float(price_text), float(size_text)
            if size == 0.0:
                side.pop(price, None)
            else:
                side[price] = size

    def imbalance(self) -> float:
        bids = sum(self.bids.values()[-IMBALANCE_LEVELS:])
        asks = sum(self.asks.values()[:IMBALANCE_LEVELS])
        return float((bids - asks) / (bids + asks)) if bids + asks else 0.0

    def z_score(self, mid: float) -> float:
        self.mids.append(mid)
        if len(self.mids) < WINDOW:
            return 0.0
        window = np.array(self.mids)
        deviation = float(np.std(window))
        return float((mid - np.mean(window)) / deviation) if deviation else 0.0


class ArticleStack:
    """Keeps the article's books and calls back once per book frame."""

    def __init__(self, symbols: Sequence[str], callback: Callback, features: Features) -> None:
        self.frames = 0
        self.latencies: list[float] = []
        self._books = {symbol: _Book() for symbol in symbols}
        self._callback = callback
        self._is_full = features == "full"

    def feed(self, frame: bytes | str) -> None:
        """Take one frame: parse, update the book, compute the features, call back, time it."""
        started = time.perf_counter()
        self.frames += 1
        message = json.loads(frame)
        topic = message.get("topic", "")
        if not topic.startswith("orderbook"):
            return
        data = message["data"]
        symbol = data["s"]
        book = self._books[symbol]
        book.update(data, is_snapshot=message["type"] == "snapshot")
        bid, ask = book.bids.peekitem(-1)[0], book.asks.peekitem(0)[0]
        mid = (bid + ask) / 2
        imbalance = book.imbalance() if self._is_full else 0.0
        z_score = book.z_score(mid) if self._is_full else 0.0
        self._callback(symbol, bid, ask, mid, ask - bid, imbalance, z_score)
        self.latencies.append(time.perf_counter() - started)

    def tops(self) -> dict[str, Top]:
        """Return the touch of every book."""
        return {s: (b.bids.keys()[-1], b.asks.keys()[0]) for s, b in self._books.items() if b.bids}

    def finish(self) -> None:
        """Tidy nothing."""


async def listen(
    url: str,
    topics: Sequence[str],
    stack: ArticleStack,
    context: ssl.SSLContext | None,
    on_first: Callable[[], None],
) -> None:
    """Read until the sender closes and the queue is empty; call `on_first` at the first frame."""
    queue: asyncio.Queue[str | bytes] = asyncio.Queue(_QUEUE_CAPACITY)

    async def work() -> None:
        while True:
            frame = await queue.get()
            stack.feed(frame)
            queue.task_done()

    async with connect(url, ssl=context, compression=None, proxy=None) as socket:
        for request in subscribe_requests(topics):
            await socket.send(request)
            await socket.recv()
        worker = asyncio.create_task(work())
        try:
            frame = await socket.recv()
            on_first()
            while True:
                await queue.put(frame)
                frame = await socket.recv()
        except ConnectionClosed:
            pass
        await queue.join()
        worker.cancel()
