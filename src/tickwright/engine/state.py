"""Owns the whole trading state of a process as one object that the engine's desks share.

Refuses behaviour: the desks act on it, in the order the engine calls them.
"""

from collections.abc import Iterable
from random import Random

from tickwright.book.order_book import OrderBook
from tickwright.core.commands import HaltNotice, SetTimer
from tickwright.core.errors import ConfigError, InstrumentUnknown
from tickwright.core.events import FundingUpdate
from tickwright.core.exits import Exits
from tickwright.core.identity import AccountId, ClientId, InstrumentId, StrategyId
from tickwright.core.instrument import FeeRates, Instrument
from tickwright.core.moment import Moment
from tickwright.core.restrictions import ProtectionKind, Scope
from tickwright.core.work import Work
from tickwright.engine.config import EngineConfig
from tickwright.engine.deadlines import Deadlines
from tickwright.engine.lanes import TIMERS_MAX, Lane, StrategyRun
from tickwright.engine.outbox import Outbox
from tickwright.execution.algorithms.work_file import WorkFile
from tickwright.execution.blotter import Blotter
from tickwright.execution.client_ids import ClientIds
from tickwright.execution.planner import Planner
from tickwright.execution.position_plan import PositionPlan
from tickwright.execution.request_budget import RequestBudget
from tickwright.portfolio.portfolio import Portfolio
from tickwright.risk.gate import Gate, RiskView
from tickwright.risk.protections import Protections
from tickwright.risk.sizing import Sizer
from tickwright.strategy.context import PositionView

__all__ = ["TradingState"]


class TradingState:
    """Everything that decisions depend on; equal inputs make it equal."""

    def __init__(self, config: EngineConfig, *, epoch: int, seed: int, now_ns: int) -> None:
        self.config = config
        self.seed = seed
        self.moment = Moment(now_ns, 0)
        self.outbox = Outbox(notices_max=config.notices_max)
        self.deadlines = Deadlines(self.moment, self.outbox)
        self.portfolio = Portfolio(
            equity_asset=config.equity_asset,
            parity_assets=config.parity_assets,
            ignored_assets=config.ignored_assets,
            day_start_hour_utc=config.day_start_hour_utc,
        )
        accounts = {
            _account_id(name): limits for name, limits in sorted(config.account_risk.items())
        }
        self.protections = Protections(
            config.risk.protections,
            accounts={name: limits.protections for name, limits in accounts.items()},
        )
        self.view = RiskView(self.portfolio, restrictions=self.protections.table)
        self.gate = Gate(config.risk, accounts=accounts)
        self.sizer = Sizer()
        execution = config.execution
        self.planner = Planner(execution)
        self.client_ids = ClientIds(epoch)
        self.blotter = Blotter(self.client_ids, evidence_delay_ns=execution.evidence_delay_ns)
        self.live_orders = self.blotter.live_orders
        """Shows a strategy its orders; see `World`."""
        self.budget = RequestBudget(execution.budget, execution.budgets)
        self.accounts: list[AccountId] = []
        self.lanes: dict[InstrumentId, Lane] = {}
        self.runs: dict[StrategyId, StrategyRun] = {}
        self.plans: dict[tuple[StrategyId, InstrumentId], PositionPlan] = {}
        self.works: dict[ClientId, WorkFile] = {}
        """Sizes being worked, by their own ids."""
        self.rates: dict[tuple[AccountId, InstrumentId], FeeRates] = {}
        self._exits: dict[StrategyId, Exits] = {}
        """What is configured, put together once for each strategy."""
        self._views: dict[tuple[StrategyId, InstrumentId], tuple[object, PositionView]] = {}
        """The last view of each position, with all it was made of: asked far oftener than filled.
        Bounded by strategies x instruments."""

    @property
    def now_ns(self) -> int:
        """Time of the input being handled."""
        return self.moment.now_ns

    def lane(self, instrument_id: InstrumentId) -> Lane:
        """Return the lane of an instrument.

        Raises:
            InstrumentUnknown: no book of it was added.
        """
        lane = self.lanes.get(instrument_id)
        if lane is None:
            raise InstrumentUnknown(f"{instrument_id} has no order book in this engine")
        return lane

    def exits_of(self, strategy_id: StrategyId) -> Exits:
        """Return how a strategy's positions are left when it says nothing itself.

        The same object every time.
        """
        exits = self._exits.get(strategy_id)
        if exits is None:
            exits = self._exits[strategy_id] = self.config.execution.exits_of(strategy_id)
        return exits

    def random_for(self, strategy_id: StrategyId) -> Random:
        """Return the chance a strategy may use, the same in every run of this seed."""
        return Random(f"{self.seed}:{strategy_id}")

    def halt_notice(self, scope: str, reason: str) -> None:
        """Tell that something stopped opening orders."""
        moment = self.moment
        self.outbox.notice(
            HaltNotice(scope=scope, reason=reason, event_id=moment.event_id, now_ns=moment.now_ns)
        )

    def halt_instrument(self, instrument_id: InstrumentId, reason: str) -> None:
        """Stop opening in an instrument; closing goes on."""
        if instrument_id not in self.view.halted_instruments:
            self.view.halted_instruments[instrument_id] = reason
            self.halt_notice(str(instrument_id), reason)
            self.protections.enter(
                ProtectionKind.CONTRADICTION,
                Scope(instrument_id=instrument_id),
                reason,
                self.moment.now_ns,
            )

    # what a strategy's context looks at -----------------------------------------------------------

    def book(self, instrument_id: InstrumentId) -> OrderBook:
        """Return the live book."""
        lane = self.lanes.get(instrument_id)
        return (lane or self.lane(instrument_id)).book

    def instrument(self, instrument_id: InstrumentId) -> Instrument:
        """Return the rules in force now."""
        return self.lane(instrument_id).instrument

    def position_view(self, strategy_id: StrategyId, instrument_id: InstrumentId) -> PositionView:
        """Return the strategy's attribution with its average entry."""
        account_id = self.runs[strategy_id].context.account_id
        share = self.portfolio.strategy_position(strategy_id, account_id, instrument_id)
        instrument = self.lanes[instrument_id].instrument
        worth = (share.size_units, share.cost, share.costed, instrument)
        shown = self._views.get((strategy_id, instrument_id))
        if shown is not None and shown[0] == worth:
            return shown[1]
        price = share.entry_price(instrument)
        entry = None if price is None else float(price.scaleb(instrument.price_decimals))
        view = PositionView(share.size_units, entry)
        self._views[strategy_id, instrument_id] = worth, view
        return view

    def mark_units(self, instrument_id: InstrumentId) -> int | None:
        """Return the latest mark price the venue told."""
        lane = self.lane(instrument_id)
        return self.portfolio.mark(instrument_id) if lane.has_venue_mark else None

    def index_units(self, instrument_id: InstrumentId) -> int | None:
        """Return the latest index price."""
        return self.lane(instrument_id).index_units

    def funding(self, instrument_id: InstrumentId) -> FundingUpdate | None:
        """Return the latest funding rate."""
        return self.lane(instrument_id).funding

    def fees(self, account_id: AccountId, instrument_id: InstrumentId) -> FeeRates | None:
        """Return the fee rates of the account."""
        return self.rates.get((account_id, instrument_id))

    def live_works(self, strategy_id: StrategyId) -> Iterable[Work]:
        """Return the strategy's works that did not end."""
        return [f.snapshot() for f in self.works.values() if f.strategy_id == strategy_id]

    def set_timer(self, strategy_id: StrategyId, name: str, due_ns: int) -> None:
        """Ask the outside to call a strategy back.

        Raises:
            ValueError: too many names wait already.
        """
        timers = self.runs[strategy_id].timers
        if name not in timers and len(timers) >= TIMERS_MAX:
            raise ValueError(f"a strategy may have {TIMERS_MAX} timers waiting, not more")
        timers[name] = due_ns
        self.outbox.command(SetTimer(strategy_id, name, due_ns, self.moment.event_id))


def _account_id(name: str) -> AccountId:
    venue, colon, account = name.partition(":")
    if not (venue and colon and account):
        raise ConfigError(f"account_risk.{name}: write the account as venue:name")
    return AccountId(venue, account)
