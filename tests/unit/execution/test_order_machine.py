"""Any interleaving of an order's news ends in the venue's truth, and every fill counts once."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.execution.life import Life
from tickwright.core.events import Outcome
from tickwright.core.orders import FINAL_STATES, OrderState, RequestKind

S = OrderState


class OrderMachine(RuleBasedStateMachine):
    """A venue that is always right, and a wire that delays, repeats and reorders what it says."""

    @initialize(size=st.integers(1, 50), is_lost=st.booleans())
    def begin(self, size, is_lost):
        self.life = Life(size_units=size)
        self.size = size
        self.venue_state = S.INTENDED
        self.venue_filled = 0
        self.venue_ns = 10
        self.wire: list[Any] = []
        self.sent_before: list[Any] = []
        self.seen: dict[str, int] = {}
        self.execution = 0
        if is_lost:
            self.life.lose()

    # the venue's truth --------------------------------------------------------------------------

    def _say(self, state: OrderState) -> None:
        self.venue_state = state
        self.venue_ns += 1
        report = self.life.make_report(state, self.venue_filled, venue_ns=self.venue_ns)
        self.wire.append(("report", report))

    @precondition(lambda self: self.venue_state is S.INTENDED)
    @rule(is_kept=st.booleans())
    def venue_takes(self, is_kept):
        self.wire.append(("ack", Outcome.ACCEPTED))
        self._say(S.WORKING if is_kept else S.REJECTED)

    @precondition(lambda self: self.venue_state in (S.WORKING, S.PARTLY_FILLED))
    @rule(data=st.data())
    def venue_fills(self, data):
        size = data.draw(st.integers(1, self.size - self.venue_filled))
        self.execution += 1
        self.venue_filled += size
        self.venue_ns += 1
        fill = self.life.make_fill(f"x{self.execution}", size, venue_ns=self.venue_ns)
        self.wire.append(("fill", fill))
        self._say(S.FILLED if self.venue_filled == self.size else S.PARTLY_FILLED)

    @precondition(lambda self: self.venue_state in (S.WORKING, S.PARTLY_FILLED))
    @rule(state=st.sampled_from([S.CANCELLED, S.EXPIRED]))
    def venue_ends(self, state):
        self._say(state)

    @precondition(lambda self: self.venue_state is not S.INTENDED)
    @rule()
    def we_cancel(self):
        if self.life.blotter.start_cancel(self.life.record, 1, "test"):
            if self.venue_state in FINAL_STATES:
                self.wire.append(("cancel", Outcome.ALREADY_DONE))
            else:
                self.wire.append(("cancel", Outcome.ACCEPTED))
                self._say(S.CANCELLED)

    # the wire -----------------------------------------------------------------------------------

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def deliver_any(self, data):
        self._deliver(self.wire.pop(data.draw(st.integers(0, len(self.wire) - 1))))

    @precondition(lambda self: self.sent_before)
    @rule(data=st.data())
    def repeat_any(self, data):
        self._deliver(data.draw(st.sampled_from(self.sent_before)))

    @rule()
    def answers_get_lost(self):
        self.life.lose()

    def _deliver(self, item: Any) -> None:
        kind, news = item
        self.sent_before.append(item)
        blotter = self.life.blotter
        if kind == "ack":
            self.life.ack(news)
        elif kind == "cancel":
            self.life.answer(RequestKind.CANCEL, news)
        elif kind == "report":
            blotter.on_report(news, 1)
        elif blotter.is_new_fill(news):
            blotter.on_fill(news, 1)
            self.seen[news.execution_id] = news.size_units

    # what always holds --------------------------------------------------------------------------

    @invariant()
    def fills_are_the_set_of_execution_ids(self):
        if not hasattr(self, "life"):
            return
        order = self.life.order
        assert sum(self.seen.values()) == order.filled_units
        assert order.filled_notional == 100 * order.filled_units
        assert 0 <= order.remaining_units <= self.size
        assert self.life.blotter.overfill_count == 0

    @invariant()
    def sums_count_what_may_still_move_the_position(self):
        if hasattr(self, "life"):
            record = self.life.record
            assert record.live_units == self.life.buys
            # Never less than what the venue filled and could fill, less what we have seen, as far
            # as anything of it was told: an unseen order counts whole.
            assert record.live_units + record.order.filled_units <= self.size
            assert (0 if record.is_settled else 1) == self.life.working.open_orders

    def teardown(self):
        if not hasattr(self, "life"):
            return
        while self.wire:
            self._deliver(self.wire.pop(0))
        order = self.life.order
        assert self.venue_filled == order.filled_units
        if self.venue_state is not S.INTENDED:
            assert self.venue_state is order.state
        if self.venue_state in FINAL_STATES:
            assert self.life.record.is_settled
            assert 0 == self.life.buys


OrderMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_order_when_news_interleave_at_random_then_the_venues_truth = OrderMachine.TestCase
