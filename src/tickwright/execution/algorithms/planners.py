"""Owns which planner works which algorithm; refuses to know any of them closer."""

from random import Random
from typing import Protocol, assert_never

from tickwright.core.instrument import Instrument
from tickwright.core.work import FollowTouch, Iceberg, Marketable, Twap, WorkIntent
from tickwright.execution.algorithms.follow import FollowPlanner
from tickwright.execution.algorithms.iceberg import IcebergPlanner
from tickwright.execution.algorithms.marketable import MarketablePlanner
from tickwright.execution.algorithms.steps import Step, View
from tickwright.execution.algorithms.twap import TwapPlanner

__all__ = ["WorkPlanner", "planner_for", "worst_of"]


class WorkPlanner(Protocol):
    """What every algorithm is."""

    def next(self, view: View) -> Step:
        """Say what comes next."""


def planner_for(
    intent: WorkIntent,
    instrument: Instrument,
    started_ns: int,
    random: Random,
    *,
    worst_units: int | None = None,
) -> WorkPlanner:
    """Return the planner of a wish; only a randomised schedule draws from `random`.

    `worst_units` is the price an earlier run's first touch allowed; None measures it anew.
    """
    wish, side = intent.algorithm, intent.side
    if isinstance(wish, FollowTouch):
        follow = FollowPlanner(wish, side, instrument, started_ns)
        follow.worst = worst_units
        return follow
    if isinstance(wish, Marketable):
        marketable = MarketablePlanner(wish, side, instrument, started_ns)
        marketable.worst = worst_units
        return marketable
    if isinstance(wish, Iceberg):
        return IcebergPlanner(wish, side, instrument, started_ns)
    if isinstance(wish, Twap):
        return TwapPlanner(wish, side, intent.size_units, instrument, started_ns, random)
    assert_never(wish)


def worst_of(planner: WorkPlanner) -> int | None:
    """Return the worst price a planner fixed by its first touch; None where it needs none."""
    return planner.worst if isinstance(planner, (FollowPlanner, MarketablePlanner)) else None
