"""What was promised is in the journal, or it wasn't promised; cancels never wait."""

import os
import resource
import signal
from pathlib import Path

import pytest

from tickwright.core.commands import CancelOrder, PlaceOrder
from tickwright.core.errors import StorageError
from tickwright.core.identity import AccountId, Category, ClientId, InstrumentId, Leg, StrategyId
from tickwright.core.orders import OrderType, Side, TimeInForce, TriggerBy
from tickwright.storage.journal import Journal, JournalEntry, next_epoch, read_journal

ACCOUNT = AccountId("bybit", "main")
INSTRUMENT = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")


def place(number: int) -> PlaceOrder:
    return PlaceOrder(
        account_id=ACCOUNT,
        client_id=ClientId(f"TW{number}"),
        instrument_id=INSTRUMENT,
        strategy_id=StrategyId("s"),
        side=Side.BUY,
        size_units=10,
        order_type=OrderType.LIMIT,
        price_units=100,
        time_in_force=TimeInForce.GTC,
        post_only=False,
        reduce_only=False,
        leg=Leg.NET,
        stop_loss_price_units=None,
        take_profit_price_units=None,
        trigger_price_units=None,
        trigger_by=TriggerBy.LAST,
        valid_until_ns=0,
        event_id=number,
    )


def cancel(number: int) -> CancelOrder:
    return CancelOrder(
        account_id=ACCOUNT,
        client_id=ClientId(f"TW{number}"),
        venue_id=None,
        instrument_id=INSTRUMENT,
        event_id=number,
    )


def test_journal_when_read_back_then_promises_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    journal = Journal(path, epoch=3)
    journal.promise(place(1), 11)
    journal.note_cancel(cancel(1), 12)
    journal.flush()
    journal.close()
    expected = [JournalEntry(3, 11, place(1)), JournalEntry(3, 12, cancel(1))]
    assert expected == list(read_journal(path))


def test_journal_when_opened_again_then_it_appends(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    for epoch in (1, 2):
        journal = Journal(path, epoch=epoch)
        journal.promise(place(epoch), epoch)
        journal.close()
    assert [1, 2] == [entry.epoch for entry in read_journal(path)]


@pytest.mark.parametrize("lost", [1, 2, 40])
def test_journal_when_its_last_line_is_cut_then_the_rest_is_read(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "j.log"
    journal = Journal(path, epoch=1)
    journal.promise(place(1), 1)
    journal.promise(place(2), 2)
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    # Only the line's end is lost with the first byte: the promise itself is whole.
    assert ([1, 2] if lost == 1 else [1]) == [e.now_ns for e in read_journal(path)]


def test_journal_when_a_line_is_damaged_then_its_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    journal = Journal(path, epoch=1)
    for number in (1, 2, 3):
        journal.promise(place(number), number)
    journal.close()
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"BTCUSDT", b"BTCUSDX")
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(StorageError, match="line 2 is damaged"):
        list(read_journal(path))


def test_journal_when_it_is_missing_then_there_is_nothing(tmp_path: Path) -> None:
    assert [] == list(read_journal(tmp_path / "none.log"))


def test_journal_when_the_disk_takes_no_more_then_nothing_may_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "j.log"
    journal = Journal(path, epoch=1)
    journal.promise(place(1), 1)
    size = path.stat().st_size
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(StorageError, match="can't be written"):
            journal.promise(place(2), 2)
        # A cancel isn't stopped by a full disk, and the journal stays shut for orders.
        journal.note_cancel(cancel(1), 3)
        assert 1 == journal.lost_cancels
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    with pytest.raises(StorageError):
        journal.promise(place(3), 4)
    journal.close()
    assert [1] == [entry.now_ns for entry in read_journal(path)]


def test_journal_when_made_then_only_its_owner_may_read_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "j.log", epoch=1)
    journal.close()
    assert 0o600 == os.stat(tmp_path / "deep" / "j.log").st_mode & 0o777


def test_journal_when_the_folder_is_a_file_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be opened"):
        Journal(tmp_path / "file" / "j.log", epoch=1)


def test_epoch_when_asked_again_then_it_rises(tmp_path: Path) -> None:
    now_ns = 1_700_000_000_000_000_000
    first = next_epoch(tmp_path, now_ns)
    second = next_epoch(tmp_path, now_ns)
    assert 1_700_000_000 == first
    assert first + 1 == second


def test_epoch_when_its_folder_was_lost_then_it_still_differs(tmp_path: Path) -> None:
    first = next_epoch(tmp_path / "a", 1_700_000_000_000_000_000)
    later = next_epoch(tmp_path / "b", 1_700_000_009_000_000_000)
    assert first < later


def test_epoch_when_the_file_is_foreign_then_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "epoch").write_text("abc")
    with pytest.raises(StorageError, match="holds no number"):
        next_epoch(tmp_path, 1)


@pytest.mark.parametrize("lost", [1, 2, 40])
def test_journal_when_opened_after_a_crash_then_half_a_line_is_dropped(
    tmp_path: Path, lost: int
) -> None:
    path = tmp_path / "j.log"
    journal = Journal(path, epoch=1)
    journal.promise(place(1), 1)
    journal.promise(place(2), 2)
    journal.close()
    path.write_bytes(path.read_bytes()[:-lost])
    again = Journal(path, epoch=2)
    again.promise(place(3), 3)
    again.close()
    assert ([1, 2, 3] if lost == 1 else [1, 3]) == [e.now_ns for e in read_journal(path)]
