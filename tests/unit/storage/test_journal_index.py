"""The index says what the segments say, whatever became of either of them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.storage.test_journal import cancel, opened, place
from tickwright.core.commands import AmendOrder, CancelAll
from tickwright.core.identity import ClientId
from tickwright.core.orders import OrderState
from tickwright.storage import journal_index
from tickwright.storage.journal import Journal, JournalEntry, read_entries, segments
from tickwright.storage.journal_index import JournalIndex, index_path

ACCOUNT = place(1).account_id


def fill_in(journal: Journal, first: int, count: int) -> None:
    """Promise orders; every second one ends filled, every fourth was cancelled before."""
    for number in range(first, first + count):
        journal.promise(place(number), number * 10)
        if number % 4 == 0:
            journal.note_cancel(cancel(number), number * 10 + 1)
        if number % 2 == 0:
            journal.settle(ClientId(f"TW{number}"), OrderState.FILLED, 10, number * 10 + 2)


def seen(index: JournalIndex) -> list[tuple[str, str, int, int]]:
    index.refresh()
    return [(o.client_id, o.state, o.cancels, o.promised_ns) for o in index.orders()]


def expected(count: int) -> list[tuple[str, str, int, int]]:
    return [
        (f"TW{n}", "filled" if n % 2 == 0 else "", int(n % 4 == 0), n * 10)
        for n in range(1, count + 1)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


@pytest.fixture
def path(folder: Path) -> Path:
    return index_path(folder.parent, folder)


def test_index_when_built_then_every_order_has_its_end(folder: Path, path: Path):
    journal = opened(folder)
    fill_in(journal, 1, 8)
    journal.close()
    with JournalIndex(folder, path) as index:
        assert expected(8) == seen(index)
        assert (8, 4) == (index.order_count, index.open_count)
        assert ["TW1", "TW3"] == [o.client_id for o in index.orders(is_open=True)][:2]
        assert ["TW7", "TW8"] == [o.client_id for o in index.orders(last=2)]
        assert () == index.orders(strategy_id="other")
        assert 8 == len(index.orders(symbol="BTCUSDT", strategy_id="s"))


def test_index_when_the_journal_grows_then_reads_only_what_is_new(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
):
    journal = opened(folder, bytes_max=3_000)
    fill_in(journal, 1, 20)
    with JournalIndex(folder, path) as index:
        assert expected(20) == seen(index)
    fill_in(journal, 21, 20)
    journal.close()
    fill_in(second := opened(folder, epoch=2), 41, 2)
    second.close()
    read: list[int] = []
    whole = read_entries

    def counting(where: Path, *, offset: int, expected: int) -> Iterator[tuple[int, JournalEntry]]:
        for at, entry in whole(where, offset=offset, expected=expected):
            read.append(entry.number)
            yield at, entry

    monkeypatch.setattr(journal_index, "read_entries", counting)
    with JournalIndex(folder, path) as index:
        assert expected(42) == seen(index)
        assert "" == index.rebuilt == index.fault
        assert len(segments(folder)) > 3
        assert min(read) > 30
        read.clear()
        assert expected(42) == seen(index)
        assert [] == read


def test_index_when_an_order_was_amended_and_all_were_cancelled_then_its_entries_tell(
    folder: Path, path: Path
):
    journal = opened(folder)
    fill_in(journal, 1, 3)
    where = place(1).instrument_id
    journal.promise(
        AmendOrder(
            account_id=ACCOUNT,
            client_id=ClientId("TW3"),
            venue_id=None,
            instrument_id=where,
            price_units=7,
            size_units=None,
            event_id=9,
        ),
        40,
    )
    journal.note_cancel(CancelAll(account_id=ACCOUNT, instrument_id=None, event_id=10), 50)
    journal.settle(ClientId("TW3"), OrderState.CANCELLED, 0, 60)
    journal.close()
    with JournalIndex(folder, path) as index:
        index.refresh()
        order = index.order("TW3")
        assert order is not None
        assert (1, 0, 40, "cancelled", 60) == (
            order.amends,
            order.cancels,
            order.asked_ns,
            order.state,
            order.settled_ns,
        )
        kinds = [type(e.record).__name__ for e in index.entries_of(order)]
        assert ["PlaceOrder", "AmendOrder", "CancelAll", "Settled"] == kinds
        assert ("TW1", "TW2", "TW3") == index.beginning_with("TW", at_most=9)
        assert None is index.order("TW")


@pytest.mark.parametrize("damage", ["garbage", "empty", "version", "cut", "folder"])
def test_index_when_damaged_then_is_built_anew(folder: Path, path: Path, damage: str):
    journal = opened(folder)
    fill_in(journal, 1, 6)
    journal.close()
    with JournalIndex(folder, path) as index:
        index.refresh()
    if damage == "garbage":
        path.write_bytes(b"no database at all " * 500)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "version":
        base = sqlite3.connect(path)
        base.execute("PRAGMA user_version = 99")
        base.close()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5_000])
    else:
        path.unlink()
        path.mkdir()
    with JournalIndex(folder, path) as index:
        assert expected(6) == seen(index)


def test_index_when_the_journal_was_moved_away_then_knows_the_new_one_alone(
    folder: Path, path: Path, tmp_path: Path
):
    journal = opened(folder)
    fill_in(journal, 1, 6)
    journal.close()
    with JournalIndex(folder, path) as index:
        index.refresh()
    folder.rename(tmp_path / "old")
    journal = opened(folder, epoch=5)
    fill_in(journal, 1, 2)
    journal.close()
    with JournalIndex(folder, path) as index:
        assert expected(2) == seen(index)
        assert "the journal was replaced" == index.rebuilt


def test_index_when_a_line_is_damaged_then_knows_what_is_before_and_says_so(
    folder: Path, path: Path
):
    journal = opened(folder)
    fill_in(journal, 1, 6)
    journal.close()
    raw = bytearray(journal.path.read_bytes())
    raw[raw.index(b"TW5") + 1] ^= 1
    journal.path.write_bytes(raw)
    with JournalIndex(folder, path) as index:
        assert expected(4) == seen(index)
        assert "is damaged" in index.fault


def test_index_when_half_a_line_stands_at_the_end_then_waits_for_the_rest(folder: Path, path: Path):
    journal = opened(folder)
    fill_in(journal, 1, 3)
    journal.close()
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-40])
    with JournalIndex(folder, path) as index:
        assert expected(2) == seen(index)
        assert "" == index.fault
        journal.path.write_bytes(whole)
        assert expected(3) == seen(index)


def test_index_when_old_segments_are_gone_then_the_heads_tell_what_is_open(
    folder: Path, path: Path
):
    journal = opened(folder, bytes_max=3_000)
    fill_in(journal, 1, 20)
    journal.close()
    for old in segments(folder)[:-1]:
        old.unlink()
    with JournalIndex(folder, path) as index:
        index.refresh()
        opens = [o.client_id for o in index.orders(is_open=True)]
        assert [f"TW{n}" for n in range(1, 20, 2)] == sorted(opens, key=lambda x: int(x[2:]))


def test_index_when_full_then_orders_that_ended_leave_first(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(journal_index, "ORDERS_MAX", 6)
    journal = opened(folder)
    fill_in(journal, 1, 8)
    journal.close()
    with JournalIndex(folder, path) as index:
        index.refresh()
        assert ["TW1", "TW3", "TW5", "TW6", "TW7", "TW8"] == [o.client_id for o in index.orders()]


def test_index_when_it_can_not_be_written_then_is_made_in_memory(folder: Path, tmp_path: Path):
    journal = opened(folder)
    fill_in(journal, 1, 4)
    journal.close()
    (tmp_path / "file").write_text("")
    with JournalIndex(folder, tmp_path / "file" / "index.sqlite") as index:
        assert expected(4) == seen(index)
        assert "in memory" in index.rebuilt


def test_index_when_there_is_no_journal_then_is_empty(folder: Path, path: Path):
    with JournalIndex(folder, path) as index:
        assert [] == seen(index)
        assert "" == index.fault
