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

__all__ = ["WorkPlanner", "planner_for"]


class WorkPlanner(Protocol):
    """What every algorithm is."""

    def next(self, view: View) -> Step:
        """Say what comes next."""


def planner_for(
    intent: WorkIntent, instrument: Instrument, started_ns: int, random: Random
) -> WorkPlanner:
    """Return the planner of a wish; only a randomised schedule draws from `random`."""
    wish, side = intent.algorithm, intent.side
    if isinstance(wish, FollowTouch):
        return FollowPlanner(wish, side, instrument, started_ns)
    if isinstance(wish, Marketable):
        return MarketablePlanner(wish, side, instrument, started_ns)
    if isinstance(wish, Iceberg):
        return IcebergPlanner(wish, side, instrument, started_ns)
    if isinstance(wish, Twap):
        return TwapPlanner(wish, side, intent.size_units, instrument, started_ns, random)
    assert_never(wish)
