"""Owns the settings of protections over time, units in the names; 0 switches one off.

Refuses values out of their range. Overrides for a strategy or a symbol replace the account's
figure; where both name one, the stricter counts: the lower threshold, the longer pause.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tickwright.core.errors import ConfigError
from tickwright.core.identity import InstrumentId, StrategyId

__all__ = [
    "BoundProtections",
    "ProtectionLimits",
    "StrategyProtections",
    "SymbolProtections",
    "bind_protections",
]

SECOND_NS = 1_000_000_000
_Pause = Annotated[int, Meta(ge=0, le=604_800)]
_Window = Annotated[int, Meta(ge=1, le=86_400)]
_Count = Annotated[int, Meta(ge=0, le=10_000)]
PERCENT_MAX = Decimal(1_000)


class StrategyProtections(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Protections of one strategy, as in `ProtectionLimits`; None leaves the account's."""

    cooldown_after_stop_s: _Pause | None = None
    losses_in_row_max: _Count | None = None
    loss_pause_s: _Pause | None = None
    equal_rejects_max: _Count | None = None
    flip_flops_max: _Count | None = None
    order_storm_max: _Count | None = None


class SymbolProtections(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Protections of one symbol, as in `ProtectionLimits`; None leaves the account's."""

    cooldown_after_stop_s: _Pause | None = None
    volatility_halt_percent: Decimal | None = None
    flip_flops_max: _Count | None = None

    def __post_init__(self) -> None:
        _percent("volatility_halt_percent", self.volatility_halt_percent)


class ProtectionLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When trading is restricted for a while, or until a person looks.

    - `cooldown_after_stop_s`: after a stop loss the strategy opens nothing in that instrument.
    - `losses_in_row_max`: so many losing trades of a strategy in a row pause it for `loss_pause_s`.
      A trade is a position from flat to flat (or to the other side), fees of its settle asset
      included.
    - `volatility_halt_percent`: realised volatility of an instrument over `volatility_window_s`
      (root of the summed squared log returns of the mid, one sample a second) at which nothing is
      opened in it by anybody, until it has been calmer for `volatility_pause_s`.
    - `equal_rejects_max`: so many equal refusals of the venue in a row within
      `equal_rejects_window_s` halt the strategy until a person lifts it.
    - `flip_flops_max`: so many changes of a strategy's direction in one instrument within
      `flip_flops_window_s` halt it there until a person lifts it.
    - `order_storm_max`: so many opening orders of a strategy within `order_storm_window_s` halt it
      until a person lifts it.
    - `strategies` by strategy id, `symbols` by `BTCUSDT` or `venue:category:BTCUSDT` (which wins).
    """

    cooldown_after_stop_s: _Pause = 30
    losses_in_row_max: _Count = 5
    loss_pause_s: _Pause = 900
    volatility_halt_percent: Decimal = Decimal(5)
    volatility_window_s: Annotated[int, Meta(ge=2, le=3_600)] = 60
    volatility_pause_s: _Pause = 120
    equal_rejects_max: _Count = 3
    equal_rejects_window_s: _Window = 300
    flip_flops_max: _Count = 30
    flip_flops_window_s: _Window = 60
    order_storm_max: _Count = 300
    order_storm_window_s: _Window = 60
    strategies: dict[str, StrategyProtections] = {}
    symbols: dict[str, SymbolProtections] = {}

    def __post_init__(self) -> None:
        _percent("risk.protections.volatility_halt_percent", self.volatility_halt_percent)
        for name in self.symbols:
            if ":" in name:
                InstrumentId.parse(name)


def _percent(key: str, value: Decimal | None) -> None:
    if value is None or value == 0:
        return
    if value.is_finite() and Decimal("0.01") <= value <= PERCENT_MAX:
        return
    raise ConfigError(f"{key} is {value}; choose 0 (off) or a number from 0.01 to {PERCENT_MAX}")


class BoundProtections:
    """The protections that count for one strategy in one instrument, times in ns.

    A `volatility_squares` of 0 and a count of 0 are off. `volatility_squares` is compared with the
    sum of squared log returns, each in units of 2^-40.
    """

    __slots__ = (
        "configured",
        "cooldown_ns",
        "equal_rejects",
        "equal_rejects_ns",
        "flip_flops",
        "flip_flops_ns",
        "loss_pause_ns",
        "losses_in_row",
        "order_storm",
        "order_storm_ns",
        "volatility_pause_ns",
        "volatility_percent",
        "volatility_window_s",
    )

    def __init__(
        self,
        limits: ProtectionLimits,
        strategy: StrategyProtections | None,
        symbol: SymbolProtections | None,
    ) -> None:
        def named(name: str) -> list[Any]:
            found = (getattr(scope, name, None) for scope in (strategy, symbol) if scope)
            return [value for value in found if value is not None]

        def longest(name: str) -> int:
            return int(max(named(name), default=getattr(limits, name)))

        def lowest(name: str) -> Any:
            return _lowest(named(name), getattr(limits, name))

        self.configured = limits
        self.cooldown_ns = longest("cooldown_after_stop_s") * SECOND_NS
        self.losses_in_row = int(lowest("losses_in_row_max"))
        self.loss_pause_ns = longest("loss_pause_s") * SECOND_NS
        self.volatility_percent: Decimal = lowest("volatility_halt_percent")
        self.volatility_window_s = limits.volatility_window_s
        self.volatility_pause_ns = limits.volatility_pause_s * SECOND_NS
        self.equal_rejects = int(lowest("equal_rejects_max"))
        self.equal_rejects_ns = limits.equal_rejects_window_s * SECOND_NS
        self.flip_flops = int(lowest("flip_flops_max"))
        self.flip_flops_ns = limits.flip_flops_window_s * SECOND_NS
        self.order_storm = int(lowest("order_storm_max"))
        self.order_storm_ns = limits.order_storm_window_s * SECOND_NS


def _lowest(named: Iterable[Any], default: Any) -> Any:
    """Return the strictest threshold: the lowest, but one that is off only when all are."""
    held = list(named)
    if not held:
        return default
    on = [value for value in held if value]
    return min(on) if on else held[0]


def bind_protections(
    limits: ProtectionLimits, strategy_id: StrategyId | None, instrument_id: InstrumentId | None
) -> BoundProtections:
    """Return what counts for a strategy in an instrument; None leaves one out."""
    strategy = None if strategy_id is None else limits.strategies.get(strategy_id)
    symbol = None
    if instrument_id is not None:
        symbol = limits.symbols.get(str(instrument_id)) or limits.symbols.get(instrument_id.symbol)
    return BoundProtections(limits, strategy, symbol)
