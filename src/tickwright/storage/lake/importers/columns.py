"""Owns turning columns of text into whole numbers, exactly; refuses to round.

Decimals come from the texts themselves: as many as any number of the file needs or prints.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.units import INT64_MAX

__all__ = ["DECIMALS_MAX", "decimals_in", "header_of", "open_texts", "units_in"]

DECIMALS_MAX = 12
BLOCK_BYTES = 16 * 1024 * 1024

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


def header_of(path: Path) -> list[str]:
    """Return the column names of a CSV file, plain or .gz; raises ConfigError or StorageError."""
    with _opened(path) as reader:
        return list(reader.schema.names)


def open_texts(path: Path) -> Any:
    """Open a CSV file, plain or .gz, as a stream of batches of texts.

    Raises:
        ConfigError: it can't be opened.
        StorageError: it is no CSV.
    """
    names = header_of(path)
    return _opened(path, csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())))


def _opened(path: Path, options: Any = None) -> Any:
    try:
        return csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        raise StorageError(f"{path}: {_first_line(error)}") from None
    except OSError as error:
        if error.errno:
            raise ConfigError(f"{path}: {error.strerror or error}") from None
        raise StorageError(f"{path} is cut or damaged: {_first_line(error)}") from None


def decimals_in(texts: pa.Array) -> int:
    """Return how many decimals the numbers of a column print, at most DECIMALS_MAX."""
    exponents = pc.match_substring(texts, "e", ignore_case=True)
    if pc.any(exponents).as_py():
        found = 0
        for text in texts.to_pylist():
            value = Decimal(text)
            exponent = value.as_tuple().exponent
            found = max(found, -exponent if isinstance(exponent, int) else 0)
        return min(found, DECIMALS_MAX)
    dots = pc.find_substring(texts, ".")
    after = pc.subtract(pc.subtract(pc.binary_length(texts), dots), 1)
    printed = pc.if_else(pc.less(dots, 0), 0, after)
    return min(pc.max(printed).as_py() or 0, DECIMALS_MAX)


def units_in(texts: pa.Array, decimals: int, what: str) -> Ints:
    """Return a column in units of 10^-decimals.

    Raises:
        StorageError: a text is no number, is below zero, or doesn't fit; `what` names the column.
    """
    try:
        numbers = pc.cast(texts, pa.decimal128(38, decimals))
    except pa.ArrowInvalid as error:
        raise StorageError(f"{what}: {_first_line(error)}") from None
    if isinstance(numbers, pa.ChunkedArray):
        numbers = numbers.combine_chunks()
    if numbers.null_count:
        raise StorageError(f"{what}: {numbers.null_count} empty values")
    words = np.frombuffer(numbers.buffers()[1], dtype=np.int64)
    words = words[2 * numbers.offset : 2 * (numbers.offset + len(numbers))]
    low, high = words[::2], words[1::2]
    if high.any() or (low < 0).any():
        raise StorageError(f"{what}: a number is below zero or above {INT64_MAX} units")
    return np.ascontiguousarray(low)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
