"""Files of others give the rows they hold, exactly; what is wrong in them is told."""

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from tests.unit.storage.lake.lakes import BTC, delta, put, reader_of, source, trade
from tickwright.core.errors import ConfigError, StorageError
from tickwright.storage.lake.importers.columns import units_in
from tickwright.storage.lake.importers.hftbacktest import EVENT, export_npz, import_npz, read_npz
from tickwright.storage.lake.importers.tardis import TRADE_COLUMNS, import_book
from tickwright.storage.lake.importers.trades_csv import TradeColumns, import_trades
from tickwright.storage.lake.schema import MessageKind, Table
from tickwright.storage.lake.store import FolderStore
from tickwright.storage.lake.writer import LakeWriter

EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
BOTH = EXCH | LOCAL
TARDIS_BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TARDIS_TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


def writer_of(lake: Path) -> LakeWriter:
    return LakeWriter(FolderStore(lake), source())


def book_rows(lake: Path) -> list[dict[str, object]]:
    return [row for b in reader_of(lake).batches(Table.BOOK, BTC) for row in b.to_pylist()]


# Tardis -------------------------------------------------------------------------------------------


def tardis_book(path: Path, rows: list[str]) -> Path:
    path.write_bytes(gzip.compress((TARDIS_BOOK + "\n".join(rows) + "\n").encode()))
    return path


def test_tardis_book_when_read_then_rows_of_one_message_are_one_row(tmp_path: Path):
    path = tardis_book(
        tmp_path / "book.csv.gz",
        [
            "x,BTCUSDT,1727999999000001,1728000000000002,true,bid,60000.5,1.25",
            "x,BTCUSDT,1727999999000001,1728000000000002,true,ask,60001,0.001",
            "x,BTCUSDT,1727999999000001,1728000000000003,true,ask,60002,2",
            "x,BTCUSDT,1728000000000004,1728000000000005,false,ask,60001,0",
            "x,BTCUSDT,1728000000000004,1728000000000005,false,bid,60000.5,3",
            "x,BTCUSDT,1728000000000006,1728000000000007,false,bid,60000.5,4",
        ],
    )
    with writer_of(tmp_path / "lake") as writer:
        assert [] == import_book(path, BTC, writer)
        writer.finish([])

    rows = book_rows(tmp_path / "lake")

    kinds = [MessageKind.SNAPSHOT, MessageKind.REFILL, MessageKind.DELTA, MessageKind.DELTA]
    assert kinds == [row["kind"] for row in rows]
    assert [1, 2, 3, 4] == [row["update_id"] for row in rows]
    assert (600_005, 1_250) == (rows[0]["bid_prices"][0], rows[0]["bid_sizes"][0])  # type: ignore[index]
    assert [600_010] == rows[0]["ask_prices"]
    assert [0] == rows[2]["ask_sizes"]
    assert (1728000000000002000, 1727999999000001000) == (
        rows[0]["received_ns"],
        rows[0]["venue_ns"],
    )
    assert (1, 3) == (rows[0]["price_decimals"], rows[0]["size_decimals"])


def test_tardis_book_when_time_goes_back_then_the_line_is_named(tmp_path: Path):
    path = tardis_book(
        tmp_path / "book.csv.gz",
        [f"x,B,1,{at},false,bid,1.0,1" for at in (5, 6, 4)],
    )

    with writer_of(tmp_path / "lake") as writer, pytest.raises(StorageError, match="line 4"):
        import_book(path, BTC, writer)


def test_csv_when_cut_then_is_refused_and_nothing_stays(tmp_path: Path):
    path = tardis_book(tmp_path / "book.csv.gz", ["x,B,1,5,false,bid,1.0,1"] * 20_000)
    path.write_bytes(path.read_bytes()[:-20])

    with writer_of(tmp_path / "lake") as writer, pytest.raises(StorageError, match="damaged"):
        import_book(path, BTC, writer)

    assert [] == list((tmp_path / "lake").rglob("*.parquet"))


@pytest.mark.parametrize("bad", ["", "nan", "-1.0", "1.0.0", "99999999999999999999"])
def test_tardis_book_when_a_number_is_bad_then_the_column_is_named(tmp_path: Path, bad: str):
    path = tardis_book(tmp_path / "book.csv.gz", [f"x,B,1,5,false,bid,{bad},1"])

    with writer_of(tmp_path / "lake") as writer, pytest.raises(StorageError, match="price"):
        import_book(path, BTC, writer)


def test_tardis_trades_when_unsorted_and_doubled_then_sorted_and_taken_once(tmp_path: Path):
    path = tmp_path / "trades.csv"
    lines = [
        "x,B,1728000000000009,1728000000000019,c,sell,60000.1,1e-05",
        "x,B,1728000000000001,1728000000000011,a,buy,60000.25,0.5",
        "x,B,1728000000000005,1728000000000015,b,unknown,60000,2",
        "x,B,1728000000000001,1728000000000011,a,buy,60000.25,0.5",
    ]
    path.write_text(TARDIS_TRADES + "\n".join(lines) + "\n")
    with writer_of(tmp_path / "lake") as writer:
        remarks = import_trades(path, TRADE_COLUMNS, BTC, writer)
        writer.finish(remarks)

    (batch,) = reader_of(tmp_path / "lake").batches(Table.TRADES, BTC)

    assert 2 == len(remarks)
    assert ["a", "b", "c"] == batch.column("trade_id").to_pylist()
    assert [1, 0, -1] == batch.column("side").to_pylist()
    assert [6_000_025, 6_000_000, 6_000_010] == batch.column("price").to_pylist()
    assert [50_000, 200_000, 1] == batch.column("size").to_pylist()
    assert [1728000000000011000, 1728000000000015000, 1728000000000019000] == (
        batch.column("received_ns").to_pylist()
    )


def test_trades_when_times_are_seconds_with_decimals_then_are_exact(tmp_path: Path):
    path = tmp_path / "trades.csv"
    path.write_text("timestamp,side,size,price,tid\n1733011200.6912,Buy,1,2.5,q\n")
    columns = TradeColumns("timestamp", 9, "tid", "side", "price", "size")
    with writer_of(tmp_path / "lake") as writer:
        import_trades(path, columns, BTC, writer)
        writer.finish([])

    (batch,) = reader_of(tmp_path / "lake").batches(Table.TRADES, BTC)

    assert [1733011200691200000] == batch.column("venue_ns").to_pylist()
    assert [0] == batch.column("received_ns").to_pylist()


def test_trades_when_a_column_is_missing_then_is_named(tmp_path: Path):
    path = tmp_path / "trades.csv"
    path.write_text("timestamp,side\n1,Buy\n")

    with writer_of(tmp_path / "lake") as writer, pytest.raises(StorageError, match="amount"):
        import_trades(path, TRADE_COLUMNS, BTC, writer)


def test_units_when_texts_are_sliced_then_the_right_ones_come():
    import pyarrow as pa

    texts = pa.array(["9.9", "1.25", "0", "9223372036854775.807"])

    assert [1_250, 0, 2**63 - 1] == units_in(texts.slice(1), 3, "x").tolist()


# hftbacktest --------------------------------------------------------------------------------------


def events(count: int, seed: int, *, jitter: bool) -> np.ndarray:
    """Make a feed as that program's own converter writes it, both clocks in order."""
    chance = random.Random(seed)
    rows = []
    exch, local = 1_728_000_000_000_000_000, 0
    for number in range(count):
        exch += chance.choice((0, 0, 1_000, 20_000_000))
        local = max(local, exch + chance.choice((500, 90_000)))
        late = chance.choice((0, 3_000)) if jitter else 0
        kind = chance.choice((1, 1, 1, 1, 2, 4))
        side = chance.choice((BUY, SELL))
        if number % 40 == 0:
            kind = 3
        price = float("nan") if number == 80 else chance.randrange(1, 10**7) / 100
        rows.append((kind | side, exch - late, local, price, chance.randrange(10**6) / 1000))
    data = np.zeros(len(rows), EVENT)
    for name, column in zip(
        ("ev", "exch_ts", "local_ts", "px", "qty"), zip(*rows, strict=True), strict=True
    ):
        data[name] = column
    return both_clocks(data)


def both_clocks(data: np.ndarray) -> np.ndarray:
    """Merge by both times, plainly: what the format's documentation asks for."""
    by_exch = np.argsort(data["exch_ts"], kind="stable")
    by_local = np.argsort(data["local_ts"], kind="stable")
    out, e, n = [], 0, 0
    while e < len(data) or n < len(data):
        a = data[by_exch[e]].copy() if e < len(data) else None
        b = data[by_local[n]].copy() if n < len(data) else None
        first = None if a is None else (a["exch_ts"], a["local_ts"])
        second = None if b is None else (b["exch_ts"], b["local_ts"])
        if first == second:
            a["ev"] |= np.uint64(BOTH)  # type: ignore[index]
            e, n = e + 1, n + 1
            out.append(a)
        elif b is None or (a is not None and first < second):  # type: ignore[operator]
            a["ev"] |= np.uint64(EXCH)  # type: ignore[index]
            e += 1
            out.append(a)
        else:
            b["ev"] |= np.uint64(LOCAL)
            n += 1
            out.append(b)
    return np.array(out, EVENT)


@pytest.mark.parametrize("jitter", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_npz_when_taken_in_and_given_out_then_is_equal(tmp_path: Path, seed: int, jitter: bool):
    data = events(1_500, seed, jitter=jitter)
    np.savez_compressed(tmp_path / "in.npz", data=data)
    with writer_of(tmp_path / "lake") as writer:
        assert [] == import_npz(tmp_path / "in.npz", BTC, writer)
        writer.finish([])

    report = export_npz(reader_of(tmp_path / "lake"), BTC, tmp_path / "out.npz")

    assert len(data) == report.rows
    out = read_npz(tmp_path / "out.npz")
    for name in EVENT.names or ():
        assert np.array_equal(data[name], out[name], equal_nan=name == "px"), name


def test_npz_when_jittered_then_really_holds_split_events():
    flags = set((events(1_500, 0, jitter=True)["ev"] & BOTH).tolist())

    assert {EXCH, LOCAL, BOTH} == flags


def test_export_when_books_have_snapshots_then_each_clears_first(tmp_path: Path):
    with writer_of(tmp_path / "lake") as writer:
        put(writer, delta(10, 1, {5_00: 7, 4_00: 1_500}, {6_00: 8}), trade(11))
        put(writer, delta(12, 2, {5_00: 0}, {}))
        writer.finish([])

    report = export_npz(reader_of(tmp_path / "lake"), BTC, tmp_path / "out.npz")

    out = read_npz(tmp_path / "out.npz")
    assert (7, 2, 1, 0, 0) == (
        report.rows,
        report.messages,
        report.trades,
        report.doubts,
        report.without_received,
    )
    assert [3 | BUY, 4 | BUY, 4 | BUY, 3 | SELL, 4 | SELL, 2 | BUY, 1 | BUY] == (
        (out["ev"] & ~np.uint64(BOTH)).tolist()
    )
    assert [4.0, 5.0, 4.0, 6.0, 6.0, 60_000.0, 5.0] == out["px"].tolist()
    assert [0.0, 0.007, 1.5, 0.0, 0.008, 0.005, 0.0] == out["qty"].tolist()


@pytest.mark.parametrize(
    ("raw", "error"), [(b"", StorageError), (b"PK\x03\x04 cut", StorageError), (None, ConfigError)]
)
def test_npz_when_it_cannot_be_read_then_says_so(
    tmp_path: Path, raw: bytes | None, error: type[Exception]
):
    path = tmp_path / "in.npz"
    if raw is not None:
        path.write_bytes(raw)

    with pytest.raises(error, match=r"in\.npz"):
        read_npz(path)


def test_npz_when_of_another_kind_then_says_so(tmp_path: Path):
    np.savez(tmp_path / "in.npz", data=np.arange(3))

    with pytest.raises(StorageError, match="holds no hftbacktest events"):
        read_npz(tmp_path / "in.npz")


def test_npz_when_it_holds_other_kinds_then_they_are_counted(tmp_path: Path):
    data = events(50, 1, jitter=False)
    data["ev"][7] = BOTH | BUY | 10
    data["order_id"][9] = 4
    np.savez(tmp_path / "in.npz", data=data)

    with writer_of(tmp_path / "lake") as writer:
        remarks = import_npz(tmp_path / "in.npz", BTC, writer)

    assert ["1 events of other kinds", "1 events had an order id"] == [
        text[: len(start)]
        for text, start in zip(
            remarks, ("1 events of other kinds", "1 events had an order id"), strict=True
        )
    ]


def test_npz_when_local_times_go_back_then_is_refused(tmp_path: Path):
    data = events(50, 1, jitter=False)
    data["local_ts"][20] = 1
    np.savez(tmp_path / "in.npz", data=data)

    with writer_of(tmp_path / "lake") as writer, pytest.raises(StorageError, match="go back"):
        import_npz(tmp_path / "in.npz", BTC, writer)
