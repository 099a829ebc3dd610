"""Takes the database away under 50,000 messages a second; `make history-outage` for 60 s of it.

A sender process pushes a tape over a socket at an even pace, a whole trader trades on it and writes
its history into a real PostgreSQL, which is killed in the middle and comes back; the process that
writes is killed in the middle of that, and once more while the spool is drained. Afterwards every
trade in the raw frames of the session's segments, decoded by nobody but `json` here, must be in the
database once, and nothing else; and of each second every book's best levels once.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from math import inf
from pathlib import Path

import msgspec

from tests.integration.history.cost import cost
from tickwright.app.config_model import HistoryConfig
from tickwright.app.history import migrate_history
from tickwright.app.history_open import attach_history
from tickwright.app.history_spool import HISTORY_FOLDER, drain_spool, read_state, spool_status
from tickwright.bench.postgres import postgres
from tickwright.bench.senders import started_sender
from tickwright.bench.tape import COMPOSED_SHAPE, load_tape, make_tape, save_tape
from tickwright.bench.trading import FedTrader, sender_settings
from tickwright.bench.venue import listed_instruments, started_venue
from tickwright.net.loop import make_loop_factory
from tickwright.storage.segment_writer import SegmentOptions
from tickwright.storage.segments import RecordKind, read_segments

SYMBOLS = 50
TAPE_FRAMES = 100_000
ORDERS_EVERY = 2_000
DRAINING_S = 0.7
LOOK_S = 0.02


async def trade(options: argparse.Namespace) -> None:
    """Trade until the sender closes and print what became of the history."""
    tape = load_tape(options.tape)
    settings = sender_settings(
        options.url, options.rest, options.private, tape, options.folder, has_log=True
    )
    wide = SegmentOptions(bytes_max=1 << 40, disk_free_min=0)
    fed = FedTrader(msgspec.structs.replace(settings, session_options=wide))
    trader = fed.trader
    await fed.start(len(tape.frames) * options.laps, ORDERS_EVERY)
    history = fed.history = attach_history(
        trader, options.dsn, HistoryConfig(spool_mb_max=options.spool_mb_max)
    )
    behind_s = 0.0

    def look() -> None:
        nonlocal behind_s
        behind_s = max(behind_s, history.state.behind_s)

    await fed.run(inf, look)
    await fed.stop()
    snapshot = trader.snapshot()
    await trader.close()
    figures = {
        "messages": snapshot.messages,
        "trades": snapshot.trades,
        "log_is_whole": snapshot.log_is_whole,
        "history": msgspec.to_builtins(history.report()),
        "behind_s_max": behind_s,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def recorded(session: Path) -> tuple[Counter[tuple[str, str, int]], float]:
    """Return the trades of the raw frames (symbol, id, when the frame came) and frames a second."""
    found: Counter[tuple[str, str, int]] = Counter()
    frames = first_ns = last_ns = 0
    for record in read_segments(session):
        if getattr(record, "kind", None) is not RecordKind.FRAME:
            continue
        frames += 1
        # The first few are the answers to the subscriptions.
        if frames == 1_000:
            first_ns = record.now_ns
        last_ns = record.now_ns
        if b"publicTrade" in record.payload:
            for one in json.loads(record.payload)["data"]:
                found[one["s"], one["i"], record.now_ns] += 1
    return found, (frames - 1_000) / max(1, last_ns - first_ns) * 1e9


async def written(dsn: str) -> tuple[Counter[tuple[str, str, int]], list[int], int]:
    """Return the same of the database, the samples of each moment, and what sources call lost."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT i.symbol, r.trade_id, r.received_ns FROM tickwright.trade_rows r"
        " JOIN tickwright.instruments i ON i.id = r.instrument_id"
    )
    moments = await connection.fetch(
        "SELECT count(*), count(DISTINCT instrument_id) AS books FROM tickwright.top_rows"
        " GROUP BY at ORDER BY at"
    )
    lost = await connection.fetchval("SELECT sum(lost)::bigint FROM tickwright.sources")
    await connection.close()
    assert all(row["count"] == row["books"] for row in moments)
    return Counter(map(tuple, rows)), [row["count"] for row in moments], lost


def campaign(outage_s: float, *, rate: int, around_s: float, says: bool) -> dict[str, object]:
    """Run it once; returns the figures. Raises AssertionError with what differs."""
    laps = max(1, round((outage_s + 2 * around_s) * rate / TAPE_FRAMES))
    with (
        tempfile.TemporaryDirectory(prefix="tickwright-outage-") as name,
        postgres() as server,
        started_venue(SYMBOLS, is_quiet=True) as venue,
    ):
        folder = Path(name)
        migrate_history(server.dsn(), HistoryConfig(timescale=False))
        listed = listed_instruments(venue, SYMBOLS)
        tape = make_tape(COMPOSED_SHAPE, frames=TAPE_FRAMES, category="linear", listed=listed)
        save_tape(tape, folder / "tape")
        with started_sender(folder / "tape") as url:
            command = [
                sys.executable, "-m", "tests.integration.history.outage", "--trader",
                "--url", f"{url}/paced/rate={rate}/laps={laps}", "--laps", str(laps),
                "--rest", venue.rest, "--private", venue.private, "--dsn", server.dsn(),
                "--tape", str(folder / "tape"), "--folder", str(folder / "run"),
            ]  # fmt: skip
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trader:
                _await_rows(folder / "run", trader)
                time.sleep(around_s)
                server.kill()
                time.sleep(outage_s / 2)
                _kill_writer(folder / "run")
                time.sleep(outage_s / 2)
                server.start()
                time.sleep(DRAINING_S)
                _kill_writer(folder / "run")
                said, _ = trader.communicate()
            assert 0 == trader.returncode, said
        figures: dict[str, object] = json.loads(said)
        drained = drain_spool(
            server.dsn(), folder / "run" / HISTORY_FOLDER, bytes_max=1 << 40, wait_s=30
        )
        truth, per_s = recorded(folder / "run" / "session")
        thread_us = cost(folder / "run" / "session") if says else {}
        found, moments, lost = asyncio.run(written(server.dsn()))
    figures |= {
        "drained_after": drained.rows,
        "recorded_trades": truth.total(),
        "written_trades": found.total(),
        "missing": (truth - found).total(),
        "doubled": (found - truth).total(),
        "moments": len(moments),
        "samples": sum(moments),
        "lost": lost,
        "outage_s": outage_s,
        "trading_thread_us_a_record": thread_us,
        "asked_per_s": rate,
        "messages_per_s": round(per_s),
    }
    if says:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    assert figures["log_is_whole"]
    assert (0, 0, 0) == (figures["missing"], figures["doubled"], lost)
    # The first and the last second are cut by the run itself.
    assert {SYMBOLS} == set(moments[1:-1])
    return figures


def _kill_writer(folder: Path) -> None:
    state = read_state(folder / HISTORY_FOLDER)
    assert state is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGKILL)


def _await_rows(folder: Path, trader: "subprocess.Popen[str]") -> None:
    while trader.poll() is None:
        with contextlib.suppress(OSError):
            if spool_status(folder / HISTORY_FOLDER).writer == "writing":
                return
        time.sleep(LOOK_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign, or be its trader."""
    parser = argparse.ArgumentParser(prog="tests.integration.history.outage")
    parser.add_argument("--seconds", type=float, default=60.0, help="without the database")
    parser.add_argument("--rate", type=int, default=50_000, help="messages a second")
    parser.add_argument("--around", type=float, default=8.0, help="seconds before, and after")
    parser.add_argument("--spool-mb-max", type=int, default=2_048)
    parser.add_argument("--trader", action="store_true", help=argparse.SUPPRESS)
    for name in ("url", "rest", "private", "dsn"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    for name in ("tape", "folder"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--laps", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.trader:
        with asyncio.Runner(loop_factory=make_loop_factory(wants_uvloop=True)) as runner:
            runner.run(trade(options))
        return 0
    campaign(options.seconds, rate=options.rate, around_s=options.around, says=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
