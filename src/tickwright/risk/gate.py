"""Owns the one door every order passes: approved, approved smaller, or rejected with the numbers.

Order of checks, cheap and fundamental first: states (engine, account, strategy, instrument,
expiry), book (synced, age, both sides), shape (size, price, rates, band, depth); then, for orders
that may open: mode, spread, open orders, unknown requests, conflicts, prices known, equity, losses;
then the rooms an order may shrink to (order, position, exposure, leverage); last the minimum
notional. Closing orders skip everything about exposure, and never the book, the shape or the rates
(which they may use twice).

An approval counts as an order sent: the gate's rates remember it. `explain` answers without
remembering.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.identity import AccountId, InstrumentId, Leg, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, OrderType, Side, TimeInForce
from tickwright.core.verdicts import Approved, Check, Reason, Rejected, Verdict
from tickwright.portfolio.account import Account, Holding
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.checks import (
    CLOSING_GROUPS,
    CLOSING_ROOMS,
    FINAL_TESTS,
    OPENING_GROUPS,
    OPENING_ROOMS,
    fits_every_room,
)
from tickwright.risk.limits import BoundLimits, RiskLimits, bind
from tickwright.risk.losses import drawdown_floor, drawdown_words, loss_floor, loss_words
from tickwright.risk.question import CLOSING_RATE_FACTOR, WORTH_UNITS, Question, Room

__all__ = ["AccountGateState", "CheckResult", "Gate", "GateState", "RiskView"]

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
# Looking a member up in its class is a Python call, and these are asked for every order.
_BUY = Side.BUY
_LIMIT = OrderType.LIMIT
_NET = Leg.NET


@dataclass(slots=True)
class RiskView:
    """What the gate looks at besides the intent: one object the engine keeps and changes in place.

    Positions, working totals (`Portfolio.set_working`), marks and equity are the portfolio's. The
    engine adds an account to `ready_accounts` after its sync and takes it out when its private
    stream is lost. A halt is its reason, by strategy, instrument, or `engine_halt` for all (""
    while running).
    """

    portfolio: Portfolio
    ready_accounts: set[AccountId] = field(default_factory=set)
    halted_strategies: dict[StrategyId, str] = field(default_factory=dict)
    halted_instruments: dict[InstrumentId, str] = field(default_factory=dict)
    engine_halt: str = ""


class CheckResult(msgspec.Struct, frozen=True):
    """One check of an explanation; `outcome` is passed, reduced, refused or unknown."""

    reason: Reason
    outcome: str
    value: str
    bound: str
    size_units: int


class AccountGateState(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate remembers of one account."""

    account_id: AccountId
    loss_breach_day_ns: int
    has_drawdown_breach: bool
    approvals_ns: tuple[int, ...]


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate must know again after a restart."""

    accounts: tuple[AccountGateState, ...] = ()


class _Lane:
    """Where a strategy's orders in one instrument of one account are judged."""

    __slots__ = ("holding", "limits", "portfolio")

    def __init__(self, portfolio: Portfolio, holding: Holding, limits: BoundLimits) -> None:
        self.portfolio = portfolio
        self.holding = holding
        self.limits = limits


class _AccountGate:
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
        self.lanes: dict[tuple[StrategyId, InstrumentId], _Lane] = {}
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

    def open_lane(self, strategy_id: StrategyId, portfolio: Portfolio, holding: Holding) -> _Lane:
        """Put together what every check of a strategy in an instrument needs, once."""
        instrument_id = holding.market.instrument.id
        limits = bind(self.limits, strategy_id, instrument_id)
        lane = self.lanes[strategy_id, instrument_id] = _Lane(portfolio, holding, limits)
        return lane


class Gate:
    """The risk gate of all accounts of a process.

    `accounts` replaces `limits` for the accounts it names, by `AccountId`.
    """

    def __init__(
        self, limits: RiskLimits, *, accounts: Mapping[AccountId, RiskLimits] | None = None
    ) -> None:
        self._limits = limits
        self._by_account = dict(accounts or {})
        self._accounts: dict[AccountId, _AccountGate] = {}
        self._question = Question()

    def limits_of(self, account_id: AccountId) -> RiskLimits:
        """Return the limits of an account as configured."""
        return self._by_account.get(account_id, self._limits)

    def bound_limits(
        self, account_id: AccountId, strategy_id: StrategyId, instrument_id: InstrumentId
    ) -> BoundLimits:
        """Return the limits that count for a strategy's orders in an instrument."""
        memory = self._account(account_id)
        lane = memory.lanes.get((strategy_id, instrument_id))
        return bind(memory.limits, strategy_id, instrument_id) if lane is None else lane.limits

    def _account(self, account_id: AccountId) -> _AccountGate:
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = _AccountGate(self.limits_of(account_id))
        return account

    # verdicts -------------------------------------------------------------------------------------

    def check(
        self,
        intent: OrderIntent,
        *,
        strategy_id: StrategyId,
        account_id: AccountId,
        event_id: int,
        now_ns: int,
        book: OrderBook | None,
        instrument: Instrument,
        view: RiskView,
    ) -> Verdict:
        """Judge an intent.

        `event_id` is the cause and is the caller's to keep beside the verdict; it changes nothing
        here.
        """
        memory = self._account(account_id)
        asked = self._ask(intent, strategy_id, account_id, now_ns, book, instrument, view, memory)
        if isinstance(asked, Rejected):
            return asked
        is_closing = asked.is_closing
        for group in CLOSING_GROUPS if is_closing else OPENING_GROUPS:
            if not group.quick(asked):
                for test in group.tests:
                    if not test.passes(asked):
                        return Rejected(test.check(asked))
        reduced: tuple[Check, ...] = ()
        if is_closing or not fits_every_room(asked):
            for room in CLOSING_ROOMS if is_closing else OPENING_ROOMS:
                units = room.units(asked)
                if units < asked.size_units:
                    check = self._reduce(asked, room, units)
                    if isinstance(check, Rejected):
                        return check
                    reduced += (check,)
        for test in FINAL_TESTS:
            if not test.passes(asked):
                return Rejected(test.check(asked))
        memory.second.append(now_ns)
        memory.minute.append(now_ns)
        return Approved(asked.size_units, reduced)

    def explain(
        self,
        intent: OrderIntent,
        *,
        strategy_id: StrategyId,
        account_id: AccountId,
        now_ns: int,
        book: OrderBook | None,
        instrument: Instrument,
        view: RiskView,
    ) -> tuple[CheckResult, ...]:
        """Say what every check makes of an intent, also after a refusal; remember nothing."""
        memory = self._account(account_id)
        asked = self._ask(intent, strategy_id, account_id, now_ns, book, instrument, view, memory)
        if isinstance(asked, Rejected):
            check = asked.check
            return (CheckResult(check.reason, "refused", check.value, check.bound, 0),)
        results: list[CheckResult] = []
        can_go_on = True
        groups = CLOSING_GROUPS if asked.is_closing else OPENING_GROUPS
        for test in (test for group in groups for test in group.tests):
            # Band and depth read the book's levels; without a book there is nothing to ask.
            if asked.book is None and test.reason in _NEEDS_BOOK:
                results.append(CheckResult(test.reason, "unknown", "no book", "", 0))
                continue
            passed = test.passes(asked)
            can_go_on &= passed or test.reason not in _NEEDED_BY_ROOMS
            check = test.check(asked)
            outcome = "passed" if passed else "refused"
            results.append(
                CheckResult(test.reason, outcome, check.value, check.bound, asked.size_units)
            )
        for room in CLOSING_ROOMS if asked.is_closing else OPENING_ROOMS:
            if not can_go_on:
                results.append(CheckResult(room.reason, "unknown", "no price or equity", "", 0))
                continue
            check = room.check(asked)
            outcome = "passed"
            units = room.units(asked)
            if units < asked.size_units:
                outcome = "reduced"
                if isinstance(self._reduce(asked, room, units), Rejected):
                    outcome = "refused"
            results.append(
                CheckResult(room.reason, outcome, check.value, check.bound, asked.size_units)
            )
        for test in FINAL_TESTS:
            check = test.check(asked)
            outcome = "passed" if test.passes(asked) else "refused"
            results.append(
                CheckResult(test.reason, outcome, check.value, check.bound, asked.size_units)
            )
        return tuple(results)

    def _reduce(self, asked: Question, room: Room, units: int) -> Check | Rejected:
        """Shrink the order to what a limit leaves, or reject it by that limit."""
        instrument = asked.instrument
        check = room.check(asked)
        fitting = units // instrument.lot_units * instrument.lot_units
        may_shrink = asked.is_closing or (
            asked.limits.reduce_to_fit and asked.intent.time_in_force is not TimeInForce.FOK
        )
        if not may_shrink or fitting < max(1, instrument.size_min_units):
            return Rejected(check)
        asked.size_units = fitting
        return check

    def _ask(
        self,
        intent: OrderIntent,
        strategy_id: StrategyId,
        account_id: AccountId,
        now_ns: int,
        book: OrderBook | None,
        instrument: Instrument,
        view: RiskView,
        memory: _AccountGate,
    ) -> Question | Rejected:
        """Put everything the checks look at into one place."""
        assert intent.instrument_id == instrument.id, "the instrument must be the intent's"
        portfolio = view.portfolio
        lane = memory.lanes.get((strategy_id, intent.instrument_id))
        if lane is None or lane.portfolio is not portfolio:
            try:
                holding = portfolio.holding(account_id, intent.instrument_id)
            except InstrumentUnknown:
                bound = "a loaded instrument"
                return Rejected(Check(Reason.INSTRUMENT_UNKNOWN, str(intent.instrument_id), bound))
            lane = memory.open_lane(strategy_id, portfolio, holding)
        holding = lane.holding
        account = holding.account
        if now_ns >= account.day_end_ns:
            portfolio.start_day(now_ns)
        equity = account.equity
        if equity is not None and (
            equity <= memory.floor or memory.base_version != account.base_version
        ):
            memory.notice(account, equity)
        if memory.minute:
            memory.forget_before(now_ns)
        q = self._question
        q.intent = intent
        q.instrument = instrument
        q.book = book
        q.account = account
        q.holding = holding
        q.limits = lane.limits
        q.now_ns = now_ns
        q.size_units = intent.size_units
        q.mid_twice_units = None if book is None else book.mid_twice_units
        q.equity = equity
        q.engine_halt = view.engine_halt
        strategies, instruments = view.halted_strategies, view.halted_instruments
        q.strategy_halt = strategies.get(strategy_id, "") if strategies else ""
        q.instrument_halt = instruments.get(intent.instrument_id, "") if instruments else ""
        q.is_account_ready = account_id in view.ready_accounts
        q.has_loss_breach = memory.loss_breach_day_ns == account.day_start_ns
        q.has_drawdown_breach = memory.has_drawdown_breach
        q.orders_in_second = len(memory.second)
        q.orders_in_minute = len(memory.minute)
        _set_sizes(q)
        _set_worth(q)
        return q

    # losses ---------------------------------------------------------------------------------------

    def observe(self, account_id: AccountId, now_ns: int, view: RiskView) -> tuple[Check, ...]:
        """Latch the account's losses that are at their limit; call it on fills and timers.

        Returns:
            The limits newly reached, for notices; empty when nothing changed.
        """
        view.portfolio.start_day(now_ns)
        account = view.portfolio.account(account_id)
        memory = self._account(account_id)
        had_loss = memory.loss_breach_day_ns == account.day_start_ns
        had_drawdown = memory.has_drawdown_breach
        equity = account.equity
        if equity is not None:
            memory.notice(account, equity)
        limits = memory.whole
        asset = view.portfolio.valuer.equity_asset
        found: list[Check] = []
        if not had_loss and memory.loss_breach_day_ns == account.day_start_ns:
            words = loss_words(account, limits, asset, latched=True)
            found.append(Check(Reason.DAILY_LOSS, *words))
        if not had_drawdown and memory.has_drawdown_breach:
            words = drawdown_words(account, limits, asset, latched=True)
            found.append(Check(Reason.DRAWDOWN, *words))
        return tuple(found)

    def reset_drawdown(self, account_id: AccountId, view: RiskView) -> None:
        """Let a person lift the drawdown halt: the peak starts again from the equity of now."""
        self._account(account_id).has_drawdown_breach = False
        account = view.portfolio.account(account_id)
        account.peak_equity = None
        account.observe()

    # restart --------------------------------------------------------------------------------------

    def state(self) -> GateState:
        """Return what a restart must know."""
        return GateState(
            accounts=tuple(
                AccountGateState(
                    account_id=account_id,
                    loss_breach_day_ns=memory.loss_breach_day_ns,
                    has_drawdown_breach=memory.has_drawdown_breach,
                    approvals_ns=tuple(memory.minute),
                )
                for account_id, memory in sorted(self._accounts.items())
            )
        )

    def restore(self, state: GateState) -> None:
        """Take up a remembered state; breaches and rates count on."""
        for account in state.accounts:
            memory = self._account(account.account_id)
            memory.loss_breach_day_ns = account.loss_breach_day_ns
            memory.has_drawdown_breach = account.has_drawdown_breach
            _refill(memory.minute, account.approvals_ns)
            _refill(memory.second, account.approvals_ns)


_NEEDED_BY_ROOMS = frozenset({Reason.PRICE_UNKNOWN, Reason.NO_EQUITY})
_NEEDS_BOOK = frozenset({Reason.BOOK_TOO_OLD, Reason.PRICE_BAND, Reason.DEPTH_TOO_THIN})


def _refill(stamps: deque[int], approvals_ns: Iterable[int]) -> None:
    stamps.clear()
    stamps.extend(approvals_ns)


def _set_sizes(q: Question) -> None:
    """Work out whether the order can only close, and what its direction holds."""
    intent, holding = q.intent, q.holding
    is_buy = intent.side is _BUY
    if intent.leg is not _NET:
        holding.leg(intent.leg)
    if holding.market.is_spot:
        q.is_closing = not is_buy
        q.closable_units = holding.long_units - holding.working_sell_units
        q.held_units = holding.long_units + holding.working_buy_units
        return
    if holding.is_hedged:
        q.held_units = holding.exposure_units
        closes_long = intent.leg is Leg.LONG or (intent.leg is _NET and not is_buy)
        against = holding.long_units if closes_long else holding.short_units
        is_against = closes_long != is_buy
        q.is_closing = intent.reduce_only or (intent.leg is not _NET and is_against)
        q.closable_units = against if is_against else 0
        return
    position = holding.long_units - holding.short_units
    if is_buy:
        q.held_units = position + holding.working_buy_units
        against, growing = -position, holding.working_sell_units
    else:
        q.held_units = holding.working_sell_units - position
        against, growing = position, holding.working_buy_units
    q.is_closing = intent.reduce_only
    if not q.is_closing:
        return
    q.closable_units = against
    if intent.trigger_price_units is not None or intent.order_type is _LIMIT:
        # A stop or a take profit may be placed for a position that is still growing.
        q.closable_units = max(0, against) + growing
    elif not q.instrument.capabilities.has_reduce_only:
        q.closable_units = -q.held_units


def _set_worth(q: Question) -> None:
    """Find the price of the instrument and what one size unit is worth in the equity asset."""
    market = q.holding.market
    price_units = market.mark_units
    if price_units is not None and market.direct_value:
        q.price_units = price_units
        q.worth = price_units * market.direct_value
        q.worth_scale = 1
        return
    if price_units is None and q.mid_twice_units is not None:
        price_units = (q.mid_twice_units + 1) // 2
    q.price_units = price_units
    q.worth = 0
    q.worth_scale = 1
    if price_units is None or price_units <= 0:
        q.price_units = None
        return
    valuer = q.account.valuer
    if market.direct_value:
        q.worth = price_units * market.direct_value
        return
    q.worth_scale = WORTH_UNITS
    worth = valuer.value(q.instrument.quote_asset, market.quote_value(WORTH_UNITS, price_units))
    # Rounded up by one: a limit in another asset must not be passed by a rounding.
    q.worth = 0 if worth is None else worth + 1
