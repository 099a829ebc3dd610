"""Owns the one door: every input gets a number and a time here and may cause commands.

Refuses to do anything by itself: no clock, no I/O, no chance but the seeded one. The same inputs in
the same order make the same commands and the same digest, live, in a replay and in a backtest.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command, Notice
from tickwright.core.errors import ConfigError
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    BookState,
    BookStateChanged,
    CandleUpdate,
    ClockNotice,
    ConfigChanged,
    ConnectionChanged,
    FeesChanged,
    FundingUpdate,
    IndexPrice,
    Input,
    InstrumentChanged,
    LastPrice,
    Liquidation,
    MarkPrice,
    OperatorCommand,
    OrderAbsent,
    OrderReport,
    PositionReport,
    PromisesRestored,
    RateLimitReport,
    Reconciliation,
    Reply,
    SendOutcome,
    StateRestored,
    StopsReply,
    SyncReport,
    TimerFired,
    Trade,
)
from tickwright.core.identity import AccountId, InstrumentId, StrategyId
from tickwright.core.kept_state import KeptState
from tickwright.core.orders import Fill, RequestKind
from tickwright.core.signals import Decision
from tickwright.engine.config import EngineConfig
from tickwright.engine.deadlines import ENGINE_OWNER, Deadline
from tickwright.engine.dispatch import Dispatch
from tickwright.engine.evidence_desk import EvidenceDesk
from tickwright.engine.lanes import Lane, StrategyRun
from tickwright.engine.market_desk import MarketDesk
from tickwright.engine.operator_desk import OperatorDesk
from tickwright.engine.order_desk import OrderDesk
from tickwright.engine.position_desk import PositionDesk
from tickwright.engine.protection_desk import ProtectionDesk
from tickwright.engine.restart_desk import RestartDesk
from tickwright.engine.result_summary import summarise_results
from tickwright.engine.signal_desk import SignalDesk
from tickwright.engine.state import TradingState
from tickwright.engine.summary import EngineSummary, summarise
from tickwright.engine.work_desk import WorkDesk
from tickwright.strategy.base import Strategy
from tickwright.strategy.context import StrategyContext
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["SLOTS_MAX", "Engine"]

SLOTS_MAX = 65_536
"""Order books one engine may hold."""
_SECOND_NS = 1_000_000_000
_NOTHING: tuple[Command, ...] = ()


class Engine:
    """The whole trading state behind one door.

    Set it up with `add_book`, `add_account` and `add_strategy`, then `start` once; from then on
    every input goes through `on_book` or `handle`, each of which returns the commands it caused.
    """

    def __init__(self, config: EngineConfig, *, epoch: int, seed: int, now_ns: int) -> None:
        state = TradingState(config, epoch=epoch, seed=seed, now_ns=now_ns)
        self._state = state
        self._moment = state.moment
        self._enter = state.moment.enter
        self._outbox = state.outbox
        self._lanes: dict[int, Lane] = {}
        self._orders = OrderDesk(state)
        self._positions = PositionDesk(state, self._orders)
        self._works = WorkDesk(state, self._orders, self._positions)
        self._signals = SignalDesk(state, self._orders, self._positions, self._works)
        self._dispatch = Dispatch(state, self._orders, self._positions, self._signals)
        self._protection = ProtectionDesk(state, self._orders, self._dispatch)
        desks = (state, self._orders, self._positions, self._dispatch, self._protection)
        self._restart = RestartDesk(
            state, self._orders, self._positions, self._protection, self._works
        )
        self._evidence = EvidenceDesk(*desks, self._restart, self._works)
        self._market = MarketDesk(*desks, self._works)
        self._operator = OperatorDesk(*desks)
        self._protections = state.protections
        self._deliver = self._dispatch.deliver
        self._is_started = False
        self._doors: dict[type, Callable[[Any], None]] = self._make_doors()
        self._reminders: dict[Deadline, Callable[[str], None]] = self._make_reminders()

    def _make_doors(self) -> dict[type, Callable[[Any], None]]:
        evidence, market = self._evidence, self._market
        return {
            Trade: market.on_trade,
            LastPrice: market.on_market,
            MarkPrice: market.on_mark,
            IndexPrice: market.on_index,
            FundingUpdate: market.on_funding,
            CandleUpdate: market.on_market,
            Liquidation: market.on_market,
            InstrumentChanged: market.on_instrument,
            BookStateChanged: market.on_book_state,
            FeesChanged: market.on_fees,
            ConnectionChanged: self._operator.on_connection,
            OperatorCommand: self._operator.on_command,
            StateRestored: self._on_restored,
            Reply: evidence.on_reply,
            SendOutcome: evidence.on_send_outcome,
            StopsReply: self._positions.stops.on_reply,
            OrderReport: evidence.on_report,
            OrderAbsent: evidence.on_absent,
            Fill: evidence.on_fill,
            SyncReport: evidence.on_sync,
            PromisesRestored: evidence.on_promises,
            Reconciliation: evidence.on_reconciliation,
            BalanceReport: evidence.on_balance,
            PositionReport: evidence.on_position,
            AccountState: evidence.on_totals,
            RateLimitReport: self._on_rate_limit,
            TimerFired: self._on_timer,
            ClockNotice: market.on_clock,
            # It stands in the session log for people; no decision depends on it.
            ConfigChanged: _ignore,
        }

    def _make_reminders(self) -> dict[Deadline, Callable[[str], None]]:
        orders, positions = self._orders, self._positions
        reminders: dict[Deadline, Callable[[str], None]] = {
            Deadline.HOUSEKEEPING: self._keep_house,
            Deadline.CREATE_ANSWER: partial(self._evidence.on_answer_due, RequestKind.CREATE),
            Deadline.AMEND_ANSWER: partial(self._evidence.on_answer_due, RequestKind.AMEND),
            Deadline.CANCEL_ANSWER: partial(self._evidence.on_answer_due, RequestKind.CANCEL),
            Deadline.QUERY: orders.on_query_due,
            Deadline.ENTRY_TIMEOUT: orders.on_entry_timeout,
            Deadline.CANCELS: lambda _: orders.cancel_waiting(),
            Deadline.CLOSE_AGAIN: positions.on_close_again,
            Deadline.TIME_STOP: positions.on_time_stop,
            Deadline.STOPS: positions.on_stops_due,
            Deadline.PROTECTION: lambda _: self._protection.on_due(),
            Deadline.WORK: self._works.on_due,
        }
        assert len(reminders) == len(Deadline), "every kind of deadline is handled"
        return reminders

    # setting up -----------------------------------------------------------------------------------

    def add_account(self, account_id: AccountId) -> None:
        """Make an account known; it may trade after its first `SyncReport`."""
        if account_id in self._state.accounts:
            raise ConfigError(f"account {account_id} was added already")
        self._state.accounts.append(account_id)
        self._state.portfolio.account(account_id)

    def add_book(self, slot: int, book: OrderBook) -> None:
        """Give an order book its slot, the number `on_book` is called with.

        Raises:
            ConfigError: the slot or the instrument is taken, or the slot is out of range.
        """
        state = self._state
        if not 0 <= slot < SLOTS_MAX:
            raise ConfigError(f"slot {slot} is not between 0 and {SLOTS_MAX - 1}")
        lanes = self._lanes
        if slot in lanes or book.instrument_id in state.lanes:
            raise ConfigError(f"slot {slot} or {book.instrument_id} is taken")
        book.slot = slot
        lane = Lane(slot, book, state.config.volatility_window_s)
        lanes[slot] = lane
        state.lanes[lane.instrument_id] = lane
        state.portfolio.set_instrument(lane.instrument)
        for account_id in state.accounts:
            state.portfolio.holding(account_id, lane.instrument_id)
        self._dispatch.rebuild()

    def remove_book(self, slot: int) -> None:
        """Give a slot back: nobody reads its book any more.

        Raises:
            ConfigError: a strategy, an order or a position still needs the book.
        """
        lane = self._lanes[slot]
        if self.needs(lane.instrument_id):
            raise ConfigError(f"{lane.instrument_id} is still needed; its book can't be removed")
        del self._lanes[slot]
        del self._state.lanes[lane.instrument_id]
        self._dispatch.rebuild()

    def needs(self, instrument_id: InstrumentId) -> bool:
        """Whether a strategy, a live order or a position needs this instrument's book."""
        state = self._state
        if any(instrument_id in run.context.instruments for run in state.runs.values()):
            return True
        if any(record.order.instrument_id == instrument_id for record in state.blotter.live()):
            return True
        holdings = (a.holdings.get(instrument_id) for a in state.portfolio.accounts())
        return any(
            leg.position.size_units for held in holdings if held for leg in held.legs.values()
        )

    def add_strategy(
        self,
        strategy_id: StrategyId,
        strategy: Strategy,
        *,
        account_id: AccountId,
        instruments: Sequence[InstrumentId],
        parameters: StrategyParameters | None = None,
    ) -> None:
        """Add a strategy; its account and books must be there, and the engine not started.

        Raises:
            ConfigError: the name is taken or reserved, the account or a book is missing.
        """
        state = self._state
        if self._is_started:
            raise ConfigError(f"strategy {strategy_id} must be added before the engine starts")
        if strategy_id in state.runs or strategy_id in ("", "all", ENGINE_OWNER):
            raise ConfigError(f"strategy name {strategy_id!r} is taken or reserved")
        if account_id not in state.accounts:
            raise ConfigError(f"strategy {strategy_id}: account {account_id} was not added")
        if not instruments:
            raise ConfigError(f"strategy {strategy_id} needs at least one instrument")
        for instrument_id in instruments:
            if instrument_id not in state.lanes:
                raise ConfigError(f"strategy {strategy_id}: {instrument_id} has no order book")
        state.client_ids.register(strategy_id)
        context = StrategyContext(
            strategy_id=strategy_id,
            account_id=account_id,
            parameters=parameters if parameters is not None else strategy.Parameters(),
            instruments=tuple(instruments),
            moment=state.moment,
            world=state,
            random=state.random_for(strategy_id),
        )
        strategy.bind(context)
        state.runs[strategy_id] = StrategyRun(strategy, context)
        self._dispatch.rebuild()

    def start(self, now_ns: int) -> Sequence[Command]:
        """Begin: the first input. Strategies run `on_start`, housekeeping asks for its timer."""
        assert not self._is_started, "an engine starts once"
        self._is_started = True
        self._enter(now_ns)
        self._state.deadlines.add(now_ns + _SECOND_NS, Deadline.HOUSEKEEPING)
        for run in tuple(self._state.runs.values()):
            self._dispatch.deliver_bare(run, "on_start")
        return self._outbox.take_commands()

    # the door -------------------------------------------------------------------------------------

    def on_book(self, slot: int, now_ns: int) -> Sequence[Command]:
        """Handle an applied update of the book in `slot`, which was changed already."""
        self._enter(now_ns)
        lane = self._lanes[slot]
        if lane.is_busy:
            self._market.on_busy_book(lane)
        calls = lane.book_calls
        if calls:
            self._deliver(calls, lane.book)
        if lane.touch_calls and lane.has_new_touch():
            self._deliver(lane.touch_calls, lane.book)
        if self._works.news or self._outbox.commands:
            return self.end_book()
        return _NOTHING

    def take_answer(self, run: StrategyRun, answer: Callable[[object], Decision]) -> None:
        """Take what a listener of a book says, for a caller that walks books by itself.

        It has done what `on_book` does for a book nobody holds anything in: count the input, move
        the time, ask the listeners of the lane in their order. `answer` returns or raises what the
        listener did. `end_book` ends the input.
        """
        self._deliver(((run, answer),), None)

    def end_book(self) -> Sequence[Command]:
        """End the input of a book; returns the commands it caused."""
        if self._works.news:
            self._tell_works()
        if not self._outbox.commands:
            return _NOTHING
        if self._protections.changes:
            # An order of this very input may have been one too many.
            self._protection.settle()
        return self._outbox.take_commands()

    def handle(self, event: Input, now_ns: int) -> Sequence[Command]:
        """Handle any other input."""
        self._enter(now_ns)
        self._doors[type(event)](event)
        if self._works.news:
            self._tell_works()
        if self._protections.changes:
            self._protection.settle()
        outbox = self._outbox
        return outbox.take_commands() if outbox.commands else _NOTHING

    def _tell_works(self) -> None:
        """Let strategies hear of their works; what they change by it they hear at a later input."""
        for work in self._works.take_news():
            self._dispatch.deliver_work(work)

    def _on_restored(self, event: StateRestored) -> None:
        assert not self._is_started, "what an earlier run left is the first input"
        self._restart.on_restored(event)

    # timers and the rest --------------------------------------------------------------------------

    def _on_timer(self, event: TimerFired) -> None:
        if event.owner != ENGINE_OWNER:
            run = self._state.runs.get(StrategyId(event.owner))
            if run is None or run.timers.get(event.name) != event.due_ns:
                # The strategy asked for another time since, or is gone.
                return
            del run.timers[event.name]
            if not run.halt_reason:
                self._deliver(run.calls["on_timer"], event.name)
            return
        deadlines, reminders = self._state.deadlines, self._reminders
        for kind, key in deadlines.fired(event.due_ns):
            reminders[kind](key)
        deadlines.rearm()

    def _keep_house(self, _: str) -> None:
        self._market.keep_house()
        self._state.deadlines.add(self._moment.now_ns + _SECOND_NS, Deadline.HOUSEKEEPING)

    def _on_rate_limit(self, report: RateLimitReport) -> None:
        self._state.budget.learn(report, self._moment.now_ns)

    # looking --------------------------------------------------------------------------------------

    def take_notices(self) -> list[Notice]:
        """Return and forget the notices so far; at the bound the oldest were dropped."""
        return self._outbox.take_notices()

    @property
    def digest(self) -> str:
        """The hash over every command and notice so far, each with its cause."""
        return self._outbox.digest

    @property
    def event_id(self) -> int:
        """Number of the last input."""
        return self._moment.event_id

    @property
    def state(self) -> TradingState:
        """The trading state, to read."""
        return self._state

    def summary(self, *, has_results: bool = False) -> EngineSummary:
        """Return the figures for reports and screens; results by strategy where wanted."""
        found = summarise(self._state, self._orders, self._positions, self._evidence)
        if has_results:
            results = summarise_results(self._state.portfolio)
            found = msgspec.structs.replace(found, results=results)
        return found

    def kept_state(self) -> KeptState:
        """Return what a restart must know; hand it back by `StateRestored`, before `start`."""
        return self._restart.state()

    @property
    def kept_version(self) -> tuple[object, ...]:
        """Differs whenever `kept_state` does, but for its time; cheaper to ask."""
        return self._restart.version

    def is_synced(self, instrument_id: InstrumentId) -> bool:
        """Whether orders are possible on a book by its state; its age is the gate's matter."""
        return self._state.lane(instrument_id).book.state is BookState.SYNCED


def _ignore(_event: object) -> None:
    """Take note by the input's number alone."""
