"""Owns reading a file of public trades, whatever its columns are called; refuses to guess units.

The rows are put in the order of their time (stable: some archives are newest first), and a trade
told twice at one moment is taken once. The file is held in memory: a day of a busy market is some
hundred megabytes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tickwright.core.errors import StorageError
from tickwright.core.identity import InstrumentId
from tickwright.storage.lake.importers.columns import decimals_in, open_texts, units_in
from tickwright.storage.lake.schema import Table, TradeRow
from tickwright.storage.lake.writer import LakeWriter

__all__ = ["TradeColumns", "import_trades"]

_SIDES = {"buy": 1, "sell": -1}


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Which column is what. `time_digits` turns its unit into ns: 9 seconds, 6 ms, 3 us."""

    venue_time: str
    time_digits: int
    trade_id: str
    side: str
    price: str
    size: str
    received_time: str = ""

    @property
    def names(self) -> set[str]:
        """Every column that must be there."""
        names = {self.venue_time, self.trade_id, self.side, self.price, self.size}
        return names | ({self.received_time} if self.received_time else set())


def import_trades(
    path: Path, columns: TradeColumns, instrument_id: InstrumentId, writer: LakeWriter
) -> list[str]:
    """Write a file's trades; returns what a person should know.

    Raises:
        StorageError: the file is cut or a value can't be read.
    """
    table = _read(path, columns)
    if not table.num_rows:
        return ["the file holds no trade"]
    texts = {name: table.column(name).combine_chunks() for name in columns.names}
    prices, sizes = texts[columns.price], texts[columns.size]
    price_decimals, size_decimals = decimals_in(prices), decimals_in(sizes)
    price_units = units_in(prices, price_decimals, f"{path}: {columns.price}")
    size_units = units_in(sizes, size_decimals, f"{path}: {columns.size}")
    venue_ns = _times(texts[columns.venue_time], columns, f"{path}: {columns.venue_time}")
    received_ns = np.zeros_like(venue_ns)
    if columns.received_time:
        received_ns = _times(texts[columns.received_time], columns, f"{path}: received time")
    moments = received_ns if columns.received_time else venue_ns
    order = np.argsort(moments, kind="stable")
    is_sorted = bool((order[1:] > order[:-1]).all())
    ids, sides = texts[columns.trade_id].to_pylist(), texts[columns.side].to_pylist()
    doubled = _write(
        writer,
        instrument_id,
        order.tolist(),
        (received_ns.tolist(), venue_ns.tolist(), price_units.tolist(), size_units.tolist()),
        ids,
        sides,
        (price_decimals, size_decimals),
    )
    remarks = [] if is_sorted else ["the rows were not in order of time: sorted"]
    if doubled:
        remarks.append(f"{doubled} trades told twice, taken once")
    return remarks


def _write(
    writer: LakeWriter,
    instrument_id: InstrumentId,
    order: list[int],
    numbers: tuple[list[int], list[int], list[int], list[int]],
    ids: list[str],
    sides: list[str],
    decimals: tuple[int, int],
) -> int:
    received, venue, prices, sizes = numbers
    doubled = 0
    moment, seen = -1, set[tuple[str, int, int]]()
    for at in order:
        if venue[at] != moment:
            moment, seen = venue[at], set()
        what = (ids[at], prices[at], sizes[at])
        if ids[at] and what in seen:
            doubled += 1
            continue
        seen.add(what)
        row = TradeRow(
            received[at],
            venue[at],
            _SIDES.get(sides[at].lower(), 0),
            prices[at],
            sizes[at],
            ids[at],
            0,
            False,
        )
        writer.append(
            Table.TRADES,
            instrument_id,
            row,
            price_decimals=decimals[0],
            size_decimals=decimals[1],
        )
    return doubled


def _times(
    texts: pa.Array, columns: TradeColumns, what: str
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return units_in(texts, columns.time_digits, what)


def _read(path: Path, columns: TradeColumns) -> pa.Table:
    try:
        with open_texts(path) as reader:
            missing = columns.names - set(reader.schema.names)
            if missing:
                raise StorageError(f"{path}: there is no column {', '.join(sorted(missing))}")
            return reader.read_all().select(sorted(columns.names))
    except (pa.ArrowInvalid, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise StorageError(f"{path} is cut or damaged: {first[:300]}") from None
