from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from tickwright.backtest.tape import Ints, Tape
from tickwright.book.order_book import OrderBook
from tickwright.engine.engine import Engine
from tickwright.matching import MatchingBook
from tickwright.matching.levels import ExternalLevels

__all__ = ["TapeLoop"]

@final
class TapeLoop:
    due_ns: int
    def __init__(
        self,
        host: Any,
        tape: Tape,
        local_ns: Ints,
        *,
        books: Sequence[OrderBook],
        sides: Sequence[ExternalLevels],
        lanes: Sequence[object],
        engine: Engine,
        mids: Ints,
        sample_first_ns: int,
        sample_ns: int,
        venue_order: npt.NDArray[np.uint32] | None = None,
        local_order: npt.NDArray[np.uint32] | None = None,
        first: int = 0,
        last: int | None = None,
        keeps_order: bool = False,
    ) -> None: ...
    @property
    def now_ns(self) -> int: ...
    def on_lane(self, slot: int) -> None: ...
    def trade_at(self, slot: int, matching: MatchingBook) -> None: ...
    def attend(self, slot: int) -> None: ...
    def watch(
        self, slot: int, is_watched: bool, low_twice: int = 1, high_twice: int = 0
    ) -> None: ...
    def watch_mark(self, slot: int, low: int = 0, high: int = ...) -> None: ...
    def trail(self, slot: int, is_trailed: bool) -> None: ...
    def last_price(self, slot: int) -> int: ...
    def mark(self, slot: int) -> int: ...
    def index(self, slot: int) -> int: ...
    def counts(self, slot: int, end_ns: int) -> tuple[int, int, int, int, int]: ...
    def mid_twice(self, slot: int) -> int | None: ...
    def warm(self) -> None: ...
    def run(self) -> int: ...
