"""The kill switch by each of its entries, judged by the venue's ledger alone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.integration.clients.venue import Venue, running, wait_until

CONFIG = """
[venues.sim]
kind = "bybit"
env = "simulator"
rest_url = "{venue.rest}"
public_url = "{venue.public}"
private_url = "{venue.private}"
trade_url = "{venue.trade}"

[accounts.main]
venue = "sim"

[[strategies]]
id = "quoting"
strategy = "quoting.py:Quoting"
account = "main"
symbols = ["BTCUSDT"]

[risk]
price_band_bps_max = 9900
deny_conflicting_position = false

[session]
dir = "sessions"

[kill]
heartbeat_s_max = 2.0
"""


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with running() as found:
        yield found


@pytest.fixture
def folder(venue: Venue, tmp_path: Path) -> Iterator[Path]:
    """A configuration and its strategy; the venue is left without orders and positions."""
    shutil.copy(Path(__file__).with_name("quoting.py"), tmp_path / "quoting.py")
    (tmp_path / "run.toml").write_text(CONFIG.format(venue=venue))
    yield tmp_path
    tickwright("kill", str(tmp_path / "run.toml"), "--flatten", "--timeout", "10")
    venue.heal()


def tickwright(*arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickwright", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=timeout,
    )


@contextmanager
def trader(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A trader in a process of its own that has orders at the venue."""
    with (folder / "trader.out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tickwright", "run", str(folder / "run.toml")],
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.wait()


def open_orders(venue: Venue) -> list[dict[str, Any]]:
    return list(venue.account()["open_orders"])


def plain(venue: Venue) -> list[dict[str, Any]]:
    return [one for one in open_orders(venue) if not one["reduceOnly"]]


def busy(venue: Venue, process: "subprocess.Popen[str]") -> None:
    wait_until(lambda: len(plain(venue)) >= 5 or process.poll() is not None, 30)
    assert process.poll() is None, "the trader ended by itself"


def orders_ever(venue: Venue) -> int:
    account = venue.account()
    return len(account["open_orders"]) + len(account["closed_orders"])


def stays_quiet(venue: Venue, seconds: float = 1.0) -> bool:
    """Whether no order comes to the venue any more."""
    before = orders_ever(venue)
    time.sleep(seconds)
    return before == orders_ever(venue) and plain(venue) == []


def kill_json(folder: Path, *arguments: str) -> dict[str, Any]:
    path = folder / "kill.json"
    done = tickwright("kill", str(folder / "run.toml"), "--json", str(path), *arguments)
    assert 0 == done.returncode, done.stderr
    return dict(json.loads(path.read_text()))


def by_command(folder: Path, process: "subprocess.Popen[str]") -> None:
    report = kill_json(folder)
    assert report["accounts"][0]["zero_orders_s"] is not None
    # It sees the fence before the switch has loaded what it needs.
    assert report["trader"] in ("none", "ended_by_itself")


def by_signal(folder: Path, process: "subprocess.Popen[str]") -> None:
    os.kill(process.pid, signal.SIGUSR1)


def by_file(folder: Path, process: "subprocess.Popen[str]") -> None:
    (folder / "sessions/state/KILL").write_text("the office is on fire")


@pytest.mark.parametrize("throw", [by_command, by_signal, by_file])
def test_kill_when_thrown_then_nothing_is_open_and_the_stop_stays(
    venue: Venue, folder: Path, throw: Callable[[Path, "subprocess.Popen[str]"], None]
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        throw(folder, process)
        wait_until(lambda: plain(venue) == [])
        assert 1 == process.wait(timeout=30)
        assert stays_quiet(venue)
    assert "the kill switch was thrown" in (folder / "trader.out").read_text()
    stops = [one for one in open_orders(venue) if one["reduceOnly"]]
    assert ["StopLoss"] == [one["stopOrderType"] for one in stops]


@pytest.mark.parametrize("how", ["hang", "SIGSTOP"])
def test_kill_when_the_trader_is_stuck_then_it_is_fenced_and_ended(
    venue: Venue, folder: Path, how: str
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        if how == "hang":
            (folder / "hang").write_text("")
            time.sleep(0.3)
        else:
            os.kill(process.pid, signal.SIGSTOP)
        report = kill_json(folder)
        assert "ended" == report["trader"]
        assert report["accounts"][0]["zero_orders_s"] is not None
        assert -signal.SIGKILL == process.wait(timeout=20)
        assert stays_quiet(venue)


def test_kill_when_flatten_is_asked_then_the_stop_goes_last(venue: Venue, folder: Path) -> None:
    with trader(folder) as process:
        busy(venue, process)
        report = kill_json(folder, "--flatten")
    assert report["accounts"][0]["flat_s"] is not None
    assert [] == open_orders(venue)
    assert {"0"} >= {one["size"] for one in venue.account()["positions"]}


def test_kill_when_thrown_then_a_restart_is_refused_until_lifted(
    venue: Venue, folder: Path
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        kill_json(folder, "--reason", "enough for today")
    config = str(folder / "run.toml")
    refused = tickwright("run", config, "--seconds", "1")
    assert 2 == refused.returncode
    assert "thrown by cli: enough for today" in refused.stderr
    assert "--lift" in refused.stderr
    assert 0 == tickwright("kill", config, "--lift").returncode
    assert 0 == tickwright("run", config, "--seconds", "2").returncode


def test_kill_when_replies_are_lost_then_it_tries_until_the_venue_shows_none(
    venue: Venue, folder: Path
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        for kind in ("reply_dropped", "reply_error", "reply_html"):
            venue.fault(kind=kind, topic="order.cancel-all", count=1)
        report = kill_json(folder)
        assert report["accounts"][0]["tries"] > 2
        assert stays_quiet(venue)


def test_kill_when_cancels_never_arrive_and_the_clock_is_wrong_then_repeated_at_once(
    venue: Venue, folder: Path
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        # It neither hears of the switch nor cancels anything: what is seen is the switch's doing.
        os.kill(process.pid, signal.SIGSTOP)
        venue.fault(kind="clock", offset_s=30.0, count=1_000_000)
        venue.fault(kind="cut_before_booking", topic="rest.order.cancel-all", count=3)
        account = kill_json(folder)["accounts"][0]
        assert account["tries"] >= 3
        # Product lines are asked beside each other: three failures cost one wait, not three.
        assert account["zero_orders_s"] < 2.0
        assert stays_quiet(venue)


def test_kill_when_scope_is_own_then_foreign_orders_stay(venue: Venue, folder: Path) -> None:
    from pybit.unified_trading import HTTP  # type: ignore[import-untyped]

    foreign = HTTP(
        testnet=False, api_key="tickwright-demo-key", api_secret="tickwright-demo-secret"
    )
    foreign.endpoint = venue.rest
    with trader(folder) as process:
        busy(venue, process)
        price = foreign.get_tickers(category="linear", symbol="ETHUSDT")["result"]["list"][0]
        foreign.place_order(
            category="linear",
            symbol="ETHUSDT",
            side="Buy",
            orderType="Limit",
            qty="1",
            price=f"{float(price['lastPrice']) * 0.95:.1f}",
            orderLinkId="somebody-elses",
        )
        kill_json(folder, "--scope", "own")
        assert ["somebody-elses"] == [one["orderLinkId"] for one in plain(venue)]


@contextmanager
def dog(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A watchdog in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tickwright", "watchdog", str(folder / "run.toml")],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        try:
            assert any("watching" in line for line in process.stderr)
            yield process
        finally:
            process.terminate()


@pytest.mark.parametrize("end", ["SIGSTOP", "SIGKILL", "hang"])
def test_watchdog_when_the_trader_shows_no_life_then_nothing_stays_open(
    venue: Venue, folder: Path, end: str
) -> None:
    with dog(folder), trader(folder) as process:
        busy(venue, process)
        if end == "hang":
            (folder / "hang").write_text("")
        else:
            os.kill(process.pid, getattr(signal, end))
        wait_until(lambda: plain(venue) == [])
        assert stays_quiet(venue)
        process.wait(timeout=20)
    assert "thrown by watchdog" in tickwright("run", str(folder / "run.toml")).stderr


def test_watchdog_when_the_trader_ends_in_order_then_it_keeps_quiet(
    venue: Venue, folder: Path
) -> None:
    with dog(folder):
        done = tickwright("run", str(folder / "run.toml"), "--seconds", "2")
        assert 0 == done.returncode, done.stderr
        time.sleep(3)
    assert not (folder / "sessions/state/kill.json").exists()


def test_watchdog_when_told_to_end_during_a_kill_then_it_ends_and_the_next_one_goes_on(
    venue: Venue, folder: Path
) -> None:
    config = folder / "run.toml"
    port = free_port()
    text = config.read_text() + f"listen_port = {port}\n"
    with trader(folder) as process:
        busy(venue, process)
        os.kill(process.pid, signal.SIGSTOP)
        # Nobody answers where the venue was.
        config.write_text(text.replace(venue.rest, f"http://127.0.0.1:{free_port()}"))
        with dog(folder) as watching:
            token = (folder / "sessions/state/watchdog-token").read_text()
            asked = Thread(target=refused, args=(f"http://127.0.0.1:{port}/kill", token))
            asked.start()
            wait_until((folder / "sessions/state/kill.json").exists)
            watching.terminate()
            # Its call by HTTP may take for ever; the end of the process may not.
            assert 1 == watching.wait(timeout=20)
            asked.join(timeout=20)
        assert len(plain(venue)) >= 5
        config.write_text(text)
        with dog(folder):
            wait_until(lambda: plain(venue) == [])
            wait_until(lambda: kill_order(folder)["done_ns"] > 0)
        assert stays_quiet(venue, 0.3)


def refused(url: str, token: str) -> None:
    with suppress(OSError):
        call(url, token, {})


def kill_order(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sessions/state/kill.json").read_text()))


def test_watchdog_when_asked_over_http_then_it_wants_the_token(venue: Venue, folder: Path) -> None:
    config = folder / "run.toml"
    port = free_port()
    config.write_text(config.read_text() + f"listen_port = {port}\n")
    url = f"http://127.0.0.1:{port}"
    with dog(folder), trader(folder) as process:
        busy(venue, process)
        token = (folder / "sessions/state/watchdog-token").read_text()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            call(url + "/kill", "wrong", {})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            call(url + "/kill", token, {"scop": "own"})
        assert "alive" == call(url + "/status", token)["trader"]
        report = call(url + "/kill", token, {"reason": "by hand"})
        assert 0 == report["accounts"][0]["open_orders"]
        assert "killed" == call(url + "/status", token)["trader"]
        assert stays_quiet(venue)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def call(url: str, token: str, body: Any = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(json.loads(answer.read()))


def tell(folder: Path, *words: str) -> dict[str, Any]:
    path = folder / "told.json"
    done = tickwright("tell", str(folder / "run.toml"), *words, "--json", str(path))
    assert 0 == done.returncode, done.stderr
    return dict(json.loads(path.read_text()))


def test_tell_when_halted_and_resumed_then_orders_end_and_begin_again(
    venue: Venue, folder: Path
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        assert "lunch" in tell(folder, "halt", "all", "--reason", "lunch")["engine_halt"]
        wait_until(lambda: plain(venue) == [])
        assert stays_quiet(venue)
        assert "" == tell(folder, "resume")["engine_halt"]
        wait_until(lambda: plain(venue))
        assert 0o600 == (folder / "sessions/state/control.sock").stat().st_mode & 0o777
        assert "done" in tickwright("tell", str(folder / "run.toml"), "stop").stdout
        assert 0 == process.wait(timeout=30)
    assert not (folder / "sessions/state/control.sock").exists()


def test_tell_when_the_scope_is_unknown_then_the_nearest_is_named(
    venue: Venue, folder: Path
) -> None:
    with trader(folder) as process:
        busy(venue, process)
        refused = tickwright("tell", str(folder / "run.toml"), "halt", "quotin")
        assert 1 == refused.returncode
        assert "quoting" in refused.stderr
        refused = tickwright("tell", str(folder / "run.toml"), "lift", "drawdown@bybit:main")
        assert "is not in force" in refused.stderr


def test_tell_when_no_trader_runs_then_says_so(venue: Venue, folder: Path) -> None:
    (folder / "sessions/state").mkdir(parents=True)
    refused = tickwright("tell", str(folder / "run.toml"), "halt")
    assert 2 == refused.returncode
    assert "no trader listens" in refused.stderr
