"""Commands of compiled code are the plain ones, byte for byte; replies are counted whole."""

import socket
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.instruments import make_instrument
from tests.oracle.redis_layout import hash_command, pack_book
from tickwright.book.order_book import OrderBook
from tickwright.storage.redis_layout import command
from tickwright.storage.redis_pack import CommandBuffer, exchange

sizes = st.integers(1, 2**62)
sides = st.lists(st.tuples(st.integers(1, 2**61), sizes), max_size=12)


@given(
    bids=sides,
    asks=sides,
    decimals=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    levels=st.integers(1, 15),
    age_ns=st.integers(-(10**9), 10**15),
    is_proven=st.booleans(),
)
def test_book_when_written_then_is_the_plain_commands_byte_for_byte(
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    decimals: tuple[int, int],
    levels: int,
    age_ns: int,
    is_proven: bool,
):
    instrument = make_instrument(price_decimals=decimals[0], size_decimals=decimals[1])
    book = OrderBook(instrument, capacity=50)
    if is_proven:
        book.apply_snapshot(
            sorted(dict(bids).items(), reverse=True),
            sorted((price + 2**61, size) for price, size in dict(asks).items()),
            update_id=9,
            received_ns=5 * 10**9,
            sequence=8,
            venue_ns=40,
        )
    now_ns = book.proof_ns + age_ns
    shown = book.bids(levels), book.asks(levels)
    buffer = CommandBuffer()

    buffer.add_book(book, b"p", b"r", levels=levels, now_ns=now_ns, expire_ms=5_000, deadline_ms=77)

    expected = (
        command("SET", "p", pack_book(book, *shown, now_ns=now_ns, expire_ms=5_000), "PXAT", "77")
        + hash_command("r", book, *shown, now_ns=now_ns)
        + command("PEXPIREAT", "r", "77")
    )
    assert expected == bytes(buffer)
    assert (3, len(expected)) == (buffer.count, len(buffer))


def test_words_when_added_then_are_as_redis_reads_them_and_gone_when_cleared():
    buffer = CommandBuffer()
    buffer.add("SET", b"\x00\xff", -12, "€")
    buffer.add("PING")

    assert command("SET", b"\x00\xff", "-12", "€") + command("PING") == bytes(buffer)
    assert 2 == buffer.count
    buffer.clear()
    assert (0, 0, b"") == (buffer.count, len(buffer), bytes(buffer))


def exchanged(
    answer: Callable[[socket.socket], None], *, count: int = 2, timeout_ms: int = 20_000
) -> bytes:
    """Send some commands to a server of ours and return what was read of its answer."""
    ours, theirs = socket.socketpair()
    ours.settimeout(1.0)
    buffer = CommandBuffer()
    for _ in range(count):
        buffer.add("PING")
    serving = threading.Thread(target=answer, args=(theirs,), daemon=True)
    serving.start()
    try:
        (read,) = exchange(
            [ours.fileno()], [buffer], timeout_ms=timeout_ms, reply_bytes_max=100_000
        )
        return read
    finally:
        serving.join()
        ours.close()
        theirs.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"+OK\r\n:1\r\n",
        b"$5\r\na\r\n-b\r\n-ERR x\r\n",
        b"$-1\r\n$0\r\n\r\n",
        b"*3\r\n:1\r\n$2\r\nab\r\n-WRONG\r\n*0\r\n",
        b"*-1\r\n*2\r\n*1\r\n:5\r\n+OK\r\n",
    ],
)
def test_replies_when_they_come_byte_by_byte_then_are_read_whole(reply: bytes):
    def answer(server: socket.socket) -> None:
        for byte in reply:
            server.sendall(bytes([byte]))

    assert reply == exchanged(answer)


def test_commands_when_larger_than_the_sockets_buffers_then_all_arrive():
    taken = 0

    def answer(server: socket.socket) -> None:
        nonlocal taken
        while taken < 14 * 200_000:
            taken += len(server.recv(1 << 16))
        server.sendall(b"+PONG\r\n" * 200_000)

    ours, theirs = socket.socketpair()
    ours.settimeout(1.0)
    buffer = CommandBuffer()
    for _ in range(200_000):
        buffer.add("PING")
    serving = threading.Thread(target=answer, args=(theirs,), daemon=True)
    serving.start()
    (read,) = exchange([ours.fileno()], [buffer], timeout_ms=20_000, reply_bytes_max=10**7)
    serving.join()
    ours.close()
    theirs.close()

    assert (14 * 200_000, b"+PONG\r\n" * 200_000) == (taken, read)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"+OK\r\n", TimeoutError),
        (b"+OK\r\n:1\r\n:2\r\n", ConnectionError),
        (b"HTTP/1.1 400 Bad Request\r\n", ConnectionError),
        (b"*2\r\n:1\r\n", TimeoutError),
        (b"*x\r\n", ConnectionError),
        (b"$x\r\n", ConnectionError),
        (b"+" + bytes(200_000), ConnectionError),
    ],
)
def test_replies_when_they_are_not_what_was_asked_for_then_is_an_error(
    reply: bytes, error: type[Exception]
):
    # What is refused is waited for as long as its thread takes; what never comes is not.
    timeout_ms = 200 if error is TimeoutError else 20_000
    with pytest.raises(error):
        exchanged(lambda server: server.sendall(reply), timeout_ms=timeout_ms)


def test_server_when_it_closes_then_is_an_error():
    with pytest.raises(ConnectionError):
        exchanged(lambda server: server.shutdown(socket.SHUT_RDWR))


def test_server_when_it_takes_nothing_then_is_waited_for_no_longer_than_told():
    ours, theirs = socket.socketpair()
    ours.settimeout(1.0)
    buffer = CommandBuffer()
    for _ in range(300_000):
        buffer.add("PING")

    with pytest.raises(TimeoutError):
        exchange([ours.fileno()], [buffer], timeout_ms=50, reply_bytes_max=1_000)

    buffer.clear()
    ours.close()
    theirs.close()
