"""Owns PostgreSQL's binary COPY format, built column by column instead of row by row.

Rows are first laid out at the width of their longest, as one NumPy array; where texts differ in
length or a value is NULL, the bytes that are not there are masked out in one step. A market row
costs about 0.1 µs, a row with six texts about 1 µs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPOCH_2000_US", "Column", "copy_image", "nullable", "text_column", "timestamps"]

EPOCH_2000_US = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01."""
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one column: int16/32/64, bool, or bytes as text; `is_null` marks the NULLs."""

    values: NDArray[Any]
    is_null: NDArray[np.bool_] | None = None


def copy_image(columns: Sequence[Column]) -> bytes:
    """Return the COPY image of columns of equal length.

    Raises:
        ValueError: a kind of column it doesn't know, or unequal lengths.
    """
    count = len(columns[0].values)
    columns = [_narrowed(column) for column in columns]
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for number, column in enumerate(columns):
        if len(column.values) != count:
            raise ValueError("columns of different lengths")
        kind, size = column.values.dtype.kind, column.values.dtype.itemsize
        if kind not in "ibS":
            raise ValueError(f"a column of kind {column.values.dtype}")
        wire = f"S{size}" if kind == "S" else "?" if kind == "b" else f">i{size}"
        layout += [(f"length{number}", ">i4"), (f"value{number}", wire)]
    record = np.dtype(layout)
    image = np.zeros(count, dtype=record)
    image["fields"] = len(columns)
    kept: NDArray[np.bool_] | None = None
    for number, column in enumerate(columns):
        values = column.values
        width = values.dtype.itemsize
        image[f"value{number}"] = values
        lengths = np.strings.str_len(values) if values.dtype.kind == "S" else np.full(count, width)
        bytes_kept = lengths
        if column.is_null is not None:
            bytes_kept = np.where(column.is_null, 0, lengths)
            lengths = np.where(column.is_null, -1, lengths)
        image[f"length{number}"] = lengths
        if (bytes_kept != width).any():
            if kept is None:
                kept = np.ones((count, record.itemsize), dtype=bool)
            assert record.fields is not None
            at = record.fields[f"value{number}"][1]
            kept[:, at : at + width] = np.arange(width) < bytes_kept[:, None]
    if kept is None:
        return b"".join((_HEAD, image.tobytes(), _END))
    flat = image.view(np.uint8).reshape(count, record.itemsize)
    return b"".join((_HEAD, flat[kept].tobytes(), _END))


def _narrowed(column: Column) -> Column:
    """Return a column of texts no wider than its longest: equal lengths need no mask then."""
    values = column.values
    if values.dtype.kind != "S" or not len(values):
        return column
    width = max(1, int(np.strings.str_len(values).max()))
    return (
        column
        if width == values.dtype.itemsize
        else Column(values.astype(f"S{width}"), column.is_null)
    )


def text_column(values: Sequence[str | None]) -> Column:
    """Return a column of texts; None is NULL."""
    encoded = np.array([b"" if one is None else one.encode() for one in values], dtype="S")
    if None not in values:
        return Column(encoded)
    return Column(encoded, np.array([one is None for one in values]))


def nullable(values: Sequence[int | None], dtype: str) -> Column:
    """Return a column of whole numbers; None is NULL."""
    if None not in values:
        return Column(np.array(values, dtype=dtype))
    is_null = np.array([one is None for one in values])
    return Column(np.array([one or 0 for one in values], dtype=dtype), is_null)


def timestamps(at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn UTC nanoseconds into PostgreSQL's microseconds."""
    return at_ns // 1_000 - EPOCH_2000_US
