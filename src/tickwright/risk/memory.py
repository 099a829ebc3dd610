"""Owns what the gate remembers of each account: limits, rates, breaches; refuses to judge."""

from collections import deque

from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.risk_state import AccountGateState, GateState
from tickwright.portfolio.account import Account, Holding
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.bound_limits import BoundLimits, bind
from tickwright.risk.limits import RiskLimits
from tickwright.risk.losses import drawdown_floor, loss_floor
from tickwright.risk.question import CLOSING_RATE_FACTOR

__all__ = ["AccountGateState", "AccountMemory", "GateState", "JudgedLane"]

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class JudgedLane:
    """Where a strategy's orders in one instrument of one account are judged."""

    __slots__ = ("holding", "limits", "portfolio")

    def __init__(self, portfolio: Portfolio, holding: Holding, limits: BoundLimits) -> None:
        self.portfolio = portfolio
        self.holding = holding
        self.limits = limits


class AccountMemory:
    """Memory of one account: bound limits, approvals of the last minute, breaches."""

    __slots__ = (
        "base_version",
        "drawdown_floor",
        "floor",
        "has_drawdown_breach",
        "lanes",
        "limits",
        "loss_breach_day_ns",
        "loss_floor",
        "minute",
        "second",
        "whole",
    )

    def __init__(self, limits: RiskLimits) -> None:
        self.limits = limits
        self.whole = BoundLimits(limits, ())
        # The floors follow the account's bases, which change by the day and by transfers.
        self.base_version = -1
        self.loss_floor: int | None = None
        self.drawdown_floor: int | None = None
        self.floor = 0
        """The higher of both floors: above it nothing needs a look."""
        # Bounded by strategies x instruments, both of which the configuration names.
        self.lanes: dict[tuple[StrategyId, InstrumentId], JudgedLane] = {}
        most = CLOSING_RATE_FACTOR * limits.orders_per_minute_max
        self.minute: deque[int] = deque(maxlen=most)
        self.second: deque[int] = deque(maxlen=most)
        self.loss_breach_day_ns = -1
        self.has_drawdown_breach = False

    def notice(self, account: Account, equity: int) -> None:
        """Latch a loss that is at its limit."""
        if self.base_version != account.base_version:
            self.base_version = account.base_version
            self.loss_floor = loss_floor(account, self.whole)
            self.drawdown_floor = drawdown_floor(account, self.whole)
            self.floor = max(self.loss_floor or 0, self.drawdown_floor or 0, 0)
        if self.loss_floor is not None and equity <= self.loss_floor:
            self.loss_breach_day_ns = account.day_start_ns
        if self.drawdown_floor is not None and equity <= self.drawdown_floor:
            self.has_drawdown_breach = True

    def forget_before(self, now_ns: int) -> None:
        """Drop approvals older than the windows."""
        second, minute = self.second, self.minute
        while second and second[0] <= now_ns - SECOND_NS:
            second.popleft()
        while minute and minute[0] <= now_ns - MINUTE_NS:
            minute.popleft()

    def open_lane(
        self, strategy_id: StrategyId, portfolio: Portfolio, holding: Holding
    ) -> JudgedLane:
        """Put together what every check of a strategy in an instrument needs, once."""
        instrument_id = holding.market.instrument.id
        limits = bind(self.limits, strategy_id, instrument_id)
        lane = self.lanes[strategy_id, instrument_id] = JudgedLane(portfolio, holding, limits)
        return lane
