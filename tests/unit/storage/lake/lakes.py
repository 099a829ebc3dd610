"""Small lakes for tests: rows by hand, written and read back."""

from pathlib import Path

from tickwright.core.identity import Category, InstrumentId
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.manifest import Source
from tickwright.storage.lake.reader import LakeReader
from tickwright.storage.lake.schema import BookRow, MessageKind, Table, TradeRow
from tickwright.storage.lake.store import FolderStore, LakeStore
from tickwright.storage.lake.writer import DAY_NS, LakeWriter

BTC = InstrumentId("box", Category.LINEAR, "BTCUSDT")
DAY = 20_000 * DAY_NS
"""The first moment of 2024-10-04."""


def source(key: str = "a" * 64, checksum: str = "") -> Source:
    return Source(key=key, checksum=checksum or key, kind="test", name=f"source {key[0]}")


def trade(at_ns: int, price: int = 60_000_00, trade_id: str = "") -> TradeRow:
    return TradeRow(DAY + at_ns, DAY + at_ns, 1, price, 5, trade_id or str(at_ns), 0, False)


def delta(at_ns: int, update_id: int, bids: dict[int, int], asks: dict[int, int]) -> BookRow:
    kind = MessageKind.SNAPSHOT if update_id == 1 else MessageKind.DELTA
    return BookRow(
        DAY + at_ns,
        DAY + at_ns - 1,
        0,
        kind,
        50,
        update_id,
        0,
        -1,
        0,
        list(bids),
        list(bids.values()),
        list(asks),
        list(asks.values()),
        "",
    )


def put(
    writer: LakeWriter,
    *rows: TradeRow | BookRow,
    instrument_id: InstrumentId = BTC,
    decimals: tuple[int, int] = (2, 3),
) -> None:
    for row in rows:
        writer.append(
            Table.BOOK if isinstance(row, BookRow) else Table.TRADES,
            instrument_id,
            row,
            price_decimals=decimals[0],
            size_decimals=decimals[1],
        )


def reader_of(store: LakeStore | Path) -> LakeReader:
    return LakeReader(Catalogue(FolderStore(store) if isinstance(store, Path) else store))
