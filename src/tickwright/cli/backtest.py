"""The verb `backtest`: a configuration's strategies over recorded books, as they would run live."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli import trial_options as options
from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.moments import moment_ns
from tickwright.cli.outcome import verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.backtest.record import RunRecord
    from tickwright.backtest.run import BacktestSettings, Progress

__all__ = ["RunProgress", "backtest"]

LOOKS_AHEAD = 1
HALTED = 3
"""Exit code of a run in which a strategy raised."""


@verb("backtest")
def backtest(
    config: options.Config,
    *,
    tape: options.Tape = None,
    lake: options.Lake = None,
    session: options.Session = None,
    since: options.Since = "",
    until: options.Until = "",
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
    """Run CONFIG's strategies over a recorded market, with queues, latency, fees and funding.

    Exit code 3: a strategy raised and was halted; its place stands in the report. Exit code 1: a
    probe found a decision that depends on what follows it.
    """
    check_json_path(json)
    check_json_path(html, option="--html")
    from tickwright.app.backtest import prepared
    from tickwright.app.config import load_config
    from tickwright.backtest.report import make_report
    from tickwright.backtest.report_view import print_summary
    from tickwright.backtest.run import run_backtest
    from tickwright.cli.screens import console_for

    loaded = load_config(config)
    console = console_for(json)
    with RunProgress(console) as bar:
        settings = prepared(
            loaded,
            tape=tape,
            lake=lake,
            sessions=session or (),
            from_ns=moment_ns(since, 0),
            until_ns=moment_ns(until, 0),
            seed=seed,
            on_tape=bar.show_tape,
        )
        record = run_backtest(settings, on_progress=bar.show)
    report = make_report(record)
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
    from tickwright.backtest.probe import probe

    with RunProgress(console) as bar:
        found = probe(settings, record, cuts=cuts, on_cut=lambda n: bar.show_cut(n, cuts))
    if found.difference:
        console.print(f"[bold]looks ahead:[/bold] {found.difference}")
        return LOOKS_AHEAD
    console.print(
        f"{found.cuts} cuts, {found.orders_compared:,} orders before them compared: none depends "
        "on what follows"
    )
    return 0


class RunProgress:
    """A bar while a tape is made and walked; nothing where nobody looks."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("backtest", total=None, rate="")

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show_tape(self, messages: int) -> None:
        """Say how many messages of the tape were written."""
        self._bar.update(self._task, description=f"making the tape: {messages:,} messages")

    def show_cut(self, done: int, cuts: int) -> None:
        """Say how many cuts were compared."""
        self._bar.update(self._task, description="cutting the tape", total=cuts, completed=done)

    def show(self, progress: "Progress") -> None:
        """Say how far the walk is."""
        rate = progress.messages / max(progress.seconds, 1e-9)
        self._bar.update(
            self._task,
            description="backtest",
            total=progress.total,
            completed=progress.messages,
            rate=f"{rate / 1e6:.2f} M messages/s",
        )
