"""R5: the book's topic goes silent while everything else lives: no order leaves on an old book."""

import asyncio
from functools import partial
from random import Random

from msgspec.structs import replace

from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import BTC, World, scratch, settings, until, venue
from tests.integration.app.trading import trading
from tickwright.app.trader import Trader
from tickwright.book.order_book import OrderBook
from tickwright.core.orders import OrderIntent, Side
from tickwright.core.signals import Decision
from tickwright.strategy.base import Strategy
from tickwright.strategy.parameters import StrategyParameters

TICK_NS = 20_000_000
AGE_MS_MAX = 300
UNDER_WAY_MS = 60
SILENCE_S = 2.0
SILENCES = {"ci": 4, "nightly": 400}


class ByTheClockParameters(StrategyParameters, frozen=True):
    """The barrage's figures, of which it needs none."""

    intents: int = 0


class ByTheClock(Strategy):
    """Wishes an order fifty times a second, whatever the book does."""

    Parameters = ByTheClockParameters
    parameters: ByTheClockParameters

    def on_start(self) -> Decision:
        self.made = 0
        self.context.set_timer("tick", self.context.now_ns + TICK_NS)
        return None

    def on_book(self, book: OrderBook) -> Decision:
        return None

    def on_timer(self, name: str) -> Decision:
        self.context.set_timer("tick", self.context.now_ns + TICK_NS)
        twice = self.context.book(BTC).mid_twice_units
        if twice is None:
            return None
        self.made += 1
        instrument = self.context.instrument(BTC)
        tick = instrument.tick_units
        return OrderIntent(
            instrument_id=BTC,
            side=Side.BUY,
            size_units=instrument.size_min_units,
            price_units=(twice * 47 // 100 // tick + self.made % 500) * tick,
            reason=f"by the clock {self.made}",
        )


@row("R5", "trading on a stale book")
async def silences(size: Size, rng: Random) -> Result:
    """The topic is silent for two seconds, the connection is not."""
    result = Result(timed="until orders are held back")
    await together(
        result,
        [
            ("silence", partial(silence, seed=rng.getrandbits(30)))
            for _ in range(SILENCES[size] // 2)
        ],
    )
    return result


async def silence(result: Result, *, seed: int) -> None:
    """Two silences in one run."""
    async with venue(seed=seed) as world, scratch() as folder:
        wanted = settings(
            world, folder, strategy=ByTheClock, limits={"book_age_ms_max": AGE_MS_MAX}
        )
        # A reading by REST is a proof of its own: without it the stream alone counts.
        feeds = tuple(
            replace(feed, options=replace(feed.options, audit_interval_s=600.0))
            for feed in wanted.feeds
        )
        async with trading(replace(wanted, feeds=feeds)) as trader:
            await until(lambda: world.booked() > 10, 20.0)
            for _ in range(2):
                await one_silence(result, world, trader)
        await world.history(folder, result)


async def one_silence(result: Result, world: World, trader: Trader) -> None:
    """Silence the topic, and look when the venue got orders meanwhile."""
    result.runs += 1
    before = await world.struck()
    await world.arm(
        kind="topic_outage", category="linear", topic="orderbook*", duration_s=SILENCE_S, count=0
    )
    began_ms = world.running.venue.now_ns // 1_000_000
    await asyncio.sleep(SILENCE_S - 0.05)
    until_ms = world.running.venue.now_ns // 1_000_000
    armed, hit = await world.struck()
    result.armed += armed - before[0]
    result.hit += hit - before[1]
    times = [int(one["createdTime"]) for one in await world.orders()]
    during = [at - began_ms for at in times if began_ms <= at < until_ms]
    result.seconds += [max(during, default=0) / 1e3]
    late = [at for at in during if at > AGE_MS_MAX + UNDER_WAY_MS]
    result.check(is_true=not late, otherwise=f"{len(late)} orders on a book {late[:3]} ms old")
    # It has to trade on once the book is proven again, or nothing was shown.
    held = world.booked()
    came = await until(lambda: world.booked() > held, 10.0)
    refusals = trader.engine.summary().strategies[0].last_refusals
    result.check(is_true=came, otherwise=f"no order after the silence: {refusals}")
