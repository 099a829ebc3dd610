"""Owns the trader's own limits as typed configuration; refuses limits that contradict each other.

Percentages are of equity, of the account the order is for. Overrides for a strategy or a symbol
replace the account's figure for their orders; where both name one, the stricter counts. What
belongs to the whole account (exposure, margin, losses, rates, groups) can't be overridden, because
one strategy's leave would be another one's loss.
"""

from decimal import Decimal

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import InstrumentId
from tickwright.risk.figures import between, percent, whole
from tickwright.risk.groups import RiskGroup, check_groups, check_symbols
from tickwright.risk.hours import TradingHours
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.risk.sizing_limits import SizingLimits

__all__ = ["LimitOverrides", "RiskGroup", "RiskLimits", "SizingLimits"]

MONEY_MAX = Decimal(10) ** 12
"""Most a configured sum of money may be."""


class LimitOverrides(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one strategy or one symbol, as in `RiskLimits`; None leaves the account's.

    `margin_leverage` is for symbols alone; `symbols_allowed`, `symbols_denied` and
    `loss_streak_max` (which then counts the strategy's own trades) are for strategies alone.
    """

    position_percent_max: Decimal | None = None
    position_notional_usdt_max: Decimal | None = None
    order_notional_usdt_max: Decimal | None = None
    order_size_max: Decimal | None = None
    margin_leverage: Decimal | None = None
    loss_streak_max: int | None = None
    open_orders_per_instrument_max: int | None = None
    unknown_requests_per_instrument_max: int | None = None
    book_age_ms_max: int | None = None
    mark_age_ms_max: int | None = None
    spread_bps_max: Decimal | None = None
    depth_notional_usdt_min: Decimal | None = None
    price_band_bps_max: Decimal | None = None
    trading_hours: tuple[str, ...] | None = None
    funding_pause_before_s: int | None = None
    funding_pause_after_s: int | None = None
    symbols_allowed: tuple[str, ...] | None = None
    symbols_denied: tuple[str, ...] | None = None
    confidence_min: Decimal | None = None
    deny_conflicting_position: bool | None = None
    deny_opposite_orders: bool | None = None
    reduce_only: bool | None = None
    reduce_to_fit: bool | None = None


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one account may do; a limit that is None is off.

    Sizes, working orders and unknown requests always included:

    - `order_notional_usdt_max`, `order_size_max`: one order, in the equity asset and in the
      venue's size unit (base asset, contracts, or quote asset of an inverse contract).
    - `position_percent_max`, `position_notional_usdt_max`: one instrument, in % of equity and in
      the equity asset.
    - `exposure_percent_max`, `total_notional_usdt_max`: sum over all instruments, in % of equity
      and in the equity asset. `leverage_max`: the same sum as a factor of equity.
      `net_exposure_percent_max`: the signed sum, at its worst to either side.
      `positions_max`: instruments with a position or an order that may open one.
    - `margin_use_percent_max`: initial margin in % of equity, the larger of ours and the venue's
      last word. Ours is exposure / `margin_leverage` (at most the instrument's own), spot in full.
    - `groups`: instruments that count as one.

    Losses, at which nothing is opened:

    - `daily_loss_percent_max`: since the day's start, unrealised, fees and funding included and
      net of transfers, in % of the day's first equity; until the next day.
      `drawdown_percent_max`: from the highest equity; until a person resets it.
      `loss_streak_max`: closed trades in a row that lost; until a trade won or the next day.

    Flow. Closing orders may use twice the order rates; cancels and amends are never held back, at
    their bounds nothing is opened:

    - `orders_*`, `cancels_*`, `amends_*`: per second and per minute.
      `order_to_fill_ratio_max`: orders for each fill within `order_to_fill_window_s`, once there
      were `order_to_fill_orders_min` orders.
    - `open_orders_per_instrument_max`: unfinished orders; at the bound nothing is opened there.
      `unknown_requests_per_instrument_max`, `unknown_requests_max`: requests whose outcome is
      unknown, there and in the account; above it nothing is opened.

    Market, for opening (`book_age_ms_max` and `price_band_bps_max` for every order):

    - `book_age_ms_max`: since the book's last proof. `spread_bps_max`: of the mid.
      `depth_notional_usdt_min`: visible within `depth_levels` of the side to be taken.
      `mark_age_ms_max`: an older mark is frozen when the book has moved since.
      `price_band_bps_max`: how far a limit, trigger or worst market price may be from the mid and
      the mark; a triggered limit, from its trigger.
    - `clock_skew_ms_max`: distance to the venue's clock, uncertainty included; a clock nobody
      measured passes unless `deny_unknown_clock`.
    - `trading_hours`: windows in UTC, none for always. `funding_pause_before_s` and `_after_s`
      around an instrument's funding, 0 for no pause.
    - `symbols_allowed` (none for all) and `symbols_denied`.

    Modes: `deny_conflicting_position` refuses to open against the account's position;
    `deny_opposite_orders` to open while opposite orders work (leave it off to quote both sides).
    `confidence_min`: signals below it are refused. `reduce_only`: nothing is opened.
    `reduce_to_fit`: an order over a size limit shrinks to what is left of it, instead of being
    refused; orders that must fill whole are always refused.

    `strategies` by strategy id, `symbols` by `BTCUSDT` or `venue:category:BTCUSDT` (which wins).
    """

    position_percent_max: Decimal = Decimal(20)
    position_notional_usdt_max: Decimal | None = None
    order_notional_usdt_max: Decimal = Decimal(10_000)
    order_size_max: Decimal | None = None
    exposure_percent_max: Decimal = Decimal(100)
    net_exposure_percent_max: Decimal | None = None
    total_notional_usdt_max: Decimal | None = None
    leverage_max: Decimal = Decimal(3)
    margin_use_percent_max: Decimal = Decimal(80)
    margin_leverage: Decimal = Decimal(10)
    positions_max: int | None = None
    daily_loss_percent_max: Decimal = Decimal(3)
    drawdown_percent_max: Decimal = Decimal(15)
    loss_streak_max: int | None = None
    open_orders_per_instrument_max: int = 10
    unknown_requests_per_instrument_max: int = 2
    unknown_requests_max: int = 10
    orders_per_second_max: int = 10
    orders_per_minute_max: int = 300
    cancels_per_second_max: int = 50
    cancels_per_minute_max: int = 1_500
    amends_per_second_max: int = 50
    amends_per_minute_max: int = 1_500
    order_to_fill_ratio_max: Decimal | None = None
    order_to_fill_orders_min: int = 50
    order_to_fill_window_s: int = 600
    book_age_ms_max: int = 5_000
    mark_age_ms_max: int = 60_000
    spread_bps_max: Decimal = Decimal(50)
    depth_notional_usdt_min: Decimal | None = None
    depth_levels: int = 10
    price_band_bps_max: Decimal = Decimal(500)
    clock_skew_ms_max: int = 5_000
    deny_unknown_clock: bool = False
    trading_hours: tuple[str, ...] = ()
    funding_pause_before_s: int = 0
    funding_pause_after_s: int = 0
    symbols_allowed: tuple[str, ...] = ()
    symbols_denied: tuple[str, ...] = ()
    confidence_min: Decimal = Decimal(0)
    deny_conflicting_position: bool = True
    deny_opposite_orders: bool = False
    reduce_only: bool = False
    reduce_to_fit: bool = True
    sizing: SizingLimits = SizingLimits()
    protections: ProtectionLimits = ProtectionLimits()
    """What restricts trading over time."""
    groups: tuple[RiskGroup, ...] = ()
    strategies: dict[str, LimitOverrides] = {}
    symbols: dict[str, LimitOverrides] = {}

    def __post_init__(self) -> None:
        percent("exposure_percent_max", self.exposure_percent_max, Decimal(10_000))
        if self.net_exposure_percent_max is not None:
            percent("net_exposure_percent_max", self.net_exposure_percent_max, Decimal(10_000))
        if self.total_notional_usdt_max is not None:
            _money("total_notional_usdt_max", self.total_notional_usdt_max)
        between("leverage_max", self.leverage_max, Decimal("0.01"), Decimal(125))
        percent("margin_use_percent_max", self.margin_use_percent_max, Decimal(100))
        percent("daily_loss_percent_max", self.daily_loss_percent_max, Decimal(100))
        percent("drawdown_percent_max", self.drawdown_percent_max, Decimal(100))
        if self.order_to_fill_ratio_max is not None:
            between(
                "order_to_fill_ratio_max", self.order_to_fill_ratio_max, Decimal(1), Decimal(10_000)
            )
        for key, least, most in _WHOLE:
            value = getattr(self, key)
            if value is not None:
                whole(key, value, least, most)
        check_figures("", self)
        self._refuse_contradictions()
        check_groups(self.groups, self.exposure_percent_max)
        for kind, overrides in (("strategies", self.strategies), ("symbols", self.symbols)):
            for name, override in overrides.items():
                self._check_override(kind, name, override)

    def _check_override(self, kind: str, name: str, override: LimitOverrides) -> None:
        if not name:
            raise ConfigError(f"risk.{kind} has an entry without a name; name it")
        if kind == "symbols" and ":" in name:
            InstrumentId.parse(name)
        for key in _STRATEGY_KEYS if kind == "symbols" else _SYMBOL_KEYS:
            if getattr(override, key) is not None:
                other = "strategies" if kind == "symbols" else "symbols"
                raise ConfigError(
                    f"risk.{kind}.{name}.{key} can't be set for one of the {kind}: set it in "
                    f"risk or in risk.{other}"
                )
        scope = f"{kind}.{name}."
        check_figures(scope, override)
        _refuse_above(
            f"{scope}position_percent_max",
            override.position_percent_max,
            "exposure_percent_max",
            self.exposure_percent_max,
        )
        _refuse_above(
            f"{scope}position_notional_usdt_max",
            override.position_notional_usdt_max,
            "total_notional_usdt_max",
            self.total_notional_usdt_max,
        )
        _refuse_above(
            f"{scope}order_notional_usdt_max",
            override.order_notional_usdt_max,
            f"{scope}position_notional_usdt_max",
            override.position_notional_usdt_max,
        )
        _refuse_both(
            f"{scope}symbols_allowed",
            override.symbols_allowed or (),
            "symbols_denied",
            self.symbols_denied,
        )
        if override.trading_hours and self.trading_hours:
            own = TradingHours(override.trading_hours)
            if TradingHours(self.trading_hours).within(own).is_never:
                raise ConfigError(
                    f"risk.{scope}trading_hours is never open within risk.trading_hours: "
                    "let them overlap"
                )

    def _refuse_contradictions(self) -> None:
        for key, bound in _ORDERED:
            _refuse_above(key, getattr(self, key), bound, getattr(self, bound))
        _refuse_both("symbols_allowed", self.symbols_allowed, "symbols_denied", self.symbols_denied)


_WHOLE = (
    ("positions_max", 1, 100_000),
    ("unknown_requests_max", 0, 10_000),
    ("orders_per_second_max", 1, 10_000),
    ("orders_per_minute_max", 1, 100_000),
    ("cancels_per_second_max", 1, 10_000),
    ("cancels_per_minute_max", 1, 100_000),
    ("amends_per_second_max", 1, 10_000),
    ("amends_per_minute_max", 1, 100_000),
    ("order_to_fill_orders_min", 1, 1_000_000),
    ("order_to_fill_window_s", 60, 86_400),
    ("depth_levels", 1, 1_000),
    ("clock_skew_ms_max", 1, 600_000),
)
"""Whole numbers of the account, with their least and most."""
_ORDERED = (
    ("position_percent_max", "exposure_percent_max"),
    ("net_exposure_percent_max", "exposure_percent_max"),
    ("position_notional_usdt_max", "total_notional_usdt_max"),
    ("daily_loss_percent_max", "drawdown_percent_max"),
    ("unknown_requests_per_instrument_max", "unknown_requests_max"),
    ("orders_per_second_max", "orders_per_minute_max"),
    ("cancels_per_second_max", "cancels_per_minute_max"),
    ("amends_per_second_max", "amends_per_minute_max"),
)
"""The first of each would never speak above the second."""
_STRATEGY_KEYS = ("symbols_allowed", "symbols_denied", "loss_streak_max")
_SYMBOL_KEYS = ("margin_leverage",)


def _refuse_above(
    key: str, value: Decimal | int | None, bound: str, most: Decimal | int | None
) -> None:
    if value is not None and most is not None and value > most:
        raise ConfigError(
            f"risk.{key} {value} is above risk.{bound} {most} and could never be reached: "
            f"lower it or raise {bound.rpartition('.')[2]}"
        )


def _refuse_both(key: str, allowed: tuple[str, ...], other: str, denied: tuple[str, ...]) -> None:
    for symbol in allowed:
        if symbol in denied:
            raise ConfigError(f"risk.{key} and risk.{other} both name {symbol}: take it out of one")


def _money(key: str, value: Decimal) -> None:
    between(key, value, Decimal("0.01"), MONEY_MAX)


def check_figures(scope: str, limits: RiskLimits | LimitOverrides) -> None:
    """Raise ConfigError for a figure that may be overridden and is none."""
    if limits.position_percent_max is not None:
        percent(f"{scope}position_percent_max", limits.position_percent_max, Decimal(10_000))
    for key in ("position_notional_usdt_max", "order_notional_usdt_max", "depth_notional_usdt_min"):
        value = getattr(limits, key)
        if value is not None:
            _money(f"{scope}{key}", value)
    if limits.order_size_max is not None:
        between(f"{scope}order_size_max", limits.order_size_max, Decimal("1e-12"), MONEY_MAX)
    if limits.margin_leverage is not None:
        between(f"{scope}margin_leverage", limits.margin_leverage, Decimal(1), Decimal(125))
    for key, least, most in _WHOLE_ANYWHERE:
        value = getattr(limits, key)
        if value is not None:
            whole(f"{scope}{key}", value, least, most)
    for key in ("spread_bps_max", "price_band_bps_max"):
        value = getattr(limits, key)
        if value is not None:
            between(f"{scope}{key}", value, Decimal("0.01"), Decimal(10_000))
    if limits.confidence_min is not None:
        between(f"{scope}confidence_min", limits.confidence_min, Decimal(0), Decimal(1))
    if limits.trading_hours is not None:
        TradingHours(limits.trading_hours, key=f"risk.{scope}trading_hours")
    for key in ("symbols_allowed", "symbols_denied"):
        value = getattr(limits, key)
        if value is not None:
            check_symbols(f"{scope}{key}", value)


_WHOLE_ANYWHERE = (
    ("loss_streak_max", 1, 1_000),
    ("open_orders_per_instrument_max", 1, 10_000),
    ("unknown_requests_per_instrument_max", 0, 1_000),
    ("book_age_ms_max", 1, 600_000),
    ("mark_age_ms_max", 1, 3_600_000),
    ("funding_pause_before_s", 0, 3_600),
    ("funding_pause_after_s", 0, 3_600),
)
