"""The demo as a newcomer runs it: a process of its own, judged by what it leaves."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tickwright.app.config_file import write_template
from tickwright.storage.segments import SEGMENT_SUFFIX, read_segments

CANARY = "CANARYs3cret0123456789"
WAIT_S = 50


def _environment(folder: Path, **changes: str) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder), **changes}


def _run(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickwright", *arguments],
        cwd=folder,
        env=_environment(folder, **changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def _report(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    """One demo of eight seconds: (what it said, its report)."""
    folder = tmp_path_factory.mktemp("demo")
    done = _run(folder, "demo", "--seconds", "8", "--json", str(folder / "report.json"))
    assert 0 == done.returncode, done.stderr
    return done, _report(folder / "report.json")


def test_demo_when_over_then_it_traded_and_was_refused(demo):
    _, report = demo
    for name in ("signals", "orders", "fills", "messages", "book_updates", "trades"):
        assert report[name] > 0, name
    assert sum(report["refusals"].values()) > 0
    # Each limit that was hit is explained by the figures of its last refusal.
    assert report["limits_hit"]
    for hit in report["limits_hit"]:
        assert report["refusals"][hit["reason"]] == hit["count"]
        assert " against " in hit["last"], hit
    assert 0 < report["tick_to_order_us"]["count"] <= report["orders"]


def test_demo_when_over_then_every_book_is_synced_and_no_audit_differed(demo):
    _, report = demo
    assert (50, 50, 0, 0) == (
        report["books_kept"],
        report["books_synced"],
        report["audits_differed"],
        report["refused_frames"],
    )
    assert {"synced"} == {book["state"] for book in report["books"]}


def test_demo_when_over_then_ledger_equals_the_venue_and_replay_is_identical(demo):
    _, report = demo
    assert [(True, [])] == [(one["is_equal"], one["differences"]) for one in report["ledger"]]
    replay = report["replay"]
    assert (True, True, "") == (
        replay["is_identical"],
        replay["is_complete"],
        replay["difference"],
    )
    assert replay["decisions"] >= report["orders"] > 0


def test_demo_when_over_then_origins_are_told(demo):
    done, report = demo
    sources = {book["symbol"]: book["source"] for book in report["books"]}
    assert sources["BTCUSDT"].startswith("real Binance recording")
    assert sources["XRPUSDT"].startswith("real Bybit recording")
    assert "synthetic" == sources["ETHUSDT"]
    assert "no real market, no real money" in done.stdout


def test_demo_when_over_then_the_articles_figures_stand_beside_its_own(demo):
    done, report = demo
    assert [
        "messages",
        "symbols",
        "book update",
        "the same, live",
        "signal to order",
        "memory",
    ] == [row["what"] for row in report["article"]]
    for words in ("50,000/s", "2.1 ms", "equals the venue's", "identical", "no advice"):
        assert words in done.stdout, words


def test_demo_when_stdout_is_a_file_then_no_control_codes(demo):
    done, _ = demo
    assert ("\x1b" in done.stdout, "messages/s" in done.stdout) == (False, True)


def test_replay_when_the_demo_left_a_session_then_the_command_it_names_repeats_it(demo):
    done, report = demo
    assert f"tickwright run --replay {report['session']}" in done.stdout
    again = _run(Path(report["session"]).parent, "run", "--replay", report["session"])
    assert (0, True) == (again.returncode, "identical" in again.stdout)


def test_replay_when_a_decision_was_other_then_code_one_and_where(demo, tmp_path: Path):
    _, report = demo
    session = tmp_path / "session"
    session.mkdir()
    header = json.loads((Path(report["session"]) / "header.json").read_text())
    (fast,) = (one for one in header["config"]["strategies"] if one["strategy_id"] == "fast")
    fast["parameters"]["entry_z"] = 3.3
    (session / "header.json").write_text(json.dumps(header))
    for segment in Path(report["session"]).glob("inputs-*.tws"):
        (session / segment.name).write_bytes(segment.read_bytes())
    again = _run(tmp_path, "run", "--replay", "session", "--json", "found.json")
    found = _report(tmp_path / "found.json")
    assert (1, False) == (again.returncode, found["is_identical"])
    assert "input" in found["difference"]


def test_demo_when_configuration_it_wrote_is_run_then_it_trades_too(demo):
    _, report = demo
    folder = Path(report["session"]).parent
    done = _run(folder, "run", "demo.toml", "--seconds", "4", "--json", "again.json")
    assert 0 == done.returncode, done.stderr
    again = _report(folder / "again.json")
    assert (True, []) == (again["books_synced"] == 50, again["article"])


def test_demo_when_interrupted_then_report_and_success(tmp_path: Path):
    path = tmp_path / "report.json"
    arguments = ["demo", "--seconds", "600", "--symbols", "3", "--json", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tickwright", *arguments],
        env=_environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "3/3 books synced" in line:
            process.send_signal(signal.SIGINT)
            break
    said, errors = process.communicate(timeout=WAIT_S)
    assert (0, "SIGINT") == (process.returncode, _report(path)["ended_by"]), errors
    assert "ended by SIGINT" in said
    assert [True] == [one["is_equal"] for one in _report(path)["ledger"]]


@pytest.mark.parametrize("count", ["1", "100"])
def test_demo_when_few_or_many_symbols_then_all_are_kept(tmp_path: Path, count: str):
    done = _run(
        tmp_path,
        "demo",
        "--seconds",
        "3",
        "--symbols",
        count,
        "--json",
        "report.json",
        COLUMNS="50",
    )
    report = _report(tmp_path / "report.json")
    assert (0, int(count)) == (done.returncode, report["books_synced"]), done.stderr


def test_demo_when_json_takes_stdout_then_people_read_stderr(tmp_path: Path):
    done = _run(tmp_path, "demo", "--seconds", "2", "--symbols", "2", "--json", "-")
    assert (0, "demo") == (done.returncode, json.loads(done.stdout)["verb"])
    assert "equals the venue's" in done.stderr


def _content(path: Path) -> bytes:
    """Return what a file holds, a segment unpacked."""
    if path.suffix == SEGMENT_SUFFIX:
        return b"".join(record.payload for record in read_segments(path))
    return path.read_bytes()


def test_run_when_keys_come_from_the_environment_then_they_are_nowhere_to_be_read(tmp_path: Path):
    write_template(tmp_path / "tickwright.toml")
    done = _run(
        tmp_path,
        "run",
        "tickwright.toml",
        "--seconds",
        "2",
        TICKWRIGHT_TRADER_API_KEY=f"{CANARY}key",
        TICKWRIGHT_TRADER_API_SECRET=CANARY,
    )
    assert 2 == done.returncode
    assert "Traceback" not in done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    holders = [path for path in left if CANARY.encode() in _content(path)]
    assert ([], False) == (holders, CANARY in done.stdout + done.stderr)
    assert any(path.name == "run.log.jsonl" for path in left)


def test_run_when_a_strategy_lets_a_key_slip_then_stars_and_only_it_is_halted(tmp_path: Path):
    path = tmp_path / "tickwright.toml"
    write_template(path)
    (tmp_path / "careless.py").write_text(
        "import tickwright as tw\n\n\nclass Careless(tw.Strategy):\n"
        "    def on_book(self, book):\n"
        "        raise ValueError('the key is tickwright-demo-secret')\n"
    )
    head, _, rest = path.read_text().partition("[strategies.parameters]")
    head = head.replace("mean_reversion", "careless.py:Careless")
    path.write_text(head + rest[rest.index("# What one account may do") :])
    done = _run(tmp_path, "run", "tickwright.toml", "--seconds", "2", "--json", "r.json")
    assert 0 == done.returncode, done.stderr
    (halt,) = _report(tmp_path / "r.json")["halts"]
    assert halt.startswith("reversion: ")
    assert "the key is ***" in halt
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".py"]
    holders = [path.name for path in left if b"tickwright-demo-secret" in _content(path)]
    assert ([], False) == (holders, "tickwright-demo-secret" in done.stdout + done.stderr)


def test_run_when_the_venue_does_not_answer_then_one_sentence(tmp_path: Path):
    write_template(tmp_path / "tickwright.toml")
    text = (tmp_path / "tickwright.toml").read_text()
    for name, scheme in (("rest", "http"), ("public", "ws"), ("private", "ws"), ("trade", "ws")):
        text = text.replace(f"# {name}_url =", f"{name}_url =").replace(
            f"{scheme}://127.0.0.1:808", f"{scheme}://127.0.0.1:1"
        )
    text = text.replace("[venues.main.simulator]\n", "").replace('sources = ["demo"]', "# ")
    (tmp_path / "tickwright.toml").write_text(text)
    done = _run(tmp_path, "run", "tickwright.toml", "--seconds", "2")
    assert 1 == done.returncode, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tickwright run: venue bybit doesn't answer"), done.stderr
    assert "Traceback" not in done.stderr


def test_demo_when_on_a_terminal_then_a_live_screen_that_leaves_no_trace(tmp_path: Path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 110, 0, 0))
    environment = _environment(tmp_path, TERM="xterm-256color")
    # What a CI or a test runner says of its own terminal isn't true of this one.
    for name in ("CI", "NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tickwright", "demo", "--seconds", "3", "--symbols", "40"],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = bytearray()
    # Reading a terminal whose other side is gone is an error on Linux.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65_536):
            shown += part
    os.close(ours)
    assert 0 == process.wait(WAIT_S)
    text = shown.decode(errors="replace")
    assert all(words in text for words in ("s left", "more books, all synced", "p50/p99"))
    # The cursor was hidden and is back, and the report stands below.
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0
    assert "no advice" in text[text.rfind("\x1b[?25h") :]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the simulator by Linux's /proc")
def test_demo_when_its_simulator_is_killed_then_a_report_that_says_so(tmp_path: Path):
    path = tmp_path / "report.json"
    process, simulator = _started(tmp_path, "--json", str(path))
    os.kill(int(simulator), signal.SIGKILL)
    said, _ = process.communicate(timeout=WAIT_S)
    report = _report(path)
    assert (1, True) == (process.returncode, report["is_broken"])
    assert "the simulator ended by itself with code -9" in said
    # A venue that can't be asked is not a venue that agrees.
    assert [None] == [one["is_equal"] for one in report["ledger"]]
    assert report["replay"]["is_identical"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_demo_when_killed_then_its_simulator_ends_too(tmp_path: Path):
    process, simulator = _started(tmp_path)
    # A batch process doesn't push the trader off its core when an order wakes it.
    assert os.SCHED_BATCH == os.sched_getscheduler(int(simulator))
    process.kill()
    process.communicate(timeout=WAIT_S)
    deadline = time.monotonic() + 30.0
    while _is_running(simulator) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(simulator)


def _is_running(pid: str) -> bool:
    """Whether a process lives; one that ended and that nobody has asked about doesn't."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _started(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Return a long demo that trades, and the process id of its simulator."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tickwright", "demo", "--seconds=600", "--symbols=2", *arguments],
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "2/2 books synced" not in process.stdout.readline():
        assert process.poll() is None
    (simulator,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, simulator
