"""R23: a venue that changes or lies on the private side: read what is known, guess nothing."""

import json
from functools import partial
from random import Random

from tests.campaigns.chaos.requests import barrage, lived_through
from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import scratch, settings, until, venue
from tests.integration.app.trading import trading
from tests.unit.venues.bybit.accounts import (
    ACCOUNT,
    Listener,
    credentials,
    instrument_by_id,
    instrument_of,
)
from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.faults import FaultKind, damage
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.bybit.private import PrivateSession
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.trade import TradeSession

LIES = (
    "unknown_fields",
    "unknown_enum",
    "missing_field",
    "wrong_symbol",
    "long_number",
    "truncated",
    "garbage",
    "html",
)
TOPICS = ("order*", "execution*", "position*", "wallet*")
LIE_INTENTS = {"ci": 30, "nightly": 2_000}
FRAMES = {"ci": 20_000, "nightly": 1_000_000}


@row("R23", "exchange changes or lies")
async def lies(size: Size, rng: Random) -> Result:
    """Every damage on the private stream while trading, and mutated frames by the thousand."""
    result = Result()

    async def play(part: Result, *, kind: str, seed: int) -> None:
        async with venue(seed=seed) as world:
            for topic in TOPICS:
                if (kind, topic) == ("unknown_enum", "execution*"):
                    continue  # What nobody can book halts the instrument: see below.
                await world.arm(
                    kind=kind, category="private", topic=topic, probability=0.2, count=0
                )
            await lived_through(world, part, intents=LIE_INTENTS[size], taking_percent=40)
            part.runs += LIE_INTENTS[size]
            for duplicate in await world.duplicates():
                part.check(is_true=False, otherwise=duplicate)

    await together(
        result,
        [(kind, partial(play, kind=kind, seed=rng.getrandbits(30))) for kind in LIES],
    )
    await unknown_kind(result, rng)
    fuzz(result, rng, FRAMES[size])
    return result


async def unknown_kind(result: Result, rng: Random) -> None:
    """An execution of a kind nobody knows: not booked, not guessed, nothing opened after it.

    Told again as what it is, by the next reading, it is booked once; and then a person may lift the
    halt and trading goes on.
    """
    async with venue(seed=rng.getrandbits(30)) as world, scratch() as folder:
        wanted = settings(world, folder, intents=10**9, taking_percent=60, live_max=4)
        async with trading(wanted) as trader:
            await until(lambda: barrage(trader).made > 10, 20.0)
            await world.arm(kind="unknown_enum", category="private", topic="execution*")
            came = await until(lambda: bool(trader.engine.summary().halted_instruments), 20.0)
            armed, hit = await world.struck()
            result.armed += armed
            result.hit += hit
            result.runs += 1
            result.check(is_true=came, otherwise="an unknown kind of execution halted nothing")
            await until(lambda: False, 0.3)
            before = world.booked()
            await until(lambda: False, 1.5)
            result.check(is_true=world.booked() == before, otherwise="orders after an unknown kind")
            for difference in await world.agrees(trader):
                result.check(is_true=False, otherwise=difference)
            resume = OperatorCommand(OperatorVerb.RESUME, "all", "looked at")
            trader.door.on_input(resume, utc_now_ns())
            came = await until(lambda: world.booked() > before, 10.0)
            result.check(is_true=came, otherwise="no order after the halt was lifted")
        history = await world.history(folder, result)
        result.runs += len(history.executions)


def fuzz(result: Result, rng: Random, count: int) -> None:
    """Read mutants of real frames: nothing may raise, and what is told must be of this account."""
    host = Listener()
    rows = RowReader(ACCOUNT, instrument_of)
    private = PrivateSession(credentials(), rows, host)
    trade = TradeSession(ACCOUNT, credentials(), OrderEncoder(instrument_by_id), host)
    frames = [
        path.read_bytes()
        for path in sorted(SAMPLES.rglob("*.json"))
        if isinstance(json.loads(path.read_bytes()), dict)
    ]
    kinds = [FaultKind(kind) for kind in LIES]
    for number in range(count):
        frame = rng.choice(frames)
        frame = damage(rng.choice(kinds), frame, rng) if number % 2 else mutated(rng, frame)
        result.runs += 1
        result.armed += 1
        result.hit += 1
        host.events.clear()
        host.told.clear()
        for session in (private, trade):
            try:
                session.on_frame(frame, number)
            except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
                result.check(is_true=False, otherwise=f"{error!r} for {frame[:200]!r}")
        for event in host.events:
            account_id = getattr(event, "account_id", ACCOUNT)
            result.check(is_true=account_id == ACCOUNT, otherwise=f"of another account: {event}")


def mutated(rng: Random, frame: bytes) -> bytes:
    """Flip, cut, repeat or swap a few bytes of a frame."""
    raw = bytearray(frame)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw))
        what = rng.randrange(4)
        if what == 0:
            raw[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            del raw[at : at + rng.randrange(1, 20)]
        elif what == 2:
            raw[at:at] = raw[at : at + rng.randrange(1, 20)]
        else:
            raw[at] = rng.choice(b'0123456789-."{}[]:,eE')
        if not raw:
            raw += b"{"
    return bytes(raw)
