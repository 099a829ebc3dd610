"""Each venue's documented stream, with each message's fate, through the policies that fit it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.instruments import make_instrument
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy, Continuity, SnapshotBase
from tickwright.book.verdict import BookVerdict
from tickwright.core.errors import ConfigError
from tickwright.core.events import BookState
from tickwright.core.units import units_from_text

VECTORS = Path(__file__).resolve().parents[2] / "data" / "sync"
PRICE_DECIMALS, SIZE_DECIMALS = 2, 3

BINANCE_SPOT = BookPolicy(base=SnapshotBase.REST, continuity=Continuity.OVERLAP)
BINANCE_USDM = BookPolicy(base=SnapshotBase.REST, continuity=Continuity.PREVIOUS_ID)
OKX_BOOKS = BookPolicy(continuity=Continuity.PREVIOUS_ID, has_keep_alive=True, can_reset=True)
KUCOIN_OBU = BookPolicy(continuity=Continuity.OVERLAP)
KUCOIN_SPOT = BINANCE_SPOT
KUCOIN_FUTURES = BookPolicy(base=SnapshotBase.REST)

APPLIED_OR_NOT = {
    "snapshot": BookVerdict.SNAPSHOT,
    "apply": BookVerdict.APPLIED,
    "keepalive": BookVerdict.KEEP_ALIVE,
    "reset_accept": BookVerdict.APPLIED,
    "gap_resync": BookVerdict.GAP,
    "gap_resubscribe": BookVerdict.GAP,
}


def vector(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def make_book(policy: BookPolicy) -> OrderBook:
    instrument = make_instrument(price_decimals=PRICE_DECIMALS, size_decimals=SIZE_DECIMALS)
    return OrderBook(instrument, capacity=5_000, policy=policy)


def units(rows: list[list[Any]]) -> list[tuple[int, int]]:
    return [
        (units_from_text(str(row[0]), PRICE_DECIMALS), units_from_text(str(row[1]), SIZE_DECIMALS))
        for row in rows
    ]


def assert_book(expected: dict[str, list[list[str]]], book: OrderBook) -> None:
    assert units(expected["bids"]) == book.bids()
    assert units(expected["asks"]) == book.asks()


def assert_actions(expected: list[str], answered: list[BookVerdict]) -> None:
    for action, verdict in zip(expected, answered, strict=True):
        if action == "drop_stale":
            assert verdict in (BookVerdict.DUPLICATE, BookVerdict.OLDER)
        else:
            assert APPLIED_OR_NOT[action] is verdict


def binance_delta(book: OrderBook, row: dict[str, Any], now_ns: int) -> BookVerdict:
    return book.apply_delta(
        units(row["b"]),
        units(row["a"]),
        first_id=row["U"],
        update_id=row["u"],
        previous_id=row.get("pu", -1),
        received_ns=now_ns,
    )


def binance_snapshot(book: OrderBook, row: dict[str, Any], now_ns: int) -> BookVerdict:
    return book.apply_snapshot(
        units(row["bids"]), units(row["asks"]), update_id=row["lastUpdateId"], received_ns=now_ns
    )


@pytest.mark.parametrize(
    ("name", "policy", "last_key"),
    [
        ("binance-spot", BINANCE_SPOT, "expected_last_id_before_resync"),
        ("binance-usdm", BINANCE_USDM, "expected_last_u_before_resync"),
    ],
)
def test_fetched_base_when_it_comes_first_then_every_message_meets_its_fate(
    name: str, policy: BookPolicy, last_key: str
):
    data, book = vector(name), make_book(policy)
    assert BookVerdict.SNAPSHOT is binance_snapshot(book, data["rest_snapshot"], 1)
    verdicts = [binance_delta(book, row, 2) for row in data["stream_in_order"]]
    assert_actions(data["expected_actions"], verdicts)
    assert data[last_key] == book.update_id
    assert BookState.STALE is book.state
    assert "gap" == book.stale_reason
    assert_book(data["expected_book_before_resync"], book)


@pytest.mark.parametrize(
    ("name", "policy"), [("binance-spot", BINANCE_SPOT), ("binance-usdm", BINANCE_USDM)]
)
@pytest.mark.parametrize("buffered", [0, 1, 2, 3, 4])
def test_fetched_base_when_it_comes_while_deltas_wait_then_they_join(
    name: str, policy: BookPolicy, buffered: int
):
    data, book = vector(name), make_book(policy)
    rows = [
        row
        for row, action in zip(data["stream_in_order"], data["expected_actions"], strict=True)
        if action != "gap_resync"
    ]
    book.start_buffering()
    assert BookState.BUFFERING is book.state
    for row in rows[:buffered]:
        assert BookVerdict.BUFFERED is binance_delta(book, row, 1)
        assert [] == book.bids()
    assert BookVerdict.SNAPSHOT is binance_snapshot(book, data["rest_snapshot"], 2)
    assert book.is_synced
    for row in rows[buffered:]:
        binance_delta(book, row, 3)
        assert book.is_synced
    assert_book(data["expected_book_before_resync"], book)


@pytest.mark.parametrize(
    ("name", "policy"), [("binance-spot", BINANCE_SPOT), ("binance-usdm", BINANCE_USDM)]
)
def test_fetched_base_when_it_ends_before_the_buffer_then_a_newer_one_joins(
    name: str, policy: BookPolicy
):
    data, book = vector(name), make_book(policy)
    fates = zip(data["stream_in_order"], data["expected_actions"], strict=True)
    late = [row for row, action in fates if action == "apply"]
    too_old = dict(data["rest_snapshot"])
    too_old["lastUpdateId"] = data["stream_in_order"][0]["U"] - 100
    book.start_buffering()
    for row in late:
        assert BookVerdict.BUFFERED is binance_delta(book, row, 1)
    assert BookVerdict.OLDER is binance_snapshot(book, too_old, 2)
    assert BookState.BUFFERING is book.state
    assert not book.is_synced
    newer = dict(data["rest_snapshot"])
    newer["lastUpdateId"] = late[0]["u"]
    assert BookVerdict.SNAPSHOT is binance_snapshot(book, newer, 3)
    assert late[1]["u"] == book.update_id
    assert book.is_synced
    assert 0 == book.gap_count


def test_buffer_when_full_then_starts_over_and_a_later_base_joins():
    policy = BookPolicy(
        base=SnapshotBase.REST, continuity=Continuity.OVERLAP, buffer_messages_max=3
    )
    book = make_book(policy)
    book.start_buffering()
    for update_id in range(10, 15):
        book.apply_delta(
            [(update_id, 1)], [], first_id=update_id, update_id=update_id, received_ns=update_id
        )
    assert 1 == book.overflow_count
    # 13 and 14 wait: a base of 11 doesn't reach them, one of 12 does.
    assert BookVerdict.OLDER is book.apply_snapshot([], [], update_id=11, received_ns=20)
    assert BookVerdict.SNAPSHOT is book.apply_snapshot([], [], update_id=12, received_ns=21)
    assert [(14, 1), (13, 1)] == book.bids()
    assert 14 == book.update_id


def test_chain_with_exceptions_when_kept_alive_reset_and_broken_then_follows_and_stops():
    data, book = vector("okx-books"), make_book(OKX_BOOKS)
    verdicts: list[BookVerdict] = []
    accepted = iter(data["after_each_accepted"])
    for number, message in enumerate(data["stream_in_order"]):
        row = message["data"][0]
        bids, asks, now_ns = units(row["bids"]), units(row["asks"]), 1_000 + number
        if message["action"] == "snapshot":
            verdict = book.apply_snapshot(bids, asks, update_id=row["seqId"], received_ns=now_ns)
        else:
            verdict = book.apply_delta(
                bids,
                asks,
                update_id=row["seqId"],
                previous_id=row["prevSeqId"],
                received_ns=now_ns,
            )
        verdicts.append(verdict)
        if verdict is BookVerdict.GAP:
            continue
        expected = next(accepted)
        assert expected["seqId"] == book.update_id
        assert _alternating(expected["old_checksum_string"]) == _interleaved(book)
        assert now_ns == book.proof_ns
    assert_actions(data["expected_actions"], verdicts)
    assert not book.is_synced
    assert_book(data["expected_book_before_resubscribe"], book)


def _alternating(text: str) -> list[tuple[int, int]]:
    numbers = text.split(":")
    return units([list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)])


def _interleaved(book: OrderBook) -> list[tuple[int, int]]:
    """Best bid, best ask, next bid, next ask: a shorter side simply ends."""
    bids, asks = book.bids(25), book.asks(25)
    result = []
    for place in range(max(len(bids), len(asks))):
        result += bids[place : place + 1] + asks[place : place + 1]
    return result


def test_overlap_with_in_stream_base_when_a_message_is_missing_then_gap():
    data, book = vector("kucoin-uta-obu"), make_book(KUCOIN_OBU)
    verdicts = []
    for message in data["stream_in_order"]:
        row = message["d"]
        if message["t"] == "snapshot":
            verdict = book.apply_snapshot(
                units(row["b"]), units(row["a"]), update_id=row["C"], received_ns=1
            )
        else:
            verdict = book.apply_delta(
                units(row["b"]),
                units(row["a"]),
                first_id=row["O"],
                update_id=row["C"],
                received_ns=2,
            )
        verdicts.append(verdict)
    assert_actions(data["expected_actions"], verdicts)
    assert data["expected_last_C"] == book.update_id
    assert_book(data["expected_book_before_resubscribe"], book)


def test_plus_one_with_fetched_base_when_a_message_is_missing_then_gap():
    data, book = vector("kucoin-futures-classic"), make_book(KUCOIN_FUTURES)
    base = data["rest_snapshot"]["data"]
    book.apply_snapshot(
        units(base["bids"]), units(base["asks"]), update_id=base["sequence"], received_ns=1
    )
    verdicts = []
    for message in data["stream_in_order"]:
        price, side, size = message["data"]["change"].split(",")
        level = units([[price, size]])
        verdicts.append(
            book.apply_delta(
                level if side == "buy" else [],
                level if side == "sell" else [],
                update_id=message["data"]["sequence"],
                received_ns=2,
            )
        )
    assert_actions(data["expected_actions"], verdicts)
    assert data["expected_last_sequence"] == book.update_id
    assert_book(data["expected_book_before_resync"], book)


def test_overlap_with_levels_numbered_one_by_one_when_the_decoder_drops_old_ones_then_fits():
    """Where each level has its own sequence, its decoder leaves out what the base already holds."""
    data, book = vector("kucoin-spot-classic"), make_book(KUCOIN_SPOT)
    base = data["rest_snapshot"]["data"]
    book.apply_snapshot(
        units(base["bids"]), units(base["asks"]), update_id=int(base["sequence"]), received_ns=1
    )
    verdicts = []
    for message in data["stream_in_order"]:
        row = message["data"]
        bids, asks = (
            units(
                [
                    level
                    for level in row["changes"][side]
                    if int(level[2]) > book.update_id and level[0] != "0"
                ]
            )
            for side in ("bids", "asks")
        )
        verdicts.append(
            book.apply_delta(
                bids,
                asks,
                first_id=row["sequenceStart"],
                update_id=row["sequenceEnd"],
                received_ns=2,
            )
        )
    assert_actions(data["expected_actions"], verdicts)
    assert data["expected_last_sequence"] == book.update_id
    assert_book(data["expected_book_before_resync"], book)


@pytest.mark.parametrize(
    "wrong", [{"window": -1}, {"buffer_messages_max": 0}, {"buffer_messages_max": 1_000_001}]
)
def test_policy_when_impossible_then_says_so(wrong: dict[str, int]):
    with pytest.raises(ConfigError, match="window >= 0 and buffer_messages_max"):
        BookPolicy(**wrong)  # type: ignore[arg-type]
