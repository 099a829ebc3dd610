"""The verb `protections`: what restricts a trader that isn't running, and lifting one of them."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.outcome import verb

__all__ = ["protections"]


@verb("protections")
def protections(
    config: Annotated[Path, typer.Argument(help="Configuration.", metavar="CONFIG.toml")],
    *,
    lift: Annotated[
        list[str] | None,
        typer.Option(
            help="Lift this protection, such as drawdown@bybit:main; repeat for more.",
            metavar="KIND@SCOPE",
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write them here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """List the protections that stand, or lift some of them.

    They are those that CONFIG's trader starts with.
    """
    check_json_path(json)
    from tickwright.app.config import load_config
    from tickwright.app.notice_log import utc
    from tickwright.app.protections import kept_protections, lift_kept

    loaded = load_config(config)
    kept = lift_kept(loaded, lift) if lift else kept_protections(loaded)
    if json is not None:
        write_json(json, kept)
    if json == STDOUT:
        return 0
    for name in kept.lifted:
        typer.echo(f"lifted {name}")
    if kept.saved_ns is None:
        typer.echo(f"{kept.state_folder} keeps no state yet")
        return 0
    for row in kept.protections:
        end = "until a person lifts it" if row.until_ns is None else f"until {utc(row.until_ns)}"
        typer.echo(f"{row.state:<8} {row.name}  {end}: {row.reason}")
    if not kept.protections:
        typer.echo(f"nothing is restricted (as of {utc(kept.saved_ns)})")
    return 0
