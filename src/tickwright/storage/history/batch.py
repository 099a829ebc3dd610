"""Owns the batch: rows of one source from one offset to another, as columns where they are many.

A batch is what is written, or spooled, whole. It holds every row of its offsets, so that a source
that begins again is cut at the offset that was committed and nothing is missed or doubled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickwright.core.errors import StorageError
from tickwright.storage.history.rows import (
    CandleRow,
    EquityRow,
    ExecutionRow,
    FundingRow,
    HistoryRow,
    InstrumentRef,
    LevelRow,
    OrderRow,
    PositionRow,
    RiskEventRow,
    SignalRow,
    TopRow,
    TradeRow,
)

__all__ = ["LAYOUTS", "SAMPLED", "HistoryBatch", "RecordRow", "decode_batch", "make_batch"]

TRADE_ID_BYTES_MAX = 40
"""A longer name of a trade is cut in the history."""
_COMMON: list[tuple[str, str]] = [("offset", "<i8"), ("instrument", "<i4"), ("at_ns", "<i8")]
LAYOUTS: dict[str, np.dtype[np.void]] = {
    "trade_rows": np.dtype(
        [
            *_COMMON,
            ("received_ns", "<i8"),
            ("price_units", "<i8"),
            ("size_units", "<i8"),
            ("side", "<i2"),
            ("sequence", "<i8"),
            ("is_block", "?"),
            ("trade_id", f"S{TRADE_ID_BYTES_MAX}"),
        ]
    ),
    "top_rows": np.dtype(
        [
            *_COMMON,
            ("bid_units", "<i8"),
            ("bid_size_units", "<i8"),
            ("ask_units", "<i8"),
            ("ask_size_units", "<i8"),
            ("update_id", "<i8"),
        ]
    ),
    "level_rows": np.dtype(
        [
            *_COMMON,
            ("side", "<i2"),
            ("level", "<i2"),
            ("price_units", "<i8"),
            ("size_units", "<i8"),
        ]
    ),
}
"""The columns of market rows: in memory and in the spool."""
_TABLES: dict[type, str] = {TradeRow: "trade_rows", TopRow: "top_rows", LevelRow: "level_rows"}
SAMPLED = ("top_rows", "level_rows")
"""Rows of a sampling moment: what is committed of them is known by their time."""

RecordRow = (
    CandleRow | FundingRow | SignalRow | OrderRow | ExecutionRow | PositionRow | EquityRow
) | RiskEventRow
_MarketRow = TradeRow | TopRow | LevelRow


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """The rows of `source` with offsets after `first`, up to `last`.

    `market` holds arrays in `LAYOUTS`, `instrument` pointing into `instruments`; `records` all
    other rows with their offsets. `lost` rows before it could be kept nowhere.
    """

    source: str
    first: int
    last: int
    instruments: tuple[InstrumentRef, ...] = ()
    market: dict[str, NDArray[np.void]] = field(default_factory=dict)
    records: tuple[tuple[int, RecordRow], ...] = ()
    lost: int = 0

    @property
    def row_count(self) -> int:
        """All rows."""
        return len(self.records) + sum(len(rows) for rows in self.market.values())

    def encode(self) -> bytes:
        """Return it as bytes for the spool."""
        return _encode(
            _Spooled(
                source=self.source,
                first=self.first,
                last=self.last,
                instruments=self.instruments,
                market={name: rows.tobytes() for name, rows in self.market.items()},
                records=self.records,
                lost=self.lost,
            )
        )


class _Spooled(msgspec.Struct, frozen=True):
    source: str
    first: int
    last: int
    instruments: tuple[InstrumentRef, ...]
    market: dict[str, bytes]
    records: tuple[tuple[int, RecordRow], ...]
    lost: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Spooled).decode


def decode_batch(raw: bytes) -> HistoryBatch:
    """Read a batch back.

    Raises:
        StorageError: it is of another form.
    """
    try:
        read = _decode(raw)
        market = {
            name: np.frombuffer(rows, dtype=LAYOUTS[name]) for name, rows in read.market.items()
        }
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise StorageError(f"a batch of history can't be read: {error}") from None
    return HistoryBatch(
        read.source, read.first, read.last, read.instruments, market, read.records, read.lost
    )


def make_batch(
    source: str,
    rows: Sequence[tuple[int, HistoryRow]],
    *,
    first: int,
    last: int,
    lost: int = 0,
) -> HistoryBatch:
    """Return the batch of these rows, all of whose offsets are after `first` and up to `last`."""
    numbers: dict[InstrumentRef, int] = {}
    market: dict[str, list[tuple[object, ...]]] = {}
    records: list[tuple[int, RecordRow]] = []
    for offset, row in rows:
        if isinstance(row, _MarketRow):
            number = numbers.setdefault(row.instrument, len(numbers))
            _, *values = msgspec.structs.astuple(row)
            kept = market.setdefault(_TABLES[type(row)], [])
            kept.append((offset, number, *values))
        else:
            records.append((offset, row))
    return HistoryBatch(
        source,
        first,
        last,
        tuple(numbers),
        {name: np.array(found, dtype=LAYOUTS[name]) for name, found in market.items()},
        tuple(records),
        lost,
    )
