"""Owns the batch: rows of one source from one offset to another, as columns where they are many.

A batch is what is written, or spooled, whole. It holds every row of its offsets, so that a source
that begins again is cut at the offset that was committed and nothing is missed or doubled. What
must be given up goes in the order of `Worth`, and is counted in the batch it was taken from.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickwright.core.errors import StorageError
from tickwright.storage.history.rows import (
    TRADE_ID_BYTES_MAX,
    BookRow,
    CandleRow,
    EquityRow,
    ExecutionRow,
    FundingRow,
    HistoryRow,
    InstrumentRef,
    OrderRow,
    PositionRow,
    RiskEventRow,
    SignalRow,
)

__all__ = [
    "LAYOUTS",
    "SAMPLED",
    "HistoryBatch",
    "RecordRow",
    "Worth",
    "decode_batch",
    "make_batch",
]

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
"""The columns of market rows: in memory and in the spool; of trades, as `rows.TRADE` packs them."""
SAMPLED = ("top_rows", "level_rows")
"""Rows of a sampling moment: what is committed of them is known by their time."""

RecordRow = (
    CandleRow | FundingRow | SignalRow | OrderRow | ExecutionRow | PositionRow | EquityRow
) | RiskEventRow


class Worth(enum.IntEnum):
    """What is given up first when there is no room: the market; last, orders and executions."""

    MARKET = 1
    SAMPLE = 2
    TOLD = 3
    OWN = 4


_WORTH: dict[type, Worth] = {
    CandleRow: Worth.MARKET,
    FundingRow: Worth.MARKET,
    PositionRow: Worth.SAMPLE,
    EquityRow: Worth.SAMPLE,
    SignalRow: Worth.TOLD,
    RiskEventRow: Worth.TOLD,
    OrderRow: Worth.OWN,
    ExecutionRow: Worth.OWN,
}


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """The rows of `source` with offsets after `first`, up to `last`.

    `market` holds arrays in `LAYOUTS`, `instrument` pointing into `instruments`; `records` all
    other rows with their offsets. `lost` rows before it, or of it, could be kept nowhere.
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

    def plus_lost(self, count: int) -> "HistoryBatch":
        """Return it telling of so many more rows that are nowhere."""
        return replace(self, lost=self.lost + count)

    def without(self, worth: Worth) -> "HistoryBatch":
        """Return what is worth more; the rest is counted as lost."""
        kept = tuple(one for one in self.records if _WORTH[type(one[1])] > worth)
        slim = replace(self, market={}, records=kept)
        return replace(slim, lost=self.lost + self.row_count - slim.row_count)

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
    rows: Iterable[tuple[int, HistoryRow]],
    *,
    first: int,
    last: int,
    instruments: Sequence[InstrumentRef] = (),
    trades: bytes | bytearray = b"",
    lost: int = 0,
) -> HistoryBatch:
    """Return the batch of these rows, all of whose offsets are after `first` and up to `last`.

    `trades` are packed by `rows.TRADE` and point into `instruments`.
    """
    numbers = {one: number for number, one in enumerate(instruments)}
    tops: list[tuple[int, ...]] = []
    levels: list[tuple[int, ...]] = []
    records: list[tuple[int, RecordRow]] = []
    for offset, row in rows:
        if isinstance(row, BookRow):
            number = numbers.setdefault(row.instrument, len(numbers))
            _expand(offset, number, row, tops, levels)
        else:
            records.append((offset, row))
    # What was told comes a little after what follows from it.
    records.sort(key=itemgetter(0))
    market = {}
    if trades:
        market["trade_rows"] = np.frombuffer(bytes(trades), dtype=LAYOUTS["trade_rows"])
    if tops:
        market["top_rows"] = np.array(tops, dtype=LAYOUTS["top_rows"])
    if levels:
        market["level_rows"] = np.array(levels, dtype=LAYOUTS["level_rows"])
    return HistoryBatch(source, first, last, tuple(numbers), market, tuple(records), lost)


def _expand(
    offset: int,
    number: int,
    row: BookRow,
    tops: list[tuple[int, ...]],
    levels: list[tuple[int, ...]],
) -> None:
    bid, ask = (row.bids or ((0, 0),))[0], (row.asks or ((0, 0),))[0]
    at_ns = row.at_ns
    tops.append((offset, number, at_ns, *bid, *ask, row.update_id))
    for side, found in ((1, row.bids), (-1, row.asks)):
        for place, (price_units, size_units) in enumerate(found[: row.levels], start=1):
            levels.append((offset, number, at_ns, side, place, price_units, size_units))
