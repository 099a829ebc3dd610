"""The verb `db`: the history in PostgreSQL or TimescaleDB."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import verb

__all__ = ["db"]

db = typer.Typer(
    name="db",
    help="History in PostgreSQL or TimescaleDB: its schema, a recorded session into it, queries.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Config = Annotated[
    Path | None, typer.Argument(help="Configuration with [history].", metavar="CONFIG.toml")
]
_Dsn = Annotated[
    str | None,
    typer.Option(
        help="postgresql://USER@HOST:PORT/DATABASE; TICKWRIGHT_HISTORY_DSN keeps a password out "
        "of the list of processes.",
        metavar="DSN",
    ),
]
_Json = Annotated[Path | None, typer.Option(help="Write it here as JSON.", metavar="PATH")]


@db.command("migrate")
@verb("db migrate")
def migrate(config: _Config = None, *, dsn: _Dsn = None, json: _Json = None) -> int:
    """Bring the schema to this version and set retention and compression."""
    check_json_path(json)
    from tickwright.app.history import history_settings, migrate_history

    done = migrate_history(*history_settings(config, dsn))
    if json is not None:
        write_json(json, done)
    if json != STDOUT:
        what = ", ".join(f"{number:04d}" for number in done.applied) or "nothing was missing"
        typer.echo(f"{done.database}: {done.layout}: {what}")
    return 0


@db.command("status")
@verb("db status")
def status(config: _Config = None, *, dsn: _Dsn = None, json: _Json = None) -> int:
    """Show the schema, the tables and how far each source is written."""
    check_json_path(json)
    from tickwright.app.history import history_settings, history_status

    found = history_status(history_settings(config, dsn)[0])
    if json is not None:
        write_json(json, found)
    if json == STDOUT:
        return 0
    layout = found.layout or "no schema yet"
    typer.echo(f"{found.database}: PostgreSQL {found.server}, {layout}")
    if found.pending:
        missing = ", ".join(f"{number:04d}" for number in found.pending)
        typer.echo(f"missing: {missing} (tickwright db migrate)")
    for table in found.tables:
        typer.echo(
            f"{table.name:<16} {table.rows:>14,} rows {table.bytes / 1e6:>10,.1f} MB "
            f"{table.parts:>5} parts"
        )
    for one in found.sources:
        lost = f", {one.lost:,} lost" if one.lost else ""
        typer.echo(f"{one.source}  up to {one.committed:,}: {one.rows:,} rows{lost}")
    return 0


@db.command("load")
@verb("db load")
def load(
    session: Annotated[Path, typer.Argument(help="A recorded session.", metavar="SESSION")],
    config: _Config = None,
    *,
    dsn: _Dsn = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a database that goes away.", min=0)
    ] = 60.0,
    json: _Json = None,
) -> int:
    """Write a recorded session into the history; again, or after a kill, it goes on."""
    check_json_path(json)
    from tickwright.app.history import history_settings, load_session

    def show(done: int, size: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\rreading the session: {min(100, 100 * done // size)} %\r")

    found = load_session(session, *history_settings(config, dsn), wait_s=wait, on_progress=show)
    if json is not None:
        write_json(json, found)
    if json != STDOUT:
        typer.echo(
            f"{found.source}: {found.rows:,} rows written, {found.skipped:,} were there, "
            f"{found.events:,} inputs"
        )
    return 0


@db.command("sql")
@verb("db sql")
def sql(
    query: Annotated[str, typer.Argument(help="One query; it can only read.", metavar="QUERY")],
    config: _Config = None,
    *,
    dsn: _Dsn = None,
    limit: Annotated[int, typer.Option(help="Most rows.", min=1, max=100_000)] = 1_000,
    json: _Json = None,
) -> int:
    """Ask the history; tables and views are documented in docs/history.md."""
    check_json_path(json)
    from tickwright.app.history import ask_history, history_settings

    answer = ask_history(history_settings(config, dsn)[0], query, limit=limit)
    if json is not None:
        write_json(json, answer)
    if json == STDOUT:
        return 0
    typer.echo("\t".join(answer.columns))
    for row in answer.rows:
        typer.echo("\t".join("" if cell is None else cell for cell in row))
    if answer.is_cut:
        typer.echo(f"only the first {limit:,} rows; --limit takes more", err=True)
    return 0
