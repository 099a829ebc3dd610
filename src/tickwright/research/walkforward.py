"""Owns walk-forward: choose on one stretch, judge on the next, stitch what came of it.

Source: R. Pardo, "The Evaluation and Optimization of Trading Strategies" (2nd edition, 2008). Each
window chooses by a sweep over its in-sample stretch and runs the chosen parameters over the
out-of-sample stretch behind it, which nobody looked at. The stretches behind each other make one
curve. It refuses overlapping stretches: their sum would count a time twice.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from tickwright.core.errors import ConfigError
from tickwright.research.frames import curve_frame, polars_or_fault, trials_frame
from tickwright.research.judgement import Judgement
from tickwright.research.samplers import SamplerName, make_sampler
from tickwright.research.space import Parameters, Space
from tickwright.research.sweep import (
    SweepResult,
    make_pool,
    open_evaluator,
    run_tasks,
    run_trials,
)
from tickwright.research.trial import Evaluator, Recipe, Task, Trial
from tickwright.research.trial_file import TrialFile
from tickwright.research.walkforward_summary import (
    OutOfSample,
    WalkForwardSummary,
    judge_curve,
    summarise,
)
from tickwright.research.workers import Pool

if TYPE_CHECKING:
    import polars

__all__ = [
    "WalkForwardProgress",
    "WalkForwardResult",
    "WalkWindow",
    "WindowResult",
    "make_windows",
    "walk_forward",
]

WINDOWS_MAX = 1_000
"""Windows of one walk."""


class WalkWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One window: chosen on [in_from, in_until), judged on [in_until, out_until); UTC ns."""

    number: int
    in_from_ns: int
    in_until_ns: int
    out_until_ns: int


@dataclass(frozen=True, slots=True)
class WalkForwardProgress:
    """How far a walk is: trials of all windows, the windows judged last of all."""

    window: int
    windows: int
    done: int
    total: int
    failed: int
    reused: int
    seconds: float

    @property
    def rate(self) -> float:
        """Trials a second."""
        return (self.done - self.reused) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """By the rate so far; None before the first trial."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What a window chose and what came of it. `out` None: nothing could be chosen."""

    window: WalkWindow
    sweep: SweepResult
    judgement: Judgement
    """Of the best, in sample."""
    out: Trial | None

    @property
    def parameters(self) -> Parameters:
        """What was chosen."""
        best = self.sweep.best
        return {} if best is None else best.parameters


@dataclass(slots=True)
class WalkForwardResult:
    """The windows in order, and their stitched out-of-sample curve."""

    windows: list[WindowResult]
    objective: str
    is_anchored: bool
    is_interrupted: bool = False

    @property
    def parts(self) -> list[tuple[WindowResult, Trial]]:
        """The windows whose out-of-sample run went well."""
        return [
            (one, one.out) for one in self.windows if one.out is not None and not one.out.is_failed
        ]

    def returns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return when each out-of-sample return ended, and the returns.

        A window that chose nothing, or failed, has none: the time is missing, not flat.
        """
        times: list[npt.NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        values: list[npt.NDArray[np.float64]] = [np.zeros(0)]
        for _, out in self.parts:
            found = out.returns
            steps = np.arange(1, len(found) + 1, dtype=np.int64)
            times.append(out.started_ns + out.interval_ns * steps)
            values.append(found)
        return np.concatenate(times), np.concatenate(values)

    def out_of_sample(self) -> OutOfSample:
        """Say what the stitched curve is worth, given all that was tried to choose it."""
        _, returns = self.returns()
        parts = self.parts
        interval_ns = parts[0][1].interval_ns if parts else 0
        return judge_curve(returns, interval_ns, [one.sweep for one in self.windows])

    def curve(self) -> "polars.DataFrame":
        """Return the stitched curve: time, return, equity (1 at first), window."""
        times, returns = self.returns()
        numbers = [
            window.window.number for window, out in self.parts for _ in range(len(out.returns))
        ]
        return curve_frame(times, returns, window=numbers)

    def frame(self) -> "polars.DataFrame":
        """Return a row a window: its times, what was chosen, both figures, the judgement."""
        pl = polars_or_fault()
        names = list(dict.fromkeys(name for one in self.windows for name in one.parameters))
        rows = []
        for one in self.windows:
            best = one.sweep.best
            rows.append(
                {
                    "window": one.window.number,
                    "in_from": one.window.in_from_ns,
                    "in_until": one.window.in_until_ns,
                    "out_until": one.window.out_until_ns,
                    **{name: one.parameters.get(name) for name in names},
                    "in_sample": None if best is None else best.value(self.objective),
                    "out_of_sample": None if one.out is None else one.out.value(self.objective),
                    "deflated_sharpe": one.judgement.deflated_sharpe,
                    "overfitting": one.judgement.overfitting,
                    "trials": one.judgement.trials,
                    "error": "" if one.out is None else one.out.error,
                }
            )
        frame: polars.DataFrame = pl.DataFrame(rows, infer_schema_length=None)
        times = ["in_from", "in_until", "out_until"]
        return frame.with_columns(pl.col(times).cast(pl.Datetime("ns", "UTC"))) if rows else frame

    def trials(self) -> "polars.DataFrame":
        """Return a row a trial, in sample and out."""
        found = [trial for one in self.windows for trial in one.sweep.trials]
        return trials_frame([*found, *(one.out for one in self.windows if one.out is not None)])

    def summary(self) -> WalkForwardSummary:
        """Return the figures for JSON."""
        return summarise(
            objective=self.objective,
            is_anchored=self.is_anchored,
            is_interrupted=self.is_interrupted,
            windows=[(one.window, one.sweep, one.judgement, one.out) for one in self.windows],
            out_of_sample=self.out_of_sample(),
        )


def make_windows(
    span_ns: tuple[int, int], *, in_sample_ns: int, out_of_sample_ns: int, anchored: bool = False
) -> list[WalkWindow]:
    """Return the windows that fit whole into a span, each beginning one out-of-sample later.

    Rolling windows choose on the last `in_sample_ns`; anchored ones on everything since the start,
    at least `in_sample_ns`.

    Raises:
        ConfigError: no window fits, or too many do.
    """
    first, last = span_ns
    if in_sample_ns <= 0 or out_of_sample_ns <= 0:
        raise ConfigError("a window needs an in-sample and an out-of-sample time above 0")
    count = (last - first - in_sample_ns) // out_of_sample_ns
    if count < 1:
        raise ConfigError(
            f"no window fits: the tape is {(last - first) / 1e9:.0f} s, a window "
            f"{(in_sample_ns + out_of_sample_ns) / 1e9:.0f} s"
        )
    if count > WINDOWS_MAX:
        raise ConfigError(f"{count} windows are more than {WINDOWS_MAX}; make them longer")
    return [
        WalkWindow(
            number=number,
            in_from_ns=first if anchored else first + number * out_of_sample_ns,
            in_until_ns=first + in_sample_ns + number * out_of_sample_ns,
            out_until_ns=first + in_sample_ns + (number + 1) * out_of_sample_ns,
        )
        for number in range(count)
    ]


def walk_forward(
    evaluator: Evaluator | Recipe,
    space: Space | Mapping[str, object] | Iterable[str],
    *,
    in_sample_ns: int,
    out_of_sample_ns: int,
    anchored: bool = False,
    warm_up_ns: int = 0,
    objective: str = "sharpe",
    minimises: bool = False,
    sampler: SamplerName = "grid",
    trials: int | None = None,
    seed: int = 1,
    jobs: int = 1,
    ray: str = "",
    span: tuple[int, int] = (0, 0),
    folder: Path | None = None,
    resumes: bool = False,
    on_progress: Callable[[WalkForwardProgress], None] | None = None,
) -> WalkForwardResult:
    """Choose on each window and judge on the time behind it.

    `warm_up_ns` before every stretch lets indicators fill; nothing counts in it. `span` bounds the
    whole. Otherwise as `sweep`.

    Raises:
        ConfigError: as `sweep`, or no window fits.
        StorageError: the folder can't be written.
    """
    opened = open_evaluator(evaluator, jobs=jobs, ray=ray)
    checked = Space.of(space).check(opened.bounds)
    whole = (span[0] or opened.span_ns[0], span[1] or opened.span_ns[1])
    windows = make_windows(
        whole, in_sample_ns=in_sample_ns, out_of_sample_ns=out_of_sample_ns, anchored=anchored
    )
    samplers = [
        make_sampler(sampler, checked, trials=trials, seed=seed + number)
        for number in range(len(windows))
    ]
    kept = None if folder is None else TrialFile(folder, resumes=resumes)
    pool = make_pool(evaluator, opened, jobs=jobs, ray=ray)
    walk = _Walk(pool, opened.identity, kept, on_progress, objective)
    walk.windows = len(windows)
    walk.total = sum(one.total for one in samplers) + len(windows)
    try:
        sweeps: list[SweepResult] = []
        for window, chooser in zip(windows, samplers, strict=True):
            found = run_trials(
                pool,
                chooser,
                identity=opened.identity,
                objective=objective,
                minimises=minimises,
                window=(window.in_from_ns, window.in_until_ns),
                warm_up_ns=warm_up_ns,
                kept=kept,
                on_trial=walk.note,
            )
            found.sampler, found.seed = sampler, seed + window.number
            sweeps.append(found)
            if found.is_interrupted:
                break
            walk.window += 1
        # After Ctrl-C, trials of the stopped sweep are under way still.
        is_stopped = any(found.is_interrupted for found in sweeps)
        outs = {} if is_stopped else walk.judge(windows, sweeps, warm_up_ns)
    finally:
        pool.close()
        if kept is not None:
            kept.close()
    results = [
        WindowResult(window=window, sweep=found, judgement=found.judgement(), out=outs.get(number))
        for number, (window, found) in enumerate(zip(windows, sweeps, strict=False))
    ]
    return WalkForwardResult(
        windows=results,
        objective=objective,
        is_anchored=anchored,
        is_interrupted=walk.is_interrupted or is_stopped,
    )


class _Walk:
    """A walk under way: what it shares between its sweeps."""

    def __init__(
        self,
        pool: Pool,
        identity: str,
        kept: TrialFile | None,
        on_progress: Callable[[WalkForwardProgress], None] | None,
        objective: str,
    ) -> None:
        self._pool = pool
        self._identity = identity
        self._kept = kept
        self._on_progress = on_progress
        self._objective = objective
        self._began = perf_counter()
        self._done = self._failed = self._reused = 0
        self.window = 0
        self.windows = 0
        self.total = 0
        self.is_interrupted = False

    def note(self, trial: Trial, is_reused: bool) -> None:  # noqa: FBT001 - a callback
        """Count a trial and tell how far it is."""
        self._done += 1
        self._failed += trial.is_failed
        self._reused += is_reused
        if self._on_progress is not None:
            self._on_progress(
                WalkForwardProgress(
                    window=self.window,
                    windows=self.windows,
                    done=self._done,
                    total=self.total,
                    failed=self._failed,
                    reused=self._reused,
                    seconds=perf_counter() - self._began,
                )
            )

    def judge(
        self, windows: list[WalkWindow], sweeps: list[SweepResult], warm_up_ns: int
    ) -> dict[int, Trial]:
        """Run what each window chose over the time behind it; by window."""
        tasks = []
        for window, found in zip(windows, sweeps, strict=False):
            best = found.best
            if best is None:
                continue
            tasks.append(
                Task(
                    number=window.number,
                    key="",
                    parameters=best.parameters,
                    from_ns=window.in_until_ns,
                    until_ns=window.out_until_ns,
                    warm_up_ns=warm_up_ns,
                )
            )
        try:
            return run_tasks(
                self._pool, tasks, identity=self._identity, kept=self._kept, on_trial=self.note
            )
        except KeyboardInterrupt:
            self.is_interrupted = True
            return {}
