"""Trials in other processes: all come back, deaths are told, Ctrl-C leaves nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.unit.research.formula import recipe
from tickwright.core.errors import ConfigError
from tickwright.research.sweep import sweep
from tickwright.research.trial import Recipe
from tickwright.research.trial_file import TrialFile

ROOT = Path(__file__).resolve().parents[3]


def test_processes_when_two_then_the_same_trials_as_one():
    space = ["one.x=0,1,2,3", "one.n=3,4,13"]
    one = sweep(recipe(), space, objective="value")
    two = sweep(recipe(), space, objective="value", jobs=2)
    assert [(t.number, t.parameters, t.value("value"), t.error) for t in one.trials] == [
        (t.number, t.parameters, t.value("value"), t.error) for t in two.trials
    ]
    processes = {t.value("process") for t in two.done}
    assert 2 == len(processes)
    assert float(os.getpid()) not in processes


def test_worker_when_it_dies_then_one_trial_is_lost_and_the_others_go_on():
    found = sweep(recipe(), ["one.n=1:5", "one.x=1,2"], objective="value", jobs=2)
    killed = sweep(recipe(), ["one.n=1,2,66,4,5"], objective="value", jobs=2)
    assert (10, ["the worker died (SIGKILL)"]) == (
        len(found.done),
        [one.error for one in killed.failed],
    )
    assert {"one.n": 66} == killed.failed[0].parameters
    assert 4 == len(killed.done)


def test_worker_when_it_can_not_begin_then_one_sentence():
    broken = Recipe(entry="tests.unit.research.formula:refuse")
    with pytest.raises(OSError, match="the tape is gone"):
        sweep(broken, ["one.n=1,2"], objective="value", jobs=2)


def test_jobs_when_out_of_bounds_then_refused():
    with pytest.raises(ConfigError, match="--jobs must be 1 to 256, not 1000"):
        sweep(recipe(), ["one.n=1,2"], objective="value", jobs=1000)


PROGRAM = """
    import sys
    from pathlib import Path
    from tests.unit.research.formula import recipe
    from tickwright.research.sweep import sweep

    if __name__ == "__main__":
        found = sweep(
            recipe(pause_s=0.05), ["one.n=1:12", "one.x=0:9:1"], objective="value", jobs=2,
            folder=Path(sys.argv[1]), resumes=True,
            on_progress=lambda p: print(p.done, flush=True),
        )
        print("interrupted" if found.is_interrupted else "whole", len(found.trials), flush=True)
"""


def test_sweep_when_interrupted_then_no_process_is_left_and_it_goes_on_later(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    out = tmp_path / "trials"
    running = subprocess.Popen(
        [sys.executable, str(program), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if int(line) >= 6:
            break
    # As a terminal does: to the whole group, workers too.
    os.killpg(running.pid, signal.SIGINT)
    told, _ = running.communicate(timeout=30)
    word, count = told.split()[-2:]
    assert ("interrupted", 0) == (word, running.returncode)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _alive(running.pid):
        time.sleep(0.05)
    assert not _alive(running.pid)
    with TrialFile(out, resumes=True) as kept:
        assert (int(count), 0) == (len(kept.known), kept.damaged)
    again = sweep(
        recipe(pause_s=0.05),
        ["one.n=1:12", "one.x=0:9:1"],
        objective="value",
        trials=int(count),
        folder=out,
        resumes=True,
    )
    assert int(count) - 2 <= again.reused


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
