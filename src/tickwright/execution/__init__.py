"""From approved wishes to finished orders: life cycle, blotter, planner, request budget. Pure."""

from tickwright.execution.blotter import Blotter
from tickwright.execution.client_ids import ClientIds
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.life_cycle import IllegalMove
from tickwright.execution.planner import Bracket, Planner
from tickwright.execution.request_budget import BudgetLimits, RequestBudget

__all__ = [
    "Blotter",
    "Bracket",
    "BudgetLimits",
    "ClientIds",
    "ExecutionConfig",
    "IllegalMove",
    "Planner",
    "RequestBudget",
]
