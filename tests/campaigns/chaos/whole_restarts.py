"""R13 again, one life long: killed under load over and over, the ledger and the plans go on."""

import asyncio
import signal
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.campaigns.chaos._crashing import Addresses, keep_segments
from tests.campaigns.chaos._forked import forked
from tests.campaigns.chaos._swinging import BARRAGE, EXITS, SWING, SYMBOLS, Swing, live, settings
from tests.campaigns.chaos.rows import Result, Size, row
from tests.campaigns.chaos.world import RATE, Stopwatch, World, scratch, until
from tests.integration.app.trading import ACCOUNT, trading
from tickwright.app.trader import Trader
from tickwright.core.identity import Category, InstrumentId, StrategyId
from tickwright.core.units import money_to_decimal
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.run import SimulatorOptions, serve

__all__ = ["kill_again_and_again"]

READY_S_MAX = 5.0
MONEY_ERROR_MAX = Decimal("0.000001")
KILLS = {"ci": 8, "nightly": 1_000}
KILLS_A_LIFE = 20
_SIGNS = {"Buy": 1, "Sell": -1, "": 0, "None": 0}


@row("R13b", "a restarted trader stands elsewhere")
async def whole_restarts(size: Size, rng: Random) -> Result:
    """Killed under load: shares, sums, plans and orders go on as the venue has them."""
    result = Result(timed="until in order")
    for first in range(0, KILLS[size], KILLS_A_LIFE):
        kills = min(KILLS_A_LIFE, KILLS[size] - first)
        await kill_again_and_again(result, rng=rng, kills=kills)
    return result


async def kill_again_and_again(result: Result, *, rng: Random, kills: int) -> None:
    """One account, one state folder, many lives."""
    keep_segments()
    seed = rng.getrandbits(30)
    options = SimulatorOptions(symbols=SYMBOLS, categories=(Category.LINEAR,), seed=seed)
    private = PrivateOptions(rate_scale=float(RATE), address_requests_max=600 * RATE, seed=1)
    running = await serve(options, private=private)
    async with aiohttp.ClientSession() as http:
        world = World(running, http)
        try:
            async with scratch() as folder:
                for number in range(kills):
                    await killed(world, result, folder, number, rng)
                    await stands(world, result, folder, f"session-{number}-after")
                await world.history(folder, result, was_killed=True)
        finally:
            await running.stop()


async def killed(world: World, result: Result, folder: Path, number: int, rng: Random) -> None:
    """Let a trader live under load for a random while."""
    booked = world.booked()
    process = forked(live, Addresses.of(world), str(folder), f"session-{number}")
    await until(lambda: world.booked() > booked + 3, 20.0)
    await asyncio.sleep(rng.random() * 1.5)
    result.runs += 1
    result.armed += 1
    process.kill()
    result.hit += await process.wait() == -signal.SIGKILL


async def stands(world: World, result: Result, folder: Path, session: str) -> None:
    """Start again, without wanting anything, and compare everything with the venue."""
    watch = Stopwatch()
    wanted = settings(Addresses.of(world), folder, session, is_trading=False)
    async with trading(wanted) as trader:
        state = trader.engine.state
        held = dict(kept_sizes(trader))
        found = ["not read yet"]
        while found and watch.seconds < READY_S_MAX:
            await asyncio.sleep(0.02)
            found = ["not read yet"]
            if ACCOUNT in state.view.ready_accounts:
                found = await differences(world, trader)
        result.seconds.append(watch.seconds)
        for one in found:
            result.check(is_true=False, otherwise=f"{session}: after {READY_S_MAX:g} s: {one}")
        swing = state.runs[SWING].strategy
        assert isinstance(swing, Swing)
        result.check(
            is_true=swing.held_at_start == held[SWING],
            otherwise=f"{session}: on_start saw {swing.held_at_start}, kept {held[SWING]}",
        )


def kept_sizes(trader: Trader) -> list[tuple[StrategyId, int]]:
    """What strategies are known to hold before anything was asked."""
    portfolio = trader.engine.state.portfolio
    return [
        (owner, portfolio.strategy_position(owner, ACCOUNT, _id(symbol)).size_units)
        for owner, symbol in zip((BARRAGE, SWING), SYMBOLS, strict=True)
    ]


def _id(symbol: str) -> InstrumentId:
    return InstrumentId("bybit", Category.LINEAR, symbol)


async def differences(world: World, trader: Trader) -> list[str]:
    """Say where the trader isn't where the venue is, or doesn't know whose what is."""
    ledger = await world.ledger()
    account = dict(ledger["accounts"][0])
    engine = trader.engine
    state = engine.state
    found = [f"the venue's ledger: {fault}" for fault in ledger["faults"]]
    found += [f"halted {key}: {why}" for key, why in engine.summary().halted_instruments.items()]
    for owner, symbol in zip((BARRAGE, SWING), SYMBOLS, strict=True):
        found += _position(trader, account, owner, symbol)
    found += _money(trader, account)
    mine = {record.client_id for record in state.blotter.live()}
    theirs = {row["orderLinkId"] for row in account["open_orders"] if row["orderLinkId"]}
    if mine != theirs:
        found.append(f"live orders: ours alone {mine - theirs}, the venue's {theirs - mine}")
    return found


def _position(trader: Trader, account: dict[str, Any], owner: StrategyId, symbol: str) -> list[str]:
    state = trader.engine.state
    instrument_id = _id(symbol)
    quantity = state.instrument(instrument_id).quantity
    whole = state.portfolio.position(ACCOUNT, instrument_id)
    share = state.portfolio.strategy_position(owner, ACCOUNT, instrument_id)
    venue = sum(
        (
            _SIGNS[row["side"]] * Decimal(row["size"])
            for row in account["positions"]
            if row["symbol"] == symbol
        ),
        Decimal(0),
    )
    found = []
    if quantity(whole.size_units) != venue:
        found.append(f"{symbol}: ours {quantity(whole.size_units)}, the venue's {venue}")
    if share.size_units != whole.size_units:
        found.append(f"{symbol}: {owner} owns {share.size_units} of {whole.size_units}")
    if (share.cost, share.realised, share.fees) != (whole.cost, whole.realised, whole.fees):
        found.append(f"{symbol}: the sums of {owner} are not the account's")
    plan = state.plans.get((owner, instrument_id))
    if share.size_units and (plan is None or plan.size_units != share.size_units):
        found.append(f"{symbol}: no plan for what {owner} holds")
    if plan is not None and plan.size_units and owner == SWING:
        levels = plan.levels
        if plan.exits != EXITS or levels is None or levels.stop_units is None:
            found.append(f"{symbol}: the signal's exits are lost: {plan.exits}")
        elif not (plan.is_watching or plan.held.holds_stop(levels) or plan.closing):
            found.append(f"{symbol}: its stop is neither held nor watched")
    return found


def _money(trader: Trader, account: dict[str, Any]) -> list[str]:
    """The ledger's sums over all lives, beside the venue's."""
    holdings = trader.engine.state.portfolio.account(ACCOUNT).holdings.values()
    positions = [book.position for holding in holdings for book in holding.legs.values()]
    ours = {
        "realised": sum(one.realised for one in positions),
        "fees": sum(sum(one.fees.values()) for one in positions),
    }
    found = []
    for name, money in ours.items():
        venue = sum((Decimal(text) for text in account[name].values()), Decimal(0))
        if abs(money_to_decimal(money) - venue) > MONEY_ERROR_MAX:
            found.append(f"{name}: ours {money_to_decimal(money)}, the venue's {venue}")
    return found
