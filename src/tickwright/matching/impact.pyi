from collections import deque
from typing import final

from tickwright.core.orders import Side
from tickwright.matching.levels import ExternalLevels, LevelSource

__all__ = ["FINE_UNITS", "PAID_WAITING_MAX", "PARTS_MAX", "ImpactLevels"]

FINE_UNITS: int
PAID_WAITING_MAX: int
PARTS_MAX: int

@final
class ImpactLevels(LevelSource):
    def __init__(
        self,
        inner: ExternalLevels,
        *,
        tick_units: int,
        permanent: tuple[int, int],
        transient: tuple[int, int],
        half_life_ns: int,
    ) -> None: ...
    @property
    def paid(self) -> deque[int]: ...
    def see_time(self, now_ns: int) -> None: ...
    def moved_units(self, side: Side) -> int: ...
