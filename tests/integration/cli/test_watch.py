"""`watch` and `simulate` as two real processes over loopback."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

FIELDS = [
    "messages",
    "seconds",
    "messages_per_s",
    "cpu_seconds",
    "read_to_callback_us",
    "exchange_latency_ms",
    "gaps",
    "resyncs",
    "reconnects",
    "books",
]
ROW = ["bid", "bid_size", "ask", "ask_size", "update_id", "state"]
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
START_S_MAX = 30.0
TICKWRIGHT = (sys.executable, "-m", "tickwright")


def watch(urls: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `watch` against the simulator to its end."""
    return subprocess.run(
        [*TICKWRIGHT, "watch", "--public-url", urls["public"], *arguments],
        capture_output=True,
        text=True,
        timeout=START_S_MAX,
        check=False,
    )


def checked(report: dict[str, Any], symbols: tuple[str, ...]) -> None:
    """Hold a report to its face, and its books to sense."""
    assert list(report) == FIELDS
    assert list(report["read_to_callback_us"]) == ["p50", "p99", "max"]
    assert list(report["exchange_latency_ms"]) == ["p50", "p99"]
    assert set(symbols) == set(report["books"])
    for row in report["books"].values():
        assert list(row) == ROW
        assert "synced" == row["state"]
        assert 0 < float(row["bid"]) < float(row["ask"])
    assert report["messages"] > len(symbols)
    assert report["messages_per_s"] == pytest.approx(
        report["messages"] / report["seconds"], rel=0.01
    )
    assert 0 < report["read_to_callback_us"]["p50"] <= report["read_to_callback_us"]["max"]
    assert (0, 0, 0) == (report["gaps"], report["resyncs"], report["reconnects"])


@pytest.mark.parametrize(
    ("category", "arguments"),
    [
        ("linear", ("--connections", "2")),
        ("spot", ("--depth", "200")),
        ("linear", ("--depth", "1", "--coalesce-us", "100")),
        ("linear", ("--busy-poll",)),
    ],
)
def test_watch_when_seconds_are_over_then_writes_its_report(
    category: str, arguments: tuple[str, ...], urls: dict[str, str], tmp_path: Path
):
    path = tmp_path / "watch.json"
    wanted = ("--category", category, "--symbols", ",".join(SYMBOLS), "--seconds", "2")

    done = watch(urls, "--rest-url", urls["rest"], *wanted, "--json", str(path), *arguments)

    assert (0, "") == (done.returncode, done.stderr)
    checked(json.loads(path.read_text()), SYMBOLS)
    assert "messages in 2.0 s" in done.stdout


def test_watch_when_instruments_come_from_a_file_then_needs_no_rest(
    urls: dict[str, str], tmp_path: Path
):
    path = tmp_path / "instruments.json"
    with urlopen(f"{urls['rest']}/v5/market/instruments-info?category=linear") as answer:
        path.write_bytes(answer.read())
    wanted = ("--category", "linear", "--symbols", "BTCUSDT", "--seconds", "2")

    done = watch(urls, "--instruments", str(path), *wanted, "--json", "-")

    assert 0 == done.returncode
    checked(json.loads(done.stdout), ("BTCUSDT",))


def test_watch_when_a_symbol_is_unknown_then_names_near_ones(urls: dict[str, str]):
    wanted = ("--category", "linear", "--symbols", "BTCUSTD,ETHUSDT")

    done = watch(urls, "--rest-url", urls["rest"], *wanted)

    assert (2, "") == (done.returncode, done.stdout)
    assert "BTCUSTD (did you mean BTCUSDT" in done.stderr


def test_watch_when_the_venue_refuses_every_topic_then_says_so(
    urls: dict[str, str], tmp_path: Path
):
    path = tmp_path / "instruments.json"
    with urlopen(f"{urls['rest']}/v5/market/instruments-info?category=linear") as answer:
        path.write_bytes(answer.read().replace(b'"BTCUSDT"', b'"NOSUCHUSDT"'))
    wanted = ("--category", "linear", "--symbols", "NOSUCHUSDT")

    done = watch(urls, "--instruments", str(path), *wanted)

    assert 2 == done.returncode
    assert "the venue refuses every book: orderbook.50.NOSUCHUSDT" in done.stderr


@pytest.mark.parametrize(
    ("public", "text"),
    [
        ("ws://127.0.0.1:1/v5/public", "Connect call failed"),
        ("ws://nowhere.invalid/v5/public", "nowhere.invalid"),
        ("{rest}", "received 404"),
    ],
)
def test_watch_when_the_socket_is_unreachable_then_says_so_at_once_and_ends_with_1(
    public: str, text: str, urls: dict[str, str]
):
    wrong = urls | {"public": public.format(rest=urls["rest"].replace("http", "ws"))}
    wanted = ("--category", "linear", "--symbols", "BTCUSDT", "--seconds", "1.5")

    done = watch(wrong, "--rest-url", urls["rest"], *wanted)

    said = done.stderr.splitlines()
    assert (1, "", 2) == (done.returncode, done.stdout, len(said))
    assert said[0].endswith("dialling on")
    assert "no connection was ever made" in said[1]
    assert text in said[0]


def test_watch_when_rest_is_unreachable_then_ends_with_1(urls: dict[str, str]):
    wanted = ("--category", "linear", "--symbols", "BTCUSDT")

    done = watch(urls, "--rest-url", "http://127.0.0.1:1", *wanted)

    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert "127.0.0.1:1" in done.stderr


def test_watch_when_on_a_terminal_then_shows_books_and_reports_on_ctrl_c(
    urls: dict[str, str], tmp_path: Path
):
    path = tmp_path / "watch.json"
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 140))
    process = subprocess.Popen(
        [
            *(*TICKWRIGHT, "watch", "--public-url", urls["public"], "--rest-url", urls["rest"]),
            *("--category", "linear", "--symbols", ",".join(SYMBOLS), "--json", str(path)),
        ],
        stdout=terminal,
        stderr=subprocess.PIPE,
        # The terminal's own size counts: a test before may have left COLUMNS behind.
        env=os.environ | {"TERM": "xterm", "COLUMNS": "140", "LINES": "40"},
    )
    os.close(terminal)
    screen = b""
    until_s = time.monotonic() + START_S_MAX
    while b"3/3 synced" not in screen and time.monotonic() < until_s:
        screen += os.read(master, 65_536)
    process.send_signal(signal.SIGINT)
    while b"messages in" not in screen and time.monotonic() < until_s:
        screen += os.read(master, 65_536)
    _, errors = process.communicate(timeout=30)
    os.close(master)

    assert (0, b"") == (process.returncode, errors)
    for word in (b"symbol", b"spread bps", b"BTCUSDT", b"read to callback", b"messages in"):
        assert word in screen
    checked(json.loads(path.read_text()), SYMBOLS)
