"""Processes that dial one address count in one file."""

from pathlib import Path

import pytest

from tickwright.net.dial_file import SharedDialBudget, dial_file

S = 1_000_000_000


def test_budget_when_two_processes_dial_then_they_share_it(tmp_path: Path) -> None:
    one = SharedDialBudget(tmp_path / "dials", dials_max=3, window_ns=10 * S)
    other = SharedDialBudget(tmp_path / "dials", dials_max=3, window_ns=10 * S)
    one.spend(1 * S)
    other.spend(2 * S)
    assert 0 == one.wait_ns(3 * S)
    one.spend(3 * S)
    assert 7 * S == other.wait_ns(4 * S)
    assert 0 == other.wait_ns(11 * S + 1)


def test_budget_when_a_stamp_is_from_the_future_then_it_is_dropped(tmp_path: Path) -> None:
    budget = SharedDialBudget(tmp_path / "dials", dials_max=1, window_ns=10 * S)
    budget.spend(100 * S)
    assert 0 == budget.wait_ns(50 * S)


def test_budget_when_the_file_is_torn_then_whole_stamps_count(tmp_path: Path) -> None:
    path = tmp_path / "dials"
    budget = SharedDialBudget(path, dials_max=1, window_ns=10 * S)
    budget.spend(1 * S)
    path.write_bytes(path.read_bytes() + b"\x01\x02")
    assert 0 < budget.wait_ns(2 * S)


def test_budget_when_the_file_cannot_be_used_then_the_process_counts_itself(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    budget = SharedDialBudget(tmp_path / "file" / "dials", dials_max=1, window_ns=10 * S)
    budget.spend(1 * S)
    assert 9 * S == budget.wait_ns(2 * S)
    assert str(tmp_path) in budget.fault


def test_dial_file_when_a_host_is_odd_then_its_name_is_safe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert tmp_path / "tickwright" / "dials" / ".._etc_x" == dial_file("../etc/x")
