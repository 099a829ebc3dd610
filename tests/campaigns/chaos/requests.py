"""R1 and R2: answers that are lost, late or broken, cuts around the booking: never two orders."""

from random import Random

from msgspec.structs import replace

from tests.campaigns.chaos.rows import Result, Size, row
from tests.campaigns.chaos.world import Barrage, World, scratch, settings, until, venue
from tests.integration.app.trading import trading
from tickwright.app.trader import Trader

POINTS: dict[str, dict[str, object]] = {
    "reply dropped": {"kind": "reply_dropped", "topic": "order.create"},
    "reply past the time-out": {"kind": "reply_delayed", "topic": "order.create", "delay_s": 1.5},
    "error after acceptance": {"kind": "reply_error", "topic": "order.create"},
    "cut before booking": {"kind": "cut_before_booking", "topic": "trade.order.create"},
    "cut after booking": {"kind": "cut_after_booking", "topic": "trade.order.create"},
    "page for JSON": {"kind": "reply_html", "topic": "order.create"},
}
INTENTS = {"ci": 60, "nightly": 10_000}
SHARE = 0.2


def barrage(trader: Trader) -> Barrage:
    """The one strategy of a trader."""
    (run,) = trader.engine.state.runs.values()
    assert isinstance(run.strategy, Barrage)
    return run.strategy


async def barrage_through(world: World, result: Result, *, intents: int, by_rest: bool) -> None:
    """Run a barrage to its end, and compare both sides."""
    async with scratch() as folder:
        wanted = settings(world, folder, intents=intents, taking_percent=10)
        if by_rest:
            accounts = tuple(replace(one, orders_by_rest=True) for one in wanted.accounts)
            wanted = replace(wanted, accounts=accounts)
        async with trading(wanted) as trader:
            strategy = barrage(trader)
            came = await until(lambda: strategy.made >= intents, 30 + intents)
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
    for duplicate in await world.duplicates():
        result.check(is_true=False, otherwise=duplicate)


@row("R1", "duplicate order after a time-out")
async def lost_answers(size: Size, rng: Random) -> Result:
    """Every fault point of a create, at a share of the intents, by socket and by REST."""
    result = Result()
    for point, fault in POINTS.items():
        async with venue(seed=rng.getrandbits(30)) as world:
            await world.arm(**fault, probability=SHARE)
            before = len(result.violations)
            by_rest = point == "page for JSON"
            await barrage_through(world, result, intents=INTENTS[size], by_rest=by_rest)
            result.runs += INTENTS[size]
            result.violations[before:] = [f"{point}: {one}" for one in result.violations[before:]]
    return result
