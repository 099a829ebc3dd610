"""What a history costs the thread that trades: the same frames with and without it, alternating.

Counted in processor time, which other work on the machine hardly changes: a recorded session is
replayed, each frame with all that follows from it, and ten times a second of its time a block is
sealed and packed, once a second the books are sampled, as in a run.
"""

import gc
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tickwright.app.history_rows import EngineRows
from tickwright.app.history_tap import TICK_S, HistoryTap
from tickwright.app.replay import Replay
from tickwright.book.order_book import OrderBook
from tickwright.core.events import Input
from tickwright.storage.history.wire import Hello, frame
from tickwright.storage.session_log import Record
from tickwright.strategy.base import Strategy

FRAMES = 150_000
ROUNDS = 5
PARTS = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}


class Watcher(Strategy):
    """Looks on: what a strategy costs isn't the question."""

    def on_book(self, book: OrderBook) -> None:
        return None


class _Timed(Replay):
    def __init__(self, folder: Path, *, has_history: bool) -> None:
        super().__init__(folder)
        self.spent: list[int] = []
        self._next_ns = 0
        self._slices: Iterator[None] = iter(())
        self._tap: HistoryTap | None = None
        if has_history:
            engine = self.engine
            self._tap = HistoryTap(
                Hello("cost", "postgresql://nowhere/x", "nowhere", 1),
                EngineRows(engine, self._books.values),
                event_id=lambda: engine.event_id,
                dropped_notices=lambda: 0,
                take_notices=lambda: None,
            )

    def _handle(self, event: Input, now_ns: int) -> None:
        super()._handle(event, now_ns)
        if self._tap is not None:
            self._tap.rows.on_input(event)

    def _take(self, record: Record) -> None:
        began_ns = time.thread_time_ns()
        super()._take(record)
        if self._tap is not None and record.now_ns:
            self._work(self._tap, record.now_ns)
        self.spent.append(time.thread_time_ns() - began_ns)
        if len(self.spent) == FRAMES:
            self.result.difference = "enough"

    def _work(self, tap: HistoryTap, now_ns: int) -> None:
        for _ in self._slices:
            return
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + int(TICK_S * 1e9)
            self._slices = tap.rows.sampling(now_ns)
            tap.seal()
            while tap._blocks:
                frame(tap._blocks.popleft().block)
            tap._bytes = 0

    def _compare(self, record: Record) -> None:
        """Another strategy decides otherwise."""


def _once(session: Path, *, has_history: bool) -> dict[str, float]:
    replay = _Timed(session, has_history=has_history)
    gc.collect()
    gc.freeze()
    replay.run()
    spent = sorted(replay.spent)
    found = {name: spent[int(len(spent) * part)] / 1e3 for name, part in PARTS.items()}
    return {"mean": statistics.mean(spent) / 1e3, **found}


def cost(session: Path) -> dict[str, Any]:
    """Return processor time a record in us, without and with: median and range of the rounds."""
    rounds: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with patch("tickwright.app.replay.load_strategy", lambda source, folder: Watcher):
        for _ in range(ROUNDS):
            for has_history, found in rounds.items():
                found.append(_once(session, has_history=has_history))
    return {
        ("with" if has_history else "without"): {name: _words(name, found) for name in found[0]}
        for has_history, found in rounds.items()
    }


def _words(name: str, found: list[dict[str, float]]) -> str:
    each = [one[name] for one in found]
    return f"{statistics.median(each):.2f} ({min(each):.2f} - {max(each):.2f})"
