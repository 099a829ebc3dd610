"""Owns limits as whole numbers ready for comparing, bound to a strategy and an instrument.

Refuses to read configuration: `limits` did, and found no contradiction.
"""

from typing import Any

from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.units import money_from_decimal
from tickwright.risk.limits import LimitOverrides, RiskLimits, SizingLimits

__all__ = ["PARTS", "BoundLimits", "BoundSizing", "bind"]

PARTS = 1_000_000
"""Percentages are kept as parts per million of equity: 1 % is 10,000."""


class BoundSizing:
    """`SizingLimits` as numbers ready for computing, because sizing is on the order path.

    Parts are parts per million: of equity, of a fraction, of the visible depth. `configured` keeps
    the figures as a person wrote them.
    """

    __slots__ = (
        "confidence_floor_parts",
        "configured",
        "depth_levels",
        "depth_parts",
        "equity_parts",
        "kelly_fraction",
        "kelly_trades_min",
        "volatility_scale_parts_max",
        "volatility_target",
    )

    def __init__(self, sizing: SizingLimits) -> None:
        target = sizing.volatility_target_percent
        self.configured = sizing
        self.equity_parts = int(sizing.equity_percent * 10_000)
        self.confidence_floor_parts = int(sizing.confidence_floor * PARTS)
        self.volatility_target = None if target is None else float(target) / 100.0
        self.volatility_scale_parts_max = int(sizing.volatility_scale_max * PARTS)
        self.depth_levels = sizing.depth_levels
        self.depth_parts = int(sizing.depth_share_percent_max * 10_000)
        self.kelly_fraction = float(sizing.kelly_fraction)
        self.kelly_trades_min = sizing.kelly_trades_min


class BoundLimits:
    """The limits of one (strategy, instrument) as whole numbers, ready for comparing.

    Parts are parts per million of equity; money in units of 10^-18 of the equity asset; times in
    ns; `spread_parts` and `band_parts` parts per million of the mid.
    """

    __slots__ = (
        "band_parts",
        "book_age_ns",
        "confidence_min",
        "daily_loss_parts",
        "deny_conflicting_position",
        "deny_opposite_orders",
        "drawdown_parts",
        "exposure_parts",
        "gross_parts",
        "leverage_parts",
        "open_orders",
        "order_notional",
        "orders_per_minute",
        "orders_per_second",
        "position_parts",
        "reduce_only",
        "reduce_to_fit",
        "sizing",
        "spread_parts",
        "unknown_requests",
    )

    def __init__(self, limits: RiskLimits, scopes: tuple[LimitOverrides, ...]) -> None:
        def least(name: str) -> Any:
            named = [value for s in scopes if (value := getattr(s, name)) is not None]
            return min(named) if named else getattr(limits, name)

        def any_of(name: str) -> bool:
            named = [value for s in scopes if (value := getattr(s, name)) is not None]
            return any(named) if named else bool(getattr(limits, name))

        confidences = [s.confidence_min for s in scopes if s.confidence_min is not None]
        self.position_parts = int(least("position_percent_max") * 10_000)
        self.order_notional = money_from_decimal(least("order_notional_usdt_max"))
        self.open_orders = int(least("open_orders_per_instrument_max"))
        self.book_age_ns = int(least("book_age_ms_max")) * 1_000_000
        self.spread_parts = int(least("spread_bps_max") * 100)
        self.band_parts = int(least("price_band_bps_max") * 100)
        self.confidence_min = float(max(confidences) if confidences else limits.confidence_min)
        self.deny_conflicting_position = any_of("deny_conflicting_position")
        self.deny_opposite_orders = any_of("deny_opposite_orders")
        # A mode that only closes is never lifted by an override: whoever asks for it gets it.
        self.reduce_only = limits.reduce_only or any_of("reduce_only")
        self.exposure_parts = int(limits.exposure_percent_max * 10_000)
        self.leverage_parts = int(limits.leverage_max * PARTS)
        self.gross_parts = min(self.exposure_parts, self.leverage_parts)
        self.daily_loss_parts = int(limits.daily_loss_percent_max * 10_000)
        self.drawdown_parts = int(limits.drawdown_percent_max * 10_000)
        self.unknown_requests = limits.unknown_requests_per_instrument_max
        self.orders_per_second = limits.orders_per_second_max
        self.orders_per_minute = limits.orders_per_minute_max
        self.reduce_to_fit = limits.reduce_to_fit
        self.sizing = BoundSizing(limits.sizing)


def bind(limits: RiskLimits, strategy_id: StrategyId, instrument_id: InstrumentId) -> BoundLimits:
    """Return the limits that count for a strategy's orders in an instrument."""
    scopes = []
    strategy = limits.strategies.get(strategy_id)
    if strategy is not None:
        scopes.append(strategy)
    symbol = limits.symbols.get(str(instrument_id)) or limits.symbols.get(instrument_id.symbol)
    if symbol is not None:
        scopes.append(symbol)
    return BoundLimits(limits, tuple(scopes))
