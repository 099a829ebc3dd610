"""Owns rebuilding books from a recording of raw frames; refuses to stop at a damaged line.

Two passes over the file, both in bounded memory: the first learns venue, symbols and decimals, the
second feeds every frame to the production decoder and book. A line that can't be read is counted
and told; a file that is cut gives what was read up to there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tickwright.app.recorded_books import Recorded, recorded_kind
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError, StorageError
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.storage.segments import SEGMENT_SUFFIX, RecordKind, read_segments

__all__ = ["BookLine", "ReplayReport", "replay_book"]

REFUSALS_KEPT_MAX = 5
LEVELS_MAX = 10_000
_SHOWN = 60


class BookLine(msgspec.Struct, frozen=True):
    """One book after so many frames, levels best first as exact decimal text."""

    frame: int
    symbol: str
    state: str
    update_id: int | None
    bids: list[list[str]]
    asks: list[list[str]]


class ReplayReport(msgspec.Struct, kw_only=True):
    """What a replay went through; `refusals` are the first few of `refused_count`."""

    venue: str
    frame_count: int = 0
    refused_count: int = 0
    refusals: list[str] = []
    cut: str = ""
    gap_count: int = 0
    fault_count: int = 0
    applied_count: int = 0


def replay_book(
    path: Path,
    *,
    emit: Callable[[BookLine], None],
    every: int = 0,
    levels: int = 10,
) -> ReplayReport:
    """Replay a recording; `emit` gets a line per symbol after every `every` frames and at the end.

    A frame is a line that isn't blank, counted from 1; `levels` 0 means all.

    Raises:
        ConfigError: the file can't be opened or is of no known format.
        StorageError: it holds no frame, or is damaged before the first.
    """
    if every < 0 or not 0 <= levels <= LEVELS_MAX:
        raise ConfigError(f"every must be 0 or more and levels 0 to {LEVELS_MAX}")
    recorded = _surveyed(path)
    report = ReplayReport(venue=recorded.name)
    is_told = False
    for frame, received_ns in _frames(path, report):
        report.frame_count += 1
        refusal = recorded.take(frame, received_ns)
        if refusal is not None:
            report.refused_count += 1
            if len(report.refusals) < REFUSALS_KEPT_MAX:
                report.refusals.append(f"frame {report.frame_count}: {refusal}")
        is_told = every > 0 and report.frame_count % every == 0
        if is_told:
            _tell(recorded.books, report.frame_count, levels, emit)
    if not is_told:
        _tell(recorded.books, report.frame_count, levels, emit)
    for book in recorded.books:
        report.gap_count += book.gap_count
        report.fault_count += book.fault_count
        report.applied_count += book.update_count + book.snapshot_count
    return report


def _surveyed(path: Path) -> Recorded:
    recorded: Recorded | None = None
    report = ReplayReport(venue="")
    first = b""
    for frame, _ in _frames(path, report):
        first = first or frame
        if recorded is None:
            kind = recorded_kind(frame)
            if kind is None:
                continue
            recorded = kind()
        recorded.survey(frame)
    if recorded is None:
        if not first:
            raise StorageError(report.cut or f"recording {path} holds no frame")
        shown = ascii(first[:_SHOWN].decode("utf-8", "replace"))
        raise ConfigError(
            f"recording {path}: neither Bybit order book frames nor a Binance depth recording; "
            f"it begins with {shown}"
        )
    recorded.open()
    return recorded


def _frames(path: Path, report: ReplayReport) -> Iterator[tuple[bytes, int]]:
    """Yield frames with their receive time (0: none), up to the end or to where the file is cut."""
    try:
        if path.is_dir() or path.suffix == SEGMENT_SUFFIX:
            reader = read_segments(path)
            for record in reader:
                if record.kind is RecordKind.FRAME and record.payload:
                    yield record.payload, record.now_ns
            if reader.skips:
                skip = reader.skips[0]
                report.cut = f"{skip.path}: {skip.reason} at byte {skip.position}"
            return
        for _, received_ns, frame in recorded_lines(path):
            yield frame, received_ns or 0
    except StorageError as error:
        report.cut = str(error)


def _tell(
    books: list[OrderBook], frame: int, levels: int, emit: Callable[[BookLine], None]
) -> None:
    for book in books:
        emit(
            BookLine(
                frame=frame,
                symbol=book.symbol,
                state=book.state.name.lower(),
                update_id=book.update_id if book.update_id >= 0 else None,
                bids=book.bids_text(levels),
                asks=book.asks_text(levels),
            )
        )
