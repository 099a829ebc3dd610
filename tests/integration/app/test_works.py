"""Works against the simulated venue over real sockets: each algorithm, each fault, hash for hash.

The venue's ledger is the judge of what was bought and sold, and of what was ever shown or taken.
"""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.integration.app.trading import ACCOUNT, settings_for, simulator, trading, until
from tickwright.app.replay import Replay
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import TraderSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Notice, WorkNotice
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import Side
from tickwright.core.signals import Decision
from tickwright.core.work import (
    Algorithm,
    FollowTouch,
    Iceberg,
    Marketable,
    Twap,
    Work,
    WorkState,
)
from tickwright.engine.config import EngineConfig
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.request_budget import BudgetLimits
from tickwright.net.listener import utc_now_ns
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.simulator.run import RunningSimulator
from tickwright.simulator.sources.synthetic import SyntheticStyle
from tickwright.strategy.base import Strategy

BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
SYMBOLS = ("BTCUSDT",)
LIVELY = SyntheticStyle(events_per_s=400.0)
SIZE = 30
SHOWN = 12
EQUAL_S_MAX = 30.0


class Worker(Strategy):
    """Works a size in and out again, by the algorithm of its subclass, for ever."""

    def on_start(self) -> Decision:
        self.again_ns = 0
        return None

    def on_book(self, book: OrderBook) -> Decision:
        context = self.context
        if context.now_ns < self.again_ns or context.works() or not book.is_synced:
            return None
        self.again_ns = context.now_ns + 200_000_000
        held = context.position(BTC).size_units
        side = Side.BUY if held <= 0 else Side.SELL
        algorithm = self.algorithm(book, side)
        return context.work(
            BTC, side, abs(held) or SIZE, algorithm, reduce_only=held != 0, reason="in or out"
        )

    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        """Return how the next size is worked."""
        raise NotImplementedError


class FollowWorker(Worker):
    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        return FollowTouch(amend_ms_min=50, give_up_ms=20_000, chase_bps_max=50.0)


class TwapWorker(Worker):
    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        return Twap(duration_ms=1_500, slices=5, randomise_fraction=0.5)


class IcebergWorker(Worker):
    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        price = book.best_ask if side is Side.BUY else book.best_bid
        assert price is not None
        return Iceberg(shown_units=SHOWN, price_units=price, give_up_ms=3_000)


class BriefWorker(Worker):
    """Rests at its own touch and soon gives up: its orders are withdrawn, some just filled."""

    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        price = book.best_bid if side is Side.BUY else book.best_ask
        assert price is not None
        return Iceberg(shown_units=SHOWN, price_units=price, give_up_ms=150)


class MarketableWorker(Worker):
    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        return Marketable(slippage_bps_max=2.0)


WORKERS: dict[str, type[Worker]] = {
    "follow": FollowWorker,
    "twap": TwapWorker,
    "iceberg": IcebergWorker,
    "marketable": MarketableWorker,
    "brief": BriefWorker,
}


def working(running: RunningSimulator, folder: Path, name: str) -> TraderSettings:
    settings = settings_for(running, folder, SYMBOLS)
    source = str(Path(__file__).resolve()) + f":{WORKERS[name].__name__}"
    # What protects a trader from bad trades is not looked at here.
    engine = EngineConfig(
        risk=RiskLimits(
            orders_per_second_max=50,
            orders_per_minute_max=1_000,
            protections=ProtectionLimits(
                cooldown_after_stop_s=0, losses_in_row_max=0, flip_flops_max=0
            ),
        ),
        execution=ExecutionConfig(budget=BudgetLimits(limit=10)),
    )
    strategy = msgspec.structs.replace(settings.plan.strategies[0], source=source, parameters={})
    plan = msgspec.structs.replace(settings.plan, engine=engine, strategies=(strategy,))
    return msgspec.structs.replace(settings, plan=plan, classes={source: WORKERS[name]})


async def strike(running: RunningSimulator, **fault: object) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{running.rest}/control/faults", json=fault) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def the_account(running: RunningSimulator) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.rest}/control/ledger?limit=1000") as answer,
    ):
        held = dict(await answer.json())
    assert held["balanced"]
    return dict(held["accounts"][0])


class Heard:
    """The works as they were told."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    def __call__(self, notice: Notice) -> None:
        if isinstance(notice, WorkNotice):
            self.works.append(notice.work)

    def ended(self, state: WorkState | None = None) -> list[Work]:
        """Return the works that ended, or those in one final state."""
        return [w for w in self.works if w.state.is_final and state in (None, w.state)]


async def wind_up(trader: Trader, running: RunningSimulator) -> dict[str, Any]:
    """Halt, wait until nothing is open, and hold the positions to the venue's."""
    halt = OperatorCommand(OperatorVerb.HALT, "all", "the test compares now")
    trader.door.on_input(halt, utc_now_ns())
    summary = trader.engine.summary

    def is_quiet() -> bool:
        now = summary()
        return not (now.orders_live or now.unknown_requests or trader.engine.state.works)

    for _ in range(3):
        # A child that only reduces may be open still: the halt leaves what closes to its end.
        cancel = OperatorCommand(OperatorVerb.CANCEL_ALL, "all", "the test compares now")
        trader.door.on_input(cancel, utc_now_ns())
        await until(is_quiet, "every request resolved", 30.0)
    assert {} == summary().halted_instruments
    deadline = time.monotonic() + EQUAL_S_MAX
    while position_at(account := await the_account(running)) != position_of(trader):
        assert time.monotonic() < deadline, (position_at(account), position_of(trader))
        await asyncio.sleep(0.01)
    return account


def position_of(trader: Trader) -> Decimal:
    state = trader.engine.state
    units = state.portfolio.position(ACCOUNT, BTC).size_units
    return state.instrument(BTC).quantity(units)


def position_at(account: dict[str, Any]) -> Decimal:
    signs = {"Buy": 1, "Sell": -1, "": 0}
    return sum(
        (signs[row["side"]] * Decimal(row["size"]) for row in account["positions"]), Decimal(0)
    )


def check_fills(trader: Trader, heard: Heard, account: dict[str, Any]) -> None:
    """Hold what the works say they filled to the venue's executions, child by child."""
    step = trader.engine.state.instrument(BTC)
    rows: dict[str, Decimal] = {}
    for row in account["executions"]:
        name = row["orderLinkId"]
        rows[name] = rows.get(name, Decimal(0)) + Decimal(row["execQty"])
    for work in heard.ended():
        bought = sum((rows.get(child, Decimal(0)) for child in work.children), Decimal(0))
        assert step.quantity(work.filled_units) == bought
        assert work.filled_units <= work.size_units


def rows_of(account: dict[str, Any]) -> list[dict[str, Any]]:
    return [r for r in account["open_orders"] + account["closed_orders"] if r["orderLinkId"]]


def check_follow(trader: Trader, account: dict[str, Any]) -> None:
    assert {"PostOnly"} == {row["timeInForce"] for row in rows_of(account)}
    assert all(row["isMaker"] for row in account["executions"])
    assert trader.engine.summary().amends > 0


def check_iceberg(trader: Trader, account: dict[str, Any]) -> None:
    shown = trader.engine.state.instrument(BTC).quantity(SHOWN)
    assert max(Decimal(row["qty"]) for row in rows_of(account)) <= shown


def check_taken(trader: Trader, account: dict[str, Any]) -> None:
    assert {"IOC"} == {row["timeInForce"] for row in rows_of(account)}


CHECKS: dict[str, Callable[[Trader, dict[str, Any]], None]] = {
    "follow": check_follow,
    "twap": check_taken,
    "iceberg": check_iceberg,
    "marketable": check_taken,
}


@pytest.mark.parametrize("name", CHECKS)
async def test_work_when_run_at_the_venue_then_ends_as_told_and_the_replay_is_identical(
    tmp_path: Path, name: str
) -> None:
    heard = Heard()
    async with simulator(SYMBOLS, style=LIVELY) as running:
        async with trading(working(running, tmp_path, name), on_notice=heard) as trader:
            wants_amends = name == "follow"
            await until(
                lambda: (
                    len(heard.ended(WorkState.DONE)) >= 3
                    and trader.engine.summary().amends >= wants_amends
                ),
                "three works done",
                60.0,
            )
            account = await wind_up(trader, running)
            check_fills(trader, heard, account)
            CHECKS[name](trader, account)
        digest = trader.engine.digest
    result = Replay(tmp_path / "session").run()
    assert "" == result.difference
    assert digest == result.digest


async def test_follow_when_orders_go_by_rest_then_amended_all_the_same(tmp_path: Path) -> None:
    heard = Heard()
    async with simulator(SYMBOLS, style=LIVELY) as running:
        settings = working(running, tmp_path, "follow")
        accounts = (msgspec.structs.replace(settings.accounts[0], orders_by_rest=True),)
        settings = msgspec.structs.replace(settings, accounts=accounts)
        async with trading(settings, on_notice=heard) as trader:
            await until(
                lambda: bool(heard.ended(WorkState.DONE) and trader.engine.summary().amends),
                "a work done by amends",
                40.0,
            )
            account = await wind_up(trader, running)
            check_fills(trader, heard, account)
            check_follow(trader, account)
    assert "" == Replay(tmp_path / "session").run().difference


FAULTS: list[tuple[str, dict[str, object]]] = [
    ("follow", {"kind": "reply_dropped", "topic": "order.amend", "count": 3}),
    ("follow", {"kind": "reply_delayed", "topic": "order.amend", "count": 3, "delay_s": 1.5}),
    ("follow", {"kind": "reply_error", "topic": "order.amend", "count": 3}),
    ("follow", {"kind": "cut_before_booking", "topic": "trade.order.amend"}),
    ("follow", {"kind": "cut_after_booking", "topic": "trade.order.amend"}),
    ("follow", {"kind": "reply_dropped", "topic": "order.create", "count": 2}),
    ("follow", {"kind": "reorder_event", "category": "private", "topic": "*", "count": 20}),
    ("follow", {"kind": "duplicate_event", "category": "private", "topic": "order*", "count": 20}),
    ("follow", {"kind": "cut", "category": "private", "topic": "order*"}),
    ("follow", {"kind": "gap", "topic": "orderbook.50.BTCUSDT"}),
    ("iceberg", {"kind": "reply_dropped", "topic": "order.create", "count": 2}),
    ("iceberg", {"kind": "cut", "category": "private", "topic": "execution*"}),
    ("brief", {"kind": "reply_dropped", "topic": "order.cancel", "count": 3}),
    ("brief", {"kind": "reply_error", "topic": "order.cancel", "count": 3}),
    ("brief", {"kind": "cut_before_booking", "topic": "trade.order.cancel"}),
    ("brief", {"kind": "cut_after_booking", "topic": "trade.order.cancel"}),
    ("twap", {"kind": "cut_after_booking", "topic": "trade.order.create"}),
    ("marketable", {"kind": "reorder_event", "category": "private", "topic": "*", "count": 20}),
]


@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=str)
async def test_work_when_a_fault_strikes_then_the_fills_are_the_venues_and_the_replay_identical(
    tmp_path: Path, name: str, fault: dict[str, object]
) -> None:
    heard = Heard()
    async with simulator(SYMBOLS, style=LIVELY) as running:
        async with trading(working(running, tmp_path, name), on_notice=heard) as trader:
            await until(lambda: trader.engine.summary().fills >= 1, "a fill", 40.0)
            await strike(running, **fault)
            await until(lambda: any(f["hit"] for f in running.faults.report()), "the fault hit", 40)
            count = len(heard.ended())
            await until(lambda: len(heard.ended()) > count, "works go on", 60.0)
            account = await wind_up(trader, running)
            check_fills(trader, heard, account)
        digest = trader.engine.digest
    result = Replay(tmp_path / "session").run()
    assert "" == result.difference
    assert digest == result.digest
