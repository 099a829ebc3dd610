"""Owns how books, trades and signals lie in Redis: key names, packed bytes, hash fields, streams.

Pure. It refuses to talk to a server (`storage.redis_mirror` writes, `tickwright.cache` reads) and
to guess: packed bytes of another form, or cut, raise. The braces in a key are Redis Cluster's hash
tag: all keys of one instrument lie on one node. docs/redis.md has the tables.
"""

import binascii
import functools
import struct
from itertools import chain

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.commands import SignalNotice
from tickwright.core.errors import StorageError
from tickwright.core.events import BookState, Trade
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.units import units_to_text
from tickwright.core.verdicts import Rejected

__all__ = [
    "BookKeys",
    "PackedBook",
    "command",
    "hash_command",
    "key_slot",
    "pack_book",
    "signal_command",
    "signals_key",
    "trade_command",
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


def pack_book(
    book: OrderBook,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    *,
    now_ns: int,
    expire_ms: int,
) -> bytes:
    """Pack a book with these levels; they are the caller's so that it cuts them once."""
    age_ns = book.age_ns(now_ns)
    head = _HEAD.pack(
        MAGIC,
        book.state,
        book.price_decimals,
        book.size_decimals,
        len(bids),
        len(asks),
        expire_ms,
        book.update_id,
        book.sequence,
        book.venue_ns,
        book.received_ns,
        _AGE_UNKNOWN if age_ns is None else age_ns,
    )
    count = 2 * (len(bids) + len(asks))
    return head + struct.pack(f"<{count}q", *chain(*bids, *asks))


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


# readable books -----------------------------------------------------------------------------------


_FIELDS = (
    "state",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "bids",
    "asks",
    "update_id",
    "age_ms",
    "written_ns",
)
# One format for all fields: a book is written in a few calls, not in one for each word.
_HASH = b"*%d\r\n$4\r\nHSET\r\n$%%d\r\n%%b\r\n" % (2 + 2 * len(_FIELDS)) + b"".join(
    b"$%d\r\n%b\r\n$%%d\r\n%%b\r\n" % (len(name), name.encode()) for name in _FIELDS
)
_STATES = {state: state.name.lower().encode() for state in BookState}


def hash_command(
    key: str,
    book: OrderBook,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    *,
    now_ns: int,
) -> bytes:
    """Return the command that writes a book's readable hash; what is unknown is empty."""
    price, size = book.price_decimals, book.size_decimals
    age_ns = book.age_ns(now_ns)
    values = [
        key.encode(),
        _STATES[book.state],
        *_best(bids, price, size),
        *_best(asks, price, size),
        _rows(bids, price, size),
        _rows(asks, price, size),
        b"%d" % book.update_id,
        b"" if age_ns is None else b"%d" % (age_ns // 1_000_000),
        b"%d" % now_ns,
    ]
    return _HASH % tuple([part for value in values for part in (len(value), value)])


def _best(levels: list[tuple[int, int]], price: int, size: int) -> tuple[bytes, bytes]:
    if not levels:
        return b"", b""
    return (
        units_to_text(levels[0][0], price).encode(),
        units_to_text(levels[0][1], size).encode(),
    )


def _rows(levels: list[tuple[int, int]], price: int, size: int) -> bytes:
    """Write levels as JSON; all in one call, for it is most of a book's cost."""
    if levels and min(levels[0][0], levels[-1][0]) < 0:
        rows = [[units_to_text(p, price), units_to_text(s, size)] for p, s in levels]
        return msgspec.json.encode(rows)
    price_one, size_one = 10**price, 10**size
    numbers: list[int] = []
    for level in levels:
        numbers += divmod(level[0], price_one) if price else (level[0],)
        numbers += divmod(level[1], size_one) if size else (level[1],)
    return _row_format(len(levels), price, size) % tuple(numbers)


@functools.lru_cache(maxsize=1_024)
def _row_format(count: int, price: int, size: int) -> bytes:
    both = [b"%%d.%%0%dd" % decimals if decimals else b"%d" for decimals in (price, size)]
    return b"[" + b",".join([b'["%b","%b"]' % tuple(both)] * count) + b"]"


# streams ------------------------------------------------------------------------------------------


def trade_command(
    key: str, instrument: Instrument, trade: Trade, *, number: int, entries_max: int
) -> bytes:
    """Return the command that appends a trade; `number` makes its id rise within a millisecond."""
    return command(
        "XADD",
        key,
        "MAXLEN",
        "~",
        str(entries_max),
        f"{trade.received_ns // 1_000_000}-{number}",
        "side",
        trade.side.name.lower(),
        "price",
        instrument.price_text(trade.price_units),
        "size",
        instrument.size_text(trade.size_units),
        "trade_id",
        trade.trade_id,
        "venue_ns",
        str(trade.venue_ns),
        "received_ns",
        str(trade.received_ns),
    )


def signal_command(
    key: str, notice: SignalNotice, *, number: int, entries_max: int, reason: str
) -> bytes:
    """Return the command that appends a signal; `reason` is the strategy's, without secrets."""
    signal, verdict = notice.signal, notice.verdict
    is_refused = isinstance(verdict, Rejected)
    return command(
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
