"""Owns what a person names to be served: which recordings those are, of which times, in which row.

A folder of `run` or `record`, the folder that holds several of them, or segments of one. It refuses
what isn't a recording, and recordings of one symbol that overlap in time. Nothing is changed on
disk, and only the beginning of each recording is read here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tickwright.app.door import BookAdded
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.identity import Category, InstrumentId
from tickwright.storage.segments import (
    SEGMENT_SUFFIX,
    RecordKind,
    SegmentReader,
    last_record,
    read_segments,
    segment_files,
)
from tickwright.storage.session_log import read_header

__all__ = ["RECORDINGS_MAX", "RecordedSpan", "TopicSeen", "find_spans", "time_text"]

RECORDINGS_MAX = 1_000
"""Recordings served in one go: hours of six weeks."""
SURVEY_RECORDS = 20_000
"""How far each recording is looked into for the topics that it holds."""
_SEGMENTS = f"inputs-*{SEGMENT_SUFFIX}"
_TOPIC = b'{"topic":"'


class TopicSeen(msgspec.Struct, frozen=True):
    """A topic that stands near a recording's beginning."""

    category: Category
    name: str


class RecordedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, or some consecutive segments of it, to be played.

    `first_ns` is the time of the first frame to be played, `last_ns` that of the last record. What
    stands in `files` before `first_ns` is read to know the books, and not played.
    """

    folder: Path
    files: tuple[Path, ...]
    first_ns: int
    last_ns: int
    books: tuple[BookAdded, ...]
    topics: tuple[TopicSeen, ...]

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(path.stat().st_size for path in self.files)

    def reader(self) -> SegmentReader:
        """Return a reader that steps over what can't be read."""
        reader = SegmentReader(self.folder)
        reader.files = list(self.files)
        return reader


def find_spans(paths: Sequence[Path]) -> list[RecordedSpan]:
    """Return the recordings that paths name, in the order of their times.

    Raises:
        ConfigError: nothing there, not a recording, too many, two of one symbol at one time.
        StorageError: a newer version, or no frame in any of them.
    """
    if not paths:
        raise ConfigError("name at least one recording: a folder of `run` or `record`")
    named: dict[Path, list[Path]] = {}
    for path in paths:
        for folder, files in _named(path):
            named.setdefault(folder, []).extend(files)
    if len(named) > RECORDINGS_MAX:
        raise ConfigError(f"{len(named)} recordings: at most {RECORDINGS_MAX} are served in one go")
    found = [_surveyed(folder, files) for folder, files in named.items()]
    spans = sorted((span for span in found if span is not None), key=lambda span: span.first_ns)
    if not spans:
        raise StorageError(f"{', '.join(map(str, named))}: no frame is in it")
    _check_overlaps(spans)
    return spans


def time_text(now_ns: int) -> str:
    """Write a time as people read it and `--as-of` takes it, to the microsecond."""
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ns % 1_000_000_000 // 1_000:06d}Z"


def _named(path: Path) -> list[tuple[Path, list[Path]]]:
    """Return folder and segments for each recording that a path names."""
    if path.is_file():
        if path.suffix != SEGMENT_SUFFIX:
            raise ConfigError(
                f"{path} is no segment of a recording (inputs-000001{SEGMENT_SUFFIX}); a file of "
                "raw frames is served by `tickwright simulate --source`"
            )
        return [(path.parent, [path])]
    if not path.is_dir():
        raise ConfigError(f"{path}: there is no such folder or file")
    if any(path.glob(_SEGMENTS)):
        return [(path, segment_files(path))]
    folders = sorted(one for one in path.iterdir() if one.is_dir() and any(one.glob(_SEGMENTS)))
    if not folders:
        raise ConfigError(f"{path} holds no recording: neither segments nor folders with segments")
    return [(folder, segment_files(folder)) for folder in folders]


def _surveyed(folder: Path, named: list[Path]) -> RecordedSpan | None:
    """Look into the beginning of a recording; None when no frame is in it."""
    if (folder / "header.json").exists():
        read_header(folder)
    files = sorted(dict.fromkeys(named))
    every = segment_files(folder)
    if not set(files) <= set(every):
        raise ConfigError(
            f"{folder}: segments are named inputs-000001{SEGMENT_SUFFIX}, not "
            f"{next(one.name for one in files if one not in every)}"
        )
    place = every.index(files[0])
    if every[place : place + len(files)] != files:
        raise ConfigError(
            f"{folder}: name its segments without a hole between {files[0].name} and "
            f"{files[-1].name}, or the folder"
        )
    first_ns, books, topics = _beginning(files[0] if place else folder)
    if not first_ns:
        return None
    ends = (last_record(file) for file in reversed(files))
    last = next((record for record in ends if record is not None), None)
    return RecordedSpan(
        folder=folder,
        files=tuple(every[: place + len(files)]),
        first_ns=first_ns,
        last_ns=max(first_ns, last.now_ns if last is not None else 0),
        books=books,
        topics=topics,
    )


def _beginning(path: Path) -> tuple[int, tuple[BookAdded, ...], tuple[TopicSeen, ...]]:
    """Return the time of the first frame, and the books and topics near it."""
    decode = msgspec.json.Decoder(BookAdded).decode
    first_ns = 0
    books: list[BookAdded] = []
    categories: dict[int, Category] = {}
    topics: dict[TopicSeen, None] = {}
    seen: set[tuple[int, bytes]] = set()
    for number, record in enumerate(read_segments(path)):
        if record.kind is RecordKind.BOOK:
            try:
                book = decode(record.payload)
            except msgspec.MsgspecError as error:
                raise StorageError(f"{path}: the record of a book can't be read: {error}") from None
            books.append(book)
            categories[book.source] = book.instrument.id.category
        elif record.kind is RecordKind.FRAME and record.payload:
            first_ns = first_ns or record.now_ns
            name = topic_name(record.payload)
            if name and (record.source, name) not in seen:
                seen.add((record.source, name))
                category = categories.get(record.source)
                if category is not None:
                    topics[TopicSeen(category, name.decode("ascii", "replace"))] = None
        if number >= SURVEY_RECORDS:
            break
    return first_ns, tuple(books), tuple(topics)


def topic_name(frame: bytes) -> bytes:
    """Return the topic that a frame begins with; empty when it begins with none."""
    if not frame.startswith(_TOPIC):
        return b""
    end = frame.find(b'"', len(_TOPIC))
    return frame[len(_TOPIC) : end] if end > 0 else b""


def _check_overlaps(spans: Sequence[RecordedSpan]) -> None:
    """Refuse two recordings of one symbol that overlap: nobody could tell whose frame comes."""
    held: dict[InstrumentId, RecordedSpan] = {}
    for span in spans:
        for instrument_id in dict.fromkeys(book.instrument.id for book in span.books):
            other = held.get(instrument_id)
            if other is not None and span.first_ns < other.last_ns:
                raise ConfigError(
                    f"{other.folder} and {span.folder} both hold {instrument_id} at "
                    f"{time_text(span.first_ns)}: serve one of them"
                )
            held[instrument_id] = span
