"""Owns the contract every strategy is written against; refuses bytes, clocks and global chance.

A strategy answers a callback with signals (sized by risk), exact order intents or cancel wishes, or
with nothing. One that raises, or answers with something else, is halted alone.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from tickwright.book.order_book import OrderBook
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    BookStateChanged,
    MarketEvent,
    PositionReport,
    Trade,
)
from tickwright.core.orders import Fill, Order
from tickwright.core.signals import Decision
from tickwright.core.work import Work
from tickwright.strategy.context import StrategyContext
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["AccountEvent", "Strategy"]

AccountEvent = AccountState | BalanceReport | PositionReport
"""What `on_account` may be called with."""


class Strategy(ABC):
    """Base of every strategy: declare `Parameters`, write `on_book`, add the callbacks you need.

    `context` and `parameters` are there from `on_start` on. Callbacks that a subclass doesn't
    override are never called, so they cost nothing.
    """

    Parameters: ClassVar[type[StrategyParameters]] = StrategyParameters
    wakes_on: ClassVar[Literal["message", "touch"]] = "message"
    """When `on_book` is called: at every message of a book, or when its touch (best prices and
    their sizes) differs from the one it was last called with. For an interval, use timers."""
    context: StrategyContext
    parameters: StrategyParameters

    def bind(self, context: StrategyContext) -> None:
        """Take the context; called once by the engine, before `on_start`.

        Raises:
            TypeError: the context's parameters are of another declaration.
        """
        if not isinstance(context.parameters, self.Parameters):
            raise TypeError(
                f"{type(self).__name__} needs {self.Parameters.__qualname__}, "
                f"not {type(context.parameters).__qualname__}"
            )
        self.context = context
        self.parameters = context.parameters

    def on_start(self) -> Decision:
        """Run once, when the context is there and before any market event."""
        return None

    @abstractmethod
    def on_book(self, book: OrderBook) -> Decision:
        """Run after every applied update of a subscribed order book."""

    def on_trade(self, trade: Trade) -> Decision:
        """Run for every public trade of a subscribed instrument."""
        return None

    def on_market(self, event: MarketEvent) -> Decision:
        """Run for mark, index, last price, funding, candle, liquidation and instrument changes."""
        return None

    def on_book_state(self, event: BookStateChanged) -> Decision:
        """Run when a subscribed order book changed what it is worth (stale, synced, ...)."""
        return None

    def on_order(self, order: Order) -> Decision:
        """Run at every change of an own order: rejects and unknown requests included."""
        return None

    def on_fill(self, fill: Fill) -> Decision:
        """Run for every fill attributed to this strategy, once per execution id."""
        return None

    def on_work(self, work: Work) -> Decision:
        """Run when a work of this strategy began, pauses, goes on, stops or ended."""
        return None

    def on_account(self, event: AccountEvent) -> Decision:
        """Run for reports of the account this strategy trades on."""
        return None

    def on_timer(self, name: str) -> Decision:
        """Run when a timer set by `context.set_timer` is due."""
        return None

    def on_stop(self) -> Decision:
        """Run once at the end; what it answers is still acted on."""
        return None
