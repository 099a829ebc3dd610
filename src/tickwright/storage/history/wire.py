"""Owns what a trader and the process that writes its history say to each other, over two pipes.

Each message is four bytes of length and a msgpack array. The trader sends `Hello`, then blocks,
each a tenth of a second of rows, and `End`; the writer answers with its state, whose `acked` names
the last block that is in the database or on the disk, and with it all before.
"""

from collections.abc import Iterator, Sequence

import msgspec

from tickwright.core.errors import StorageError
from tickwright.storage.history.rows import HistoryRow, InstrumentRef

__all__ = [
    "Block",
    "End",
    "FrameReader",
    "Hello",
    "Instruments",
    "ToWriter",
    "WriterState",
    "decode_rows",
    "encode_rows",
    "frame",
]

FRAME_BYTES_MAX = 256 * 1024**2


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """Who writes, and where to. `dsn` holds a password: it goes no other way than this pipe."""

    source: str
    dsn: str
    folder: str
    spool_bytes_max: int

    def __repr__(self) -> str:
        return f"Hello({self.source})"


class Instruments(msgspec.Struct, frozen=True, array_like=True, tag="instruments"):
    """What the numbers in the trades of the blocks after it mean; replaces the list before it."""

    refs: tuple[InstrumentRef, ...]


class Block(msgspec.Struct, frozen=True, array_like=True, tag="block"):
    """All rows with offsets after `first`, up to `last`; trades packed, others by `encode_rows`.

    `lost` rows of these offsets, or before, are nowhere.
    """

    number: int
    first: int
    last: int
    lost: int
    trades: bytes
    books: bytes
    rows: bytes


class End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """Nothing follows."""


ToWriter = Hello | Instruments | Block | End


class WriterState(msgspec.Struct, frozen=True, kw_only=True):
    """How the writing stands; counts are of this process and only ever rise.

    `is_up`: the last write reached the database. `fault` is why not, in words. `behind_s` is the
    age of the oldest row that isn't in the database yet. `lost` rows found no room on disk,
    `lost_before` others none in the trader.
    """

    pid: int = 0
    source: str = ""
    database: str = ""
    told_ns: int = 0
    acked: int = 0
    committed: int = 0
    is_up: bool = False
    fault: str = ""
    rows: int = 0
    lost: int = 0
    lost_before: int = 0
    refused: int = 0
    outages: int = 0
    outage_s: float = 0.0
    behind_s: float = 0.0
    spool_batches: int = 0
    spool_bytes: int = 0
    spool_bytes_max: int = 0
    is_ended: bool = False


_encode = msgspec.msgpack.Encoder().encode
_rows = msgspec.msgpack.Decoder(list[tuple[int, HistoryRow]]).decode


def frame(message: ToWriter | WriterState) -> bytes:
    """Return a message as it goes over the pipe."""
    body = _encode(message)
    return len(body).to_bytes(4, "little") + body


def encode_rows(rows: Sequence[tuple[int, HistoryRow]]) -> bytes:
    """Pack rows with their offsets."""
    return _encode(rows) if rows else b""


def decode_rows(packed: bytes) -> list[tuple[int, HistoryRow]]:
    """Read them back."""
    return _rows(packed) if packed else []


class FrameReader:
    """Cuts a stream of bytes into the bodies of its messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; yield each body that is whole.

        Raises:
            StorageError: a length that nobody sends.
        """
        held = self._held
        held += data
        at = 0
        while len(held) - at >= 4:
            size = int.from_bytes(held[at : at + 4], "little")
            if size > FRAME_BYTES_MAX:
                raise StorageError("the history's pipe carries something else")
            if len(held) - at - 4 < size:
                break
            yield bytes(held[at + 4 : at + 4 + size])
            at += 4 + size
        del held[:at]
