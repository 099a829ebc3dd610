"""R7 and R8: a clock that steps and drifts, budgets that are halved, an address that is banned."""

import asyncio
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.campaigns.chaos.requests import barrage
from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import World, scratch, settings, until, venue
from tests.campaigns.history import inputs
from tests.integration.app.trading import trading
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.execution.request_budget import BudgetLimits
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.private.limits import AddressLimits, RequestLimits

CLOCKS: dict[str, dict[str, object]] = {
    **{f"{step:+g} s": {"offset_s": step} for step in (0.5, -0.5, 1.0, -1.0, 5.0, -5.0, 60.0)},
    "-60 s": {"offset_s": -60.0},
    "200 ppm": {"drift_ppm": 200.0},
    "+5 s, then back": {"offset_s": 5.0, "duration_s": 4.5},
}
CORRECTED_S_MAX = 2.0
CLOCK_INTENTS = {"ci": 120, "nightly": 4_000}


@row("R7", "clock skew")
async def clocks(size: Size, rng: Random) -> Result:
    """The venue's clock steps while orders are sent: refused for its time, then never again."""
    result = Result(timed="until corrected")

    async def play(part: Result, *, fault: dict[str, object], seed: int) -> None:
        async with venue(seed=seed) as world, scratch() as folder:
            intents = CLOCK_INTENTS[size]
            # How far off a clock may be to trade at all is another limit, and another test.
            limits = {"clock_skew_ms_max": 600_000}
            wanted = settings(world, folder, intents=intents, taking_percent=20, limits=limits)
            async with trading(wanted) as trader:
                await until(lambda: barrage(trader).made > 10, 20.0)
                await world.arm(kind="clock", **fault)
                await until(lambda: barrage(trader).made >= intents, 30.0 + intents)
                armed, hit = await world.struck()
                part.armed, part.hit = armed, hit
                for difference in await world.agrees(trader):
                    part.check(is_true=False, otherwise=difference)
            await world.history(folder, part, skew_ms=120_000)
            part.runs += intents
            refused = refused_times(folder)
            steps = 2 if "duration_s" in fault else 1
            bursts = in_bursts(refused)
            part.seconds += [last - first for first, last in bursts]
            part.check(
                is_true=len(bursts) <= steps,
                otherwise=f"{len(bursts)} times of refusals for {steps} steps of the clock",
            )
            for first, last in bursts:
                part.check(
                    is_true=last - first < CORRECTED_S_MAX,
                    otherwise=f"refused for its time for {last - first:.2f} s",
                )

    await together(
        result,
        [
            (name, partial(play, fault=fault, seed=rng.getrandbits(30)))
            for name, fault in CLOCKS.items()
        ],
    )
    result.check(is_true=bool(result.seconds), otherwise="no step was ever refused")
    return result


def refused_times(folder: Path) -> list[float]:
    """When requests were refused for their time, in seconds, by the session log."""
    return [
        now_ns / 1e9
        for now_ns, event in inputs(folder / "session")
        if event["type"] == "reply" and event["code"] == 10002
    ]


def in_bursts(times: list[float]) -> list[tuple[float, float]]:
    """Group what is less than two seconds apart: (first, last) of each group."""
    bursts: list[tuple[float, float]] = []
    for at in times:
        if bursts and at - bursts[-1][1] < CORRECTED_S_MAX:
            bursts[-1] = (bursts[-1][0], at)
        else:
            bursts.append((at, at))
    return bursts


# budgets ------------------------------------------------------------------------------------------


class Meter:
    """Stands before the venue's own budgets and notes each request they judged."""

    def __init__(self, world: World) -> None:
        self.spent: list[tuple[float, str, bool]] = []
        self.arrived: list[tuple[float, bool]] = []
        limits = world.running.whole.limits
        spend = limits.spend

        def metered(*args: Any, **kwargs: Any) -> Any:
            budget = spend(*args, **kwargs)
            self.spent.append((time.monotonic(), args[1], budget.is_allowed))
            return budget

        limits.spend = metered  # type: ignore[method-assign]
        assert isinstance(limits, RequestLimits)

    def refused(self, after: float = 0.0) -> list[tuple[float, str, bool]]:
        return [one for one in self.spent if not one[2] and one[0] >= after]


DEMAND_S = {"ci": 4.0, "nightly": 3_600.0}
LEARNT_S = 1.1
"""What is under way when a limit is halved can't know it."""
CANCEL_S_MAX = 0.1
LIVE_MAX = 100_000


@row("R8", "rate-limit ban")
async def budgets(size: Size, rng: Random) -> Result:
    """Ten times more wished than may be sent: kept, kept when halved, silent when banned."""
    result = Result(timed="until a cancel is there")
    await together(
        result,
        [
            (
                "the venue's limits",
                partial(saturated, seconds=DEMAND_S[size], seed=rng.getrandbits(30)),
            ),
            ("halved", partial(halved, seconds=DEMAND_S[size], seed=rng.getrandbits(30))),
            ("banned", partial(banned, seed=rng.getrandbits(30))),
        ],
    )
    return result


def greedy(world: World, folder: Path) -> Any:
    """Settings of a trader that wishes more orders than the venue's own budgets let pass."""
    execution = {"budget": BudgetLimits(limit=10)}
    return settings(
        world, folder, execution=execution, intents=10**9, live_max=LIVE_MAX, per_update=20
    )


async def saturated(result: Result, *, seconds: float, seed: int) -> None:
    """Creates up to the bound all the time; a cancel is never held back by them."""
    async with venue(seed=seed, rate_scale=1.0) as world, scratch() as folder:
        meter = Meter(world)
        async with trading(greedy(world, folder)) as trader:
            await asyncio.sleep(seconds)
            result.runs += barrage(trader).made
            result.armed += len(meter.spent)
            # The budget struck each time the trader held an order back.
            uses = trader.engine.state.budget.uses(utc_now_ns())
            result.hit += sum(use.refused for use in uses)
            refusals = trader.engine.summary().strategies[0].last_refusals
            result.check(is_true=bool(refusals), otherwise="nothing was held back")
            began = time.monotonic()
            order = OperatorCommand(OperatorVerb.CANCEL_ALL, "all", "a cancel among creates")
            trader.door.on_input(order, utc_now_ns())
            await until(lambda: any(one[1].startswith("order.cancel") for one in meter.spent), 5.0)
            result.seconds.append(time.monotonic() - began)
        result.check(
            is_true=result.seconds[-1] < CANCEL_S_MAX,
            otherwise=f"a cancel waited for {result.seconds[-1] * 1e3:.0f} ms",
        )
        for _, group, _ in meter.refused():
            result.check(is_true=False, otherwise=f"over the limit of {group}")
        await world.history(folder, result)


async def halved(result: Result, *, seconds: float, seed: int) -> None:
    """The venue halves its limits without a word; the headers tell."""
    async with venue(seed=seed, rate_scale=1.0) as world, scratch() as folder:
        meter = Meter(world)
        async with trading(greedy(world, folder)) as trader:
            await asyncio.sleep(1.5)
            await world.arm(kind="halved_limits", count=0)
            struck = time.monotonic()
            await asyncio.sleep(seconds)
            result.runs += barrage(trader).made
        armed, hit = await world.struck()
        result.armed += armed
        result.hit += hit
        told: dict[str, float] = {}
        for at, group, is_allowed in meter.spent:
            # Only an answer can tell, and each group has its own.
            if at > struck and at < told.setdefault(group, at) + LEARNT_S:
                continue
            if at > struck and not is_allowed:
                when = at - told[group]
                result.check(is_true=False, otherwise=f"over {group}, {when:.2f} s after its news")
        await world.history(folder, result)


BAN_AT = 300
BAN_LOOK_S = 6.0
UNDER_WAY_S = 0.25


async def banned(result: Result, *, seed: int) -> None:
    """The address is banned: nothing is asked of it any more."""
    arrived: list[tuple[float, bool]] = []
    original = AddressLimits.is_allowed

    def metered(self: AddressLimits, address: str, now_ms: int) -> bool:
        is_allowed = original(self, address, now_ms)
        if self._requests_max == BAN_AT:
            arrived.append((time.monotonic(), is_allowed))
        return is_allowed

    AddressLimits.is_allowed = metered  # type: ignore[method-assign]
    try:
        async with (
            venue(seed=seed, address_requests_max=BAN_AT) as world,
            scratch() as folder,
            trading(greedy(world, folder)) as trader,
        ):
            await until(lambda: barrage(trader).made > 10, 20.0)
            # Another program behind the same address goes too fast.
            while await world.ask("/v5/market/time") != 403:
                pass
            # The next reading of the account meets it.
            await until(lambda: any(not one[1] for one in arrived[noticed(arrived) :]), 10.0)
            await asyncio.sleep(BAN_LOOK_S)
            result.runs += barrage(trader).made
    finally:
        AddressLimits.is_allowed = original  # type: ignore[method-assign]
    told = [at for at, is_allowed in arrived[noticed(arrived) :] if not is_allowed]
    result.check(is_true=bool(told), otherwise="the trader never met the ban")
    if told:
        result.armed += len(arrived)
        result.hit += 1
        # What was under way when the first refusal came is no request after it.
        later = [at - told[0] for at in told if at > told[0] + UNDER_WAY_S]
        result.check(
            is_true=not later, otherwise=f"{len(later)} requests after the ban, {later[:3]}"
        )


def noticed(arrived: list[tuple[float, bool]]) -> int:
    """Return where the other program's requests end: at its first refusal."""
    return next((at for at, one in enumerate(arrived, 1) if not one[1]), len(arrived))
