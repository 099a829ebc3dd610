"""Owns limits as whole numbers ready for comparing, bound to a strategy and an instrument.

Refuses to read configuration: `limits` did, and found no contradiction.
"""

from decimal import Decimal
from typing import Any

from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.units import money_from_decimal
from tickwright.risk.groups import RiskGroup, names_instrument
from tickwright.risk.hours import TradingHours
from tickwright.risk.limits import LimitOverrides, RiskLimits, SizingLimits

__all__ = ["NO_LIMIT", "PARTS", "BoundGroup", "BoundLimits", "BoundSizing", "bind", "margin_parts"]

PARTS = 1_000_000
"""Percentages are kept as parts per million of equity: 1 % is 10,000."""
NO_LIMIT = 10**48
"""Stands for a limit that is off: beyond every figure, so that nobody asks twice."""
SECOND_NS = 1_000_000_000


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
        "is_by_range",
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
        self.is_by_range = sizing.volatility_measure == "atr"
        self.volatility_target = None if target is None else float(target) / 100.0
        self.volatility_scale_parts_max = int(sizing.volatility_scale_max * PARTS)
        self.depth_levels = sizing.depth_levels
        self.depth_parts = int(sizing.depth_share_percent_max * 10_000)
        self.kelly_fraction = float(sizing.kelly_fraction)
        self.kelly_trades_min = sizing.kelly_trades_min


class BoundGroup:
    """A correlation group with its bound as parts of equity."""

    __slots__ = ("direction", "name", "parts", "symbols")

    def __init__(self, name: str, symbols: tuple[str, ...], direction: str, parts: int) -> None:
        self.name = name
        self.symbols = symbols
        self.direction = direction
        self.parts = parts

    @classmethod
    def of(cls, group: RiskGroup) -> "BoundGroup":
        """Bind a configured group."""
        parts = int(group.exposure_percent_max * 10_000)
        return cls(group.name, group.symbols, group.direction, parts)

    def holds(self, instrument_id: InstrumentId) -> bool:
        """Whether an instrument belongs to the group."""
        return names_instrument(self.symbols, instrument_id)


class BoundLimits:
    """The limits of one (strategy, instrument) as whole numbers, ready for comparing.

    Parts are parts per million of equity; money in units of 10^-18 of the equity asset; times in
    ns; `spread_parts` and `band_parts` parts per million of the mid. `NO_LIMIT` stands for off.
    """

    __slots__ = (
        "amends_per_minute",
        "amends_per_second",
        "band_parts",
        "book_age_ns",
        "cancels_per_minute",
        "cancels_per_second",
        "clock_skew_ns",
        "confidence_min",
        "daily_loss_parts",
        "deny_conflicting_position",
        "deny_opposite_orders",
        "deny_unknown_clock",
        "depth_levels",
        "depth_notional",
        "drawdown_parts",
        "exposure_parts",
        "fill_orders_min",
        "fill_ratio_parts",
        "funding_after_ns",
        "funding_before_ns",
        "gross_parts",
        "group_parts",
        "groups",
        "has_funding_pause",
        "has_hours",
        "has_loss_streak",
        "hours",
        "is_denied",
        "leverage_parts",
        "loss_streak",
        "loss_streak_own",
        "margin_use_parts",
        "mark_age_ns",
        "net_parts",
        "open_orders",
        "order_notional",
        "order_size",
        "orders_per_minute",
        "orders_per_second",
        "position_notional",
        "position_parts",
        "positions",
        "reduce_only",
        "reduce_to_fit",
        "sizing",
        "spread_parts",
        "sum_parts",
        "total_notional",
        "unknown_requests",
        "unknown_total",
    )

    def __init__(
        self,
        limits: RiskLimits,
        strategy: LimitOverrides | None = None,
        symbol: LimitOverrides | None = None,
        instrument_id: InstrumentId | None = None,
    ) -> None:
        scopes = [scope for scope in (strategy, symbol) if scope is not None]

        def named(name: str) -> list[Any]:
            return [value for s in scopes if (value := getattr(s, name)) is not None]

        def least(name: str) -> Any:
            return min(named(name), default=getattr(limits, name))

        def most(name: str) -> Any:
            return max(named(name), default=getattr(limits, name))

        def any_of(name: str) -> bool:
            return any(named(name)) if named(name) else bool(getattr(limits, name))

        # sizes
        self.order_notional = money_from_decimal(least("order_notional_usdt_max"))
        self.order_size: Decimal | None = least("order_size_max")
        self.position_parts = int(least("position_percent_max") * 10_000)
        self.position_notional = _money(least("position_notional_usdt_max"))
        self.exposure_parts = int(limits.exposure_percent_max * 10_000)
        self.net_parts = _parts(limits.net_exposure_percent_max)
        self.total_notional = _money(limits.total_notional_usdt_max)
        self.leverage_parts = int(limits.leverage_max * PARTS)
        self.gross_parts = min(self.exposure_parts, self.leverage_parts)
        self.margin_use_parts = int(limits.margin_use_percent_max * 10_000)
        self.positions = NO_LIMIT if limits.positions_max is None else limits.positions_max
        self.groups = tuple(
            BoundGroup.of(group)
            for group in limits.groups
            if instrument_id is not None and group.holds(instrument_id)
        )
        self.group_parts = min((group.parts for group in self.groups), default=NO_LIMIT)
        self.sum_parts = min(self.gross_parts, self.net_parts, self.group_parts)
        """A gross exposure within them keeps every limit of a sum."""
        # losses
        self.daily_loss_parts = int(limits.daily_loss_percent_max * 10_000)
        self.drawdown_parts = int(limits.drawdown_percent_max * 10_000)
        own = None if strategy is None else strategy.loss_streak_max
        self.loss_streak = limits.loss_streak_max or NO_LIMIT
        self.loss_streak_own = own or NO_LIMIT
        self.has_loss_streak = min(self.loss_streak, self.loss_streak_own) < NO_LIMIT
        # flow
        self.open_orders = int(least("open_orders_per_instrument_max"))
        self.unknown_requests = int(least("unknown_requests_per_instrument_max"))
        self.unknown_total = limits.unknown_requests_max
        self.orders_per_second = limits.orders_per_second_max
        self.orders_per_minute = limits.orders_per_minute_max
        self.cancels_per_second = limits.cancels_per_second_max
        self.cancels_per_minute = limits.cancels_per_minute_max
        self.amends_per_second = limits.amends_per_second_max
        self.amends_per_minute = limits.amends_per_minute_max
        ratio = limits.order_to_fill_ratio_max
        self.fill_ratio_parts = NO_LIMIT if ratio is None else int(ratio * PARTS)
        self.fill_orders_min = limits.order_to_fill_orders_min
        # market
        self.book_age_ns = int(least("book_age_ms_max")) * 1_000_000
        self.mark_age_ns = int(least("mark_age_ms_max")) * 1_000_000
        self.spread_parts = int(least("spread_bps_max") * 100)
        depth = most("depth_notional_usdt_min")
        self.depth_notional = 0 if depth is None else money_from_decimal(depth)
        self.depth_levels = limits.depth_levels
        self.band_parts = int(least("price_band_bps_max") * 100)
        self.clock_skew_ns = limits.clock_skew_ms_max * 1_000_000
        self.deny_unknown_clock = limits.deny_unknown_clock
        # moments and lists
        windows = [TradingHours.of(texts) for texts in named("trading_hours")]
        self.hours = TradingHours.of(limits.trading_hours) if not windows else windows[0]
        for other in windows[1:]:
            self.hours = self.hours.within(other)
        self.funding_before_ns = int(most("funding_pause_before_s")) * SECOND_NS
        self.funding_after_ns = int(most("funding_pause_after_s")) * SECOND_NS
        self.has_hours = bool(self.hours.texts)
        self.has_funding_pause = bool(self.funding_before_ns or self.funding_after_ns)
        self.is_denied = instrument_id is not None and _is_denied(limits, strategy, instrument_id)
        # modes
        self.confidence_min = float(most("confidence_min"))
        self.deny_conflicting_position = any_of("deny_conflicting_position")
        self.deny_opposite_orders = any_of("deny_opposite_orders")
        # A mode that only closes is never lifted by an override: whoever asks for it gets it.
        self.reduce_only = limits.reduce_only or any_of("reduce_only")
        shrinks = named("reduce_to_fit")
        self.reduce_to_fit = all(shrinks) if shrinks else limits.reduce_to_fit
        self.sizing = BoundSizing(limits.sizing)


def bind(limits: RiskLimits, strategy_id: StrategyId, instrument_id: InstrumentId) -> BoundLimits:
    """Return the limits that count for a strategy's orders in an instrument."""
    return BoundLimits(
        limits,
        limits.strategies.get(strategy_id),
        _of_symbol(limits, instrument_id),
        instrument_id,
    )


def margin_parts(limits: RiskLimits, instrument: Instrument) -> int:
    """Return how many parts per million of an exposure are initial margin, rounded up."""
    if instrument.is_spot:
        return PARTS
    symbol = _of_symbol(limits, instrument.id)
    leverage = limits.margin_leverage
    if symbol is not None and symbol.margin_leverage is not None:
        leverage = symbol.margin_leverage
    numerator, denominator = max(
        Decimal(1), min(leverage, instrument.leverage_max)
    ).as_integer_ratio()
    return -(-PARTS * denominator // numerator)


def _of_symbol(limits: RiskLimits, instrument_id: InstrumentId) -> LimitOverrides | None:
    return limits.symbols.get(str(instrument_id)) or limits.symbols.get(instrument_id.symbol)


def _is_denied(
    limits: RiskLimits, strategy: LimitOverrides | None, instrument_id: InstrumentId
) -> bool:
    """Whoever denies is heard, and every list of allowed symbols must have it."""
    for scope in (limits, strategy):
        if scope is None:
            continue
        if scope.symbols_denied and names_instrument(scope.symbols_denied, instrument_id):
            return True
        if scope.symbols_allowed and not names_instrument(scope.symbols_allowed, instrument_id):
            return True
    return False


def _money(amount: Decimal | None) -> int:
    return NO_LIMIT if amount is None else money_from_decimal(amount)


def _parts(share: Decimal | None) -> int:
    return NO_LIMIT if share is None else int(share * 10_000)
