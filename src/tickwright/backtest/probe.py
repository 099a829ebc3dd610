"""Owns the proof that a strategy cannot see ahead: the tape is cut, and the past must stay.

The walk itself shows nothing before its time; a strategy may still know the future by a way of
its own: a file, a column made of the whole day, a clock. A run over the tape up to a moment must
decide everything before it as the whole run did.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec

from tickwright.backtest.record import OrderRecord, RunRecord
from tickwright.backtest.run import BacktestSettings, run_backtest
from tickwright.core.errors import ConfigError

__all__ = ["CUTS_MAX", "ProbeResult", "probe"]

CUTS_MAX = 1_000


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What cutting found. `difference` names the first decision that changed; "" when none did."""

    cuts: int
    orders_compared: int
    difference: str


def probe(
    settings: BacktestSettings,
    whole: RunRecord,
    *,
    cuts: int,
    on_cut: Callable[[int], None] | None = None,
) -> ProbeResult:
    """Cut the tape at random moments and compare what was decided before them.

    `whole` is the run over all of it. `on_cut` gets the number of cuts done.

    Raises:
        ConfigError: more cuts than `CUTS_MAX`.
    """
    if not 1 <= cuts <= CUTS_MAX:
        raise ConfigError(f"{cuts} cuts; choose from 1 to {CUTS_MAX}")
    rng = Random(f"probe:{settings.seed}")
    compared = 0
    for number in range(cuts):
        cut_ns = rng.randrange(whole.started_ns + 1, whole.ended_ns + 1)
        part = run_backtest(replace(settings, until_ns=cut_ns))
        # What is decided at the very end of a tape has nothing after it to be compared with.
        until = min(cut_ns, part.ended_ns)
        before = [_decision(one) for one in whole.orders if one.intended_ns < until]
        after = [_decision(one) for one in part.orders if one.intended_ns < until]
        compared += len(before)
        if before != after:
            return ProbeResult(
                cuts=number + 1,
                orders_compared=compared,
                difference=_difference(before, after, cut_ns),
            )
        if on_cut is not None:
            on_cut(number + 1)
    return ProbeResult(cuts=cuts, orders_compared=compared, difference="")


_Decision = tuple[str, int, str, int, int | None, int, int]


def _decision(order: OrderRecord) -> _Decision:
    return (
        order.client_id,
        order.intended_ns,
        order.instrument_id,
        order.side,
        order.price_units,
        order.size_units,
        order.event_id,
    )


def _difference(before: list[_Decision], after: list[_Decision], cut_ns: int) -> str:
    for place in range(max(len(before), len(after))):
        first = before[place] if place < len(before) else None
        second = after[place] if place < len(after) else None
        if first != second:
            return (
                f"cut at {cut_ns} ns, order {place + 1} before it changed: with the whole tape "
                f"{_words(first)}, without what follows {_words(second)}"
            )
    return ""


def _words(decision: _Decision | None) -> str:
    if decision is None:
        return "none"
    client_id, at_ns, instrument, side, price, size, event_id = decision
    verb = "buys" if side > 0 else "sells"
    return f"{client_id} {verb} {size} {instrument} at {price} (input {event_id}, {at_ns} ns)"
