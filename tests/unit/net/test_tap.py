"""Records in order, whole, and never more than the bound."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tickwright.net.tap import HEADER_SIZE, InputTap

Record = tuple[int, int, int, int, int, bytes]
RECORDS = st.lists(
    st.tuples(
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 65_535),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
        st.binary(max_size=300),
    ),
    max_size=40,
)


def records_of(block: bytes) -> list[Record]:
    found = []
    while block:
        size, kind, flags, source, number, now_ns = struct.unpack_from("<IBBHqq", block)
        payload = block[HEADER_SIZE : HEADER_SIZE + size]
        assert size == len(payload)
        found.append((kind, flags, source, number, now_ns, payload))
        block = block[HEADER_SIZE + size :]
    return found


@given(RECORDS, st.integers(0, 40))
def test_records_when_taken_at_any_time_then_all_come_out_in_order(
    records: list[Record], taken_after: int
):
    tap = InputTap()
    out = []
    for place, record in enumerate(records):
        if place == taken_after:
            out += records_of(tap.take())
            assert 0 == tap.pending_bytes
        tap.append(*record)
    assert len(records) == tap.record_count
    out += records_of(tap.take())
    assert records == out
    assert b"" == tap.take()


def test_tap_when_its_bound_is_reached_then_drops_and_counts_until_taken():
    tap = InputTap(bytes_max=10 * (HEADER_SIZE + 100))
    for number in range(10):
        tap.append(1, 0, 0, number, 0, b"x" * 100)
        assert not tap.is_full
    assert tap.bytes_max == tap.pending_bytes
    tap.append(1, 0, 0, 10, 0, b"")
    assert tap.is_full
    # One hole a block: a small record behind it doesn't slip in.
    tap.append(1, 0, 0, 11, 0, b"small")
    block, dropped = tap.take_counted()
    assert list(range(10)) == [record[3] for record in records_of(block)]
    assert (2, 2, 10, False) == (dropped, tap.dropped_count, tap.record_count, tap.is_full)
    tap.append(1, 0, 0, 12, 0, b"after")
    block, dropped = tap.take_counted()
    assert ([12], 0) == ([record[3] for record in records_of(block)], dropped)


def test_tap_when_a_burst_was_taken_then_goes_on_with_little_room():
    tap = InputTap()
    burst = b"x" * (9 * 1024 * 1024)
    tap.append(1, 0, 0, 1, 0, burst)
    assert [burst] == [record[5] for record in records_of(tap.take())]
    tap.append(1, 0, 0, 2, 0, b"after")
    assert [b"after"] == [record[5] for record in records_of(tap.take())]


def test_header_when_laid_out_then_is_the_documented_size():
    assert struct.calcsize("<IBBHqq") == HEADER_SIZE
