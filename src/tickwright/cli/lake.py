"""The verb `lake`: market data and our own orders as Parquet, from recordings and archives."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.moments import moment_ns
from tickwright.cli.outcome import tell, verb

if TYPE_CHECKING:
    from tickwright.app.lake import LakeRow, LakeSource

__all__ = ["lake"]

lake = typer.Typer(
    name="lake",
    help="Market data and own orders as Parquet.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Place = Annotated[
    str, typer.Option("--lake", help="The lake: a folder, or s3://bucket/prefix.", metavar="DIR")
]
_Json = Annotated[Path | None, typer.Option(help="Write it here as JSON.", metavar="PATH")]
_INT64_MAX = 2**63 - 1
_CELL_MAX = 60


@lake.command("build")
@verb("lake build")
def build(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Sessions, Bybit archives (book zip, trade CSV), Tardis CSV, hftbacktest npz.",
            metavar="SOURCE",
        ),
    ],
    *,
    place: _Place = "lake",
    instrument: Annotated[
        str | None,
        typer.Option(help="Whose a file is that doesn't say so.", metavar="VENUE:CATEGORY:SYMBOL"),
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Keep rows of two sources over the same time.")
    ] = False,
    json: _Json = None,
) -> int:
    """Read sources into the lake.

    What stands there already is passed over.
    """
    check_json_path(json)
    from tickwright.app.lake import build_lake

    bar = _Bar()
    try:
        done = build_lake(
            sources, place, instrument=instrument, allows_overlap=overlap, on_progress=bar.show
        )
    finally:
        bar.clear()
    if json is not None:
        write_json(json, done)
    if json != STDOUT:
        for one in done.sources:
            _say_source(one)
    return 0


@lake.command("ls")
@verb("lake ls")
def ls(*, place: _Place = "lake", json: _Json = None) -> int:
    """List what the lake holds: days, missing days, rows and bytes."""
    check_json_path(json)
    from tickwright.app.lake import lake_rows

    rows = lake_rows(place)
    if json is not None:
        write_json(json, rows)
    if json != STDOUT:
        _show_rows(rows)
    return 0


@lake.command("sql")
@verb("lake sql")
def sql(
    query: Annotated[str, typer.Argument(help="What DuckDB is asked.", metavar="SQL")],
    *,
    place: _Place = "lake",
    csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
    rows: Annotated[
        int, typer.Option(min=1, max=100_000, help="Most rows of the table.", metavar="N")
    ] = 50,
) -> int:
    """Ask the lake in SQL.

    There is a view per table, and one more with _decimal behind its name.
    """
    from tickwright.app.lake import query_lake

    names, answer = query_lake(place, query)
    if csv:
        from csv import writer

        out = writer(sys.stdout)
        out.writerow(names)
        out.writerows(answer)
        return 0
    from rich.table import Table

    from tickwright.cli.screens import console_for

    table = Table(*names)
    more = False
    for number, row in enumerate(answer):
        if number >= rows:
            more = True
            break
        table.add_row(*(_cell(value) for value in row))
    console_for(None).print(table)
    if more:
        tell("lake sql", f"the first {rows} rows are shown; --rows shows more, --csv all")
    return 0


@lake.command("export")
@verb("lake export")
def export(
    instrument: Annotated[str, typer.Argument(metavar="VENUE:CATEGORY:SYMBOL")],
    *,
    hftbacktest: Annotated[Path, typer.Option(help="The npz to write.", metavar="PATH")],
    place: _Place = "lake",
    since: Annotated[
        str, typer.Option(help="The first moment, UTC: 2024-12-01 or with a time.", metavar="TIME")
    ] = "",
    until: Annotated[str, typer.Option(help="The moment to stop before.", metavar="TIME")] = "",
    latency_us: Annotated[
        int, typer.Option(min=0, help="Added to rows without our own time.", metavar="N")
    ] = 0,
) -> int:
    """Write books and trades of an instrument for hftbacktest."""
    from tickwright.app.lake import export_lake

    report = export_lake(
        place,
        instrument,
        hftbacktest,
        from_ns=moment_ns(since, option="--since"),
        until_ns=moment_ns(until, _INT64_MAX, option="--until"),
        feed_latency_ns=latency_us * 1_000,
    )
    typer.echo(
        f"{hftbacktest}: {report.rows} rows of {report.messages} book messages and "
        f"{report.trades} trades"
    )
    if report.doubts:
        tell("lake export", f"{report.doubts} stretches without a trusted book: npz can't say so")
    if report.without_received:
        tell(
            "lake export",
            f"{report.without_received} rows had no time of ours: the venue's plus {latency_us} us",
        )
    return 0


def _cell(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CELL_MAX else text[: _CELL_MAX - 3] + "..."


def _say_source(one: "LakeSource") -> None:
    if one.is_known:
        typer.echo(f"{one.name}: {one.remarks[-1]}")
        return
    rate = one.rows / max(one.seconds, 1e-3)
    resumed = f", {one.files_resumed} files were there" if one.files_resumed else ""
    typer.echo(
        f"{one.name}: {one.kind}, {one.rows} rows into {one.files} files in {one.seconds:.1f} s "
        f"({rate:.0f} rows/s{resumed})"
    )
    for text in one.remarks:
        tell("lake build", f"{one.name}: {text}")


def _show_rows(rows: "list[LakeRow]") -> None:
    from rich.table import Table

    from tickwright.cli.screens import console_for

    table = Table("table")
    table.add_column("instrument", overflow="fold")
    for name in ("days", "first", "last"):
        table.add_column(name)
    for name in ("missing", "rows", "MB", "bytes/row"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.table,
            row.instrument,
            str(row.days),
            _minute(row.first_ns),
            _minute(row.last_ns),
            str(len(row.days_missing)),
            f"{row.rows:,}",
            f"{row.bytes / 1e6:.2f}",
            f"{row.bytes / row.rows:.1f}",
        )
    console_for(None).print(table)
    for row in rows:
        if row.days_missing:
            shown = ", ".join(row.days_missing[:10])
            more = len(row.days_missing) - 10
            tell(
                "lake ls",
                f"{row.table} of {row.instrument}: no rows on {shown}"
                + (f" and {more} days more" if more > 0 else ""),
            )


def _minute(moment_ns: int) -> str:
    return datetime.fromtimestamp(moment_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")


class _Bar:
    """One line on a terminal while sources are read."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, name: str, part: float) -> None:
        """Say how far it is."""
        far = f" {100 * part:.0f} %" if part else " ..."
        text = f"reading {name}:{far}"
        if sys.stderr.isatty() and text != self._shown:
            sys.stderr.write("\r" + text.ljust(len(self._shown)))
            sys.stderr.flush()
            self._shown = text

    def clear(self) -> None:
        """Leave the line empty."""
        if self._shown:
            sys.stderr.write("\r" + " " * len(self._shown) + "\r")
