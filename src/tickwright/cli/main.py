"""Owns the list of verbs; refuses to import what a verb needs before it is asked for."""

from typing import Annotated

import typer

from tickwright import __version__
from tickwright.cli.backtest import backtest
from tickwright.cli.bench import bench
from tickwright.cli.book import book
from tickwright.cli.cache import cache
from tickwright.cli.db import db
from tickwright.cli.demo import demo
from tickwright.cli.diff import diff
from tickwright.cli.doctor import doctor
from tickwright.cli.explain import explain
from tickwright.cli.import_tape import import_verb
from tickwright.cli.init import init
from tickwright.cli.kill import kill
from tickwright.cli.lake import lake
from tickwright.cli.orders import orders
from tickwright.cli.protections import protections
from tickwright.cli.record import record
from tickwright.cli.replay import replay
from tickwright.cli.report import report
from tickwright.cli.risk import risk
from tickwright.cli.run import run
from tickwright.cli.simulate import simulate
from tickwright.cli.status import status
from tickwright.cli.sweep import sweep
from tickwright.cli.tell import tell_verb
from tickwright.cli.walkforward import walkforward
from tickwright.cli.watch import watch
from tickwright.cli.watchdog import watchdog

__all__ = ["app", "main"]

app = typer.Typer(
    name="tickwright",
    help="Trade order books in Python: watch, simulate, rehearse and run strategies.",
    no_args_is_help=True,
    # Plain help: it comes in a third of the time, and reads the same in a file.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    demo,
    simulate,
    watch,
    book,
    cache,
    record,
    replay,
    run,
    backtest,
    diff,
    sweep,
    walkforward,
    status,
    orders,
    explain,
    doctor,
    report,
    risk,
    protections,
    init,
    bench,
    kill,
    watchdog,
)
for command in COMMANDS:
    app.command()(command)
app.command("import")(import_verb)
app.command("tell")(tell_verb)
app.add_typer(lake)
app.add_typer(db)


def _show_version(is_wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if is_wanted:
        typer.echo(f"tickwright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Trade order books in Python: watch, simulate, rehearse and run strategies."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
