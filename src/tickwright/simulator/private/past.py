"""Owns what accounts were told a short while ago, so that a query may lag; refuses to shape rows.

It remembers only while `is_kept`, which a fault switches on: nobody pays for it otherwise.
"""

from collections import deque

from tickwright.simulator.private.shapes import Row

__all__ = ["PAST_NS", "PAST_ROWS_MAX", "Past"]

PAST_NS = 60_000_000_000
"""How far back a lagging query can look."""
PAST_ROWS_MAX = 1_000
"""Versions kept of one order, position or wallet."""

_KEYS = {"order": "orderId", "position": "symbol", "wallet": "accountType"}


class Past:
    """Versions of rows by account, topic and what they are about."""

    def __init__(self) -> None:
        self.is_kept = False
        self._versions: dict[tuple[int, str, str], deque[tuple[int, Row]]] = {}

    def keep(self, uid: int, topic: str, rows: list[Row], now_ns: int) -> None:
        """Remember rows as they are told now."""
        name = _KEYS.get(topic)
        if not self.is_kept or name is None:
            return
        for row in rows:
            key = (uid, topic, f"{row[name]}:{row.get('positionIdx', 0)}")
            versions = self._versions.setdefault(key, deque(maxlen=PAST_ROWS_MAX))
            while len(versions) > 1 and versions[1][0] < now_ns - PAST_NS:
                versions.popleft()
            versions.append((now_ns, row))

    def forget(self) -> None:
        """Drop everything and keep nothing more."""
        self.is_kept = False
        self._versions.clear()

    def row(self, uid: int, topic: str, about: str, cutoff_ns: int, now: Row) -> Row | None:
        """Return a row as it was told at `cutoff_ns`; `now` if nothing was told since.

        None: it was first told after that, so it wasn't there.
        """
        versions = self._versions.get((uid, topic, about))
        if not versions or versions[-1][0] <= cutoff_ns:
            return now
        for at_ns, row in reversed(versions):
            if at_ns <= cutoff_ns:
                return row
        return None
