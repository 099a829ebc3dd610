"""Statistical arbitrage of two symbols: sells the rich one against the other, and waits.

Sources: E. Gatev, W. Goetzmann and K. Rouwenhorst, "Pairs Trading: Performance of a Relative-Value
Arbitrage Rule", Review of Financial Studies 19 (2006), 797-827; G. Vidyamurthy, "Pairs Trading"
(2004), for the hedge ratio by regression of log prices. The first symbol's log mid is regressed on
the second's over `lookback` samples; z is the residual in its standard deviations. Above `entry_z`
the first is sold and hedge ratio times its value of the second bought, below the mirror image. The
line that opened a position is the one that closes it: at `exit_z`, or with a loss at `stop_z`.

Both legs leave at once as IOC orders with a slippage cap. What is missing is tried again for
`leg_timeout_ms`; a pair that isn't whole by then, or that later loses a leg, is closed. After that
and after a stop it waits until z came back. A restart takes over a whole pair, judged by the first
full window, and closes a lone leg.
"""

from typing import Annotated

from msgspec import Meta

from tickwright.book.order_book import OrderBook
from tickwright.core.events import BookState, BookStateChanged, InstrumentChanged, MarketEvent
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, Purpose, Side, TimeInForce
from tickwright.core.signals import Action, Decision
from tickwright.strategy.base import Strategy
from tickwright.strategy.indicators import IntervalSampler
from tickwright.strategy.parameters import StrategyParameters
from tickwright.strategy.quoting import ask_units, bid_units, size_units_for
from tickwright.strategy.regression import LOG_SCALE, Line, RollingRegression, log_units

__all__ = ["Pairs", "PairsParameters"]

_MS = 1_000_000
_BPS = 1e4
_UNITS_PER_BPS = LOG_SCALE / _BPS


class PairsParameters(StrategyParameters, frozen=True, kw_only=True):
    """What may be tuned, with bounds; bps are basis points."""

    notional: Annotated[float, Meta(gt=0.0, le=1e9)] = 1_000.0
    """Value of the first symbol's leg in the quote asset; the second's is this x hedge ratio."""
    lookback: Annotated[int, Meta(ge=10, le=100_000)] = 600
    """Samples in the regression."""
    interval_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 1_000
    """Distance of samples."""
    entry_z: Annotated[float, Meta(gt=0.0, le=20.0)] = 2.5
    exit_z: Annotated[float, Meta(ge=0.0, le=20.0)] = 0.5
    stop_z: Annotated[float, Meta(gt=0.0, le=100.0)] | None = 6.0
    """Closed with a loss there; None never."""
    deviation_bps_min: Annotated[float, Meta(gt=0.0, le=1_000.0)] = 1.0
    """The residual's standard deviation never counts less."""
    hedge_ratio_min: Annotated[float, Meta(gt=0.0, le=100.0)] = 0.2
    hedge_ratio_max: Annotated[float, Meta(gt=0.0, le=100.0)] = 5.0
    """Outside of these the two are no pair now, and nothing is opened."""
    edge_bps: Annotated[float, Meta(ge=0.0, le=1_000.0)] | None = 0.0
    """Residual wanted beyond taker fees and spreads of both legs, in and out; None: none."""
    slippage_bps: Annotated[float, Meta(ge=0.0, le=1_000.0)] = 5.0
    """How far through the touch an order may go."""
    leg_timeout_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 3_000
    retry_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 250
    """Least time between two orders for one leg."""
    outage_reset_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 10_000
    """A book out of sync for longer starts the window anew."""

    def fault(self) -> str | None:
        """Say which fields contradict each other, or None."""
        if self.exit_z >= self.entry_z:
            return f"exit_z {self.exit_z:g} must be below entry_z {self.entry_z:g}"
        if self.stop_z is not None and self.stop_z <= self.entry_z:
            return f"stop_z {self.stop_z:g} must be above entry_z {self.entry_z:g}"
        if self.hedge_ratio_min >= self.hedge_ratio_max:
            return "hedge_ratio_min must be below hedge_ratio_max"
        return None


class _LegState:
    """What is kept of one leg; sizes in units, signed."""

    __slots__ = ("asked_ns", "instrument", "instrument_id", "log", "outage_ns", "target", "twice")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.instrument_id: InstrumentId = instrument.id
        self.twice = 0
        self.log = 0
        self.target = 0
        self.asked_ns = 0
        self.outage_ns = 0


class Pairs(Strategy):
    """The strategy of this module; parameters in `PairsParameters`."""

    Parameters = PairsParameters
    parameters: PairsParameters

    def on_start(self) -> Decision:
        """Make two legs, and take over what an earlier run held."""
        context, parameters = self.context, self.parameters
        if len(context.instruments) != 2:
            raise ValueError(f"pairs needs two symbols, not {len(context.instruments)}")
        legs = [_LegState(context.instrument(one)) for one in context.instruments]
        self._first, self._second = legs
        self._by_slot = {context.book(leg.instrument_id).slot: leg for leg in legs}
        self._grid = IntervalSampler(parameters.interval_ms * _MS)
        self._window = RollingRegression(parameters.lookback)
        self._line: Line | None = None
        """The line that opened what is held."""
        self._is_armed = True
        self._is_whole = False
        self._whole_by_ns = 0
        held = [context.position(leg.instrument_id).size_units for leg in legs]
        self._is_active = any(held)
        if held[0] * held[1] < 0:
            self._is_whole = True
            self._first.target, self._second.target = held
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Sample both mids, and judge the residual."""
        twice = book.mid_twice_units
        if twice is None:
            return None
        leg = self._by_slot[book.slot]
        first, second = self._first, self._second
        # What counts at a grid point is what stood before this update.
        due = self._grid.due(book.received_ns)
        if due and first.twice and second.twice:
            for _ in range(min(due, self._window.window)):
                self._window.update(second.log, first.log)
        if twice != leg.twice:
            leg.twice = twice
            leg.log = log_units(twice)
        if not (first.twice and second.twice):
            return None
        return self._hold() if self._is_active else self._judge_entry()

    def on_book_state(self, event: BookStateChanged) -> Decision:
        """Start the window anew when a book was out of sync for too long."""
        leg = self._leg(event.instrument_id)
        if event.state is not BookState.SYNCED:
            leg.outage_ns = leg.outage_ns or self.context.now_ns
            leg.twice = 0
        elif leg.outage_ns:
            outage_ns = self.context.now_ns - leg.outage_ns
            leg.outage_ns = 0
            if outage_ns > self.parameters.outage_reset_ms * _MS:
                self._window.reset()
            self._grid.reset()
        return None

    def on_market(self, event: MarketEvent) -> Decision:
        """Follow a change of rules: logs of units may be shifted, sizes mean something else."""
        if isinstance(event, InstrumentChanged):
            leg = self._leg(event.instrument.id)
            leg.instrument = event.instrument
            leg.twice = 0
            self._window.reset()
            self._line = None
            if self._is_active:
                self._close()
        return None

    # judging --------------------------------------------------------------------------------------

    def _score(self, line: Line) -> float:
        floor = self.parameters.deviation_bps_min * _UNITS_PER_BPS
        return line.residual(self._second.log, self._first.log) / max(line.deviation, floor)

    def _judge_entry(self) -> Decision:
        line = self._window.line
        if line is None:
            return None
        parameters = self.parameters
        z = self._score(line)
        if not self._is_armed:
            self._is_armed = abs(z) <= parameters.exit_z
            return None
        if abs(z) < parameters.entry_z:
            return None
        if parameters.stop_z is not None and abs(z) >= parameters.stop_z:
            return None
        if not parameters.hedge_ratio_min <= line.slope <= parameters.hedge_ratio_max:
            return None
        if parameters.edge_bps is not None and not self._has_edge(line, parameters.edge_bps):
            return None
        return self._open(line, z)

    def _has_edge(self, line: Line, wanted_bps: float) -> bool:
        cost_bps = 0.0
        for leg, weight in ((self._first, 1.0), (self._second, line.slope)):
            fees = self.context.fees(leg.instrument_id)
            spread = self.context.book(leg.instrument_id).spread_units
            if fees is None or spread is None:
                return False
            cost_bps += weight * (2.0 * float(fees.taker) + 2.0 * spread / leg.twice) * _BPS
        residual = line.residual(self._second.log, self._first.log)
        return abs(residual) / _UNITS_PER_BPS >= cost_bps + wanted_bps

    def _open(self, line: Line, z: float) -> Decision:
        first, second = self._first, self._second
        notional = self.parameters.notional
        first_size = size_units_for(first.instrument, notional, first.twice / 2)
        second_size = size_units_for(second.instrument, notional * line.slope, second.twice / 2)
        sign = -1 if z > 0 else 1
        sold = first if sign < 0 else second
        if not first_size or not second_size or not sold.instrument.capabilities.can_short:
            return None
        first.target, second.target = sign * first_size, -sign * second_size
        self._line = line
        self._is_active, self._is_whole = True, False
        self._whole_by_ns = self.context.now_ns + self.parameters.leg_timeout_ms * _MS
        return self._work(f"z {z:+.2f}, hedge ratio {line.slope:.2f}")

    def _hold(self) -> Decision:
        first, second = self._first, self._second
        missing = [self._missing(leg) for leg in (first, second)]
        if not first.target and not second.target:
            if any(missing):
                return self._work("closing the pair")
            self._is_active = False
            self._line = None
            return None
        if any(missing):
            if self._is_whole or self.context.now_ns >= self._whole_by_ns:
                self._is_armed = False
                self._close()
                return self._work("the pair is not whole")
            return self._work("a leg is missing")
        self._is_whole = True
        return self._judge_exit()

    def _judge_exit(self) -> Decision:
        if self._line is None:
            self._line = self._window.line
        line, parameters = self._line, self.parameters
        if line is None:
            return None
        z = self._score(line)
        # What still can be lost: z grows against a pair whose first leg was sold.
        away = z if self._first.target < 0 else -z
        if parameters.stop_z is not None and away >= parameters.stop_z:
            self._is_armed = False
            self._close()
            return self._work(f"z {z:+.2f} is beyond {parameters.stop_z:g}")
        if away <= parameters.exit_z:
            self._close()
            return self._work(f"z {z:+.2f} is back")
        return None

    # legs -----------------------------------------------------------------------------------------

    def _close(self) -> None:
        for leg in (self._first, self._second):
            leg.target = 0
            leg.asked_ns = 0

    def _leg(self, instrument_id: InstrumentId) -> _LegState:
        return self._first if instrument_id == self._first.instrument_id else self._second

    def _missing(self, leg: _LegState) -> int:
        """Return what a leg lacks, signed; less than the least order is nothing."""
        missing = leg.target - self.context.position(leg.instrument_id).size_units
        return missing if abs(missing) >= leg.instrument.size_min_units else 0

    def _work(self, reason: str) -> list[Action]:
        now_ns = self.context.now_ns
        busy = {order.instrument_id for order in self.context.orders()}
        wishes: list[Action] = []
        for leg in (self._first, self._second):
            missing = self._missing(leg)
            is_early = leg.asked_ns and now_ns < leg.asked_ns + self.parameters.retry_ms * _MS
            if not missing or is_early or leg.instrument_id in busy:
                continue
            price = self._worst(leg, missing)
            if price is None:
                continue
            leg.asked_ns = now_ns
            is_closing = not leg.target
            wishes.append(
                OrderIntent(
                    instrument_id=leg.instrument_id,
                    side=Side.BUY if missing > 0 else Side.SELL,
                    size_units=abs(missing),
                    price_units=price,
                    time_in_force=TimeInForce.IOC,
                    reduce_only=is_closing and leg.instrument.capabilities.has_reduce_only,
                    purpose=Purpose.CLOSE if is_closing else Purpose.OPEN,
                    reason=reason,
                )
            )
        return wishes

    def _worst(self, leg: _LegState, missing: int) -> int | None:
        book = self.context.book(leg.instrument_id)
        cap = self.parameters.slippage_bps / _BPS
        if missing > 0:
            touch = book.best_ask
            return None if touch is None else bid_units(touch * (1.0 + cap), leg.instrument)
        touch = book.best_bid
        return None if touch is None else ask_units(touch * (1.0 - cap), leg.instrument)
