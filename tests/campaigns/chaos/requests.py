"""R1, R2, R3 and R12: what gets lost between an order and its end never makes two or none of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import aiohttp
from msgspec.structs import replace

from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import RICH, Barrage, World, scratch, settings, until, venue
from tests.campaigns.history import TraderHistory
from tests.integration.app.trading import trading
from tests.integration.simulator_private.client import Client
from tickwright.app.trader import Trader
from tickwright.simulator.private.accounts import DEMO_ACCOUNT, AccountSpec

Fault = dict[str, object]
POINTS: dict[str, dict[str, object]] = {
    "reply dropped": {"kind": "reply_dropped", "topic": "order.create"},
    "reply past the time-out": {"kind": "reply_delayed", "topic": "order.create", "delay_s": 1.5},
    "error after acceptance": {"kind": "reply_error", "topic": "order.create"},
    "cut before booking": {"kind": "cut_before_booking", "topic": "trade.order.create"},
    "cut after booking": {"kind": "cut_after_booking", "topic": "trade.order.create"},
    "page for JSON": {"kind": "reply_html", "topic": "order.create"},
}
BLIND: tuple[Fault, ...] = (
    {"kind": "reply_dropped", "topic": "order.create", "probability": 0.3},
    {"kind": "topic_outage", "category": "private", "topic": "order*"},
    {"kind": "topic_outage", "category": "private", "topic": "execution*"},
    {"kind": "lagging_rest", "delay_s": 2.0},
)
"""Nobody tells of an order but a query, and that is as of two seconds ago: asked too early, it says
that there is no such order. The rule says from when on that counts."""
BLIND_S = 6.0
"""Until the last of them has been asked about."""
BLIND_INTENTS = 12
BLIND_RUNS = {"ci": 1, "nightly": 80}
INTENTS = {"ci": 40, "nightly": 10_000}
SHARE = 0.2


def barrage(trader: Trader) -> Barrage:
    """The one strategy of a trader."""
    (run,) = trader.engine.state.runs.values()
    assert isinstance(run.strategy, Barrage)
    return run.strategy


async def barrage_through(world: World, result: Result, *, intents: int, by_rest: bool) -> None:
    """Run a barrage to its end, and compare both sides."""
    await lived_through(world, result, intents=intents, by_rest=by_rest)
    for duplicate in await world.duplicates():
        result.check(is_true=False, otherwise=duplicate)


async def lived_through(
    world: World,
    result: Result,
    *,
    intents: int,
    by_rest: bool = False,
    execution: Mapping[str, Any] | None = None,
    meanwhile: Callable[[World], Awaitable[None]] | None = None,
    **parameters: Any,
) -> TraderHistory:
    """Let a strategy make its intents under the faults armed, and compare both sides' logs."""
    async with scratch() as folder:
        chosen = {"intents": intents, "taking_percent": 10} | parameters
        wanted = settings(world, folder, execution=dict(execution or {}), **chosen)
        if by_rest:
            accounts = tuple(replace(one, orders_by_rest=True) for one in wanted.accounts)
            wanted = replace(wanted, accounts=accounts)
        async with trading(wanted) as trader:
            strategy = barrage(trader)
            came = await until(lambda: strategy.made >= intents, 30 + intents)
            if meanwhile is not None:
                await meanwhile(world)
            result.check(is_true=came, otherwise=f"only {strategy.made} of {intents} intents")
            armed, hit = await world.struck()
            result.armed += armed
            result.hit += hit
            await world.disarm()
            for difference in await world.agrees(trader):
                result.check(is_true=False, otherwise=difference)
            result.check(
                is_true=not trader.engine.summary().halted_instruments,
                otherwise=f"halted: {trader.engine.summary().halted_instruments}",
            )
        return await world.history(folder, result)


@row("R1", "duplicate order after a time-out")
async def lost_answers(size: Size, rng: Random) -> Result:
    """Every fault point of a create, at a share of the intents, by socket and by REST."""
    result = Result()

    async def play(part: Result, *, point: str, seed: int) -> None:
        async with venue(seed=seed) as world:
            await world.arm(**POINTS[point], probability=SHARE, count=0)
            by_rest = point == "page for JSON"
            await barrage_through(world, part, intents=INTENTS[size], by_rest=by_rest)
            part.runs += INTENTS[size]

    async def blind(part: Result, *, seed: int) -> None:
        async with venue(seed=seed) as world:
            for fault in BLIND:
                await world.arm(**fault, count=0)

            async def ask(_: World) -> None:
                await asyncio.sleep(BLIND_S)

            # Each takes seconds: all at once.
            intents = BLIND_INTENTS
            await lived_through(world, part, intents=intents, live_max=intents, meanwhile=ask)
            for duplicate in await world.duplicates():
                part.check(is_true=False, otherwise=duplicate)
            part.runs += BLIND_INTENTS

    await together(
        result,
        [
            *((point, partial(play, point=point, seed=rng.getrandbits(30))) for point in POINTS),
            *(
                ("asked too early", partial(blind, seed=rng.getrandbits(30)))
                for _ in range(BLIND_RUNS[size])
            ),
        ],
    )
    return result


CUTS: tuple[Fault, ...] = (
    {"kind": "cut", "category": "private", "topic": "order*", "probability": 0.1},
    {"kind": "cut", "category": "private", "topic": "execution*", "probability": 0.1},
    {"kind": "cut_after_booking", "topic": "trade.order.create", "probability": 0.1},
    {"kind": "duplicate_event", "category": "private", "topic": "*", "probability": 0.5},
    {"kind": "reorder_event", "category": "private", "topic": "*", "probability": 0.5},
)
CUT_INTENTS = {"ci": 60, "nightly": 4_000}


@row("R2", "duplicate order after a reconnect")
async def cuts(size: Size, rng: Random) -> Result:
    """Sockets cut between send and answer, everything told twice and out of order."""
    result = Result(runs=CUT_INTENTS[size], timed="until read again")
    async with venue(seed=rng.getrandbits(30)) as world:
        for fault in CUTS:
            await world.arm(**fault, count=0)
        history = await lived_through(world, result, intents=CUT_INTENTS[size], taking_percent=30)
        for duplicate in await world.duplicates():
            result.check(is_true=False, otherwise=duplicate)
        result.seconds += [(up - down) / 1e9 for down, up in history.apart if up]
    return result


RACE_FAULTS: dict[str, tuple[Fault, ...]] = {
    "the wire alone": (),
    "answers of cancels lost": (
        {"kind": "reply_dropped", "topic": "trade.order.cancel", "probability": 0.2},
        {"kind": "reply_error", "topic": "order.cancel", "probability": 0.2},
    ),
    "queries as of 5 s ago": (
        {"kind": "lagging_rest", "delay_s": 5.0, "probability": 1.0},
        {"kind": "reply_dropped", "topic": "trade.order.cancel", "probability": 0.2},
    ),
}
RACES = {"ci": 60, "nightly": 3_400}
LAG_SHARE = 4
"""An order waits for seconds where queries lag: so many times fewer of them."""
VENUE_LATENCY_NS = 4_000_000


@row("R3", "cancel and fill race")
async def cancel_races(size: Size, rng: Random) -> Result:
    """Each order is withdrawn the moment it is known, while the venue is about to fill it."""
    result = Result()

    async def play(part: Result, *, faults: tuple[Fault, ...], seed: int) -> None:
        options = {"latency_ns": VENUE_LATENCY_NS, "accounts": (RICH,)}
        async with venue(seed=seed, **options) as world:
            for fault in faults:
                await world.arm(**fault, count=0)
            is_lagging = any(fault["kind"] == "lagging_rest" for fault in faults)
            races = RACES[size] // LAG_SHARE if is_lagging else RACES[size]
            await lived_through(world, part, intents=races, is_racing=True)
            rows = [one for one in await world.orders() if one["orderLinkId"]]
            filled_ms = {
                one["orderLinkId"]: int(one["execTime"])
                for one in reversed((await world.account())["executions"])
            }
            part.runs += len(rows)
            # A race is a hit of its own: withdrawn and filled all the same, or in part.
            crossed = [one for one in rows if float(one["cumExecQty"])]
            part.armed += len(rows)
            part.hit += len(crossed)
            part.check(is_true=bool(crossed), otherwise="no fill crossed a cancel")
            for one, other in overlapping(rows, filled_ms):
                part.check(is_true=False, otherwise=f"{other} before the end of {one} was known")

    await together(
        result,
        [
            (what, partial(play, faults=faults, seed=rng.getrandbits(30)))
            for what, faults in RACE_FAULTS.items()
        ],
    )
    return result


def overlapping(rows: list[dict[str, Any]], filled_ms: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the pairs of orders of which the second was made before the first had ended.

    `filled_ms` is the time of each order's last execution: a cancel that comes too late touches an
    order that was filled before.
    """
    found = []
    by_time = sorted(rows, key=lambda row: (int(row["createdTime"]), row["orderLinkId"]))
    for one, other in pairwise(by_time):
        name = one["orderLinkId"]
        ended_ms = filled_ms[name] if one["orderStatus"] == "Filled" else int(one["updatedTime"])
        if int(other["createdTime"]) < ended_ms:
            found.append((one["orderLinkId"], other["orderLinkId"]))
    return found


UNSEEN: dict[str, tuple[float, tuple[Fault, ...]]] = {
    "executions lost": (
        3.0,
        ({"kind": "topic_outage", "category": "private", "topic": "execution*"},),
    ),
    "orders and executions lost": (
        3.0,
        (
            {"kind": "topic_outage", "category": "private", "topic": "execution*"},
            {"kind": "topic_outage", "category": "private", "topic": "order*"},
        ),
    ),
    "resting, filled later, lost": (
        3.0,
        (
            {"kind": "topic_outage", "category": "private", "topic": "execution*"},
            {"kind": "topic_outage", "category": "private", "topic": "order*"},
        ),
    ),
    "lost, and queries 3 s late": (
        6.0,
        (
            {"kind": "topic_outage", "category": "private", "topic": "execution*"},
            {"kind": "lagging_rest", "delay_s": 3.0},
        ),
    ),
    "told before the answer": (
        3.0,
        ({"kind": "reply_delayed", "topic": "order.create", "delay_s": 0.5},),
    ),
}
"""What is lost, and how long a fill may stay unknown: a reading every 2.5 s, and its lag."""
SELLER = AccountSpec("seller-key", "seller-secret", (("USDT", Decimal(100_000_000)),))
LINGER_S = 4.5
"""How long a trader may take to learn of what somebody sold to it."""
UNSEEN_INTENTS = {"ci": 40, "nightly": 2_500}


async def sold_into(world: World, *, faults: tuple[Fault, ...], result: Result) -> None:
    """Silence the private stream, then sell into what rests at the touch."""
    await asyncio.sleep(0.5)
    for fault in faults:
        await world.arm(**fault, count=0)
    before = len((await world.account())["executions"])
    async with aiohttp.ClientSession() as http:
        seller = Client(world.running, http)
        seller.key, seller.secret = SELLER.key, SELLER.secret
        for _ in range(20):
            bid, _ = await seller.best()
            price = f"{bid * 0.999:.1f}"
            await seller.create(side="Sell", price=price, qty="5", timeInForce="IOC")
            if len((await world.account())["executions"]) > before:
                break
    made = len((await world.account())["executions"]) - before
    result.check(is_true=made > 0, otherwise="nothing that rested was filled unseen")
    await asyncio.sleep(LINGER_S)


@row("R12", "fill missed between stream and query")
async def unseen_fills(size: Size, rng: Random) -> Result:
    """The stream loses executions, or tells them before the answer; queries are late."""
    result = Result(timed="until known")

    async def play(
        part: Result, *, what: str, bound_s: float, faults: tuple[Fault, ...], seed: int
    ) -> None:
        async with venue(seed=seed, accounts=(DEMO_ACCOUNT, SELLER)) as world:
            intents = UNSEEN_INTENTS[size]
            if what.startswith("resting"):
                # Nothing is under way that would be asked about: the reading alone can tell.
                history = await lived_through(
                    world,
                    part,
                    intents=intents,
                    taking_percent=0,
                    is_near=True,
                    live_max=1_000,
                    meanwhile=partial(sold_into, faults=faults, result=part),
                )
            else:
                for fault in faults:
                    await world.arm(**fault, count=0)
                history = await lived_through(world, part, intents=intents, taking_percent=50)
            late = [
                history.known_ns[name] / 1e9 - execution.at_ms / 1e3
                for name, execution in history.executions.items()
            ]
            part.runs += intents
            part.seconds += late
            slowest = max(late, default=0.0)
            part.check(
                is_true=slowest < bound_s, otherwise=f"a fill was unknown for {slowest:.2f} s"
            )

    await together(
        result,
        [
            (
                what,
                partial(play, what=what, bound_s=bound_s, faults=faults, seed=rng.getrandbits(30)),
            )
            for what, (bound_s, faults) in UNSEEN.items()
        ],
    )
    return result
