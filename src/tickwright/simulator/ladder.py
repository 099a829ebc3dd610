"""Owns one side of a venue's book: external and own size by price; refuses to publish.

Prices are kept as signed keys (bids +price, asks -price) ascending, so the best level is always
last: one routine serves both sides, and changes near the top move few entries.
"""

from bisect import bisect_left, insort

__all__ = ["Ladder"]


class Ladder:
    """Levels of one side. `keys` holds every key with size, ascending; sizes are external + own."""

    __slots__ = ("external", "keys", "own", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.external: dict[int, int] = {}
        self.own: dict[int, int] = {}

    def size_at(self, key: int) -> int:
        """Total size resting at a key, own orders included; 0 when none."""
        return self.external.get(key, 0) + self.own.get(key, 0)

    def best(self) -> tuple[int, int] | None:
        """Best level as (price_units, size_units), own orders included; None when empty."""
        keys = self.keys
        if not keys:
            return None
        key = keys[-1]
        size = self.external.get(key, 0)
        if self.own:
            size += self.own.get(key, 0)
        return self.sign * key, size

    def set_external(self, key: int, size_units: int) -> None:
        """Set the absolute external size at a key."""
        external = self.external
        if size_units:
            if key not in external and key not in self.own:
                keys = self.keys
                if not keys or key > keys[-1]:
                    keys.append(key)
                else:
                    insort(keys, key)
            external[key] = size_units
        elif key in external:
            del external[key]
            if key not in self.own:
                self._drop(key)

    def add_own(self, key: int, size_units: int) -> None:
        """Add own size at a key (negative removes; never below zero)."""
        before = self.own.get(key, 0)
        after = before + size_units
        assert after >= 0, f"own size at {key} would be {after}"
        if after:
            if not before and key not in self.external:
                insort(self.keys, key)
            self.own[key] = after
        elif before:
            del self.own[key]
            if key not in self.external:
                self._drop(key)

    def reset_external(self, levels: list[tuple[int, int]]) -> None:
        """Replace every external level by (price_units, size_units) pairs; own size stays."""
        sign = self.sign
        self.external = {sign * price: size for price, size in levels if size}
        self.keys = sorted(self.external.keys() | self.own.keys())

    def _drop(self, key: int) -> None:
        keys = self.keys
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]
