from typing import final

from tickwright.backtest.tape import Ints, Tape

__all__ = ["BookWalk"]

@final
class BookWalk:
    def __init__(self, tape: Tape, slot: int, *, first: int = 0) -> None: ...
    def until(self, time_ns: int) -> None: ...
    def read(self, low_units: int, step_units: int, sizes: Ints) -> None: ...
