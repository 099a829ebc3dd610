"""Owns the form of recorded segments and their reading: one format from recorder to replay.

A segment is a file `inputs-000001.tws`: a head (magic, version, number, time), then pieces. A piece
is length-prefixed and checksummed: its head says how many records it holds, of which times, and
which record of the recording is its first, so that a reader knows exactly what it misses. Pieces
form chunks, each a zstd stream of its own over the columns of `storage.field_codec` (of
`storage.segment_codec` in older recordings); a reader can begin at any chunk. Each segment opens
with the books that were known by then, so that it can be read alone. A cut tail is read up to its
last whole piece; a damaged piece costs its chunk's rest, and reading goes on at the next chunk with
the position named and the missing records counted. It refuses what isn't a segment, or is of a
newer version, and never changes a file.
"""

import binascii
import contextlib
import enum
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import zstandard

from tickwright.core.errors import StorageError
from tickwright.net.tap import HEADER_SIZE
from tickwright.storage.field_codec import FieldCoder
from tickwright.storage.segment_codec import RecordCoder

__all__ = [
    "CODEC_COLUMNS",
    "CODEC_FIELDS",
    "FILE_HEAD",
    "FILE_MAGIC",
    "PIECE",
    "PIECE_MAGIC",
    "REPEATED",
    "SEGMENT_FORMAT",
    "SEGMENT_SUFFIX",
    "Block",
    "Loss",
    "Mark",
    "PieceFlag",
    "Record",
    "RecordKind",
    "SegmentReader",
    "Skip",
    "last_record",
    "piece_checksum",
    "read_segments",
    "record_in",
    "records_in",
    "segment_files",
    "segment_path",
]

SEGMENT_FORMAT = 1
FILE_MAGIC = b"TWSEGMNT"
FILE_HEAD = struct.Struct("<8sHHIqI")
"""Magic, version, reserved, number of the segment, time, CRC-32 of what is before it."""
PIECE_MAGIC = b"TWP1"
PIECE = struct.Struct("<4sBBHIIIqqqI")
"""Magic, flags, codec, reserved, bytes stored, bytes of the columns, count of records, number of
the first record, smallest and largest time, CRC-32 of what is before it and of what follows."""
CODEC_COLUMNS = 1
"""`storage.segment_codec`: written until fields were."""
CODEC_FIELDS = 2
"""`storage.field_codec`: what is written now."""
PIECE_BYTES_MAX = 512 * 1024 * 1024
SKIPS_KEPT_MAX = 1_000
TAIL_BYTES = 8 * 1024 * 1024
"""How much of a segment's end is looked at for its last record; more than a chunk."""
REPEATED = 0x80
"""Flag of a record that stood in an earlier segment already."""
_RECORD = struct.Struct("<IBBHqq")
SEGMENT_SUFFIX = ".tws"
_NAME = "inputs-{:06d}.tws"

assert _RECORD.size == HEADER_SIZE


class RecordKind(enum.IntEnum):
    """What a record holds; the numbers are on disk."""

    FRAME = 1
    """A raw frame of the public feed; `source` is the connection, flag 1 the last of a read."""
    CONTROL = 2
    """What the feed did to a book or topic, JSON (money is wider than 64 bits)."""
    INPUT = 3
    """An engine input of its own, JSON (money is wider than 64 bits)."""
    START = 4
    """The engine was started at this time."""
    DIGEST = 5
    """The engine's digest after event `number`: a replay stops at the first that differs."""
    STOP = 6
    """The engine was stopped in order; payload is the final digest."""
    BOOK = 7
    """A book was added: slot, connection, instrument (venue, category, symbol), JSON."""
    MARK = 8
    """A book's worth changed: `Mark`. A hole in a stream is a mark `stale`."""
    LOSS = 9
    """Records are missing here: `Loss`, written by the recorder itself."""


class PieceFlag(enum.IntFlag):
    """What a piece is besides records."""

    CHUNK = 1
    """The first of a chunk."""
    CONTEXT = 2
    """The books known when the segment began; its records don't count."""
    BOOKS = 8
    """Holds a book's record, which every reading wants."""
    END = 4
    """The segment was closed in order behind this piece, which is empty."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a recording. `now_ns` is the receive time of a frame."""

    kind: RecordKind
    flags: int
    source: int
    number: int
    now_ns: int
    payload: bytes


class Mark(msgspec.Struct, frozen=True):
    """What a MARK record holds: one book's state from now on, and why."""

    venue: str
    category: str
    symbol: str
    state: str
    was: str
    reason: str


class Loss(msgspec.Struct, frozen=True):
    """What a LOSS record holds: how many records are missing before it, and why."""

    records: int
    reason: str


class Skip(msgspec.Struct, frozen=True):
    """A place of a recording that couldn't be read.

    `records` is how many are missing, None where nothing readable came after it.
    """

    path: Path
    position: int
    reason: str
    records: int | None


class Block(msgspec.Struct, frozen=True, gc=False):
    """The records of one piece, laid out as `net.tap` does; where it stood, for faults."""

    data: bytes
    path: Path
    position: int


class _Piece(msgspec.Struct, frozen=True, gc=False):
    position: int
    flags: int
    codec: int
    stored: int
    size: int
    count: int
    first: int
    first_ns: int
    last_ns: int

    @property
    def end(self) -> int:
        return self.position + PIECE.size + self.stored


def piece_checksum(head: bytes, stored: bytes | memoryview) -> int:
    """Return the checksum over a piece's head (without it) and what it stores."""
    return binascii.crc32(stored, binascii.crc32(head))


def segment_path(folder: Path, number: int) -> Path:
    """Return where a segment of a recording lies; numbers begin at 1."""
    return folder / _NAME.format(number)


def segment_files(path: Path) -> list[Path]:
    """Return a recording's segments in order; a file stands for itself.

    Raises:
        StorageError: nothing there.
    """
    if path.is_file():
        return [path]
    found = sorted(path.glob("inputs-*.tws"))
    if not found:
        raise StorageError(f"{path} holds no recording: no file inputs-000001.tws is there")
    return found


def read_segments(
    path: Path, *, from_ns: int | None = None, to_ns: int | None = None
) -> "SegmentReader":
    """Return a reader of a recording's folder or of one segment: iterate over it for records.

    Only records with `from_ns <= now_ns < to_ns` come, and the books (BOOK) of any time; chunks
    outside aren't even decompressed. What can't be read is stepped over and stands in `skips`.

    Raises:
        StorageError: nothing there, a foreign file, or a newer version.
    """
    return SegmentReader(path, from_ns=from_ns, to_ns=to_ns)


class SegmentReader:
    """Iterates over a recording's records.

    Args:
        is_strict: raise at what can't be read, instead of stepping over it. A cut tail of the last
            segment is never an error: see `is_cut`.

    Raises:
        StorageError: nothing there, a foreign file, a newer version; damage, when strict.
    """

    def __init__(
        self,
        path: Path,
        *,
        from_ns: int | None = None,
        to_ns: int | None = None,
        is_strict: bool = False,
    ) -> None:
        self.path = path
        self.files = segment_files(path)
        self.skips: list[Skip] = []
        """The first 1,000 places that couldn't be read."""
        self.skip_count = 0
        self.skipped_records = 0
        self.is_cut = False
        """Whether the recording has no end: a crash, or it is still being written."""
        self.position = 0
        """Bytes read so far, for a progress bar."""
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._is_strict = is_strict
        self._before = 0
        self._next: int | None = None
        self._fault: tuple[Path, int, str] | None = None

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(os.stat(path).st_size for path in self.files)

    def __iter__(self) -> Iterator[Record]:
        for block in self.blocks():
            for record in records_in(block.data, block.path, block.position):
                if record.kind is RecordKind.BOOK or self._is_inside(record.now_ns):
                    yield record

    def blocks(self) -> Iterator[Block]:
        """Yield the records a piece at a time, unsplit; of the times asked for, whole pieces."""
        number: int | None = None
        for place, path in enumerate(self.files):
            is_last = place == len(self.files) - 1
            with _mapped(path) as data:
                if len(data) < FILE_HEAD.size:
                    self.is_cut = True
                    if not is_last:
                        self._damage(path, 0, "the segment ends inside its head")
                else:
                    found = _check_head(path, data)
                    if number is not None and found != number + 1:
                        self._damage(path, 0, f"segment {number + 1} is missing")
                    number = found
                    yield from self._segment(path, data, is_first=place == 0, is_last=is_last)
                self._before += len(data)
                self.position = self._before
        self._settle(None)

    def _segment(
        self, path: Path, data: memoryview, *, is_first: bool, is_last: bool
    ) -> Iterator[Block]:
        at = FILE_HEAD.size
        self.is_cut = True
        while at < len(data):
            chunk: list[_Piece] = []
            fault = ""
            while True:
                found = _piece_at(data, at)
                if isinstance(found, str):
                    fault = found
                    break
                if chunk and found.flags & PieceFlag.CHUNK:
                    break
                chunk.append(found)
                at = found.end
                if at == len(data):
                    break
            yield from self._chunk(path, data, chunk, is_first=is_first)
            if fault:
                following = _next_chunk(data, at + 1)
                if following < 0 and is_last and fault == _CUT:
                    return
                self._damage(path, at, fault)
                if following < 0:
                    return
                at = following

    def _chunk(
        self, path: Path, data: memoryview, chunk: list[_Piece], *, is_first: bool
    ) -> Iterator[Block]:
        is_context = bool(chunk and chunk[0].flags & PieceFlag.CONTEXT)
        if is_context:
            # Behind damage they are told again: what was lost may have been a book's only record.
            if not is_first and self._fault is None and not self.skip_count:
                return
        elif not self._is_wanted(chunk):
            for piece in chunk:
                self._settle(piece.first)
                self._next = piece.first + piece.count
                self.is_cut = not piece.flags & PieceFlag.END
            return
        coder = _coder_of(chunk[0])
        stream = zstandard.ZstdDecompressor().decompressobj()
        for number, piece in enumerate(chunk):
            if number == 0 and not piece.flags & (PieceFlag.CHUNK | PieceFlag.END):
                self._damage(path, piece.position, "a chunk without its beginning")
                return
            if not is_context:
                self._settle(piece.first)
            if piece.flags & PieceFlag.END:
                self.is_cut = False
                continue
            try:
                raw = stream.decompress(data[piece.position + PIECE.size : piece.end])
                block = coder.decode(raw, size=piece.size)
            except (zstandard.ZstdError, ValueError) as error:
                self._damage(path, piece.position, f"the piece can't be unpacked: {error}")
                return
            if not is_context:
                self._next = piece.first + piece.count
            self.position = self._before + piece.end
            yield Block(block, path, piece.position)

    def _is_wanted(self, chunk: list[_Piece]) -> bool:
        return any(
            piece.flags & PieceFlag.BOOKS
            or (
                piece.count
                and (self._from_ns is None or piece.last_ns >= self._from_ns)
                and (self._to_ns is None or piece.first_ns < self._to_ns)
            )
            for piece in chunk
        )

    def _is_inside(self, now_ns: int) -> bool:
        return (self._from_ns is None or now_ns >= self._from_ns) and (
            self._to_ns is None or now_ns < self._to_ns
        )

    def _damage(self, path: Path, position: int, reason: str) -> None:
        if self._is_strict:
            raise StorageError(f"{path}: {reason} at byte {position}")
        if self._fault is None:
            self._fault = (path, position, reason)

    def _settle(self, first: int | None) -> None:
        """Write the last damage down, now that it is known where reading goes on."""
        if self._fault is None:
            return
        path, position, reason = self._fault
        missing = None if first is None else first - (self._next or 0)
        self._fault = None
        self.skip_count += 1
        self.skipped_records += missing or 0
        if len(self.skips) < SKIPS_KEPT_MAX:
            self.skips.append(Skip(path, position, reason, missing))


_CUT = "the segment is cut"
_CODERS: dict[int, type[RecordCoder] | type[FieldCoder]] = {
    CODEC_COLUMNS: RecordCoder,
    CODEC_FIELDS: FieldCoder,
}


def _coder_of(piece: _Piece) -> RecordCoder | FieldCoder:
    """Return what reads a chunk that begins with this piece."""
    return _CODERS[piece.codec]()


def _piece_at(data: memoryview, at: int) -> _Piece | str:
    """Return the piece that begins there, checked, or what is wrong."""
    if len(data) - at < PIECE.size:
        return _CUT
    magic, flags, codec, _, stored, size, count, first, first_ns, last_ns, checksum = (
        PIECE.unpack_from(data, at)
    )
    if magic != PIECE_MAGIC or stored > PIECE_BYTES_MAX or size > PIECE_BYTES_MAX:
        return "no piece starts"
    if codec not in _CODERS:
        return f"a piece of a newer kind ({codec}) starts"
    body = at + PIECE.size
    if len(data) - body < stored:
        return _CUT
    if piece_checksum(bytes(data[at : body - 4]), data[body : body + stored]) != checksum:
        return "a damaged piece starts"
    return _Piece(at, flags, codec, stored, size, count, first, first_ns, last_ns)


def _next_chunk(data: memoryview, at: int) -> int:
    """Return where the next whole piece that begins a chunk, or ends the segment, lies; or -1."""
    whole = data.obj
    assert isinstance(whole, mmap.mmap | bytes)
    while (at := whole.find(PIECE_MAGIC, at)) >= 0:
        # The letters may stand in a frame too: only a piece fits its checksum.
        found = _piece_at(data, at)
        if isinstance(found, _Piece) and found.flags & (PieceFlag.CHUNK | PieceFlag.END):
            return at
        at += 1
    return -1


def _check_head(path: Path, data: memoryview) -> int:
    head = bytes(data[: FILE_HEAD.size])
    magic, version, _, number, _, checksum = FILE_HEAD.unpack(head)
    if magic != FILE_MAGIC:
        raise StorageError(f"{path} is no segment of a recording")
    if version != SEGMENT_FORMAT:
        raise StorageError(
            f"{path} has segment format {version}; this version reads {SEGMENT_FORMAT}"
        )
    if binascii.crc32(head[:-4]) != checksum:
        raise StorageError(f"{path}: the segment's head is damaged at byte 0")
    return int(number)


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as whole:
            view = memoryview(whole)
            try:
                yield view
            finally:
                view.release()


def records_in(block: bytes, path: Path, position: int) -> Iterator[Record]:
    """Yield the records of one block.

    Raises:
        StorageError: half a record, or one of an unknown kind.
    """
    at = 0
    while at < len(block):
        record, at = _record_at(block, at, path, position)
        yield record


def record_in(block: Block, at: int) -> tuple[Record, int]:
    """Return the record that begins at a place of a block, and the place behind it.

    Raises:
        StorageError: half a record, or one of an unknown kind.
    """
    return _record_at(block.data, at, block.path, block.position)


def _record_at(block: bytes, at: int, path: Path, position: int) -> tuple[Record, int]:
    if len(block) - at < HEADER_SIZE:
        raise StorageError(f"{path}: half a record in the piece at byte {position}")
    size, kind, flags, source, number, now_ns = _RECORD.unpack_from(block, at)
    at += HEADER_SIZE
    if at + size > len(block):
        raise StorageError(f"{path}: half a record in the piece at byte {position}")
    try:
        known = RecordKind(kind)
    except ValueError:
        raise StorageError(
            f"{path}: record kind {kind} in the piece at byte {position} is unknown"
        ) from None
    return Record(known, flags, source, number, now_ns, block[at : at + size]), at + size


def last_record(path: Path) -> Record | None:
    """Return the last whole record of a recording, read from its end; None when there is none.

    A segment that was only just begun holds none: then it is the one before.
    """
    try:
        files = segment_files(path)
    except StorageError:
        return None
    found = (_last_in(file) for file in reversed(files))
    return next((record for record in found if record is not None), None)


def _last_in(file: Path) -> Record | None:
    last: Record | None = None
    try:
        with _mapped(file) as data:
            if len(data) <= FILE_HEAD.size:
                return None
            coder: RecordCoder | FieldCoder = FieldCoder()
            stream = zstandard.ZstdDecompressor().decompressobj()
            at = _next_chunk(data, max(FILE_HEAD.size, len(data) - TAIL_BYTES))
            while 0 <= at < len(data):
                found = _piece_at(data, at)
                if isinstance(found, str):
                    break
                if found.flags & PieceFlag.CHUNK:
                    coder, stream = _coder_of(found), zstandard.ZstdDecompressor().decompressobj()
                if found.count and not found.flags & PieceFlag.CONTEXT:
                    raw = stream.decompress(data[at + PIECE.size : found.end])
                    for record in records_in(coder.decode(raw, size=found.size), file, at):
                        last = record
                at = found.end
    except (StorageError, OSError, zstandard.ZstdError, ValueError):
        return None
    return last
