"""A grid of quotes: buys at evenly spaced prices below, sells above, each buy sold one line higher.

Source: the grid of limit orders as practised, in the form of "High-Frequency Grid Trading" of the
hftbacktest documentation, but bound to the position instead of to the mid. With an anchor a, a line
distance g and n lines bought (negative: sold), the centre is a - n x g; bids stand at the centre
- g, - 2g, ... and asks at + g, + 2g, ... So the line just traded stays empty, every round trip
earns exactly one line less fees, and the position alone tells where the grid is. That a grid
without drift earns nothing on average, and what of it is luck: A. Taranto and S. Khan, "Gambler's
ruin problem and bi-directional grid constrained trading and investment strategies", Investment
Management and Financial Innovations 17 (2020), 54-66.

Lines are bounded by `inventory_max`; there the grid waits for the price to come back, with a loss
that only limits of the risk configuration end. Flat, it follows a mid that left it. After a restart
the anchor is worked out from the position and its average entry price. Both sides quote while a
position is held, so `deny_conflicting_position` must be off for it.
"""

from typing import Annotated

from msgspec import Meta

from tickwright.book.order_book import OrderBook
from tickwright.core.events import InstrumentChanged, MarketEvent
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill, Order, Side
from tickwright.core.signals import Decision
from tickwright.strategy.base import Strategy
from tickwright.strategy.context import StrategyContext
from tickwright.strategy.parameters import StrategyParameters
from tickwright.strategy.quoting import Quote, Quoter, bid_units, size_units_for

__all__ = ["Grid", "GridParameters"]

_MS = 1_000_000
_BPS = 1e4


class GridParameters(StrategyParameters, frozen=True, kw_only=True):
    """What may be tuned, with bounds."""

    order_notional: Annotated[float, Meta(gt=0.0, le=1e9)] = 100.0
    """Value of one order in the quote asset; rounded down to whole lots at the first mid."""
    step_bps: Annotated[float, Meta(gt=0.0, le=2_000.0)] = 10.0
    """Distance of lines in basis points of the anchor; at least one tick."""
    levels: Annotated[int, Meta(ge=1, le=50)] = 3
    """Orders a side; twice of it must fit into `open_orders_per_instrument_max`."""
    inventory_max: Annotated[int, Meta(ge=1, le=1_000)] = 10
    """Lines that may be bought or sold beyond flat."""
    requote_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 250
    """Least time between two passes over the quotes; a fill asks for one at once."""

    def fault(self) -> str | None:
        """Say which fields contradict each other, or None."""
        if self.levels > self.inventory_max:
            return f"levels {self.levels} must not exceed inventory_max {self.inventory_max}"
        return None


class _Lines:
    """What is kept per instrument: prices in units, `lines` bought beyond flat."""

    __slots__ = (
        "anchor",
        "due_ns",
        "instrument",
        "instrument_id",
        "lines",
        "quoter",
        "size_units",
        "step",
    )

    def __init__(self, context: StrategyContext, instrument: Instrument) -> None:
        self.instrument = instrument
        self.instrument_id: InstrumentId = instrument.id
        self.quoter = Quoter(context, instrument.id)
        self.size_units = 0
        self.anchor = 0
        self.step = 0
        self.lines = 0
        self.due_ns = 0

    @property
    def centre(self) -> int:
        """The line that stays empty."""
        return self.anchor - self.lines * self.step

    def follow(self, held: int) -> None:
        """Count a line only when it is traded whole, either way."""
        while held >= (self.lines + 1) * self.size_units:
            self.lines += 1
        while held <= (self.lines - 1) * self.size_units:
            self.lines -= 1


class Grid(Strategy):
    """The strategy of this module; parameters in `GridParameters`."""

    Parameters = GridParameters
    parameters: GridParameters

    def on_start(self) -> Decision:
        """Make the lines of each instrument; the anchor comes with the first mid."""
        context = self.context
        self._requote_ns = self.parameters.requote_ms * _MS
        self._grids: dict[InstrumentId, _Lines] = {}
        self._by_slot: dict[int, _Lines] = {}
        for instrument_id in context.instruments:
            grid = _Lines(context, context.instrument(instrument_id))
            self._grids[instrument_id] = grid
            self._by_slot[context.book(instrument_id).slot] = grid
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Make a pass over the quotes when one is due."""
        grid = self._by_slot[book.slot]
        if book.received_ns < grid.due_ns:
            return None
        return self._quote(grid, book)

    def on_fill(self, fill: Fill) -> Decision:
        """Move the grid by the line that was traded, at once."""
        return self._quote(self._grids[fill.instrument_id], self.context.book(fill.instrument_id))

    def on_order(self, order: Order) -> Decision:
        """Let the quoter know what became of its wishes."""
        self._grids[order.instrument_id].quoter.on_order(order)
        return None

    def on_market(self, event: MarketEvent) -> Decision:
        """Begin anew on new rules: units may mean something else now."""
        if isinstance(event, InstrumentChanged):
            grid = _Lines(self.context, event.instrument)
            self._grids[event.instrument.id] = grid
            self._by_slot[self.context.book(event.instrument.id).slot] = grid
        return None

    def _quote(self, grid: _Lines, book: OrderBook) -> Decision:
        twice = book.mid_twice_units
        if twice is None or not book.is_synced:
            return None
        grid.due_ns = self.context.now_ns + self._requote_ns
        held = self.context.position(grid.instrument_id)
        if not grid.size_units and not self._anchor(grid, twice):
            return None
        grid.follow(held.size_units)
        if not grid.lines and abs(twice - 2 * grid.anchor) > 2 * self.parameters.levels * grid.step:
            grid.anchor = bid_units(twice / 2, grid.instrument)
        quotes = self._wished(grid, held.size_units)
        return grid.quoter.actions(quotes, reason=f"line {grid.lines:+d}") or None

    def _anchor(self, grid: _Lines, twice: int) -> bool:
        """Lay the grid: at the mid, or where what is held was begun."""
        instrument, mid = grid.instrument, twice / 2
        grid.size_units = size_units_for(instrument, self.parameters.order_notional, mid)
        if not grid.size_units:
            return False
        tick = instrument.tick_units
        steps = round(mid * self.parameters.step_bps / _BPS / tick)
        grid.step = max(steps, 1) * tick
        held = self.context.position(grid.instrument_id)
        grid.follow(held.size_units)
        anchor = mid
        if grid.lines and held.entry_price_units is not None:
            # n lines bought one after the other cost a - g (n + 1) / 2 on average.
            away = grid.step * (abs(grid.lines) + 1) / 2
            anchor = held.entry_price_units + (away if grid.lines > 0 else -away)
        grid.anchor = bid_units(anchor, instrument)
        return True

    def _wished(self, grid: _Lines, held: int) -> list[Quote]:
        parameters, instrument, size = self.parameters, grid.instrument, grid.size_units
        quotes = []
        for number in range(1, parameters.levels + 1):
            bid = grid.centre - number * grid.step
            ask = grid.centre + number * grid.step
            if grid.lines + number <= parameters.inventory_max and bid > 0:
                quotes.append(Quote(Side.BUY, bid, size))
            can_sell = instrument.capabilities.can_short or number * size <= held
            if grid.lines - number >= -parameters.inventory_max and can_sell:
                quotes.append(Quote(Side.SELL, ask, size))
        return quotes
