"""A session log gives back what entered, says where it is damaged, and never blocks its writer."""

from pathlib import Path

import pytest

from tickwright.core.errors import StorageError
from tickwright.net.tap import InputTap
from tickwright.storage.session_log import (
    RecordKind,
    SessionHeader,
    SessionReader,
    SessionWriter,
    last_record,
)

HEADER = SessionHeader(
    format=1,
    code_version="test",
    config_digest="00",
    config={"accounts": []},
    seed=7,
    epoch=1,
    started_ns=5,
    mode="simulator",
)


def written(folder: Path, payloads: list[bytes], *, blocks: int = 1) -> Path:
    tap = InputTap()
    writer = SessionWriter(folder, HEADER, tap)
    for index, payload in enumerate(payloads):
        tap.append(RecordKind.FRAME, index % 2, 3, index, 1000 + index, payload)
        if blocks > 1:
            writer._write(tap.take())  # one block a record
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
    assert not reader.is_cut


@pytest.mark.parametrize("lost", [1, 5, 11, 12, 13, 30])
def test_log_when_its_tail_is_cut_then_whole_blocks_are_read(tmp_path: Path, lost: int) -> None:
    folder = written(tmp_path / "s", [b"one", b"two", b"three"], blocks=3)
    path = folder / "inputs.twl"
    path.write_bytes(path.read_bytes()[:-lost])
    reader = SessionReader(folder)
    assert [b"one", b"two"] == [r.payload for r in reader.records()]
    assert reader.is_cut


def test_log_when_a_byte_is_flipped_then_the_position_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", [b"one", b"two"], blocks=2)
    path = folder / "inputs.twl"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StorageError, match=r"block at byte 39 is damaged"):
        list(SessionReader(folder).records())


def test_log_when_the_file_is_foreign_then_it_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", [b"one"])
    (folder / "inputs.twl").write_bytes(b"not a log at all, whatever it is")
    with pytest.raises(StorageError, match="no block starts at byte 0"):
        list(SessionReader(folder).records())


def test_log_when_the_folder_holds_none_then_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no session"):
        SessionReader(tmp_path)


def test_log_when_the_format_is_newer_then_it_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "s", [b"one"])
    path = folder / "header.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StorageError, match="session format 2"):
        SessionReader(folder)


def test_log_when_a_session_is_there_then_it_is_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "s", [b"one"])
    with pytest.raises(StorageError, match="holds a session already"):
        SessionWriter(tmp_path / "s", HEADER, InputTap())


def test_log_when_its_bound_is_reached_then_it_stops_and_says_so(tmp_path: Path) -> None:
    tap = InputTap()
    writer = SessionWriter(tmp_path / "s", HEADER, tap, bytes_max=100)
    tap.append(RecordKind.FRAME, 0, 0, 0, 1, b"x" * 200)
    writer.close()
    assert not writer.is_whole
    assert "bound of 100 bytes" in writer.fault
    assert [] == list(SessionReader(tmp_path / "s").records())


def test_log_when_the_writer_falls_behind_then_the_log_is_not_whole(tmp_path: Path) -> None:
    tap = InputTap(bytes_max=64)
    writer = SessionWriter(tmp_path / "s", HEADER, tap)
    tap.append(RecordKind.FRAME, 0, 0, 0, 1, b"x" * 1000)
    writer.close()
    assert tap.is_full
    assert not writer.is_whole
    assert "too slow" in writer.fault


@pytest.mark.parametrize(("lost", "expected"), [(0, b"three"), (1, b"two"), (20, b"two")])
def test_log_when_asked_for_its_last_record_then_reads_the_tail_alone(
    tmp_path: Path, lost: int, expected: bytes
) -> None:
    folder = written(tmp_path / "s", [b"one", b"two", b"three"], blocks=3)
    path = folder / "inputs.twl"
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - lost])
    record = last_record(folder)
    assert record is not None
    assert expected == record.payload


def test_log_when_a_frame_holds_the_letters_of_a_block_then_is_not_taken_for_one(
    tmp_path: Path,
) -> None:
    folder = written(tmp_path / "s", [b"one", b"TWL1 stands in a frame, with bytes behind it"])
    record = last_record(folder)
    assert record is not None
    assert record.payload.startswith(b"TWL1 stands")
    assert None is last_record(tmp_path / "nowhere")
