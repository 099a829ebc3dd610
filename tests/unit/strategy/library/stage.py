"""A stage for the library's strategies: the real engine, books and fills made by hand."""

from msgspec.structs import replace

from tests.unit.engine.bench import CONFIG, MS, RISK, START, Bench
from tickwright.core.commands import AmendOrder, CancelOrder, Command, PlaceOrder
from tickwright.core.events import Outcome, TimerFired
from tickwright.core.identity import InstrumentId, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.kept_state import KeptState
from tickwright.core.orders import OrderState, RequestKind
from tickwright.engine import EngineConfig
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

BOTH_SIDES = replace(CONFIG, risk=replace(RISK, deny_conflicting_position=False))
"""What a strategy that quotes both sides needs."""


class Stage(Bench):
    """One strategy on it; books are shown level by level, orders answered as the test says."""

    def __init__(
        self,
        strategy: Strategy,
        parameters: StrategyParameters,
        *instruments: Instrument,
        config: EngineConfig = BOTH_SIDES,
        kept: KeptState | None = None,
        now_ns: int = START,
        is_shown: bool = True,
    ) -> None:
        self.is_shown = is_shown
        super().__init__(
            config,
            strategies={"one": strategy},
            parameters={"one": parameters},
            instruments=instruments,
            kept=kept,
            now_ns=now_ns,
        )
        self.is_shown = True

    def book(self, bid, *, instrument_id=None, spread=1, size=1_000_000, after_ms=10):
        """Show nothing while the stage is set: the first book is the test's."""
        if not self.is_shown:
            return []
        chosen = instrument_id or next(iter(self.books))
        return super().book(bid, instrument_id=chosen, spread=spread, size=size, after_ms=after_ms)

    def show(
        self,
        bids: list[tuple[int, int]],
        asks: list[tuple[int, int]],
        *,
        after_ms: float = 10,
        instrument_id: InstrumentId | None = None,
    ) -> list[Command]:
        """Put exactly these levels (price, size) and let the engine see them."""
        self.now_ns += int(after_ms * MS)
        self._update_id += 1
        book = self.books[instrument_id or next(iter(self.books))]
        book.apply_snapshot(bids, asks, update_id=self._update_id, received_ns=self.now_ns)
        return self.take(self.engine.on_book(book.slot, self.now_ns))

    def rest(self, *orders: PlaceOrder) -> None:
        """Acknowledge orders and show them resting."""
        for order in orders:
            self.ack(order)
            self.report(order, OrderState.WORKING)

    def move(self, order: PlaceOrder, amend: AmendOrder) -> None:
        """Take an amend and show the order as it is then."""
        self.reply(order.client_id, RequestKind.AMEND, Outcome.ACCEPTED)
        self.report(
            order,
            OrderState.WORKING,
            price_units=amend.price_units or order.price_units,
            size_units=amend.size_units or order.size_units,
        )

    def withdraw(self, order: PlaceOrder) -> list[Command]:
        """Take a cancel and show the order gone."""
        self.reply(order.client_id, RequestKind.CANCEL, Outcome.ACCEPTED)
        return self.report(order, OrderState.CANCELLED)

    def amends(self) -> list[AmendOrder]:
        """Return the amends the last input caused."""
        return [command for command in self.fresh if type(command) is AmendOrder]

    def withdrawn(self) -> list[CancelOrder]:
        """Return the cancels the last input caused."""
        return [command for command in self.fresh if type(command) is CancelOrder]

    def pass_timers(self, milliseconds: float) -> list[Command]:
        """Let time pass and fire the strategy's own timers as they fall due, soonest first."""
        until_ns = self.now_ns + int(milliseconds * MS)
        gave: list[Command] = []
        run = self.engine.state.runs[StrategyId("one")]
        while due := sorted((at, name) for name, at in run.timers.items() if at <= until_ns):
            at_ns, name = due[0]
            self.now_ns = max(self.now_ns, at_ns)
            gave += self.handle(TimerFired("one", name, at_ns))
        self.now_ns = until_ns
        return gave

    def quotes(self) -> list[tuple[int, int, int]]:
        """Return side, price and size of the orders the last input placed, as a set in order."""
        return sorted(
            (int(order.side), order.price_units or 0, order.size_units) for order in self.places()
        )

    def asked(self) -> list[tuple[int, int, int]]:
        """Return side, price and size of the strategy's live orders."""
        context = self.strategies["one"].context
        return sorted(
            (int(order.side), order.price_units or 0, order.remaining_units)
            for order in context.orders()
        )
