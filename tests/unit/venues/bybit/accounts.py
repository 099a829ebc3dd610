"""Commands, keys and a listening host for the tests of the private side."""

from decimal import Decimal
from typing import Any

import msgspec

from tests.unit.venues.bybit.conftest import make_instrument
from tickwright.core.commands import AmendOrder, CancelOrder, PlaceOrder
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.events import Input
from tickwright.core.identity import (
    AccountId,
    Category,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
)
from tickwright.core.instrument import Capabilities, Instrument
from tickwright.core.orders import OrderType, Side, TimeInForce, TriggerBy
from tickwright.venues.bybit.sign import Credentials, Secret

ACCOUNT = AccountId("bybit", "main")
CLIENT = ClientId("twmr0a000000000001000000a1")
SECOND = 1_000_000_000
NOW = 1_790_134_712 * SECOND

SPOT_BTC = msgspec.structs.replace(
    make_instrument("BTCUSDT", price_decimals=2, size_decimals=6, category=Category.SPOT),
    capabilities=Capabilities(can_short=False, has_reduce_only=False, has_attached_brackets=False),
)
_INVERSE_BTC = msgspec.structs.replace(
    make_instrument("BTCUSD", size_decimals=0, category=Category.INVERSE), settle_asset="BTC"
)
HELD = {
    (instrument.id.category, instrument.symbol): instrument
    for instrument in (
        make_instrument("BTCUSDT"),
        make_instrument("ETHUSDT"),
        make_instrument("ETHPERP"),
        SPOT_BTC,
        _INVERSE_BTC,
    )
}
BTC = HELD[Category.LINEAR, "BTCUSDT"].id


def credentials() -> Credentials:
    """Return keys of no account."""
    return Credentials("K" * 18, Secret("S" * 36))


def instrument_of(category: Category, symbol: str) -> Instrument:
    """Look up one of the held instruments."""
    try:
        return HELD[category, symbol]
    except KeyError:
        raise InstrumentUnknown(f"{category.value} {symbol!r} is not loaded") from None


def instrument_by_id(instrument_id: InstrumentId) -> Instrument:
    """Look up by identity."""
    return instrument_of(instrument_id.category, instrument_id.symbol)


def place(**changes: Any) -> PlaceOrder:
    """Return a plain limit buy with the given changes."""
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "client_id": CLIENT,
        "instrument_id": BTC,
        "strategy_id": StrategyId("reversion"),
        "side": Side.BUY,
        "size_units": 100,
        "order_type": OrderType.LIMIT,
        "price_units": 6_180_050,
        "time_in_force": TimeInForce.GTC,
        "post_only": False,
        "reduce_only": False,
        "leg": Leg.NET,
        "stop_loss_price_units": None,
        "take_profit_price_units": None,
        "trigger_price_units": None,
        "trigger_by": TriggerBy.LAST,
        "valid_until_ns": 0,
        "event_id": 1,
    }
    return PlaceOrder(**(fields | changes))


def amend(**changes: Any) -> AmendOrder:
    """Return an amend of the price with the given changes."""
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "client_id": CLIENT,
        "venue_id": None,
        "instrument_id": BTC,
        "price_units": 6_170_000,
        "size_units": None,
        "event_id": 2,
    }
    return AmendOrder(**(fields | changes))


def cancel(**changes: Any) -> CancelOrder:
    """Return a cancel with the given changes."""
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "client_id": CLIENT,
        "venue_id": None,
        "instrument_id": BTC,
        "event_id": 3,
    }
    return CancelOrder(**(fields | changes))


class Listener:
    """Keeps what a session tells its owner."""

    def __init__(self) -> None:
        self.events: list[Input] = []
        self.told: list[tuple[str, ...]] = []

    def on_event(self, event: Input, now_ns: int) -> None:
        """Keep an input."""
        self.events.append(event)

    def on_ready(self, channel: str, now_ns: int) -> None:
        """Keep that a channel is ready."""
        self.told.append(("ready", channel))

    def on_unreadable(self, channel: str, text: str, now_ns: int) -> None:
        """Keep that something couldn't be read."""
        self.told.append(("unreadable", channel, text))

    def on_instrument_doubt(self, symbol: str) -> None:
        """Keep that an instrument is doubted."""
        self.told.append(("doubt", symbol))

    def on_login_refused(self, channel: str, code: int, text: str, now_ns: int) -> None:
        """Keep that a login was refused."""
        self.told.append(("refused", channel, str(code), text))


def money(text: str) -> int:
    """Return money units of an amount."""
    return int(Decimal(text) * 10**18)
