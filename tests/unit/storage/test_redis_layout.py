"""How books lie in Redis: packed bytes that come back the same, slots, commands, URLs."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.instruments import make_instrument
from tests.oracle.redis_layout import hash_command, pack_book
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.events import BookState
from tickwright.storage.redis_address import RedisAddress, parse_redis_url
from tickwright.storage.redis_layout import (
    BookKeys,
    command,
    key_slot,
    unpack_book,
)

sizes = st.integers(1, 2**62)
sides = st.lists(sizes, max_size=20)


def book_of(bids: list[int], asks: list[int]) -> OrderBook:
    book = OrderBook(make_instrument(price_decimals=4, size_decimals=0), capacity=50)
    book.apply_snapshot(
        [(1_000 - i, size) for i, size in enumerate(bids)],
        [(1_001 + i, size) for i, size in enumerate(asks)],
        update_id=9,
        received_ns=50,
        sequence=8,
        venue_ns=40,
    )
    return book


@given(bids=sides, asks=sides, age_ns=st.integers(0, 2**60))
def test_book_when_packed_and_unpacked_then_is_the_same(
    bids: list[int], asks: list[int], age_ns: int
):
    book = book_of(bids, asks)
    cut_bids, cut_asks = book.bids(10), book.asks(10)

    read = unpack_book(
        pack_book(book, cut_bids, cut_asks, now_ns=book.proof_ns + age_ns, expire_ms=5_000)
    )

    assert (cut_bids, cut_asks) == (list(read.bids), list(read.asks))
    assert (book.state, 9, 8, 40, 50) == (
        read.state,
        read.update_id,
        read.sequence,
        read.venue_ns,
        read.received_ns,
    )
    assert (4, 0, 5_000) == (read.price_decimals, read.size_decimals, read.expire_ms)
    assert book.age_ns(book.proof_ns + age_ns) == read.age_ns


def test_book_when_never_proven_then_its_age_is_unknown():
    book = OrderBook(make_instrument())

    read = unpack_book(pack_book(book, [], [], now_ns=5, expire_ms=1))

    assert (BookState.EMPTY, None, (), ()) == (read.state, read.age_ns, read.bids, read.asks)


@given(cut=st.integers(0, 56 + 16 * 6 - 1))
def test_packed_book_when_cut_then_is_refused(cut: int):
    book = book_of([1, 2, 3], [4, 5, 6])
    raw = pack_book(book, book.bids(5), book.asks(5), now_ns=60, expire_ms=1)

    with pytest.raises(StorageError):
        unpack_book(raw[:cut])


@pytest.mark.parametrize("raw", [b"", b"TWB2" + bytes(52), b"TWB1" + b"\x09" + bytes(51)])
def test_bytes_when_no_packed_book_of_ours_then_are_refused(raw: bytes):
    with pytest.raises(StorageError):
        unpack_book(raw)


def test_key_slot_when_counted_then_is_the_one_of_the_cluster_specification():
    # CRC16 of "123456789" is 0x31C3 there.
    assert 0x31C3 % 16384 == key_slot("123456789")
    assert key_slot("user1000") == key_slot("{user1000}.following")
    assert key_slot("foo{}{bar}") != key_slot("bar")


def test_keys_when_of_one_instrument_then_share_a_slot():
    keys = BookKeys.of("tw", make_instrument().id)

    assert 1 == len({key_slot(one) for one in (keys.packed, keys.readable, keys.trades)})


def test_command_when_written_then_counts_bytes_and_not_letters():
    assert b"*2\r\n$3\r\nGET\r\n$3\r\n\xe2\x82\xac\r\n" == command("GET", "€")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("rediss://u:p@10.0.0.1:7000/3", "rediss://10.0.0.1:7000/3"),
        ("redis+cluster://:p@[::1]:7", "redis+cluster://[::1]:7"),
        ("rediss+cluster://h", "rediss+cluster://h:6379"),
    ],
)
def test_url_when_read_then_shows_no_password(url: str, shown: str):
    assert shown == str(parse_redis_url(url))


def test_url_when_its_password_is_quoted_then_is_read_plain_and_hidden():
    address = parse_redis_url("redis://me:c%40nary@host:1/2", ca_file=Path("ca.pem"))

    assert ("me", "c@nary", 1, 2) == (
        address.username,
        address.password,
        address.port,
        address.db,
    )
    assert "c@nary" not in repr(address) + str(address)
    assert RedisAddress(host="host").password == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://canary@host",
        "redis://",
        "redis://:canary@host:port",
        "redis://:canary@host/a",
        "redis://:canary@host/0?x=1",
        "redis+cluster://:canary@host/1",
        "redis://:canary@host:99999",
    ],
)
def test_url_when_wrong_then_is_refused_without_being_repeated(url: str):
    with pytest.raises(ConfigError) as told:
        parse_redis_url(url)
    assert "canary" not in str(told.value)


@given(
    bids=sides,
    asks=sides,
    price_decimals=st.integers(0, 8),
    size_decimals=st.integers(0, 8),
)
def test_readable_hash_when_written_then_its_rows_are_the_books_own_text(
    bids: list[int], asks: list[int], price_decimals: int, size_decimals: int
):
    instrument = make_instrument(price_decimals=price_decimals, size_decimals=size_decimals)
    book = OrderBook(instrument, capacity=50)
    book.apply_snapshot(
        [(1_000 - i, size) for i, size in enumerate(bids)],
        [(1_001 + i, size) for i, size in enumerate(asks)],
        update_id=1,
        received_ns=5,
    )

    text = hash_command("k", book, book.bids(10), book.asks(10), now_ns=5)
    words = text.split(b"\r\n")[2::2]
    fields = dict(zip(words[2::2], words[3::2], strict=True))

    assert [b"HSET", b"k"] == words[:2]
    assert book.bids_text(10) == msgspec.json.decode(fields[b"bids"])
    assert book.asks_text(10) == msgspec.json.decode(fields[b"asks"])
    assert text == command("HSET", "k", *words[2:])
