"""Owns the demo: a configuration a newcomer can read, run on recorded markets, and its report.

The demo is a plain run: it writes `demo.toml` into a folder of its own, loads and trades it like
any other, and repeats its own session at the end. Its parameters make things happen within seconds;
they are no advice.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from tickwright.app.article import article_rows
from tickwright.app.config import load_config
from tickwright.app.progress import Screen
from tickwright.app.replay_run import check_replay
from tickwright.app.report import RunReport
from tickwright.app.report_view import show_report
from tickwright.app.run import RunPlan, run_plan
from tickwright.core.errors import StorageError
from tickwright.net.listener import utc_now_ns

__all__ = ["DEMOS_KEPT", "demo_config", "demo_folder", "demo_symbols", "run_demo"]

DEMOS_KEPT = 3
"""Folders of earlier demos that stay; older ones are removed."""
CUT_FROM_S = 15.0
"""A demo that lasts so long shows a cut of its public socket in the middle."""
SESSION_BYTES_MAX = 512 * 1024**2
"""About twenty minutes of fifty symbols; what comes later isn't recorded, and that is said."""
DIFFERS = 1
RECORDED = ("BTCUSDT", "XRPUSDT")
RIVALS = 6
_STATE = "tickwright/demo"

_ADVICE = (
    "These parameters make something happen within seconds and pay fees for it; they are no advice."
)
_TEMPLATE = """\
# What `tickwright demo` traded. Change it and run it: tickwright run {path}
# The parameters make something happen within seconds; they are no advice.

[venues.box]
kind = "bybit"
env = "simulator"

[venues.box.simulator]
sources = ["demo"]            # BTCUSDT and XRPUSDT recorded, the rest synthetic
seed = {seed}

[accounts.demo]
venue = "box"

# One idea on four clocks: `tape` trades the recorded markets at every update, `fast` and `slow`
# share all symbols out, `rival` trades some of both, meets their positions and is refused.
{strategies}
[risk]
position_percent_max = {position}
order_notional_usdt_max = 400
exposure_percent_max = {exposure}     # a few positions: one more is refused
leverage_max = 2
daily_loss_percent_max = 3
drawdown_percent_max = 10
spread_bps_max = 2            # wider books are refused

[risk.protections]            # short, so that a demo sees them begin and end
cooldown_after_stop_s = 5     # after a stop loss, there
losses_in_row_max = 6         # then the strategy pauses
loss_pause_s = 4
flip_flops_max = 0            # changing sides is what the demo is for

[sizing]
equity_percent = 4
confidence_floor = 0.5

[execution]
entry = "marketable"
slippage_bps_max = 5.0

[feed]
depth = 50
books_max = {books_max}
audit_interval_s = {audit_s}

[session]
dir = "."
record = true

[run]
seed = {seed}
"""
_STRATEGY = """\
[[strategies]]
id = "{id}"
strategy = "mean_reversion"
account = "demo"
category = "linear"
symbols = [{symbols}]
[strategies.parameters]
sampling = "{sampling}"
interval_ms = {interval_ms}
lookback = {lookback}
entry_z = {entry_z}
z_full = {z_full}
exit_z = {exit_z}
imbalance_threshold = {imbalance}
stop_loss_fraction = {stop}
take_profit_fraction = {take}

"""


def demo_symbols(count: int) -> tuple[str, ...]:
    """Return what a demo of so many symbols trades: the recorded ones first."""
    from tickwright.simulator.instruments import symbols_of_count

    return tuple(dict.fromkeys([*RECORDED, *symbols_of_count(count)]))[:count]


def demo_config(path: Path, symbols: Sequence[str], *, seed: int) -> str:
    """Return the text of a demo's configuration; `path` is where it will stand."""
    recorded = [symbol for symbol in symbols if symbol in RECORDED]
    # A single symbol is traded by all of them.
    slow = symbols[1::2] or symbols[:1]
    rival = symbols[len(RECORDED) : len(RECORDED) + RIVALS] or symbols[:1]
    parts = [
        _strategy("tape", recorded, clock="by_update", lookback=20, entry_z=1.3, width=0.5),
        _strategy("fast", symbols[0::2], interval_ms=50, lookback=60, entry_z=2.8, width=1.0),
        _strategy("slow", slow, interval_ms=100, lookback=60, entry_z=2.6, width=1.5),
        _strategy("rival", rival, interval_ms=50, lookback=40, entry_z=1.8, width=0.8),
    ]
    # Few symbols must meet the limits too, or a small demo would show no refusal.
    exposure = max(4, min(15, 3 * len(symbols) // 2))
    return _TEMPLATE.format(
        exposure=exposure,
        position=min(6, exposure),
        path=path,
        seed=seed,
        strategies="".join(parts),
        books_max=max(100, len(symbols)),
        audit_s=20.0,
    )


def _strategy(
    name: str,
    symbols: Sequence[str],
    *,
    clock: str = "by_interval",
    interval_ms: int = 100,
    lookback: int,
    entry_z: float,
    width: float,
) -> str:
    is_tape = clock == "by_update"
    return _STRATEGY.format(
        id=name,
        symbols=", ".join(f'"{symbol}"' for symbol in symbols),
        sampling=clock,
        interval_ms=interval_ms,
        lookback=lookback,
        entry_z=entry_z,
        z_full=entry_z + 1.5,
        exit_z=0.0 if is_tape else 0.2,
        imbalance=0.0 if is_tape else 0.1,
        stop=f"{0.0006 * width:.5f}",
        take=f"{0.0004 * width:.5f}",
    )


def demo_folder(started_ns: int) -> Path:
    """Make the folder of a new demo and remove the oldest ones.

    It stands in the user's state folder, or in the temporary one where that can't be written.

    Raises:
        StorageError: neither can be written.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started_ns // 1_000_000_000))
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    last = ""
    for base in (Path(home).expanduser() / _STATE, Path(tempfile.gettempdir()) / _STATE):
        folder = base / f"{stamp}-{os.getpid()}"
        try:
            folder.mkdir(parents=True)
        except (OSError, RuntimeError) as error:
            last = str(error)
            continue
        _remove_old(base)
        return folder
    raise StorageError(f"no folder for the demo can be made: {last}")


def _remove_old(base: Path) -> None:
    """Keep the newest folders and those of running demos; one that can't be removed may stay."""
    demos = sorted(p for p in base.iterdir() if p.is_dir() and (p / "demo.toml").exists())
    for old in demos[: -DEMOS_KEPT or None]:
        if not _is_running(old.name):
            shutil.rmtree(old, ignore_errors=True)


def _is_running(name: str) -> bool:
    """Whether the process that a demo's folder names is alive (or another one took its number)."""
    _, _, number = name.rpartition("-")
    if not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def run_demo(
    *,
    seconds: float,
    symbols: int,
    seed: int,
    make_screen: Callable[[], Screen],
    console: Console,
) -> tuple[int, RunReport | None]:
    """Run the demo to its end and print its report; returns the exit code and the report.

    The code is 1 when ledger or replay differ. The report is None when it was ended at once.

    Raises:
        TickwrightError: the fault of the world that ended it.
    """
    started_ns = utc_now_ns()
    folder = demo_folder(started_ns)
    path = folder / "demo.toml"
    path.write_text(demo_config(path, demo_symbols(symbols), seed=seed), encoding="utf-8")
    plan = RunPlan(
        verb="demo",
        seconds=seconds,
        started_ns=started_ns,
        cut_at_s=seconds / 2 if seconds >= CUT_FROM_S else None,
        session_bytes_max=SESSION_BYTES_MAX,
    )
    code, report = run_plan(load_config(path), plan, make_screen=make_screen, is_quiet=True)
    if report is None:
        return code, None
    with console.status("repeating the session; Ctrl-C leaves it out"):
        report = _replayed(report)
    report = msgspec.structs.replace(report, article=article_rows(report))
    show_report(report, console)
    console.print(f"what it traded: {path}", style="dim", soft_wrap=True)
    console.print(_ADVICE, style="dim")
    return (code if report.is_sound else DIFFERS), report


def _replayed(report: RunReport) -> RunReport:
    """Repeat the session that just ended; Ctrl-C leaves it out."""
    if report.session is None:
        return report
    sys.stderr.flush()
    with contextlib.suppress(KeyboardInterrupt):
        return msgspec.structs.replace(report, replay=check_replay(Path(report.session)))
    return report
