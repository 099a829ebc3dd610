"""Owns a sweep: asks a sampler, hands tasks to workers, keeps what comes; refuses to lose a trial.

Every trial is on disk before the next is asked for, keyed by its parameters, the data, the code and
the plan, so a sweep that was stopped goes on where it was, and one that is repeated is read. A
trial that fails is kept with its error and the others go on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.research.cluster import RayPool
from tickwright.research.frames import trials_frame
from tickwright.research.judgement import Judgement, judge
from tickwright.research.samplers import Sampler, SamplerName, make_sampler
from tickwright.research.space import Parameters, Space
from tickwright.research.trial import Evaluator, Recipe, Task, Trial, task_key
from tickwright.research.trial_file import TrialFile
from tickwright.research.workers import InlinePool, Pool, ProcessPool, start_early

if TYPE_CHECKING:
    import polars

__all__ = [
    "OnTrial",
    "SweepProgress",
    "SweepResult",
    "SweepSummary",
    "Window",
    "make_pool",
    "open_evaluator",
    "run_tasks",
    "run_trials",
    "sweep",
]

_WAIT_S = 0.5
"""Progress is told at least that often."""

Window = tuple[int, int]
"""From when to when, in UTC ns; 0 leaves an end open."""
OnTrial = Callable[[Trial, bool], None]
"""Hears of each trial, and whether it was known from before."""


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep is. `reused` are trials known from before; `value` the best objective."""

    done: int
    total: int
    failed: int
    reused: int
    seconds: float
    value: float | None

    @property
    def rate(self) -> float:
        """Trials a second."""
        return (self.done - self.reused) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """By the rate so far; None before the first trial."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


class SweepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found, for JSON. Figures are of the best trial."""

    objective: str
    is_minimised: bool
    sampler: str
    seed: int
    planned: int
    done: int
    failed: int
    reused: int
    is_interrupted: bool
    seconds: float
    best_number: int | None
    best_parameters: Parameters
    best_metrics: dict[str, float | None]
    judgement: Judgement
    errors: dict[str, int]
    """Why trials failed, and how many."""


@dataclass(slots=True)
class SweepResult:
    """The trials of a sweep in the order they were asked for."""

    trials: list[Trial]
    objective: str
    is_minimised: bool = False
    sampler: str = ""
    seed: int = 0
    planned: int = 0
    reused: int = 0
    seconds: float = 0.0
    is_interrupted: bool = False
    identity: str = field(default="", repr=False)

    @property
    def done(self) -> list[Trial]:
        """Those that didn't fail."""
        return [one for one in self.trials if not one.is_failed]

    @property
    def failed(self) -> list[Trial]:
        """Those that did."""
        return [one for one in self.trials if one.is_failed]

    def ranking(self) -> list[Trial]:
        """Return the trials whose objective is known, best first; of equal ones the earlier."""
        known = [(one.value(self.objective), one) for one in self.done]
        sign = 1.0 if self.is_minimised else -1.0
        ranked = [(sign * value, one.number, one) for value, one in known if value is not None]
        return [one for _, _, one in sorted(ranked, key=lambda row: row[:2])]

    @property
    def best(self) -> Trial | None:
        """The first of the ranking."""
        ranking = self.ranking()
        return ranking[0] if ranking else None

    def judgement(self) -> Judgement:
        """Say what the best is worth, given all that was tried."""
        return judge(self.trials, self.best)

    def frame(self) -> "polars.DataFrame":
        """Return a row a trial; see `trials_frame`."""
        return trials_frame(self.trials)

    def summary(self) -> SweepSummary:
        """Return the figures for JSON."""
        best = self.best
        errors: dict[str, int] = {}
        for one in self.failed:
            errors[one.error] = errors.get(one.error, 0) + 1
        return SweepSummary(
            objective=self.objective,
            is_minimised=self.is_minimised,
            sampler=self.sampler,
            seed=self.seed,
            planned=self.planned,
            done=len(self.done),
            failed=len(self.failed),
            reused=self.reused,
            is_interrupted=self.is_interrupted,
            seconds=self.seconds,
            best_number=None if best is None else best.number,
            best_parameters={} if best is None else best.parameters,
            best_metrics={} if best is None else best.metrics,
            judgement=self.judgement(),
            errors=dict(sorted(errors.items(), key=lambda row: -row[1])[:20]),
        )


def sweep(
    evaluator: Evaluator | Recipe,
    space: Space | Mapping[str, object] | Iterable[str],
    *,
    objective: str = "sharpe",
    minimises: bool = False,
    sampler: SamplerName = "grid",
    trials: int | None = None,
    seed: int = 1,
    jobs: int = 1,
    ray: str = "",
    window: Window = (0, 0),
    warm_up_ns: int = 0,
    folder: Path | None = None,
    resumes: bool = False,
    on_progress: Callable[[SweepProgress], None] | None = None,
) -> SweepResult:
    """Try sets of parameters and return what came of each.

    A `Recipe` can be tried by `jobs` processes or on a Ray cluster; any other evaluator runs in
    this process. With a `folder` each trial is kept there as it ends, and `resumes` takes up what
    is there. Ctrl-C ends the workers and returns what is done, `is_interrupted`.

    Raises:
        ConfigError: the space, the sampler or the objective is wrong, the folder holds trials and
            it is not to resume, or workers can't begin.
        StorageError: the folder can't be written.
    """
    opened = open_evaluator(evaluator, jobs=jobs, ray=ray)
    checked = Space.of(space).check(opened.bounds)
    chooser = make_sampler(sampler, checked, trials=trials, seed=seed)
    kept = None if folder is None else TrialFile(folder, resumes=resumes)
    pool = make_pool(evaluator, opened, jobs=jobs, ray=ray)
    try:
        result = run_trials(
            pool,
            chooser,
            identity=opened.identity,
            objective=objective,
            minimises=minimises,
            window=window,
            warm_up_ns=warm_up_ns,
            kept=kept,
            on_progress=on_progress,
        )
    finally:
        pool.close()
        if kept is not None:
            kept.close()
    result.sampler, result.seed = sampler, seed
    return result


def open_evaluator(evaluator: Evaluator | Recipe, *, jobs: int, ray: str) -> Evaluator:
    """Return the evaluator of this process; workers to come are prepared meanwhile."""
    if not isinstance(evaluator, Recipe):
        return evaluator
    if jobs > 1 and not ray:
        start_early(evaluator)
    return evaluator.open()


def make_pool(evaluator: Evaluator | Recipe, opened: Evaluator, *, jobs: int, ray: str) -> Pool:
    """Return where the tasks run.

    Raises:
        ConfigError: more than one process for what can't travel, or workers can't begin.
    """
    if not isinstance(evaluator, Recipe):
        if ray or jobs > 1:
            raise ConfigError("several workers need a Recipe: they make the evaluator themselves")
        return InlinePool(opened)
    if ray:
        return RayPool(evaluator, ray, 0 if jobs == 1 else jobs)
    return InlinePool(opened) if jobs == 1 else ProcessPool(evaluator, jobs)


def run_trials(
    pool: Pool,
    sampler: Sampler,
    *,
    identity: str,
    objective: str,
    minimises: bool = False,
    window: Window = (0, 0),
    warm_up_ns: int = 0,
    kept: TrialFile | None = None,
    on_progress: Callable[[SweepProgress], None] | None = None,
    on_trial: OnTrial | None = None,
) -> SweepResult:
    """Ask, try and keep until the sampler has no more; the pool stays open.

    Raises:
        ConfigError: no trial knows the objective although one was done.
    """
    run = _Run(pool, sampler, identity, objective, minimises, window, warm_up_ns, kept, on_trial)
    try:
        while not run.is_over:
            run.step()
            if on_progress is not None:
                on_progress(run.progress())
    except KeyboardInterrupt:
        run.is_interrupted = True
    return run.result()


def run_tasks(
    pool: Pool,
    tasks: Iterable[Task],
    *,
    identity: str,
    kept: TrialFile | None = None,
    on_trial: OnTrial | None = None,
) -> dict[int, Trial]:
    """Run tasks that are known beforehand; what came of each, by its number."""
    found: dict[int, Trial] = {}
    waiting = [msgspec.structs.replace(one, key=task_key(identity, one)) for one in tasks]
    waiting.reverse()
    while waiting or pool.busy:
        while waiting and pool.busy < pool.size:
            task = waiting.pop()
            known = _known(kept, task)
            if known is None:
                pool.submit(task)
                continue
            found[task.number] = known
            if on_trial is not None:
                on_trial(known, True)
        if pool.busy:
            for trial in pool.wait(_WAIT_S):
                if kept is not None:
                    kept.add(trial)
                found[trial.number] = trial
                if on_trial is not None:
                    on_trial(trial, False)
    return found


def _known(kept: TrialFile | None, task: Task) -> Trial | None:
    """Return what is kept of a task; what failed is tried again: maybe the machine's fault."""
    known = None if kept is None else kept.known.get(task.key)
    if known is None or known.is_failed:
        return None
    return msgspec.structs.replace(known, number=task.number)


class _Run:
    """One sweep under way."""

    def __init__(
        self,
        pool: Pool,
        sampler: Sampler,
        identity: str,
        objective: str,
        minimises: bool,  # noqa: FBT001 - private
        window: Window,
        warm_up_ns: int,
        kept: TrialFile | None,
        on_trial: OnTrial | None,
    ) -> None:
        self._pool = pool
        self._sampler = sampler
        self._identity = identity
        self._objective = objective
        self._sign = -1.0 if minimises else 1.0
        self._window = window
        self._warm_up_ns = warm_up_ns
        self._kept = kept
        self._on_trial = on_trial
        self._began = perf_counter()
        self._trials: dict[int, Trial] = {}
        self._asked = 0
        self._has_more = True
        self._reused = 0
        self._failed = 0
        self._best: float | None = None
        self.is_interrupted = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to ask or to wait for."""
        return not self._has_more and not self._pool.busy

    def step(self) -> None:
        """Fill the workers and take what ended."""
        while self._has_more and self._pool.busy < self._pool.size:
            parameters = self._sampler.ask()
            if parameters is None:
                self._has_more = False
                break
            self._begin(parameters)
        if self._pool.busy:
            for trial in self._pool.wait(_WAIT_S):
                if self._kept is not None:
                    self._kept.add(trial)
                self._take(trial)

    def _begin(self, parameters: Parameters) -> None:
        task = Task(
            number=self._asked,
            key="",
            parameters=parameters,
            from_ns=self._window[0],
            until_ns=self._window[1],
            warm_up_ns=self._warm_up_ns,
        )
        task = msgspec.structs.replace(task, key=task_key(self._identity, task))
        self._asked += 1
        known = _known(self._kept, task)
        if known is None:
            self._pool.submit(task)
            return
        self._reused += 1
        self._take(known, is_reused=True)

    def _take(self, trial: Trial, *, is_reused: bool = False) -> None:
        self._trials[trial.number] = trial
        value = None if trial.is_failed else trial.value(self._objective)
        if trial.is_failed:
            self._failed += 1
        elif self._objective not in trial.metrics:
            names = ", ".join(sorted(trial.metrics)) or "none"
            raise ConfigError(f"--objective {self._objective}: no such figure; there are {names}")
        told = None if value is None else self._sign * value
        if told is not None and (self._best is None or told > self._best):
            self._best = told
        self._sampler.tell(trial.parameters, told)
        if self._on_trial is not None:
            self._on_trial(trial, is_reused)

    def progress(self) -> SweepProgress:
        """Say how far it is."""
        return SweepProgress(
            done=len(self._trials),
            total=self._sampler.total,
            failed=self._failed,
            reused=self._reused,
            seconds=perf_counter() - self._began,
            value=None if self._best is None else self._sign * self._best,
        )

    def result(self) -> SweepResult:
        """Return the trials so far, in order."""
        return SweepResult(
            trials=[self._trials[number] for number in sorted(self._trials)],
            objective=self._objective,
            is_minimised=self._sign < 0,
            planned=self._sampler.total,
            reused=self._reused,
            seconds=perf_counter() - self._began,
            is_interrupted=self.is_interrupted,
            identity=self._identity,
        )
