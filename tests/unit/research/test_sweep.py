"""Sweeps in one process: order, failures, keeping, resuming, and what is told."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.research.formula import Parabola
from tickwright.core.errors import ConfigError
from tickwright.research.sweep import SweepProgress, SweepResult, sweep
from tickwright.research.trial import Outcome, Recipe, Task
from tickwright.research.trial_file import TrialFile

UNLUCKY = "ValueError: thirteen is unlucky at formula.py"


def swept(
    evaluator: Parabola | None = None,
    space: Iterable[str] = ("one.x=0,1,2,3", "one.n=3,13"),
    **options: Any,
) -> SweepResult:
    return sweep(evaluator or Parabola(), list(space), objective="value", **options)


def test_sweep_when_a_grid_then_the_best_and_failures_are_told():
    told: list[SweepProgress] = []
    result = swept(on_progress=told.append)
    best = result.best
    assert best is not None
    assert ({"one.x": 2.0, "one.n": 3}, 0.0) == (best.parameters, best.value("value"))
    assert [2.0, 1.0, 3.0, 0.0] == [one.parameters["one.x"] for one in result.ranking()]
    assert {UNLUCKY} == {one.error.partition(":3")[0] for one in result.failed}
    assert (8, 8, 4, 0, 0.0) == (
        told[-1].done,
        told[-1].total,
        told[-1].failed,
        told[-1].reused,
        told[-1].value,
    )
    assert told[-1].rate > 0
    assert 0.0 == told[-1].seconds_left


def test_sweep_when_minimised_then_the_least_is_best():
    best = swept(minimises=True).best
    assert best is not None
    assert 0.0 == best.parameters["one.x"]


def test_sweep_when_the_objective_is_unknown_then_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"--objective worth: .* there are none, process, value"):
        sweep(Parabola(), ["one.x=1,2"], objective="worth")


def test_sweep_when_no_trial_knows_the_objective_then_there_is_no_best():
    result = sweep(Parabola(), ["one.x=1,2"], objective="none")
    assert (None, 2) == (result.best, len(result.done))
    assert None is result.summary().best_number


def test_sweep_when_resumed_then_nothing_is_tried_twice(tmp_path: Path):
    class Stopped(Parabola):
        def evaluate(self, task: Task) -> Outcome:
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().evaluate(task)

    first = swept(Stopped(), folder=tmp_path)
    assert (True, 3, 8) == (first.is_interrupted, len(first.trials), first.planned)
    evaluator = Parabola()
    second = swept(evaluator, folder=tmp_path, resumes=True)
    # Two of three went well; the one that failed is tried again.
    assert (2, 6, False) == (second.reused, len(evaluator.asked), second.is_interrupted)
    whole = swept()
    assert [(one.number, one.parameters, one.value("value")) for one in whole.trials] == [
        (one.number, one.parameters, one.value("value")) for one in second.trials
    ]


def test_sweep_when_the_folder_holds_trials_then_it_must_be_said(tmp_path: Path):
    swept(folder=tmp_path)
    with pytest.raises(ConfigError, match="holds 8 trials already: --resume goes on"):
        swept(folder=tmp_path)


def test_sweep_when_data_or_code_changed_then_tried_anew(tmp_path: Path):
    swept(folder=tmp_path)
    again = swept(Parabola(identity="other tape"), folder=tmp_path, resumes=True)
    assert 0 == again.reused


def test_sweep_when_windows_differ_then_they_are_other_trials(tmp_path: Path):
    swept(folder=tmp_path)
    evaluator = Parabola()
    again = swept(evaluator, folder=tmp_path, resumes=True, window=(5, 9), warm_up_ns=2)
    assert 0 == again.reused
    assert {(5, 9, 2)} == {(t.from_ns, t.until_ns, t.warm_up_ns) for t in evaluator.asked}


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_file_when_torn_while_written_then_the_rest_stands(tmp_path: Path, cut: int):
    swept(folder=tmp_path)
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    with TrialFile(tmp_path, resumes=True) as kept:
        assert (7, 1) == (len(kept.known), kept.damaged)
        kept.add(swept().trials[-1])
    with TrialFile(tmp_path, resumes=True) as kept:
        assert (8, 0) == (len(kept.known), kept.damaged)


def test_file_when_a_byte_flipped_then_that_trial_alone_is_tried_again(tmp_path: Path):
    swept(folder=tmp_path)
    path = tmp_path / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"one.x"', b'"one.X"')
    path.write_bytes(b"".join(lines))
    with TrialFile(tmp_path, resumes=True) as kept:
        assert (7, 1) == (len(kept.known), kept.damaged)


def test_file_when_another_process_writes_there_then_refused(tmp_path: Path):
    with (
        TrialFile(tmp_path, resumes=True),
        pytest.raises(ConfigError, match="another sweep writes"),
    ):
        TrialFile(tmp_path, resumes=True)


def test_sweep_when_it_can_not_travel_then_more_jobs_are_refused():
    with pytest.raises(ConfigError, match="several workers need a Recipe"):
        swept(jobs=2)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nowhere", "must be written module:function"),
        ("tickwright.nowhere:make", "No module named"),
        ("tickwright.research.trial:nothing", "has no attribute 'nothing'"),
    ],
)
def test_recipe_when_it_names_nothing_then_refused(entry, words):
    with pytest.raises(ConfigError, match=words):
        Recipe(entry=entry).open()


def test_random_and_tpe_when_swept_then_seeded():
    for sampler in ("random", "tpe"):
        one, two = (
            swept(space=["one.x=0.5:5.5"], sampler=sampler, trials=12, seed=4) for _ in range(2)
        )
        assert [t.parameters for t in one.trials] == [t.parameters for t in two.trials]
        assert 12 == len(one.trials)


def test_tpe_when_resumed_then_it_learned_from_what_is_known(tmp_path: Path):
    options: dict[str, Any] = {
        "space": ["one.x=0.5:5.5"],
        "sampler": "tpe",
        "seed": 4,
        "folder": tmp_path,
    }
    swept(trials=8, **options)
    longer = swept(trials=12, resumes=True, **options)
    assert (8, 12) == (longer.reused, len(longer.trials))


def test_summary_when_written_then_json_with_a_judgement():
    summary = json.loads(msgspec.json.encode(swept().summary()))
    assert (4, 4, [4]) == (summary["done"], summary["failed"], list(summary["errors"].values()))
    judged = summary["judgement"]
    assert (4, 64) == (judged["trials"], judged["observations"])
    assert 0 <= judged["deflated_sharpe"] <= judged["probabilistic_sharpe"] <= 1
    assert 0 <= judged["overfitting"] <= 1


def test_frame_when_made_then_a_row_a_trial_with_parameters_and_figures():
    frame = swept().frame()
    assert (8, "one.x", "one.n") == (frame.height, *frame.columns[1:3])
    row = frame.row(4, named=True)
    assert (2.0, 3, "", 0.0, None) == (
        row["one.x"],
        row["one.n"],
        row["error"],
        row["value"],
        row["none"],
    )
    assert 64 == len(row["returns"])
    assert None is frame["value"][1]
    assert "1970-01-01 00:00:00.000005" in str(row["returns_from"])
