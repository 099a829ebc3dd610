"""Owns what a feed may do to a book besides its messages, as data that a replay can repeat."""

import enum

import msgspec

from tickwright.book.order_book import OrderBook

__all__ = ["BookControl", "BookVerb", "control_book"]


class BookVerb(enum.Enum):
    """What the feed says about a book."""

    STALE = "stale"
    RESYNCING = "resyncing"
    PROVE = "prove"
    CLEAR = "clear"


class BookControl(msgspec.Struct, frozen=True, gc=False, tag="book_control"):
    """One such statement, as it is recorded."""

    slot: int
    verb: BookVerb
    reason: str


def control_book(book: OrderBook, verb: BookVerb, reason: str, now_ns: int) -> None:
    """Do what the feed says."""
    if verb is BookVerb.STALE:
        book.mark_stale(reason)
    elif verb is BookVerb.RESYNCING:
        book.mark_resyncing()
    elif verb is BookVerb.PROVE:
        book.prove(now_ns)
    else:
        book.clear()
