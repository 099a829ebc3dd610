from collections.abc import Callable
from typing import final

from tickwright.book.messages import MessageSink
from tickwright.book.order_book import OrderBook
from tickwright.storage.lake.schema import BookRow

__all__ = ["BookColumns", "BookRows"]

@final
class BookColumns:
    def __init__(
        self,
        *,
        from_ns: int,
        until_ns: int,
        file_rows_max: int,
        is_counted_only: bool = False,
    ) -> None: ...
    @property
    def is_counted_only(self) -> bool: ...
    @property
    def row_count(self) -> int: ...
    @property
    def level_count(self) -> int: ...
    @property
    def first_ns(self) -> int: ...
    @property
    def last_ns(self) -> int: ...
    @property
    def rows_held(self) -> int: ...
    @property
    def levels_held(self) -> int: ...
    def close(self) -> None: ...
    def append(self, ordinal: int, row: BookRow) -> None: ...
    def take(self) -> tuple[int, dict[str, bytes], list[tuple[int, str]]]: ...

@final
class BookRows(MessageSink):
    ordinal: int
    rows_held: int
    levels_held: int
    def __init__(
        self,
        *,
        columns_for: Callable[[OrderBook, int], tuple[BookColumns, int]],
        on_full: Callable[[BookColumns], None],
        on_held: Callable[[], None],
        on_whole: Callable[[BookColumns], None],
        rows_max: int,
        levels_max: int,
        all_rows_max: int,
        all_levels_max: int,
    ) -> None: ...
    def append(self, columns: BookColumns, row: BookRow) -> None: ...
