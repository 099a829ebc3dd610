"""What was promised is in the journal, or it wasn't promised; cancels never wait."""

import os
import resource
import signal
from pathlib import Path

import pytest

from tickwright.core.commands import AmendOrder, CancelOrder, PlaceOrder
from tickwright.core.errors import StorageError
from tickwright.core.identity import AccountId, Category, ClientId, InstrumentId, Leg, StrategyId
from tickwright.core.orders import OrderState, OrderType, Side, TimeInForce, TriggerBy
from tickwright.storage.journal import (
    SEGMENTS_MAX,
    Journal,
    JournalEntry,
    Opened,
    Settled,
    next_epoch,
    open_promises,
    read_segment,
    segments,
)

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


def opened(folder: Path, *, epoch: int = 1, bytes_max: int = 1 << 20) -> Journal:
    return Journal(
        folder, account=str(ACCOUNT), epoch=epoch, now_ns=epoch, segment_bytes_max=bytes_max
    )


def left_open(folder: Path) -> list[str]:
    return [promise.client_id for promise in open_promises(folder, account=str(ACCOUNT))]


def test_journal_when_read_back_then_promises_are_equal(tmp_path: Path) -> None:
    journal = opened(tmp_path, epoch=3)
    journal.promise(place(1), 11)
    journal.note_cancel(cancel(1), 12)
    journal.flush()
    journal.close()
    expected = [
        JournalEntry(1, 3, 3, Opened(2, "bybit:main")),
        JournalEntry(2, 3, 11, place(1)),
        JournalEntry(3, 3, 12, cancel(1)),
    ]
    assert expected == list(read_segment(journal.path))


def test_journal_when_opened_again_then_open_promises_are_carried_on(tmp_path: Path) -> None:
    first = opened(tmp_path, epoch=1)
    for number in (1, 2, 3):
        first.promise(place(number), number)
    first.settle(ClientId("TW2"), OrderState.FILLED, 10, 9)
    first.close()
    second = opened(tmp_path, epoch=2)
    assert ["TW1", "TW3"] == list(second.open)
    second.settle(ClientId("TW1"), OrderState.CANCELLED, 0, 10)
    second.promise(place(4), 11)
    second.close()
    assert ["TW3", "TW4"] == left_open(tmp_path)
    assert 2 == len(segments(tmp_path))


def test_journal_when_an_order_settles_twice_then_it_is_written_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.promise(place(1), 1)
    for _ in range(2):
        journal.settle(ClientId("TW1"), OrderState.FILLED, 10, 2)
    journal.settle(ClientId("TW-nobody's"), OrderState.FILLED, 10, 2)
    journal.close()
    ends = [e.record for e in read_segment(journal.path) if isinstance(e.record, Settled)]
    assert [Settled(ClientId("TW1"), OrderState.FILLED, 10)] == ends


def amend(number: int, size_units: int | None) -> AmendOrder:
    return AmendOrder(
        account_id=ACCOUNT,
        client_id=ClientId(f"TW{number}"),
        venue_id=None,
        instrument_id=INSTRUMENT,
        price_units=101,
        size_units=size_units,
        event_id=number,
    )


def test_journal_when_an_amend_was_promised_then_the_larger_size_is_what_is_open(
    tmp_path: Path,
) -> None:
    journal = opened(tmp_path)
    for number in (1, 2, 3):
        journal.promise(place(number), number)
    journal.promise(amend(1, 25), 4)
    journal.promise(amend(2, 5), 5)
    journal.promise(amend(3, None), 6)
    journal.promise(amend(4, 99), 7)
    journal.close()
    sizes = {p.client_id: p.size_units for p in open_promises(tmp_path, account=str(ACCOUNT))}
    # A smaller size counts only when the venue shows it; an amend of nobody's order is nothing.
    assert {"TW1": 25, "TW2": 10, "TW3": 10} == sizes
    assert sizes == {name: promise.size_units for name, promise in opened(tmp_path).open.items()}


def test_journal_when_a_segment_is_full_then_the_next_tells_what_is_open(tmp_path: Path) -> None:
    journal = opened(tmp_path, bytes_max=4_000)
    for number in range(40):
        journal.promise(place(number), number)
        if number % 4:
            journal.settle(ClientId(f"TW{number}"), OrderState.FILLED, 10, number)
    journal.close()
    assert len(segments(tmp_path)) > 3
    assert [f"TW{number}" for number in range(0, 40, 4)] == left_open(tmp_path)
    numbers = [entry.number for path in segments(tmp_path) for entry in read_segment(path)]
    assert list(range(1, len(numbers) + 1)) == numbers


def test_journal_when_many_segments_are_there_then_the_oldest_leave(tmp_path: Path) -> None:
    journal = opened(tmp_path, bytes_max=1)
    for number in range(SEGMENTS_MAX + 10):
        journal.promise(place(number), number)
    journal.close()
    assert SEGMENTS_MAX == len(segments(tmp_path))
    assert SEGMENTS_MAX + 10 == len(left_open(tmp_path))


@pytest.mark.parametrize("lost", [1, 2, 40])
def test_journal_when_its_last_line_is_cut_then_the_rest_is_read(tmp_path: Path, lost: int) -> None:
    journal = opened(tmp_path)
    journal.promise(place(1), 1)
    journal.promise(place(2), 2)
    journal.close()
    journal.path.write_bytes(journal.path.read_bytes()[:-lost])
    # Only the line's end is lost with the first byte: the promise itself is whole.
    assert (["TW1", "TW2"] if lost == 1 else ["TW1"]) == left_open(tmp_path)


@pytest.mark.parametrize("lost", [1, 2, 40])
def test_journal_when_opened_after_a_crash_then_half_a_line_is_dropped(
    tmp_path: Path, lost: int
) -> None:
    journal = opened(tmp_path)
    journal.promise(place(1), 1)
    journal.promise(place(2), 2)
    journal.close()
    journal.path.write_bytes(journal.path.read_bytes()[:-lost])
    again = opened(tmp_path, epoch=2)
    again.promise(place(3), 3)
    again.close()
    assert (["TW1", "TW2", "TW3"] if lost == 1 else ["TW1", "TW3"]) == left_open(tmp_path)


def test_journal_when_a_bit_flips_then_the_line_and_the_remedy_are_named(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in (1, 2, 3):
        journal.promise(place(number), number)
    journal.close()
    lines = journal.path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"BTCUSDT", b"BTCUSDX")
    journal.path.write_bytes(b"\n".join(lines))
    with pytest.raises(StorageError, match="line 2 is damaged; restore the folder, or move it"):
        opened(tmp_path, epoch=2)


def test_journal_when_a_line_is_missing_then_it_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in (1, 2, 3):
        journal.promise(place(number), number)
    journal.close()
    lines = journal.path.read_bytes().split(b"\n")
    del lines[2]
    journal.path.write_bytes(b"\n".join(lines))
    with pytest.raises(StorageError, match="line 3 is entry 4, not 3: lines are missing"):
        opened(tmp_path, epoch=2)


def test_journal_when_it_is_another_accounts_then_both_are_named(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(StorageError, match="is of account bybit:main, not bybit:other"):
        Journal(tmp_path, account="bybit:other", epoch=2, now_ns=2)


def test_journal_when_another_version_wrote_it_then_it_is_refused(tmp_path: Path) -> None:
    import binascii

    body = b'{"number":1,"epoch":1,"now_ns":1,"record":{"type":"opened","format":3}}'
    (tmp_path / "000000000001.log").write_bytes(b"%08x %b\n" % (binascii.crc32(body), body))
    with pytest.raises(StorageError, match="has form 3, this version reads 2"):
        opened(tmp_path)


def test_journal_when_a_file_is_no_journal_then_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "000000000001.log").write_bytes(b"hello\n")
    with pytest.raises(StorageError, match="line 1 is damaged"):
        opened(tmp_path)


def test_journal_when_it_is_missing_then_there_is_nothing(tmp_path: Path) -> None:
    assert [] == left_open(tmp_path / "none")


def test_journal_when_the_disk_takes_no_more_then_nothing_may_be_sent(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.promise(place(1), 1)
    size = journal.path.stat().st_size
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for half a line: what is written of it must not stay.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
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
    journal.note_cancel(cancel(1), 5)
    journal.close()
    assert ["TW1"] == left_open(tmp_path)
    assert cancel(1) == list(read_segment(journal.path))[-1].record


def test_journal_when_made_then_only_its_owner_may_read_it(tmp_path: Path) -> None:
    journal = opened(tmp_path / "deep")
    journal.close()
    assert 0o600 == os.stat(journal.path).st_mode & 0o777


def test_journal_when_the_folder_is_a_file_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be opened"):
        opened(tmp_path / "file")


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
