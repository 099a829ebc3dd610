"""Owns the risk tiers of linear contracts: margin by the value of a position; refuses accounts.

One table serves every contract: the venue's own tables differ by contract and change by the week.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

__all__ = ["RISK_TIERS", "RiskTier", "leverage_for", "leverage_max", "tier_of", "value_limit"]


@dataclass(frozen=True, slots=True)
class RiskTier:
    """Positions worth up to `value_max` USDT need `rate_ppm` of it, less `deduction`, to stay."""

    value_max: int
    rate_ppm: int
    deduction: int


RISK_TIERS = (
    RiskTier(2_000_000, 5_000, 0),
    RiskTier(10_000_000, 10_000, 10_000),
    RiskTier(50_000_000, 25_000, 160_000),
    RiskTier(200_000_000, 50_000, 1_410_000),
)
"""By value, lowest first. The deduction makes the margin continuous from tier to tier."""


def tier_of(value_usdt: int) -> RiskTier:
    """Return the tier of a position's value in whole USDT; the last one has no end."""
    for tier in RISK_TIERS:
        if value_usdt <= tier.value_max:
            return tier
    return RISK_TIERS[-1]


def leverage_max(tier: RiskTier, contract_max: Decimal) -> Decimal:
    """Return the highest leverage a tier allows: half of what its maintenance would, and whole."""
    return min(contract_max, Decimal(1_000_000 // (2 * tier.rate_ppm)))


@lru_cache(maxsize=1_024)
def value_limit(leverage: Decimal, contract_max: Decimal) -> int:
    """Return the highest position value, in whole USDT, that may be held at a leverage."""
    allowed = [t.value_max for t in RISK_TIERS if leverage_max(t, contract_max) >= leverage]
    return max(allowed, default=0)


def leverage_for(value_usdt: int, contract_max: Decimal) -> Decimal | None:
    """Return the highest leverage at which a value may be held; None: at no leverage at all."""
    if value_usdt > RISK_TIERS[-1].value_max:
        return None
    return leverage_max(tier_of(value_usdt), contract_max)
