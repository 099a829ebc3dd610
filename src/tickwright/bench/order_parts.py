"""Owns the production parts that the order path is measured through, and what stands around them.

One process: scanner, books, door, engine, account link with a journal in a real file, Bybit's order
session. It refuses to stand in for any of them: made up are the strategy, which wishes on demand,
the REST side of an account with money and nothing else, and a venue that logs in whoever asks.
"""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, NoReturn

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tickwright.app.door import EngineDoor
from tickwright.bench.ours import instrument_of
from tickwright.bench.tape import Tape
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Command, PlaceOrder, SetTimer
from tickwright.core.errors import ConnectionLost, InstrumentUnknown
from tickwright.core.events import BalanceReport, SyncReport
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import (
    OrderIntent,
    Side,
    TimeInForce,
)
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.units import MONEY_ONE
from tickwright.engine.config import EngineConfig
from tickwright.engine.engine import Engine
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.request_budget import BudgetLimits
from tickwright.feed.account_link import AccountLink
from tickwright.net.connection import DialGate
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.risk.limits import RiskLimits, SizingLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.storage.journal import Journal, SyncPolicy
from tickwright.strategy.base import Strategy
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.bybit.private import PrivateSession
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.scanner import PublicScanner
from tickwright.venues.bybit.sign import Credentials, Secret
from tickwright.venues.bybit.trade import TradeSession

__all__ = [
    "ACCOUNT",
    "OnDemand",
    "OrderPath",
    "QuietVenue",
    "entry_wish",
    "exit_wish",
    "intent_wish",
]

ACCOUNT: Final = AccountId("bybit", "bench")
STRATEGY: Final = StrategyId("bench")


class OnDemand(Strategy):
    """Answers the next update of a book with the wish that was asked for."""

    def __init__(self) -> None:
        self.wanted: Callable[[OrderBook], Signal | OrderIntent] | None = None
        self.book: OrderBook | None = None
        self.wished_ns = 0

    def on_book(self, book: OrderBook) -> Signal | OrderIntent | None:
        """Give the wish once, made of the book of the moment."""
        wanted = self.wanted
        if wanted is None or book is not self.book:
            return None
        self.wanted = None
        wish = wanted(book)
        self.wished_ns = utc_now_ns()
        return wish


class QuietVenue(WSListener):
    """Logs in whoever asks and reads the rest."""

    def __init__(self) -> None:
        self.requests = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer logins and subscriptions; count orders."""
        asked = json.loads(frame.get_payload_as_bytes())
        op = asked.get("op", "")
        if op.startswith("order."):
            self.requests += 1
            return
        op = "pong" if op == "ping" else op
        answer = {"success": True, "ret_msg": "", "retCode": 0, "retMsg": "OK", "op": op}
        answer |= {"conn_id": "bench", "connId": "bench", "req_id": asked.get("req_id", "")}
        if op == "auth":
            del answer["success" if "reqId" in asked else "retCode"]
        transport.send(WSMsgType.TEXT, json.dumps(answer).encode())


class QuietAccount:
    """The REST side of an account with money and nothing else."""

    async def sync(self, categories: Sequence[Category], *, since_ns: int) -> SyncReport:
        """Return a funded, flat account."""
        now_ns = utc_now_ns()
        balance = BalanceReport(
            account_id=ACCOUNT,
            asset="USDT",
            wallet_balance=1_000_000_000 * MONEY_ONE,
            locked=0,
            venue_ns=now_ns,
            received_ns=now_ns,
        )
        return SyncReport(
            account_id=ACCOUNT,
            orders=(),
            positions=(),
            balances=(balance,),
            fills=(),
            venue_ns=now_ns,
        )

    async def send(self, *_: object, **__: object) -> NoReturn:
        """Refuse: everything must leave by the socket here."""
        raise ConnectionLost("the order socket was not used")

    query_order = cancel_all = send


def _config() -> EngineConfig:
    """Return the production checks with limits wide enough for many orders a second."""
    most = Decimal(10_000)
    return EngineConfig(
        risk=RiskLimits(
            position_percent_max=most,
            exposure_percent_max=most,
            leverage_max=Decimal(100),
            spread_bps_max=most,
            price_band_bps_max=most,
            order_notional_usdt_max=Decimal(10) ** 9,
            orders_per_second_max=10_000,
            orders_per_minute_max=100_000,
            sizing=SizingLimits(depth_share_percent_max=Decimal(100)),
            protections=ProtectionLimits(order_storm_max=10_000, flip_flops_max=10_000),
        ),
        execution=ExecutionConfig(
            answer_timeout_ms=60_000,
            slippage_bps_max=5.0,
            budget=BudgetLimits(limit=100_000),
        ),
    )


class OrderPath:
    """One process-wide set of production parts from scanner to socket."""

    def __init__(self, tape: Tape, folder: Path, sync: SyncPolicy) -> None:
        now_ns = utc_now_ns()
        self.engine = Engine(_config(), epoch=1, seed=1, now_ns=now_ns)
        self.engine.add_account(ACCOUNT)
        self.tap = InputTap()
        self.door = EngineDoor(self.engine, self.tap, self._execute, depth=tape.depth)
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.books: list[OrderBook] = []
        self.sent: list[PlaceOrder] = []
        self.sent_ns = 0
        self.was_sent = asyncio.Event()
        self.scanner = PublicScanner(
            on_book=self.door.on_book,
            on_commands=self.door.on_commands,
            on_other=self._refuse,
            tap=self.tap,
        )
        for slot, named in enumerate(tape.instruments):
            instrument = instrument_of(named, tape.category)
            book = OrderBook(instrument, capacity=tape.depth)
            self.instruments[instrument.id] = instrument
            self.books.append(book)
            self.door.add_book(slot, book, 0)
            self.scanner.add_book(named.book_topic, book, slot)
            self.scanner.add_trades(named.trade_topic, instrument, slot)
        self.strategy = OnDemand()
        self.engine.add_strategy(
            STRATEGY,
            self.strategy,
            account_id=ACCOUNT,
            instruments=tuple(self.instruments),
        )
        self.journal = Journal(folder, account=str(ACCOUNT), epoch=1, now_ns=0, sync=sync)
        self.link = AccountLink(
            ACCOUNT,
            self.door,
            QuietAccount(),  # type: ignore[arg-type]
            self.journal,
            categories=(Category(tape.category),),
            last_price_units=self._last_price_units,
            on_sent=self._on_sent,
        )
        credentials = Credentials("bench", Secret("bench"))
        self.channel = TradeSession(
            ACCOUNT,
            credentials,
            OrderEncoder(self._instrument_of),
            self.link,
            wake=self.link.wake,
        )
        rows = RowReader(
            ACCOUNT,
            lambda category, symbol: self._instrument_of(
                InstrumentId(ACCOUNT.venue, category, symbol)
            ),
        )
        self._private = PrivateSession(credentials, rows, self.link, wake=self.link.wake)

    def connect(self, url: str) -> None:
        """Give the link its sockets."""
        gate = DialGate(random.Random(1))
        self.link.connect((url, self._private), (url, self.channel), gate, gate)
        self.door.start(utc_now_ns())

    def _instrument_of(self, instrument_id: InstrumentId) -> Instrument:
        instrument = self.instruments.get(instrument_id)
        if instrument is None:
            raise InstrumentUnknown(f"{instrument_id} is not on the tape")
        return instrument

    def _last_price_units(self, command: PlaceOrder) -> int | None:
        twice = self.engine.state.book(command.instrument_id).mid_twice_units
        return None if twice is None else twice // 2

    def _on_sent(self, command: PlaceOrder, sent_ns: int) -> None:
        self.sent_ns = sent_ns
        self.sent.append(command)
        self.was_sent.set()
        self.door.on_sent(command, sent_ns)

    def _execute(self, commands: Sequence[Command]) -> None:
        self.link.execute_all([one for one in commands if not isinstance(one, SetTimer)])

    def _refuse(self, frame: bytes, now_ns: int) -> None:
        raise AssertionError(f"the tape holds a frame the scanner refuses: {frame[:80]!r}")


def entry_wish(book: OrderBook, *, is_long: bool) -> Signal:
    """Signal to enter, with a stop loss and a take profit."""
    return Signal(
        instrument_id=book.instrument_id,
        kind=SignalKind.LONG if is_long else SignalKind.SHORT,
        confidence=0.7,
        reason="z -2.41 beyond 2, imbalance +0.31",
        stop_loss_fraction=0.005,
        take_profit_fraction=0.015,
    )


def exit_wish(book: OrderBook, *, is_long: bool) -> Signal:
    """Signal to leave a position of this side."""
    reason = f"z {'+' if is_long else '-'}0.08 within 0.5"
    return Signal(instrument_id=book.instrument_id, kind=SignalKind.EXIT, reason=reason)


def intent_wish(book: OrderBook, *, is_long: bool) -> OrderIntent:
    """Wish for the smallest order at the touch, at once or not at all."""
    instrument = book.instrument
    touch = book.best_ask if is_long else book.best_bid
    assert touch is not None, "a book of the tape has two sides"
    tick, lot = instrument.tick_units, instrument.lot_units
    price = instrument.price(touch)
    least = instrument.notional_min * Decimal("1.5") / price
    size_units = max(
        instrument.size_units_floor(least) // lot * lot + lot, instrument.size_min_units
    )
    return OrderIntent(
        instrument_id=book.instrument_id,
        side=Side.BUY if is_long else Side.SELL,
        size_units=size_units,
        price_units=-(-touch // tick) * tick if is_long else touch // tick * tick,
        time_in_force=TimeInForce.IOC,
        reason="quote 17",
    )
