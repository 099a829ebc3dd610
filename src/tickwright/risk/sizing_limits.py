"""Owns how a signal becomes a size, as typed configuration; refuses figures that make no size."""

from decimal import Decimal
from typing import Literal

import msgspec

from tickwright.risk.figures import between, percent, whole

__all__ = ["SizingLimits"]


class SizingLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a signal becomes a size, before the gate has its say.

    `equity_percent`: notional at full confidence. `confidence_floor`: the fraction of it a
    confidence of 0 gets; in between it rises evenly. `volatility_target_percent`: wished deviation
    of returns over the interval the caller's `volatility` is measured in; None leaves it out;
    `volatility_measure` says by what: the realised deviation of mids, or their average true range.
    `volatility_scale_max` bounds how far a calm market may raise the size.
    `depth_share_percent_max`: share of the visible size within `depth_levels` levels of the side to
    be taken. `kelly_fraction`: part of the Kelly size used as a further cap, once
    `kelly_trades_min` closed trades are known.
    """

    equity_percent: Decimal = Decimal(10)
    confidence_floor: Decimal = Decimal("0.2")
    volatility_target_percent: Decimal | None = None
    volatility_measure: Literal["realised", "atr"] = "realised"
    volatility_scale_max: Decimal = Decimal(1)
    depth_share_percent_max: Decimal = Decimal(20)
    depth_levels: int = 10
    kelly_fraction: Decimal = Decimal("0.25")
    kelly_trades_min: int = 100

    def __post_init__(self) -> None:
        percent("sizing.equity_percent", self.equity_percent, Decimal(10_000))
        percent("sizing.depth_share_percent_max", self.depth_share_percent_max, Decimal(100))
        between("sizing.confidence_floor", self.confidence_floor, Decimal(0), Decimal(1))
        between("sizing.kelly_fraction", self.kelly_fraction, Decimal(0), Decimal(1))
        between("sizing.volatility_scale_max", self.volatility_scale_max, Decimal(0), Decimal(10))
        if self.volatility_target_percent is not None:
            percent(
                "sizing.volatility_target_percent", self.volatility_target_percent, Decimal(1000)
            )
        whole("sizing.depth_levels", self.depth_levels, 1, 1000)
        whole("sizing.kelly_trades_min", self.kelly_trades_min, 20, 1_000_000)
