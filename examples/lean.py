"""Lean with the book: long while bids outweigh asks on average, short in the mirror."""

from typing import Annotated

from msgspec import Meta

import tickwright as tw


class LeanParameters(tw.StrategyParameters, frozen=True, kw_only=True):
    """What a configuration may set, with bounds."""

    levels: Annotated[int, Meta(ge=1, le=50)] = 5
    """Levels a side that the imbalance counts."""
    window: Annotated[int, Meta(ge=2, le=10_000)] = 50
    """Updates in the moving average."""
    entry: Annotated[float, Meta(gt=0, lt=1)] = 0.4
    """Average imbalance that opens; a change of its sign closes."""


class Lean(tw.Strategy):
    """One moving average of the imbalance per instrument."""

    Parameters = LeanParameters
    parameters: LeanParameters

    def on_start(self) -> tw.Decision:
        """Make what is kept per instrument."""
        self.averages = {i: tw.Ema(self.parameters.window) for i in self.context.instruments}
        self.rest_until_ns = dict.fromkeys(self.context.instruments, 0)
        return None

    def on_book(self, book: tw.OrderBook) -> tw.Decision:
        """Compare the average with the threshold."""
        instrument = book.instrument_id
        imbalance = book.imbalance(self.parameters.levels)
        if imbalance is None:
            return None
        average = self.averages[instrument]
        average.update(imbalance)
        lean = average.value
        if lean is None or self.context.now_ns < self.rest_until_ns[instrument]:
            return None
        held = self.context.position(instrument).size_units
        if held * lean < 0:
            return self._signal(instrument, tw.SignalKind.EXIT, lean)
        if held == 0 and abs(lean) > self.parameters.entry:
            kind = tw.SignalKind.LONG if lean > 0 else tw.SignalKind.SHORT
            return self._signal(instrument, kind, lean)
        return None

    def _signal(self, instrument: tw.InstrumentId, kind: tw.SignalKind, lean: float) -> tw.Signal:
        # What becomes of it comes back as a position; until then, asking once a second is enough.
        self.rest_until_ns[instrument] = self.context.now_ns + 1_000_000_000
        is_exit = kind is tw.SignalKind.EXIT
        return tw.Signal(
            instrument_id=instrument,
            kind=kind,
            confidence=min(1.0, abs(lean)),
            reason=f"average imbalance {lean:+.2f}",
            stop_loss_fraction=None if is_exit else 0.004,
            take_profit_fraction=None if is_exit else 0.008,
        )
