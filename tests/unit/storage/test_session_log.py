"""A session log gives back what entered, says where it is damaged, and never blocks its writer."""

from pathlib import Path

import pytest

from tickwright.core.errors import StorageError
from tickwright.net.tap import InputTap
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.storage.segments import Loss, last_record
from tickwright.storage.session_log import (
    FORMAT,
    RecordKind,
    SessionHeader,
    SessionReader,
    SessionWriter,
)

HEADER = SessionHeader(
    format=FORMAT,
    code_version="test",
    config_digest="00",
    config={"accounts": []},
    seed=7,
    epoch=1,
    started_ns=5,
    mode="simulator",
)


def written(folder: Path, payloads: list[bytes]) -> Path:
    tap = InputTap()
    writer = SessionWriter(folder, HEADER, tap)
    for index, payload in enumerate(payloads):
        tap.append(RecordKind.FRAME, index % 2, 3, index, 1000 + index, payload)
    writer.close()
    assert writer.is_whole
    return folder


def test_log_when_read_back_then_records_and_header_are_equal(tmp_path: Path) -> None:
    payloads = [b"a", b"", b"x" * 100_000]
    reader = SessionReader(written(tmp_path / "s", payloads))
    records = list(reader.records())
    assert payloads == [r.payload for r in records]
    assert [0, 1, 0] == [r.flags for r in records]
    assert [(3, 0, 1000), (3, 1, 1001), (3, 2, 1002)] == [
        (r.source, r.number, r.now_ns) for r in records
    ]
    assert HEADER == reader.header
    assert (False, reader.size) == (reader.is_cut, reader.position)
    last = last_record(tmp_path / "s")
    assert last is not None
    assert payloads[2] == last.payload


def test_log_when_the_folder_holds_none_then_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no session"):
        SessionReader(tmp_path)
    assert last_record(tmp_path) is None


def test_log_when_the_format_is_another_then_it_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", [b"one"])
    path = folder / "header.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    with pytest.raises(StorageError, match="session format 1"):
        SessionReader(folder)


def test_log_when_a_session_is_there_then_it_is_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "s", [b"one"])
    with pytest.raises(StorageError, match="holds a session already"):
        SessionWriter(tmp_path / "s", HEADER, InputTap())


def test_log_when_its_bound_is_reached_then_it_stops_and_says_so(tmp_path: Path) -> None:
    tap = InputTap()
    writer = SessionWriter(tmp_path / "s", HEADER, tap, options=SegmentOptions(bytes_max=10))
    tap.append(RecordKind.FRAME, 0, 0, 0, 1, b"x" * 200)
    writer.close()
    assert not writer.is_whole
    assert "bound of 10 bytes" in writer.fault
    assert [] == list(SessionReader(tmp_path / "s").records())


def test_log_when_the_writer_falls_behind_then_the_hole_stands_in_the_log(tmp_path: Path) -> None:
    tap = InputTap(bytes_max=64)
    writer = SessionWriter(tmp_path / "s", HEADER, tap)
    tap.append(RecordKind.FRAME, 0, 0, 0, 1, b"before")
    tap.append(RecordKind.FRAME, 0, 0, 0, 2, b"x" * 1000)
    assert tap.is_full
    writer.close()
    assert not writer.is_whole
    assert "too slow" in writer.fault
    kinds = [(r.kind, r.payload) for r in SessionReader(tmp_path / "s").records()]
    told = b'{"records":1,"reason":"the disk was too slow"}'
    assert [(RecordKind.FRAME, b"before"), (RecordKind.LOSS, told)] == kinds
    assert 1 == Loss(1, "").records
