"""Owns what an order book answers to a message; the numbers are shared with the compiled core."""

import enum

__all__ = ["BookVerdict"]


class BookVerdict(enum.IntEnum):
    """What became of a snapshot or delta. Values from `GAP` up made the book stale."""

    APPLIED = 0
    """A delta was next in order and changed the book."""
    SNAPSHOT = 1
    """A snapshot replaced the book, which is synced now."""
    REPEAT = 2
    """The venue sent again what we hold (same id): proof of life, nothing changed."""
    DUPLICATE = 3
    """A delta we had already; dropped."""
    OLDER = 4
    """A delta from before our state; dropped."""
    KEEP_ALIVE = 5
    """A delta without change that only proves the feed lives."""
    BUFFERED = 6
    """No base yet: the delta waits for the snapshot."""
    IGNORED = 7
    """The book waits for a snapshot; the delta was dropped."""
    GAP = 8
    """A message is missing: the book is stale from now on."""
    RESTART = 9
    """The venue counts anew, and the snapshot that began it is not here: the book is stale."""
    CROSSED = 10
    """After the delta the best bid reached the best ask: the book is stale."""
    WINDOW = 11
    """After the delta a side holds more levels than the feed sends: the book is stale."""
    BACKWARD = 12
    """The cross sequence went back: the book is stale."""
    REFUSED = 13
    """A level or id is impossible (price not above zero, negative size, unsorted).

    The book is stale.
    """
