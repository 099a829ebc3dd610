"""The verb `bench`: measure beside rivals in one run."""

from pathlib import Path
from typing import Annotated

import typer

from tickwright.cli.json_file import check_json_path
from tickwright.cli.outcome import check_sockets, verb
from tickwright.core.errors import ConfigError

__all__ = ["bench"]

_RIVALS = frozenset({"numpy", "sortedcontainers", "websockets", "uvloop"})


@verb("bench")
def bench(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to measure, all without any: backtest, core, feed, gate, latency, matching, "
            "memory, order_path, reconnect, record, lake, history, mirror.",
            metavar="SECTION",
        ),
    ] = None,
    *,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures here as JSON.", metavar="PATH")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short runs: to see that it works, not to quote.")
    ] = False,
) -> int:
    """Measure this platform beside its rivals.

    Runs alternate; a figure is the median, with least and most.
    """
    check_json_path(json)
    check_sockets()
    try:
        from tickwright.bench.runner import run_bench

        return run_bench(which or [], quick=quick, json_path=json)
    except ModuleNotFoundError as error:
        if error.name not in _RIVALS:
            raise
        raise ConfigError(
            f"{error.name} is not installed: the stacks to measure against come with "
            "`pip install 'tickwright[bench]'`"
        ) from None
