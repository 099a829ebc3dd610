"""The verb `watchdog`: look after a trader from a process of its own."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.outcome import INTERRUPTED, tell, verb

__all__ = ["watchdog"]


@verb("watchdog")
def watchdog(
    config: Annotated[
        Path, typer.Argument(help="The trader's configuration.", metavar="CONFIG.toml")
    ],
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End after the switch was thrown once.")
    ] = False,
) -> int:
    """Throw the kill switch when the trader shows no life.

    Also when asked over HTTP, or by file. Run it beside `tickwright run` with the same CONFIG, best
    under a service manager.
    """
    import asyncio

    from tickwright.app.kill_target import read_kill_target
    from tickwright.app.watchdog_run import run_watchdog

    target = read_kill_target(config)
    try:
        return asyncio.run(run_watchdog(target, once=once, say=lambda text: tell("watchdog", text)))
    except KeyboardInterrupt:
        return INTERRUPTED
