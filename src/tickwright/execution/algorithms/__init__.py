"""Works a larger size in child orders: pure planners that say what comes next, and send nothing."""

from tickwright.execution.algorithms.follow import FollowPlanner
from tickwright.execution.algorithms.iceberg import IcebergPlanner
from tickwright.execution.algorithms.marketable import MarketablePlanner
from tickwright.execution.algorithms.planners import WorkPlanner, planner_for
from tickwright.execution.algorithms.steps import ChildView, Finish, Move, Place, Step, View, Wait
from tickwright.execution.algorithms.twap import Slice, TwapPlanner, schedule

__all__ = [
    "ChildView",
    "Finish",
    "FollowPlanner",
    "IcebergPlanner",
    "MarketablePlanner",
    "Move",
    "Place",
    "Slice",
    "Step",
    "TwapPlanner",
    "View",
    "Wait",
    "WorkPlanner",
    "planner_for",
    "schedule",
]
