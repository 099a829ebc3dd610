"""Owns reading recordings line by line: .zip, .gz or plain; refuses to understand frames.

A line is one JSON frame, optionally after a receive time in nanoseconds and a blank.
"""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tickwright.core.errors import ConfigError, StorageError

__all__ = ["LINE_BYTES_MAX", "RecordedLine", "recorded_lines"]

LINE_BYTES_MAX = 8 << 20
"""Longest line taken: a full book of 10,000 levels a side is under 1 MB."""

RecordedLine = tuple[int, int | None, bytes]
"""(line number from 1, receive time in ns if the line has one, frame)."""


def recorded_lines(path: Path) -> Iterator[RecordedLine]:
    """Yield the lines of a recording; every member of a zip archive, in name order.

    Raises:
        ConfigError: the file isn't there or can't be opened.
        StorageError: the file is damaged or cut; names the line reached.
    """
    number = 0
    try:
        for line in _raw_lines(path):
            number += 1
            if len(line) > LINE_BYTES_MAX:
                raise StorageError(f"{path}: line {number} is longer than {LINE_BYTES_MAX} bytes")
            head, blank, frame = line.rstrip().partition(b" ")
            if blank and head.isdigit() and len(head) < 20:
                yield number, int(head), frame
            elif line.strip():
                yield number, None, line.strip()
    except (EOFError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile) as error:
        raise StorageError(f"{path} is cut or damaged after line {number}: {error}") from error


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    with archive.open(name) as member:
                        yield from member
        elif path.suffix == ".gz":
            with gzip.open(path, "rb") as packed:
                yield from packed
        else:
            with path.open("rb") as plain:
                yield from plain
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise ConfigError(f"recording {path}: {error.strerror or error}") from None
