"""The verb `backtest`: a configuration's strategies over recorded books, as they would run live."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.market_options import Config, MarketOptions
from tickwright.cli.option_records import takes_records
from tickwright.cli.outcome import verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.backtest.record import RunRecord
    from tickwright.backtest.run import BacktestSettings, Progress

__all__ = ["backtest"]

LOOKS_AHEAD = 1
HALTED = 3
"""Exit code of a run in which a strategy raised."""


@verb("backtest")
@takes_records
def backtest(
    config: Config,
    *,
    market: MarketOptions,
    seed: Annotated[
        int | None, typer.Option(help="In place of run.seed: latencies drawn, chance.")
    ] = None,
    probe: Annotated[
        int,
        typer.Option(min=0, max=1_000, help="Cut the tape N times: no decision before may change."),
    ] = 0,
    json: Annotated[
        Path | None, typer.Option(help="Write the report here as JSON.", metavar="PATH")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report here as one page.", metavar="PATH")
    ] = None,
) -> int:
    """Run CONFIG's strategies over a recorded market.

    It keeps queues, latency, fees and funding.

    Exit code 3: a strategy raised and was halted; its place stands in the report. Exit code 1: a
    probe found a decision that depends on what follows it.
    """
    check_json_path(json)
    check_json_path(html, option="--html")
    from tickwright.app.backtest import prepared
    from tickwright.app.bar import Bar
    from tickwright.app.config import load_config
    from tickwright.backtest.report import make_report
    from tickwright.backtest.report_view import print_summary
    from tickwright.backtest.run import run_backtest
    from tickwright.backtest.tape import Tape
    from tickwright.cli.screens import console_for

    loaded = load_config(config, needs_keys=False)
    console = console_for(json)
    chosen = market.choice()
    with Bar(console, "backtest") as bar:

        def show(far: "Progress") -> None:
            rate = far.messages / max(far.seconds, 1e-9)
            words = f"{rate / 1e6:.2f} M messages/s"
            bar.show(far.messages, total=far.total, name="backtest", words=words)

        settings = prepared(loaded, chosen, seed=seed, on_tape=bar.show_tape)
        record = run_backtest(settings, on_progress=show)
    # Levels around charts are read from the tape only where somebody will look at them.
    is_kept = html is not None or json is not None
    report = make_report(record, tape=Tape(settings.tape) if is_kept else None)
    print_summary(report, console)
    if html is not None:
        from tickwright.backtest.report_frame import write_page
        from tickwright.backtest.report_page import make_page

        write_page(html, make_page(report))
    if json is not None:
        write_json(json, report)
    if json != STDOUT and record.wall_s > 0:
        rate = record.level_rows / record.wall_s / 1e6
        console.print(
            f"{record.messages:,} messages, {record.level_rows:,} rows in {record.wall_s:.2f} s: "
            f"{rate:.2f} million rows a second"
        )
    if record.halted:
        return HALTED
    return _probe(settings, record, probe, console) if probe else 0


def _probe(settings: "BacktestSettings", record: "RunRecord", cuts: int, console: "Console") -> int:
    from tickwright.app.bar import Bar
    from tickwright.backtest.probe import probe

    with Bar(console, "cutting the tape", total=cuts) as bar:
        found = probe(settings, record, cuts=cuts, on_cut=bar.show)
    if found.difference:
        console.print(f"[bold]looks ahead:[/bold] {found.difference}")
        return LOOKS_AHEAD
    console.print(
        f"{found.cuts} cuts, {found.orders_compared:,} orders before them compared: none depends "
        "on what follows"
    )
    return 0
