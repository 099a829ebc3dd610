"""The verb `diff`: a recorded session against what today's code decides on the same inputs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import verb

if TYPE_CHECKING:
    from rich.console import Console

    from tickwright.app.diff import SessionDiff

__all__ = ["diff"]

DIFFERS = 1
ROWS_SHOWN = 40


@verb("diff")
def diff(
    session: Annotated[
        Path, typer.Argument(help="A recorded session's folder.", metavar="SESSION")
    ],
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="Decide by this configuration, not the recorded one.", metavar="CONFIG"),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write what differs here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Repeat SESSION through today's code and say what differs.

    It compares decision by decision and order by order.

    Exit code 1: something does.
    """
    check_json_path(json)
    from tickwright.app.bar import Bar
    from tickwright.app.diff import diff_session
    from tickwright.cli.screens import console_for
    from tickwright.storage.session_log import SessionReader

    plan = None
    if config is not None:
        from tickwright.app.config import load_config
        from tickwright.app.settings import trading_plan

        plan = trading_plan(load_config(config, needs_keys=False))
    console = console_for(json)
    with Bar(console, "comparing", total=max(1, SessionReader(session).size)) as bar:
        told = diff_session(session, plan=plan, on_progress=bar.show)
    if json is not None:
        write_json(json, told)
    if json != STDOUT:
        _show(told, console)
    return 0 if told.is_equal else DIFFERS


def _show(told: "SessionDiff", console: "Console") -> None:
    console.print(f"{told.session} ({told.mode})")
    end = "" if told.is_complete else "; the log has no end"
    console.print(
        f"{told.inputs:,} inputs, {told.decisions:,} digests of decisions compared, "
        f"orders {told.orders_then:,} then and {told.orders_now:,} now, requests "
        f"{told.requests_then:,} then and {told.requests_now:,} now{end}"
    )
    if told.is_equal:
        console.print("no difference")
        return
    if told.first_difference:
        console.print(f"[bold]{told.first_difference}[/bold]")
    console.print(
        f"orders missing today {told.missing:,}, new {told.new:,}, changed {told.changed:,}"
    )
    from rich.table import Table

    table = Table("time", "order", "", "then", "now", "reason")
    for one in told.differences[:ROWS_SHOWN]:
        moment = datetime.fromtimestamp(one.time_ns // 10**9, UTC)
        time = f"{moment:%H:%M:%S}.{one.time_ns // 10**6 % 1_000:03}"
        table.add_row(time, one.client_id, one.kind, one.then, one.now, one.reason)
    console.print(table)
    if len(told.differences) > ROWS_SHOWN:
        console.print(f"the first {ROWS_SHOWN} are shown; --json holds {len(told.differences):,}")
