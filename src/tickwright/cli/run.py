"""The verb `run`: trade what a configuration says, or repeat a recorded session."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import check_sockets, verb
from tickwright.core.errors import ConfigError

__all__ = ["run"]


@verb("run")
def run(
    config: Annotated[
        Path | None,
        typer.Argument(help="Configuration; `tickwright init` writes one.", metavar="CONFIG.toml"),
    ] = None,
    *,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Stop after so long; without it, on Ctrl-C.", metavar="N"),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the report here as JSON.", metavar="PATH")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Repeat a recorded session and compare its decisions.", metavar="SESSION"
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the configuration and stop.")
    ] = False,
    yes_mainnet: Annotated[
        list[str] | None,
        typer.Option(
            help="Trade real money on this account; repeat for each one.", metavar="ACCOUNT"
        ),
    ] = None,
) -> int:
    """Trade what CONFIG says. Nothing starts before the whole configuration is found good."""
    check_json_path(json)
    if replay is not None:
        return _replay(replay, json)
    if config is None:
        raise ConfigError("give a configuration; `tickwright init` writes one to start from")
    from tickwright.app.config import confirm_mainnet, load_config

    loaded = load_config(config)
    if check:
        typer.echo(f"{config}: good ({loaded.summary()})")
        return 0
    confirmed = list(yes_mainnet or ())
    for account in loaded.mainnet_accounts():
        if account not in confirmed and sys.stdin.isatty() and sys.stderr.isatty():
            typer.echo(f"Account {account} trades REAL MONEY on mainnet.", err=True)
            confirmed.append(typer.prompt("Type the account's name to go on", err=True))
    confirm_mainnet(loaded, confirmed)
    check_sockets()
    from tickwright.app.report_view import show_report
    from tickwright.app.run import run_trader
    from tickwright.cli.screens import console_for, screen_for

    console = console_for(json)
    code, report = run_trader(
        loaded,
        seconds=seconds,
        make_screen=screen_for(console),
        is_quiet=console.is_terminal,
    )
    if report is not None:
        show_report(report, console)
        if json is not None:
            write_json(json, report)
    return code


def _replay(session: Path, json: Path | None) -> int:
    from tickwright.app.replay_run import replay_session

    code, check = replay_session(session, file=sys.stderr if json == STDOUT else None)
    if json is not None:
        write_json(json, check)
    return code
