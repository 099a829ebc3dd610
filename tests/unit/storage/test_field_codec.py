"""Fields give every byte back, whatever a payload is, and refuse what they were not made of."""

import random
import struct
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.storage.test_segment_codec import RECORDS, Record, block_of
from tickwright.bench.tape import COMPOSED_SHAPE, CORE_SHAPE, TapeShape, make_tape
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.simulator.sources.opening import sample_path
from tickwright.storage.field_codec import FieldCoder

HEAD = struct.Struct("<IBBHqq")
NUMBER = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?", fullmatch=True),
    st.from_regex(r"[0-9.]{1,8}", fullmatch=True),
    st.sampled_from(["0", "0.0", "0.10", "1", "1.5", "1.50", "10", "1700000000123", ""]),
)
QUOTED = NUMBER.map(lambda text: f'"{text}"')
PAIR = st.builds("[{},{}]".format, QUOTED, QUOTED)
PAIRS = st.lists(PAIR, max_size=4).map(lambda rows: f"[{','.join(rows)}]")
VALUE = st.one_of(
    NUMBER, QUOTED, PAIRS, st.uuids().map(lambda one: f'"{one}"'), st.text(max_size=4)
)
PAYLOAD = st.builds(
    "{}{}".format,
    st.sampled_from(['{"topic":"book.50.BTCUSDT"', "{", "[", ""]),
    st.lists(st.tuples(st.sampled_from('uUbast[,"'), VALUE), max_size=5).map(
        lambda rows: "".join(f',"{name}":{value}' for name, value in rows) + "}"
    ),
).map(lambda text: text.encode())
BLOCKS = st.lists(
    st.one_of(
        RECORDS,
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(0, 1),
                st.integers(0, 2),
                st.integers(0, 5),
                st.integers(0, 2**62),
                PAYLOAD,
            ),
            max_size=8,
        ),
    ),
    max_size=4,
)


def frames_block(frames: list[bytes], began_ns: int = 0) -> bytes:
    return block_of([(1, 1, 0, 0, began_ns + at, frame) for at, frame in enumerate(frames)])


@given(BLOCKS)
def test_fields_when_unpacked_in_order_then_every_byte_is_back(blocks: list[list[Record]]):
    there, back = FieldCoder(), FieldCoder()
    for records in blocks:
        block = block_of(records)
        assert block == back.decode(b"".join(there.encode(block)), size=len(block))


@pytest.mark.parametrize("seed", range(4))
def test_fields_when_frames_are_mutated_then_every_byte_is_back(seed: int):
    chance = random.Random(seed)
    tape = make_tape(COMPOSED_SHAPE, frames=1_500, symbols=4, category="linear", seed=seed)
    frames = []
    for frame in tape.frames:
        raw = bytearray(frame)
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randrange(3)] = chance.choice(
                (b"0", b"9", b".", b'"', b"[", b",", b"00", b'","', b"\xff", b"-", b'["1","2"]')
            )
        frames.append(bytes(raw))
    there, back = FieldCoder(), FieldCoder()
    for begin in range(0, len(frames), 100):
        block = frames_block(frames[begin : begin + 100], begin)
        assert block == back.decode(b"".join(there.encode(block)), size=len(block))


@given(BLOCKS.filter(any), st.data())
def test_fields_when_damaged_then_refused_or_another_block_of_the_size(
    blocks: list[list[Record]], data: st.DataObject
):
    block = block_of([record for records in blocks for record in records])
    columns = bytearray(b"".join(FieldCoder().encode(block)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(columns) - 1))
        columns[place] ^= data.draw(st.integers(1, 255))
    size = data.draw(st.sampled_from([len(block), 0, len(block) + 1, 10**6]))
    try:
        found = FieldCoder().decode(bytes(columns), size=size)
    except ValueError:
        return
    assert size == len(found)


def test_fields_when_cut_anywhere_then_refused():
    tape = make_tape(COMPOSED_SHAPE, frames=40, symbols=2, category="linear", seed=1)
    block = frames_block(list(tape.frames))
    columns = b"".join(FieldCoder().encode(block))
    for kept in range(len(columns)):
        with pytest.raises(ValueError, match="columns"):
            FieldCoder().decode(columns[:kept], size=len(block))


def test_coder_when_reset_then_its_columns_can_be_read_alone():
    block = frames_block([b'{"u":17,"b":[["1.5","2"]]}'])
    coder = FieldCoder()
    first = coder.encode(block)
    assert first != coder.encode(block)
    coder.reset()
    assert first == coder.encode(block)


def test_shapes_when_there_are_too_many_to_remember_then_every_byte_is_back():
    there, back = FieldCoder(), FieldCoder()
    letters = "abcdefghijklmnopqrstuvwxyz"
    frames = [
        f'{{"{letters[n % 26]}{letters[n // 26 % 26]}{letters[n // 676]}":{n}}}'.encode()
        for n in range(9_000)
    ]
    frames += [b'{"x":"' + b"a" * 5_000 + b'","n":5}', b"\xff" * 300, b""] * 2
    block = frames_block(frames + frames[:100])

    assert block == back.decode(b"".join(there.encode(block)), size=len(block))


def test_book_archive_when_laid_out_then_every_byte_is_back():
    path = sample_path("bybit_linear_xrpusdt_ob500_20241201.zip")
    block = frames_block([frame for _, _, frame in recorded_lines(Path(path))])

    assert block == FieldCoder().decode(b"".join(FieldCoder().encode(block)), size=len(block))


@pytest.mark.parametrize("shape", [COMPOSED_SHAPE, CORE_SHAPE])
def test_frames_when_compressed_by_column_then_take_25_bytes_at_most(shape: TapeShape):
    tape = make_tape(shape, frames=20_000, symbols=20, category="linear", seed=2)
    coder, packer = FieldCoder(), zstandard.ZstdCompressor(level=1)
    stored = 0
    for begin in range(0, 20_000, 1_000):
        for column in coder.encode(frames_block(list(tape.frames[begin : begin + 1_000]))):
            stored += len(packer.compress(column)) if column else 0

    assert stored / 20_000 < 25


@pytest.mark.parametrize("block", [b"x", HEAD.pack(3, 1, 0, 0, 0, 0) + b"ab"])
def test_block_when_a_record_is_half_then_refused(block: bytes):
    with pytest.raises(ValueError, match="half a record"):
        FieldCoder().encode(block)
