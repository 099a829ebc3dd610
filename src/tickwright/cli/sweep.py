"""The verb `sweep`: many sets of parameters over one recorded market, in parallel."""

from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli import trial_options as options
from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.market_options import Config, MarketOptions
from tickwright.cli.option_records import takes_records
from tickwright.cli.outcome import INTERRUPTED, tell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.research.sweep import SweepResult, SweepSummary

__all__ = ["sweep"]

NOTHING_FOUND = 4
"""Exit code of a sweep in which no trial knows the objective."""


@verb("sweep")
@takes_records
def sweep(
    config: Config,
    param: options.Params,
    *,
    asked: options.TrialOptions,
    keep_in: Annotated[
        str | None,
        typer.Option(help="A lake that keeps the trials as Parquet, too.", metavar="PLACE"),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, max=1_000, help="Best trials shown.", metavar="N")
    ] = 10,
    market: MarketOptions,
    json: options.Json = None,
) -> int:
    """Try many sets of parameters on a recorded market.

    It says what the best is worth, given how many were tried. Every trial is kept as it ends:
    --resume goes on after Ctrl-C. Exit code 4: no trial knows the objective.
    """
    check_json_path(json)
    from tickwright.cli.screens import console_for

    console = console_for(json)
    from tickwright.app.bar import Bar
    from tickwright.research.results import keep_in_lake, write_trials
    from tickwright.research.sweep import sweep as run_sweep

    chosen = market.choice()
    recipe = options.make_recipe(config, chosen, console)
    folder = asked.folder or config.parent / "sweeps" / config.stem
    with Bar(console, "trials", figure="") as bar:
        found = run_sweep(
            recipe,
            param,
            **asked.arguments(folder),
            window=(chosen.from_ns, chosen.until_ns),
            on_progress=lambda far: options.show_trials(
                bar, far, "" if far.value is None else f", best {far.value:.4g}"
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
