"""A partition is in the lake whole or not at all, once, and everybody's tools read it."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore, MemoryStore

from tests.unit.storage.lake.lakes import BTC, DAY, delta, put, reader_of, source, trade
from tickwright.core.errors import StorageError
from tickwright.core.identity import Category, InstrumentId
from tickwright.storage.lake.catalogue import Catalogue, missing_days
from tickwright.storage.lake.schema import Table
from tickwright.storage.lake.store import FolderStore, LakeStore, ObjectStore
from tickwright.storage.lake.writer import DAY_NS, LakeWriter, source_in


@pytest.fixture(params=["folder", "memory", "objects in a folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LakeStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "lake")
    elif request.param == "memory":
        yield ObjectStore(MemoryStore(), "memory:///", tmp_path / "cache")
    else:
        (tmp_path / "bucket").mkdir()
        yield ObjectStore(LocalStore(tmp_path / "bucket"), "file:///", tmp_path / "cache")


def test_rows_when_written_then_come_back_in_order_from_any_store(store: LakeStore):
    rows = [trade(n * 7, price=60_000_00 + n) for n in range(1_000)]
    with LakeWriter(store, source()) as writer:
        put(writer, *rows)
        assert source_in(store, source()) is None
        note = writer.finish([])

    assert 1_000 == note.rows
    assert note == source_in(store, source())
    (batch,) = reader_of(store).batches(Table.TRADES, BTC)
    assert [row.price for row in rows] == batch.column("price").to_pylist()
    assert list(range(1_000)) == batch.column("ordinal").to_pylist()


def test_sql_when_asked_of_any_store_then_decimals_are_exact(store: LakeStore):
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1, price=60_000_01), delta(2, 1, {5_00: 7}, {6_00: 8_001}))
        put(writer, trade(3, price=1), decimals=(8, 0))
        writer.finish([])

    connection = Catalogue(store).connect()

    assert [(Decimal("60000.01"), Decimal("0.005")), (Decimal("1E-8"), Decimal(5))] == (
        connection.sql("select price, size from trades_decimal order by ordinal").fetchall()
    )
    assert [([Decimal("5.00")], [Decimal("8.001")])] == (
        connection.sql("select bid_prices, ask_sizes from book_decimal").fetchall()
    )
    assert [(0,)] == connection.sql("select count(*) from fills_decimal").fetchall()


def test_file_when_opened_by_polars_and_pandas_then_reads_as_it_is(tmp_path: Path):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1), trade(2), delta(3, 1, {5: 7, 4: 1}, {6: 8}))
        writer.finish([])

    frame = pl.scan_parquet(tmp_path / "trades/**/*.parquet", hive_partitioning=True).collect()
    table = pd.read_parquet(tmp_path / "book")

    assert ["BTCUSDT"] * 2 == frame["symbol"].to_list()
    assert [60_000_00] * 2 == frame["price"].to_list()
    assert ["linear"] == table["category"].tolist()
    assert [5, 4] == table["bid_prices"][0].tolist()


def test_partition_when_read_then_says_its_decimals(tmp_path: Path):
    with LakeWriter(FolderStore(tmp_path), source()) as writer:
        put(writer, trade(1))
        note = writer.finish([])

    metadata = pq.read_schema(tmp_path / note.files[0]).metadata

    assert (b"2", b"3") == (
        metadata[b"tickwright.price_decimals"],
        metadata[b"tickwright.size_decimals"],
    )


def test_levels_when_read_then_are_views_of_arrow_and_right(tmp_path: Path):
    with LakeWriter(FolderStore(tmp_path), source()) as writer:
        put(writer, delta(1, 1, {5: 7, 4: 1}, {6: 8}), delta(2, 2, {}, {6: 0}))
        writer.finish([])

    (batch,) = reader_of(tmp_path).book(BTC)

    assert not batch.bid_prices.flags.owndata
    assert [0, 2, 2] == list(batch.bid_offsets)
    assert [5, 4] == list(batch.bid_prices)
    assert [(6, 8), (6, 0)] == list(
        zip(batch.ask_prices.tolist(), batch.ask_sizes.tolist(), strict=True)
    )


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_stretch_when_asked_for_then_exactly_its_rows_come(first: int, last: int):
    store = ObjectStore(MemoryStore(), "memory:///", _CACHE / f"{first}-{last}")
    times = [n * DAY_NS // 20 for n in range(60)]
    with LakeWriter(store, source()) as writer:
        put(writer, *(trade(at) for at in times))
        writer.finish([])

    found = [
        moment
        for batch in reader_of(store).batches(
            Table.TRADES,
            BTC,
            from_ns=DAY + first * DAY_NS // 20,
            until_ns=DAY + last * DAY_NS // 20,
            columns=["venue_ns"],
        )
        for moment in batch.column("venue_ns").to_pylist()
    ]

    assert [DAY + at for at in times[first:last]] == found


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _CACHE  # noqa: PLW0603 - hypothesis takes no fixture per example
    _CACHE = tmp_path_factory.mktemp("cache")


_CACHE = Path()


def test_days_when_they_change_then_each_is_written_out_at_once(tmp_path: Path):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1), trade(DAY_NS + 1))

        assert ["2024-10-04"] == [note.date for note in Catalogue(store).notes()]


def test_writer_when_it_ends_unfinished_then_leaves_only_whole_days(tmp_path: Path):
    with LakeWriter(FolderStore(tmp_path), source()) as writer:
        put(writer, trade(1), trade(DAY_NS + 1))
        before = [p.name for p in tmp_path.rglob("*.parquet")]

    assert 1 == len(before)
    assert before == [p.name for p in tmp_path.rglob("*.parquet")]
    assert source_in(FolderStore(tmp_path), source()) is None


def test_source_when_it_comes_again_then_goes_on_behind_what_is_there(tmp_path: Path):
    store = FolderStore(tmp_path)
    rows = [trade(1), trade(DAY_NS + 1), trade(DAY_NS + 2)]
    with LakeWriter(store, source()) as writer:
        put(writer, *rows[:2])
    (kept,) = tmp_path.rglob("*.parquet")
    written = kept.stat().st_mtime_ns

    with LakeWriter(store, source()) as writer:
        put(writer, *rows)
        note = writer.finish([])

    assert (3, 1, written) == (note.rows, writer.resumed_files, kept.stat().st_mtime_ns)
    batches = reader_of(tmp_path).batches(Table.TRADES, BTC)
    assert [0, 1, 2] == [n for b in batches for n in b.column("ordinal").to_pylist()]


def test_rows_when_time_goes_back_over_midnight_then_nothing_is_lost(tmp_path: Path):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1), trade(DAY_NS + 1), trade(2), trade(DAY_NS + 2), trade(3 * DAY_NS))
        note = writer.finish([])

    assert 5 == note.rows
    found = [
        n
        for batch in reader_of(tmp_path).batches(Table.TRADES, BTC)
        for n in batch.column("ordinal").to_pylist()
    ]
    assert [0, 1, 2, 3, 4] == sorted(found)


def test_source_when_it_holds_more_now_then_its_rows_are_replaced(tmp_path: Path):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source(checksum="1")) as writer:
        put(writer, trade(1))
        writer.finish([])

    with LakeWriter(store, source(checksum="2")) as writer:
        put(writer, trade(1), trade(2))
        writer.finish([])

    assert source_in(store, source(checksum="1")) is None
    assert [2] == [note.rows for note in Catalogue(store).notes()]


def test_second_source_when_it_covers_the_same_time_then_is_refused_unless_wanted(
    tmp_path: Path,
):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1), trade(10))
        writer.finish([])
    other = source("b" * 64)

    with LakeWriter(store, other) as writer:
        put(writer, trade(5))
        with pytest.raises(StorageError, match="source a"):
            writer.finish([])
    assert 1 == len(Catalogue(store).notes())

    with LakeWriter(store, other, allows_overlap=True) as writer:
        put(writer, trade(5))
        writer.finish([])
    assert 2 == len(Catalogue(store).notes())


def test_second_source_when_it_comes_after_then_both_are_kept(tmp_path: Path):
    store = FolderStore(tmp_path)
    for number, key in enumerate("ab"):
        with LakeWriter(store, source(key * 64)) as writer:
            put(writer, trade(1 + 10 * number))
            writer.finish([])

    assert [1, 1] == [note.rows for note in Catalogue(store).notes()]


def test_file_when_its_note_is_missing_then_is_no_part_of_the_lake(tmp_path: Path):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1))
        writer.finish([])
    for path in tmp_path.rglob("_notes/**/*.json"):
        path.unlink()

    assert [] == Catalogue(store).notes()


def test_note_when_of_a_newer_format_then_says_so(tmp_path: Path):
    store = FolderStore(tmp_path)
    with LakeWriter(store, source()) as writer:
        put(writer, trade(1))
        writer.finish([])
    (path,) = (tmp_path / "_notes").rglob("*.json")
    path.write_text(path.read_text().replace('"format":1', '"format":9'))

    with pytest.raises(StorageError, match="format 9"):
        Catalogue(store)


def test_file_when_damaged_then_reading_names_it(tmp_path: Path):
    with LakeWriter(FolderStore(tmp_path), source()) as writer:
        put(writer, trade(1))
        note = writer.finish([])
    (tmp_path / note.files[0]).write_bytes(b"PAR1 nothing")

    with pytest.raises(StorageError, match=r"\.parquet can't be read"):
        list(reader_of(tmp_path).batches(Table.TRADES, BTC))


def test_symbol_when_it_holds_odd_letters_then_is_one_folder_and_comes_back(tmp_path: Path):
    odd = InstrumentId("box", Category.OPTION, "BTC-29NOV24/=é")
    with LakeWriter(FolderStore(tmp_path), source()) as writer:
        put(writer, trade(1), instrument_id=odd)
        writer.finish([])

    assert [odd] == [note.instrument_id for note in Catalogue(FolderStore(tmp_path)).notes()]
    assert [("BTC-29NOV24/=é",)] == (
        Catalogue(FolderStore(tmp_path)).connect().sql("select symbol from trades").fetchall()
    )


def test_folder_when_it_cannot_be_written_then_one_sentence_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="can't be written"):
        LakeWriter(FolderStore(tmp_path / "file"), source())


def test_days_when_some_are_missing_then_are_named():
    assert ["2024-12-02", "2024-12-04"] == missing_days(["2024-12-05", "2024-12-01", "2024-12-03"])
    assert [] == missing_days([])


def test_row_group_when_many_rows_then_is_of_a_size_to_stream(tmp_path: Path):
    with LakeWriter(FolderStore(tmp_path), source()) as writer:
        put(writer, *(trade(n) for n in range(150_000)))
        note = writer.finish([])

    groups = pq.ParquetFile(tmp_path / note.files[0]).metadata
    sizes = [groups.row_group(n).num_rows for n in range(groups.num_row_groups)]
    assert [65_536, 65_536, 18_928] == sizes
    ordinals = np.concatenate(
        [b.column("ordinal").to_numpy() for b in reader_of(tmp_path).batches(Table.TRADES, BTC)]
    )
    assert np.array_equal(np.arange(150_000), ordinals)
