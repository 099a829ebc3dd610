"""Owns what a backtest is told of our own impact on prices; the model is `matching.impact`'s.

Obizhaeva and Wang's: what we take moves the prices that our later orders meet, against us and by as
much as was taken; a part stays, the rest halves again and again. It refuses defaults: how much a
million moves is a property of a market, to be measured there.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tickwright.core.instrument import Instrument
from tickwright.matching.impact import FINE_UNITS, ImpactLevels
from tickwright.matching.levels import ExternalLevels

__all__ = ["MODEL", "NO_IMPACT", "ImpactSpec"]

MODEL = "obizhaeva_wang"
NO_IMPACT = "none"
_BPS = 10_000
_MILLION = 1_000_000
_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactSpec:
    """How far a million of the quote asset, taken at once, moves prices, in basis points of them.

    `permanent` stays, `transient` comes on top and halves every `half_life_ms`.
    """

    permanent_bps_per_million: Decimal
    transient_bps_per_million: Decimal
    half_life_ms: Decimal

    def __post_init__(self) -> None:
        parts = (self.permanent_bps_per_million, self.transient_bps_per_million)
        assert min(parts) >= 0 < max(parts), f"impact of {parts}"
        assert self.half_life_ns > 0, f"half life of {self.half_life_ms} ms"

    @property
    def half_life_ns(self) -> int:
        """The half life in whole nanoseconds."""
        return round(self.half_life_ms * _MS)

    def levels(self, instrument: Instrument, shown: ExternalLevels) -> ImpactLevels:
        """Return an instrument's levels as our orders are to meet them."""
        return ImpactLevels(
            shown,
            tick_units=instrument.tick_units,
            permanent=_parts(self.permanent_bps_per_million, instrument),
            transient=_parts(self.transient_bps_per_million, instrument),
            half_life_ns=self.half_life_ns,
        )

    def words(self) -> str:
        """Say the model and its figures."""
        parts = []
        if self.permanent_bps_per_million:
            parts.append(f"{self.permanent_bps_per_million.normalize():f} bp for good")
        if self.transient_bps_per_million:
            parts.append(
                f"{self.transient_bps_per_million.normalize():f} bp that halve every "
                f"{self.half_life_ms.normalize():f} ms"
            )
        return f"{MODEL}: a million taken moves prices by {' and '.join(parts)}"


def _parts(bps: Decimal, instrument: Instrument) -> tuple[int, int]:
    """Return what price_units^2 x size_units are multiplied by, exactly.

    A share of the price is bps / 10^4 x notional / 10^6, the notional being price x size.
    """
    notional = Fraction(instrument.multiplier) / 10 ** (
        instrument.price_decimals + instrument.size_decimals
    )
    found = Fraction(bps) / _BPS * notional / _MILLION * FINE_UNITS
    return found.numerator, found.denominator
