"""Owns who holds a position's stops: the venue where it can and is proven to, otherwise we.

Refuses to leave a position to a request: until the venue is proven to hold a level, it is watched
here, and it is watched here again as soon as the venue's report no longer shows it. Requests are
repeated until answered, because setting a stop twice changes nothing.
"""

from tickwright.core.commands import SetPositionStops, StopsNotice
from tickwright.core.events import Outcome, PositionReport, StopsReply
from tickwright.core.identity import Category, Leg
from tickwright.engine.deadlines import Deadline
from tickwright.engine.lanes import Lane
from tickwright.engine.state import TradingState
from tickwright.execution.held_stops import StopsWish
from tickwright.execution.position_plan import RETRY_NS_MAX, PositionPlan
from tickwright.portfolio.account import Holding

__all__ = ["REFUSALS_MAX", "StopsDesk"]

_MS = 1_000_000
# Looking a member up in its class is a Python call, and every report asks.
_NET = Leg.NET
_REFUSED_PAUSE_NS = 1_000_000_000
_REFUSED_PAUSE_NS_MAX = 60_000_000_000
"""How long a venue that refused is left in peace; it doubles from a second on."""
REFUSALS_MAX = 10
"""Refusals in a row after which a position's stops stay here."""
_GROUP = {category: f"stops.{category.value}" for category in Category}
"""Names of the request groups, by product line."""


class StopsDesk:
    """Brings stops to the venue and keeps an eye on them."""

    def __init__(self, state: TradingState) -> None:
        self._state = state
        execution = state.config.execution
        self._answer_ns = execution.answer_timeout_ms * _MS
        self._retry_ns = execution.exit_retry_ms * _MS
        self._wants_held = execution.brackets == "auto"
        self._number = 0
        self.asked_count = 0
        self.fallback_count = 0
        """How often stops came back to us: refused, unanswered or gone at the venue."""

    # where ----------------------------------------------------------------------------------------

    def can_hold(self, plan: PositionPlan, lane: Lane) -> bool:
        """Whether the venue may hold this strategy's stops: they act on the whole position."""
        if not self._wants_held or not lane.instrument.capabilities.has_attached_brackets:
            return False
        holding = self._state.portfolio.holding(plan.account_id, plan.instrument_id)
        return (
            not holding.market.is_spot
            and not (holding.is_hedged and _holds_legs(holding))
            and self.is_alone(plan)
        )

    def is_alone(self, plan: PositionPlan) -> bool:
        """Whether no other strategy of the account may hold this instrument."""
        runs = self._state.runs
        if len(runs) == 1:
            return True
        for run in runs.values():
            context = run.context
            if (
                run.strategy_id != plan.strategy_id
                and context.account_id == plan.account_id
                and plan.instrument_id in context.instruments
            ):
                return False
        return True

    # asking ---------------------------------------------------------------------------------------

    def tend(self, plan: PositionPlan) -> None:
        """Watch what the venue isn't proven to hold, and ask it to hold what it should."""
        lane = self._state.lane(plan.instrument_id)
        plan.guard()
        if plan.is_watching is not (plan in lane.watch):
            lane.settle()
        levels, held = plan.levels, plan.held
        if levels is None or plan.closing is not None or held.asked is not None:
            return
        if plan.bracket.is_empty and (levels.distance_units is None or held.distance_units):
            # All of it is held.
            return
        state = self._state
        if plan.account_id not in state.view.ready_accounts:
            # What happened before it was read whole is past: there may be no such position now.
            return
        wish = held.wish(levels)
        if wish.is_empty or held.refusals >= REFUSALS_MAX or state.now_ns < held.quiet_until_ns:
            return
        if not self.can_hold(plan, lane):
            return
        position = state.portfolio.position(plan.account_id, plan.instrument_id)
        if position.size_units != plan.size_units:
            # Somebody else's size is in it too, and the venue's stops would close that as well.
            return
        self._number += 1
        held.number = self._number
        held.asked = wish
        held.was_asked = True
        held.asked_ns = 0
        held.attempts = 0
        self._send(plan, wish)

    def _send(self, plan: PositionPlan, wish: StopsWish) -> None:
        state, held = self._state, plan.held
        now_ns = state.now_ns
        group = _GROUP[plan.instrument_id.category]
        if not state.budget.take(plan.account_id, group, now_ns, is_urgent=True):
            due_ns = state.budget.next_ns(plan.account_id, group, now_ns, is_urgent=True)
            self._later(plan, max(due_ns, now_ns + _MS))
            return
        held.asked_ns = now_ns
        self.asked_count += 1
        state.outbox.command(
            SetPositionStops(
                account_id=plan.account_id,
                instrument_id=plan.instrument_id,
                leg=Leg.NET,
                number=held.number,
                stop_units=wish.stop_units,
                take_units=wish.take_units,
                trailing_distance_units=wish.distance_units,
                trailing_active_units=wish.activation_units,
                event_id=state.moment.event_id,
            )
        )
        self._later(plan, now_ns + self._answer_ns)

    def _later(self, plan: PositionPlan, due_ns: int) -> None:
        plan.held.retry_ns = due_ns
        self._state.deadlines.add(due_ns, Deadline.STOPS, plan.key)

    # answers --------------------------------------------------------------------------------------

    def on_reply(self, reply: StopsReply) -> None:
        """Take in what became of a request."""
        lane = self._state.lanes.get(reply.instrument_id)
        plan = None if lane is None else self._asked_by(lane, reply.number)
        if plan is None:
            # The position it was for is gone, or a later proof ended it.
            return
        held = plan.held
        wish = held.asked
        assert wish is not None, "a plan is found by its request under way"
        if reply.outcome is Outcome.ACCEPTED:
            held.prove(wish, reply.venue_ns)
            self.tend(plan)
            self._tell(plan, f"the venue holds {self._words(plan, wish)}")
        elif reply.outcome is Outcome.REFUSED:
            held.settle()
            pause_ns = min(_REFUSED_PAUSE_NS << min(held.refusals, 16), _REFUSED_PAUSE_NS_MAX)
            held.refusals += 1
            held.quiet_until_ns = self._state.now_ns + pause_ns
            self.tend(plan)
            self._later(plan, held.quiet_until_ns)
            if held.refusals == 1:
                self._fall_back(plan, f"refused by the venue: {reply.code} {reply.text}".rstrip())
        else:
            self._doubt(plan, reply.text or "no answer")
            pause_ns = min(self._retry_ns << min(held.attempts, 16), RETRY_NS_MAX)
            held.attempts += 1
            self._later(plan, self._state.now_ns + pause_ns)

    def on_due(self, plan: PositionPlan) -> None:
        """Repeat a request that nobody answered, as it should be by now."""
        held = plan.held
        if self._state.now_ns < held.retry_ns:
            return
        if held.asked is None:
            self.tend(plan)
            return
        if plan.levels is None or plan.closing is not None:
            held.settle()
            return
        if held.asked_ns and self._state.now_ns >= held.asked_ns + self._answer_ns:
            self._doubt(plan, "no answer")
            held.attempts += 1
        wish = held.wish(plan.levels)
        if wish != held.asked:
            # Another wish is another request: a late answer to the first proves nothing of it.
            held.asked = None
            self.tend(plan)
            return
        self._send(plan, wish)

    def on_report(self, report: PositionReport) -> None:
        """Compare what the venue says it holds with what is believed."""
        lane = self._state.lanes.get(report.instrument_id)
        if lane is None or report.leg is not _NET or report.stop_units is None:
            return
        for plan in lane.plans:
            if (
                plan.account_id == report.account_id
                and plan.levels is not None
                and plan.size_units * report.size_units > 0
                and report.venue_ns >= plan.held.proven_ns
                and self.can_hold(plan, lane)
                and report.venue_ns >= self._opened_ns(plan)
            ):
                self._compare(plan, report)

    def _opened_ns(self, plan: PositionPlan) -> int:
        """Return the venue's time of the fill that opened it: older reports are of another one."""
        portfolio = self._state.portfolio
        return portfolio.strategy_position(
            plan.strategy_id, plan.account_id, plan.instrument_id
        ).opened_ns

    def _compare(self, plan: PositionPlan, report: PositionReport) -> None:
        held = plan.held
        before = plan.bracket
        stop, take = report.stop_units or 0, report.take_units or 0
        distance = report.trailing_distance_units or 0
        is_same = (stop, take, distance) == (held.stop_units, held.take_units, held.distance_units)
        held.proven_ns = report.venue_ns
        if is_same:
            return
        held.stop_units, held.take_units, held.distance_units = stop, take, distance
        assert plan.levels is not None
        wish = held.asked
        if wish is not None and _shows(report, wish):
            held.settle()
        plan.guard()
        is_lost = (before.stop_units is None and plan.bracket.stop_units is not None) or (
            before.take_units is None and plan.bracket.take_units is not None
        )
        if is_lost:
            held.refusals = 0
            self._fall_back(plan, "the venue no longer holds them")
        elif plan.bracket.is_empty and not before.is_empty:
            self._tell(plan, "the venue's report shows them")
        self.tend(plan)

    # telling --------------------------------------------------------------------------------------

    def _asked_by(self, lane: Lane, number: int) -> PositionPlan | None:
        for plan in lane.plans:
            if plan.held.asked is not None and plan.held.number == number:
                return plan
        return None

    def _doubt(self, plan: PositionPlan, reason: str) -> None:
        if not plan.held.is_doubted:
            plan.held.is_doubted = True
            self._fall_back(plan, f"unknown whether the venue holds them: {reason}")

    def _fall_back(self, plan: PositionPlan, reason: str) -> None:
        self.fallback_count += 1
        self._tell(plan, f"{reason}; watched here")

    def _tell(self, plan: PositionPlan, reason: str) -> None:
        moment = self._state.moment
        self._state.outbox.notice(
            StopsNotice(
                strategy_id=plan.strategy_id,
                instrument_id=plan.instrument_id,
                is_held=plan.bracket.is_empty,
                reason=reason,
                event_id=moment.event_id,
                now_ns=moment.now_ns,
            )
        )

    def _words(self, plan: PositionPlan, wish: StopsWish) -> str:
        price = self._state.lane(plan.instrument_id).instrument.price_text
        parts = []
        if wish.stop_units is not None:
            parts.append(f"a stop at {price(wish.stop_units)}")
        if wish.take_units is not None:
            parts.append(f"a take profit at {price(wish.take_units)}")
        if wish.distance_units is not None:
            parts.append(f"a trailing stop {price(wish.distance_units)} away")
        return " and ".join(parts)


def _shows(report: PositionReport, wish: StopsWish) -> bool:
    """Whether the venue's report holds everything that was asked for."""
    return (
        wish.stop_units in (None, report.stop_units)
        and wish.take_units in (None, report.take_units)
        and wish.distance_units in (None, report.trailing_distance_units)
    )


def _holds_legs(holding: Holding) -> bool:
    return any(
        leg is not Leg.NET and book.position.size_units for leg, book in holding.legs.items()
    )
