"""The verb `record`: public market data into segments, without trading."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tickwright.cli.endpoint import CaPath, CategoryName, EndpointOptions
from tickwright.cli.json_file import check_json_path, write_json
from tickwright.cli.option_records import takes_records
from tickwright.cli.outcome import FAILURE, check_sockets, tell, verb
from tickwright.core.errors import ConfigError

if TYPE_CHECKING:
    from tickwright.app.record import RecordReport

__all__ = ["record"]

_TOLD = frozenset({"record.fault", "record.remark", "feed.topic_refused", "feed.disconnected"})


@verb("record")
@takes_records
def record(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="Records the books that this configuration trades.", metavar="CONFIG.toml"
        ),
    ] = None,
    *,
    venue: Annotated[
        Literal["bybit"] | None, typer.Option(help="Records this venue, without a configuration.")
    ] = None,
    category: CategoryName = "linear",
    symbol: Annotated[
        list[str] | None, typer.Option(help="Repeat for each one.", metavar="SYMBOL")
    ] = None,
    endpoint: EndpointOptions,
    ca: CaPath = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long; else on Ctrl-C.", metavar="N")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Holds one folder a recording; `recordings` here or beside CONFIG.",
            metavar="PATH",
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the report here as JSON.", metavar="PATH")
    ] = None,
) -> int:
    """Record raw market data into compressed segments.

    Nothing is traded and no key is used.
    """
    check_json_path(json)
    if (config is None) == (venue is None):
        raise ConfigError("give either a configuration or --venue with --symbol")
    check_sockets()
    import asyncio

    from tickwright.app.record import plan_of, record_config
    from tickwright.app.record import record as run_record
    from tickwright.app.watch import WatchOptions
    from tickwright.core.identity import Category
    from tickwright.net.loop import make_loop_factory
    from tickwright.storage.segment_writer import SegmentOptions

    line = _Line(is_live=sys.stderr.isatty())
    if config is not None:
        if symbol:
            raise ConfigError("--symbol belongs to --venue: CONFIG names its symbols itself")
        from tickwright.app.config import load_config

        loaded = load_config(config)
        work = record_config(
            loaded,
            folder or loaded.path.parent / "recordings",
            seconds=seconds,
            on_view=line.show,
            on_note=line.note,
        )
    else:
        options = WatchOptions(
            hosts=endpoint.hosts(),
            category=Category(category),
            symbols=tuple(dict.fromkeys(symbol or ())),
            depth=endpoint.depth,
            connections=endpoint.connections,
            seconds=seconds,
            ca_path=ca,
        )
        work = run_record(
            [plan_of(options)],
            folder or Path("recordings"),
            options=SegmentOptions(),
            seconds=seconds,
            on_view=line.show,
            on_note=line.note,
        )
    with asyncio.Runner(loop_factory=make_loop_factory()) as runner:
        report = runner.run(work)
    line.end()
    if json is not None:
        write_json(json, report)
    typer.echo(f"{report.folder}\n{_words(report)}", err=json is not None and str(json) == "-")
    return 0 if report.is_whole else FAILURE


class _Line:
    """One line that is written again and again; silent where nobody watches."""

    def __init__(self, *, is_live: bool) -> None:
        self._is_live = is_live
        self._is_open = False

    def show(self, report: "RecordReport") -> None:
        if self._is_live:
            sys.stderr.write(f"\r\x1b[Krecording: {_words(report)}")
            sys.stderr.flush()
            self._is_open = True

    def note(self, event: str, text: str) -> None:
        if event in _TOLD:
            self.end()
            tell("record", text)

    def end(self) -> None:
        if self._is_open:
            sys.stderr.write("\n")
            self._is_open = False


def _words(report: "RecordReport") -> str:
    ratio = "" if report.ratio is None else f" ({100 * report.ratio:.1f} %)"
    lost = f"; {report.lost} LOST: {report.fault}" if report.lost else ""
    minutes, rest = divmod(report.seconds, 60)
    return (
        f"{minutes:.0f}:{rest:04.1f}, {report.messages:,} messages, "
        f"{report.raw_bytes / 1e6:.1f} MB raw, {report.disk_bytes / 1e6:.1f} MB on disk{ratio}; "
        f"{report.books_synced} of {report.books} books synced, {report.gaps} gaps, "
        f"{report.resyncs} resyncs, {report.reconnects} reconnects{lost}"
    )
