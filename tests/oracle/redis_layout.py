"""Books and trades as Redis commands, written plainly: what the compiled writer must equal."""

import functools
import struct
from itertools import chain

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.events import BookState, Trade
from tickwright.core.instrument import Instrument
from tickwright.core.units import units_to_text
from tickwright.storage.redis_layout import MAGIC, command

__all__ = ["hash_command", "pack_book", "trade_command"]

_HEAD = struct.Struct("<4sBBBxHHIqqqqq")
_AGE_UNKNOWN = -1


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
