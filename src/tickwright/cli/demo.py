"""The verb `demo`: trade the recorded market against the simulated venue."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import check_json_path, write_json
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
    """Trade simulated markets on loopback, and end with a report."""
    check_json_path(json)
    check_sockets()
    from tickwright.app.demo import run_demo
    from tickwright.cli.screens import console_for, screen_for

    console = console_for(json)
    code, report = run_demo(
        seconds=seconds,
        symbols=symbols,
        seed=seed,
        make_screen=screen_for(console),
        console=console,
    )
    if json is not None and report is not None:
        write_json(json, report)
    return code
