"""A trader with two strategies under load, in a process of its own, to be killed at any moment."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from tests.campaigns.chaos._crashing import Addresses, keep_segments
from tests.campaigns.chaos.world import Barrage
from tests.campaigns.chaos.world import settings as barrage_settings
from tests.integration.app.trading import ACCOUNT, trading
from tickwright.app.trader_settings import TraderSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.exits import Exits
from tickwright.core.identity import StrategyId
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.engine.plan import StrategyPlan
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

__all__ = ["BARRAGE", "EXITS", "SWING", "SYMBOLS", "Swing", "live", "settings"]

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BARRAGE, SWING = StrategyId("barrage"), StrategyId("swing")
EXITS = Exits(stop_loss_fraction=0.25, take_profit_fraction=0.5, time_stop_ms=3_600_000)
"""What the signals say and the configuration does not."""
SECONDS_MAX = 30.0
_SOURCE = str(Path(__file__).resolve())


class SwingParameters(StrategyParameters, frozen=True):
    """Whether it trades at all."""

    is_trading: bool = True


class Swing(Strategy):
    """In and out of ETHUSDT by signals that name their exits."""

    Parameters = SwingParameters
    parameters: SwingParameters

    def on_start(self) -> Decision:
        self.count = 0
        self.held_at_start = self.context.position(self.context.instruments[0]).size_units
        return None

    def on_book(self, book: OrderBook) -> Decision:
        self.count += 1
        if not self.parameters.is_trading or self.count % 3:
            return None
        turn = self.count // 3 % 4
        kind = (SignalKind.LONG, SignalKind.EXIT, SignalKind.SHORT, SignalKind.EXIT)[turn]
        exits = None if kind is SignalKind.EXIT else EXITS
        return Signal(instrument_id=book.instrument_id, kind=kind, reason="swing", exits=exits)


def settings(world: Addresses, folder: Path, session: str, *, is_trading: bool) -> TraderSettings:
    """Settings of a trader with both strategies; one that isn't trading only looks after them."""
    intents = 1_000_000 if is_trading else 0
    made = barrage_settings(world, folder, intents=intents, taking_percent=40, live_max=4)
    made = replace(
        made,
        feeds=(replace(made.feeds[0], symbols=SYMBOLS),),
        session_folder=folder / session,
    )
    swing = StrategyPlan(
        strategy_id=SWING,
        source=f"{_SOURCE}:Swing",
        account=str(ACCOUNT),
        instruments=("bybit:linear:ETHUSDT",),
        parameters={"is_trading": is_trading},
    )
    sizing = replace(made.plan.engine.risk.sizing, equity_percent=Decimal(1))
    engine = replace(made.plan.engine, risk=replace(made.plan.engine.risk, sizing=sizing))
    plan = replace(made.plan, engine=engine, strategies=(*made.plan.strategies, swing))
    sources: Sequence[str] = [one.source for one in plan.strategies]
    return replace(made, plan=plan, classes={sources[0]: Barrage, sources[1]: Swing})


def live(addresses: Addresses, folder: str, session: str) -> None:
    """Trade until killed; the target of a process."""
    keep_segments()
    asyncio.run(_trade(settings(addresses, Path(folder), session, is_trading=True)))


async def _trade(wanted: TraderSettings) -> None:
    async with trading(wanted):
        await asyncio.sleep(SECONDS_MAX)
