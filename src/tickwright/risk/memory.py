"""Owns what the gate remembers of each account: limits, rates, breaches; refuses to judge."""

from collections import deque

from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.instrument import Instrument, InstrumentStatus
from tickwright.core.risk_state import AccountGateState, GateState
from tickwright.portfolio.account import Account, Holding
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.bound_limits import NO_LIMIT, BoundGroup, BoundLimits, bind, margin_parts
from tickwright.risk.flow import FillRatio, Rate
from tickwright.risk.limits import RiskLimits
from tickwright.risk.losses import drawdown_floor, loss_floor
from tickwright.risk.question import CLOSING_RATE_FACTOR

__all__ = ["AccountGateState", "AccountMemory", "GateState", "JudgedLane"]

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class JudgedLane:
    """Where a strategy's orders in one instrument of one account are judged.

    The flags say what limits and instrument alone decide: `is_plain` that it trades by plain rules,
    `may_open` that no mode or list forbids to open, `may_close_dust` that a position may be closed
    whatever it is worth.
    """

    __slots__ = (
        "holding",
        "instrument",
        "is_plain",
        "limits",
        "may_close_dust",
        "may_open",
        "may_short",
        "memory",
        "order_size_units",
        "portfolio",
    )

    def __init__(
        self, portfolio: Portfolio, holding: Holding, limits: BoundLimits, memory: "AccountMemory"
    ) -> None:
        self.portfolio = portfolio
        self.holding = holding
        self.limits = limits
        self.memory = memory
        self.may_open = not (limits.reduce_only or limits.is_denied)
        self.take(holding.market.instrument)

    def take(self, instrument: Instrument) -> None:
        """Follow a new version of the instrument: its size units may mean something else."""
        self.instrument = instrument
        most = self.limits.order_size
        self.order_size_units = (
            NO_LIMIT if most is None else int(most.scaleb(instrument.size_decimals))
        )
        is_trading = instrument.status is InstrumentStatus.TRADING
        self.is_plain = is_trading and instrument.size_min_units > 0
        self.may_short = instrument.capabilities.can_short
        # A venue that has reduce-only lets a position be closed whatever it is worth.
        self.may_close_dust = instrument.capabilities.has_reduce_only


class AccountMemory:
    """Memory of one account: bound limits, requests of the last minute, losses, breaches."""

    __slots__ = (
        "_members",
        "amends",
        "base_version",
        "cancels",
        "drawdown_floor",
        "fill_ratio",
        "floor",
        "has_drawdown_breach",
        "has_requests",
        "lanes",
        "limits",
        "loss_breach_day_ns",
        "loss_floor",
        "minute",
        "orders",
        "second",
        "streak",
        "streak_day_ns",
        "streaks",
        "whole",
    )

    def __init__(self, limits: RiskLimits) -> None:
        self.limits = limits
        self.whole = BoundLimits(limits)
        # The floors follow the account's bases, which change by the day and by transfers.
        self.base_version = -1
        self.loss_floor: int | None = None
        self.drawdown_floor: int | None = None
        self.floor = 0
        """The higher of both floors: above it nothing needs a look."""
        # Bounded by strategies x instruments, both of which the configuration names.
        self.lanes: dict[tuple[StrategyId, InstrumentId], JudgedLane] = {}
        self._members: dict[str, tuple[int, tuple[Holding, ...]]] = {}
        self.orders = Rate(CLOSING_RATE_FACTOR * limits.orders_per_minute_max)
        self.minute: deque[int] = self.orders.minute
        self.second: deque[int] = self.orders.second
        self.cancels = Rate(limits.cancels_per_minute_max)
        self.amends = Rate(limits.amends_per_minute_max)
        self.has_requests = False
        """Whether there was a cancel or an amend in the last minute."""
        self.fill_ratio: FillRatio | None = None
        if limits.order_to_fill_ratio_max is not None:
            self.fill_ratio = FillRatio(limits.order_to_fill_window_s * SECOND_NS)
        self.streak = 0
        """Closed trades of the account in a row that lost, today."""
        self.streaks: dict[StrategyId, int] = {}
        """The same of each strategy; bounded by the configured ones."""
        self.streak_day_ns = -1
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

    def note_trade(self, strategy_id: StrategyId, money: int, day_start_ns: int) -> None:
        """Take what a closed trade made: a loss lengthens the row, a win ends it."""
        if self.streak_day_ns != day_start_ns:
            self.streak_day_ns = day_start_ns
            self.streak = 0
            self.streaks.clear()
        if money < 0:
            self.streak += 1
            self.streaks[strategy_id] = self.streaks.get(strategy_id, 0) + 1
        elif money > 0:
            self.streak = 0
            self.streaks.pop(strategy_id, None)

    def losses_in_row(self, strategy_id: StrategyId | None, day_start_ns: int) -> int:
        """Return today's closed trades in a row that lost, of a strategy or of the account."""
        if self.streak_day_ns != day_start_ns:
            return 0
        return self.streak if strategy_id is None else self.streaks.get(strategy_id, 0)

    def forget_before(self, now_ns: int) -> None:
        """Drop requests older than the windows; only a count at its bound has to know."""
        self.orders.forget_before(now_ns)
        if self.has_requests:
            cancels = self.cancels.forget_before(now_ns)
            self.has_requests = self.amends.forget_before(now_ns) or cancels

    def members(self, group: BoundGroup, account: Account) -> tuple[Holding, ...]:
        """Return the account's holdings that belong to a group."""
        count = len(account.holdings)
        known = self._members.get(group.name)
        if known is None or known[0] != count:
            holdings = tuple(h for key, h in account.holdings.items() if group.holds(key))
            known = self._members[group.name] = (count, holdings)
        return known[1]

    def open_lane(
        self, strategy_id: StrategyId, portfolio: Portfolio, holding: Holding
    ) -> JudgedLane:
        """Put together what every check of a strategy in an instrument needs, once."""
        instrument_id = holding.market.instrument.id
        self.follow(holding.account)
        limits = bind(self.limits, strategy_id, instrument_id)
        lane = JudgedLane(portfolio, holding, limits, self)
        self.lanes[strategy_id, instrument_id] = lane
        self._members.clear()
        return lane

    def follow(self, account: Account) -> None:
        """Let the account value its margins by these limits."""
        if account.margin_rule is None:
            account.set_margin_rule(self._margin_parts)

    def _margin_parts(self, instrument: Instrument) -> int:
        return margin_parts(self.limits, instrument)
