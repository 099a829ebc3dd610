"""Owns what a strategy may see and ask inside a callback; refuses to let it act on the world.

Views are live and valid inside the call only. A strategy keeps something by `.copy()`.
"""

from collections.abc import Iterable
from random import Random
from typing import NoReturn, Protocol, Unpack

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.errors import ConfigError
from tickwright.core.events import FundingUpdate
from tickwright.core.exits import Exits, ExitWishes
from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.core.instrument import FeeRates, Instrument
from tickwright.core.moment import Moment
from tickwright.core.orders import Order, Side
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.work import Algorithm, Work, WorkIntent
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["PositionView", "StrategyContext", "World"]


class PositionView(msgspec.Struct, frozen=True, gc=False):
    """What is attributed to one strategy in one instrument: signed size, average entry as a float.

    `entry_price_units` is for display and distances; money is computed from the ledger's sums.
    """

    size_units: int
    entry_price_units: float | None

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return self.size_units == 0


class World(Protocol):
    """What the engine gives a context to look at."""

    def book(self, instrument_id: InstrumentId) -> OrderBook:
        """Return the live book."""

    def instrument(self, instrument_id: InstrumentId) -> Instrument:
        """Return the rules in force now."""

    def position_view(self, strategy_id: StrategyId, instrument_id: InstrumentId) -> PositionView:
        """Return the strategy's attribution."""

    def mark_units(self, instrument_id: InstrumentId) -> int | None:
        """Return the latest mark price."""

    def index_units(self, instrument_id: InstrumentId) -> int | None:
        """Return the latest index price."""

    def funding(self, instrument_id: InstrumentId) -> FundingUpdate | None:
        """Return the latest funding rate."""

    def fees(self, account_id: AccountId, instrument_id: InstrumentId) -> FeeRates | None:
        """Return the fee rates of the account."""

    def live_orders(self, strategy_id: StrategyId) -> tuple[Order, ...]:
        """Return the strategy's orders that are not final, oldest first."""

    def live_works(self, strategy_id: StrategyId) -> Iterable[Work]:
        """Return the strategy's works that did not end."""

    def set_timer(self, strategy_id: StrategyId, name: str, due_ns: int) -> None:
        """Ask to be called back."""


class StrategyContext:
    """A strategy's window: the moment, its instruments, books, positions, orders and timers."""

    __slots__ = (
        "_known",
        "_moment",
        "_world",
        "account_id",
        "instruments",
        "parameters",
        "random",
        "strategy_id",
    )

    def __init__(
        self,
        *,
        strategy_id: StrategyId,
        account_id: AccountId,
        parameters: StrategyParameters,
        instruments: tuple[InstrumentId, ...],
        moment: Moment,
        world: World,
        random: Random,
    ) -> None:
        self.strategy_id = strategy_id
        self.account_id = account_id
        self.parameters = parameters
        self.instruments = instruments
        self.random = random
        """Seeded by the run's seed and the strategy's name: the only chance it may use."""
        self._known = frozenset(instruments)
        self._moment = moment
        self._world = world

    @property
    def now_ns(self) -> int:
        """Time of the input being handled."""
        return self._moment.now_ns

    @property
    def event_id(self) -> int:
        """Number of the input being handled."""
        return self._moment.event_id

    def book(self, instrument_id: InstrumentId) -> OrderBook:
        """Return the live order book of a subscribed instrument, in whatever state it is."""
        if instrument_id not in self._known:
            self._refuse(instrument_id)
        return self._world.book(instrument_id)

    def instrument(self, instrument_id: InstrumentId) -> Instrument:
        """Return the rules of a subscribed instrument."""
        return self._world.instrument(self._subscribed(instrument_id))

    def position(self, instrument_id: InstrumentId) -> PositionView:
        """Return what is attributed to this strategy in a subscribed instrument."""
        if instrument_id not in self._known:
            self._refuse(instrument_id)
        return self._world.position_view(self.strategy_id, instrument_id)

    def mark(self, instrument_id: InstrumentId) -> int | None:
        """Return the latest mark price in price units, or None before the first."""
        return self._world.mark_units(self._subscribed(instrument_id))

    def index(self, instrument_id: InstrumentId) -> int | None:
        """Return the latest index price in price units, or None before the first."""
        return self._world.index_units(self._subscribed(instrument_id))

    def funding(self, instrument_id: InstrumentId) -> FundingUpdate | None:
        """Return the latest funding rate, or None before the first."""
        return self._world.funding(self._subscribed(instrument_id))

    def fees(self, instrument_id: InstrumentId) -> FeeRates | None:
        """Return the account's fee rates on a subscribed instrument, or None when unknown."""
        return self._world.fees(self.account_id, self._subscribed(instrument_id))

    def orders(self) -> tuple[Order, ...]:
        """Return this strategy's own live orders, oldest first."""
        return self._world.live_orders(self.strategy_id)

    def works(self) -> tuple[Work, ...]:
        """Return this strategy's works that did not end, oldest first."""
        return tuple(self._world.live_works(self.strategy_id))

    def set_timer(self, name: str, due_ns: int) -> None:
        """Ask for `on_timer(name)` at `due_ns`; the same name replaces an earlier wish."""
        self._world.set_timer(self.strategy_id, name, due_ns)

    # answers --------------------------------------------------------------------------------------

    def long(
        self,
        instrument_id: InstrumentId,
        *,
        confidence: float = 1.0,
        reason: str = "",
        price_units: int | None = None,
        **exits: Unpack[ExitWishes],
    ) -> Signal:
        """Return a signal to be long, left as said here (see `Exits`) and as configured."""
        return self._entry(
            SignalKind.LONG, instrument_id, confidence, reason, price_units, Exits(**exits)
        )

    def short(
        self,
        instrument_id: InstrumentId,
        *,
        confidence: float = 1.0,
        reason: str = "",
        price_units: int | None = None,
        **exits: Unpack[ExitWishes],
    ) -> Signal:
        """Return a signal to be short, left as said here (see `Exits`) and as configured."""
        return self._entry(
            SignalKind.SHORT, instrument_id, confidence, reason, price_units, Exits(**exits)
        )

    def leave(self, instrument_id: InstrumentId, *, reason: str = "") -> Signal:
        """Return a signal to close the position and withdraw what would open one."""
        return Signal(
            instrument_id=self._subscribed(instrument_id), kind=SignalKind.EXIT, reason=reason
        )

    def work(
        self,
        instrument_id: InstrumentId,
        side: Side,
        size_units: int,
        algorithm: Algorithm,
        *,
        reduce_only: bool = False,
        reason: str = "",
        exits: Exits | None = None,
    ) -> WorkIntent:
        """Return the wish to have a size worked by an algorithm."""
        return WorkIntent(
            instrument_id=self._subscribed(instrument_id),
            side=side,
            size_units=size_units,
            algorithm=algorithm,
            reduce_only=reduce_only,
            reason=reason,
            exits=exits,
        )

    def _entry(
        self,
        kind: SignalKind,
        instrument_id: InstrumentId,
        confidence: float,
        reason: str,
        price_units: int | None,
        exits: Exits,
    ) -> Signal:
        return Signal(
            instrument_id=self._subscribed(instrument_id),
            kind=kind,
            confidence=confidence,
            reason=reason,
            price_units=price_units,
            exits=exits,
        )

    def knows(self, instrument_id: InstrumentId) -> bool:
        """Whether the strategy is subscribed to an instrument."""
        return instrument_id in self._known

    def _subscribed(self, instrument_id: InstrumentId) -> InstrumentId:
        if instrument_id not in self._known:
            self._refuse(instrument_id)
        return instrument_id

    def _refuse(self, instrument_id: InstrumentId) -> NoReturn:
        raise ConfigError(f"strategy {self.strategy_id} is not subscribed to {instrument_id}")
