"""Owns how books, trades and signals lie in Redis: key names, packed bytes, hash fields, streams.

Pure. It refuses to talk to a server (`storage.redis_mirror` writes, `tickwright.cache` reads) and
to guess: packed bytes of another form, or cut, raise. The braces in a key are Redis Cluster's hash
tag: all keys of one instrument lie on one node. docs/redis.md has the tables.
"""

import binascii
import struct

import msgspec

from tickwright.core.commands import SignalNotice
from tickwright.core.errors import StorageError
from tickwright.core.events import BookState
from tickwright.core.identity import InstrumentId
from tickwright.core.verdicts import Rejected

__all__ = [
    "BookKeys",
    "PackedBook",
    "command",
    "key_slot",
    "signal_words",
    "signals_key",
    "unpack_book",
    "writer_key",
]

MAGIC = b"TWB1"
_HEAD = struct.Struct("<4sBBBxHHIqqqqq")
_LEVEL = struct.Struct("<qq")
LEVELS_MAX = 1000
"""Levels a side that one packed book may hold."""
SLOTS = 16384
_AGE_UNKNOWN = -1


class BookKeys(msgspec.Struct, frozen=True):
    """The keys of one instrument."""

    packed: str
    readable: str
    trades: str

    @classmethod
    def of(cls, prefix: str, instrument_id: InstrumentId) -> "BookKeys":
        """Name them."""
        base = f"{prefix}:{{{instrument_id}}}"
        return cls(f"{base}:packed", f"{base}:book", f"{base}:trades")


def signals_key(prefix: str) -> str:
    """Return the key of the stream of signals."""
    return f"{prefix}:signals"


def writer_key(prefix: str) -> str:
    """Return the key of the hash that says who writes."""
    return f"{prefix}:writer"


def key_slot(key: str) -> int:
    """Return the slot of a key in a Redis Cluster."""
    start = key.find("{")
    if start >= 0:
        end = key.find("}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key.encode(), 0) % SLOTS


def command(*parts: str | bytes) -> bytes:
    """Return one command as Redis reads it."""
    out = [b"*%d\r\n" % len(parts)]
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        out.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(out)


# packed books -------------------------------------------------------------------------------------


class PackedBook(msgspec.Struct, frozen=True, kw_only=True):
    """One book as it was written; prices and sizes in units, best level first.

    `age_ns` is the time since the book's last proof when it was written, None when it has none.
    `expire_ms` is how long the key was to live: what is left of it tells when it was written.
    """

    state: BookState
    price_decimals: int
    size_decimals: int
    update_id: int
    sequence: int
    venue_ns: int
    received_ns: int
    age_ns: int | None
    expire_ms: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


def unpack_book(raw: bytes) -> PackedBook:
    """Read a packed book.

    Raises:
        StorageError: it isn't one of this version, or it is cut.
    """
    if len(raw) < _HEAD.size:
        raise StorageError(f"{len(raw)} bytes are no packed book")
    magic, state, price_decimals, size_decimals, bid_count, ask_count, expire_ms, *rest = (
        _HEAD.unpack_from(raw)
    )
    if magic != MAGIC:
        raise StorageError("this is no packed book, or one of another version")
    size = _HEAD.size + (bid_count + ask_count) * _LEVEL.size
    if len(raw) != size or max(bid_count, ask_count) > LEVELS_MAX or state > max(BookState):
        raise StorageError(f"a packed book of {size} bytes has {len(raw)}")
    update_id, sequence, venue_ns, received_ns, age_ns = rest
    levels = tuple(_LEVEL.iter_unpack(raw[_HEAD.size :]))
    return PackedBook(
        state=BookState(state),
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        update_id=update_id,
        sequence=sequence,
        venue_ns=venue_ns,
        received_ns=received_ns,
        age_ns=None if age_ns == _AGE_UNKNOWN else age_ns,
        expire_ms=expire_ms,
        bids=levels[:bid_count],
        asks=levels[bid_count:],
    )


# streams ------------------------------------------------------------------------------------------


def signal_words(
    key: str | bytes, notice: SignalNotice, *, number: int, entries_max: int, reason: str
) -> tuple[str | bytes, ...]:
    """Return the command that appends a signal; `reason` is the strategy's, without secrets."""
    signal, verdict = notice.signal, notice.verdict
    is_refused = isinstance(verdict, Rejected)
    return (
        "XADD",
        key,
        "MAXLEN",
        "~",
        str(entries_max),
        f"{notice.now_ns // 1_000_000}-{number}",
        "strategy_id",
        str(notice.strategy_id),
        "instrument",
        str(signal.instrument_id),
        "kind",
        signal.kind.value,
        "confidence",
        repr(signal.confidence),
        "reason",
        reason,
        "verdict",
        "refused" if is_refused else "approved",
        "refusal",
        str(verdict) if is_refused else "",
        "client_id",
        str(notice.client_id or ""),
        "event_id",
        str(notice.event_id),
        "now_ns",
        str(notice.now_ns),
    )
