"""Owns what execution means to do with one strategy's position in one instrument.

One position a strategy and instrument: entering, guarded by its exits, or being closed. Refuses to
act: it only says what is due. Levels are price units; sizes signed size units.
"""

from tickwright.book.order_book import OrderBook
from tickwright.core.exits import Exits
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.orders import Purpose, Side
from tickwright.execution.exit_levels import ExitLevels
from tickwright.execution.held_stops import HeldStops
from tickwright.execution.planner import Bracket

__all__ = ["PositionPlan"]

RETRY_NS_MAX = 5_000_000_000
"""Longest pause between two tries to close."""


class PositionPlan:
    """The plan for one (strategy, account, instrument).

    `levels` are where an open position is closed, `held` is what of it the venue holds, `bracket`
    the rest, which is watched by us. `closing` is why the position is being closed; it stays until
    the position is flat.
    """

    __slots__ = (
        "account_id",
        "attached",
        "attempts",
        "bracket",
        "bracket_side",
        "cause_event_id",
        "closing",
        "closing_reason",
        "entry_id",
        "exit_id",
        "exits",
        "fixed_bracket",
        "held",
        "instrument_id",
        "levels",
        "opened_ns",
        "retry_ns",
        "size_units",
        "strategy_id",
    )

    def __init__(
        self,
        strategy_id: StrategyId,
        account_id: AccountId,
        instrument_id: InstrumentId,
        exits: Exits,
    ) -> None:
        self.strategy_id = strategy_id
        self.account_id = account_id
        self.instrument_id = instrument_id
        self.size_units = 0
        self.opened_ns = 0
        self.entry_id: ClientId | None = None
        self.exit_id: ClientId | None = None
        self.exits = exits
        """How the position is left: of its entry, or as configured."""
        self.fixed_bracket = Bracket()
        """Levels an exact intent named, in place of fractions."""
        self.attached = Bracket()
        """Levels the entry carries to the venue."""
        self.bracket_side: Side | None = None
        """The side of the entry both are meant for."""
        self.levels: ExitLevels | None = None
        self.held = HeldStops()
        self.bracket = Bracket()
        self.closing: Purpose | None = None
        self.closing_reason = ""
        self.cause_event_id = 0
        self.attempts = 0
        self.retry_ns = 0

    @property
    def key(self) -> str:
        """Its name among the deadlines."""
        return f"{self.strategy_id} {self.instrument_id}"

    @property
    def is_watching(self) -> bool:
        """Whether book updates must be compared with the exits."""
        if not self.size_units or self.closing is not None:
            return False
        bracket, levels = self.bracket, self.levels
        return (
            bracket.stop_units is not None
            or bracket.take_units is not None
            or (levels is not None and levels.follows)
        )

    def begin(self, exits: Exits, side: Side, *, fixed: Bracket, attached: Bracket) -> None:
        """Take the policy of an entry that is about to leave; nothing is held on its side."""
        self.exits = exits
        self.bracket_side = side
        self.fixed_bracket = fixed
        self.attached = attached

    def fixed_for(self, side: Side) -> Bracket:
        """Return the exact levels meant for a position of this side."""
        return self.fixed_bracket if self.bracket_side is side else Bracket()

    def open(self, levels: ExitLevels) -> None:
        """Guard a position that was opened by these levels; the venue holds what came with it."""
        self.levels = levels
        attached = self.attached if self.bracket_side is levels.side else Bracket()
        self.held = HeldStops(attached.stop_units or 0, attached.take_units or 0)

    def guard(self) -> None:
        """Say anew what is watched here: what the venue isn't proven to hold."""
        levels = self.levels
        self.bracket = Bracket() if levels is None else self.held.left_to_us(levels)

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
            self.levels = None
            self.held = HeldStops()
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
