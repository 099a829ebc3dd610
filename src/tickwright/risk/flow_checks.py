"""Owns what an account's requests and losses in a row say to opening; holds back no cancel.

Cancels and amends leave whatever their count is: at their bounds nothing new is opened, because
every order opened asks for more of them.
"""

from typing import TYPE_CHECKING

from tickwright.core.identity import StrategyId
from tickwright.core.verdicts import Reason
from tickwright.risk.bound_limits import NO_LIMIT, PARTS, BoundLimits
from tickwright.risk.flow import FillRatio, Rate
from tickwright.risk.question import Question, Test, Words

if TYPE_CHECKING:
    from tickwright.risk.memory import AccountMemory

__all__ = ["FLOW_TESTS", "fills_follow", "requests_are_few", "streaks_are_short"]


def _few_unknown(q: Question) -> bool:
    return q.account.unknown_requests <= q.limits.unknown_total


def _unknown_words(q: Question) -> Words:
    return f"{q.account.unknown_requests} unknown requests in all", f"{q.limits.unknown_total}"


def _rate_words(rate: Rate, what: str, second: int, minute: int) -> Words:
    if len(rate.second) >= second:
        return f"{len(rate.second)} {what} in the last second", f"{second} a second"
    return f"{len(rate.minute)} {what} in the last minute", f"{minute} a minute"


def _few_cancels(q: Question) -> bool:
    rate, limits = q.memory.cancels, q.limits
    return (
        len(rate.second) < limits.cancels_per_second
        and len(rate.minute) < limits.cancels_per_minute
    )


def _cancel_words(q: Question) -> Words:
    limits = q.limits
    return _rate_words(
        q.memory.cancels, "cancels", limits.cancels_per_second, limits.cancels_per_minute
    )


def _few_amends(q: Question) -> bool:
    rate, limits = q.memory.amends, q.limits
    return (
        len(rate.second) < limits.amends_per_second and len(rate.minute) < limits.amends_per_minute
    )


def _amend_words(q: Question) -> Words:
    limits = q.limits
    return _rate_words(
        q.memory.amends, "amends", limits.amends_per_second, limits.amends_per_minute
    )


def fills_follow(counted: FillRatio, limits: BoundLimits, now_ns: int) -> bool:
    """Whether one more order keeps the order-to-fill ratio."""
    if now_ns >= counted.until_ns:
        counted.turn(now_ns)
    orders = counted.orders + 1
    if orders <= limits.fill_orders_min:
        return True
    # Without a fill one is assumed: nothing is divided by zero, and the bound still speaks.
    return orders * PARTS <= limits.fill_ratio_parts * max(1, counted.fills)


def _fills_follow(q: Question) -> bool:
    counted = q.memory.fill_ratio
    return counted is None or fills_follow(counted, q.limits, q.now_ns)


def _fills_words(q: Question) -> Words:
    counted, limits = q.memory.fill_ratio, q.limits
    if counted is None:
        return "not counted", "off"
    value = f"{counted.orders + 1} orders for {counted.fills} fills, this one included"
    ratio = limits.fill_ratio_parts / PARTS
    return value, f"{ratio:g} orders a fill once there were {limits.fill_orders_min}"


def streaks_are_short(
    memory: "AccountMemory", limits: BoundLimits, strategy_id: StrategyId, day_start_ns: int
) -> bool:
    """Whether neither the account nor the strategy lost too often in a row today."""
    return (
        memory.losses_in_row(None, day_start_ns) < limits.loss_streak
        and memory.losses_in_row(strategy_id, day_start_ns) < limits.loss_streak_own
    )


def _streak_short(q: Question) -> bool:
    return streaks_are_short(q.memory, q.limits, q.strategy_id, q.account.day_start_ns)


def _streak_words(q: Question) -> Words:
    limits, memory, day_ns = q.limits, q.memory, q.account.day_start_ns
    own = memory.losses_in_row(q.strategy_id, day_ns)
    if own >= limits.loss_streak_own:
        return f"{own} losing trades in a row of {q.strategy_id}", f"{limits.loss_streak_own}"
    bound = "off" if limits.loss_streak >= NO_LIMIT else f"{limits.loss_streak}"
    return f"{memory.losses_in_row(None, day_ns)} losing trades in a row", bound


def requests_are_few(memory: "AccountMemory", limits: BoundLimits, now_ns: int) -> bool:
    """Whether cancels and amends are within their rates."""
    cancels, amends = memory.cancels, memory.amends
    for _ in range(2):
        if (
            len(cancels.second) < limits.cancels_per_second
            and len(cancels.minute) < limits.cancels_per_minute
            and len(amends.second) < limits.amends_per_second
            and len(amends.minute) < limits.amends_per_minute
        ):
            return True
        # Some of them may have left the windows: they are forgotten only when it could matter.
        memory.forget_before(now_ns)
    return False


FLOW_TESTS: tuple[Test, ...] = (
    Test(Reason.UNKNOWN_TOTAL, _few_unknown, _unknown_words),
    Test(Reason.CANCEL_RATE, _few_cancels, _cancel_words),
    Test(Reason.AMEND_RATE, _few_amends, _amend_words),
    Test(Reason.ORDER_TO_FILL, _fills_follow, _fills_words),
    Test(Reason.LOSS_STREAK, _streak_short, _streak_words),
)
"""What requests and results so far must be for an opening order."""
