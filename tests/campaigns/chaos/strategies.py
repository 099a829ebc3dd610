"""R20 and R24: a strategy without sense, and a second program on the same account."""

import math
import time
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from msgspec.structs import replace

from tests.campaigns.chaos.requests import barrage
from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import BTC, SYMBOL, World, scratch, settings, until, venue
from tests.campaigns.history import inputs
from tests.integration.app.trading import ACCOUNT, trading
from tests.integration.simulator_private.client import Client
from tickwright.app.trader import Trader
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Notice, ProtectionNotice
from tickwright.core.errors import StorageError
from tickwright.core.orders import OrderIntent, Side
from tickwright.core.signals import Action, Decision
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

PER_UPDATE = 500
"""Intents at each update: at fifty updates a second far more than ten thousand a second."""


class RunawayParameters(StrategyParameters, frozen=True):
    """What it makes of its intents; the barrage's figures are taken and not used."""

    intents: int = 0
    is_senseless: bool = False


class Runaway(Strategy):
    """Wishes hundreds of orders an update, to either side, or ones that are no orders at all."""

    Parameters = RunawayParameters
    parameters: RunawayParameters

    def on_start(self) -> Decision:
        self.made = 0
        return None

    def on_book(self, book: OrderBook) -> Decision:
        twice = book.mid_twice_units
        if twice is None:
            return None
        instrument = self.context.instrument(book.instrument_id)
        tick, size = instrument.tick_units, instrument.size_min_units * 5
        mid = twice // 2
        wishes: list[Action] = []
        for number in range(PER_UPDATE):
            self.made += 1
            side = Side.BUY if self.made % 2 else Side.SELL
            price: Any = (mid + side * (20 + number % 7) * tick) // tick * tick
            units: Any = size
            if self.parameters.is_senseless:
                price, units = senseless(self.made, price, units)
            wishes.append(
                OrderIntent(
                    instrument_id=book.instrument_id,
                    side=side,
                    size_units=units,
                    price_units=price,
                    reason=f"runaway {self.made}",
                )
            )
        return wishes


def senseless(number: int, price: int, size: int) -> tuple[Any, Any]:
    """Return a price and a size that no order may have."""
    return (
        (price, -size),
        (price, 0),
        (-price, size),
        (0, size),
        (price * 10**6, size),
        (price, size * 10**9),
        (price + 1, size),
        (None, size),
        (math.nan, size),
        (price, math.inf),
        (price, math.nan),
        (float(price), size),
    )[number % 12]


PER_SECOND_MAX = 5
STORM_MAX = 20
BREAKER_S_MAX = 0.1
RUNAWAYS = {"ci": 2, "nightly": 200}


@row("R20", "runaway strategy")
async def runaways(size: Size, rng: Random) -> Result:
    """Ten thousand intents a second and more: the caps hold, the breaker opens and stays open."""
    result = Result(timed="until the breaker")
    plays = [
        (name, partial(play, seed=rng.getrandbits(30)))
        for name, play in (("storm", storm), ("senseless", without_sense))
        for _ in range(RUNAWAYS[size] // 2)
    ]
    await together(result, plays)
    return result


async def storm(result: Result, *, seed: int) -> None:
    """Orders of good form, far too many."""
    limits = {
        "orders_per_second_max": PER_SECOND_MAX,
        "orders_per_minute_max": 300,
        "order_notional_usdt_max": Decimal(1_000),
        "position_percent_max": Decimal(20),
        "exposure_percent_max": Decimal(100),
        "protections": ProtectionLimits(
            order_storm_max=STORM_MAX,
            flip_flops_max=0,
            cooldown_after_stop_s=0,
            losses_in_row_max=0,
        ),
    }
    opened: list[tuple[float, Notice]] = []

    def on_notice(notice: Notice) -> None:
        if isinstance(notice, ProtectionNotice):
            opened.append((notice.now_ns / 1e9, notice))

    async with venue(seed=seed) as world, scratch() as folder:
        wanted = settings(world, folder, strategy=Runaway, limits=limits)
        async with trading(wanted, on_notice=on_notice) as trader:
            came = await until(lambda: bool(opened), 30.0)
            result.check(is_true=came, otherwise="the breaker never opened")
            before = len(await world.orders())
            made = runaway(trader).made
            await until(lambda: False, 1.5)
            result.check(
                is_true=len(await world.orders()) == before, otherwise="orders after the breaker"
            )
            result.armed += runaway(trader).made
            result.hit += runaway(trader).made - before
            result.runs += made
            for difference in await world.agrees(trader):
                result.check(is_true=False, otherwise=difference)
        rows = [one for one in await world.orders() if one["orderLinkId"]]
        judge_caps(result, rows)
        if came:
            last = storm_time(folder)
            result.seconds.append(max(0.0, opened[0][0] - last))
            result.check(
                is_true=result.seconds[-1] < BREAKER_S_MAX,
                otherwise=f"the breaker took {result.seconds[-1] * 1e3:.0f} ms",
            )
        await world.history(folder, result)


def storm_time(folder: Path) -> float:
    """When the order left that was one too many, by the journal's numbers, in seconds."""
    sent = sorted(
        event["sent_ns"]
        for _, event in inputs(folder / "session")
        if event["type"] == "send_outcome" and event["request"] == "create" and event["is_sent"]
    )
    return float(sent[min(STORM_MAX, len(sent)) - 1] / 1e9) if sent else 0.0


def judge_caps(result: Result, rows: list[dict[str, Any]]) -> None:
    """No second of the venue's own may hold more orders than the cap lets through.

    An order that makes a position smaller may use the cap twice, and half of these do.
    """
    times = sorted(int(one["createdTime"]) for one in rows)
    for number, at in enumerate(times):
        within = sum(1 for other in times[number : number + 50] if other - at < 990)
        result.check(
            is_true=within <= 2 * PER_SECOND_MAX, otherwise=f"{within} orders in one second"
        )
    for one in rows:
        worth = Decimal(one["price"]) * Decimal(one["qty"])
        result.check(is_true=worth <= 1_000, otherwise=f"an order of {worth} USDT")


async def without_sense(result: Result, *, seed: int) -> None:
    """Not a number, infinite, negative, huge, off the tick: none may reach the venue."""
    async with venue(seed=seed) as world, scratch() as folder:
        wanted = settings(world, folder, strategy=Runaway, is_senseless=True)
        async with trading(wanted) as trader:
            await until(lambda: runaway(trader).made > 5_000, 15.0)
            made = runaway(trader).made
            result.runs += made
            result.armed += made
            result.hit += made
            result.check(is_true=made >= 12, otherwise=f"only {made} intents")
            is_alive = not trader.engine.summary().engine_halt
            result.check(is_true=is_alive, otherwise=trader.engine.summary().engine_halt)
        booked = Counter(one["price"] + " " + one["qty"] for one in await world.orders())
        result.check(is_true=not booked, otherwise=f"reached the venue: {booked}")
        await world.history(folder, result)


def runaway(trader: Trader) -> Runaway:
    """The one strategy of a trader."""
    (run,) = trader.engine.state.runs.values()
    assert isinstance(run.strategy, Runaway)
    return run.strategy


# two programs, one account ------------------------------------------------------------------------

FOREIGN = {"ci": 8, "nightly": 500}


@row("R24", "two bots on one account")
async def two_bots(size: Size, rng: Random) -> Result:
    """Another program trades the same symbol of the account; another instance wants the lease."""
    result = Result(timed="until refused")
    async with venue(seed=rng.getrandbits(30)) as world, scratch() as folder:
        wanted = settings(world, folder, intents=10**9, taking_percent=20, live_max=4)
        async with trading(wanted) as trader, aiohttp.ClientSession() as http:
            await until(lambda: barrage(trader).made > 20, 20.0)
            other = Client(world.running, http)
            resting = await trade_beside(result, other, world, FOREIGN[size])
            await second_instance(result, wanted, folder)
            await until(lambda: False, 3.0)
            for difference in await world.agrees(trader):
                result.check(is_true=False, otherwise=difference)
            await judge_shares(result, world, trader)
        await judge_foreign(result, world, resting)
        await world.history(folder, result)
    return result


async def trade_beside(result: Result, other: Client, world: World, count: int) -> set[str]:
    """Rest and take as another program would; return the ids of what rests."""
    resting = set()
    for number in range(count):
        bid, ask = await other.best()
        rests = await other.create(side="Buy", price=f"{bid * 0.9:.1f}", qty="0.002")
        resting.add(rests["result"]["orderId"])
        side, price = ("Buy", ask * 1.002) if number % 3 else ("Sell", bid * 0.998)
        await other.create(side=side, price=f"{price:.1f}", qty="0.003", timeInForce="IOC")
        result.armed += 2
        result.runs += 2
    account = await world.account()
    executed = {one["orderId"] for one in account["executions"] if not one["orderLinkId"]}
    result.hit += len(executed) + len(resting)
    result.check(is_true=bool(executed), otherwise="the other program traded nothing")
    return resting


async def second_instance(result: Result, wanted: Any, folder: Path) -> None:
    """A second trader on the same state folder ends before its first order."""
    began = time.monotonic()
    result.armed += 1
    result.runs += 1
    try:
        async with trading(replace(wanted, session_folder=folder / "second")):
            result.check(is_true=False, otherwise="a second instance started")
    except StorageError as refusal:
        result.hit += 1
        result.check(is_true="in use" in str(refusal), otherwise=f"refused by {refusal}")
    result.seconds.append(time.monotonic() - began)


async def judge_shares(result: Result, world: World, trader: Trader) -> None:
    """What the strategy holds is the sum of its own fills, by the venue's rows."""
    signs = {"Buy": 1, "Sell": -1}
    account = await world.account()
    own = sum(
        (
            signs[one["side"]] * Decimal(one["execQty"])
            for one in account["executions"]
            if one["orderLinkId"]
        ),
        Decimal(0),
    )
    (run,) = trader.engine.state.runs.values()
    share = trader.engine.state.portfolio.strategy_position(run.strategy_id, ACCOUNT, BTC)
    held = trader.engine.state.instrument(BTC).quantity(share.size_units)
    result.check(is_true=held == own, otherwise=f"the strategy holds {held}, it filled {own}")


async def judge_foreign(result: Result, world: World, resting: set[str]) -> None:
    """After the trader ended, the other program's orders rest as they were left."""
    account = await world.account()
    left = {one["orderId"] for one in account["open_orders"]}
    result.check(is_true=resting <= left, otherwise=f"{len(resting - left)} foreign orders gone")
    ours = [one for one in account["open_orders"] if one["orderLinkId"]]
    result.check(is_true=not ours, otherwise=f"{len(ours)} of our orders stay")
    result.check(
        is_true=all(one["symbol"] == SYMBOL for one in account["open_orders"]),
        otherwise="an order in another symbol",
    )
