"""Owns the measurement of backtests: one made tape, our engine and, where it is there, the rival.

Each run is a process of its own. What counts is the time from an opened interpreter with everything
imported to the record: mapping the tape, building the engine, walking, the record. The rival's
compile time isn't counted in its rate, but shown. Queue position, latency, fees and the ledger are
on in both; a rate is level rows and trades of the tape by seconds.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from tickwright.backtest.run import Backtest, BacktestSettings
from tickwright.backtest.synthetic import SyntheticTape, write_synthetic
from tickwright.backtest.tape import MessageKind, Tape
from tickwright.backtest.venue import AccountTerms
from tickwright.bench.backtest_strategies import Quoter, RareSignal
from tickwright.bench.figures import Spread, ratio
from tickwright.bench.machine import pin
from tickwright.bench.report import Column, Section
from tickwright.bench.runs import RunFailed, Session
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.risk.limits import RiskLimits
from tickwright.strategy.base import Strategy

__all__ = ["RIVAL", "main", "measure_backtest", "write_npz"]

RIVAL: Final = "TICKWRIGHT_HFTBACKTEST"
"""The environment variable that names an interpreter with hftbacktest."""
SIGNAL_ROWS_MIN: Final = 10_000_000
QUOTER_ROWS_MIN: Final = 3_000_000
START_S_MAX: Final = 0.5
PEAK_MB_MAX: Final = 300

_STRATEGIES: Final[dict[str, type[Strategy]]] = {"signal": RareSignal, "quoter": Quoter}
_TITLES: Final = {"signal": "rare signal, every message", "quoter": "two quotes, every 100 ms"}
_TIMEOUT_S: Final = 900
_EVENT: Final = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ],
    align=True,
)
_VENUE_AND_LOCAL, _BUY, _SELL = (1 << 31) | (1 << 30), 1 << 29, 1 << 28


def settings_for(tape: Tape, what: str) -> BacktestSettings:
    """Return a run of one of the measured strategies, with limits that don't hold quotes back."""
    limits = RiskLimits(
        orders_per_second_max=1_000,
        orders_per_minute_max=10_000,
        amends_per_second_max=1_000,
        amends_per_minute_max=10_000,
        cancels_per_second_max=1_000,
        cancels_per_minute_max=10_000,
        daily_loss_percent_max=Decimal(100),
        drawdown_percent_max=Decimal(100),
        deny_conflicting_position=False,
    )
    return BacktestSettings(
        tape=tape.folder,
        plan=TradingPlan(
            engine=EngineConfig(risk=limits),
            accounts=("sim:bench",),
            strategies=(
                StrategyPlan(
                    strategy_id=what,
                    source=what,
                    account="sim:bench",
                    instruments=(str(tape.instruments[0].id),),
                ),
            ),
        ),
        classes=_STRATEGIES,
        accounts={"sim:bench": AccountTerms(balances=(("USDT", Decimal(100_000)),))},
        rate_scale=100.0,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one backtest and print what it took as one JSON line."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.backtest")
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--what", choices=sorted(_STRATEGIES), required=True)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    began, began_cpu = time.perf_counter(), time.process_time()
    backtest = Backtest(settings_for(Tape(options.tape), options.what))
    start_seconds = _process_age()
    record = backtest.run()
    seconds, spent = time.perf_counter() - began, time.process_time() - began_cpu
    told = {
        "seconds": seconds,
        "cpu_seconds": spent,
        "start_seconds": start_seconds,
        "rows": record.level_rows,
        "orders": len(record.orders),
        "amends": sum(order.amends for order in record.orders),
        "fills": len(record.fills),
        "peak_mb": _peak_mb(),
        "digest": record.digest,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def _process_age() -> float:
    """Return the seconds since this process began; 0 where the system doesn't tell."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    # The twentieth field behind the name: clock ticks from the system's start to ours.
    began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)


def _peak_mb() -> float:
    """Return the most memory this program held; the system's own count keeps its parent's."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = [one for one in status.splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def write_npz(tape: Tape, path: Path) -> int:
    """Write a tape of one instrument as the rival reads it; returns its rows."""
    messages, kinds = tape.messages, tape.messages["kind"]
    is_book, is_trade = kinds <= MessageKind.SNAPSHOT, kinds == MessageKind.TRADE
    counts = messages["bids"].astype(np.int64) + messages["asks"]
    rows = np.where(is_book, counts, np.where(is_trade, 1, 0))
    source = np.repeat(np.arange(len(messages)), rows)
    within = np.arange(len(source)) - (np.cumsum(rows) - rows)[source]
    book = is_book[source]
    level = np.where(book, messages["first"][source] + within, 0)
    out = np.zeros(len(source), _EVENT)
    instrument = tape.instruments[0]
    out["exch_ts"], out["local_ts"] = tape.venue_ns[source], tape.received_ns[source]
    prices = np.where(book, tape.levels[level, 0], messages["first"][source])
    sizes = np.where(book, tape.levels[level, 1], messages["second"][source])
    out["px"] = prices / 10.0**instrument.price_decimals
    out["qty"] = sizes / 10.0**instrument.size_decimals
    is_bid = within < messages["bids"][source]
    is_buy = np.where(book, is_bid, (messages["flags"][source] & 1) == 0)
    words = np.where(book, np.where(kinds[source] == MessageKind.SNAPSHOT, 4, 1), 2)
    out["ev"] = words | np.where(is_buy, _BUY, _SELL) | _VENUE_AND_LOCAL
    np.savez(path, data=out)
    return len(out)


def measure_backtest(session: Session) -> Section:
    """Measure the backtest section."""
    section = Section(
        "backtest",
        "backtests of one tape, alternating (median, min-max)",
        [
            Column("rows_m", "M rows/s", 2),
            Column("seconds", "seconds", 2),
            Column("start", "start-up, s", 2),
            Column("peak_mb", "peak, MB"),
            Column("orders", "orders and amends"),
            Column("fills", "fills"),
        ],
    )
    count, rounds = (40_000, 2) if session.quick else (862_000, 5)
    folder = session.folder / "backtest-tape"
    session.say(f"backtest: making a tape of {count:,} depth messages")
    tape = write_synthetic(folder, SyntheticTape(messages=count))
    rows = tape.header.level_rows + tape.header.trades
    rival = os.environ.get(RIVAL, "")
    npz = session.folder / "backtest.npz"
    if rival:
        write_npz(tape, npz)
    for what, title in _TITLES.items():
        ours: list[dict[str, Any]] = []
        theirs: list[dict[str, Any]] = []
        for number in range(rounds):
            session.say(f"backtest: {title}, round {number + 1} of {rounds}")
            arguments = ["--tape", str(folder), "--what", what]
            ours.append(session.call("tickwright.bench.backtest", arguments))
            if rival:
                theirs.append(_run_rival(rival, npz, what))
        _add(section, f"ours, plain Python: {title}", ours, rows)
        if theirs:
            _add(section, f"hftbacktest, compiled: {title}", theirs, rows)
        _aim(section, what, title, ours, theirs, rows)
    section.notes.append(
        f"One tape of {tape.header.messages:,} messages, {rows:,} level rows and trades, made with "
        "seed 7; order and response latency 5 ms, back of the queue, fees on."
    )
    if not rival:
        section.notes.append(
            f"hftbacktest isn't measured: {RIVAL} names no interpreter that has it"
        )
    else:
        section.notes.append(
            "hftbacktest runs its Numba strategy without partial fills; compiling isn't counted."
        )
    return section


def _run_rival(interpreter: str, npz: Path, what: str) -> dict[str, Any]:
    script = Path(__file__).resolve().parents[3] / "tools" / "hftbacktest_run.py"
    if not script.is_file():
        raise RunFailed(f"the rival's run needs the repository: {script} isn't there")
    done = subprocess.run(
        [interpreter, str(script), str(npz), what],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RunFailed(f"{interpreter}: {done.stderr.strip()[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _add(section: Section, label: str, reports: list[dict[str, Any]], rows: int) -> None:
    section.add(
        label,
        rows_m=Spread.of(rows / report["seconds"] / 1e6 for report in reports),
        seconds=Spread.of(report["seconds"] for report in reports),
        start=Spread.of(report["start_seconds"] for report in reports),
        peak_mb=Spread.of(report["peak_mb"] for report in reports),
        orders=Spread.of(report["orders"] + report.get("amends", 0) for report in reports),
        fills=Spread.of(report.get("fills", report.get("trades", 0)) for report in reports),
    )


def _aim(
    section: Section,
    what: str,
    title: str,
    ours: list[dict[str, Any]],
    theirs: list[dict[str, Any]],
    rows: int,
) -> None:
    rate = Spread.of(rows / report["seconds"] for report in ours)
    least = SIGNAL_ROWS_MIN if what == "signal" else QUOTER_ROWS_MIN
    section.aim(
        f"{title}: M rows/s in plain Python, at least {least // 10**6}",
        rate.median / 1e6,
        least=least / 1e6,
    )
    if theirs and what == "signal":
        other = Spread.of(rows / report["seconds"] for report in theirs)
        section.aim(
            f"{title}: times hftbacktest's compiled rate, above 1",
            ratio(rate, other),
            least=1.0,
        )
    if what == "signal":
        section.aim(
            f"start-up, at most {START_S_MAX} s",
            Spread.of(report["start_seconds"] for report in ours).median,
            most=START_S_MAX,
        )
    section.aim(
        f"{title}: peak memory, at most {PEAK_MB_MAX} MB",
        Spread.of(report["peak_mb"] for report in ours).median,
        most=PEAK_MB_MAX,
    )


if __name__ == "__main__":
    sys.exit(main())
