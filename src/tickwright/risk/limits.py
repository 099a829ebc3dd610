"""Owns the trader's own limits as typed configuration; refuses limits that contradict each other.

Percentages are of equity, of the account the order is for. Overrides for a strategy or a symbol
replace the account's figure for their orders; where both name one, the stricter counts. What
belongs to the whole account (exposure, leverage, losses, rates) can't be overridden, because one
strategy's leave would be another one's loss.
"""

from decimal import Decimal

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import InstrumentId
from tickwright.risk.protections_config import ProtectionLimits

__all__ = ["LimitOverrides", "RiskLimits", "SizingLimits"]


def _percent(key: str, value: Decimal, most: Decimal) -> None:
    _between(key, value, Decimal("0.0001"), most)
    if value * 10_000 != int(value * 10_000):
        raise ConfigError(f"risk.{key} is {value}; write at most four decimals")


def _between(key: str, value: Decimal, least: Decimal, most: Decimal) -> None:
    if not value.is_finite() or not least <= value <= most:
        raise ConfigError(f"risk.{key} is {value}; choose a number from {least} to {most}")


def _whole(key: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(f"risk.{key} is {value}; choose a whole number from {least} to {most}")


class SizingLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a signal becomes a size, before the gate has its say.

    `equity_percent`: notional at full confidence. `confidence_floor`: the fraction of it a
    confidence of 0 gets; in between it rises evenly. `volatility_target_percent`: wished deviation
    of returns over the interval the caller's `volatility` is measured in; None leaves it out;
    `volatility_scale_max` bounds how far a calm market may raise the size.
    `depth_share_percent_max`: share of the visible size within `depth_levels` levels of the side to
    be taken. `kelly_fraction`: part of the Kelly size used as a further cap, once
    `kelly_trades_min` closed trades are known.
    """

    equity_percent: Decimal = Decimal(10)
    confidence_floor: Decimal = Decimal("0.2")
    volatility_target_percent: Decimal | None = None
    volatility_scale_max: Decimal = Decimal(1)
    depth_share_percent_max: Decimal = Decimal(20)
    depth_levels: int = 10
    kelly_fraction: Decimal = Decimal("0.25")
    kelly_trades_min: int = 100

    def __post_init__(self) -> None:
        _percent("sizing.equity_percent", self.equity_percent, Decimal(10_000))
        _percent("sizing.depth_share_percent_max", self.depth_share_percent_max, Decimal(100))
        _between("sizing.confidence_floor", self.confidence_floor, Decimal(0), Decimal(1))
        _between("sizing.kelly_fraction", self.kelly_fraction, Decimal(0), Decimal(1))
        _between("sizing.volatility_scale_max", self.volatility_scale_max, Decimal(0), Decimal(10))
        if self.volatility_target_percent is not None:
            _percent(
                "sizing.volatility_target_percent", self.volatility_target_percent, Decimal(1000)
            )
        _whole("sizing.depth_levels", self.depth_levels, 1, 1000)
        _whole("sizing.kelly_trades_min", self.kelly_trades_min, 20, 1_000_000)


class LimitOverrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one strategy or one symbol, as in `RiskLimits`; None leaves the account's."""

    position_percent_max: Decimal | None = None
    order_notional_usdt_max: Decimal | None = None
    open_orders_per_instrument_max: int | None = None
    book_age_ms_max: int | None = None
    spread_bps_max: Decimal | None = None
    price_band_bps_max: Decimal | None = None
    confidence_min: Decimal | None = None
    deny_conflicting_position: bool | None = None
    deny_opposite_orders: bool | None = None
    reduce_only: bool | None = None


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one account may do.

    - `position_percent_max`: notional of one instrument, working orders included, in % of equity.
    - `order_notional_usdt_max`: notional of one order, in the equity asset.
    - `exposure_percent_max`: sum of all instruments' notionals, working orders and unknown requests
      included, in % of equity. `leverage_max`: the same sum as a factor of equity; the smaller of
      the two speaks.
    - `daily_loss_percent_max`: loss since the day's start, unrealised, fees and funding included
      and net of transfers, in % of the day's first equity; once reached, nothing is opened until
      the next day.
    - `drawdown_percent_max`: fall from the highest equity; once reached, nothing is opened until a
      person resets it.
    - `open_orders_per_instrument_max`: unfinished orders; at the bound nothing is opened there.
      `unknown_requests_per_instrument_max`: requests whose outcome is unknown; the same above it.
    - `orders_per_second_max`, `orders_per_minute_max`: approved orders; closing orders may use
      twice that.
    - `book_age_ms_max`: since the book's last proof. `spread_bps_max`: of the mid, for opening.
    - `price_band_bps_max`: how far a limit, trigger or worst market price may be from the mid and
      the mark; a triggered limit, from its trigger.
    - `deny_conflicting_position`: refuse to open against the account's position; close it first.
      `deny_opposite_orders`: refuse to open while opposite orders work (leave it off to quote both
      sides).
    - `confidence_min`: signals below it are refused. `reduce_only`: nothing is opened.
    - `reduce_to_fit`: an order over a size limit shrinks to what is left of it, instead of being
      refused; orders that must fill whole are always refused.
    - `protections`: what restricts trading over time, see `ProtectionLimits`.
    - `strategies` by strategy id, `symbols` by `BTCUSDT` or `venue:category:BTCUSDT` (which wins).
    """

    position_percent_max: Decimal = Decimal(20)
    order_notional_usdt_max: Decimal = Decimal(10_000)
    exposure_percent_max: Decimal = Decimal(100)
    leverage_max: Decimal = Decimal(3)
    daily_loss_percent_max: Decimal = Decimal(3)
    drawdown_percent_max: Decimal = Decimal(15)
    open_orders_per_instrument_max: int = 10
    unknown_requests_per_instrument_max: int = 2
    orders_per_second_max: int = 10
    orders_per_minute_max: int = 300
    book_age_ms_max: int = 5_000
    spread_bps_max: Decimal = Decimal(50)
    price_band_bps_max: Decimal = Decimal(500)
    confidence_min: Decimal = Decimal(0)
    deny_conflicting_position: bool = True
    deny_opposite_orders: bool = False
    reduce_only: bool = False
    reduce_to_fit: bool = True
    sizing: SizingLimits = SizingLimits()
    protections: ProtectionLimits = ProtectionLimits()
    strategies: dict[str, LimitOverrides] = {}
    symbols: dict[str, LimitOverrides] = {}

    def __post_init__(self) -> None:
        _percent("position_percent_max", self.position_percent_max, Decimal(10_000))
        _percent("exposure_percent_max", self.exposure_percent_max, Decimal(10_000))
        _between("leverage_max", self.leverage_max, Decimal("0.01"), Decimal(125))
        _percent("daily_loss_percent_max", self.daily_loss_percent_max, Decimal(100))
        _percent("drawdown_percent_max", self.drawdown_percent_max, Decimal(100))
        _order_limits("", self)
        _whole(
            "unknown_requests_per_instrument_max",
            self.unknown_requests_per_instrument_max,
            0,
            1000,
        )
        _whole("orders_per_second_max", self.orders_per_second_max, 1, 10_000)
        _whole("orders_per_minute_max", self.orders_per_minute_max, 1, 100_000)
        self._refuse_contradictions()
        for kind, overrides in (("strategies", self.strategies), ("symbols", self.symbols)):
            for name, override in overrides.items():
                if not name:
                    raise ConfigError(f"risk.{kind} has an entry without a name; name it")
                if kind == "symbols" and ":" in name:
                    InstrumentId.parse(name)
                _order_limits(f"{kind}.{name}.", override)
                self._refuse_beyond_exposure(
                    f"{kind}.{name}.position_percent_max", override.position_percent_max
                )

    def _refuse_contradictions(self) -> None:
        self._refuse_beyond_exposure("position_percent_max", self.position_percent_max)
        if self.daily_loss_percent_max > self.drawdown_percent_max:
            raise ConfigError(
                f"risk.daily_loss_percent_max {self.daily_loss_percent_max} is above "
                f"risk.drawdown_percent_max {self.drawdown_percent_max} and could never be "
                "reached: lower it or raise drawdown_percent_max"
            )
        if self.orders_per_second_max > self.orders_per_minute_max:
            raise ConfigError(
                f"risk.orders_per_second_max {self.orders_per_second_max} is above "
                f"risk.orders_per_minute_max {self.orders_per_minute_max} and could never be "
                "reached: lower it or raise orders_per_minute_max"
            )

    def _refuse_beyond_exposure(self, key: str, percent: Decimal | None) -> None:
        if percent is not None and percent > self.exposure_percent_max:
            raise ConfigError(
                f"risk.{key} {percent} is above risk.exposure_percent_max "
                f"{self.exposure_percent_max} and could never be reached: lower it or raise "
                "exposure_percent_max"
            )


def _order_limits(scope: str, limits: RiskLimits | LimitOverrides) -> None:
    if limits.position_percent_max is not None:
        _percent(f"{scope}position_percent_max", limits.position_percent_max, Decimal(10_000))
    if limits.order_notional_usdt_max is not None:
        _between(
            f"{scope}order_notional_usdt_max",
            limits.order_notional_usdt_max,
            Decimal("0.01"),
            Decimal(10) ** 12,
        )
    if limits.open_orders_per_instrument_max is not None:
        key = f"{scope}open_orders_per_instrument_max"
        _whole(key, limits.open_orders_per_instrument_max, 1, 10_000)
    if limits.book_age_ms_max is not None:
        _whole(f"{scope}book_age_ms_max", limits.book_age_ms_max, 1, 600_000)
    if limits.spread_bps_max is not None:
        _between(f"{scope}spread_bps_max", limits.spread_bps_max, Decimal("0.01"), Decimal(10_000))
    if limits.price_band_bps_max is not None:
        key = f"{scope}price_band_bps_max"
        _between(key, limits.price_band_bps_max, Decimal("0.01"), Decimal(10_000))
    if limits.confidence_min is not None:
        _between(f"{scope}confidence_min", limits.confidence_min, Decimal(0), Decimal(1))
