"""Owns correlation groups: instruments whose exposures count as one; refuses to guess correlation.

What moves together is the trader's knowledge and is named in the configuration.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from tickwright.core.errors import ConfigError
from tickwright.core.identity import InstrumentId
from tickwright.risk.figures import percent

__all__ = [
    "GROUPS_MAX",
    "GROUP_SYMBOLS_MAX",
    "RiskGroup",
    "check_groups",
    "check_symbols",
    "names_instrument",
]

GROUPS_MAX = 32
"""Groups an account may have."""
GROUP_SYMBOLS_MAX = 64
"""Symbols a group may name: every order in one of them looks at all of them."""


class RiskGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Instruments that count as one, working orders and unknown requests included.

    `direction` says what is summed: `gross` the sizes of all exposures, `net` their signed sum to
    either side, `long` or `short` the exposures of that side alone. `exposure_percent_max` is in %
    of equity. `symbols` are written `BTCUSDT` or `venue:category:BTCUSDT`.
    """

    name: str
    symbols: tuple[str, ...]
    exposure_percent_max: Decimal
    direction: Literal["gross", "net", "long", "short"] = "gross"

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise ConfigError(f"risk.groups has an entry named {self.name!r}; name it")
        key = f"groups.{self.name}"
        percent(f"{key}.exposure_percent_max", self.exposure_percent_max, Decimal(10_000))
        if not 2 <= len(self.symbols) <= GROUP_SYMBOLS_MAX:
            raise ConfigError(
                f"risk.{key}.symbols has {len(self.symbols)}; name 2 to {GROUP_SYMBOLS_MAX}"
            )
        if len(set(self.symbols)) != len(self.symbols):
            raise ConfigError(f"risk.{key}.symbols names one twice; name each once")
        check_symbols(f"{key}.symbols", self.symbols)

    def holds(self, instrument_id: InstrumentId) -> bool:
        """Whether an instrument belongs to the group."""
        return names_instrument(self.symbols, instrument_id)


def names_instrument(symbols: tuple[str, ...], instrument_id: InstrumentId) -> bool:
    """Whether a list names an instrument, by its symbol or in full."""
    return instrument_id.symbol in symbols or str(instrument_id) in symbols


def check_symbols(key: str, symbols: tuple[str, ...]) -> None:
    """Raise ConfigError for a name that can be no symbol."""
    for symbol in symbols:
        if not symbol or symbol != symbol.strip():
            raise ConfigError(f"risk.{key} has {symbol!r}; write a symbol such as BTCUSDT")
        if ":" in symbol:
            InstrumentId.parse(symbol)


def check_groups(groups: tuple[RiskGroup, ...], exposure_percent_max: Decimal) -> None:
    """Raise ConfigError for groups that contradict each other or the account's exposure."""
    if len(groups) > GROUPS_MAX:
        raise ConfigError(f"risk.groups has {len(groups)} entries; at most {GROUPS_MAX}")
    names = [group.name for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"risk.groups names {name!r} twice; name each group once")
    for group in groups:
        if group.exposure_percent_max > exposure_percent_max:
            raise ConfigError(
                f"risk.groups.{group.name}.exposure_percent_max {group.exposure_percent_max} is "
                f"above risk.exposure_percent_max {exposure_percent_max} and could never be "
                "reached: lower it or raise exposure_percent_max"
            )
