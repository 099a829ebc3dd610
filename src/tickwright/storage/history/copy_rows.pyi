from tickwright.storage.history.rows import InstrumentRef

__all__ = ["copy_rows"]

def copy_rows(
    rows: list[tuple[object, ...]], kinds: str, ids: dict[InstrumentRef, int]
) -> bytes: ...
