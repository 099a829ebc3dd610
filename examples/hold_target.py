"""Hold a target: what is missing is bought in slices, what is too much rests to be sold."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

import tickwright as tw


class HoldTargetParameters(tw.StrategyParameters, frozen=True, kw_only=True):
    """What a configuration may set, with bounds."""

    target: Annotated[str, Meta(pattern=r"^\d+(\.\d+)?$")] = "0.02"
    """Size to hold, in base asset."""
    minutes: Annotated[float, Meta(gt=0, le=1_440)] = 1.0
    """Over which a missing size is bought."""
    slices: Annotated[int, Meta(ge=1, le=500)] = 6


class HoldTarget(tw.Strategy):
    """Hands the difference to an algorithm and lets it end before it looks again."""

    Parameters = HoldTargetParameters
    parameters: HoldTargetParameters

    def on_start(self) -> tw.Decision:
        """Nothing is asked for yet."""
        self.rest_until_ns = dict.fromkeys(self.context.instruments, 0)
        return None

    def on_book(self, book: tw.OrderBook) -> tw.Decision:
        """Compare what is held with the target."""
        context, instrument_id = self.context, book.instrument_id
        if not book.is_synced or context.now_ns < self.rest_until_ns[instrument_id]:
            return None
        if any(work.intent.instrument_id == instrument_id for work in context.works()):
            return None
        instrument = context.instrument(instrument_id)
        target = instrument.size_units_floor(Decimal(self.parameters.target))
        missing = target - context.position(instrument_id).size_units
        if abs(missing) < instrument.size_min_units:
            return None
        # What was refused is refused again a moment later: asking every ten seconds is enough.
        self.rest_until_ns[instrument_id] = context.now_ns + 10_000_000_000
        if missing > 0:
            twap = tw.Twap(
                duration_ms=int(self.parameters.minutes * 60_000),
                slices=self.parameters.slices,
                randomise_fraction=0.3,
            )
            return context.work(
                instrument_id, tw.Side.BUY, missing, twap, reason="below the target"
            )
        return context.work(
            instrument_id,
            tw.Side.SELL,
            -missing,
            tw.FollowTouch(give_up_ms=30_000),
            reduce_only=True,
            reason="above the target",
        )

    def on_work(self, work: tw.Work) -> tw.Decision:
        """Look again at once when a work ended whole."""
        if work.state is tw.WorkState.DONE:
            self.rest_until_ns[work.intent.instrument_id] = 0
        return None
