"""Order-flow momentum: follows the imbalance of what is added and taken at the touch.

Source: R. Cont, A. Kukanov and S. Stoikov, "The price impact of order book events", Journal of
Financial Econometrics 12 (2014), 47-88. Each update contributes

    e = q_bid [p_bid >= p_bid'] - q_bid' [p_bid <= p_bid']
      - q_ask [p_ask <= p_ask'] + q_ask' [p_ask >= p_ask']

(primed: before), and over an interval the mid moves by about the sum of e divided by twice the
average size at the touch, in ticks. That much is impact at the same time, not a forecast: what is
bet on here is that flow goes on for a while, as orders worked in parts do. So it enters when the
flow of the last `window_ms` explains a move of `entry_ticks` or more with a spread that is not
wide, and leaves when the flow turned, after `hold_ms`, or by its stops.
"""

from typing import Annotated

from msgspec import Meta

from tickwright.book.order_book import OrderBook
from tickwright.core.events import BookState, BookStateChanged, InstrumentChanged, MarketEvent
from tickwright.core.exits import Exits
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["OrderFlow", "OrderFlowParameters", "flow_of"]

_MS = 1_000_000
_ASK_AGAIN_NS = 1_000_000_000
"""An exit that did not make the position flat is asked for again after this."""


class OrderFlowParameters(StrategyParameters, frozen=True, kw_only=True):
    """What may be tuned, with bounds; fractions are of the entry price."""

    window_ms: Annotated[int, Meta(ge=10, le=3_600_000)] = 2_000
    """Time whose flow counts."""
    buckets: Annotated[int, Meta(ge=2, le=1_000)] = 20
    """Parts of the window; the oldest part leaves as a whole."""
    entry_ticks: Annotated[float, Meta(gt=0.0, le=1_000.0)] = 2.0
    """Ticks the flow explains at which it enters; confidence is 1 at twice of them."""
    exit_ticks: Annotated[float, Meta(ge=0.0, le=1_000.0)] = 0.5
    """A long leaves when the flow explains fewer than minus these, a short in the mirror."""
    spread_ticks_max: Annotated[int, Meta(ge=1, le=10_000)] = 3
    hold_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 10_000
    rest_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 1_000
    """After a signal, nothing is asked for again before."""
    stop_loss_fraction: Annotated[float, Meta(gt=0.0, le=0.5)] | None = 0.002
    take_profit_fraction: Annotated[float, Meta(gt=0.0, le=0.9)] | None = None

    def fault(self) -> str | None:
        """Say which fields contradict each other, or None."""
        if self.window_ms < self.buckets:
            return f"window_ms {self.window_ms} must be at least buckets {self.buckets}"
        return None


def flow_of(before: tuple[int, int, int, int], now: tuple[int, int, int, int]) -> int:
    """Return e of two touches, each (bid price, bid size, ask price, ask size) in units."""
    bid, bid_size, ask, ask_size = now
    bid_before, bid_size_before, ask_before, ask_size_before = before
    flow = 0
    if bid >= bid_before:
        flow += bid_size
    if bid <= bid_before:
        flow -= bid_size_before
    if ask <= ask_before:
        flow -= ask_size
    if ask >= ask_before:
        flow += ask_size_before
    return flow


class _Flow:
    """The flow of one instrument: sums by bucket, exact, and the sizes seen at the touch."""

    __slots__ = (
        "_bucket_ns",
        "_depths",
        "_flows",
        "_index",
        "_next_ns",
        "_updates",
        "before",
        "depth",
        "exit_again_ns",
        "filled",
        "instrument",
        "rest_until_ns",
        "size_units",
        "total",
        "updates",
    )

    def __init__(self, instrument: Instrument, parameters: OrderFlowParameters) -> None:
        self.instrument = instrument
        self._bucket_ns = parameters.window_ms * _MS // parameters.buckets
        self._flows = [0] * parameters.buckets
        self._depths = [0] * parameters.buckets
        self._updates = [0] * parameters.buckets
        self.size_units = 0
        """Position."""
        self.rest_until_ns = 0
        self.exit_again_ns = 0
        self.forget()

    def forget(self) -> None:
        """Start the window anew."""
        count = len(self._flows)
        self._flows = [0] * count
        self._depths = [0] * count
        self._updates = [0] * count
        self._index = 0
        self._next_ns = 0
        self.filled = 0
        self.total = 0
        self.depth = 0
        self.updates = 0
        self.before: tuple[int, int, int, int] | None = None

    def update(self, touch: tuple[int, int, int, int], now_ns: int) -> None:
        """Take the touch as it is now."""
        if not self._next_ns:
            self._next_ns = now_ns + self._bucket_ns
        elif now_ns >= self._next_ns:
            passed = (now_ns - self._next_ns) // self._bucket_ns + 1
            # After a silence longer than the window, all buckets are empty: no need for more.
            for _ in range(min(passed, len(self._flows))):
                self._turn()
            self._next_ns += passed * self._bucket_ns
            self.filled = min(self.filled + passed, len(self._flows))
        if self.before is not None:
            flow = flow_of(self.before, touch)
            index = self._index
            self._flows[index] += flow
            self._depths[index] += touch[1] + touch[3]
            self._updates[index] += 1
            self.total += flow
            self.depth += touch[1] + touch[3]
            self.updates += 1
        self.before = touch

    def _turn(self) -> None:
        """Begin the next bucket; the oldest leaves."""
        self._index = (self._index + 1) % len(self._flows)
        index = self._index
        self.total -= self._flows[index]
        self.depth -= self._depths[index]
        self.updates -= self._updates[index]
        self._flows[index] = self._depths[index] = self._updates[index] = 0

    @property
    def ticks(self) -> float | None:
        """The move in ticks that the window's flow explains; None before it is full."""
        if self.filled < len(self._flows) or not self.updates or not self.depth:
            return None
        # total / (2 x depth a side), with the depth a side = sum of both sides / 2 / updates.
        return self.total * self.updates / self.depth


class OrderFlow(Strategy):
    """The strategy of this module; parameters in `OrderFlowParameters`."""

    Parameters = OrderFlowParameters
    parameters: OrderFlowParameters

    def on_start(self) -> Decision:
        """Make one window per subscribed instrument."""
        context, parameters = self.context, self.parameters
        self._exits = Exits(
            stop_loss_fraction=parameters.stop_loss_fraction,
            take_profit_fraction=parameters.take_profit_fraction,
            time_stop_ms=parameters.hold_ms,
        )
        self._flows: dict[InstrumentId, _Flow] = {}
        self._by_slot: dict[int, _Flow] = {}
        for instrument_id in context.instruments:
            flow = _Flow(context.instrument(instrument_id), parameters)
            flow.size_units = context.position(instrument_id).size_units
            self._flows[instrument_id] = flow
            self._by_slot[context.book(instrument_id).slot] = flow
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Count the flow; most updates explain too little to ask for anything."""
        bid, bid_size = book.best_bid, book.best_bid_size
        ask, ask_size = book.best_ask, book.best_ask_size
        if bid is None or ask is None or bid_size is None or ask_size is None:
            return None
        flow = self._by_slot[book.slot]
        now_ns = book.received_ns
        flow.update((bid, bid_size, ask, ask_size), now_ns)
        ticks = flow.ticks
        if ticks is None:
            return None
        parameters = self.parameters
        if flow.size_units:
            against = ticks if flow.size_units > 0 else -ticks
            if against >= -parameters.exit_ticks or now_ns < flow.exit_again_ns:
                return None
            flow.exit_again_ns = now_ns + _ASK_AGAIN_NS
            return self.context.leave(book.instrument_id, reason=f"flow turned: {ticks:+.1f} ticks")
        if abs(ticks) < parameters.entry_ticks or now_ns < flow.rest_until_ns:
            return None
        if ask - bid > parameters.spread_ticks_max * flow.instrument.tick_units:
            return None
        flow.rest_until_ns = now_ns + parameters.rest_ms * _MS
        return Signal(
            instrument_id=book.instrument_id,
            kind=SignalKind.LONG if ticks > 0 else SignalKind.SHORT,
            confidence=min(abs(ticks) / (2.0 * parameters.entry_ticks), 1.0),
            reason=f"flow explains {ticks:+.1f} ticks",
            exits=self._exits,
        )

    def on_fill(self, fill: Fill) -> Decision:
        """Follow the position."""
        flow = self._flows[fill.instrument_id]
        flow.size_units = self.context.position(fill.instrument_id).size_units
        return None

    def on_book_state(self, event: BookStateChanged) -> Decision:
        """Start anew: what happened while the book was out of sync is not known."""
        if event.state is not BookState.SYNCED:
            self._flows[event.instrument_id].forget()
        return None

    def on_market(self, event: MarketEvent) -> Decision:
        """Follow a change of tick or decimals: units may mean something else now."""
        if isinstance(event, InstrumentChanged):
            fresh = _Flow(event.instrument, self.parameters)
            fresh.size_units = self._flows[event.instrument.id].size_units
            self._flows[event.instrument.id] = fresh
            self._by_slot[self.context.book(event.instrument.id).slot] = fresh
        return None
