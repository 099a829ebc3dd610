"""A whole trader against the simulated venue in one loop, for tests of the app room."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from tickwright.app.replay_serve import Addresses
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import (
    AccountSettings,
    FeedSettings,
    TraderSettings,
    VenueSettings,
)
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Notice
from tickwright.core.identity import AccountId, Category
from tickwright.core.orders import Fill
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.feed.feed import FeedOptions
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET, PrivateOptions
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters
from tickwright.venues.bybit.hosts import hosts_of
from tickwright.venues.bybit.sign import Credentials, Secret
from tickwright.venues.public_port import MarketTopic

ACCOUNT = AccountId("bybit", "main")
SOURCE = "tests/integration/app/trading.py:FlipFlop"


class FlipFlopParameters(StrategyParameters, frozen=True):
    """How often it changes its mind."""

    every: Annotated[int, Meta(ge=1)] = 25


class FlipFlop(Strategy):
    """Goes long, out, short, out ... every so many updates: an order machine for tests."""

    Parameters = FlipFlopParameters
    parameters: FlipFlopParameters

    def on_start(self) -> Decision:
        self.count = 0
        self.fills: list[Fill] = []
        return None

    def on_book(self, book: OrderBook) -> Decision:
        self.count += 1
        every = self.parameters.every
        if self.count % every:
            return None
        turn = self.count // every % 4
        kind = (SignalKind.LONG, SignalKind.EXIT, SignalKind.SHORT, SignalKind.EXIT)[turn]
        return Signal(instrument_id=book.instrument_id, kind=kind, reason=f"turn {self.count}")


@asynccontextmanager
async def simulator(
    symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    *,
    rate_scale: float = 1.0,
    **options: object,
) -> AsyncIterator[RunningSimulator]:
    running = await serve(
        SimulatorOptions(symbols=symbols, categories=(Category.LINEAR,), **options),  # type: ignore[arg-type]
        PrivateOptions(rate_scale=rate_scale),
    )
    try:
        yield running
    finally:
        await running.stop()


def settings_for(
    running: RunningSimulator | Addresses, folder: Path, symbols: Sequence[str], *, every: int = 25
) -> TraderSettings:
    plan = TradingPlan(
        engine=EngineConfig(),
        accounts=(str(ACCOUNT),),
        strategies=(
            StrategyPlan(
                strategy_id="flip",
                source=str(Path(__file__).resolve()) + ":FlipFlop",
                account=str(ACCOUNT),
                instruments=tuple(f"bybit:linear:{symbol}" for symbol in symbols),
                parameters={"every": every},
            ),
        ),
    )
    return TraderSettings(
        plan=plan,
        classes={plan.strategies[0].source: FlipFlop},
        venues=(
            VenueSettings(
                name="bybit",
                hosts=hosts_of(
                    None,
                    rest_url=running.rest,
                    public_url=running.public,
                    private_url=running.private,
                    trade_url=running.trade,
                ),
                mode="simulator",
            ),
        ),
        feeds=(
            FeedSettings(
                options=FeedOptions(
                    venue="bybit",
                    category=Category.LINEAR,
                    market_topics=(MarketTopic.TICKER,),
                    audit_interval_s=1.0,
                ),
                symbols=tuple(symbols),
            ),
        ),
        accounts=(
            AccountSettings(
                account_id=ACCOUNT,
                credentials=Credentials(DEMO_KEY, Secret(DEMO_SECRET)),
                categories=(Category.LINEAR,),
            ),
        ),
        state_folder=folder / "state",
        session_folder=folder / "session",
    )


@asynccontextmanager
async def trading(
    settings: TraderSettings, *, on_notice: Callable[[Notice], None] | None = None
) -> AsyncIterator[Trader]:
    """Start a trader, hand it over while it runs, and end it in order."""
    trader = Trader(settings, on_notice=on_notice)
    try:
        await trader.start()
    except BaseException:
        await trader.close()
        raise
    task = asyncio.create_task(trader.run())
    try:
        yield trader
    finally:
        trader.stop()
        await task
        await trader.close()


async def until(condition: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
    """Wait for a condition, or fail with its name."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never saw: {what}"
        await asyncio.sleep(0.01)
