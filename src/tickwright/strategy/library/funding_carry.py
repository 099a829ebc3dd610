"""Funding carry: holds the side that is paid over a funding payment of a perpetual, and leaves.

Sources: R. Koijen, T. Moskowitz, L. Pedersen and E. Vrugt, "Carry", Journal of Financial Economics
127 (2018), 197-225, for carry as a return of its own; S. He, A. Manela, O. Ross and V. von Wachter,
"Fundamentals of Perpetual Futures" (2022), for what funding pays. A positive rate means that longs
pay: it is short then, and long for a negative one. It enters within `enter_before_s` of the
payment, when the rate is worth it, and leaves `exit_after_s` behind it, at once when the rate
turned against it before, or by its stops.

The price is not hedged: a payment of some bps stands against the moves of minutes. Nothing else
does it here, so size it small, or hedge it by another account. A risk configuration with
`funding_pause_before_s` must leave it room. Timers don't outlive a restart: a position found at the
start is kept for a payment that is due within the window and pays it, and left otherwise.
"""

from typing import Annotated

from msgspec import Meta

from tickwright.book.order_book import OrderBook
from tickwright.core.events import FundingUpdate, MarketEvent
from tickwright.core.exits import Exits
from tickwright.core.identity import InstrumentId
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["FundingCarry", "FundingCarryParameters"]

_SECOND_NS = 1_000_000_000
_BPS = 1e4
_E9_PER_BPS = 10**5
_ASK_AGAIN_NS = 5 * _SECOND_NS
"""An entry or exit that did not come about is asked for again after this."""


class FundingCarryParameters(StrategyParameters, frozen=True, kw_only=True):
    """What may be tuned, with bounds; bps are of the notional, for one payment."""

    rate_bps_min: Annotated[float, Meta(gt=0.0, le=1_000.0)] = 2.0
    """Least rate, either sign, that is worth a position."""
    rate_bps_full: Annotated[float, Meta(gt=0.0, le=10_000.0)] = 20.0
    """Where confidence reaches 1; it rises from `rate_bps_min`, where it is one half."""
    edge_bps: Annotated[float, Meta(ge=0.0, le=1_000.0)] | None = 0.0
    """Rate wanted beyond two taker fees and the spread; None asks for none."""
    enter_before_s: Annotated[int, Meta(ge=2, le=86_400)] = 120
    enter_until_s: Annotated[int, Meta(ge=1, le=86_400)] = 5
    """Nothing is entered later before the payment: orders take their time."""
    exit_after_s: Annotated[int, Meta(ge=0, le=86_400)] = 15
    stop_loss_fraction: Annotated[float, Meta(gt=0.0, le=0.5)] | None = 0.003
    take_profit_fraction: Annotated[float, Meta(gt=0.0, le=0.9)] | None = None

    def fault(self) -> str | None:
        """Say which fields contradict each other, or None."""
        if self.enter_until_s >= self.enter_before_s:
            return "enter_until_s must be below enter_before_s"
        if self.rate_bps_full <= self.rate_bps_min:
            return "rate_bps_full must be above rate_bps_min"
        return None


class FundingCarry(Strategy):
    """The strategy of this module; parameters in `FundingCarryParameters`."""

    Parameters = FundingCarryParameters
    parameters: FundingCarryParameters

    def on_start(self) -> Decision:
        """Nothing is known of a payment yet."""
        parameters = self.parameters
        self._exits = Exits(
            stop_loss_fraction=parameters.stop_loss_fraction,
            take_profit_fraction=parameters.take_profit_fraction,
        )
        self._paid_ns = dict.fromkeys(self.context.instruments, 0)
        """The payment a position is held for; 0: none."""
        self._asked_ns = dict.fromkeys(self.context.instruments, 0)
        return None

    def on_book(self, book: OrderBook) -> Decision:
        """Nothing: timers and rates decide."""

    def on_market(self, event: MarketEvent) -> Decision:
        """Follow the rate: it may change until the payment, and then names the next one."""
        if not isinstance(event, FundingUpdate):
            return None
        instrument_id, now_ns = event.instrument_id, self.context.now_ns
        opens_ns = event.next_funding_ns - self.parameters.enter_before_s * _SECOND_NS
        held = self.context.position(instrument_id).size_units
        if held:
            return self._keep_or_leave(event, held, opens_ns)
        if now_ns < opens_ns:
            self._look_at(instrument_id, opens_ns)
            return None
        return self._enter(event)

    def on_timer(self, name: str) -> Decision:
        """Enter or leave when it is time."""
        verb, _, text = name.partition(" ")
        instrument_id = next(one for one in self.context.instruments if str(one) == text)
        if verb == "leave":
            return self._leave(instrument_id, "the payment is over")
        funding = self.context.funding(instrument_id)
        return None if funding is None else self._enter(funding)

    def _enter(self, funding: FundingUpdate) -> Decision:
        """Ask for the side that is paid, when the time is right and the rate is worth it."""
        context, parameters = self.context, self.parameters
        instrument_id, now_ns = funding.instrument_id, context.now_ns
        left_ns = funding.next_funding_ns - now_ns
        if not parameters.enter_until_s * _SECOND_NS <= left_ns:
            return None
        if left_ns > parameters.enter_before_s * _SECOND_NS:
            return None
        if context.position(instrument_id).size_units:
            return None
        if now_ns < self._asked_ns[instrument_id] + _ASK_AGAIN_NS:
            return None
        # Whatever becomes of it (refused, not filled, not worth it yet), it is looked at again.
        self._look_at(instrument_id, now_ns + _ASK_AGAIN_NS)
        rate_bps = funding.rate_e9 / _E9_PER_BPS
        if abs(rate_bps) < parameters.rate_bps_min or not self._has_edge(instrument_id, rate_bps):
            return None
        self._asked_ns[instrument_id] = now_ns
        self._paid_ns[instrument_id] = funding.next_funding_ns
        self._leave_at(instrument_id, funding.next_funding_ns)
        above = abs(rate_bps) - parameters.rate_bps_min
        share = above / (parameters.rate_bps_full - parameters.rate_bps_min)
        return Signal(
            instrument_id=instrument_id,
            kind=SignalKind.SHORT if rate_bps > 0 else SignalKind.LONG,
            confidence=min(0.5 + share / 2.0, 1.0),
            reason=f"funding {rate_bps:+.2f} bps in {left_ns // _SECOND_NS} s",
            exits=self._exits,
        )

    def _keep_or_leave(self, funding: FundingUpdate, held: int, opens_ns: int) -> Decision:
        instrument_id = funding.instrument_id
        paid_ns = self._paid_ns[instrument_id]
        earns = held * funding.rate_e9 < 0
        if paid_ns and funding.next_funding_ns > paid_ns:
            # The payment was made: the timer ends it, whatever the next rate is.
            return None
        if not earns:
            return self._leave(instrument_id, "the rate turned")
        if paid_ns:
            return None
        if self.context.now_ns < opens_ns:
            return self._leave(instrument_id, "no payment is near")
        self._paid_ns[instrument_id] = funding.next_funding_ns
        self._leave_at(instrument_id, funding.next_funding_ns)
        return None

    def _look_at(self, instrument_id: InstrumentId, due_ns: int) -> None:
        self.context.set_timer(f"enter {instrument_id}", due_ns)

    def _leave_at(self, instrument_id: InstrumentId, payment_ns: int) -> None:
        due_ns = payment_ns + self.parameters.exit_after_s * _SECOND_NS
        self.context.set_timer(f"leave {instrument_id}", due_ns)

    def _leave(self, instrument_id: InstrumentId, reason: str) -> Decision:
        if not self.context.position(instrument_id).size_units:
            self._paid_ns[instrument_id] = 0
            funding = self.context.funding(instrument_id)
            if funding is not None and funding.next_funding_ns > self.context.now_ns:
                before_ns = self.parameters.enter_before_s * _SECOND_NS
                self._look_at(instrument_id, funding.next_funding_ns - before_ns)
            return None
        again_ns = self.context.now_ns + _ASK_AGAIN_NS
        self.context.set_timer(f"leave {instrument_id}", again_ns)
        return self.context.leave(instrument_id, reason=reason)

    def _has_edge(self, instrument_id: InstrumentId, rate_bps: float) -> bool:
        wanted_bps = self.parameters.edge_bps
        if wanted_bps is None:
            return True
        fees = self.context.fees(instrument_id)
        book = self.context.book(instrument_id)
        spread, twice = book.spread_units, book.mid_twice_units
        if fees is None or spread is None or not twice:
            return False
        cost_bps = 2.0 * float(fees.taker) * _BPS + 2.0 * spread / twice * _BPS
        return abs(rate_bps) >= cost_bps + wanted_bps
