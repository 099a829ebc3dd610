"""Order books that can be proven: levels, sequence verdicts, features. Compiled and pure."""

from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy, Continuity, SnapshotBase
from tickwright.book.verdict import BookVerdict

__all__ = ["BookPolicy", "BookVerdict", "Continuity", "OrderBook", "SnapshotBase"]
