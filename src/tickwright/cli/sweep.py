"""The verb `sweep`: many sets of parameters over one recorded market, in parallel."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from tickwright.cli import trial_options as options
from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.moments import moment_ns
from tickwright.cli.outcome import INTERRUPTED, tell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.research.samplers import SamplerName
    from tickwright.research.sweep import SweepResult, SweepSummary

__all__ = ["sweep"]

NOTHING_FOUND = 4
"""Exit code of a sweep in which no trial knows the objective."""


@verb("sweep")
def sweep(
    config: options.Config,
    param: options.Params,
    *,
    sampler: options.Sampler = "grid",
    trials: options.Trials = None,
    jobs: options.Jobs = 0,
    objective: options.Objective = "sharpe",
    minimise: options.Minimise = False,
    ray: options.Ray = "",
    out: options.Out = None,
    resume: options.Resume = False,
    keep_in: Annotated[
        str | None,
        typer.Option(help="A lake that keeps the trials as Parquet, too.", metavar="PLACE"),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, max=1_000, help="Best trials shown.", metavar="N")
    ] = 10,
    seed: options.Seed = 1,
    tape: options.Tape = None,
    lake: options.Lake = None,
    session: options.Session = None,
    since: options.Since = "",
    until: options.Until = "",
    json: options.Json = None,
) -> int:
    """Run CONFIG's strategies with many sets of parameters, and say what the best is worth.

    Every trial is kept as it ends: --resume goes on after Ctrl-C. Exit code 4: no trial knows the
    objective.
    """
    check_json_path(json)
    from tickwright.cli.screens import console_for

    console = console_for(json)
    with options.research_or_fault():
        from tickwright.research.results import keep_in_lake, write_trials
        from tickwright.research.sweep import sweep as run_sweep

        window = (moment_ns(since, 0), moment_ns(until, 0))
        recipe = options.make_recipe(
            config,
            console,
            tape=tape,
            lake=lake,
            sessions=session or (),
            from_ns=window[0],
            until_ns=window[1],
        )
        folder = out or config.parent / "sweeps" / config.stem
        with options.TrialBar(console) as bar:
            found = run_sweep(
                recipe,
                param,
                objective=objective,
                minimises=minimise,
                sampler=cast("SamplerName", sampler),
                trials=trials,
                seed=seed,
                jobs=options.jobs_of(jobs) if not ray else jobs or 1,
                ray=ray,
                window=window,
                folder=folder,
                resumes=resume,
                on_progress=lambda far: bar.show(
                    far, words="" if far.value is None else f", best {far.value:.4g}"
                ),
            )
        summary = found.summary()
        write_trials(folder / "trials.parquet", found.frame())
        if keep_in is not None:
            place = keep_in_lake(keep_in, config.stem, found)
            tell("sweep", f"kept in the lake as {place}")
    if json is not None:
        write_json(json, summary)
    if json != STDOUT:
        _show(console, found, summary, top)
    if found.is_interrupted:
        tell("sweep", f"stopped after {len(found.trials)} of {found.planned}: --resume goes on")
        return INTERRUPTED
    return 0 if found.best is not None else NOTHING_FOUND


def _show(console: "Console", found: "SweepResult", summary: "SweepSummary", top: int) -> None:
    from rich.table import Table

    ranking = found.ranking()[:top]
    names = list(dict.fromkeys(name for one in ranking for name in one.parameters))
    figures = [name for name in ("net", "sharpe", "drawdown", "fills") if name != found.objective]
    table = Table("#", *names)
    for name in (found.objective, *figures, "s"):
        table.add_column(name, justify="right")
    for one in ranking:
        table.add_row(
            str(one.number),
            *(_text(one.parameters.get(name)) for name in names),
            *(_text(one.metrics.get(name)) for name in (found.objective, *figures)),
            f"{one.wall_s:.2f}",
        )
    console.print(table)
    rate = (len(found.trials) - found.reused) / max(found.seconds, 1e-9)
    console.print(
        f"{summary.done} trials in {summary.seconds:.1f} s ({rate:.2f}/s), "
        f"{summary.failed} failed, {summary.reused} known from before"
    )
    judged = summary.judgement
    if judged.deflated_sharpe is not None:
        console.print(
            f"The best one's true Sharpe ratio is above 0 with a probability of "
            f"{judged.probabilistic_sharpe:.3f} alone and {judged.deflated_sharpe:.3f} as the best "
            f"of {judged.trials}."
        )
    if judged.overfitting is not None:
        console.print(
            f"The best of one half of the time is in the worse half of the other with a "
            f"probability of {judged.overfitting:.3f}."
        )
    for error, count in list(summary.errors.items())[:3]:
        tell("sweep", f"{count} failed: {error}")


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
