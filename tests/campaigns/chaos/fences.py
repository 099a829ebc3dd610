"""R21b: what R21 and R22 rest on, one by one and in one process: each can be taken away."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import World, scratch, settings, until, venue
from tests.integration.app.trading import ACCOUNT, trading
from tests.integration.simulator_private.client import Client
from tickwright.app.kill import KillReport
from tickwright.app.trader import Trader
from tickwright.app.venue_kit import emergency_client
from tickwright.app.watchdog import Watchdog
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.core.identity import Category
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET
from tickwright.storage.fence import Fence, revoke
from tickwright.storage.kill_order import KillOrder, KillScope
from tickwright.venues.bybit.emergency import BybitEmergencyClient
from tickwright.venues.bybit.hosts import hosts_of
from tickwright.venues.bybit.sign import Credentials, Secret

FENCES = {"ci": 1, "nightly": 50}
ON_THE_WIRE_S = 0.015
PASSES = 20
BEFORE_IT_LOOKS_S = 0.07
"""The trader looks at the fence ten times a second by itself; before that each send has to."""
HEARTBEAT_S_MAX = 0.5
NOTICED_S_MAX = 1.0


@row("R21b", "fence, watchdog and filter by themselves")
async def safeguards(size: Size, rng: Random) -> Result:
    """Each promise of kill switch and watchdog where nothing else can keep it."""
    result = Result(timed="until noticed")
    plays: dict[str, Callable[[int, Result], Awaitable[None]]] = {
        "fence": fenced,
        "silent trader": silent,
        "living trader": living,
        "filter": filtered,
        "full disk": disk_full,
    }
    await together(
        result,
        [
            (what, partial(play, rng.getrandbits(30)))
            for what, play in plays.items()
            for _ in range(FENCES[size])
        ],
        # They are timed by parts of a tenth of a second.
        at_once=1,
    )
    return result


@asynccontextmanager
async def storming(world: World, folder: Path) -> AsyncIterator[Trader]:
    """A trader that sends orders at each book update, and rests them all."""
    async with trading(settings(world, folder, intents=10**9, per_update=3)) as trader:
        await until(lambda: world.booked() > 10, 20.0)
        yield trader


async def fenced(seed: int, result: Result) -> None:
    """Nothing leaves from the moment the word is written, not only once the trader looks."""
    result.runs += 1
    async with venue(seed=seed) as world, scratch() as folder, storming(world, folder) as trader:
        # Right after its look the next one is a tenth of a second away.
        looked = trader._fence
        assert looked is not None
        beat = looked._words[3]
        await until(lambda: looked._words[3] != beat, 1.0, step_s=0.001)
        began = time.monotonic()
        revoke(folder / "state")
        await arrived()
        before = world.booked()
        await asyncio.sleep(BEFORE_IT_LOOKS_S - ON_THE_WIRE_S)
        new = world.booked() - before
        result.armed += 1
        result.check(is_true=new == 0, otherwise=f"{new} orders over a fence that is down")
        came = await until(lambda: bool(trader.killed), NOTICED_S_MAX)
        result.check(is_true=came, otherwise="the trader never saw the fence")
        result.seconds.append(time.monotonic() - began)
        result.hit += came


async def arrived() -> None:
    """Let what is on the wire arrive: on a busy machine the time alone says nothing."""
    await asyncio.sleep(ON_THE_WIRE_S)
    for _ in range(PASSES):
        await asyncio.sleep(0)


class Kills:
    """Counts what a watchdog throws, in place of a switch."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def __call__(
        self,
        by: str,
        reason: str,
        scope: KillScope | None,
        flatten: bool | None,
    ) -> KillReport:
        self.reasons.append(f"{by}: {reason}")
        order = KillOrder(reason=reason, by=by, scope="account", flatten=False, asked_ns=1)
        return KillReport(order=order, accounts=(), trader="none", fence_ms=0.0, seconds=0.0)


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Kills]:
    """A watchdog over a state folder."""
    kills = Kills()
    dog = Watchdog(folder, kills, heartbeat_s_max=HEARTBEAT_S_MAX, say=lambda _: None)
    task = asyncio.create_task(dog.run())
    try:
        yield kills
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def silent(_: int, result: Result) -> None:
    """A process that lives and shows no life any more is found by the age of its last beat."""
    result.runs += 1
    result.armed += 1
    async with scratch() as folder:
        page = Fence(folder, epoch=7)
        async with watched(folder) as kills:
            began = time.monotonic()
            came = await until(lambda: bool(kills.reasons), HEARTBEAT_S_MAX + NOTICED_S_MAX)
            result.check(is_true=came, otherwise="a silent trader was never found")
            result.seconds.append(max(0.0, time.monotonic() - began - HEARTBEAT_S_MAX))
            result.hit += came
            await asyncio.sleep(0.3)
            result.check(is_true=len(kills.reasons) <= 1, otherwise="killed more than once")
        page.end()


async def living(seed: int, result: Result) -> None:
    """A trader that beats is left alone."""
    result.runs += 1
    result.armed += 1
    async with (
        venue(seed=seed) as world,
        scratch() as folder,
        storming(world, folder),
        watched(folder / "state") as kills,
    ):
        await asyncio.sleep(2 * HEARTBEAT_S_MAX + 0.3)
        result.check(is_true=not kills.reasons, otherwise=f"a living trader: {kills.reasons}")
        result.hit += not kills.reasons


async def filtered(seed: int, result: Result) -> None:
    """The switch takes plain orders away, and leaves the stop that guards a position."""
    result.runs += 1
    async with venue(seed=seed) as world, aiohttp.ClientSession() as http:
        client = Client(world.running, http)
        bid, _ = await client.best()
        far = f"{bid * 0.5:.1f}"
        await client.create(side="Buy", orderType="Market", qty="0.01", stopLoss=far)
        await client.create(side="Buy", price=f"{bid * 0.9:.1f}", qty="0.01")
        await until(lambda: len(world.ledger_now()["open_orders"]) >= 2, 5.0)
        result.armed += len(world.ledger_now()["open_orders"])
        switch, closing = switch_of(world)
        try:
            await switch.cancel_all()
        finally:
            await closing()
        left = world.ledger_now()["open_orders"]
        result.hit += len(left)
        result.check(
            is_true=[one["stopOrderType"] for one in left] == ["StopLoss"],
            otherwise=f"left: {[(one['orderType'], one['stopOrderType']) for one in left]}",
        )


def switch_of(world: World) -> tuple[BybitEmergencyClient, Callable[[], Awaitable[None]]]:
    """What the kill switch asks the venue with, and how to close it."""
    hosts = hosts_of(None, rest_url=world.running.rest)
    credentials = Credentials(DEMO_KEY, Secret(DEMO_SECRET))
    client, http = emergency_client(hosts, credentials, (Category.LINEAR,), random=Random(1))
    return client, http.aclose


async def disk_full(seed: int, result: Result) -> None:
    """No line fits into the journal any more: nothing is opened, and every cancel goes out."""
    result.runs += 1
    async with venue(seed=seed) as world, scratch() as folder, storming(world, folder) as trader:
        journal: Any = trader.links[ACCOUNT].journal
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            os.dup2(full, journal._fd)
        finally:
            os.close(full)
        result.armed += 1
        await arrived()
        before, open_before = world.booked(), len(world.ledger_now()["open_orders"])
        await asyncio.sleep(0.2)
        new = world.booked() - before
        result.check(is_true=new == 0, otherwise=f"{new} orders that were never promised")
        began = time.monotonic()
        order = OperatorCommand(OperatorVerb.CANCEL_ALL, "all", "on a full disk")
        trader.door.on_input(order, utc_now_ns())
        gone = await until(lambda: not world.ledger_now()["open_orders"], NOTICED_S_MAX)
        result.check(is_true=gone, otherwise=f"cancels waited for the disk: {open_before} open")
        result.seconds.append(time.monotonic() - began)
        result.hit += journal.lost_cancels > 0 or not gone
