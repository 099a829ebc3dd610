"""The verb `book`: rebuild order books from a recording."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickwright.cli.outcome import FAILURE, tell, verb

if TYPE_CHECKING:
    from tickwright.app.replay_book import BookLine, ReplayReport

__all__ = ["book"]


@verb("book")
def book(
    file: Annotated[
        Path,
        typer.Argument(
            help="One JSON frame a line, plain, .gz or .zip, Bybit's or Binance's; or a recording.",
            metavar="FILE",
        ),
    ],
    *,
    every: Annotated[
        int,
        typer.Option(min=0, help="Print the books after every N frames too.", metavar="N"),
    ] = 0,
    levels: Annotated[
        int,
        typer.Option(min=0, max=10_000, help="Levels a side to print; 0: all.", metavar="K"),
    ] = 10,
) -> int:
    """Replay raw frames through the decoder and the book.

    Prints one JSON line per book at the end.
    """
    import msgspec

    from tickwright.app.replay_book import replay_book

    encode = msgspec.json.Encoder().encode

    def emit(line: "BookLine") -> None:
        sys.stdout.write(encode(line).decode() + "\n")

    report = replay_book(file, emit=emit, every=every, levels=levels)
    sys.stdout.flush()
    for text in _remarks(report):
        tell("book", text)
    return 0 if report.applied_count else FAILURE


def _remarks(report: "ReplayReport") -> list[str]:
    """Return what a person should know of how the replay went."""
    told = []
    if report.cut:
        told.append(f"{report.cut}; {report.frame_count} frames were read")
    if report.refused_count:
        told.append(f"{report.refused_count} of {report.frame_count} frames were refused")
        told += report.refusals
        more = report.refused_count - len(report.refusals)
        if more:
            told.append(f"... and {more} more")
    if report.gap_count or report.fault_count:
        told.append(
            f"{report.gap_count} gaps and {report.fault_count} impossible messages: "
            "a book was stale after each until its next snapshot"
        )
    if not report.applied_count:
        told.append("no order book came out of this file")
    return told
