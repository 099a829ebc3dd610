"""The table in the README is what the benchmark wrote, with spread, targets and machine."""

import json
from pathlib import Path

import pytest

from tickwright.bench.figures import Spread
from tickwright.bench.machine import Machine
from tickwright.bench.report import Column, Section, write_json
from tools.bench_table import BEGIN, END, main, put_between_marks, rendered

MACHINE = Machine("A | B", 2, "6.1", "3.11.7", {"picows": "2.3.1"}, "abc1234", 0.5)


def figures(tmp_path: Path) -> Path:
    section = Section("core", "core: bytes to book", [Column("ns", "ns a frame", 0)])
    section.add("ours", ns=Spread(512.4, 500.0, 530.0, 9))
    section.add("article's", ns=Spread(16_600.0, 16_600.0, 16_600.0, 1))
    section.add("absent", ns="not installed")
    section.aim("times the article's stack", 32.4, least=20)
    section.aim("times the composed stack", 4.0, least=5)
    section.notes.append("314-byte frames")
    path = tmp_path / "bench.json"
    write_json(path, MACHINE, [section], ["feed: no socket"])
    return path


def test_table_when_rendered_then_shows_spread_targets_notes_and_what_failed(tmp_path: Path):
    text = rendered(json.loads(figures(tmp_path).read_text()), "make bench")

    assert "Command: `make bench`" in text
    assert "A | B, 2 cores, Linux 6.1, CPython 3.11.7; picows 2.3.1; commit abc1234" in text
    assert "| ours | 512 (500-530) |" in text
    assert "| article's | 16,600 |" in text
    assert "| absent | not installed |" in text
    assert "| times the article's stack | 32.40 | met |" in text
    assert "| times the composed stack | 4.00 | **missed** |" in text
    assert "- 314-byte frames" in text
    assert "Not measured: feed: no socket" in text


def test_page_when_filled_twice_then_changes_between_its_marks_alone(tmp_path: Path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    assert 0 == main([str(figures(tmp_path)), "--into", str(page)])
    once = page.read_text()
    assert 0 == main([str(figures(tmp_path)), "--into", str(page)])

    assert once == page.read_text()
    assert once.startswith(f"before\n{BEGIN}\n") and once.endswith(f"{END}\nafter\n")
    assert "old" not in once


@pytest.mark.parametrize("page", ["", f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_page_when_its_marks_are_wrong_then_refused(page: str):
    with pytest.raises(ValueError, match="needs one"):
        put_between_marks(page, "block\n")


def test_figures_when_there_are_none_then_says_so(tmp_path: Path, capsys):
    assert 2 == main([str(tmp_path / "none.json")])

    assert "none.json" in capsys.readouterr().err
