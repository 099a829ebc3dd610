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

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, Side, TimeInForce
from tickwright.core.verdicts import Approved, Check, Reason, Rejected, Verdict
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.checks import (
    CLOSING_ROOMS,
    CLOSING_TESTS,
    FINAL_TESTS,
    OPENING_ROOMS,
    OPENING_TESTS,
)
from tickwright.risk.limits import RiskLimits
from tickwright.risk.losses import drawdown_words, loss_words
from tickwright.risk.measures import set_sizes, set_worth
from tickwright.risk.memory import AccountGateState, AccountMemory, GateState, JudgedLane
from tickwright.risk.order_checks import reduced_out_of_band
from tickwright.risk.plain_order import Answer, plain_answer
from tickwright.risk.question import Question, Room
from tickwright.risk.rooms import fits_every_room
from tickwright.risk.usage import LimitUse, account_usage
from tickwright.risk.view import RiskView

__all__ = ["CheckResult", "Gate", "RiskView"]

# Looking a member up in its class is a Python call, and these are asked for every order.
_UNSURE, _PASSES, _FITS = Answer.UNSURE, Answer.PASSES, Answer.FITS


class CheckResult(msgspec.Struct, frozen=True):
    """One check of an explanation; `outcome` is passed, reduced, refused or unknown."""

    reason: Reason
    outcome: str
    value: str
    bound: str
    size_units: int


class Gate:
    """The risk gate of all accounts of a process.

    `accounts` replaces `limits` for the accounts it names, by `AccountId`.
    """

    def __init__(
        self, limits: RiskLimits, *, accounts: Mapping[AccountId, RiskLimits] | None = None
    ) -> None:
        self._limits = limits
        self._by_account = dict(accounts or {})
        self._accounts: dict[AccountId, AccountMemory] = {}
        self._question = Question()

    @property
    def question(self) -> Question:
        """What the checks were last asked one by one about; for measuring them."""
        return self._question

    def limits_of(self, account_id: AccountId) -> RiskLimits:
        """Return the limits of an account as configured."""
        return self._by_account.get(account_id, self._limits)

    def lane(
        self,
        account_id: AccountId,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        portfolio: Portfolio,
    ) -> JudgedLane | Rejected:
        """Return where a strategy's orders in an instrument are judged, made when it is new.

        It stays good for as long as the gate and the portfolio.
        """
        memory = self._account(account_id)
        lane = memory.lanes.get((strategy_id, instrument_id))
        if lane is None or lane.portfolio is not portfolio:
            try:
                holding = portfolio.holding(account_id, instrument_id)
            except InstrumentUnknown:
                bound = "a loaded instrument"
                return Rejected(Check(Reason.INSTRUMENT_UNKNOWN, str(instrument_id), bound))
            lane = memory.open_lane(strategy_id, portfolio, holding)
        return lane

    def _account(self, account_id: AccountId) -> AccountMemory:
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = AccountMemory(self.limits_of(account_id))
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
        lane: JudgedLane | None = None,
    ) -> Verdict:
        """Judge an intent.

        `event_id` is the cause and is the caller's to keep beside the verdict; it changes nothing
        here. `lane` is what `lane` returned for this account, strategy and instrument, for callers
        who kept it.
        """
        if lane is None:
            found = self.lane(account_id, strategy_id, intent.instrument_id, view.portfolio)
            if type(found) is Rejected:
                return found
            lane = found
        equity = self._refresh(lane, instrument, now_ns)
        answer = plain_answer(intent, lane, book, view, strategy_id, account_id, equity, now_ns)
        size_units = intent.size_units
        reduced: tuple[Check, ...] = ()
        if answer is not _FITS:
            asked = self._ask(intent, lane, strategy_id, account_id, now_ns, book, view)
            settled = self._judge(asked, lane if answer is _PASSES else None)
            if type(settled) is Rejected:
                return settled
            size_units, reduced = asked.size_units, settled
        memory = lane.memory
        memory.second.append(now_ns)
        memory.minute.append(now_ns)
        if memory.fill_ratio is not None:
            memory.fill_ratio.note_order(now_ns)
        return Approved(size_units, reduced)

    def _judge(self, asked: Question, plain: JudgedLane | None) -> tuple[Check, ...] | Rejected:
        """Ask check by check and room by room; return what made the order smaller.

        `plain` is where the order is judged when all checks were passed by the short way.
        """
        is_closing = asked.is_closing
        if plain is None:
            for test in CLOSING_TESTS if is_closing else OPENING_TESTS:
                if not test.passes(asked):
                    return Rejected(test.check(asked))
        reduced: tuple[Check, ...] = ()
        for room in CLOSING_ROOMS if is_closing else OPENING_ROOMS:
            units = room.units(asked)
            if units < asked.size_units:
                check = self._reduce(asked, room, units)
                if type(check) is Rejected:
                    return check
                reduced += (check,)
                if plain is not None and _fits_now(asked, plain):
                    break
        for test in FINAL_TESTS:
            if not test.passes(asked):
                return Rejected(test.check(asked))
        return reduced

    def check_amend(
        self,
        intent: OrderIntent,
        *,
        raises_size: bool,
        strategy_id: StrategyId,
        account_id: AccountId,
        now_ns: int,
        book: OrderBook | None,
        instrument: Instrument,
        view: RiskView,
    ) -> Verdict:
        """Judge what a working order would become; the caller took the order out of the totals.

        `intent` is what would be open. A price alone passes every test but those of new orders'
        rates and of size, which it has already; a size that grows must also find its room whole.
        An amend counts by `note_amend`, not as an order sent.
        """
        lane = self.lane(account_id, strategy_id, intent.instrument_id, view.portfolio)
        if type(lane) is Rejected:
            return lane
        equity = self._refresh(lane, instrument, now_ns)
        answer = plain_answer(intent, lane, book, view, strategy_id, account_id, equity, now_ns)
        if answer is _FITS or (answer is _PASSES and not raises_size):
            return Approved(intent.size_units)
        asked = self._ask(intent, lane, strategy_id, account_id, now_ns, book, view)
        for test in CLOSING_TESTS if asked.is_closing else OPENING_TESTS:
            if test.reason not in _NOT_OF_AMENDS and not test.passes(asked):
                return Rejected(test.check(asked))
        if raises_size:
            for room in CLOSING_ROOMS if asked.is_closing else OPENING_ROOMS:
                if room.units(asked) < asked.size_units:
                    return Rejected(room.check(asked))
        return Approved(asked.size_units)

    def passes_beside(
        self,
        intent: OrderIntent,
        *,
        working: tuple[int, int, int],
        strategy_id: StrategyId,
        account_id: AccountId,
        now_ns: int,
        book: OrderBook | None,
        instrument: Instrument,
        view: RiskView,
    ) -> bool:
        """Whether a working order may stand at another price: the short way for `check_amend`.

        `working` is what works beside it: buys and sells in size units, and how many orders. The
        account's sums still hold the order, which can only make a test harder to pass; rooms are
        not asked, for the order has its own already. A no means nothing.
        """
        lane = self.lane(account_id, strategy_id, intent.instrument_id, view.portfolio)
        if type(lane) is Rejected:
            return False
        equity = self._refresh(lane, instrument, now_ns)
        holding = lane.holding
        before = holding.working_buy_units, holding.working_sell_units, holding.open_orders
        holding.working_buy_units, holding.working_sell_units, holding.open_orders = working
        try:
            answer = plain_answer(
                intent, lane, book, view, strategy_id, account_id, equity, now_ns, has_room=True
            )
        finally:
            holding.working_buy_units, holding.working_sell_units, holding.open_orders = before
        return answer is not _UNSURE

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
        lane = self.lane(account_id, strategy_id, intent.instrument_id, view.portfolio)
        if type(lane) is Rejected:
            check = lane.check
            return (CheckResult(check.reason, "refused", check.value, check.bound, 0),)
        self._refresh(lane, instrument, now_ns)
        asked = self._ask(intent, lane, strategy_id, account_id, now_ns, book, view)
        results: list[CheckResult] = []
        can_go_on = True
        for test in CLOSING_TESTS if asked.is_closing else OPENING_TESTS:
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

    def usage(
        self,
        account_id: AccountId,
        *,
        view: RiskView,
        now_ns: int,
        books: Mapping[InstrumentId, OrderBook] | None = None,
        strategies: Iterable[StrategyId] = (),
    ) -> tuple[LimitUse, ...]:
        """Return how far every limit of an account is used now; see `risk.usage`."""
        view.portfolio.start_day(now_ns)
        return account_usage(
            view.portfolio.account(account_id),
            self._account(account_id),
            now_ns=now_ns,
            books=books or {},
            strategies=strategies,
            clock_skew_ns=view.clock_skew_ns.get(account_id.venue),
        )

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
        if asked.book is not None and (out := reduced_out_of_band(asked)) is not None:
            return Rejected(out)
        return check

    def _refresh(self, lane: JudgedLane, instrument: Instrument, now_ns: int) -> int | None:
        """Bring day and losses of the account to this moment; return its equity."""
        if lane.instrument is not instrument:
            assert instrument.id == lane.instrument.id, "the instrument must be the intent's"
            lane.take(instrument)
        memory, account = lane.memory, lane.holding.account
        if now_ns >= account.day_end_ns:
            lane.portfolio.start_day(now_ns)
        equity = account.equity
        if equity is not None and (
            equity <= memory.floor or memory.base_version != account.base_version
        ):
            memory.notice(account, equity)
        return equity

    def _ask(
        self,
        intent: OrderIntent,
        lane: JudgedLane,
        strategy_id: StrategyId,
        account_id: AccountId,
        now_ns: int,
        book: OrderBook | None,
        view: RiskView,
    ) -> Question:
        """Put everything the checks look at into one place."""
        holding, memory, instrument = lane.holding, lane.memory, lane.instrument
        memory.forget_before(now_ns)
        account, instrument_id = holding.account, intent.instrument_id
        q = self._question
        q.intent = intent
        q.instrument = instrument
        q.book = book
        q.account = account
        q.holding = holding
        q.limits = lane.limits
        q.memory = memory
        q.strategy_id = strategy_id
        q.order_size_units = lane.order_size_units
        q.clock_skew_ns = view.clock_skew_ns.get(account_id.venue)
        q.now_ns = now_ns
        q.size_units = intent.size_units
        q.mid_twice_units = None if book is None else book.mid_twice_units
        q.equity = account.equity
        q.engine_halt = view.engine_halt
        q.strategy_halt = view.halted_strategies.get(strategy_id, "")
        q.instrument_halt = view.halted_instruments.get(instrument_id, "")
        table = view.restrictions
        q.restriction = None
        if table.rows:
            q.restriction = table.over(account_id, strategy_id, instrument_id, now_ns)
        q.is_account_ready = account_id in view.ready_accounts
        q.has_loss_breach = memory.loss_breach_day_ns == account.day_start_ns
        q.has_drawdown_breach = memory.has_drawdown_breach
        q.orders_in_second = len(memory.second)
        q.orders_in_minute = len(memory.minute)
        set_sizes(q)
        set_worth(q)
        return q

    # losses ---------------------------------------------------------------------------------------

    def observe(self, account_id: AccountId, now_ns: int, view: RiskView) -> bool:
        """Latch the account's losses that are at their limit; call it on fills and timers.

        Returns:
            Whether any is latched now: `latched` names them.
        """
        portfolio = view.portfolio
        portfolio.start_day(now_ns)
        account, memory = portfolio.account(account_id), self._account(account_id)
        equity = account.equity
        if equity is not None and (
            equity <= memory.floor or memory.base_version != account.base_version
        ):
            memory.notice(account, equity)
        return memory.has_drawdown_breach or memory.loss_breach_day_ns == account.day_start_ns

    def forget_before(self, account_id: AccountId, now_ns: int) -> None:
        """Drop what left the windows of the account's rates; call it on timers."""
        self._account(account_id).forget_before(now_ns)

    def latched(self, account_id: AccountId, view: RiskView) -> tuple[Check, ...]:
        """Return the account's loss limits that are reached now, however they were noticed."""
        account, memory = view.portfolio.account(account_id), self._account(account_id)
        asset = view.portfolio.valuer.equity_asset
        found: list[Check] = []
        if account.day_start_ns and memory.loss_breach_day_ns == account.day_start_ns:
            words = loss_words(account, memory.whole, asset, latched=True)
            found.append(Check(Reason.DAILY_LOSS, *words))
        if memory.has_drawdown_breach:
            words = drawdown_words(account, memory.whole, asset, latched=True)
            found.append(Check(Reason.DRAWDOWN, *words))
        return tuple(found)

    def reset_drawdown(self, account_id: AccountId, view: RiskView) -> None:
        """Let a person lift the drawdown halt: the peak starts again from the equity of now."""
        self._account(account_id).has_drawdown_breach = False
        account = view.portfolio.account(account_id)
        account.peak_equity = None
        account.observe()

    # what happened beside the orders it judged ----------------------------------------------------

    def note_cancel(self, account_id: AccountId, now_ns: int) -> None:
        """Count a cancel sent; it is never held back, but opening is at the bound."""
        memory = self._account(account_id)
        memory.cancels.note(now_ns)
        memory.has_requests = True

    def note_amend(self, account_id: AccountId, now_ns: int) -> None:
        """Count an amend sent."""
        memory = self._account(account_id)
        memory.amends.note(now_ns)
        memory.has_requests = True

    def note_fill(self, account_id: AccountId, now_ns: int) -> None:
        """Count an execution of one of our orders, for the order-to-fill ratio."""
        memory = self._account(account_id)
        if memory.fill_ratio is not None:
            memory.fill_ratio.note_fill(now_ns)

    def note_trade(
        self, account_id: AccountId, strategy_id: StrategyId, money: int, view: RiskView
    ) -> None:
        """Take what a closed trade made after fees, for losses in a row."""
        day_start_ns = view.portfolio.account(account_id).day_start_ns
        self._account(account_id).note_trade(strategy_id, money, day_start_ns)

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
                    amends_ns=tuple(memory.amends.minute),
                    cancels_ns=tuple(memory.cancels.minute),
                    losses_day_ns=memory.streak_day_ns,
                    losses_in_row=memory.streak,
                    strategy_losses=dict(sorted(memory.streaks.items())),
                    fill_ratio=None if memory.fill_ratio is None else memory.fill_ratio.record(),
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
            memory.amends.refill(account.amends_ns)
            memory.cancels.refill(account.cancels_ns)
            memory.has_requests = bool(account.amends_ns or account.cancels_ns)
            memory.streak_day_ns = account.losses_day_ns
            memory.streak = account.losses_in_row
            memory.streaks = dict(account.strategy_losses)
            if memory.fill_ratio is not None and account.fill_ratio is not None:
                memory.fill_ratio.restore(account.fill_ratio)


_NOT_OF_AMENDS = frozenset(
    {Reason.SIZE_INVALID, Reason.RATE_LIMIT, Reason.ORDER_TO_FILL, Reason.CANCEL_RATE}
)
_NEEDED_BY_ROOMS = frozenset({Reason.PRICE_UNKNOWN, Reason.NO_EQUITY})
_NEEDS_BOOK = frozenset({Reason.BOOK_TOO_OLD, Reason.PRICE_BAND, Reason.DEPTH_TOO_THIN})


def _fits_now(asked: Question, lane: JudgedLane) -> bool:
    """Whether every room is wide enough for what the order shrank to."""
    size_units, equity = asked.size_units, asked.equity
    assert equity is not None, "the short way asked for it"
    after_units, is_buy = asked.held_units + size_units, asked.intent.side is Side.BUY
    worth, scale = asked.worth, asked.worth_scale
    return fits_every_room(lane, size_units, after_units, worth, scale, equity, is_buy)


def _refill(stamps: deque[int], approvals_ns: Iterable[int]) -> None:
    stamps.clear()
    stamps.extend(approvals_ns)
