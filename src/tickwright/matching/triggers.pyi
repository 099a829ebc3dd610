from typing import final

__all__ = ["TriggerBook"]

@final
class TriggerBook:
    @property
    def count(self) -> int: ...
