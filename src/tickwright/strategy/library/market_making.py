"""Market making with inventory: a bid and an ask around a price that leans against what is held.

Source: M. Avellaneda and S. Stoikov, "High-frequency trading in a limit order book", Quantitative
Finance 8 (2008), 217-224. The reservation price is the mid less q x gamma x sigma^2 x T, the whole
spread gamma x sigma^2 x T + (2 / gamma) x ln(1 + gamma / k). Here distances are basis points of the
mid, the inventory q counts orders (position / order size), and T is a horizon that moves along with
the time, so that it runs for ever instead of towards an end of day.

Both sides quote while a position is held, so `deny_conflicting_position` must be off for it. At
`inventory_max` orders the side that would add is withdrawn; where nothing can be sold short, asks
sell what is held.
"""

import math
from typing import Annotated

from msgspec import Meta

from tickwright.book.order_book import OrderBook
from tickwright.core.events import BookState, BookStateChanged, InstrumentChanged, MarketEvent
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill, Order, Side
from tickwright.core.signals import Decision
from tickwright.strategy.base import Strategy
from tickwright.strategy.context import StrategyContext
from tickwright.strategy.indicators import IntervalSampler, RealisedVolatility
from tickwright.strategy.parameters import StrategyParameters
from tickwright.strategy.quoting import Quote, Quoter, ask_units, bid_units, size_units_for

__all__ = ["MarketMaking", "MarketMakingParameters"]

_MS = 1_000_000
_BPS = 1e4


class MarketMakingParameters(StrategyParameters, frozen=True, kw_only=True):
    """What may be tuned, with bounds; bps are basis points of the mid."""

    order_notional: Annotated[float, Meta(gt=0.0, le=1e9)] = 100.0
    """Value of one order in the quote asset; rounded down to whole lots at the first mid."""
    risk_aversion: Annotated[float, Meta(gt=0.0, le=100.0)] = 0.01
    """Gamma per bps: how far one order of inventory moves both quotes, per bps^2 of variance."""
    fill_decay: Annotated[float, Meta(gt=0.0, le=100.0)] = 0.5
    """k per bps: fills fall by exp(-k x distance); 1/k is about the half spread without risk."""
    horizon_s: Annotated[float, Meta(gt=0.0, le=86_400.0)] = 60.0
    """T: the time for which the variance of the mid counts."""
    half_spread_bps_min: Annotated[float, Meta(ge=0.0, le=1_000.0)] = 0.0
    """No quote is nearer to the reservation price: a maker fee to earn, say."""
    volatility_interval_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 1_000
    volatility_window: Annotated[int, Meta(ge=2, le=100_000)] = 120
    """Returns in the volatility; nothing is quoted before it is full."""
    inventory_max: Annotated[float, Meta(ge=1.0, le=1_000.0)] = 5.0
    """Orders of inventory at which the side that adds is withdrawn."""
    requote_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 250
    """Least time between two passes over the quotes; a fill asks for one at once."""
    reprice_ticks: Annotated[int, Meta(ge=0, le=1_000)] = 1
    """A quote this many ticks or less from where it belongs keeps its place in the queue."""
    outage_reset_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 5_000
    """A book out of sync for longer starts the volatility anew."""


class _Desk:
    """What is kept per instrument."""

    __slots__ = (
        "due_ns",
        "grid",
        "instrument",
        "instrument_id",
        "outage_ns",
        "quoter",
        "size_units",
        "twice",
        "volatility",
    )

    def __init__(
        self, context: StrategyContext, instrument: Instrument, parameters: MarketMakingParameters
    ) -> None:
        self.instrument = instrument
        self.instrument_id: InstrumentId = instrument.id
        self.quoter = Quoter(
            context, instrument.id, reprice_ticks=parameters.reprice_ticks, fills_up=True
        )
        self.grid = IntervalSampler(parameters.volatility_interval_ms * _MS)
        self.volatility = RealisedVolatility(parameters.volatility_window)
        self.size_units = 0
        self.twice = 0
        self.due_ns = 0
        self.outage_ns = 0

    def sample(self, twice: int, now_ns: int, window: int) -> None:
        """Take the mid that stood at each grid point passed."""
        due = self.grid.due(now_ns)
        if due and self.twice:
            # A silence longer than the window fills it with returns of zero.
            for _ in range(min(due, window + 1)):
                self.volatility.update(self.twice)
        self.twice = twice

    def forget(self) -> None:
        """Start the volatility anew."""
        self.grid.reset()
        self.volatility.reset()
        self.twice = 0


class MarketMaking(Strategy):
    """The strategy of this module; parameters in `MarketMakingParameters`."""

    Parameters = MarketMakingParameters
    parameters: MarketMakingParameters

    def on_start(self) -> Decision:
        """Make one desk per subscribed instrument; orders and positions are read as they are."""
        context, parameters = self.context, self.parameters
        self._horizon_ns = int(parameters.horizon_s * 1e9)
        self._interval_ns = parameters.volatility_interval_ms * _MS
        self._requote_ns = parameters.requote_ms * _MS
        gamma = parameters.risk_aversion
        self._width_bps = math.log(1.0 + gamma / parameters.fill_decay) / gamma
        self._desks: dict[InstrumentId, _Desk] = {}
        self._by_slot: dict[int, _Desk] = {}
        for instrument_id in context.instruments:
            desk = _Desk(context, context.instrument(instrument_id), parameters)
            self._desks[instrument_id] = desk
            self._by_slot[context.book(instrument_id).slot] = desk
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Sample the mid; when a pass is due, put the quotes where they belong."""
        twice = book.mid_twice_units
        if twice is None:
            return None
        desk = self._by_slot[book.slot]
        now_ns = book.received_ns
        desk.sample(twice, now_ns, self.parameters.volatility_window)
        if now_ns < desk.due_ns:
            return None
        return self._quote(desk, book, twice)

    def on_fill(self, fill: Fill) -> Decision:
        """Lean the quotes against the new inventory at once."""
        desk = self._desks[fill.instrument_id]
        book = self.context.book(fill.instrument_id)
        twice = book.mid_twice_units
        if twice is None or not book.is_synced:
            return None
        return self._quote(desk, book, twice)

    def on_order(self, order: Order) -> Decision:
        """Let the quoter know what became of its wishes."""
        self._desks[order.instrument_id].quoter.on_order(order)
        return None

    def on_book_state(self, event: BookStateChanged) -> Decision:
        """Start the volatility anew after a long outage; the engine withdraws the quotes."""
        desk = self._desks[event.instrument_id]
        if event.state is not BookState.SYNCED:
            desk.outage_ns = desk.outage_ns or self.context.now_ns
        elif desk.outage_ns:
            outage_ns = self.context.now_ns - desk.outage_ns
            desk.outage_ns = 0
            if outage_ns > self.parameters.outage_reset_ms * _MS:
                desk.forget()
        return None

    def on_market(self, event: MarketEvent) -> Decision:
        """Follow a change of tick, lot or decimals: units may mean something else now."""
        if isinstance(event, InstrumentChanged):
            desk = _Desk(self.context, event.instrument, self.parameters)
            self._desks[event.instrument.id] = desk
            self._by_slot[self.context.book(event.instrument.id).slot] = desk
        return None

    def _quote(self, desk: _Desk, book: OrderBook, twice: int) -> Decision:
        per_horizon = desk.volatility.over(self._horizon_ns, interval_ns=self._interval_ns)
        bid_touch, ask_touch = book.best_bid, book.best_ask
        if per_horizon is None or bid_touch is None or ask_touch is None:
            return None
        desk.due_ns = self.context.now_ns + self._requote_ns
        if not desk.size_units:
            desk.size_units = size_units_for(
                desk.instrument, self.parameters.order_notional, twice / 2
            )
            if not desk.size_units:
                return None
        parameters, instrument = self.parameters, desk.instrument
        held = self.context.position(desk.instrument_id).size_units
        inventory = held / desk.size_units
        variance = (per_horizon * _BPS) ** 2
        risk = parameters.risk_aversion * variance
        bps = twice / 2 / _BPS
        half = max(risk / 2 + self._width_bps, parameters.half_spread_bps_min)
        centre = twice / 2 - inventory * risk * bps
        tick = instrument.tick_units
        bid = min(bid_units(centre - half * bps, instrument), ask_touch - tick)
        ask = max(ask_units(centre + half * bps, instrument), bid_touch + tick)
        quotes = []
        if inventory < parameters.inventory_max and bid > 0:
            quotes.append(Quote(Side.BUY, bid, desk.size_units))
        for_sale = desk.size_units
        if not instrument.capabilities.can_short:
            for_sale = min(for_sale, held // instrument.lot_units * instrument.lot_units)
        if inventory > -parameters.inventory_max and for_sale >= instrument.size_min_units:
            quotes.append(Quote(Side.SELL, ask, for_sale))
        return desk.quoter.actions(quotes, reason=f"inventory {inventory:+.1f}") or None
