"""The verb `doctor`: everything a run needs, looked at one by one; no order is sent."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import FAILURE, verb

__all__ = ["doctor"]


@verb("doctor")
def doctor(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    *,
    json: Annotated[
        Path | None, typer.Option(help="Write it here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Check what CONFIG's trader needs.

    Clock, keys, limits, disk, versions, sockets, state.
    Every line says ok, warn, fail or skip, and what helps. Exit code 1: something fails.
    """
    check_json_path(json)
    import asyncio

    from tickwright.app.doctor import examine

    report = asyncio.run(examine(config))
    if json is not None:
        write_json(json, report)
    if json != STDOUT:
        area = ""
        for line in report.lines:
            if line.area != area:
                area = line.area
                typer.echo(area)
            typer.echo(f"  {line.verdict:<5} {line.name}: {line.text}")
            if line.remedy:
                typer.echo(f"        -> {line.remedy}")
        typer.echo(f"{report.fails} fail, {report.warnings} warn")
    return FAILURE if report.fails else 0
