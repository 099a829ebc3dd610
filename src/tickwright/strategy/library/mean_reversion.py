"""Mean reversion of the mid: buys what fell too far with bids behind it, sells the mirror image.

The z-score compares the mid with the samples before it, over `lookback` samples taken at every
update or on a grid in time. A long needs z below -`entry_z` and more bids than asks (imbalance
above the threshold); a short is mirrored. Confidence rises from 0 at the entry to 1 at `z_full`.
The deviation never counts less than one tick. One signal an excursion: after it, the strategy is
armed again once it is flat and z came back inside the exit band.
"""

import math
from typing import Annotated, Literal

from msgspec import Meta

from tickwright.book.order_book import OrderBook
from tickwright.core.events import BookState, BookStateChanged, InstrumentChanged, MarketEvent
from tickwright.core.identity import InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.strategy.base import Strategy
from tickwright.strategy.indicators import IntervalSampler, RollingZScore
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["MeanReversion", "MeanReversionParameters"]

_MS = 1_000_000
_BPS = 1e4
_EXIT_REPEAT_NS = 1_000_000_000
"""An exit that did not make the position flat (refused, unfilled) is asked for again after this."""


class MeanReversionParameters(StrategyParameters, frozen=True, kw_only=True):
    """What may be tuned, with bounds; fractions are of the entry price."""

    lookback: Annotated[int, Meta(ge=10, le=100_000)] = 200
    """Samples in the window."""
    sampling: Literal["by_update", "by_interval"] = "by_interval"
    interval_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 100
    """Distance of samples with `by_interval`."""
    entry_z: Annotated[float, Meta(gt=0.0, le=20.0)] = 2.0
    z_full: Annotated[float, Meta(gt=0.0, le=40.0)] = 4.0
    """Where confidence reaches 1."""
    exit_z: Annotated[float, Meta(ge=0.0, le=20.0)] = 0.5
    """A long exits at z >= -exit_z, a short at z <= exit_z."""
    imbalance_threshold: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.1
    imbalance_levels: Annotated[int, Meta(ge=1, le=500)] = 10
    edge_bps: Annotated[float, Meta(ge=0.0, le=1000.0)] | None = None
    """Profit above two taker fees and the spread if the mid comes back; None asks for none."""
    stop_loss_fraction: Annotated[float, Meta(gt=0.0, le=0.5)] | None = 0.005
    take_profit_fraction: Annotated[float, Meta(gt=0.0, le=0.9)] | None = 0.015
    outage_reset_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 2000
    """A book out of sync for longer starts the window anew."""

    def fault(self) -> str | None:
        """Say which fields contradict each other, or None."""
        if self.exit_z >= self.entry_z:
            return f"exit_z {self.exit_z:g} must be below entry_z {self.entry_z:g}"
        if self.z_full <= self.entry_z:
            return f"z_full {self.z_full:g} must be above entry_z {self.entry_z:g}"
        return None


class _Track:
    """What is kept per instrument; bands are twice mids, so that an update compares two numbers."""

    __slots__ = (
        "entry_high",
        "entry_low",
        "exit_again_ns",
        "grid",
        "instrument_id",
        "is_armed",
        "is_idle",
        "outage_ns",
        "position_units",
        "twice",
        "window",
    )

    def __init__(self, instrument: Instrument, parameters: MeanReversionParameters) -> None:
        self.instrument_id = instrument.id
        self.window = RollingZScore(parameters.lookback, floor=2.0 * instrument.tick_units)
        self.grid = (
            IntervalSampler(parameters.interval_ms * _MS)
            if parameters.sampling == "by_interval"
            else None
        )
        self.is_armed = True
        self.is_idle = True
        """Armed and flat: nothing to do inside the entry bands."""
        self.position_units = 0
        self.exit_again_ns = 0
        self.outage_ns = 0
        self.forget()

    def forget(self) -> None:
        """Start the window anew; position and arming stay."""
        self.window.reset()
        if self.grid is not None:
            self.grid.reset()
        self.twice = 0
        self.entry_low = -math.inf
        self.entry_high = math.inf

    def settle(self) -> None:
        """Refresh `is_idle` after arming or the position changed."""
        self.is_idle = self.is_armed and not self.position_units


class MeanReversion(Strategy):
    """The strategy of this module; parameters in `MeanReversionParameters`."""

    Parameters = MeanReversionParameters
    parameters: MeanReversionParameters

    def on_start(self) -> Decision:
        """Make one track per subscribed instrument."""
        context = self.context
        self._entry_z = self.parameters.entry_z
        self._tracks: dict[InstrumentId, _Track] = {}
        self._by_slot: dict[int, _Track] = {}
        for instrument_id in context.instruments:
            track = _Track(context.instrument(instrument_id), self.parameters)
            track.position_units = context.position(instrument_id).size_units
            track.settle()
            self._tracks[instrument_id] = track
            self._by_slot[context.book(instrument_id).slot] = track
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Sample the mid and compare it with the bands; the common case ends in a comparison."""
        twice = book.mid_twice_units
        if twice is None:
            return None
        track = self._by_slot[book.slot]
        before = track.twice
        track.twice = twice
        grid = track.grid
        if grid is not None:
            if (due := grid.due(book.received_ns)) and before:
                self._sample(track, before, due)
            if track.is_idle and track.entry_low <= twice <= track.entry_high:
                return None
        elif before:
            track.window.update(before)
            if track.is_idle and track.window.is_within(twice, self._entry_z):
                return None
        return self._judge(track, book, twice)

    def on_fill(self, fill: Fill) -> Decision:
        """Follow the position."""
        track = self._tracks[fill.instrument_id]
        track.position_units = self.context.position(fill.instrument_id).size_units
        track.settle()
        return None

    def on_book_state(self, event: BookStateChanged) -> Decision:
        """Start the window anew when the book was out of sync for too long."""
        track = self._tracks[event.instrument_id]
        if event.state is not BookState.SYNCED:
            if not track.outage_ns:
                track.outage_ns = self.context.now_ns
        elif track.outage_ns:
            outage_ns = self.context.now_ns - track.outage_ns
            track.outage_ns = 0
            if outage_ns > self.parameters.outage_reset_ms * _MS:
                track.forget()
            elif track.grid is not None:
                # Grid points inside the outage have no sample: the mid was unknown then.
                track.grid.reset()
        return None

    def on_market(self, event: MarketEvent) -> Decision:
        """Follow a change of tick or decimals: units may mean something else now."""
        if isinstance(event, InstrumentChanged):
            old = self._tracks[event.instrument.id]
            fresh = _Track(event.instrument, self.parameters)
            fresh.position_units, fresh.is_armed = old.position_units, old.is_armed
            fresh.settle()
            self._tracks[event.instrument.id] = fresh
            self._by_slot[self.context.book(event.instrument.id).slot] = fresh
        return None

    def _sample(self, track: _Track, before: int, due: int) -> None:
        window = track.window
        # After a silence longer than the window, the window is full of one value: no need for more.
        for _ in range(min(due, window.window)):
            window.update(before)
        mean, deviation = window.mean, window.value
        if mean is not None and deviation is not None:
            band = self._entry_z * max(deviation, window.floor)
            track.entry_low = mean - band
            track.entry_high = mean + band

    def _judge(self, track: _Track, book: OrderBook, twice: int) -> Decision:
        z = track.window.score(twice)
        if z is None:
            return None
        if track.position_units:
            return self._judge_exit(track, book, z)
        parameters = self.parameters
        if not track.is_armed:
            if abs(z) <= parameters.exit_z:
                track.is_armed = True
                track.settle()
            return None
        if abs(z) <= parameters.entry_z:
            return None
        imbalance = book.imbalance(parameters.imbalance_levels)
        if imbalance is None:
            return None
        is_long = z < 0.0
        if (imbalance if is_long else -imbalance) <= parameters.imbalance_threshold:
            return None
        if parameters.edge_bps is not None and not self._has_edge(track, book, twice):
            return None
        track.is_armed = False
        track.settle()
        confidence = (abs(z) - parameters.entry_z) / (parameters.z_full - parameters.entry_z)
        return Signal(
            instrument_id=track.instrument_id,
            kind=SignalKind.LONG if is_long else SignalKind.SHORT,
            confidence=min(confidence, 1.0),
            reason=f"z {z:+.2f} with imbalance {imbalance:+.2f}",
            stop_loss_fraction=parameters.stop_loss_fraction,
            take_profit_fraction=parameters.take_profit_fraction,
        )

    def _judge_exit(self, track: _Track, book: OrderBook, z: float) -> Decision:
        toward_mean = z if track.position_units > 0 else -z
        if toward_mean < -self.parameters.exit_z or book.received_ns < track.exit_again_ns:
            return None
        track.exit_again_ns = book.received_ns + _EXIT_REPEAT_NS
        return Signal(
            instrument_id=track.instrument_id,
            kind=SignalKind.EXIT,
            reason=f"z {z:+.2f} is back inside {self.parameters.exit_z:g}",
        )

    def _has_edge(self, track: _Track, book: OrderBook, twice: int) -> bool:
        fees = self.context.fees(track.instrument_id)
        spread = book.spread_units
        mean = track.window.mean
        if fees is None or spread is None or mean is None or self.parameters.edge_bps is None:
            return False
        expected_bps = abs(mean - twice) / twice * _BPS
        cost_bps = 2.0 * float(fees.taker) * _BPS + 2.0 * spread / twice * _BPS
        return expected_bps >= cost_bps + self.parameters.edge_bps
