"""The verb `db`: the history in PostgreSQL or TimescaleDB."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import FAILURE, tell, verb

if TYPE_CHECKING:
    from tickwright.app.history_spool import SpoolStatus

__all__ = ["db", "spool_lines"]

db = typer.Typer(
    name="db",
    help="History in PostgreSQL: its schema, what waits, queries.",
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
    """Bring the schema, retention and compression to this version."""
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
    """Show schema, tables, how far sources are, what waits on disk."""
    check_json_path(json)
    from tickwright.app.history import history_settings, history_status, spool_folder

    found = history_status(history_settings(config, dsn)[0], spool=spool_folder(config))
    code = FAILURE if found.fault else 0
    if json is not None:
        write_json(json, found)
    if json == STDOUT:
        return code
    if found.spool is not None:
        for line in spool_lines(found.spool):
            typer.echo(line)
    if found.fault:
        tell("db status", found.fault)
        return code
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
        float, typer.Option(help="Wait so long for a database that goes away.", min=0, metavar="S")
    ] = 60.0,
    json: _Json = None,
) -> int:
    """Write a recorded session into the history.

    Again, or after a kill, it goes on.
    """
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


@db.command("drain")
@verb("db drain")
def drain(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    *,
    dsn: _Dsn = None,
    wait: Annotated[
        float, typer.Option(help="Wait so long for a database that is away.", min=0, metavar="S")
    ] = 0.0,
    json: _Json = None,
) -> int:
    """Write what a run had to leave on disk; the next run does it too."""
    check_json_path(json)
    from tickwright.app.history import history_settings
    from tickwright.app.history_spool import HISTORY_FOLDER, drain_spool
    from tickwright.app.trader_folder import TraderFolder

    chosen, settings = history_settings(config, dsn)
    done = drain_spool(
        chosen,
        TraderFolder(config).state / HISTORY_FOLDER,
        bytes_max=settings.spool_mb_max * 1024**2,
        wait_s=wait,
    )
    if json is not None:
        write_json(json, done)
    if json != STDOUT:
        refused = f", {done.refused:,} refused" if done.refused else ""
        typer.echo(
            f"{done.batches:,} batches: {done.rows:,} rows written, {done.skipped:,} were there"
            f"{refused}"
        )
    return FAILURE if done.refused else 0


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
    """Ask the history in SQL.

    Tables and views are documented in docs/history.md.
    """
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


def spool_lines(spool: "SpoolStatus") -> list[str]:
    """Return a spool in words."""
    fault = f": {spool.fault}" if spool.fault and spool.writer != "writing" else ""
    lines = [f"writer {spool.writer}{fault}"]
    room = f" of {spool.bytes_max / 1e6:,.1f}" if spool.bytes_max else ""
    since = f", {spool.behind_s:,.1f} s behind" if spool.batches else ""
    lines.append(
        f"spool {spool.folder}: {spool.batches:,} batches, {spool.bytes / 1e6:,.1f}{room} MB{since}"
    )
    if spool.lost:
        lines.append(f"LOST {spool.lost:,} rows: neither database nor disk had room for them")
    if spool.refused_files or spool.damaged_files:
        lines.append(
            f"set aside: {spool.refused_files} batches that the database refuses, "
            f"{spool.damaged_files} damaged"
        )
    return lines
