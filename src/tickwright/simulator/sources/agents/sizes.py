"""Owns drawing sizes: lognormal, in whole lots; refuses to say whose they are."""

from math import exp
from random import Random

__all__ = ["GAUSS_BITS", "Sizes"]

GAUSS_BITS = 12
"""How many random bits choose from the table of normal deviates."""
_EXPONENT_MAX = 12.0


class Sizes:
    """Draws sizes in units from a table made once: a look-up costs a fraction of a draw.

    `gauss` holds 2^GAUSS_BITS normal deviates, `median` is in units, `deviation` is of the
    logarithm.
    """

    __slots__ = ("_draw", "_lot", "_table")

    def __init__(
        self, gauss: list[float], median: float, deviation: float, lot: int, rng: Random
    ) -> None:
        self._draw = rng.getrandbits
        self._lot = lot
        lots = median / lot
        self._table = [
            max(1, round(lots * exp(min(deviation * z, _EXPONENT_MAX)))) * lot for z in gauss
        ]

    def draw(self, share: float = 1.0) -> int:
        """Draw a size, or that share of one: whole lots, one at least."""
        size = self._table[self._draw(GAUSS_BITS)]
        return size if share == 1 else max(1, int(size * share) // self._lot) * self._lot
