"""Owns the kill switch: fence the trader, cancel until the venue shows nothing, flatten if asked.

It runs in a process of its own with a key of its own, and needs nothing of the trader: no strategy,
no instrument list, no socket. It refuses to be content with an answer: only an empty list of open
orders, read twice, is the end.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from tickwright.core.errors import ConnectionLost, FrameError, StorageError, VenueError
from tickwright.execution.client_ids import ClientIds
from tickwright.net.listener import utc_now_ns
from tickwright.storage.fence import look
from tickwright.storage.kill_order import KillOrder, throw
from tickwright.venues.port import EmergencyClient, RestingOrder

__all__ = ["AccountKill", "KillReport", "KillSwitch"]

LOOK_AGAIN_S = 0.5
"""Nothing open must be read twice, so far apart: what was under way at the fence shows by then."""
RETRY_S = (0.02, 0.1, 0.2, 0.25)
"""Waits between tries; the last one repeats for ever."""
TRADER_STOPS_S = 1.0
"""A trader that still lives so long after its fence fell is ended."""
STEP_S = 0.02
_FAULTS = (ConnectionLost, FrameError, VenueError, OSError, TimeoutError)


class AccountKill(msgspec.Struct, kw_only=True):
    """What was done for one account; seconds count from the switch."""

    account: str
    cancelled: int = 0
    """Orders the venue named as cancelled; a repeated call may name one twice."""
    open_orders: int | None = None
    """Plain orders open at the last look; None while nobody could look."""
    stops_left: int | None = None
    positions_left: int | None = None
    """None unless flattening was asked for."""
    zero_orders_s: float | None = None
    flat_s: float | None = None
    tries: int = 0
    last_fault: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the venue showed that nothing is open any more."""
        return self.zero_orders_s is not None and not self.positions_left


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole kill; `trader` is none, ended_by_itself, ended or unknown."""

    order: KillOrder
    accounts: tuple[AccountKill, ...]
    trader: str
    fence_ms: float
    seconds: float
    record_fault: str = ""

    @property
    def is_done(self) -> bool:
        """Whether every account is done and no trader is left that could open anything."""
        return all(one.is_done for one in self.accounts) and self.trader != "unknown"


class KillSwitch:
    """Carries a kill order out at the accounts of one state folder.

    Args:
        clients: by account name, each with the kill switch's own key.
        say: called with what a person should see.
        inside: accounts whose venue lives inside the run: with it gone there is nothing to cancel.
        ends_trader: False leaves the trader's process alone (it is fenced all the same).
    """

    def __init__(
        self,
        folder: Path,
        clients: dict[str, EmergencyClient],
        *,
        say: Callable[[str], None],
        inside: frozenset[str] = frozenset(),
        ends_trader: bool = True,
    ) -> None:
        self._inside = inside
        self._folder = folder
        self._clients = clients
        self._say = say
        self._ends_trader = ends_trader
        self._is_over = False

    async def carry_out(self, order: KillOrder, *, timeout_s: float | None = None) -> KillReport:
        """Do it, trying until the venue shows it or `timeout_s` have passed.

        The fence falls before anything else, and what can't be written down is done all the same.
        """
        began = time.monotonic()
        fault = ""
        try:
            throw(self._folder, order)
        except StorageError as error:
            fault = str(error)
            self._say(f"{fault}: the trader is ended, and the orders are cancelled all the same")
        fence_ms = (time.monotonic() - began) * 1e3
        self._say(f"the fence is down after {fence_ms:.1f} ms: nothing new can be sent")
        accounts = [AccountKill(account=name) for name in self._clients]
        trader = asyncio.create_task(self._end_trader())
        work = [asyncio.create_task(self._one(account, order, began)) for account in accounts]
        try:
            done, _ = await asyncio.wait(work, timeout=timeout_s)
            for account_done in done:
                account_done.result()
            ended = await trader
        finally:
            # Whatever ends this, nothing of it goes on: a cancelled task may still swallow its end.
            self._is_over = True
            trader.cancel()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, trader, return_exceptions=True)
        if all(account.is_done for account in accounts) and not fault:
            order = msgspec.structs.replace(order, done_ns=utc_now_ns())
            throw(self._folder, order)
        return KillReport(
            order=order,
            accounts=tuple(accounts),
            trader=ended,
            fence_ms=fence_ms,
            seconds=time.monotonic() - began,
            record_fault=fault,
        )

    # one account ----------------------------------------------------------------------------------

    async def _one(self, account: AccountKill, order: KillOrder, began: float) -> None:
        client = self._clients[account.account]

        async def synchronise() -> None:
            for category in await client.synchronise():
                self._say(f"{account.account}: the key has no rights on {category.value}: left out")

        async def cancel() -> None:
            await self._until_none(account, client, order)

        # Beside each other: clock and rights are nearly always as expected, and what cancels must
        # not wait for what tells why a cancel was refused.
        beside = asyncio.create_task(self._patiently(account, synchronise))
        try:
            await self._patiently(account, cancel)
        finally:
            beside.cancel()
        if self._is_over:
            return
        account.zero_orders_s = time.monotonic() - began
        self._say(
            f"{account.account}: no plain order is open after {account.zero_orders_s:.2f} s; "
            f"protective stops left: {account.stops_left}"
        )
        if not order.flatten:
            return
        account.positions_left = -1

        async def flatten() -> None:
            await self._until_flat(account, client)

        await self._patiently(account, flatten)
        account.flat_s = time.monotonic() - began
        self._say(f"{account.account}: flat after {account.flat_s:.2f} s, no stop is left")

    async def _patiently(self, account: AccountKill, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat a piece of work until it comes through."""
        tries = 0
        told = ""
        while not self._is_over:
            account.tries += 1
            try:
                await work()
            except _FAULTS as error:
                if account.account in self._inside and not self._trader_lives():
                    self._say(f"{account.account}: its venue ended with the run")
                    account.open_orders = account.stops_left = 0
                    return
                if str(error) != told:
                    self._say(f"{account.account}: {error}; trying on")
                told = account.last_fault = str(error)
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
            else:
                return

    async def _until_none(
        self, account: AccountKill, client: EmergencyClient, order: KillOrder
    ) -> None:
        """Cancel and look until two looks in a row, far enough apart, show no plain order."""
        zeros = 0
        while zeros < 2:
            if order.scope == "account" and not zeros:
                account.cancelled += await client.cancel_all()
            found = await client.orders()
            open_now = _to_cancel(found, order)
            account.open_orders = len(open_now)
            account.stops_left = sum(one.is_protective for one in found)
            if not open_now:
                zeros += 1
                if zeros < 2:
                    await asyncio.sleep(LOOK_AGAIN_S)
                continue
            zeros = 0
            await self._one_by_one(account, client, open_now, order)

    async def _one_by_one(
        self,
        account: AccountKill,
        client: EmergencyClient,
        found: Sequence[RestingOrder],
        order: KillOrder,
    ) -> None:
        """Cancel what no cancel-all takes: our own orders alone, and stops that would open."""
        chosen = [one for one in found if order.scope == "own" or one.is_conditional]
        rate = client.cancels_per_s
        if len(chosen) > rate:
            self._say(
                f"{account.account}: {len(chosen)} orders one by one at {rate} a second: "
                f"about {len(chosen) / rate:.0f} s"
            )
        for one in chosen:
            await client.cancel(one)
            account.cancelled += 1
            await asyncio.sleep(1.0 / rate)

    async def _until_flat(self, account: AccountKill, client: EmergencyClient) -> None:
        while True:
            held = await client.positions()
            account.positions_left = len(held)
            if not held:
                break
            for position in held:
                await client.close(position)
            await asyncio.sleep(RETRY_S[1])
        # Only now: while something was held its stops were its protection.
        while True:
            await client.cancel_stops()
            found = await client.orders()
            account.stops_left = sum(one.is_protective for one in found)
            if not found:
                return
            for one in found:
                await client.cancel(one)
            await asyncio.sleep(RETRY_S[1])

    # the trader -----------------------------------------------------------------------------------

    def _trader_lives(self) -> bool:
        page = look(self._folder)
        return page is not None and page.lives

    async def _end_trader(self) -> str:
        """Wait for the fenced trader to end; end it when it doesn't."""
        try:
            page = look(self._folder)
        except StorageError as error:
            self._say(str(error))
            return "unknown"
        if page is None or page.has_ended or not page.lives:
            return "none"
        if not self._ends_trader:
            return "fenced"
        deadline = time.monotonic() + TRADER_STOPS_S
        while time.monotonic() < deadline:
            await asyncio.sleep(STEP_S)
            if not page.lives:
                return "ended_by_itself"
        self._say(f"the trader (process {page.pid}) doesn't end by itself: ending it")
        with contextlib.suppress(ProcessLookupError):
            try:
                os.kill(page.pid, signal.SIGKILL)
            except PermissionError:
                self._say(f"process {page.pid} is not ours to end; it is fenced")
                return "unknown"
        return "ended"


def _to_cancel(found: Sequence[RestingOrder], order: KillOrder) -> list[RestingOrder]:
    """Return what must go: everything that could open something, of ours or of everybody."""
    plain = [one for one in found if not one.is_protective]
    if order.scope == "account":
        return plain
    return [
        one for one in plain if ClientIds.is_ours(one.client_id) or ClientIds.is_ours(one.parent_id)
    ]
