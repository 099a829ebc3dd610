"""A bench for the engine: real books, a venue that answers as told, strategies with a script."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from tickwright.book import OrderBook
from tickwright.core.commands import (
    CancelOrder,
    Command,
    HaltNotice,
    Notice,
    OrderNotice,
    PlaceOrder,
    ProtectionNotice,
    QueryOrder,
    SetTimer,
    SignalNotice,
)
from tickwright.core.events import (
    BalanceReport,
    BookState,
    BookStateChanged,
    Input,
    OrderReport,
    Outcome,
    PositionReport,
    Reply,
    SendOutcome,
    StateRestored,
    SyncReport,
    TimerFired,
)
from tickwright.core.identity import (
    AccountId,
    Category,
    ClientId,
    InstrumentId,
    Leg,
    StrategyId,
    VenueOrderId,
)
from tickwright.core.instrument import Capabilities, Instrument
from tickwright.core.kept_state import KeptState
from tickwright.core.orders import (
    ExecutionKind,
    Fill,
    OrderState,
    RequestKind,
    Side,
)
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.core.units import MONEY_ONE
from tickwright.engine import Engine, EngineConfig
from tickwright.execution import ExecutionConfig
from tickwright.risk import RiskLimits, SizingLimits
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_700_000_000 * SECOND
ACCOUNT = AccountId("venue", "main")
BTC = InstrumentId("venue", Category.LINEAR, "BTCUSDT")
ETH = InstrumentId("venue", Category.LINEAR, "ETHUSDT")
SPOT = InstrumentId("venue", Category.SPOT, "BTCUSDT")
RISK = RiskLimits(
    position_percent_max=Decimal(100),
    exposure_percent_max=Decimal(300),
    orders_per_second_max=1_000,
    orders_per_minute_max=10_000,
    order_notional_usdt_max=Decimal(1_000_000),
    open_orders_per_instrument_max=1_000,
    sizing=SizingLimits(equity_percent=Decimal(10), depth_share_percent_max=Decimal(100)),
)
CONFIG = EngineConfig(risk=RISK, execution=ExecutionConfig(brackets="synthetic"))


def instrument(instrument_id: InstrumentId = BTC, **changes: Any) -> Instrument:
    is_spot = instrument_id.category is Category.SPOT
    values: dict[str, Any] = {
        "id": instrument_id,
        "base_asset": instrument_id.symbol[:3],
        "quote_asset": "USDT",
        "settle_asset": "USDT",
        "price_decimals": 1,
        "size_decimals": 3,
        "tick_units": 1,
        "lot_units": 1,
        "size_min_units": 1,
        "size_max_units": 10**9,
        "market_size_max_units": 10**9,
        "capabilities": Capabilities(can_short=not is_spot, has_reduce_only=not is_spot),
    }
    return Instrument(**{**values, **changes})


class Scripted(Strategy):
    """Answers each callback with what the test put there; remembers what it was told."""

    def __init__(self) -> None:
        self.answers: list[Decision] = []
        self.on_next: Callable[[], Decision] | None = None
        self.heard: list[tuple[str, Any]] = []
        self.book_count = 0

    def on_book(self, book):
        self.book_count += 1
        if self.on_next is not None:
            act, self.on_next = self.on_next, None
            return act()
        return self.answers.pop(0) if self.answers else None

    def on_order(self, order):
        self.heard.append(("order", (order.client_id, order.state, order.filled_units)))

    def on_fill(self, fill):
        self.heard.append(("fill", fill.execution_id))

    def on_account(self, event):
        self.heard.append(("account", event))

    def on_timer(self, name):
        self.heard.append(("timer", name))

    def on_book_state(self, event):
        self.heard.append(("state", event.state))

    def on_market(self, event):
        self.heard.append(("market", event))

    def on_trade(self, trade):
        self.heard.append(("trade", trade))
        return self.answers.pop(0) if self.answers else None

    def on_stop(self):
        self.heard.append(("stop", None))


def long(instrument_id: InstrumentId = BTC, **changes: Any) -> Signal:
    return _signal(instrument_id, SignalKind.LONG, changes)


def short(instrument_id: InstrumentId = BTC, **changes: Any) -> Signal:
    return _signal(instrument_id, SignalKind.SHORT, changes)


def leave(instrument_id: InstrumentId = BTC) -> Signal:
    return _signal(instrument_id, SignalKind.EXIT, {})


def _signal(instrument_id: InstrumentId, kind: SignalKind, changes: dict[str, Any]) -> Signal:
    values: dict[str, Any] = {"instrument_id": instrument_id, "kind": kind, "reason": "test"}
    if kind is not SignalKind.EXIT:
        values |= {"stop_loss_fraction": 0.005, "take_profit_fraction": 0.015}
    return Signal(**{**values, **changes})


class Bench:
    """One engine with books, scripted strategies and the commands it gave."""

    def __init__(
        self,
        config: EngineConfig = CONFIG,
        *,
        strategies: dict[str, Strategy] | None = None,
        instruments: tuple[Instrument, ...] = (),
        is_synced: bool = True,
        seed: int = 1,
        epoch: int = 7,
        kept: KeptState | None = None,
        now_ns: int = START,
        parameters: dict[str, StrategyParameters] | None = None,
    ) -> None:
        self.now_ns = now_ns
        self.engine = Engine(config, epoch=epoch, seed=seed, now_ns=self.now_ns)
        self.engine.add_account(ACCOUNT)
        self.books: dict[InstrumentId, OrderBook] = {}
        self.log: list[Command] = []
        self.notices: list[Notice] = []
        self.fresh: list[Command] = []
        for slot, item in enumerate(instruments or (instrument(),)):
            self.books[item.id] = OrderBook(item, capacity=200)
            self.engine.add_book(slot, self.books[item.id])
        self.strategies = strategies if strategies is not None else {"one": Scripted()}
        for name, strategy in self.strategies.items():
            self.engine.add_strategy(
                StrategyId(name),
                strategy,
                account_id=ACCOUNT,
                instruments=tuple(self.books),
                parameters=(parameters or {}).get(name),
            )
        self._update_id = 0
        self.execution_count = 0
        if kept is not None:
            text = msgspec.json.encode(kept)
            self.handle(StateRestored(msgspec.json.decode(text, type=KeptState)))
        self.take(self.engine.start(self.now_ns))
        for instrument_id in self.books:
            self.book(600_000, instrument_id=instrument_id)
        if is_synced:
            self.sync()

    # inputs ---------------------------------------------------------------------------------------

    def take(self, commands: Any) -> list[Command]:
        self.fresh = list(commands)
        self.log += self.fresh
        self.notices += self.engine.take_notices()
        return self.fresh

    def handle(self, event: Input, *, after_ms: float = 0) -> list[Command]:
        self.now_ns += int(after_ms * MS)
        return self.take(self.engine.handle(event, self.now_ns))

    def book(
        self,
        bid: int,
        *,
        instrument_id: InstrumentId = BTC,
        spread: int = 1,
        size: int = 1_000_000,
        after_ms: float = 10,
    ) -> list[Command]:
        """Put a new book around a best bid and let the engine see it."""
        self.now_ns += int(after_ms * MS)
        self._update_id += 1
        book = self.books[instrument_id]
        book.apply_snapshot(
            [(bid - level, size) for level in range(20)],
            [(bid + spread + level, size) for level in range(20)],
            update_id=self._update_id,
            received_ns=self.now_ns,
        )
        return self.take(self.engine.on_book(book.slot, self.now_ns))

    def say(self, decision: Decision, *, by: str = "one", bid: int = 600_000) -> list[Command]:
        """Let a strategy answer the next update."""
        strategy = self.strategies[by]
        assert isinstance(strategy, Scripted)
        strategy.answers.append(decision)
        return self.book(bid)

    def sync(self, *, equity: int = 100_000, **changes: Any) -> list[Command]:
        values: dict[str, Any] = {
            "account_id": ACCOUNT,
            "orders": (),
            "positions": (),
            "balances": (
                BalanceReport(
                    account_id=ACCOUNT,
                    asset="USDT",
                    wallet_balance=equity * MONEY_ONE,
                    locked=0,
                    venue_ns=self.now_ns,
                    received_ns=self.now_ns,
                ),
            ),
            "fills": (),
            "venue_ns": self.now_ns,
        }
        return self.handle(SyncReport(**{**values, **changes}))

    def pass_time(self, milliseconds: float) -> list[Command]:
        """Let time pass and fire the engine's timers as they fall due."""
        until_ns = self.now_ns + int(milliseconds * MS)
        gave: list[Command] = []
        while (due := self.timer_ns()) is not None and due <= until_ns:
            self.now_ns = max(self.now_ns, due)
            self._fired = due
            gave += self.handle(TimerFired("engine", "deadlines", due))
        self.now_ns = until_ns
        return gave

    def timer_ns(self) -> int | None:
        """When the engine wants to be called next."""
        waiting = [
            command.due_ns
            for command in self.log
            if isinstance(command, SetTimer) and command.owner == "engine"
        ]
        last = waiting[-1] if waiting else None
        return None if last == getattr(self, "_fired", None) else last

    # the venue's side -----------------------------------------------------------------------------

    def ack(self, order: PlaceOrder, outcome: Outcome = Outcome.ACCEPTED, text: str = "") -> None:
        self.handle(
            Reply(
                account_id=order.account_id,
                client_id=order.client_id,
                request=RequestKind.CREATE,
                outcome=outcome,
                code=0 if outcome is Outcome.ACCEPTED else 110_007,
                text=text,
                venue_id=venue_id(order.client_id) if outcome is Outcome.ACCEPTED else None,
                venue_ns=self.now_ns,
            ),
            after_ms=1,
        )

    def reply_refused(self, order: PlaceOrder, text: str) -> None:
        self.ack(order, Outcome.REFUSED, text)

    def reply(self, client_id: ClientId, request: RequestKind, outcome: Outcome) -> list[Command]:
        return self.handle(
            Reply(
                account_id=ACCOUNT,
                client_id=client_id,
                request=request,
                outcome=outcome,
                code=0,
                text="",
            ),
            after_ms=1,
        )

    def not_sent(self, client_id: ClientId, request: RequestKind) -> list[Command]:
        return self.handle(
            SendOutcome(
                account_id=ACCOUNT,
                client_id=client_id,
                request=request,
                is_sent=False,
                reason="no socket",
            )
        )

    def report(
        self, order: PlaceOrder, state: OrderState, *, filled: int = 0, **changes: Any
    ) -> list[Command]:
        self.now_ns += MS
        values: dict[str, Any] = {
            "account_id": order.account_id,
            "instrument_id": order.instrument_id,
            "client_id": order.client_id,
            "venue_id": venue_id(order.client_id),
            "side": order.side,
            "order_type": order.order_type,
            "state": state,
            "price_units": order.price_units,
            "size_units": order.size_units,
            "filled_units": filled,
            "reason": "",
            "venue_ns": self.now_ns,
            "received_ns": self.now_ns,
            "reduce_only": order.reduce_only,
        }
        return self.handle(OrderReport(**{**values, **changes}))

    def fill(
        self,
        order: PlaceOrder,
        size: int | None = None,
        *,
        price: int | None = None,
        **changes: Any,
    ) -> list[Command]:
        self.now_ns += MS
        self.execution_count += 1
        values: dict[str, Any] = {
            "account_id": order.account_id,
            "instrument_id": order.instrument_id,
            "execution_id": f"x{self.execution_count}",
            "kind": ExecutionKind.TRADE,
            "side": order.side,
            "price_units": price or order.price_units,
            "size_units": order.size_units if size is None else size,
            "fee": 0,
            "fee_asset": "USDT",
            "is_maker": False,
            "venue_ns": self.now_ns,
            "received_ns": self.now_ns,
            "client_id": order.client_id,
            "venue_id": venue_id(order.client_id),
        }
        return self.handle(Fill(**{**values, **changes}))

    def execute(self, order: PlaceOrder, *, price: int | None = None) -> None:
        """Acknowledge, fill whole and report filled: the usual life of a marketable order."""
        self.ack(order)
        self.fill(order, price=price)
        self.report(order, OrderState.FILLED, filled=order.size_units)

    def stale(self, instrument_id: InstrumentId = BTC) -> list[Command]:
        self.books[instrument_id].mark_stale("test")
        return self.handle(
            BookStateChanged(instrument_id, BookState.STALE, BookState.SYNCED, "test")
        )

    def position_report(self, size: int, instrument_id: InstrumentId = BTC) -> PositionReport:
        return PositionReport(
            account_id=ACCOUNT,
            instrument_id=instrument_id,
            leg=Leg.NET,
            size_units=size,
            entry_price="60000",
            venue_ns=self.now_ns,
            received_ns=self.now_ns,
        )

    # looking --------------------------------------------------------------------------------------

    def places(self, commands: list[Command] | None = None) -> list[PlaceOrder]:
        return [c for c in (self.fresh if commands is None else commands) if type(c) is PlaceOrder]

    def cancels(self, commands: list[Command] | None = None) -> list[CancelOrder]:
        return [c for c in (self.fresh if commands is None else commands) if type(c) is CancelOrder]

    def queries(self, commands: list[Command] | None = None) -> list[QueryOrder]:
        return [c for c in (self.fresh if commands is None else commands) if type(c) is QueryOrder]

    def placed(self) -> PlaceOrder:
        """The one order the last input placed."""
        (order,) = self.places()
        return order

    def verdicts(self) -> list[SignalNotice]:
        return [notice for notice in self.notices if isinstance(notice, SignalNotice)]

    def halts(self) -> list[HaltNotice]:
        return [notice for notice in self.notices if isinstance(notice, HaltNotice)]

    def protections(self) -> list[ProtectionNotice]:
        return [notice for notice in self.notices if isinstance(notice, ProtectionNotice)]

    def order_notices(self) -> list[OrderNotice]:
        return [notice for notice in self.notices if isinstance(notice, OrderNotice)]

    def share(self, name: str = "one", instrument_id: InstrumentId = BTC) -> int:
        state = self.engine.state
        return state.portfolio.strategy_position(
            StrategyId(name), ACCOUNT, instrument_id
        ).size_units

    def net(self, instrument_id: InstrumentId = BTC) -> int:
        return self.engine.state.portfolio.position(ACCOUNT, instrument_id).size_units


def venue_id(client_id: ClientId) -> VenueOrderId:
    return VenueOrderId(f"v-{client_id}")


def opposite(side: Side) -> Side:
    return side.opposite
