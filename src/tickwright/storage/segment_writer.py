"""Owns writing a recording's segments: packed, checksummed, rotated, and never at any price.

It refuses to eat the disk that trading needs: below `disk_free_min` it stops, counts what it drops,
and goes on when twice as much is free. What is missing stands in the recording itself, as a record
in the place of the hole. Every block is unpacked again before it is believed: what can't be
restored byte for byte is written in the older form, which asks for less. It runs in a thread of its
caller's and knows no queue.
"""

import binascii
import contextlib
import os
import struct
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from tickwright.net.tap import HEADER_SIZE
from tickwright.storage.field_codec import FieldCoder
from tickwright.storage.segment_codec import RecordCoder, survey
from tickwright.storage.segments import (
    CODEC_COLUMNS,
    CODEC_FIELDS,
    FILE_HEAD,
    FILE_MAGIC,
    PIECE,
    PIECE_MAGIC,
    REPEATED,
    SEGMENT_FORMAT,
    Loss,
    PieceFlag,
    RecordKind,
    piece_checksum,
    segment_path,
)

__all__ = ["SegmentOptions", "SegmentWriter"]

LEVEL = 1
"""Of zstd: behind the columns a higher one costs twice the time for a twentieth of the bytes."""
CHUNK_BYTES_MAX = 4 * 1024**2
CHUNK_S_MAX = 30.0
"""How much a damaged piece may cost."""
LOOK_S = 1.0
RETRY_S = 5.0
BOOKS_MAX = 10_000
"""Books that are told again at the head of each segment."""
_HEAD = struct.Struct("<IBBHqq")
_CRC_SIZE = 4
_PLAIN = PieceFlag(0)

assert _HEAD.size == HEADER_SIZE


class SegmentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is kept.

    A segment ends at `segment_bytes_max` or after `segment_s_max`. `sync_s`: how often what was
    written is forced to the disk; 0 leaves that to the system. Below `disk_free_min` bytes of free
    disk nothing is recorded. `bytes_max` bounds the whole recording.
    """

    segment_bytes_max: int = 256 * 1024**2
    segment_s_max: float = 3600.0
    sync_s: float = 5.0
    disk_free_min: int = 512 * 1024**2
    bytes_max: int = 8 * 1024**3


class SegmentWriter:
    """Writes a recording into a folder that exists.

    Raises:
        OSError: the first segment can't be made.
    """

    def __init__(self, folder: Path, options: SegmentOptions) -> None:
        self.folder = folder
        self.bytes_written = 0
        self.record_count = 0
        self.frame_count = 0
        self.frame_bytes = 0
        self.lost_count = 0
        self.fault = ""
        """Why the recording isn't whole; empty while it is."""
        self.is_paused = False
        """Whether nothing is recorded now."""
        self._options = options
        self._file: BinaryIO | None = None
        self._number = 0
        self._size = 0
        self._opened_s = self._synced_s = self._looked_s = 0.0
        self._chunk_s = 0.0
        self._chunk_bytes = 0
        self._retry_s = 0.0
        self._is_synced = True
        self._missing = 0
        self._reason = ""
        self._last_ns = 0
        self._books: list[bytes] = []
        self._coder = FieldCoder()
        self._check = FieldCoder()
        self._packer = zstandard.ZstdCompressor(level=LEVEL)
        self._stream = self._packer.compressobj()
        self._open()
        self._look(time.monotonic())

    @property
    def segment_count(self) -> int:
        """Segments begun."""
        return self._number

    def write(self, block: bytes, *, dropped: int = 0) -> None:
        """Write a block of whole records, after which `dropped` more never came."""
        now_s = time.monotonic()
        if block:
            found = survey(block, kept_kind=RecordKind.BOOK)
            self._books += found.kept[: BOOKS_MAX - len(self._books)]
            if self._is_ready(now_s) and self._write(block, now_s):
                self.frame_count += found.frame_count
                self.frame_bytes += found.frame_bytes
            else:
                self._lose(found.count, self.fault)
        if dropped:
            self._lose(dropped, "the disk was too slow")
        self._sync(now_s)

    def close(self) -> None:
        """End the recording in order."""
        if self._missing and not self.is_paused:
            self._write(b"", time.monotonic())
        self._end()

    def _is_ready(self, now_s: float) -> bool:
        if now_s - self._looked_s >= LOOK_S:
            self._look(now_s)
        if self.is_paused:
            return False
        if self.bytes_written >= self._options.bytes_max:
            self._pause(f"the recording reached its bound of {self._options.bytes_max} bytes")
            return False
        if self._file is not None and (
            self._size >= self._options.segment_bytes_max
            or now_s - self._opened_s >= self._options.segment_s_max
        ):
            self._end()
        if self._file is None:
            try:
                self._open()
            except OSError as error:
                self._fail(error, now_s)
                return False
        return True

    def _look(self, now_s: float) -> None:
        """See to the room on the disk: recording ends before trading suffers."""
        self._looked_s = now_s
        if self.bytes_written >= self._options.bytes_max:
            return
        free_min = self._options.disk_free_min
        try:
            found = os.statvfs(self.folder)
        except OSError as error:
            self._fail(error, now_s)
            return
        free = found.f_bavail * found.f_frsize
        if free < free_min:
            self._pause(
                f"only {free // 1024**2} MiB of disk are free, recording wants "
                f"{free_min // 1024**2} MiB left for trading"
            )
        elif self.is_paused and now_s >= self._retry_s and free >= 2 * free_min:
            self.is_paused = False

    def _write(self, block: bytes, now_s: float) -> bool:
        """Write one piece, with what is missing before it."""
        lost = self._missing
        if lost:
            told = msgspec.json.encode(Loss(lost, self._reason))
            head = _HEAD.pack(len(told), RecordKind.LOSS, 0, 0, 0, self._last_ns)
            block = head + told + block
        if not block:
            return True
        is_done = self._put(block, now_s)
        if is_done and lost:
            self._missing = 0
        return is_done

    def _put(self, block: bytes, now_s: float, *, flag: PieceFlag = _PLAIN) -> bool:
        found = survey(block, kept_kind=RecordKind.BOOK)
        if found.kept:
            flag |= PieceFlag.BOOKS
        is_new = (
            self._chunk_bytes == 0
            or self._chunk_bytes >= CHUNK_BYTES_MAX
            or now_s - self._chunk_s >= CHUNK_S_MAX
        )
        if is_new:
            flag |= PieceFlag.CHUNK
            self._chunk_bytes = 0
            self._chunk_s = now_s
            self._coder.reset()
            self._check.reset()
            self._stream = self._packer.compressobj()
        codec, columns = CODEC_FIELDS, self._fields_of(block)
        self._chunk_bytes += len(block)
        if columns is None:
            # The older columns take it, in a chunk of their own: nothing is lost to a doubt.
            flag |= PieceFlag.CHUNK
            self._chunk_bytes = 0
            self._stream = self._packer.compressobj()
            codec, columns = CODEC_COLUMNS, [RecordCoder().encode(block)]
        stored = b"".join(map(self._pack, filter(None, columns)))
        is_counted = not flag & PieceFlag.CONTEXT
        head = (flag, codec, len(block), found.count, found.first_ns, found.last_ns)
        try:
            self._store(stored, *head)
        except OSError as error:
            self._fail(error, now_s)
            return False
        if is_counted:
            self.record_count += found.count
            self._last_ns = found.last_ns
        return True

    def _fields_of(self, block: bytes) -> list[bytes] | None:
        """Return a block's columns if every byte comes back from them."""
        columns = self._coder.encode(block)
        try:
            is_whole = self._check.decode(b"".join(columns), size=len(block)) == block
        except ValueError:
            is_whole = False
        return columns if is_whole else None

    def _pack(self, column: bytes) -> bytes:
        """Compress a column in blocks of its own: each has its own letters."""
        packed = self._stream.compress(column)
        return packed + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def _store(
        self,
        stored: bytes,
        flag: PieceFlag,
        codec: int,
        size: int,
        count: int,
        first_ns: int,
        last_ns: int,
    ) -> None:
        head = PIECE.pack(
            PIECE_MAGIC, flag, codec, 0, len(stored), size, count, self.record_count,
            first_ns, last_ns, 0,
        )[:-_CRC_SIZE]  # fmt: skip
        self._emit(head + struct.pack("<I", piece_checksum(head, stored)) + stored)

    def _emit(self, whole: bytes) -> None:
        assert self._file is not None
        left = memoryview(whole)
        while left:
            # Unbuffered: what this returns from survives the process.
            left = left[self._file.write(left) :]
        self._size += len(whole)
        self.bytes_written += len(whole)
        self._is_synced = False

    def _open(self) -> None:
        self._number += 1
        self._file = segment_path(self.folder, self._number).open("xb", buffering=0)
        now_s = time.monotonic()
        self._opened_s = self._synced_s = now_s
        self._size = 0
        self._chunk_bytes = 0
        head = FILE_HEAD.pack(
            FILE_MAGIC, SEGMENT_FORMAT, 0, self._number, time.time_ns(), 0
        )[:-_CRC_SIZE]  # fmt: skip
        self._emit(head + struct.pack("<I", binascii.crc32(head)))
        if self._options.sync_s:
            _sync_folder(self.folder)
        if self._number > 1 and self._books:
            self._put(b"".join(_repeated(self._books)), now_s, flag=PieceFlag.CONTEXT)
            # The books stand in a chunk of their own.
            self._chunk_bytes = 0

    def _end(self) -> None:
        """Close the segment; says in the file that it was done in order."""
        file = self._file
        if file is None:
            return
        with contextlib.suppress(OSError):
            self._store(b"", PieceFlag.END, CODEC_FIELDS, 0, 0, self._last_ns, self._last_ns)
            if self._options.sync_s:
                os.fdatasync(file.fileno())
        file.close()
        self._file = None

    def _sync(self, now_s: float) -> None:
        every = self._options.sync_s
        if not every or self._is_synced or now_s - self._synced_s < every or self._file is None:
            return
        self._synced_s = now_s
        self._is_synced = True
        try:
            os.fdatasync(self._file.fileno())
        except OSError as error:
            self._fail(error, now_s)

    def _fail(self, error: OSError, now_s: float) -> None:
        """The disk refused: cut what is half written, and try a new segment in a while."""
        self._pause(f"the recording can't be written: {error.strerror or error}")
        self._retry_s = now_s + RETRY_S
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            self._file.close()
            self._file = None

    def _pause(self, reason: str) -> None:
        # Told once: figures in it change with every look.
        if not self.is_paused:
            self.is_paused = True
            self._fault(reason)

    def _fault(self, reason: str) -> None:
        self.fault = reason

    def _lose(self, count: int, reason: str) -> None:
        self.lost_count += count
        self._missing += count
        self._reason = reason
        if not self.fault:
            self.fault = reason


def _repeated(books: list[bytes]) -> list[bytes]:
    # The flags are the sixth byte of a record.
    return [book[:5] + bytes([book[5] | REPEATED]) + book[6:] for book in books]


def _sync_folder(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
