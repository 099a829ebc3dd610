"""Columns give every byte back, whatever the payload is, and refuse what they were not made of."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.storage.segment_codec import RecordCoder, survey

HEAD = struct.Struct("<IBBHqq")
FRAMES = st.one_of(
    st.binary(max_size=40),
    st.from_regex(rb"[0-9a-z.,\\[\"]{0,30}", fullmatch=True),
    st.builds(
        lambda topic, numbers: b'{"topic":"book.%d","b":[%s]}' % (topic, b",".join(numbers)),
        st.integers(0, 3),
        st.lists(st.from_regex(rb"[0-9]{1,40}", fullmatch=True), max_size=6),
    ),
)
RECORDS = st.lists(
    st.tuples(
        st.integers(0, 127),
        st.integers(0, 255),
        st.integers(0, 65_535),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
        FRAMES,
    ),
    max_size=8,
)
Record = tuple[int, int, int, int, int, bytes]


def block_of(records: list[Record]) -> bytes:
    return b"".join(
        HEAD.pack(len(payload), kind, flags, source, number, now_ns) + payload
        for kind, flags, source, number, now_ns, payload in records
    )


@given(st.lists(RECORDS, max_size=4))
def test_columns_when_unpacked_in_order_then_every_byte_is_back(blocks: list[list[Record]]):
    there, back = RecordCoder(), RecordCoder()
    for records in blocks:
        block = block_of(records)
        assert block == back.decode(there.encode(block), size=len(block))


@given(RECORDS, st.data())
def test_columns_when_damaged_then_refused_or_another_block_of_the_size(
    records: list[Record], data: st.DataObject
):
    block = block_of(records)
    columns = bytearray(RecordCoder().encode(block))
    place = data.draw(st.integers(0, len(columns) - 1))
    columns[place] ^= data.draw(st.integers(1, 255))
    try:
        found = RecordCoder().decode(bytes(columns), size=len(block))
    except ValueError:
        return
    assert len(block) == len(found)


def test_coder_when_reset_then_its_columns_can_be_read_alone():
    block = block_of([(1, 0, 0, 0, 5, b'{"u":17}')])
    coder = RecordCoder()
    first = coder.encode(block)
    assert first != coder.encode(block)
    coder.reset()
    assert first == coder.encode(block)


@pytest.mark.parametrize("block", [b"x", HEAD.pack(3, 1, 0, 0, 0, 0) + b"ab"])
def test_block_when_a_record_is_half_then_refused(block: bytes):
    with pytest.raises(ValueError, match="half a record"):
        RecordCoder().encode(block)
    with pytest.raises(ValueError, match="half a record"):
        survey(block, kept_kind=7)


def test_survey_when_a_block_is_seen_then_counts_times_and_the_kept_kind():
    book = (7, 0, 0, 0, 9, b"book")
    found = survey(
        block_of([(1, 0, 0, 0, 5, b"ab"), book, (1, 0, 0, 0, 3, b""), (2, 0, 0, 0, 4, b"c")]),
        kept_kind=7,
    )
    assert (4, 3, 9, 1, 2) == (
        found.count, found.first_ns, found.last_ns, found.frame_count, found.frame_bytes,
    )  # fmt: skip
    assert [block_of([book])] == found.kept
