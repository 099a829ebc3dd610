"""Owns how one feed numbers its book messages, as data; refuses to know a venue's name.

A policy answers: where the base comes from, when a delta is the next one, what is an exception, how
many levels the feed shows. The compiled book obeys it (`book/order_book.pyx`).
"""

import enum

import msgspec

from tickwright.core.errors import ConfigError

__all__ = ["BookPolicy", "Continuity", "SnapshotBase"]


class SnapshotBase(enum.IntEnum):
    """Where the whole book comes from."""

    STREAM = 0
    """The stream's own snapshot; deltas before it are dropped."""
    REST = 1
    """A REST snapshot joined with buffered deltas."""


class Continuity(enum.IntEnum):
    """When a delta is the next one after the state with id `last`."""

    PLUS_ONE = 0
    """Its id is last + 1."""
    OVERLAP = 1
    """Its ids first..id contain last + 1."""
    PREVIOUS_ID = 2
    """Its previous id is last (the first one after a REST snapshot: previous id <= last <= id)."""


class BookPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The numbering rules of one feed.

    `window` is how many levels a side the feed keeps (0: unbounded): a side that grows beyond it
    proves a lost delete. `restart_id` is an id that means the venue restarted its counter (-1:
    none). `has_keep_alive` lets a delta with an unchanged id and no level prove life. `can_reset`
    lets an id smaller than the previous one, whose previous id matches, go on (a venue's sequence
    reset).
    """

    base: SnapshotBase = SnapshotBase.STREAM
    continuity: Continuity = Continuity.PLUS_ONE
    window: int = 0
    restart_id: int = -1
    has_keep_alive: bool = False
    can_reset: bool = False
    buffer_messages_max: int = 4096

    def __post_init__(self) -> None:
        if self.window < 0 or not 1 <= self.buffer_messages_max <= 1_000_000:
            raise ConfigError(
                "a book policy needs window >= 0 and buffer_messages_max from 1 to 1,000,000"
            )
