"""Owns the list of orders that a state folder promised; refuses to ask a venue.

Read from the journals by their index. Prices and sizes become exact text where a recorded session
knows the instrument; units are told in any case.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

from tickwright.app.session_facts import instruments_in, sessions_of
from tickwright.app.trader_folder import TraderFolder
from tickwright.app.venue_orders import VenueAccountOrders
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.storage.journal_index import IndexedOrder

__all__ = [
    "Instruments",
    "JournalLine",
    "OrderLine",
    "OrdersReport",
    "lines_of",
    "order_line",
    "read_orders",
]

OPEN = "open"
_SESSIONS_FOR_INSTRUMENTS = 20
"""Sessions looked at for an instrument's decimals, newest first."""


class Instruments:
    """The instruments that recorded sessions know, read when first asked for."""

    def __init__(self, sessions: Path) -> None:
        self._folder = sessions
        self._known: dict[InstrumentId, Instrument] | None = None

    def get(self, venue: str, category: str, symbol: str) -> Instrument | None:
        """Return an instrument; None when no session recorded it."""
        if self._known is None:
            self._known = {}
            for number, session in enumerate(sessions_of(self._folder)):
                if number >= _SESSIONS_FOR_INSTRUMENTS:
                    break
                self._known = instruments_in(session.folder) | self._known
        return self._known.get(InstrumentId(venue, Category(category), symbol))


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One promised order. `state` is `open` until the journal knows its end.

    `size`, `price` and `filled` are null where no recorded session knows the instrument; a market
    order has no price.
    """

    client_id: str
    account: str
    strategy_id: str
    instrument: str
    side: str
    type: str
    size: Decimal | None
    price: Decimal | None
    size_units: int
    price_units: int | None
    reduce_only: bool
    is_conditional: bool
    promised_ns: int
    epoch: int
    amends: int
    cancels: int
    state: str
    filled: Decimal | None
    filled_units: int | None
    settled_ns: int | None


class JournalLine(msgspec.Struct, frozen=True, kw_only=True):
    """One account's journal: orders known, those without an end, and why it can't be read."""

    account: str
    folder: str
    orders: int
    open: int
    fault: str


class OrdersReport(msgspec.Struct, frozen=True, kw_only=True):
    """Promised orders, oldest first, of all accounts of a configuration.

    `venues` is null when no venue was asked.
    """

    state_folder: str
    journals: tuple[JournalLine, ...]
    orders: tuple[OrderLine, ...]
    venues: tuple[VenueAccountOrders, ...] | None = None

    @property
    def is_good(self) -> bool:
        """Whether the journals could be read and no venue shows something else."""
        venues = self.venues or ()
        return not self.faults and not any(one.fault or one.differences for one in venues)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why a journal can't be read to its end."""
        return tuple(line.fault for line in self.journals if line.fault)


def read_orders(
    where: TraderFolder,
    *,
    is_open: bool = False,
    strategy_id: str | None = None,
    symbol: str | None = None,
    last: int | None = None,
) -> OrdersReport:
    """Return what the journals promised; of `last`, the newest so many.

    Raises:
        ConfigError: an account names no venue.
    """
    instruments = Instruments(where.sessions)
    journals: list[JournalLine] = []
    found: list[IndexedOrder] = []
    for account, folder in where.journals().items():
        with where.index(folder) as index:
            found += index.orders(
                is_open=is_open, strategy_id=strategy_id, symbol=symbol, last=last
            )
            journals.append(
                JournalLine(
                    account=account,
                    folder=str(folder),
                    orders=index.order_count,
                    open=index.open_count,
                    fault=index.fault,
                )
            )
    found.sort(key=lambda order: (order.promised_ns, order.number))
    return OrdersReport(
        state_folder=str(where.state),
        journals=tuple(journals),
        orders=lines_of(found if last is None else found[-last:], instruments),
    )


def lines_of(orders: Iterable[IndexedOrder], instruments: Instruments) -> tuple[OrderLine, ...]:
    """Return orders as people read them."""
    return tuple(
        order_line(one, instruments.get(one.venue, one.category, one.symbol)) for one in orders
    )


def order_line(order: IndexedOrder, instrument: Instrument | None) -> OrderLine:
    """Return one order as people read it."""
    size = price = filled = None
    if instrument is not None:
        size = instrument.quantity(order.size_units)
        if order.price_units is not None:
            price = instrument.price(order.price_units)
        if order.filled_units is not None:
            filled = instrument.quantity(order.filled_units)
    return OrderLine(
        client_id=order.client_id,
        account=order.account,
        strategy_id=order.strategy_id,
        instrument=f"{order.venue}:{order.category}:{order.symbol}",
        side="buy" if order.side > 0 else "sell",
        type=order.order_type,
        size=size,
        price=price,
        size_units=order.size_units,
        price_units=order.price_units,
        reduce_only=order.reduce_only,
        is_conditional=order.trigger_price_units is not None,
        promised_ns=order.promised_ns,
        epoch=order.epoch,
        amends=order.amends,
        cancels=order.cancels,
        state=order.state or OPEN,
        filled=filled,
        filled_units=order.filled_units,
        settled_ns=order.settled_ns,
    )
