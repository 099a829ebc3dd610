"""Owns how Binance numbers its book messages, as data; refuses to apply any.

Spot: an event covers the ids `U..u` and overlaps or continues the one before it. USD-M futures: an
event names the last id of the one before it (`pu`), and ids jump between them. Both start from a
REST snapshot that is joined with the events received meanwhile.
"""

from tickwright.book.policy import BookPolicy, Continuity, SnapshotBase

__all__ = ["SPOT_POLICY", "USDM_POLICY"]

SPOT_POLICY = BookPolicy(base=SnapshotBase.REST, continuity=Continuity.OVERLAP)
USDM_POLICY = BookPolicy(base=SnapshotBase.REST, continuity=Continuity.PREVIOUS_ID)
