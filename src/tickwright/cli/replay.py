"""The verb `replay`: a recording served as the venue it came from, or a session decided anew."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.json_file import STDOUT, check_json_path, write_json
from tickwright.cli.moments import moment_ns
from tickwright.cli.outcome import FAILURE, INTERRUPTED, check_sockets, tell, verb
from tickwright.core.errors import ConfigError

if TYPE_CHECKING:
    from tickwright.app.bar import Bar
    from tickwright.app.replay_serve import Addresses, ServeReport

__all__ = ["replay"]

MAX = "max"


@verb("replay")
def replay(
    segments: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of `run` or `record`, a folder that holds several, or segments of one.",
            metavar="SEGMENTS",
        ),
    ],
    *,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Serve it on loopback as the venue; else decide a session anew."
        ),
    ] = False,
    speed: Annotated[
        str | None,
        typer.Option(
            help="Times the recorded pace, 1; max: as fast as clients read.", metavar="X|max"
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="Begin at this time (UTC), with the books of then.", metavar="TIME"
        ),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play it again and again.")] = False,
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_534,
            help="REST's port, the next one is WebSocket's; 0: any.",
            metavar="N",
        ),
    ] = 0,
    json: Annotated[
        Path | None, typer.Option(help="Write the report here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Serve a recording as its venue did, or check a session.

    With --serve, clients connect on loopback as to the venue: the recorded frames, byte for byte,
    at their pace or any other. Prints one JSON line with the addresses when ready; playing begins
    when a client has subscribed. Without, a session of `run` is repeated in process and every
    decision compared.

    \b
    Examples:
      tickwright replay recordings --serve
      tickwright replay recordings/20261122T220702.132Z --serve --speed 10
      tickwright replay monday tuesday --serve --speed max --json served.json
      tickwright replay recordings --serve --as-of 2026-11-22T22:30 --port 9000
      tickwright replay sessions/20261122T220702.132Z
    """
    check_json_path(json)
    if not serve:
        for flag, given in {"speed": speed, "as-of": as_of, "loop": loop, "port": port}.items():
            if given:
                raise ConfigError(f"--{flag} goes with --serve")
        return _decide_anew(segments, json)
    check_sockets()
    import asyncio

    from rich.console import Console

    from tickwright.app.bar import Bar
    from tickwright.app.replay_serve import ReplayServer, ServeOptions
    from tickwright.net.loop import make_loop_factory

    server = ReplayServer(
        ServeOptions(
            paths=tuple(segments),
            port=port,
            speed=_speed(speed),
            as_of_ns=None if as_of is None else moment_ns(as_of, option="--as-of"),
            is_looped=loop,
        )
    )
    console, size = Console(stderr=True), max(1, server.size)
    with Bar(console, "reading", total=size, is_late=True) as bar:
        server.prime(bar.show)
    with (
        # The line with the addresses belongs to stdout, whatever that is.
        Bar(console, "serving", total=size, is_late=True) as bar,
        asyncio.Runner(loop_factory=make_loop_factory()) as runner,
    ):
        report = runner.run(server.serve(lambda place: _ready(place, bar), bar.show))
    if json is not None:
        write_json(json, report)
    for line in _words(report):
        typer.echo(line, err=json == STDOUT)
    for place in report.damage:
        missing = "" if place.records is None else f", {place.records:,} records are missing"
        tell("replay", f"{place.path}: {place.reason} at byte {place.position}{missing}")
    if report.holes:
        return FAILURE
    return 0 if report.is_complete else INTERRUPTED


def _decide_anew(segments: list[Path], json: Path | None) -> int:
    from tickwright.app.replay_run import replay_session

    if len(segments) > 1:
        raise ConfigError("one session at a time is decided anew; several are served: --serve")
    code, check = replay_session(segments[0], file=sys.stderr if json == STDOUT else None)
    if json is not None:
        write_json(json, check)
    return code


def _speed(text: str | None) -> float | None:
    if text == MAX:
        return None
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        raise ConfigError(f"--speed {text}: give a number, as 10, or max") from None


def _ready(place: "Addresses", bar: "Bar") -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(place).decode() + "\n")
    sys.stdout.flush()
    bar.start()


def _words(report: "ServeReport") -> list[str]:
    end = "to the end" if report.is_complete else "not to the end"
    speed = "" if report.speed is None else f", {report.speed:,.2f} times the recorded pace"
    rate = "" if report.frames_per_s is None else f" ({report.frames_per_s:,.0f} a second)"
    lines = [
        f"played {report.first} to {report.last}, {end}, in {report.seconds:,.1f} s{speed}",
        f"frames      {report.frames:,}{rate} of {len(report.topics)} topics, "
        f"{report.frames_sent:,} sent to {report.clients} connections",
        f"snapshots   {report.snapshots:,} made for clients that came late or came back",
        f"cuts        {report.cuts}: {report.lost_connections} recorded losses of a connection, "
        f"{report.holes} holes; {report.cut_slow} clients were too slow",
    ]
    if report.is_cut_short:
        lines.append("a recording has no end: the recorder was killed, or it is still at it")
    return lines
