"""A whole trader against the simulated venue in one loop, for rows; the venue's ledger judges."""

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Protocol

import aiohttp
from msgspec import Meta
from msgspec.structs import replace

from tests.campaigns.chaos.rows import Result
from tests.campaigns.history import TraderHistory, compare, read_trader, read_venue
from tests.integration.app.trading import ACCOUNT, settings_for
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import TraderSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import Order, OrderIntent, OrderType, Side
from tickwright.core.signals import AmendIntent, CancelIntent, Decision
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.request_budget import BudgetLimits
from tickwright.net.listener import utc_now_ns
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET
from tickwright.simulator.private.accounts import AccountSpec
from tickwright.simulator.private.control import ledger_report
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.run import RunningSimulator, SimulatorOptions, serve
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

__all__ = [
    "RICH",
    "Barrage",
    "Stopwatch",
    "World",
    "scratch",
    "settings",
    "starved_s",
    "until",
    "venue",
]

SYMBOL = "BTCUSDT"
BTC = InstrumentId("bybit", Category.LINEAR, SYMBOL)
RESTING_SHARE = 0.96
"""Of the highest price: what lies below was to rest."""
UNTIL_STEP_S = 0.01
WAIT_UPDATES = 25
HELD_LOTS_MAX = 400
RATE = 100
"""How many times the venue's own request budgets: rows are about faults, not about patience."""


RICH = AccountSpec(DEMO_KEY, DEMO_SECRET, (("USDT", Decimal(1_000_000_000)),))
"""The demo account, with what the fees of ten thousand large orders take."""


class BarrageParameters(StrategyParameters, frozen=True):
    """How many intents, and how many of them marketable out of a hundred."""

    intents: Annotated[int, Meta(ge=0)] = 100
    taking_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    live_max: Annotated[int, Meta(ge=1)] = 8
    per_update: Annotated[int, Meta(ge=1)] = 1
    is_near: bool = False
    """Rest where somebody soon trades, not far away."""
    is_racing: bool = False
    """One order at a time, in the market, withdrawn as soon as the venue has it."""
    amends: Annotated[int, Meta(ge=0)] = 0
    """How often a racing order is changed before it is withdrawn or left to fill."""


class Barrage(Strategy):
    """One intent an update, each at its own price: that tells two orders of one intent."""

    Parameters = BarrageParameters
    parameters: BarrageParameters

    def on_start(self) -> Decision:
        self.made = 0
        self.base = 0
        self.waited = 0
        self.amended: dict[str, int] = {}
        return None

    def on_book(self, book: OrderBook) -> Decision:
        twice = book.mid_twice_units
        parameters = self.parameters
        if self.made >= parameters.intents or twice is None:
            return None
        live = self.context.orders()
        if parameters.is_racing:
            self.waited = self.waited + 1 if live else 0
            if live and self.waited % WAIT_UPDATES == 0 and parameters.amends:
                # An amend that was refused here is answered by nobody.
                return CancelIntent(client_id=live[0].client_id, reason="nothing more comes")
            return None if live else self._racer(book, twice)
        if parameters.per_update > 1:
            return [self._wish(book, twice) for _ in range(parameters.per_update)]
        if len(live) >= parameters.live_max:
            return CancelIntent(client_id=live[0].client_id, reason="room for the next")
        return self._wish(book, twice)

    def _wish(self, book: OrderBook, twice: int) -> OrderIntent:
        """Return the next intent: through the touch, or resting at a price of its own."""
        parameters = self.parameters
        self.made += 1
        instrument = self.context.instrument(book.instrument_id)
        tick = instrument.tick_units
        size = max(instrument.size_min_units, instrument.lot_units)
        if self.made % 100 < parameters.taking_percent:
            side = Side.BUY if self.context.random.random() < 0.5 else Side.SELL
            return OrderIntent(
                instrument_id=book.instrument_id,
                side=side,
                size_units=size * (1 + self.made % 3),
                price_units=(twice // 2 + side * 200 * tick) // tick * tick,
                reason=f"taking {self.made}",
            )
        return OrderIntent(
            instrument_id=book.instrument_id,
            side=Side.BUY,
            size_units=size,
            order_type=OrderType.LIMIT,
            price_units=self._slot(twice, tick),
            reason=f"resting {self.made}",
        )

    def _slot(self, twice: int, tick: int) -> int:
        """Return a price that no other intent of this run has: far below, or close to the touch."""
        if self.parameters.is_near:
            return (twice // 2 // tick - 1) * tick
        if not self.base:
            self.base = twice * 45 // 100 // tick
        return (self.base + self.made) * tick

    def on_order(self, order: Order) -> Decision:
        if not self.parameters.is_racing or order.is_final:
            return None
        if self.parameters.amends and order.price_units is not None:
            changed = self._changed(order, order.price_units)
            if changed is not None:
                return changed
        return CancelIntent(client_id=order.client_id, reason="a race")

    def _changed(self, order: Order, price_units: int) -> Decision:
        """Another price or size, up or down, now and then through the touch; None: enough of it."""
        count = self.amended.get(order.client_id, 0)
        if count >= self.parameters.amends:
            return None
        self.amended = {order.client_id: count + 1}
        random = self.context.random
        instrument = self.context.instrument(order.instrument_id)
        ticks = random.choice((-5, 1, 30, 1_030))
        price: int | None = price_units + order.side * ticks * instrument.tick_units
        lot = instrument.lot_units
        size: int | None = max(
            order.filled_units + lot, order.size_units + random.randrange(-100, 300) * lot
        )
        if random.random() < 0.3:
            price, size = random.choice(((None, size), (price, None)))
        wish = AmendIntent(
            client_id=order.client_id, price_units=price, size_units=size, reason="a race"
        )
        # Both are on the way at once: whichever the venue takes first.
        withdrawn = CancelIntent(client_id=order.client_id, reason="after an amend")
        return [wish, withdrawn] if random.random() < 0.3 else wish

    def _racer(self, book: OrderBook, twice: int) -> OrderIntent:
        """Sometimes through the touch, sometimes at it, now and then far from it."""
        self.made += 1
        instrument = self.context.instrument(book.instrument_id)
        tick = instrument.tick_units
        size = max(instrument.size_min_units, instrument.lot_units)
        side = Side.BUY if self.context.random.random() < 0.5 else Side.SELL
        held = self.context.position(book.instrument_id).size_units
        if abs(held) > HELD_LOTS_MAX * size:
            # Or the limits soon refuse whatever goes the same way.
            side = Side.SELL if held > 0 else Side.BUY
        away = self.context.random.choice((20, 1, 0, -1000)) * tick
        return OrderIntent(
            instrument_id=book.instrument_id,
            side=side,
            size_units=size * self.context.random.randrange(1, 400),
            price_units=(twice // 2 + side * away) // tick * tick,
            reason=f"race {self.made}",
        )


class Reachable(Protocol):
    """The addresses of a venue."""

    @property
    def rest(self) -> str: ...
    @property
    def public(self) -> str: ...
    @property
    def private(self) -> str: ...
    @property
    def trade(self) -> str: ...


class World:
    """A running venue with its control endpoints and its ledger."""

    def __init__(self, running: RunningSimulator, http: aiohttp.ClientSession) -> None:
        self.running = running
        self._http = http
        self.lag_ms = 0
        """How far the venue's clock, which goes by steps, was ever behind when an order came."""
        self._watch_lag()

    def _watch_lag(self) -> None:
        desk, venue = self.running.whole.desk, self.running.venue
        create = desk.create

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.lag_ms = max(self.lag_ms, (utc_now_ns() - venue.now_ns) // 1_000_000)
            return create(*args, **kwargs)

        desk.create = watched  # type: ignore[method-assign]

    async def ask(self, path: str) -> int:
        """Ask the venue something in public; return the status."""
        async with self._http.get(f"{self.running.rest}{path}") as answer:
            return answer.status

    async def tell(self, path: str, **body: object) -> None:
        """Order something of the control endpoints."""
        url = f"{self.running.rest}/control/{path}"
        async with self._http.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def arm(self, **fault: object) -> None:
        async with self._http.post(f"{self.running.rest}/control/faults", json=fault) as answer:
            assert answer.status == 200, await answer.text()

    async def faults(self) -> list[dict[str, Any]]:
        async with self._http.get(f"{self.running.rest}/control/faults") as answer:
            return list((await answer.json())["faults"])

    async def struck(self) -> tuple[int, int]:
        """How often the faults so far were armed, and how often they hit."""
        found = await self.faults()
        return sum(one["armed"] for one in found), sum(one["hit"] for one in found)

    async def disarm(self) -> None:
        async with self._http.delete(f"{self.running.rest}/control/faults") as answer:
            assert answer.status == 200, await answer.text()

    async def ledger(self) -> dict[str, Any]:
        async with self._http.get(f"{self.running.rest}/control/ledger?limit=100000") as answer:
            return dict(await answer.json())

    async def account(self) -> dict[str, Any]:
        return dict((await self.ledger())["accounts"][0])

    async def orders(self) -> list[dict[str, Any]]:
        """Every order the venue ever booked."""
        account = await self.account()
        return [*account["open_orders"], *account["closed_orders"]]

    def ledger_now(self) -> dict[str, Any]:
        """The account in the venue's ledger, without asking over a socket."""
        return dict(ledger_report(self.running.whole.desk, limit=100_000)["accounts"][0])

    def booked(self) -> int:
        """How many orders the venue ever booked."""
        account = self.ledger_now()
        return len(account["open_orders"]) + len(account["closed_orders"])

    async def duplicates(self) -> list[str]:
        """Ids and prices of which there is more than one: an intent became two orders."""
        rows = [row for row in await self.orders() if row["orderLinkId"]]
        ids = Counter(row["orderLinkId"] for row in rows)
        top = max((float(row["price"]) for row in rows), default=0.0)
        # Intents that rest far below have a price each; the others may share one.
        prices = Counter(
            row["price"]
            for row in rows
            if row["side"] == "Buy" and float(row["price"]) < top * RESTING_SHARE
        )
        found = [f"{name}: {count} orders of one id" for name, count in ids.items() if count > 1]
        return found + [
            f"{price}: {count} orders of one intent" for price, count in prices.items() if count > 1
        ]

    async def differences(self, trader: Trader) -> list[str]:
        """Where the trader's positions and live orders are not the venue's."""
        ledger = await self.ledger()
        account = dict(ledger["accounts"][0])
        state = trader.engine.state
        units = state.portfolio.position(ACCOUNT, BTC).size_units
        ours = state.instrument(BTC).quantity(units)
        signs = {"Buy": 1, "Sell": -1, "": 0, "None": 0}
        venue = sum(
            (signs[row["side"]] * Decimal(row["size"]) for row in account["positions"]), Decimal(0)
        )
        found = [f"the venue's ledger: {fault}" for fault in ledger["faults"]]
        if ours != venue:
            found.append(f"position: ours {ours}, the venue's {venue}")
        mine = {record.client_id for record in state.blotter.live()}
        theirs = {row["orderLinkId"] for row in account["open_orders"] if row["orderLinkId"]}
        if mine != theirs:
            found.append(f"live orders: ours alone {mine - theirs}, the venue's {theirs - mine}")
        return found

    async def strangers(self, trader: Trader) -> list[str]:
        """Orders at the venue that the trader doesn't know, and a position that isn't its own."""
        found = await self.differences(trader)
        live = {record.client_id for record in trader.engine.state.blotter.live()}
        account = await self.account()
        return [one for one in found if not one.startswith("live orders")] + [
            f"{row['orderLinkId']} is open and unknown here"
            for row in account["open_orders"]
            if row["orderLinkId"] not in live
        ]

    async def history(
        self,
        folder: Path,
        result: Result,
        *,
        skew_ms: int = 1_000,
        was_killed: bool = False,
        pattern: str = "session*",
    ) -> TraderHistory:
        """Compare the files of both sides; call it when every trader of the folder has ended."""
        sessions = sorted(folder.glob(pattern))  # noqa: ASYNC240 - nothing else runs
        trader = read_trader(folder / "state", sessions)
        venue = read_venue(await self.account())
        skew_ms += self.lag_ms
        for difference in compare(trader, venue, skew_ms=skew_ms, was_killed=was_killed):
            result.check(is_true=False, otherwise=f"history: {difference}")
        return trader

    async def agrees(self, trader: Trader, *, seconds: float = 15.0) -> list[str]:
        """Wait until both agree; return what still differs when the time is over."""
        watch = Stopwatch()
        while True:
            found = await self.differences(trader)
            if not found or watch.seconds > seconds:
                return found
            await asyncio.sleep(0.1)


@asynccontextmanager
async def venue(*, seed: int = 1, **private: Any) -> AsyncIterator[World]:
    """A fresh venue with BTCUSDT alone and generous budgets."""
    wanted = {
        "rate_scale": float(RATE),
        "address_requests_max": 600 * RATE,
        "seed": seed,
        **private,
    }
    options = SimulatorOptions(symbols=[SYMBOL], categories=(Category.LINEAR,), seed=seed)
    running = await serve(options, private=PrivateOptions(**wanted))
    async with aiohttp.ClientSession() as http:
        try:
            yield World(running, http)
        finally:
            await running.stop()


def settings(
    world: World | Reachable,
    folder: Path,
    *,
    execution: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    strategy: type[Strategy] | None = None,
    **parameters: Any,
) -> TraderSettings:
    """Settings of a trader whose one strategy is the barrage."""
    at: Any = world.running if isinstance(world, World) else world
    made = settings_for(at, folder, [SYMBOL])
    roomy: dict[str, Any] = {
        "position_percent_max": Decimal(1000),
        "exposure_percent_max": Decimal(1000),
        "leverage_max": Decimal(100),
        # Thousands of orders cost their fees: how much may be lost is another row.
        "daily_loss_percent_max": Decimal(100),
        "drawdown_percent_max": Decimal(100),
        "order_notional_usdt_max": Decimal(1_000_000),
        "orders_per_second_max": 10_000,
        "orders_per_minute_max": 100_000,
        "amends_per_second_max": 10_000,
        "amends_per_minute_max": 100_000,
        "open_orders_per_instrument_max": 10_000,
        "unknown_requests_per_instrument_max": 1_000,
        "unknown_requests_max": 1_000,
        "price_band_bps_max": Decimal(9_900),
        "deny_conflicting_position": False,
        # A campaign is a storm by itself; the row about storms asks for the real figures.
        "protections": ProtectionLimits(
            cooldown_after_stop_s=0,
            losses_in_row_max=0,
            equal_rejects_max=0,
            flip_flops_max=0,
            order_storm_max=0,
        ),
    }
    risk = RiskLimits(**(roomy | (limits or {})))
    chosen = strategy or Barrage
    wanted = {"budget": BudgetLimits(limit=10 * RATE), **(execution or {})}
    plan = replace(
        made.plan,
        engine=EngineConfig(risk=risk, execution=ExecutionConfig(**wanted)),
        strategies=(
            StrategyPlan(
                strategy_id="barrage",
                source=f"{Path(__file__).resolve()}:{chosen.__name__}",
                account=str(ACCOUNT),
                instruments=(str(BTC),),
                parameters=parameters,
            ),
        ),
    )
    return replace(made, plan=plan, classes={plan.strategies[0].source: chosen})


def starved_s(pid: int) -> float:
    """How long a process has waited for a processor that others had; 0 where nobody counts it."""
    try:
        # Time on the processor, time waiting for it, turns: in ns, of the main thread.
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


class Stopwatch:
    """Counts the seconds this process was given: what others had the processor for is no fault."""

    def __init__(self) -> None:
        self._began_s = self._now_s()

    @property
    def seconds(self) -> float:
        return self._now_s() - self._began_s

    @staticmethod
    def _now_s() -> float:
        return time.monotonic() - starved_s(os.getpid())


async def until(
    condition: Callable[[], bool], seconds: float, *, step_s: float = UNTIL_STEP_S
) -> bool:
    """Wait for a condition; False when it never came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(step_s)
    return True


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tickwright-chaos-") as folder:
        yield Path(folder)
