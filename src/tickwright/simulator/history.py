"""Owns the recent past of one depth topic as its frames; refuses to know the book.

A window of an earlier `u` is rebuilt from what was published: it proves what a client should
hold.
"""

from decimal import Decimal

import msgspec

__all__ = ["HISTORY_FRAMES", "PublishedHistory", "TextLevels"]

HISTORY_FRAMES = 256
"""How many latest `u` of a topic can be asked for: at least half of this, at most all."""

TextLevels = list[list[str]]
"""[price, size] in wire text, best first."""

_Side = dict[str, str]


class _Data(msgspec.Struct):
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int


class _Frame(msgspec.Struct):
    type: str
    data: _Data


_decode = msgspec.json.Decoder(_Frame).decode


class PublishedHistory:
    """Frames since a snapshot, in two halves: when one is full the older one is forgotten."""

    __slots__ = ("_before", "_recent")

    def __init__(self, snapshot: bytes) -> None:
        self._recent: list[bytes] = [snapshot]
        self._before: list[bytes] = []

    def add(self, frame: bytes) -> bool:
        """Keep a frame; true when the half is full and `turn` wants the snapshot of now."""
        recent = self._recent
        recent.append(frame)
        return len(recent) > HISTORY_FRAMES // 2

    def turn(self, snapshot: bytes) -> None:
        """Begin the next half with a snapshot."""
        self._before = self._recent
        self._recent = [snapshot]

    def window_at(self, u: int) -> tuple[TextLevels, TextLevels] | None:
        """The window published under `u`: (bids, asks); None when too long ago or not yet."""
        for frames in (self._recent, self._before):
            bids: _Side = {}
            asks: _Side = {}
            for payload in frames:
                frame = _decode(payload)
                if frame.data.u > u:
                    break
                if frame.type == "snapshot":
                    bids, asks = dict(frame.data.b), dict(frame.data.a)
                else:
                    _apply(bids, frame.data.b)
                    _apply(asks, frame.data.a)
                if frame.data.u == u:
                    return _sorted(bids, is_bid=True), _sorted(asks, is_bid=False)
        return None


def _apply(side: _Side, changes: list[tuple[str, str]]) -> None:
    for price, size in changes:
        if size == "0":
            side.pop(price, None)
        else:
            side[price] = size


def _sorted(side: _Side, *, is_bid: bool) -> TextLevels:
    prices = sorted(side, key=Decimal, reverse=is_bid)
    return [[price, side[price]] for price in prices]
