"""Owns the verb's work: a watchdog with its switch and its HTTP door; refuses other hosts."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from aiohttp import web

from tickwright.app.kill import KillReport
from tickwright.app.kill_run import kill
from tickwright.app.kill_target import KillTarget
from tickwright.app.watchdog import Watchdog
from tickwright.app.watchdog_record import watching
from tickwright.storage.kill_order import KillScope

__all__ = ["run_watchdog"]

SHUTDOWN_S = 0.1
"""How long a call by HTTP may still take when the watchdog is told to end: a kill may never end."""
END_S_MAX = 0.5
"""How long its own work may take to stop; what lingers is left to the end of the process."""


async def run_watchdog(target: KillTarget, *, once: bool, say: Callable[[str], None]) -> int:
    """Watch until SIGINT or SIGTERM, or until the switch was thrown; returns the exit code.

    Told to end, it ends within a second, whatever a kill under way is waiting for.

    Raises:
        ConfigError, StorageError: it can't watch.
        OSError: the port is taken.
    """
    stopped = asyncio.Event()

    async def throw(
        by: str,
        reason: str,
        scope: KillScope | None,
        flatten: bool | None,  # noqa: FBT001 - the shape of KillCall
    ) -> KillReport:
        report = await kill(target, by=by, reason=reason, scope=scope, flatten=flatten, say=say)
        if once:
            stopped.set()
        return report

    wanted = target.file.kill
    dog = Watchdog(target.folder, throw, heartbeat_s_max=wanted.heartbeat_s_max, say=say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as stack:
        if wanted.listen_port:
            runner = web.AppRunner(dog.app(), shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", wanted.listen_port).start()
            say(f"listening on http://127.0.0.1:{wanted.listen_port} (token in {target.folder})")
        stack.enter_context(watching(target.folder, wanted.heartbeat_s_max))
        say(f"watching {target.folder}: {wanted.heartbeat_s_max:g} s without life are a kill")
        tasks: set[asyncio.Task[object]] = {
            asyncio.ensure_future(dog.run()),
            asyncio.ensure_future(stopped.wait()),
        }
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=END_S_MAX)
        for task in done:
            task.result()
    if dog.is_killing:
        say("ended while a kill was NOT done: the next watchdog here goes on with it")
        return 1
    return 0
