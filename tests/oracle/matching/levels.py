"""External levels as plain dictionaries: the port of the engine in its simplest form."""

from bisect import bisect_left, insort

from tickwright.core.orders import Side
from tickwright.matching.liquidity import Level

__all__ = ["ExternalLevels"]


class _Side:
    """External and users' size by signed key (bids +price, asks -price); the last key is best."""

    __slots__ = ("external", "keys", "own", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.external: dict[int, int] = {}
        self.own: dict[int, int] = {}

    def change(self, sizes: dict[int, int], key: int, size_units: int) -> None:
        assert size_units >= 0, f"size at {key} would be {size_units}"
        present = key in self.external or key in self.own
        if size_units:
            sizes[key] = size_units
            if not present:
                insort(self.keys, key)
        elif key in sizes:
            del sizes[key]
            if key not in self.external and key not in self.own:
                del self.keys[bisect_left(self.keys, key)]

    def size_at(self, key: int) -> int:
        return self.external.get(key, 0) + self.own.get(key, 0)


class ExternalLevels:
    """The plain `Liquidity`: levels set one by one by whoever replays a market."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids = _Side(1)
        self._asks = _Side(-1)

    def set_level(self, side: Side, price_units: int, size_units: int) -> None:
        """Set the external size at a price; 0 removes it. Forgets what users took there."""
        place = self._place(side)
        place.change(place.external, place.sign * price_units, size_units)

    def best(self) -> tuple[Level | None, Level | None]:
        """Return the best bid and ask, users' orders included."""
        return self._best_of(self._bids), self._best_of(self._asks)

    def levels(self, side: Side, limit: int | None = None) -> list[Level]:
        """Return a side's levels best first, users' orders included."""
        place = self._place(side)
        keys = place.keys if limit is None else place.keys[-limit:]
        return [(place.sign * key, place.size_at(key)) for key in reversed(keys)]

    def external_size(self, side: Side, price_units: int) -> int:
        """Return the external size resting at a price."""
        place = self._place(side)
        return place.external.get(place.sign * price_units, 0)

    def add_own(self, side: Side, price_units: int, size_units: int) -> None:
        """Show a user's resting size."""
        place = self._place(side)
        key = place.sign * price_units
        place.change(place.own, key, place.own.get(key, 0) + size_units)

    def remove_own(self, side: Side, price_units: int, size_units: int) -> None:
        """Take a user's resting size back."""
        self.add_own(side, price_units, -size_units)

    def take(self, side: Side, size_units: int, limit_price_units: int | None) -> list[Level]:
        """Consume external size as an aggressor on `side`, best first, within the limit price."""
        place = self._asks if side is Side.BUY else self._bids
        matches: list[Level] = []
        for key in place.keys[::-1]:
            if size_units <= 0 or (
                limit_price_units is not None and key < place.sign * limit_price_units
            ):
                break
            available = place.external.get(key, 0)
            if available:
                taken = min(available, size_units)
                place.change(place.external, key, available - taken)
                matches.append((place.sign * key, taken))
                size_units -= taken
        return matches

    def _place(self, side: Side) -> _Side:
        return self._bids if side is Side.BUY else self._asks

    @staticmethod
    def _best_of(place: _Side) -> Level | None:
        if not place.keys:
            return None
        key = place.keys[-1]
        return place.sign * key, place.size_at(key)
