"""A state folder has one holder at a time, and says who."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tickwright.core.errors import StorageError
from tickwright.storage.lease import LEASE_FILE, Lease, LeaseRecord, look_at_lease

NOW = 1_700_000_000 * 1_000_000_000


def test_take_when_free_then_held_under_a_new_epoch(tmp_path: Path):
    first = Lease.take(tmp_path, NOW)
    assert (1_700_000_000, os.getpid(), NOW) == (
        first.epoch,
        first.record.pid,
        first.record.started_ns,
    )
    assert first.record == msgspec.json.decode(
        (tmp_path / LEASE_FILE).read_bytes(), type=LeaseRecord
    )
    first.release()
    first.release()
    # The clock stood still: the epoch rises all the same.
    second = Lease.take(tmp_path, NOW)
    assert first.epoch + 1 == second.epoch
    second.release()


@pytest.mark.parametrize(
    "wanted",
    [Lease.take, partial(Lease.borrow, purpose="protections --lift")],
    ids=["take", "borrow"],
)
def test_lease_when_held_then_refused_by_name_with_a_remedy(
    tmp_path: Path, wanted: Callable[[Path, int], Lease]
):
    held = Lease.take(tmp_path, NOW)
    epoch = (tmp_path / "epoch").read_text()
    with pytest.raises(StorageError) as refused:
        wanted(tmp_path, NOW)
    words = str(refused.value)
    assert f"process {os.getpid()} (trade, epoch {held.epoch}, since 2023-11-14T22:13:20Z)" in words
    assert "stop it first" in words
    # Whoever is refused uses up no epoch.
    assert epoch == (tmp_path / "epoch").read_text()
    held.release()
    Lease.take(tmp_path, NOW).release()


def test_borrow_when_free_then_the_epoch_stays_and_the_purpose_is_told(tmp_path: Path):
    first = Lease.take(tmp_path, NOW)
    first.release()
    borrowed = Lease.borrow(tmp_path, NOW, purpose="protections --lift")
    assert first.epoch == borrowed.epoch
    with pytest.raises(StorageError, match="protections --lift"):
        Lease.take(tmp_path, NOW)
    borrowed.release()


def test_take_when_the_record_is_garbage_and_held_then_refused_all_the_same(tmp_path: Path):
    held = Lease.take(tmp_path, NOW)
    (tmp_path / LEASE_FILE).write_bytes(b"\xff garbage")
    with pytest.raises(StorageError, match="another process"):
        Lease.take(tmp_path, NOW)
    held.release()


def test_take_when_the_epoch_is_no_number_then_refused_and_not_held(tmp_path: Path):
    (tmp_path / "epoch").write_text("seven")
    with pytest.raises(StorageError, match="holds no number"):
        Lease.take(tmp_path, NOW)
    (tmp_path / "epoch").unlink()
    Lease.take(tmp_path, NOW).release()


def test_take_when_the_folder_is_a_file_then_refused(tmp_path: Path):
    (tmp_path / "state").write_text("")
    with pytest.raises(StorageError, match="can't be opened"):
        Lease.take(tmp_path / "state", NOW)


def test_take_when_the_holder_was_killed_then_free_though_its_child_lives(tmp_path: Path):
    holder = f"""
import subprocess, sys, time
from pathlib import Path
from tickwright.storage.lease import Lease
lease = Lease.take(Path({str(tmp_path)!r}), 1)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    with pytest.raises(StorageError, match=f"process {process.pid} "):
        Lease.take(tmp_path, NOW)
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        lease = Lease.take(tmp_path, NOW)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
    assert lease.epoch > 1
    lease.release()


def test_lease_when_looked_at_then_tells_its_holder_and_holds_nothing(tmp_path: Path) -> None:
    assert (None, False) == look_at_lease(tmp_path)
    lease = Lease.take(tmp_path, 5)
    assert (lease.record, True) == look_at_lease(tmp_path)
    lease.release()
    assert (lease.record, False) == look_at_lease(tmp_path)
    Lease.take(tmp_path, 6).release()


def test_lease_when_somebody_looks_at_that_moment_then_is_taken_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lease.take(tmp_path, 5).release()
    looking = os.open(tmp_path / LEASE_FILE, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    waits: list[float] = []

    def leave(seconds: float) -> None:
        waits.append(seconds)
        fcntl.flock(looking, fcntl.LOCK_UN)

    monkeypatch.setattr("tickwright.storage.lease.time.sleep", leave)
    lease = Lease.take(tmp_path, 6)
    assert 1 == len(waits)
    lease.release()
    os.close(looking)
