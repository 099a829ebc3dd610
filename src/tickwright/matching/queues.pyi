from typing import final

from tickwright.core.orders import Side

__all__ = ["OwnSide"]

@final
class OwnSide:
    def __init__(self, side: Side) -> None: ...
