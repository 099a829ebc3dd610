"""The verb `init`: write a commented configuration to start from."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.outcome import verb

__all__ = ["init"]


@verb("init")
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.", metavar="PATH")] = Path(
        "tickwright.toml"
    ),
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> int:
    """Write a commented configuration.

    It trades on the simulated venue until you change it.
    """
    from tickwright.app.config_file import write_template

    write_template(path, force=force)
    typer.echo(f"Wrote {path}. Try it: tickwright run {path} --seconds 60")
    return 0
