"""Owns what execution means to do with one strategy's position in one instrument.

One position a strategy and instrument: entering, guarded by a bracket, or being closed. Refuses to
act: it only says what is due. Levels are price units; sizes signed size units.
"""

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.orders import Purpose, Side
from tickwright.execution.planner import Bracket

__all__ = ["PositionPlan"]

RETRY_NS_MAX = 5_000_000_000
"""Longest pause between two tries to close."""


class PositionPlan:
    """The plan for one (strategy, account, instrument).

    `bracket` is watched by us; with `is_attached` the venue holds it and nothing is watched.
    `closing` is why the position is being closed; it stays until the position is flat.
    """

    __slots__ = (
        "account_id",
        "attempts",
        "bracket",
        "cause_event_id",
        "closing",
        "closing_reason",
        "entry_id",
        "exit_id",
        "fixed_bracket",
        "instrument_id",
        "is_attached",
        "opened_ns",
        "retry_ns",
        "size_units",
        "stop_loss_fraction",
        "strategy_id",
        "take_profit_fraction",
    )

    def __init__(
        self, strategy_id: StrategyId, account_id: AccountId, instrument_id: InstrumentId
    ) -> None:
        self.strategy_id = strategy_id
        self.account_id = account_id
        self.instrument_id = instrument_id
        self.size_units = 0
        self.opened_ns = 0
        self.entry_id: ClientId | None = None
        self.exit_id: ClientId | None = None
        self.stop_loss_fraction: float | None = None
        self.take_profit_fraction: float | None = None
        self.fixed_bracket: Bracket | None = None
        """Levels an exact intent named, instead of fractions."""
        self.bracket = Bracket()
        self.is_attached = False
        self.closing: Purpose | None = None
        self.closing_reason = ""
        self.cause_event_id = 0
        self.attempts = 0
        self.retry_ns = 0

    @property
    def is_watching(self) -> bool:
        """Whether book updates must be compared with the bracket."""
        return (
            self.size_units != 0
            and self.closing is None
            and not self.is_attached
            and not self.bracket.is_empty
        )

    def due(self, book: OrderBook) -> Purpose | None:
        """Say whether the book has reached a level: the side we would close on counts."""
        bracket = self.bracket
        if self.size_units > 0:
            bid = book.best_bid
            if bid is None:
                return None
            if bracket.stop_units is not None and bid <= bracket.stop_units:
                return Purpose.STOP_LOSS
            if bracket.take_units is not None and bid >= bracket.take_units:
                return Purpose.TAKE_PROFIT
        elif self.size_units < 0:
            ask = book.best_ask
            if ask is None:
                return None
            if bracket.stop_units is not None and ask >= bracket.stop_units:
                return Purpose.STOP_LOSS
            if bracket.take_units is not None and ask <= bracket.take_units:
                return Purpose.TAKE_PROFIT
        return None

    def start_closing(self, purpose: Purpose, reason: str, event_id: int) -> None:
        """Decide to close; an earlier decision stays, only its purpose may become a stop."""
        if self.closing is None:
            self.closing = purpose
            self.closing_reason = reason
            self.cause_event_id = event_id
            self.attempts = 0
            self.retry_ns = 0

    def note_failure(self, now_ns: int, pause_ns: int) -> None:
        """Count a try that did not close everything and set when the next may follow."""
        self.retry_ns = now_ns + min(pause_ns << min(self.attempts, 16), RETRY_NS_MAX)
        self.attempts += 1

    def set_size(self, size_units: int, now_ns: int) -> None:
        """Follow the attributed position; flat or turned over ends a closing and its levels."""
        before = self.size_units
        if size_units == before:
            return
        self.size_units = size_units
        if size_units == 0 or before * size_units < 0:
            self.closing = None
            self.closing_reason = ""
            self.attempts = 0
            self.retry_ns = 0
            self.bracket = Bracket()
            self.opened_ns = 0
        if size_units and not self.opened_ns:
            self.opened_ns = now_ns

    @property
    def side(self) -> Side | None:
        """The side that opened what is held."""
        if not self.size_units:
            return None
        return Side.BUY if self.size_units > 0 else Side.SELL
