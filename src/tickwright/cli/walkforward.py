"""The verb `walkforward`: choose parameters on one stretch, judge them on the next, and again."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickwright.cli import trial_options as options
from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.market_options import Config, MarketOptions
from tickwright.cli.moments import span_ns
from tickwright.cli.option_records import takes_records
from tickwright.cli.outcome import INTERRUPTED, tell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.research.walkforward import WalkForwardProgress
    from tickwright.research.walkforward_summary import WalkForwardSummary

__all__ = ["walkforward"]


@verb("walkforward")
@takes_records
def walkforward(
    config: Config,
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
    asked: options.TrialOptions,
    market: MarketOptions,
    json: options.Json = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report here as one page.", metavar="PATH")
    ] = None,
) -> int:
    """Choose parameters on one stretch, judge them on the next.

    CONFIG's parameters are swept on each window, and the best runs on the time behind it. The
    stretches nobody chose on make one curve. Every trial is kept as it ends: --resume goes on after
    Ctrl-C.
    """
    check_json_path(json)
    check_json_path(html, option="--html")
    from tickwright.cli.screens import console_for

    console = console_for(json)
    in_sample_ns = span_ns(in_sample, option="--in-sample")
    out_of_sample_ns = span_ns(out_of_sample, option="--out-of-sample")
    warm_up_ns = span_ns(warm_up, option="--warm-up")
    from tickwright.app.bar import Bar
    from tickwright.research.results import write_trials
    from tickwright.research.walkforward import walk_forward

    chosen = market.choice()
    recipe = options.make_recipe(config, chosen, console)
    folder = asked.folder or config.parent / "walkforwards" / config.stem
    with Bar(console, "trials", figure="") as bar:

        def show(far: "WalkForwardProgress") -> None:
            word = min(far.window + 1, far.windows)
            options.show_trials(bar, far, f", window {word} of {far.windows}")

        found = walk_forward(
            recipe,
            param,
            **asked.arguments(folder),
            in_sample_ns=in_sample_ns,
            out_of_sample_ns=out_of_sample_ns,
            warm_up_ns=warm_up_ns,
            anchored=anchored,
            span=(chosen.from_ns, chosen.until_ns),
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
            _text(row.parameters) or row.error,
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


def _text(parameters: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in parameters.items()
    )
