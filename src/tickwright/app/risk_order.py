"""Owns the text of a hypothetical order: read strictly, every mistake told; refuses to judge it.

`SIDE:SYMBOL:SIZE[:PRICE]`, such as `buy:BTCUSDT:0.01:60000`; without a price it is a market order.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from tickwright.app.config import Config, LoadedStrategy
from tickwright.core.errors import ConfigError, UnitsError
from tickwright.core.identity import AccountId, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.nearest import nearest
from tickwright.core.orders import OrderIntent, OrderType, Purpose, Side, TimeInForce
from tickwright.core.units import units_from_decimal

__all__ = [
    "OrderWish",
    "account_of",
    "find_strategy",
    "instrument_id_of",
    "intent_of",
    "parse_order",
]

_FORM = "write SIDE:SYMBOL:SIZE[:PRICE], such as buy:BTCUSDT:0.01:60000"
_TEXT_MAX = 200
_DIGITS_MAX = 18


class OrderWish(msgspec.Struct, frozen=True, kw_only=True):
    """A hypothetical order as asked for; `price` None is a market order."""

    side: Side
    symbol: str
    size: Decimal
    price: Decimal | None
    reduce_only: bool = False

    def __str__(self) -> str:
        price = "at market" if self.price is None else f"@ {self.price}"
        only = ", reduce only" if self.reduce_only else ""
        return f"{self.side.name.lower()} {self.size} {self.symbol} {price}{only}"


def parse_order(text: str, *, reduce_only: bool = False) -> OrderWish:
    """Read the text form.

    Raises:
        ConfigError: it has another form, or a figure that no order can have.
    """
    parts = text.split(":")
    if len(text) > _TEXT_MAX or len(parts) not in (3, 4):
        raise ConfigError(f"--order {text[:_TEXT_MAX]!r}: {_FORM}")
    sides = {side.name.lower(): side for side in Side}
    side = sides.get(parts[0].lower())
    if side is None:
        raise ConfigError(f"--order {text!r}: side {parts[0]!r} is none; choose buy or sell")
    if not parts[1]:
        raise ConfigError(f"--order {text!r} names no symbol; {_FORM}")
    return OrderWish(
        side=side,
        symbol=parts[1],
        size=_figure(text, "size", parts[2]),
        price=_figure(text, "price", parts[3]) if len(parts) == 4 else None,
        reduce_only=reduce_only,
    )


def _figure(text: str, name: str, figure: str) -> Decimal:
    try:
        value = Decimal(figure)
    except InvalidOperation:
        raise ConfigError(f"--order {text!r}: {name} {figure!r} is no number") from None
    if not value.is_finite() or value <= 0:
        raise ConfigError(f"--order {text!r}: {name} {figure} must be a number above 0")
    # Digits beyond these are told at once, before anybody computes with such a number.
    if not -_DIGITS_MAX <= value.adjusted() <= _DIGITS_MAX:
        raise ConfigError(f"--order {text!r}: {name} {figure} is beyond what any order can have")
    return value


def find_strategy(config: Config, wish: OrderWish, strategy_id: str | None) -> LoadedStrategy:
    """Return whose order it would be: the one named, or the only one that trades the symbol.

    Raises:
        ConfigError: none or several fit; the text names the nearest.
    """
    strategies = config.strategies
    if strategy_id is not None:
        chosen = [one for one in strategies if one.id == strategy_id]
        if not chosen:
            hint = nearest(strategy_id, [one.id for one in strategies], what="strategies")
            raise ConfigError(f"--strategy {strategy_id!r}: no such strategy; {hint}")
        if wish.symbol not in chosen[0].symbols:
            raise _not_traded(wish.symbol, chosen, f"strategy {strategy_id} doesn't trade")
        return chosen[0]
    fitting = [one for one in strategies if wish.symbol in one.symbols]
    if not fitting:
        raise _not_traded(wish.symbol, strategies, "no strategy trades")
    if len(fitting) > 1:
        names = ", ".join(one.id for one in fitting)
        raise ConfigError(
            f"--order {wish}: several strategies trade {wish.symbol}; name one by --strategy: "
            f"{names}"
        )
    return fitting[0]


def _not_traded(symbol: str, strategies: Sequence[LoadedStrategy], words: str) -> ConfigError:
    known = sorted({name for one in strategies for name in one.symbols})
    return ConfigError(f"--order: {words} {symbol!r}; {nearest(symbol, known, what='symbols')}")


def intent_of(wish: OrderWish, instrument: Instrument) -> OrderIntent:
    """Return the wish in the instrument's units; tick and lot are the gate's to judge.

    Raises:
        ConfigError: a figure has more decimals than the instrument, or is too large for any order.
    """
    size_units = _units(wish.size, instrument.size_decimals, "size", instrument)
    price_units = None
    if wish.price is not None:
        price_units = _units(wish.price, instrument.price_decimals, "price", instrument)
    return OrderIntent(
        instrument_id=instrument.id,
        side=wish.side,
        size_units=size_units,
        order_type=OrderType.MARKET if price_units is None else OrderType.LIMIT,
        price_units=price_units,
        time_in_force=TimeInForce.IOC if price_units is None else TimeInForce.GTC,
        reduce_only=wish.reduce_only,
        purpose=Purpose.CLOSE if wish.reduce_only else Purpose.OPEN,
        reason="asked about by a person",
    )


def _units(value: Decimal, decimals: int, name: str, instrument: Instrument) -> int:
    try:
        return units_from_decimal(value, decimals)
    except UnitsError as error:
        raise ConfigError(f"--order: {name} of {instrument.symbol}: {error}") from None


def account_of(config: Config, strategy: LoadedStrategy) -> AccountId:
    """Return the account a strategy trades on."""
    return config.account_id(strategy.account)


def instrument_id_of(config: Config, strategy: LoadedStrategy, symbol: str) -> InstrumentId:
    """Return the instrument a strategy means by a symbol."""
    return InstrumentId(config.file.venues[strategy.venue].kind, strategy.category, symbol)
