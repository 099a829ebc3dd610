"""Owns the verb's work: the kill switch from a configuration, its lifting; refuses to ask twice."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from tickwright.app.kill import KillReport, KillSwitch
from tickwright.app.kill_entries import KILL_FILE
from tickwright.app.kill_target import KillTarget
from tickwright.core.errors import ConfigError
from tickwright.net.listener import utc_now_ns
from tickwright.storage.fence import look
from tickwright.storage.kill_order import KillOrder, KillScope, lift, read_kill_order

__all__ = ["kill", "lift_kill"]


async def kill(
    target: KillTarget,
    *,
    by: str,
    reason: str,
    scope: KillScope | None = None,
    flatten: bool | None = None,
    timeout_s: float | None = None,
    ends_trader: bool = True,
    say: Callable[[str], None],
) -> KillReport:
    """Throw the kill switch; None takes what `[kill]` says.

    Raises:
        ConfigError: where a venue is, is not known.
        StorageError: it is done, and can't be written down.
    """
    wanted = target.file.kill
    order = KillOrder(
        reason=reason,
        by=by,
        scope=wanted.scope if scope is None else scope,
        flatten=wanted.flatten if flatten is None else flatten,
        asked_ns=utc_now_ns(),
    )
    for name in target.borrowed:
        say(f"{name}: no key of the switch's own; the trader's serves (its request budget too)")
    if order.scope == "account":
        say("scope account: every plain order of the account goes, whoever placed it")
    async with target.clients() as clients:
        switch = KillSwitch(
            target.folder, clients, say=say, inside=target.inside, ends_trader=ends_trader
        )
        return await switch.carry_out(order, timeout_s=timeout_s)


def lift_kill(folder: Path) -> KillOrder:
    """Let traders of a state folder start again; returns what was lifted.

    Raises:
        ConfigError: nothing was thrown.
        StorageError: it can't be lifted.
    """
    order = read_kill_order(folder)
    page = look(folder)
    if order is None and (page is None or not page.revoked_epoch):
        raise ConfigError(f"no kill switch was thrown in {folder}: there is nothing to lift")
    lift(folder)
    with contextlib.suppress(FileNotFoundError):
        (folder / KILL_FILE).unlink()
    return order or KillOrder(reason="", by="", scope="account", flatten=False, asked_ns=0)
