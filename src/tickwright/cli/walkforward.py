"""The verb `walkforward`: choose parameters on one stretch, judge them on the next, and again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tickwright.cli import trial_options as options
from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.moments import moment_ns, span_ns
from tickwright.cli.outcome import INTERRUPTED, tell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.research.samplers import SamplerName
    from tickwright.research.walkforward import WalkForwardProgress
    from tickwright.research.walkforward_summary import WalkForwardSummary

__all__ = ["walkforward"]


@verb("walkforward")
def walkforward(
    config: options.Config,
    param: options.Params,
    *,
    in_sample: Annotated[
        str, typer.Option(help="Time to choose on: 90s, 30m, 6h, 7d.", metavar="SPAN")
    ],
    out_of_sample: Annotated[str, typer.Option(help="Time behind it to judge on.", metavar="SPAN")],
    anchored: Annotated[
        bool, typer.Option("--anchored", help="Choose on everything since the start.")
    ] = False,
    warm_up: Annotated[
        str,
        typer.Option(
            help="Time before each stretch to fill indicators; no trading.", metavar="SPAN"
        ),
    ] = "0s",
    sampler: options.Sampler = "grid",
    trials: options.Trials = None,
    jobs: options.Jobs = 0,
    objective: options.Objective = "sharpe",
    minimise: options.Minimise = False,
    ray: options.Ray = "",
    out: options.Out = None,
    resume: options.Resume = False,
    seed: options.Seed = 1,
    tape: options.Tape = None,
    lake: options.Lake = None,
    session: options.Session = None,
    since: options.Since = "",
    until: options.Until = "",
    json: options.Json = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report here as one page.", metavar="PATH")
    ] = None,
) -> int:
    """Sweep CONFIG's parameters on each window and run the best on the time behind it.

    The stretches nobody chose on make one curve. Every trial is kept as it ends: --resume goes on
    after Ctrl-C.
    """
    check_json_path(json)
    check_json_path(html)
    from tickwright.cli.screens import console_for

    console = console_for(json)
    lengths = [span_ns(text) for text in (in_sample, out_of_sample, warm_up)]
    with options.research_or_fault():
        from tickwright.research.results import write_trials
        from tickwright.research.walkforward import walk_forward

        bounds = (moment_ns(since, 0), moment_ns(until, 0))
        recipe = options.make_recipe(
            config,
            console,
            tape=tape,
            lake=lake,
            sessions=session or (),
            from_ns=bounds[0],
            until_ns=bounds[1],
        )
        folder = out or config.parent / "walkforwards" / config.stem
        with options.TrialBar(console) as bar:

            def show(far: "WalkForwardProgress") -> None:
                word = min(far.window + 1, far.windows)
                bar.show(far, words=f", window {word} of {far.windows}")

            found = walk_forward(
                recipe,
                param,
                in_sample_ns=lengths[0],
                out_of_sample_ns=lengths[1],
                warm_up_ns=lengths[2],
                anchored=anchored,
                objective=objective,
                minimises=minimise,
                sampler=cast("SamplerName", sampler),
                trials=trials,
                seed=seed,
                jobs=options.jobs_of(jobs) if not ray else jobs or 1,
                ray=ray,
                span=bounds,
                folder=folder,
                resumes=resume,
                on_progress=show,
            )
        summary = found.summary()
        write_trials(folder / "trials.parquet", found.trials())
        write_trials(folder / "curve.parquet", found.curve())
        if html is not None:
            from tickwright.app.walkforward_page import make_walkforward_page
            from tickwright.backtest.report_frame import write_page

            write_page(html, make_walkforward_page(config.stem, found))
    if json is not None:
        write_json(json, summary)
    if json != STDOUT:
        _show(console, summary)
    if found.is_interrupted:
        tell("walkforward", "stopped: --resume goes on")
        return INTERRUPTED
    return 0


def _show(console: "Console", summary: "WalkForwardSummary") -> None:
    from rich.table import Table

    from tickwright.app.walkforward_page import probability, short_moment

    table = Table("window", "chosen on", "judged until", "chosen")
    for name in ("in sample", "out of sample", "deflated", "overfitting"):
        table.add_column(name, justify="right")
    for row in summary.windows:
        table.add_row(
            str(row.number + 1),
            f"{short_moment(row.in_from_ns)} to {short_moment(row.in_until_ns)}",
            short_moment(row.out_until_ns),
            options.parameters_text(row.parameters) or row.error,
            "-" if row.in_sample is None else f"{row.in_sample:.4g}",
            "-" if row.out_of_sample is None else f"{row.out_of_sample:.4g}",
            probability(row.deflated_sharpe),
            probability(row.overfitting),
        )
    console.print(table)
    out = summary.out_of_sample
    if out.total_return is None:
        console.print("Nothing could be judged out of sample.")
        return
    console.print(
        f"Out of sample: {out.total_return:+.4%} over {out.observations} returns of "
        f"{out.interval_s:g} s, drawdown {out.drawdown:.4%}"
        + ("" if out.sharpe is None else f", Sharpe ratio {out.sharpe:.3g} a year")
    )
    console.print(
        f"True ratio above 0: {probability(out.probabilistic_sharpe)}, deflated "
        f"{probability(out.deflated_sharpe)}; overfitting in sample "
        f"{probability(summary.overfitting)}"
    )
    for one in summary.stability:
        spread = (
            "" if one.deviation is None else f", mean {one.mean:.4g} deviation {one.deviation:.4g}"
        )
        console.print(
            f"{one.name}: {one.distinct} values in {len(one.values)} windows, "
            f"{one.changes} changes{spread}"
        )
