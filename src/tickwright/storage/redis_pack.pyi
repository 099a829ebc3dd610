from typing import final

from tickwright.book.order_book import OrderBook

__all__ = ["CommandBuffer", "exchange"]

@final
class CommandBuffer:
    def __init__(self) -> None: ...
    @property
    def count(self) -> int: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    def clear(self) -> None: ...
    def add(self, *words: str | bytes | int) -> None: ...
    def add_book(
        self,
        book: OrderBook,
        packed_key: bytes,
        readable_key: bytes,
        *,
        levels: int,
        now_ns: int,
        expire_ms: int,
        deadline_ms: int,
    ) -> None: ...

def exchange(
    places: list[int],
    buffers: list[CommandBuffer],
    *,
    timeout_ms: int,
    reply_bytes_max: int,
) -> list[bytes]: ...
