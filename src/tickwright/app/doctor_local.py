"""Owns the doctor's look at this machine: versions, disk, state folder; refuses to ask a venue."""

import os
import platform
import re
import shutil
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from tickwright import __version__
from tickwright.app.doctor_lines import Findings
from tickwright.app.protections import protections_in
from tickwright.app.status import DISK_BYTES_LOW
from tickwright.app.trader_folder import TraderFolder
from tickwright.app.trader_state import kill_line, trader_line, watchdog_line
from tickwright.core.errors import StorageError
from tickwright.net.listener import PICOWS_BUILT_AGAINST, picows_mismatch
from tickwright.storage.journal import open_promises

__all__ = ["look_at_disk", "look_at_state", "look_at_versions"]

PYTHON_LEAST = (3, 11)
FSYNC_TRIES = 5
FSYNC_MS_SLOW = 50.0
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*([<>=!~,.\d\s*]*)$")
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*([\d.]+)")
_MIB = 1024**2


def look_at_versions(found: Findings) -> None:
    """Compare what is installed with what was asked for and compiled against."""
    text = f"tickwright {__version__}, Python {platform.python_version()} on {sys.platform}"
    if sys.version_info[:2] < PYTHON_LEAST:
        found.fail("python", text, "install Python 3.11 or newer")
    else:
        found.ok("python", text)
    mismatch = picows_mismatch()
    if mismatch is None:
        found.ok("picows", f"{PICOWS_BUILT_AGAINST}, as it was compiled against")
    else:
        found.fail("picows", mismatch, "as it says")
    wrong = _wrong_packages()
    if wrong:
        found.fail("packages", "; ".join(wrong), "`pip install -c constraints.txt tickwright`")
    else:
        found.ok("packages", "every one within its bounds")


def _wrong_packages() -> list[str]:
    """Return the packages whose version isn't within what ours declares."""
    wrong = []
    try:
        wanted = requires("tickwright") or []
    except PackageNotFoundError:
        return []
    for line in wanted:
        text, _, marker = line.partition(";")
        match = _REQUIREMENT.match(text.strip())
        if match is None or "extra" in marker:
            continue
        name, bounds = match.groups()
        try:
            held = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if not all(_is_within(held, sign, bound) for sign, bound in _BOUND.findall(bounds)):
            wrong.append(f"{name} {held} isn't {bounds.strip()}")
    return wrong


def _is_within(held: str, sign: str, bound: str) -> bool:
    have = [int(part) for part in re.findall(r"\d+", held.partition("+")[0])[:4]]
    want = [int(part) for part in bound.split(".") if part]
    size = max(len(have), len(want))
    have += [0] * (size - len(have))
    want += [0] * (size - len(want))
    return {
        ">=": have >= want,
        "<=": have <= want,
        "==": have == want,
        "<": have < want,
        ">": have > want,
    }[sign]


def look_at_disk(found: Findings, where: TraderFolder) -> None:
    """Measure room and how long a write takes to reach the disk, beside the state folder."""
    folder = where.sessions
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        found.fail("space", f"{folder}: {error.strerror}", "look at the folder and its disk")
        return
    text = f"{free / 1024**3:.1f} GiB free for {where.sessions}"
    if free < DISK_BYTES_LOW:
        found.warn("space", text, "make room: a minute of 50 books is about 30 MB of session log")
    else:
        found.ok("space", text)
    try:
        spent_ms = _fsync_ms(folder)
    except OSError as error:
        words = f"{folder} can't be written: {error.strerror or error}"
        found.fail("write", words, "make room, or give the folder to this user")
        return
    text = f"a write reaches the disk in {spent_ms:.2f} ms (median of {FSYNC_TRIES})"
    if spent_ms > FSYNC_MS_SLOW:
        remedy = 'a faster disk; until then `journal.sync = "never"` or "interval"'
        found.warn("write", text, remedy)
    else:
        found.ok("write", text)


def _fsync_ms(folder: Path) -> float:
    path = folder / f".doctor-{os.getpid()}"
    spent = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(FSYNC_TRIES):
            os.write(fd, b"x" * 400)
            began = time.perf_counter()
            os.fsync(fd)
            spent.append((time.perf_counter() - began) * 1e3)
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(spent)


def look_at_state(found: Findings, where: TraderFolder) -> None:
    """Look at lease, kill order, kept state and journals: what a start would look at."""
    bound = where.file.kill.heartbeat_s_max
    try:
        trader = trader_line(where.state, heartbeat_s_max=bound)
    except StorageError as error:
        found.fail("trader", str(error), "as it says")
    else:
        if trader.state == "silent":
            remedy = f"`tickwright kill {where.path}`, then look at the process"
            found.fail("trader", trader.words, remedy)
        elif trader.state == "gone":
            found.warn("trader", trader.words, "start it again: it reads everything anew")
        elif trader.held_by and trader.state not in ("running", "starting", "killed"):
            found.warn("trader", f"the folder is held by {trader.held_by}", "wait for it")
        elif trader.state != "killed":
            found.ok("trader", trader.words)
    kill = kill_line(where.state)
    if kill is not None:
        remedy = f"look at the account, then `tickwright kill {where.path} --lift`"
        found.fail("kill switch", kill.words, remedy)
    else:
        found.ok("kill switch", "not thrown")
    watchdog = watchdog_line(where.state, heartbeat_s_max=bound)
    if watchdog.is_watching:
        found.ok("watchdog", f"process {watchdog.pid} watches")
    else:
        found.warn("watchdog", "nobody watches", f"`tickwright watchdog {where.path}` beside it")
    _look_at_kept(found, where)


def _look_at_kept(found: Findings, where: TraderFolder) -> None:
    try:
        rows = protections_in(where.state).protections
    except StorageError as error:
        found.fail("protections", str(error), "as it says")
    else:
        for row in rows:
            remedy = f"`tickwright protections {where.path}`"
            found.warn("protections", f"{row.state} by {row.name}: {row.reason}", remedy)
        if not rows:
            found.ok("protections", "nothing is restricted")
    for account, folder in where.journals().items():
        name = f"journal {account}"
        try:
            promised = open_promises(folder, account=account)
        except StorageError as error:
            found.fail(name, str(error), "as it says")
            continue
        size = sum(path.stat().st_size for path in folder.glob("*.log")) / _MIB
        text = f"{len(promised)} orders without an end, {size:.1f} MiB"
        found.ok(name, text)
