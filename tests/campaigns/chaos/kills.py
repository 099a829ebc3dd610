"""R21 and R22: whatever state the trader is in, the switch and the watchdog leave nothing open."""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import World, scratch, until, venue
from tests.integration.kill import quoting, test_kill
from tests.integration.simulator_private.client import Client

NEW_S_MAX = 0.1
"""From the switch on; what is on the wire by then arrives."""
ZERO_S_MAX = 2.0
FREEZE_S_MAX = 10.0
PROCESSES_AT_ONCE = 2
BUSY_FROM = 5


@dataclass(slots=True)
class Killed:
    """A trader in a process, with a watchdog beside it."""

    world: World
    folder: Path
    trader: Process
    port: int

    @property
    def config(self) -> str:
        return str(self.folder / "run.toml")

    @property
    def state(self) -> Path:
        return self.folder / "sessions" / "state"

    def plain(self) -> list[dict[str, Any]]:
        """What is open at the venue and no protection."""
        return [one for one in self.world.ledger_now()["open_orders"] if not one["reduceOnly"]]

    def created(self) -> list[int]:
        """When each order of ours was made there, in milliseconds."""
        account = self.world.ledger_now()
        rows = [*account["open_orders"], *account["closed_orders"]]
        return [int(one["createdTime"]) for one in rows if one["orderLinkId"]]

    async def none_open(self, seconds: float) -> float | None:
        """Wait until nothing plain is open; when that was, or None."""
        deadline = time.monotonic() + seconds
        while self.plain():
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.02)
        return time.time()


async def tickwright(*arguments: str) -> Process:
    """Start the program; what it says goes to where nobody looks."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tickwright", *arguments, stdout=DEVNULL, stderr=DEVNULL
    )


@asynccontextmanager
async def trading_process(
    seed: int, *, has_rule: bool = False, **options: Any
) -> AsyncIterator[Killed]:
    """A busy trader and a watchdog in processes of their own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    async with venue(seed=seed, **options) as world, scratch() as folder:
        shutil.copy(Path(quoting.__file__), folder / "quoting.py")
        text = test_kill.CONFIG.format(venue=world.running) + f"listen_port = {port}\n"
        if has_rule:
            text = text.replace(LIMIT, RULE) + 'on = ["daily_loss"]\n'
        (folder / "run.toml").write_text(text)
        dog = await tickwright("watchdog", str(folder / "run.toml"))
        trader = await tickwright("run", str(folder / "run.toml"))
        killed = Killed(world, folder, trader, port)
        try:
            await until(lambda: len(killed.plain()) >= BUSY_FROM, 30.0)
            yield killed
        finally:
            for process in (trader, dog):
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(signal.SIGCONT)
                        process.kill()
                await process.wait()


# the switch ---------------------------------------------------------------------------------------


async def by_command(killed: Killed) -> None:
    await (await tickwright("kill", killed.config)).wait()


async def by_signal(killed: Killed) -> None:
    killed.trader.send_signal(signal.SIGUSR1)


async def by_file(killed: Killed) -> None:
    (killed.state / "KILL").write_text("the office is on fire")


async def by_request(killed: Killed) -> None:
    token = (killed.state / "watchdog-token").read_text()
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"http://127.0.0.1:{killed.port}/kill",
            json={"reason": "by hand"},
            headers={"Authorization": f"Bearer {token}"},
        ) as answer,
    ):
        await answer.read()


async def by_rule(killed: Killed) -> None:
    """The position loses more than a day may."""
    await killed.world.tell("mark", symbol="BTCUSDT", mark="58000")


ENTRIES: dict[str, Callable[[Killed], Awaitable[None]]] = {
    "command": by_command,
    "signal": by_signal,
    "file": by_file,
    "request": by_request,
    "rule": by_rule,
}
CONDITIONS = ("healthy", "sockets down", "REST fails thrice", "budget full", "strategy stuck")
LIMIT = "deny_conflicting_position = false\n"
RULE = f'{LIMIT}daily_loss_percent_max = "0.05"\n'


@row("R21", "kill switch that does not kill")
async def kills(size: Size, rng: Random) -> Result:
    """Each entry, in each state of the world: nothing new, and nothing left open."""
    result = Result(timed="until none is open")
    pairs = [
        (entry, condition)
        for entry, condition in product(ENTRIES, CONDITIONS)
        # A strategy that never returns can't break a rule: the watchdog's own row has that.
        if (entry, condition) != ("rule", "strategy stuck")
    ]
    if size == "ci":
        # Every entry and every condition at least once.
        pairs = [one for number, one in enumerate(pairs) if number % 6 == 0]
        pairs += [("rule", "healthy"), ("command", "strategy stuck")]
    plays = [
        (f"{entry}, {condition}", partial(kill_once, entry, condition, rng.getrandbits(30)))
        for entry, condition in pairs
    ]
    await together(result, plays, at_once=PROCESSES_AT_ONCE)
    return result


async def kill_once(entry: str, condition: str, seed: int, result: Result) -> None:
    """Throw the switch once and judge by the venue's ledger."""
    result.runs += 1
    result.armed += 1
    options = {"rate_scale": 0.2} if condition == "budget full" else {}
    async with trading_process(seed, has_rule=entry == "rule", **options) as killed:
        is_busy = len(killed.plain()) >= BUSY_FROM
        result.check(is_true=is_busy, otherwise="the trader never got busy")
        if not is_busy:
            return
        await bring_about(killed, condition)
        began = time.time()
        await ENTRIES[entry](killed)
        is_healthy = condition in ("healthy", "sockets down", "strategy stuck")
        record = killed.state / "kill.json"
        result.check(
            is_true=await until(record.exists, 15.0), otherwise="the switch was never thrown"
        )
        at = await killed.none_open(20.0)
        result.check(is_true=at is not None, otherwise="orders stay open")
        if at is None:
            return
        order = json.loads((killed.state / "kill.json").read_text())
        thrown_ms = order["asked_ns"] / 1e6
        await asyncio.sleep(1.0)
        late = [one for one in killed.created() if one > thrown_ms + NEW_S_MAX * 1e3]
        result.check(is_true=not late, otherwise=f"{len(late)} orders after the switch")
        result.check(is_true=not killed.plain(), otherwise="orders came back")
        took = max(0.0, at - thrown_ms / 1e3)
        result.seconds.append(took)
        if is_healthy:
            result.check(is_true=took < ZERO_S_MAX, otherwise=f"open for {took:.2f} s")
        result.hit += began * 1e3 <= thrown_ms + 1.0
        again = await tickwright("run", killed.config, "--seconds", "1")
        code = await again.wait()
        result.check(is_true=code == 2, otherwise=f"a restart was not refused: {code}")


async def bring_about(killed: Killed, condition: str) -> None:
    """Put the world into a state in which killing is hard."""
    if condition == "sockets down":
        await killed.world.arm(kind="outage", duration_s=20.0)
    elif condition == "REST fails thrice":
        await killed.world.arm(kind="reply_error", topic="rest.order.cancel-all", count=3)
    elif condition == "strategy stuck":
        (killed.folder / "hang").write_text("")
        await asyncio.sleep(0.3)


# the watchdog -------------------------------------------------------------------------------------


async def frozen(killed: Killed) -> None:
    killed.trader.send_signal(signal.SIGSTOP)


async def looping(killed: Killed) -> None:
    (killed.folder / "hang").write_text("")


async def crashed(killed: Killed) -> None:
    killed.trader.kill()


FREEZES = {"SIGSTOP": frozen, "busy loop": looping, "SIGKILL": crashed}
FREEZE_RUNS = {"ci": 1, "nightly": 30}


@row("R22", "alive and brain-dead")
async def freezes(size: Size, rng: Random) -> Result:
    """A trader that shows no life loses its orders; one whose disk is full opens none."""
    result = Result(timed="until none is open")
    plays = [
        (what, partial(freeze_once, freeze, rng.getrandbits(30)))
        for what, freeze in FREEZES.items()
        for _ in range(FREEZE_RUNS[size])
    ]
    plays += [
        ("full disk", partial(disk_full_once, rng.getrandbits(30)))
        for _ in range(FREEZE_RUNS[size])
    ]
    await together(result, plays, at_once=PROCESSES_AT_ONCE)
    return result


async def freeze_once(
    freeze: Callable[[Killed], Awaitable[None]], seed: int, result: Result
) -> None:
    """Stop a trader's brain and wait for the watchdog."""
    result.runs += 1
    result.armed += 1
    async with trading_process(seed) as killed:
        result.check(is_true=len(killed.plain()) >= 5, otherwise="the trader never got busy")
        began = time.time()
        await freeze(killed)
        at = await killed.none_open(FREEZE_S_MAX)
        result.check(is_true=at is not None, otherwise="orders stay open")
        if at is not None:
            result.hit += 1
            result.seconds.append(at - began)


async def disk_full_once(seed: int, result: Result) -> None:
    """No file of the trader may grow any more: nothing is opened, and what is open can go."""
    result.runs += 1
    result.armed += 1
    async with trading_process(seed) as killed:
        pid = killed.trader.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        await asyncio.sleep(0.3)
        before = len(killed.created())
        # Somebody takes the resting orders away: the strategy wants new ones at once.
        kill = await tickwright_cancel(killed)
        result.check(is_true=kill, otherwise="nothing could be cancelled")
        await asyncio.sleep(2.0)
        new = len(killed.created()) - before
        result.check(is_true=new == 0, otherwise=f"{new} orders on a full disk")
        result.check(is_true=not killed.plain(), otherwise="orders stay open")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        began = time.time()
        at = await killed.none_open(FREEZE_S_MAX)
        result.check(is_true=at is not None, otherwise="orders stay open at the end")
        result.hit += 1
        if at is not None:
            result.seconds.append(at - began)


async def tickwright_cancel(killed: Killed) -> bool:
    """Cancel every order of the account as a person at the venue's own page would."""
    async with aiohttp.ClientSession() as http:
        answer = await Client(killed.world.running, http).post(
            "/v5/order/cancel-all", category="linear", settleCoin="USDT", orderFilter="Order"
        )
    return bool(answer["retCode"] == 0)
