"""Owns what an account's requests and losses in a row say to opening; holds back no cancel.

Cancels and amends leave whatever their count is: at their bounds nothing new is opened, because
every order opened asks for more of them.
"""

from tickwright.core.verdicts import Reason
from tickwright.risk.bound_limits import NO_LIMIT, PARTS
from tickwright.risk.flow import Rate
from tickwright.risk.question import Group, Question, Test, Words

__all__ = ["FLOW_GROUP"]


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


def _fills_follow(q: Question) -> bool:
    counted = q.memory.fill_ratio
    if counted is None:
        return True
    if q.now_ns >= counted.until_ns:
        counted.turn(q.now_ns)
    orders = counted.orders + 1
    if orders <= q.limits.fill_orders_min:
        return True
    # Without a fill one is assumed: nothing is divided by zero, and the bound still speaks.
    return orders * PARTS <= q.limits.fill_ratio_parts * max(1, counted.fills)


def _fills_words(q: Question) -> Words:
    counted, limits = q.memory.fill_ratio, q.limits
    if counted is None:
        return "not counted", "off"
    value = f"{counted.orders + 1} orders for {counted.fills} fills, this one included"
    ratio = limits.fill_ratio_parts / PARTS
    return value, f"{ratio:g} orders a fill once there were {limits.fill_orders_min}"


def _streak_short(q: Question) -> bool:
    limits, memory, day_ns = q.limits, q.memory, q.account.day_start_ns
    return (
        memory.losses_in_row(None, day_ns) < limits.loss_streak
        and memory.losses_in_row(q.strategy_id, day_ns) < limits.loss_streak_own
    )


def _streak_words(q: Question) -> Words:
    limits, memory, day_ns = q.limits, q.memory, q.account.day_start_ns
    own = memory.losses_in_row(q.strategy_id, day_ns)
    if own >= limits.loss_streak_own:
        return f"{own} losing trades in a row of {q.strategy_id}", f"{limits.loss_streak_own}"
    bound = "off" if limits.loss_streak >= NO_LIMIT else f"{limits.loss_streak}"
    return f"{memory.losses_in_row(None, day_ns)} losing trades in a row", bound


def _quick_flow(q: Question) -> bool:
    limits, memory = q.limits, q.memory
    counted = memory.fill_ratio
    return (
        q.account.unknown_requests <= limits.unknown_total
        and (
            not memory.has_requests
            or (
                len(memory.cancels.second) < limits.cancels_per_second
                and len(memory.cancels.minute) < limits.cancels_per_minute
                and (not memory.amends.minute or _few_amends(q))
            )
        )
        and (
            counted is None
            or (
                q.now_ns < counted.until_ns
                and (counted.orders + 1) * PARTS <= limits.fill_ratio_parts * counted.fills
            )
            or _fills_follow(q)
        )
        and (not limits.has_loss_streak or not memory.streaks or _streak_short(q))
    )


FLOW_GROUP = Group(
    _quick_flow,
    (
        Test(Reason.UNKNOWN_TOTAL, _few_unknown, _unknown_words),
        Test(Reason.CANCEL_RATE, _few_cancels, _cancel_words),
        Test(Reason.AMEND_RATE, _few_amends, _amend_words),
        Test(Reason.ORDER_TO_FILL, _fills_follow, _fills_words),
        Test(Reason.LOSS_STREAK, _streak_short, _streak_words),
    ),
)
"""What requests and results so far must be for an opening order."""
