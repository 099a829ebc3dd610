"""Owns the public side's inputs besides plain book updates: prices, funding, rules, states, marks.

Refuses to trade on what isn't proven: when a book is no longer synced, resting entries on it are
withdrawn.
"""

from tickwright.core.events import (
    BookState,
    BookStateChanged,
    ClockNotice,
    FeesChanged,
    FundingUpdate,
    IndexPrice,
    InstrumentChanged,
    MarketEvent,
    MarkPrice,
    Trade,
)
from tickwright.engine.dispatch import Dispatch
from tickwright.engine.lanes import Lane
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.protection_desk import ProtectionDesk
from tickwright.engine.state import TradingState
from tickwright.engine.work_desk import WorkDesk

__all__ = ["MarketDesk"]

MARK_PAUSE_NS = 100_000_000
"""How often the mid stands in for a mark the venue does not tell."""


class MarketDesk:
    """Takes the market in."""

    def __init__(
        self,
        state: TradingState,
        orders: OrderDesk,
        positions: PositionDesk,
        dispatch: Dispatch,
        protections: ProtectionDesk,
        works: WorkDesk,
    ) -> None:
        self._works = works
        self._state = state
        self._orders = orders
        self._positions = positions
        self._dispatch = dispatch
        self._protections = protections

    def on_busy_book(self, lane: Lane) -> None:
        """Do what a book update needs where something is held: brackets and the mark."""
        if lane.watch:
            self._positions.on_book(lane)
        if lane.works:
            self._works.on_book(lane)
        if not lane.marks_from_mid:
            return
        now_ns = self._state.moment.now_ns
        if now_ns >= lane.mark_due_ns:
            twice = lane.book.mid_twice_units
            if twice is not None:
                lane.mark_due_ns = now_ns + MARK_PAUSE_NS
                self._state.portfolio.set_mark(
                    lane.instrument_id, twice // 2, now_ns=now_ns, mid_twice_units=twice
                )

    def on_trade(self, trade: Trade) -> None:
        """Hand a public trade to who listens."""
        lane = self._state.lanes.get(trade.instrument_id)
        if lane is None:
            return
        if lane.watch and not trade.is_block:
            self._positions.on_trade(lane, trade.price_units)
        if lane.trade_calls:
            self._dispatch.deliver(lane.trade_calls, trade)

    def on_market(self, event: MarketEvent) -> None:
        """Hand any other market event to who listens."""
        assert not isinstance(event, InstrumentChanged), "it has a door of its own"
        lane = self._state.lanes.get(event.instrument_id)
        if lane is not None and lane.market_calls:
            self._dispatch.deliver(lane.market_calls, event)

    def on_mark(self, event: MarkPrice) -> None:
        """Take the venue's fair price: positions are valued at it from now on."""
        lane = self._state.lanes.get(event.instrument_id)
        if lane is None:
            return
        if not lane.has_venue_mark:
            lane.has_venue_mark = True
            lane.marks_from_mid = False
            lane.settle()
        self._state.portfolio.set_mark(
            event.instrument_id,
            event.price_units,
            now_ns=self._state.moment.now_ns,
            mid_twice_units=lane.book.mid_twice_units,
        )
        self.on_market(event)

    def on_index(self, event: IndexPrice) -> None:
        """Keep the latest index price."""
        lane = self._state.lanes.get(event.instrument_id)
        if lane is not None:
            lane.index_units = event.price_units
            self.on_market(event)

    def on_funding(self, event: FundingUpdate) -> None:
        """Keep the latest funding rate."""
        lane = self._state.lanes.get(event.instrument_id)
        if lane is not None:
            lane.funding = event
            self._state.portfolio.set_funding_time(event.instrument_id, event.next_funding_ns)
            self.on_market(event)

    def on_clock(self, event: ClockNotice) -> None:
        """Keep how far a venue's clock may be from ours, for the gate."""
        state = self._state
        if any(account_id.venue == event.source for account_id in state.accounts):
            skew_ns = abs(event.offset_ns) + event.uncertainty_ns
            state.view.clock_skew_ns[event.source] = skew_ns

    def on_fees(self, event: FeesChanged) -> None:
        """Keep the fee rates of an account."""
        self._state.rates[(event.account_id, event.instrument_id)] = event.rates

    def on_instrument(self, event: InstrumentChanged) -> None:
        """Take new rules over; when units change, nothing of the old ones may stay working."""
        state = self._state
        instrument = event.instrument
        lane = state.lanes.get(instrument.id)
        if lane is None:
            return
        old = lane.instrument
        has_new_units = (
            old.price_decimals != instrument.price_decimals
            or old.size_decimals != instrument.size_decimals
        )
        if has_new_units:
            self._orders.cancel_where(
                "the instrument's units changed", instrument_id=instrument.id, only_opening=False
            )
        lane.instrument = instrument
        state.portfolio.set_instrument(instrument)
        if has_new_units:
            lane.volatility.reset()
            lane.ranges.reset()
            for plan in tuple(lane.plans):
                self._positions.reset_levels(plan)
        if lane.market_calls:
            self._dispatch.deliver(lane.market_calls, event)

    def on_book_state(self, event: BookStateChanged) -> None:
        """Follow what a book is worth; resting entries don't stay on one that isn't proven."""
        lane = self._state.lanes.get(event.instrument_id)
        if lane is None:
            return
        if event.state is not BookState.SYNCED:
            self._orders.cancel_where(
                f"the book is {event.state.name.lower()}",
                instrument_id=event.instrument_id,
                stops_works=False,
            )
        if lane.state_calls:
            self._dispatch.deliver(lane.state_calls, event)

    def keep_house(self) -> None:
        """Once a second: sample volatility, look at losses and the day."""
        state = self._state
        now_ns, on_mid = state.moment.now_ns, state.protections.on_mid
        for lane in state.lanes.values():
            on_mid(lane.instrument_id, lane.sample(), now_ns)
        for account_id in state.accounts:
            state.gate.forget_before(account_id, now_ns)
            if account_id in state.view.ready_accounts:
                self._protections.watch_losses(account_id)
