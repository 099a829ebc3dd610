"""The verb `watch`: live order books and trades of one endpoint."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tickwright.cli.endpoint import CaPath, CategoryName, EndpointOptions
from tickwright.cli.json_file import check_json_path, write_json
from tickwright.cli.option_records import takes_records
from tickwright.cli.outcome import check_sockets, tell, verb

if TYPE_CHECKING:
    from tickwright.app.watch import WatchReport

__all__ = ["watch"]

# What a person should know even when no table is shown.
_TOLD = frozenset({"watch.unreachable", "feed.topic_refused", "feed.disconnected"})


@verb("watch")
@takes_records
def watch(
    *,
    venue: Annotated[Literal["bybit"], typer.Option(help="Whose protocol it is.")] = "bybit",
    category: CategoryName,
    symbols: Annotated[str, typer.Option(help="Separated by commas.", metavar="A,B,...")],
    endpoint: EndpointOptions,
    instruments: Annotated[
        Path | None,
        typer.Option(
            help="Instruments-info as a file, where there is no REST.", metavar="FILE.json"
        ),
    ] = None,
    ca: CaPath = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after so long; else on Ctrl-C.", metavar="N")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures here as JSON.", metavar="PATH")
    ] = None,
    busy_poll: Annotated[bool, typer.Option("--busy-poll", hidden=True)] = False,
    coalesce_us: Annotated[int, typer.Option(min=0, max=10_000, hidden=True)] = 0,
) -> int:
    """Keep live order books and show them.

    The JSON holds rates, latencies and the last books.
    """
    check_json_path(json)
    check_sockets()
    import asyncio

    from tickwright.app.watch import WatchOptions
    from tickwright.app.watch import watch as run_watch
    from tickwright.cli.watch_table import WatchTable
    from tickwright.core.errors import ConfigError
    from tickwright.core.identity import Category
    from tickwright.net.loop import make_loop_factory

    if busy_poll and coalesce_us:
        raise ConfigError("--busy-poll and --coalesce-us exclude each other")
    options = WatchOptions(
        hosts=endpoint.hosts(),
        category=Category(category),
        symbols=tuple(dict.fromkeys(name.strip() for name in symbols.split(",") if name.strip())),
        depth=endpoint.depth,
        connections=endpoint.connections,
        seconds=seconds,
        instruments_path=instruments,
        ca_path=ca,
    )
    factory = make_loop_factory(busy_poll=busy_poll, coalesce_us=coalesce_us)
    is_live = sys.stdout.isatty()
    with WatchTable(is_live=is_live) as table, asyncio.Runner(loop_factory=factory) as runner:
        report = runner.run(
            run_watch(
                options,
                on_view=table.show if is_live else None,
                on_note=table.note if is_live else _tell,
            )
        )
    if json is not None:
        write_json(json, report)
    typer.echo(_summary(report), err=json is not None and str(json) == "-")
    return 0


def _tell(event: str, text: str) -> None:
    if event in _TOLD:
        tell("watch", text)


def _summary(report: "WatchReport") -> str:
    states: dict[str, int] = {}
    for row in report.books.values():
        states[row.state] = states.get(row.state, 0) + 1
    books = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    callback = report.read_to_callback_us
    latency = (
        "no update came"
        if callback.p50 is None
        else f"read to callback p50 {callback.p50:g} us, p99 {callback.p99:g} us"
    )
    return (
        f"{report.messages} messages in {report.seconds:.1f} s ({report.messages_per_s:.0f}/s, "
        f"{report.cpu_seconds:.2f} s CPU); {latency}; books: {books}; {report.gaps} gaps, "
        f"{report.resyncs} resyncs, {report.reconnects} reconnects"
    )
