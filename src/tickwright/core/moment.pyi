from typing import final

__all__ = ["Moment"]

@final
class Moment:
    now_ns: int
    event_id: int
    def __init__(self, now_ns: int = 0, event_id: int = 0) -> None: ...
    def enter(self, now_ns: int) -> None: ...
