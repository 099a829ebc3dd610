"""Frames at the limits of length: levels a side, trades a message, letters of a word."""

import re
from random import Random

from tests.fuzz.corpus import book_frame, trade_frame
from tickwright.core.identity import Category

__all__ = ["large_frames"]


def large_frames(chance: Random) -> list[tuple[Category, bytes]]:
    """Return frames just within and just beyond every limit of length."""
    frames = []
    for category in (Category.LINEAR, Category.SPOT):
        for count in (257, 9_999, 10_000, 10_001, chance.randint(10_001, 17_000)):
            for is_bid in (True, False):
                levels = [
                    (f"{60_000 - place if is_bid else 60_000 + place}", "1")
                    for place in range(1, count + 1)
                ]
                frames.append(
                    (
                        category,
                        book_frame(
                            category,
                            1000,
                            kind=chance.choice(["snapshot", "delta"]),
                            bids=levels if is_bid else [],
                            asks=[] if is_bid else levels,
                        ),
                    )
                )
        for count in (1_023, 1_024, 1_025, chance.randint(1_025, 3_000)):
            frames.append((category, trade_frame(category, [("Buy", "1.5", "2")] * count)))
        for count in (63, 64, 65, 200):
            one = trade_frame(category, [("Buy", "1.5", "2")])
            trade_id = b'"i":"' + b"7" * count + b'"'
            frames.append((category, re.sub(rb'"i":"[^"]*"', trade_id, one)))
            frames.append((category, one.replace(b"BTCUSDT", b"B" * count)))
    return frames
