"""R21 and R22: whatever state the trader is in, the switch and the watchdog leave nothing open."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.campaigns.chaos._forked import Forked, verb
from tests.campaigns.chaos.rows import Result, Size, row, together
from tests.campaigns.chaos.world import World, scratch, starved_s, until, venue
from tests.integration.kill import quoting, test_kill
from tests.integration.simulator_private.client import Client
from tickwright.core.errors import StorageError
from tickwright.storage.fence import look
from tickwright.storage.kill_order import kill_order_path, read_kill_order

NEW_S_MAX = 0.1
"""From the fence on; what is on the wire by then arrives."""
ZERO_S_MAX = 2.0
SILENCE_S = 2.0
FREEZE_S_MAX = 10.0
HEARD_S_MAX = 15.0
"""Where the switch can only be thrown later: the sockets are down for eight seconds."""
PATIENCE_S = 25.0
QUIET_S = 0.5
LOOK_S = 0.005
PROCESSES_AT_ONCE = 2
BUSY_FROM = 5


@dataclass(slots=True)
class Killed:
    """A trader in a process, with a watchdog beside it where one was asked for."""

    world: World
    folder: Path
    trader: Forked
    port: int
    pids: set[int]
    """Processes that take part in a kill."""
    waits: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Of each how long it had waited for a processor, at first and last."""

    def starved_s(self) -> float:
        """How long the one that waited longest has waited since this was first called."""
        for pid in self.pids:
            now_s = starved_s(pid)
            first_s, last_s = self.waits.get(pid, (now_s, now_s))
            # What has ended tells nothing any more.
            self.waits[pid] = (first_s, max(last_s, now_s))
        return max(last_s - first_s for first_s, last_s in self.waits.values())

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

    def is_fenced(self) -> bool:
        """Whether the trader may open nothing more."""
        page = look(self.state)
        return page is not None and page.is_revoked

    async def none_open(self, seconds: float) -> float | None:
        """Wait until nothing plain is open; when that was, or None."""
        is_none = await until(lambda: self.starved_s() >= 0 and not self.plain(), seconds)
        return time.time() if is_none else None

    def verb(self, *arguments: str) -> Forked:
        """Start a verb of the program for this trader's configuration."""
        return verb(self.folder / f"{arguments[0]}.out", arguments[0], self.config, *arguments[1:])

    def log(self) -> str:
        """What the processes said last, for a violation."""
        said = [path.read_text() for path in sorted(self.folder.glob("*.out"))]
        return " | ".join(text.strip().replace("\n", " / ")[-300:] for text in said if text)


@asynccontextmanager
async def trading_process(
    seed: int, *, has_rule: bool = False, has_dog: bool = True, **options: Any
) -> AsyncIterator[Killed]:
    """A busy trader in a process of its own, and a watchdog in another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    async with venue(seed=seed, **options) as world, scratch() as folder:
        shutil.copy(Path(quoting.__file__), folder / "quoting.py")
        text = test_kill.CONFIG.format(venue=world.running) + f"listen_port = {port}\n"
        if has_rule:
            text = text.replace(LIMIT, RULE) + 'on = ["daily_loss"]\n'
        config = folder / "run.toml"
        config.write_text(text)
        processes = [verb(folder / "run.out", "run", str(config))]
        if has_dog:
            processes.append(verb(folder / "watchdog.out", "watchdog", str(config)))
        pids = {process.pid for process in processes}
        killed = Killed(world, folder, processes[0], port, pids)
        try:
            await until(lambda: len(killed.plain()) >= BUSY_FROM, PATIENCE_S)
            if has_dog:
                token = killed.state / "watchdog-token"
                await until(lambda: token.exists() and bool(token.read_text()), PATIENCE_S)
            yield killed
        finally:
            for process in processes:
                process.kill()
                await process.wait()


# the switch ---------------------------------------------------------------------------------------


async def by_command(killed: Killed) -> None:
    """As a person would: a program that has to be loaded first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tickwright", "kill", killed.config), stdout=DEVNULL, stderr=DEVNULL
    )
    killed.waits[process.pid] = (0.0, 0.0)
    killed.pids.add(process.pid)
    await process.wait()


async def by_signal(killed: Killed) -> None:
    os.kill(killed.trader.pid, signal.SIGUSR1)


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
HEALTHY, SOCKETS_DOWN, REST_FAILS, BUDGET_FULL, STUCK = CONDITIONS = (
    "healthy",
    "sockets down",
    "REST fails thrice",
    "budget full",
    "strategy stuck",
)
PAIRS = [
    (entry, condition)
    for entry, condition in product(ENTRIES, CONDITIONS)
    # A strategy that never returns can't break a rule: the watchdog's own row has that.
    if (entry, condition) != ("rule", STUCK)
]
LIMIT = "deny_conflicting_position = false\n"
RULE = f'{LIMIT}daily_loss_percent_max = "0.05"\n'
DOWN_S = 8.0
KILL_RUNS = {"ci": 1, "nightly": 10}


@row("R21", "kill switch that does not kill")
async def kills(size: Size, rng: Random) -> Result:
    """Each entry, in each state of the world: nothing new, and nothing left open."""
    result = Result(timed="until none is open")
    plays = [
        (f"{entry}, {condition}", partial(kill_once, entry, condition, rng.getrandbits(30)))
        for _ in range(KILL_RUNS[size])
        for entry, condition in PAIRS
    ]
    await together(result, plays, at_once=PROCESSES_AT_ONCE)
    return result


async def kill_once(entry: str, condition: str, seed: int, result: Result) -> None:
    """Throw the switch once and judge by the venue's ledger."""
    result.runs += 1
    result.armed += 1
    options: dict[str, Any] = {"rate_scale": 0.2} if condition == BUDGET_FULL else {}
    has_dog = entry == "request" or condition == STUCK
    has_rule = entry == "rule"
    async with trading_process(seed, has_rule=has_rule, has_dog=has_dog, **options) as killed:
        is_busy = len(killed.plain()) >= BUSY_FROM
        result.check(is_true=is_busy, otherwise=f"the trader never got busy: {killed.log()}")
        if not is_busy:
            return
        await bring_about(killed, condition)
        killed.starved_s()
        began = time.time()
        acting = asyncio.ensure_future(ENTRIES[entry](killed))
        try:
            is_fenced = await until(
                lambda: killed.starved_s() >= 0 and killed.is_fenced(), PATIENCE_S, step_s=LOOK_S
            )
            fenced = time.time()
            at = await killed.none_open(PATIENCE_S)
            result.check(is_true=is_fenced, otherwise=f"never thrown: {killed.log()}")
            result.check(is_true=at is not None, otherwise=f"orders stay open: {killed.log()}")
            if at is None or not is_fenced:
                return
            judge_times(result, entry, condition, (fenced - began, at - began), killed.starved_s())
            await until(kill_order_path(killed.state).exists, PATIENCE_S)
            result.hit += read_kill_order(killed.state) is not None
            await asyncio.sleep(QUIET_S)
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(acting, PATIENCE_S)
        bound_ms = (fenced + NEW_S_MAX) * 1e3
        late = [one for one in killed.created() if one > bound_ms]
        result.check(is_true=not late, otherwise=f"{len(late)} orders after the switch")
        result.check(is_true=not killed.plain(), otherwise="orders came back")
        has_ended = await until(lambda: killed.trader.code is not None, PATIENCE_S)
        result.check(is_true=has_ended, otherwise="the trader goes on")
        code = await killed.verb("run", "--seconds", "1").wait()
        result.check(is_true=code == 2, otherwise=f"a restart was not refused: {code}")


def judge_times(
    result: Result, entry: str, condition: str, times: tuple[float, float], starved: float
) -> None:
    """Judge how long it took from the act on, and not only from when it was heard of.

    What other programs had the processors for is taken off: the notes have it all.
    """
    fenced_s, zero_s = times
    result.notes.append(
        f"fenced after {fenced_s:.3f} s, none open after {zero_s:.3f} s, "
        f"{starved:.3f} s of it waiting for a processor"
    )
    if (entry, condition) in (("signal", STUCK), ("rule", SOCKETS_DOWN)):
        # Nobody hears it: the watchdog has to find the silence, the price has to come first.
        result.check(is_true=zero_s < HEARD_S_MAX, otherwise=f"open for {zero_s:.2f} s")
        zero_s -= fenced_s
    zero_s = max(0.0, zero_s - starved)
    result.seconds.append(zero_s)
    # With the budget used up the venue wants silence first, and both settle coins draw on it.
    bound_s = ZERO_S_MAX + (SILENCE_S if condition == BUDGET_FULL else 0.0)
    result.check(is_true=zero_s < bound_s, otherwise=f"open for {zero_s:.2f} s")


async def bring_about(killed: Killed, condition: str) -> None:
    """Put the world into a state in which killing is hard."""
    world = killed.world
    if condition == SOCKETS_DOWN:
        await world.arm(kind="outage", duration_s=DOWN_S)
    elif condition == REST_FAILS:
        await world.arm(kind="cut_before_booking", topic="rest.order.cancel-all", count=3)
    elif condition == BUDGET_FULL:
        async with aiohttp.ClientSession() as http:
            client = Client(world.running, http)
            # Somebody else with this account's budget, until there is nothing left of it.
            while (await client.post("/v5/order/cancel-all", **OTHERS_CANCEL))["retCode"] == 0:
                pass
    elif condition == STUCK:
        (killed.folder / "hang").write_text("")
        await asyncio.sleep(0.3)


OTHERS_CANCEL = {"category": "linear", "settleCoin": "USDC", "orderFilter": "Order"}


# the watchdog -------------------------------------------------------------------------------------


async def frozen(killed: Killed) -> None:
    os.kill(killed.trader.pid, signal.SIGSTOP)


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
        result.check(is_true=at is not None, otherwise=f"orders stay open: {killed.log()}")
        if at is None:
            return
        result.hit += 1
        result.seconds.append(at - began)
        await goes_on(killed, result)


async def goes_on(killed: Killed, result: Result) -> None:
    """Lift the switch and start again: both sides' histories agree over both lives."""
    await until(lambda: is_done(killed), FREEZE_S_MAX)
    (killed.folder / "hang").unlink(missing_ok=True)
    codes = [
        await killed.verb("kill", "--lift").wait(),
        await killed.verb("run", "--seconds", "1").wait(),
    ]
    result.check(is_true=codes == [0, 0], otherwise=f"no going on: {codes} {killed.log()}")
    found = killed.folder / "sessions"
    await killed.world.history(found, result, was_killed=True, pattern="2*T*")


def is_done(killed: Killed) -> bool:
    try:
        order = read_kill_order(killed.state)
    except StorageError:
        return False
    return order is not None and order.done_ns > 0


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
