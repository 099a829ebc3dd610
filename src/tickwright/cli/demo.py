"""The verb `demo`: trade the recorded market against the simulated venue."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import check_json_path
from tickwright.cli.outcome import check_sockets, verb

__all__ = ["demo"]


@verb("demo")
def demo(
    *,
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="How long to trade.", metavar="N")
    ] = 60,
    symbols: Annotated[
        int, typer.Option(min=1, max=500, help="How many books to keep.", metavar="N")
    ] = 50,
    seed: Annotated[
        int, typer.Option(help="Fixes every random choice of the market.", metavar="N")
    ] = 1,
    json: Annotated[
        Path | None, typer.Option(help="Write the report here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Trade recorded and synthetic markets on loopback, and end with a report."""
    check_json_path(json)
    check_sockets()
    from tickwright.app.demo import run_demo

    return run_demo(seconds=seconds, symbols=symbols, seed=seed, json_path=json)
