"""`replay` as a real process: what its clients hear, how it ends, and what it says of mistakes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pybit.unified_trading as pybit  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner, Result
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.integration.clients.venue import Subscriptions, wait_until
from tests.integration.replay.playing import Recorded
from tickwright.app.replay_source import find_spans, time_text
from tickwright.cli.main import app

TICKWRIGHT = (sys.executable, "-m", "tickwright")
WAIT_S = 30.0


@contextmanager
def replaying(*words: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Serve in a process; give it and the line it prints when ready."""
    process = subprocess.Popen(
        [*TICKWRIGHT, "replay", *map(str, words), "--serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.kill()


def run(*words: object) -> Result:
    """Run the verb in this process: nothing is served."""
    return CliRunner().invoke(app, ["replay", *map(str, words)])


def test_pybit_when_a_recording_is_served_then_reads_it_as_the_venue(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
):
    told: dict[str, list[dict[str, Any]]] = {}

    def take(message: dict[str, Any]) -> None:
        told.setdefault(message["topic"], []).append(message)

    with replaying(recorded.folder, "--speed", 0.2) as (_, place):
        monkeypatch.setattr(pybit, "PUBLIC_WSS", place["public"] + "/{CHANNEL_TYPE}")
        http = pybit.HTTP()
        http.endpoint = place["rest"]
        listed = http.get_instruments_info(category="spot")["result"]["list"]
        assert ["BTCUSDT", "ETHUSDT", "SOLUSDT"] == [row["symbol"] for row in listed]
        http.client.close()
        socket = pybit.WebSocket(testnet=False, channel_type="spot")
        socket.subscriptions = Subscriptions()
        socket.orderbook_stream(50, "BTCUSDT", take)
        socket.trade_stream("BTCUSDT", take)
        socket.ticker_stream("BTCUSDT", take)
        wait_until(lambda: len(told.get("orderbook.50.BTCUSDT", ())) > 5, WAIT_S)
        wait_until(lambda: told.get("publicTrade.BTCUSDT"), WAIT_S)
        wait_until(lambda: told.get("tickers.BTCUSDT"), WAIT_S)
        # pybit hands out whole books, made of the recorded frames.
        for message in told["orderbook.50.BTCUSDT"]:
            key = ("spot", "BTCUSDT", message["data"]["u"])
            shown = sorted(float(price) for price, _ in message["data"]["b"])
            assert shown == sorted(price / 100 for price, _ in recorded.at[key][0])
        # Its thread looks after 10 s whether it is over, and isn't waited for.
        socket.exit()


def test_serving_when_played_to_the_end_then_ends_and_reports(recorded: Recorded, tmp_path: Path):
    report = tmp_path / "served.json"
    with replaying(recorded.folder, "--speed", 20, "--json", report) as (process, place):
        texts = heard(f"{place['public']}/spot", "orderbook.50.BTCUSDT")
        out, err = process.communicate(timeout=WAIT_S)
    assert (0, "") == (process.returncode, err)
    assert "to the end" in out
    written = json.loads(report.read_text())
    assert (True, 1, 0) == (written["is_complete"], written["clients"], written["holes"])
    # And the answer to its request.
    assert len(texts) == 1 + written["frames_sent"]
    assert written["frames_sent"] == written["topics"]["spot orderbook.50.BTCUSDT"]


def heard(url: str, topic: str) -> list[str | bytes]:
    """Subscribe, and return everything said until the socket ends."""
    texts: list[str | bytes] = []
    with suppress(OSError, WebSocketException), connect(url) as socket:
        socket.send(json.dumps({"op": "subscribe", "args": [topic]}))
        texts.extend(socket)
    return texts


def test_serving_when_interrupted_then_reports_how_far_it_came(recorded: Recorded):
    with replaying(recorded.folder, "--json", "-") as (process, _):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    assert 130 == process.returncode
    assert (False, 0) == (json.loads(out)["is_complete"], json.loads(out)["frames"])
    assert "not to the end" in err


def test_mistakes_when_made_then_are_told_in_one_sentence(recorded: Recorded, tmp_path: Path):
    (span,) = find_spans([recorded.folder])
    asked: dict[str, tuple[object, ...]] = {
        f"{time_text(span.first_ns)} to {time_text(span.last_ns)}": (
            recorded.folder, "--serve", "--as-of", "2020-01-01T00:00",
        ),
        "there is no such folder or file": (tmp_path / "nowhere", "--serve"),
        "--speed goes with --serve": (recorded.folder, "--speed", 2),
        "give a number, as 10, or max": (recorded.folder, "--serve", "--speed", "fast"),
    }  # fmt: skip
    for words, arguments in asked.items():
        done = run(*arguments)
        assert (2, True, 1) == (done.exit_code, words in done.stderr, done.stderr.count("\n"))


def test_recording_when_decided_anew_then_says_that_it_holds_no_decision(recorded: Recorded):
    done = run(recorded.folder)
    assert 1 == done.exit_code
    assert "no decision stands in it" in done.stderr
    assert "--serve" in done.stderr


def test_damage_when_served_then_is_named_and_the_exit_code_says_so(
    recorded: Recorded, tmp_path: Path
):
    segment = recorded.damaged(tmp_path / "damaged")
    with replaying(segment.parent, "--speed", 50) as (process, place):
        deadline = time.monotonic() + WAIT_S
        while process.poll() is None and time.monotonic() < deadline:
            heard(f"{place['public']}/spot", "publicTrade.BTCUSDT")
        _, err = process.communicate(timeout=WAIT_S)
    assert 1 == process.returncode
    assert f"{segment}: " in err
    assert "records are missing" in err
