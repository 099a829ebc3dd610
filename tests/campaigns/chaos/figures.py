"""R9, R10 and R11: partial fills, rows that are no fills, and rounding, against exact ledgers."""

import asyncio
from collections import Counter
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from random import Random

from tests.campaigns.chaos.requests import barrage, lived_through
from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import RICH, SYMBOL, World, scratch, settings, until, venue
from tests.integration.app.trading import settings_for, trading
from tests.unit.portfolio.worlds import ACCOUNT, ALPHA, linear
from tickwright.app.venue_kit import BybitKit
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.core.orders import ExecutionKind, Fill, Side
from tickwright.core.units import MONEY_ONE, money_to_decimal
from tickwright.portfolio import Portfolio
from tickwright.simulator.run import SimulatorOptions, serve
from tickwright.venues.bybit.hosts import hosts_of

REPEATS: tuple[dict[str, object], ...] = (
    {"kind": "duplicate_event", "category": "private", "topic": "execution*", "probability": 0.5},
    {"kind": "duplicate_event", "category": "private", "topic": "order*", "probability": 0.3},
    {"kind": "reorder_event", "category": "private", "topic": "*", "probability": 0.4},
)
PARTIALS = {"ci": 60, "nightly": 10_000}
AMENDED = {"ci": 60, "nightly": 5_000}
LOST_AMENDS: tuple[dict[str, object], ...] = (
    {"kind": "reply_dropped", "topic": "trade.order.amend", "probability": 0.1},
    {"kind": "reply_delayed", "topic": "trade.order.amend", "probability": 0.2, "delay_s": 0.05},
    {"kind": "cut_after_booking", "topic": "trade.order.amend", "probability": 0.02},
    {"kind": "reply_delayed", "topic": "trade.order.cancel", "probability": 0.2, "delay_s": 0.05},
)
FLIPS_S = {"ci": 6.0, "nightly": 600.0}


@row("R9", "partial-fill accounting")
async def partial_fills(size: Size, rng: Random) -> Result:
    """Large orders in many fills, told twice and out of order, withdrawn and changed in between."""
    result = Result()

    async def large(part: Result, *, seed: int) -> None:
        async with venue(seed=seed, latency_ns=2_000_000, accounts=(RICH,)) as world:
            for fault in REPEATS:
                await world.arm(**fault, count=0)
            history = await lived_through(world, part, intents=PARTIALS[size], is_racing=True)
            part.runs += len(history.executions)
            fills = Counter(one.client_id for one in history.executions.values())
            part.check(
                is_true=max(fills.values(), default=0) > 1, otherwise="no order had two fills"
            )

    async def amended(part: Result, *, seed: int) -> None:
        """Price and size of an order change while it fills and is withdrawn; answers get lost."""
        async with venue(seed=seed, latency_ns=2_000_000, accounts=(RICH,)) as world:
            for fault in (*REPEATS, *LOST_AMENDS):
                await world.arm(**fault, count=0)

            async def look(world: World) -> None:
                for fault in await world.faults():
                    if "amend" in fault["topic"]:
                        part.hit += fault["hit"]
                        came = fault["armed"] > 0
                        part.check(is_true=came, otherwise="no amend reached the venue")

            history = await lived_through(
                world, part, intents=AMENDED[size], is_racing=True, amends=3, meanwhile=look
            )
            part.runs += len(history.executions)
            # Filled more than was first asked for: an amend of the size came through and counted.
            rows = [one for one in await world.orders() if one["orderLinkId"]]
            grown = [one for one in rows if Decimal(one["cumExecQty"]) > history.asked(one)]
            part.hit += len(grown)
            # Chance alone may keep sixty orders from it, not thousands.
            is_shown = bool(grown) or size == "ci"
            part.check(is_true=is_shown, otherwise="no order filled more than it began with")

    async def flips(part: Result, *, seed: int) -> None:
        """In and out by signals: sized by risk, left by reduce-only orders."""
        async with venue(seed=seed) as world, scratch() as folder:
            for fault in REPEATS:
                await world.arm(**fault, count=0)
            wanted = settings_for(world.running, folder, [SYMBOL], every=5)
            async with trading(wanted) as trader:
                await asyncio.sleep(FLIPS_S[size])
                for difference in await world.agrees(trader):
                    part.check(is_true=False, otherwise=difference)
                armed, hit = await world.struck()
                part.armed += armed
                part.hit += hit
            history = await world.history(folder, part)
            part.runs += len(history.executions)
            part.check(is_true=len(history.executions) > 3, otherwise="hardly anything was traded")
            for one in await world.orders():
                refused = one["orderStatus"] == "Rejected"
                part.check(is_true=not refused, otherwise=f"refused: {one['rejectReason']}")

    await together(
        result,
        [
            ("large orders", partial(large, seed=rng.getrandbits(30))),
            ("amended", partial(amended, seed=rng.getrandbits(30))),
            ("in and out", partial(flips, seed=rng.getrandbits(30))),
        ],
    )
    return result


# rows that are no fills ---------------------------------------------------------------------------

FUNDINGS = {"ci": 12, "nightly": 500}
KIND_ROWS = {"ci": 5_000, "nightly": 1_000_000}
_MOVING = {
    ExecutionKind.TRADE,
    ExecutionKind.BLOCK_TRADE,
    ExecutionKind.ADL,
    ExecutionKind.LIQUIDATION,
    ExecutionKind.MOVE_POSITION,
    ExecutionKind.FUTURE_SPREAD,
    ExecutionKind.DELIVERY,
}
"""Written down once more: the allow-list must not change by itself."""


@row("R10", "fee, funding and other rows taken as fills")
async def other_rows(size: Size, rng: Random) -> Result:
    """Funding while a position is held, at the venue; every kind of row, in the ledger alone."""
    result = Result()
    await together(
        result,
        [
            ("funding", partial(funded, size=size, seed=rng.getrandbits(30))),
            ("kinds", partial(kinds, size=size, seed=rng.getrandbits(30))),
        ],
    )
    return result


async def funded(result: Result, *, size: Size, seed: int) -> None:
    """Funding is paid again and again while positions change."""
    async with venue(seed=seed) as world, scratch() as folder:
        async with trading(
            settings(world, folder, intents=10**9, taking_percent=60, live_max=4)
        ) as trader:
            await until(lambda: barrage(trader).made > 20, 20.0)
            for number in range(FUNDINGS[size]):
                rate = ("0.0005", "-0.0003", "0.0001")[number % 3]
                await world.tell("funding", symbol=SYMBOL, rate=rate)
                result.armed += 1
                await asyncio.sleep(0.2)
            for difference in await world.agrees(trader):
                result.check(is_true=False, otherwise=difference)
        history = await world.history(folder, result)
        paid = [one for one in history.executions.values() if one.kind == "funding"]
        result.hit += len(paid)
        result.runs += len(history.executions)
        result.check(is_true=any(one.cash for one in paid), otherwise="funding moved no money")


async def kinds(result: Result, *, size: Size, seed: int) -> None:
    """Fold random rows of every kind, and compare size and cash with a sum of a few lines."""
    rng = Random(seed)
    instrument = linear()
    portfolio = Portfolio()
    portfolio.set_instrument(instrument)
    held, cash, halts = 0, Decimal(0), 0
    for number in range(KIND_ROWS[size]):
        kind = rng.choice(list(ExecutionKind))
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        units, fee = rng.randrange(1, 50), rng.randrange(-10, 100) * MONEY_ONE // 100
        moved = rng.randrange(-100, 100) * MONEY_ONE // 100
        effect = portfolio.apply_fill(
            Fill(
                account_id=ACCOUNT,
                instrument_id=instrument.id,
                execution_id=f"{seed}-{number}",
                kind=kind,
                side=side,
                price_units=6_000_000,
                size_units=units,
                fee=fee,
                fee_asset="USDT",
                is_maker=False,
                venue_ns=number,
                received_ns=number,
                cash=moved if kind in (ExecutionKind.FUNDING, ExecutionKind.SETTLE) else 0,
            ),
            ALPHA,
        )
        result.runs += 1
        result.armed += 1
        result.hit += kind not in _MOVING
        if kind in _MOVING:
            held += side * units
        if kind is ExecutionKind.OTHER:
            halts += bool(effect is not None and effect.halt_reason)
            continue
        cash -= money_to_decimal(fee)
        if kind in (ExecutionKind.FUNDING, ExecutionKind.SETTLE):
            cash += money_to_decimal(moved)
        ours = portfolio.position(ACCOUNT, instrument.id).size_units
        if ours != held:
            result.check(is_true=False, otherwise=f"{kind.value} moved {ours - held} of a position")
            break
    # One price throughout: nothing was realised, so the wallet is what fees and funding left.
    wallet = money_to_decimal(portfolio.balance(ACCOUNT, "USDT").amount)
    result.check(is_true=wallet == cash, otherwise=f"wallet {wallet}, by the rows {cash}")
    result.check(is_true=halts > 0, otherwise="an unknown row halted nothing")


# rounding -----------------------------------------------------------------------------------------

CASES = {"ci": 20_000, "nightly": 1_000_000}
SYMBOLS_LISTED = 300


@row("R11", "rounding refuses or leaves dust")
async def rounding(size: Size, rng: Random) -> Result:
    """Wishes near every edge, for each instrument the venue lists, by its own rules."""
    result = Result()
    running = await serve(SimulatorOptions(symbols=SYMBOLS_LISTED))
    kit = BybitKit("bybit", hosts_of(None, rest_url=running.rest), Random(1))
    try:
        assert kit.market is not None
        listed = [
            instrument
            for category in (Category.LINEAR, Category.SPOT)
            for instrument in await kit.market.instruments(category)
        ]
    finally:
        await kit.aclose()
        await running.stop()
    result.check(is_true=len(listed) > SYMBOLS_LISTED, otherwise=f"only {len(listed)} instruments")
    for number in range(CASES[size]):
        instrument = listed[number % len(listed)]
        result.runs += 1
        size_case(result, rng, instrument)
        price_case(result, rng, instrument)
    return result


def near(rng: Random, step: Decimal, least: int, most: int) -> Decimal:
    """Return a number on, just below or just above a multiple of a step, or far between."""
    steps = rng.choice((0, 1, least, least + 1, rng.randrange(1, max(2, most)), most))
    off = rng.choice((Decimal(0), Decimal("1e-12"), Decimal("-1e-12"), Decimal(rng.random())))
    return max(Decimal(0), (steps + off) * step)


def size_case(result: Result, rng: Random, instrument: Instrument) -> None:
    """A size is the largest multiple of the lot that is not above what was asked."""
    lot = instrument.quantity(instrument.lot_units)
    least, most = (
        units // instrument.lot_units
        for units in (instrument.size_min_units, instrument.size_max_units)
    )
    asked = near(rng, lot, least, most)
    wished = asked if rng.random() < 0.5 else float(asked)
    exact = Decimal(repr(wished)) if isinstance(wished, float) else wished
    units = instrument.size_units_floor(wished)
    text = instrument.size_text(units)
    is_between = exact % lot != 0
    result.armed += 1
    result.hit += is_between
    right = (exact / lot).to_integral_value(ROUND_FLOOR) * lot
    result.check(
        is_true=Decimal(text) == right and is_plain(text),
        otherwise=f"{instrument.id} size {asked}: {text}, not {right}",
    )
    refused = instrument.size_fault(units, is_market=False)
    fits = least * lot <= right <= most * lot and right > 0
    result.check(
        is_true=(refused is None) == fits, otherwise=f"{instrument.id} size {text}: {refused}"
    )


def price_case(result: Result, rng: Random, instrument: Instrument) -> None:
    """A bid is never above what was asked, an ask never below."""
    tick = instrument.price(instrument.tick_units)
    asked = near(rng, tick, 1, instrument.price_max_units // instrument.tick_units // 10**6)
    for side, way in ((Side.BUY, ROUND_FLOOR), (Side.SELL, ROUND_CEILING)):
        text = instrument.price_text(instrument.passive_price_units(side, asked))
        right = (asked / tick).to_integral_value(way) * tick
        result.check(
            is_true=Decimal(text) == right and is_plain(text),
            otherwise=f"{instrument.id} {side.name} price {asked}: {text}, not {right}",
        )


def is_plain(text: str) -> bool:
    """Whether a number is written as the wire wants it."""
    return set(text) <= set("0123456789.") and not text.startswith(".")
