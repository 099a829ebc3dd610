"""The spool: order, bound, what is given up first, damage, full disks, one holder."""

from pathlib import Path

import numpy as np
import pytest

from tickwright.core.errors import StorageError
from tickwright.storage.history.batch import LAYOUTS, HistoryBatch
from tickwright.storage.history.rows import (
    CandleRow,
    EquityRow,
    ExecutionRow,
    InstrumentRef,
    OrderRow,
    SignalRow,
)
from tickwright.storage.history.spool import Spool
from tickwright.storage.history.spool_look import look_at_spool

BTC = InstrumentRef("bybit", "linear", "BTCUSDT", 1, 3)
BIG = 1 << 30


def market(first: int, count: int, *, own: int = 0, told: int = 0) -> HistoryBatch:
    """Return a batch of trades, and of each further kind of rows so many."""
    rows = np.zeros(count, dtype=LAYOUTS["trade_rows"])
    rows["offset"] = np.arange(first + 1, first + count + 1)
    last = first + count
    records: list[tuple[int, object]] = []
    for number in range(own):
        name = f"o{first}-{number}"
        records += [
            (last, CandleRow(BTC, 60, number, 1, 1, 1, 1, 1)),
            (last, EquityRow(number, "bybit:main", "1", None, None)),
            (last, OrderRow("a", name, BTC, None, 1, "limit", 1, 1, 0, "new", "", 0, 1, None)),
            (last, ExecutionRow("a", name, BTC, 1, "trade", 1, 1, 1, "9" * 30, "USDT", "0", True,
                                None, None)),
        ]  # fmt: skip
    for number in range(told):
        words = "w" * 500
        records.append(
            (last, SignalRow(number, last, "s", BTC, "long", 0.5, words, "approved", "", None))
        )
    return HistoryBatch("s", first, last, (BTC,), {"trade_rows": rows}, tuple(records))  # type: ignore[arg-type]


def names(batch: HistoryBatch) -> set[str]:
    return {type(row).__name__ for _, row in batch.records}


def test_batches_when_put_and_read_by_the_next_process_then_come_in_order_and_whole(
    tmp_path: Path,
):
    spool = Spool(tmp_path, bytes_max=BIG)
    for first in (0, 10, 20):
        assert spool.put(market(first, 10, own=2))
    spool.close()
    again = Spool(tmp_path, bytes_max=BIG)
    for first in (0, 10, 20):
        batch = again.first()
        assert batch is not None
        wanted = market(first, 10, own=2)
        assert (wanted.first, wanted.last, wanted.records) == (
            batch.first,
            batch.last,
            batch.records,
        )
        assert np.array_equal(wanted.market["trade_rows"], batch.market["trade_rows"])
        again.drop_first()
    assert (None, 0, 0) == (again.first(), len(again), again.bytes)
    # Numbers go on, so that nothing later can stand before what waits.
    assert again.put(market(30, 1))
    again.close()


def test_spool_when_held_then_another_is_refused(tmp_path: Path):
    held = Spool(tmp_path, bytes_max=BIG)
    with pytest.raises(StorageError, match="in use"):
        Spool(tmp_path, bytes_max=BIG)
    held.close()
    Spool(tmp_path, bytes_max=BIG).close()


def test_spool_when_full_then_market_rows_go_first_and_orders_never_before_all_else(
    tmp_path: Path,
):
    spool = Spool(tmp_path, bytes_max=60_000)
    for first in range(0, 1_500, 300):
        assert spool.put(market(first, 300, own=2))
        assert spool.bytes <= 60_000
    whole: list[HistoryBatch] = []
    slim: list[HistoryBatch] = []
    offered = 5 * 308
    for path in sorted(tmp_path.glob("*.batch")):
        batch = spool.first()
        assert batch is not None
        (whole if batch.market else slim).append(batch)
        spool.drop_first()
        assert not path.exists()
    # The first came whole, the last without what the market said; each tells what it lacks.
    assert (1, 4) == (len(whole), len(slim))
    assert {"EquityRow", "OrderRow", "ExecutionRow"} == set.union(*map(names, slim))
    assert all(302 == batch.lost for batch in slim)
    kept = sum(batch.row_count for batch in whole + slim)
    assert offered - kept == spool.lost == sum(batch.lost for batch in slim)
    spool.close()


def test_spool_when_own_rows_alone_outgrow_it_then_orders_and_executions_stay_longest(
    tmp_path: Path,
):
    spool = Spool(tmp_path, bytes_max=80_000)
    first, stayed = 0, 0
    while spool.put(market(first, 5, own=20, told=20)):
        first += 5
        assert spool.bytes <= 80_000
        assert first < 1_000
    kinds: set[str] = set()
    held = len(spool)
    for _ in range(held):
        batch = spool.first()
        assert batch is not None
        kinds |= names(batch)
        stayed += batch.row_count
        assert 40 == sum(isinstance(row, OrderRow | ExecutionRow) for _, row in batch.records)
        spool.drop_first()
    # Not one market row, sample or signal was left when the first order found no room.
    assert {"OrderRow", "ExecutionRow"} == kinds
    offered = (held + 1) * (5 + 80 + 20)
    assert offered - stayed == spool.lost
    assert 105 == spool.untold
    spool.close()


def test_spool_when_its_oldest_is_being_written_then_that_one_keeps_all_its_rows(tmp_path: Path):
    spool = Spool(tmp_path, bytes_max=40_000)
    assert spool.put(market(0, 300))
    kept = [spool.put(market(first, 10, own=5), held=1) for first in range(300, 400, 10)]
    assert {True, False} == set(kept)
    batch = spool.first()
    assert batch is not None
    assert 300 == batch.row_count
    spool.close()


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_file_when_damaged_then_is_set_aside_and_the_rest_goes_on(tmp_path: Path, damage: str):
    spool = Spool(tmp_path, bytes_max=BIG)
    spool.put(market(0, 10))
    spool.put(market(10, 10))
    path = sorted(tmp_path.glob("*.batch"))[0]
    raw = bytearray(path.read_bytes())
    if damage == "flipped":
        raw[len(raw) // 2] ^= 1
    damaged = {"cut": raw[:-7], "flipped": raw, "foreign": b"TWH1" + raw[4:], "empty": b""}[damage]
    path.write_bytes(bytes(damaged))
    batch = spool.first()
    assert batch is not None
    assert (10, 1, 1) == (batch.first, spool.damaged, len(spool))
    look = look_at_spool(tmp_path)
    assert (1, 1, 0) == (look.batches, look.damaged, look.refused)
    spool.close()


def test_draft_when_a_crash_left_one_then_is_nothing(tmp_path: Path):
    (tmp_path / "000000000007.draft").write_bytes(b"half")
    spool = Spool(tmp_path, bytes_max=BIG)
    assert (0, None) == (len(spool), spool.first())
    assert [] == list(tmp_path.glob("*.draft"))
    spool.close()


def test_disk_when_it_refuses_then_the_spool_says_so_and_goes_on_later(tmp_path: Path):
    folder = tmp_path / "spool"
    spool = Spool(folder, bytes_max=BIG)
    # Nobody, not even root, can write a file where a folder stands.
    blocker = folder / "000000000001.draft"
    blocker.mkdir()
    with pytest.raises(StorageError, match="can't be written"):
        spool.put(market(0, 10))
    assert (0, 0, 0) == (len(spool), spool.bytes, spool.lost)
    blocker.rmdir()
    assert spool.put(market(0, 10))
    spool.close()


def test_spool_when_its_folder_is_a_file_then_says_so(tmp_path: Path):
    (tmp_path / "spool").write_text("x")
    with pytest.raises(StorageError, match="can't be used"):
        Spool(tmp_path / "spool", bytes_max=BIG)
    with pytest.raises(StorageError, match="can't be looked at"):
        look_at_spool(tmp_path / "spool")
    assert 0 == look_at_spool(tmp_path / "nowhere").batches


def test_refused_files_when_many_then_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tickwright.storage.history.spool.ASIDE_MAX", 3)
    spool = Spool(tmp_path, bytes_max=BIG)
    for first in range(5):
        spool.put(market(first, 1))
        spool.refuse_first()
    assert ["3", "4", "5"] == [p.stem.lstrip("0") for p in sorted(tmp_path.glob("*.refused"))]
    assert (0, 0) == (len(spool), spool.bytes)
    spool.close()
