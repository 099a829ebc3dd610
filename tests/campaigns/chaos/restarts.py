"""R4 and R13: killed at every step, or with its files damaged, a trader comes back to the truth."""

import asyncio
import binascii
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from msgspec.structs import replace

from tests.campaigns.chaos._crashing import NEVER, STEPS, Addresses, keep_segments, live
from tests.campaigns.chaos._forked import forked
from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import Stopwatch, World, scratch, settings, until, venue
from tests.integration.app.trading import trading
from tickwright.core.errors import StorageError
from tickwright.storage.journal import segments
from tickwright.storage.kept_state import KEPT_STATE_FILE

READY_S_MAX = 5.0
"""From the start until every order of the venue is known or gone and the positions are equal."""

STEP_RUNS = {"ci": 1, "nightly": 200}


@row("R4", "orphan order after a crash")
async def crashes(size: Size, rng: Random) -> Result:
    """Killed at each step of the order path, each at a random passing; then started again."""
    result = Result(timed="until in order")
    await together(
        result,
        [
            (step, partial(crash_once, step=step, rng=Random(rng.getrandbits(30))))
            for step in STEPS
            for _ in range(STEP_RUNS[size])
        ],
    )
    return result


async def crash_once(result: Result, *, rng: Random, step: str) -> None:
    """Kill a trader at a step and start it again; compare with the venue."""
    keep_segments()
    result.runs += 1
    result.armed += 1
    parameters = {"intents": 200, "taking_percent": 30, "live_max": 4}
    async with venue(seed=rng.getrandbits(30)) as world, scratch() as folder:
        arguments = (Addresses.of(world), str(folder), step, rng.randrange(1, 6), parameters)
        code = await forked(live, *arguments, "session-1").wait()
        result.check(is_true=code == -signal.SIGKILL, otherwise=f"ended with {code}, not killed")
        result.hit += code == -signal.SIGKILL
        await comes_back(world, result, folder)
        await world.history(folder, result, was_killed=True)
        for duplicate in await world.duplicates():
            result.check(is_true=False, otherwise=duplicate)


async def comes_back(world: World, result: Result, folder: Path) -> None:
    """Start a trader that wants nothing on a state folder, and compare it with the venue."""
    wanted = replace(settings(world, folder, intents=0), session_folder=folder / "session-2")
    watch = Stopwatch()
    async with trading(wanted) as trader:
        found = await world.strangers(trader)
        while found and watch.seconds < READY_S_MAX:
            await asyncio.sleep(0.02)
            found = await world.strangers(trader)
        result.seconds.append(watch.seconds)
        for stranger in found:
            result.check(is_true=False, otherwise=f"after {READY_S_MAX:g} s: {stranger}")
        for difference in await world.agrees(trader):
            result.check(is_true=False, otherwise=difference)
        # Adopted on both sides is agreement already: their cancels are on the way.
        watch = Stopwatch()
        await until(
            lambda: not world.ledger_now()["open_orders"] or watch.seconds > READY_S_MAX, 60.0
        )
        left = world.ledger_now()["open_orders"]
        result.check(is_true=not left, otherwise=f"{len(left)} orders stay open")
        halted = trader.engine.summary().halted_instruments
        result.check(is_true=not halted, otherwise=f"halted: {halted}")


# damaged files ------------------------------------------------------------------------------------


def journal(state: Path) -> Path:
    """The newest segment of a state folder's journal."""
    (folder,) = state.glob("journal-*")
    return segments(folder)[-1]


def put(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def cut(path: Path, rng: Random) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: rng.randrange(1, len(raw))])


def flip(path: Path, rng: Random) -> None:
    raw = bytearray(path.read_bytes())
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def swap(path: Path, old: bytes, new: bytes) -> None:
    """Change the head of a journal as its own writer would have written it."""
    head, _, rest = path.read_bytes().partition(b"\n")
    body = head[9:].replace(old, new)
    assert body != head[9:], "nothing to change"
    path.write_bytes(b"%08x %b\n%b" % (binascii.crc32(body), body, rest))


def lose(state: Path, _: Random) -> None:
    """The whole folder is gone: an empty database."""
    shutil.rmtree(state)


DAMAGE: dict[str, Callable[[Path, Random], None]] = {
    "nothing": lambda state, rng: None,
    "journal cut": lambda state, rng: cut(journal(state), rng),
    "journal bit flipped": lambda state, rng: flip(journal(state), rng),
    "journal of an older form": lambda state, rng: swap(
        journal(state), b'"format":2', b'"format":1'
    ),
    "journal of another account": lambda state, rng: swap(
        journal(state), b"bybit:main", b"bybit:other"
    ),
    "journal emptied": lambda state, rng: put(journal(state), b""),
    "journal lost": lambda state, rng: shutil.rmtree(journal(state).parent),
    "trading state cut": lambda state, rng: cut(state / KEPT_STATE_FILE, rng),
    "trading state flipped": lambda state, rng: flip(state / KEPT_STATE_FILE, rng),
    "epoch is no number": lambda state, rng: put(state / "epoch", b"later"),
    "epoch set back": lambda state, rng: put(state / "epoch", b"7\n"),
    "fence cut": lambda state, rng: cut(state / "fence", rng),
    "everything lost": lose,
}
READABLE = frozenset({"nothing", "epoch set back"})
"""After these the history of both runs is whole, and is checked."""
REFUSED = frozenset(
    {
        "journal of an older form",
        "journal of another account",
        "trading state cut",
        "epoch is no number",
        "fence cut",
    }
)
"""What must not be started on, whatever else could be done."""
RESTARTS = {"ci": 1, "nightly": 77}


@row("R13", "restart loses state")
async def restarts(size: Size, rng: Random) -> Result:
    """Killed at any moment, its files damaged: refused with the remedy, or equal to the venue."""
    result = Result(timed="until in order")
    await together(
        result,
        [
            (what, partial(restart_once, what=what, rng=Random(rng.getrandbits(30))))
            for what in DAMAGE
            for _ in range(RESTARTS[size])
        ],
    )
    return result


async def restart_once(result: Result, *, rng: Random, what: str) -> None:
    """Kill a trader anywhere, damage its files, start it again."""
    keep_segments()
    result.runs += 1
    parameters = {"intents": 10_000, "taking_percent": 30, "live_max": 4}
    async with venue(seed=rng.getrandbits(30)) as world, scratch() as folder:
        arguments = (Addresses.of(world), str(folder), NEVER, 0, parameters)
        process = forked(live, *arguments, "session-1")
        await until(lambda: world.booked() >= 5, 20.0)
        await asyncio.sleep(rng.random() * 0.2)
        process.kill()
        result.armed += 1
        result.hit += await process.wait() == -signal.SIGKILL
        state = folder / "state"
        if what.startswith("trading state") and not (state / KEPT_STATE_FILE).exists():
            (state / KEPT_STATE_FILE).write_text('{"format":"tickwright trading state"}')
        DAMAGE[what](state, rng)
        try:
            await comes_back(world, result, folder)
        except StorageError as refusal:
            has_remedy = str(folder) in str(refusal) and len(str(refusal)) > 40
            result.check(is_true=has_remedy, otherwise=f"refused without a remedy: {refusal}")
            result.check(is_true=what != "nothing", otherwise=f"refused: {refusal}")
        else:
            result.check(is_true=what not in REFUSED, otherwise="started all the same")
            if what in READABLE:
                await world.history(folder, result, was_killed=True)
