"""What the oracle can't say: identity, copies, memory, numbers shared with the compiled core."""

import gc
import re
import resource
from pathlib import Path

import pytest

from tests.oracle.instruments import make_instrument
from tickwright.book import verdict
from tickwright.book.control import BookVerb, control_book
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy, Continuity, SnapshotBase
from tickwright.book.verdict import BookVerdict
from tickwright.core.events import BookState

BYBIT = BookPolicy(window=50, restart_id=1)


def make_book(*, capacity: int = 50, policy: BookPolicy = BYBIT) -> OrderBook:
    book = OrderBook(make_instrument(), capacity=capacity, policy=policy)
    book.apply_snapshot(
        [(100, 5), (99, 6)], [(101, 7), (103, 8)], update_id=10, sequence=5, received_ns=1_000
    )
    return book


# numbers ----------------------------------------------------------------------------------------


def _enum_of(text: str, first: str) -> dict[str, int]:
    block = next(block for block in text.split("cdef enum:")[1:] if f"    {first} = 0" in block)
    names = {}
    for line in block.splitlines()[1:]:
        found = re.fullmatch(r"    (\w+) = (\d+)", line)
        if not found:
            break
        names[found[1]] = int(found[2])
    return names


def test_numbers_when_compiled_then_are_those_of_the_python_enums():
    folder = Path(verdict.__file__).parent
    text = (folder / "order_book.pxd").read_text()
    assert {each.name: each.value for each in BookVerdict} == _enum_of(text, "APPLIED")
    states = {f"STATE_{each.name}": each.value for each in BookState}
    assert states == _enum_of(text, "STATE_EMPTY")
    # The core compares base and continuity with bare numbers.
    assert [0, 1] == [int(SnapshotBase.STREAM), int(SnapshotBase.REST)]
    assert [0, 1, 2] == [
        int(Continuity.PLUS_ONE),
        int(Continuity.OVERLAP),
        int(Continuity.PREVIOUS_ID),
    ]


@pytest.mark.parametrize("capacity", [0, -1, 10_001])
def test_book_when_capacity_is_out_of_range_then_refused(capacity: int):
    with pytest.raises(ValueError, match="between 1 and 10000"):
        OrderBook(make_instrument(), capacity=capacity)


@pytest.mark.parametrize("price", [2**62, 2**63 - 1])
def test_book_when_two_prices_would_not_fit_their_sum_then_refused(price: int):
    book = make_book()
    assert BookVerdict.REFUSED is book.apply_delta([], [(price, 1)], update_id=11, received_ns=2)
    assert BookState.STALE is book.state


def test_features_when_prices_and_sizes_are_the_largest_then_do_not_overflow():
    top = (2**63 - 1) // 2
    book = OrderBook(make_instrument(price_decimals=0, size_decimals=0), capacity=5)
    book.apply_snapshot([(top - 1, 2**63 - 1)], [(top, 2**63 - 1)], update_id=1, received_ns=1)
    assert 2 * top - 1 == book.mid_twice_units
    assert 1 == book.spread_units
    assert 0.0 == book.imbalance(1)
    assert top == book.worst_price_to_buy(2**63 - 1)
    assert pytest.approx(float(top)) == book.vwap_to_buy(2**63 - 1)
    assert pytest.approx(float(top)) == book.microprice


def test_sizes_when_together_beyond_int64_then_exact():
    most = 2**63 - 1
    book = OrderBook(make_instrument(), capacity=5)
    bids, asks = [(100, most), (99, 1), (98, most)], [(101, 2)]
    book.apply_snapshot(bids, asks, update_id=10, received_ns=1)
    assert [most, most + 1, 2 * most + 1] == [book.bids_size(n) for n in (1, 2, 9)]
    assert 2 == book.asks_size(3)


@pytest.mark.parametrize(
    "ask",
    [
        "imbalance",
        "vwap_bids",
        "vwap_asks",
        "vwap_to_buy",
        "vwap_to_sell",
        "bids_size",
        "asks_size",
    ],
)
def test_features_when_asked_for_nothing_then_refuse(ask: str):
    with pytest.raises(ValueError, match="not 0"):
        getattr(make_book(), ask)(0)


# state ------------------------------------------------------------------------------------------


def test_age_when_never_proven_then_unknown_and_else_since_the_last_proof():
    book = OrderBook(make_instrument(), capacity=5)
    assert book.age_ns(99) is None
    book.apply_snapshot([(100, 5)], [(101, 7)], update_id=10, received_ns=1_000)
    assert 500 == book.age_ns(1_500)
    book.prove(1_400)
    assert 100 == book.age_ns(1_500)
    book.prove(1_300)
    assert 100 == book.age_ns(1_500)


def test_proof_when_the_book_is_stale_then_proves_nothing():
    book = make_book()
    book.mark_stale("doubt")
    book.prove(9_000)
    assert 1_000 == book.proof_ns


def test_snapshot_when_repeated_then_proves_without_counting():
    book = make_book()
    again = book.apply_snapshot(
        [(100, 5), (99, 6)], [(101, 7), (103, 8)], update_id=10, sequence=5, received_ns=2_000
    )
    assert BookVerdict.REPEAT is again
    assert (1, 2_000) == (book.snapshot_count, book.proof_ns)


def test_restart_when_it_comes_as_a_delta_then_stale_and_as_a_snapshot_then_replaces():
    book = make_book()
    assert BookVerdict.RESTART is book.apply_delta([(98, 1)], [], update_id=1, received_ns=2_000)
    assert BookState.STALE is book.state
    assert [(100, 5), (99, 6)] == book.bids()
    assert BookVerdict.SNAPSHOT is book.apply_snapshot(
        [(90, 1)], [(91, 1)], update_id=1, received_ns=3_000
    )
    assert (1, [(90, 1)]) == (book.update_id, book.bids())
    assert BookVerdict.APPLIED is book.apply_delta([(89, 1)], [], update_id=2, received_ns=4_000)


def test_gap_when_it_happens_then_what_was_held_stays_readable_and_marked():
    book = make_book()
    assert BookVerdict.GAP is book.apply_delta([(100, 0)], [], update_id=12, received_ns=2_000)
    assert (BookState.STALE, "gap", 1) == (book.state, book.stale_reason, book.gap_count)
    assert 100 == book.best_bid
    assert BookVerdict.IGNORED is book.apply_delta([(100, 0)], [], update_id=11, received_ns=3_000)
    assert 1 == book.ignored_count
    assert 1_000 == book.proof_ns


@pytest.mark.parametrize(
    ("verb", "state", "reason"),
    [
        (BookVerb.STALE, BookState.STALE, "why"),
        (BookVerb.RESYNCING, BookState.RESYNCING, "waits for a snapshot"),
        (BookVerb.PROVE, BookState.SYNCED, ""),
        (BookVerb.CLEAR, BookState.EMPTY, ""),
    ],
)
def test_control_when_spoken_then_the_book_obeys(verb: BookVerb, state: BookState, reason: str):
    book = make_book()
    control_book(book, verb, "why", 7_000)
    assert (state, reason) == (book.state, book.stale_reason)
    assert {BookVerb.PROVE: 7_000, BookVerb.CLEAR: 0}.get(verb, 1_000) == book.proof_ns


def test_instrument_when_its_decimals_change_then_the_book_is_empty():
    book = make_book()
    book.change_instrument(make_instrument(price_decimals=2, size_decimals=3))
    assert book.is_synced
    book.change_instrument(make_instrument(price_decimals=4, size_decimals=3))
    assert BookState.EMPTY is book.state
    assert [] == book.bids()
    book.apply_snapshot([(10_000, 5)], [(30_000, 5)], update_id=1, received_ns=1)
    assert 2.0 == book.mid
    assert [["1.0000", "0.005"]] == book.bids_text()
    with pytest.raises(ValueError, match="whose book this is"):
        book.change_instrument(make_instrument("ETHUSDT"))


def test_repr_when_shown_then_says_state_and_touch():
    assert "OrderBook(bybit:linear:BTCUSDT synced u=10 bid=100 ask=101)" == repr(make_book())


# copies and memory ------------------------------------------------------------------------------


def test_copy_when_either_changes_then_the_other_does_not():
    book = make_book()
    book.slot = 3
    kept = book.copy()
    seen = (kept.bids(), kept.asks(), kept.update_id, kept.state, kept.proof_ns, kept.slot)
    assert (book.bids(), book.asks(), 10, BookState.SYNCED, 1_000, 3) == seen
    book.apply_delta([(100, 0), (98, 4)], [(101, 9)], update_id=11, received_ns=2_000)
    book.apply_delta([], [], update_id=99, received_ns=3_000)
    assert seen == (kept.bids(), kept.asks(), kept.update_id, kept.state, kept.proof_ns, kept.slot)
    assert BookVerdict.APPLIED is kept.apply_delta([(97, 1)], [], update_id=11, received_ns=4_000)
    assert [(99, 6), (98, 4)] == book.bids()


def test_copy_when_levels_were_dropped_then_keeps_the_horizon_and_the_counts():
    book = OrderBook(make_instrument(), capacity=2)
    book.apply_snapshot([(100, 1), (99, 1), (98, 1)], [(101, 1)], update_id=1, received_ns=1)
    book.apply_delta([(100, 0), (97, 5)], [(500, 0)], update_id=2, received_ns=2)
    kept = book.copy()
    # 98 was dropped, so 97 and 98 are beyond the horizon: unknown for ever, here and there.
    for each in (book, kept):
        each.apply_delta([(98, 4)], [], update_id=3, received_ns=3)
        assert [(99, 1)] == each.bids()
    for name in (
        "update_count", "snapshot_count", "gap_count", "duplicate_count", "fault_count",
        "ignored_count", "unknown_delete_count", "overflow_count",
    ):  # fmt: skip
        assert getattr(book, name) == getattr(kept, name), name


def test_books_when_made_and_dropped_by_thousands_then_give_their_memory_back():
    def churn(count: int) -> None:
        for number in range(count):
            book = OrderBook(make_instrument(), capacity=200)
            book.apply_snapshot(levels, [], update_id=1, received_ns=number + 1)
            book.copy()
            book.start_buffering()
            book.apply_delta(levels[:5], [], update_id=2, received_ns=number + 2)
            book.apply_snapshot([(100, -1)], [], update_id=2, received_ns=number + 2)

    levels = [(1_000 - i, 1) for i in range(200)]
    churn(1_000)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    churn(10_000)
    gc.collect()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # Leaking the two level arrays of each book would be 60 MB, the histograms alone 50 MB.
    assert grown_kib < 8 * 1024


def test_features_when_read_in_one_call_then_they_equal_the_single_ones() -> None:
    book = OrderBook(make_instrument(), capacity=50)
    assert book.features() is None
    bids = [(1000 - k, 10 + k) for k in range(20)]
    asks = [(1003 + k, 7 + 2 * k) for k in range(5)]
    book.apply_snapshot(bids, asks, update_id=1, received_ns=1)
    for levels in (1, 3, 10, 100):
        expected = (book.mid, book.spread, book.microprice, book.imbalance(levels))
        assert expected == book.features(levels)
    with pytest.raises(ValueError, match="at least one level"):
        book.features(0)


# a venue that counts anew ------------------------------------------------------------------------


@pytest.mark.parametrize("update_id", [2, 9, 10])
def test_book_when_an_old_number_comes_on_something_newer_then_it_is_stale(update_id: int):
    """The venue restarted and its snapshot was lost: its count must never meet ours again."""
    book = make_book()
    verdict = book.apply_delta([(100, 9)], [], update_id=update_id, sequence=6, received_ns=2_000)
    assert BookVerdict.RESTART is verdict
    assert BookState.STALE is book.state


def test_book_when_an_old_number_is_a_repeat_then_it_is_dropped():
    book = make_book()
    assert BookVerdict.OLDER is book.apply_delta(
        [(100, 9)], [], update_id=9, sequence=4, received_ns=2_000
    )
    assert BookVerdict.DUPLICATE is book.apply_delta(
        [(100, 9)], [], update_id=10, sequence=5, received_ns=2_000
    )
    assert BookState.SYNCED is book.state
