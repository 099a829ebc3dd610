"""The file of the paper accounts: whole or not at all, and never an older text over a newer one."""

from pathlib import Path

import pytest

from tickwright.app.paper_file import LEDGER_BYTES_MAX, PaperFile
from tickwright.core.errors import StorageError


def test_file_when_nothing_was_kept_then_there_is_no_text(tmp_path: Path):
    assert PaperFile(tmp_path / "state" / "paper.json").read() is None


def test_text_when_written_then_is_read_back_and_nothing_else_stays(tmp_path: Path):
    file = PaperFile(tmp_path / "state" / "paper.json")
    file.write(1, b"one")
    file.write(2, b"two")
    assert b"two" == file.read()
    assert ["paper.json"] == [path.name for path in file.path.parent.iterdir()]


def test_text_when_older_than_the_one_there_then_is_dropped(tmp_path: Path):
    file = PaperFile(tmp_path / "paper.json")
    file.write(2, b"newer")
    file.write(1, b"older")
    assert b"newer" == file.read()


def test_file_when_it_cannot_be_written_then_said_and_the_old_one_stays(tmp_path: Path):
    file = PaperFile(tmp_path / "paper.json")
    file.write(1, b"old")
    (tmp_path / "paper.new").mkdir()
    with pytest.raises(StorageError, match=r"paper\.json"):
        file.write(2, b"new")
    assert b"old" == file.read()


def test_file_when_it_is_a_folder_or_endless_then_said(tmp_path: Path):
    (tmp_path / "paper.json").mkdir()
    with pytest.raises(StorageError, match=r"paper\.json"):
        PaperFile(tmp_path / "paper.json").read()
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(LEDGER_BYTES_MAX + 1)
    with pytest.raises(StorageError, match="is longer than"):
        PaperFile(huge).read()
