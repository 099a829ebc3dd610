"""Owns looking after a trader from outside: a silent one is killed; orders are taken over HTTP.

It shares a page of memory and the state folder with the trader, and nothing else: a frozen loop, a
stopped process, a crash look the same from here. It refuses to judge anything but signs of life.
"""

import asyncio
import contextlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from tickwright.app.kill import KillReport
from tickwright.app.kill_entries import KILL_FILE
from tickwright.core.errors import StorageError
from tickwright.storage.fence import FenceState, look
from tickwright.storage.kill_order import KillScope, read_kill_order

__all__ = ["KillCall", "Watchdog", "WatchdogState"]

LOOK_EVERY_S = 0.1
BODY_BYTES_MAX = 4_096
TOKEN_FILE = "watchdog-token"  # noqa: S105 - a file's name

KillCall = Callable[[str, str, KillScope | None, bool | None], Awaitable[KillReport]]
"""Throws the switch: (by, reason, scope, flatten)."""


class KillWish(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /kill` takes; None leaves what the configuration says."""

    reason: str = "asked for over HTTP"
    scope: KillScope | None = None
    flatten: bool | None = None


class WatchdogState(msgspec.Struct, kw_only=True):
    """What `GET /status` answers."""

    trader: str
    """none, alive, silent, ended or killed."""
    silence_s: float | None
    heartbeat_s_max: float
    kill: str = ""
    kills: int = 0


class Watchdog:
    """Watches one state folder until it is cancelled.

    Args:
        kill: throws the switch.
        heartbeat_s_max: how long the trader may show no life.
        say: called with what a person should see.
    """

    def __init__(
        self, folder: Path, kill: KillCall, *, heartbeat_s_max: float, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._kill = kill
        self._heartbeat_s_max = heartbeat_s_max
        self._say = say
        self._lock = asyncio.Lock()
        self._kills = 0
        self._handled_epoch = 0
        self._fault = ""
        self.is_killing = False
        """A kill was begun and the venue has not shown its end yet."""

    async def run(self) -> None:
        """Look several times a second; act on silence and on the file."""
        await self._go_on()
        while True:
            began = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)
            if time.monotonic() - began > 10 * LOOK_EVERY_S:
                # We were stopped ourselves: the trader gets the chance to show life first.
                continue
            try:
                await self._look()
                self._fault = ""
            except StorageError as error:
                if str(error) != self._fault:
                    self._say(str(error))
                self._fault = str(error)

    async def _go_on(self) -> None:
        """Finish what an earlier process began and didn't live to see done."""
        try:
            order = read_kill_order(self._folder)
        except StorageError as error:
            self._say(str(error))
            return
        if order is not None and not order.done_ns:
            self._say("a kill was begun here and not seen done: going on with it")
            await self.throw(order.by, order.reason, order.scope, order.flatten)

    async def _look(self) -> None:
        if self._kill_file().exists() and read_kill_order(self._folder) is None:
            words = ""
            with contextlib.suppress(OSError):
                words = self._kill_file().read_text(errors="replace")[:200].strip()
            await self.throw("file", words or f"{KILL_FILE} was made")
            return
        page = look(self._folder)
        if page is None or not self._is_silent(page) or page.epoch == self._handled_epoch:
            return
        what = "shows no life" if page.lives else "is gone without having ended in order"
        self._handled_epoch = page.epoch
        await self.throw(
            "watchdog", f"the trader (process {page.pid}) {what} for {page.silence_s():.1f} s"
        )

    def _is_silent(self, page: FenceState) -> bool:
        return (
            page.epoch > 0
            and not page.has_ended
            and not page.is_revoked
            and page.silence_s() > self._heartbeat_s_max
        )

    async def throw(
        self,
        by: str,
        reason: str,
        scope: KillScope | None = None,
        flatten: bool | None = None,  # noqa: FBT001 - the shape of KillCall
    ) -> KillReport:
        """Throw the switch; one at a time."""
        async with self._lock:
            self._say(f"kill switch by {by}: {reason}")
            self.is_killing = True
            report = await self._kill(by, reason, scope, flatten)
            self.is_killing = not report.is_done
            self._kills += 1
            self._say(f"kill {'done' if report.is_done else 'NOT done'} in {report.seconds:.2f} s")
            return report

    def state(self) -> WatchdogState:
        """Return how the trader stands.

        Raises:
            StorageError: the page or the record can't be read.
        """
        page = look(self._folder)
        order = read_kill_order(self._folder)
        if page is None or not page.epoch:
            trader, silence = "none", None
        else:
            silence = page.silence_s()
            if page.is_revoked:
                trader = "killed"
            elif page.has_ended:
                trader = "ended"
            else:
                trader = "silent" if silence > self._heartbeat_s_max else "alive"
        return WatchdogState(
            trader=trader,
            silence_s=silence,
            heartbeat_s_max=self._heartbeat_s_max,
            kill="" if order is None else order.words(),
            kills=self._kills,
        )

    def _kill_file(self) -> Path:
        return self._folder / KILL_FILE

    # over HTTP ------------------------------------------------------------------------------------

    def app(self) -> web.Application:
        """Return `GET /status` and `POST /kill`; both want the token of the state folder."""
        token = self._token()

        @web.middleware
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return web.json_response({"error": "wrong or missing token"}, status=401)
            return await handler(request)

        app = web.Application(middlewares=[guard], client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/status", self._get_status)
        app.router.add_post("/kill", self._post_kill)
        return app

    async def _get_status(self, request: web.Request) -> web.Response:
        try:
            return _json(self.state())
        except StorageError as error:
            return web.json_response({"error": str(error)}, status=500)

    async def _post_kill(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            wish = msgspec.json.decode(body, type=KillWish) if body else KillWish()
        except msgspec.MsgspecError as error:
            return web.json_response({"error": str(error)}, status=400)
        report = await self.throw("api", wish.reason[:200], wish.scope, wish.flatten)
        return _json(report, status=200 if report.is_done else 503)

    def _token(self) -> str:
        """Make the secret that callers must show; only the owner of the folder can read it."""
        path = self._folder / TOKEN_FILE
        token = secrets.token_urlsafe(32)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(token)
        except OSError as error:
            raise StorageError(f"{path} can't be written: {error.strerror}") from None
        return token


def _json(answer: msgspec.Struct, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer), status=status, content_type="application/json"
    )
