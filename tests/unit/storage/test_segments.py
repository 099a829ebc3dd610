"""Segments give back what was written, up to a cut and around damage, and say what is missing."""

import os
import shutil
import struct
from collections import namedtuple
from pathlib import Path

import msgspec
import pytest

from tickwright.core.errors import StorageError
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.segments import (
    FILE_HEAD,
    PIECE,
    PIECE_MAGIC,
    REPEATED,
    Loss,
    RecordKind,
    Skip,
    last_record,
    read_segments,
    segment_path,
)

HEAD = struct.Struct("<IBBHqq")
BOOK = b'{"slot":0,"source":0}'


def record(now_ns: int, payload: bytes, kind: RecordKind = RecordKind.FRAME) -> bytes:
    return HEAD.pack(len(payload), kind, 1, 0, 0, now_ns) + payload


def frame(number: int) -> bytes:
    return b'{"topic":"book.50.BTCUSDT","u":%d,"b":[["%d.5","0.%03d"]]}' % (
        number, 60_000 + number % 7, number % 997,
    )  # fmt: skip


def written(folder: Path, *, pieces: int = 6, chunk: int = 3, segments: int = 1) -> list[bytes]:
    """Write ten frames a piece; returns all payloads. A chunk is forced every few pieces."""
    folder.mkdir()
    writer = SegmentWriter(folder, SegmentOptions(disk_free_min=0))
    writer.write(record(0, BOOK, RecordKind.BOOK))
    payloads = []
    for piece in range(pieces):
        if piece and piece % (pieces // segments) == 0:
            writer._end()
        elif piece % chunk == 0:
            writer._chunk_bytes = 0
        rows = [frame(10 * piece + row) for row in range(10)]
        writer.write(b"".join(record(10 * piece + row + 1, p) for row, p in enumerate(rows)))
        payloads += rows
    writer.close()
    assert "" == writer.fault
    return payloads


def frames_of(folder: Path, **times: int) -> list[bytes]:
    return [r.payload for r in read_segments(folder, **times) if r.kind is RecordKind.FRAME]


def places(path: Path) -> list[int]:
    """Return where pieces begin, by their lengths."""
    raw = path.read_bytes()
    found, at = [], FILE_HEAD.size
    while at < len(raw):
        assert PIECE_MAGIC == raw[at : at + 4]
        found.append(at)
        at += PIECE.size + PIECE.unpack_from(raw, at)[4]
    return found


def test_segments_when_rotated_then_all_is_read_once_and_each_can_be_read_alone(tmp_path: Path):
    payloads = written(tmp_path / "r", segments=3)
    reader = read_segments(tmp_path / "r")
    records = list(reader)
    assert payloads == [r.payload for r in records if r.kind is RecordKind.FRAME]
    assert [BOOK] == [r.payload for r in records if r.kind is RecordKind.BOOK]
    assert (3, False, []) == (len(reader.files), reader.is_cut, reader.skips)
    assert reader.size == reader.position
    alone = list(read_segments(segment_path(tmp_path / "r", 2)))
    assert (RecordKind.BOOK, BOOK) == (alone[0].kind, alone[0].payload)
    assert alone[0].flags & REPEATED
    assert payloads[20:40] == [r.payload for r in alone[1:]]


def test_segments_when_a_time_is_asked_for_then_those_records_and_the_books(tmp_path: Path):
    payloads = written(tmp_path / "r", segments=2)
    assert payloads[34:52] == frames_of(tmp_path / "r", from_ns=35, to_ns=53)
    assert payloads[:4] == frames_of(tmp_path / "r", to_ns=5)
    first = next(iter(read_segments(tmp_path / "r", from_ns=58)))
    assert RecordKind.BOOK is first.kind


def test_segment_when_cut_anywhere_then_whole_pieces_are_read(tmp_path: Path):
    payloads = written(tmp_path / "r")
    path = segment_path(tmp_path / "r", 1)
    whole = path.read_bytes()
    starts = [*places(path), len(whole)]
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        pieces = sum(1 for start in starts[1:] if start <= size)
        reader = read_segments(path)
        read = [r.payload for r in reader if r.kind is RecordKind.FRAME]
        assert payloads[: 10 * max(0, pieces - 1)] == read
        assert (True, 0) == (reader.is_cut, reader.skip_count)
        last = last_record(path)
        assert (last.payload if last else None) == ((read or [BOOK])[-1] if pieces else None)


def test_recording_when_its_last_segment_was_only_begun_then_ends_in_the_one_before(
    tmp_path: Path,
):
    payloads = written(tmp_path / "r")
    path = segment_path(tmp_path / "r", 2)
    for whole in (segment_path(tmp_path / "r", 1).read_bytes()[: FILE_HEAD.size], b""):
        path.write_bytes(whole)
        last = last_record(tmp_path / "r")
        assert last is not None
        assert payloads[-1] == last.payload


def test_segment_when_a_piece_is_damaged_then_the_next_chunk_is_read_and_the_hole_is_named(
    tmp_path: Path,
):
    payloads = written(tmp_path / "r")
    path = segment_path(tmp_path / "r", 1)
    # One piece of a book, and three chunks: [book, 3 pieces], [3 pieces], end.
    start = places(path)[2]
    raw = bytearray(path.read_bytes())
    raw[start + PIECE.size + 3] ^= 1
    path.write_bytes(raw)
    reader = read_segments(tmp_path / "r")
    read = [r.payload for r in reader if r.kind is RecordKind.FRAME]
    assert payloads[:10] + payloads[30:] == read
    assert [Skip(path, start, "a damaged piece starts", 20)] == reader.skips
    assert (1, 20, False) == (reader.skip_count, reader.skipped_records, reader.is_cut)
    with pytest.raises(StorageError, match=f"a damaged piece starts at byte {start}"):
        list(type(reader)(tmp_path / "r", is_strict=True))


def test_segment_when_any_byte_is_flipped_then_never_a_wrong_record(tmp_path: Path):
    payloads = written(tmp_path / "r")
    path = segment_path(tmp_path / "r", 1)
    whole = path.read_bytes()
    for place in range(FILE_HEAD.size, len(whole), 11):
        raw = bytearray(whole)
        raw[place] ^= 1 << place % 8
        path.write_bytes(raw)
        reader = read_segments(path)
        read = [r.payload for r in reader if r.kind is RecordKind.FRAME]
        left = iter(payloads)
        assert all(payload in left for payload in read)
        assert reader.skip_count or reader.is_cut


def test_segments_when_one_is_missing_then_told_with_the_count(tmp_path: Path):
    payloads = written(tmp_path / "r", segments=3)
    segment_path(tmp_path / "r", 2).unlink()
    reader = read_segments(tmp_path / "r")
    assert payloads[:20] + payloads[40:] == [
        r.payload for r in reader if r.kind is RecordKind.FRAME
    ]
    (skip,) = reader.skips
    assert ("segment 2 is missing", 20) == (skip.reason, skip.records)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"PK\x03\x04" + bytes(100), "is no segment"),
        (b"TWSEGMNT\x09\x00" + bytes(100), "segment format 9; this version reads 1"),
        (b"TWSEGMNT\x01\x00" + bytes(100), "head is damaged"),
    ],
)
def test_segment_when_foreign_or_newer_then_refused(tmp_path: Path, raw: bytes, words: str):
    path = segment_path(tmp_path, 1)
    path.write_bytes(raw)
    with pytest.raises(StorageError, match=words):
        list(read_segments(tmp_path))


def test_segments_when_none_is_there_then_told(tmp_path: Path):
    with pytest.raises(StorageError, match="holds no recording"):
        read_segments(tmp_path)


Free = namedtuple("Free", "f_bavail f_frsize")


def test_writer_when_the_disk_gets_short_then_stops_says_so_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    free = [10_000]
    monkeypatch.setattr(os, "statvfs", lambda _: Free(free[0], 1))
    writer = SegmentWriter(tmp_path, SegmentOptions(disk_free_min=5_000))
    faults = []
    for number, free[0] in enumerate([10_000, 4_999, 9_999, 10_000]):
        writer._looked_s = -10.0
        writer.write(record(number, b"%d" % number))
        faults.append(writer.fault)
    writer.close()
    # Told once, whatever the figures are by now.
    assert faults[1] == faults[3]
    assert "only 0 MiB of disk are free, recording wants" in writer.fault
    assert (2, False) == (writer.lost_count, writer.is_paused)
    records = list(read_segments(tmp_path))
    assert [RecordKind.FRAME, RecordKind.LOSS, RecordKind.FRAME] == [r.kind for r in records]
    assert 2 == msgspec.json.decode(records[1].payload, type=Loss).records
    assert [b"0", b"3"] == [r.payload for r in records if r.kind is RecordKind.FRAME]


def test_writer_when_the_folder_vanishes_then_counts_and_raises_nothing(tmp_path: Path):
    folder = tmp_path / "r"
    folder.mkdir()
    writer = SegmentWriter(folder, SegmentOptions(disk_free_min=0, segment_s_max=0.0))
    writer.write(record(1, b"one"))
    shutil.rmtree(folder)
    writer.write(record(2, b"two"))
    writer.close()
    assert (1, True) == (writer.lost_count, writer.is_paused)
    assert "can't be written" in writer.fault


def test_segment_when_of_the_older_columns_then_is_read_as_ever():
    folder = Path(__file__).resolve().parents[2] / "data" / "segments"
    expected = (folder / "codec-1.jsonl").read_bytes().splitlines()

    reader = read_segments(folder / "codec-1.tws")

    assert expected == [record.payload for record in reader]
    assert (False, 0) == (reader.is_cut, reader.skip_count)
    found = last_record(folder / "codec-1.tws")
    assert found is not None
    assert expected[-1] == found.payload


def test_block_when_its_fields_are_not_whole_then_is_written_in_the_older_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tmp_path.joinpath("r").mkdir()
    writer = SegmentWriter(tmp_path / "r", SegmentOptions(disk_free_min=0))
    writer.write(b"".join(record(n, frame(n)) for n in range(10)))
    fields_of = writer._fields_of
    monkeypatch.setattr(writer, "_fields_of", lambda block: None)
    writer.write(b"".join(record(n, frame(n)) for n in range(10, 20)))
    monkeypatch.setattr(writer, "_fields_of", fields_of)
    writer.write(b"".join(record(n, frame(n)) for n in range(20, 30)))
    writer.close()

    assert [frame(n) for n in range(30)] == frames_of(tmp_path / "r")
    assert "" == writer.fault
