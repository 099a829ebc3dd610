"""`status`, `orders`, `explain` and `doctor` as processes beside a trader at a simulated venue."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pybit.unified_trading as pybit  # type: ignore[import-untyped]
import pytest

from tests.integration.app.between import between
from tests.integration.clients.venue import KEY, SECRET, Venue, running, wait_until
from tests.integration.kill.test_kill import CONFIG, plain, trader

QUOTING = Path(__file__).parents[1] / "kill" / "quoting.py"


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with running() as found:
        yield found


def made(venue: Venue, folder: Path) -> Path:
    shutil.copy(QUOTING, folder / "quoting.py")
    (folder / "run.toml").write_text(CONFIG.format(venue=venue))
    return folder


def ask(*arguments: str, code: int | None = 0, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tickwright", *arguments, "--json", "-"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert code is None or code == done.returncode, done.stderr + done.stdout
    return dict(json.loads(done.stdout))


def says(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tickwright", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def agreed(config: str) -> dict[str, Any] | None:
    """The open orders as soon as the journal and the venue say the same."""
    code, out, _ = says("orders", config, "--open", "--venue", "--json", "-")
    return dict(json.loads(out)) if code == 0 else None


class World:
    """What was seen while a trader ran, and its folder after it ended in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = str(folder / "run.toml")
        self.seen: dict[str, dict[str, Any]] = {}

    @property
    def session(self) -> Path:
        (found,) = (self.folder / "sessions").glob("2*Z")
        return found

    def orders(self) -> list[dict[str, Any]]:
        return list(ask("orders", self.config)["orders"])

    def filled(self) -> str:
        return str(next(one["client_id"] for one in self.orders() if one["state"] == "filled"))

    def cancelled(self) -> str:
        found = (one for one in self.orders() if one["state"] == "cancelled" and one["price"])
        return str(next(found)["client_id"])


@pytest.fixture(scope="module")
def world(venue: Venue, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A trader that ran with somebody else's order beside its own, and a watchdog."""
    folder = made(venue, tmp_path_factory.mktemp("operator"))
    found = World(folder)
    found.seen["before"] = ask("status", found.config, code=3)
    dog = subprocess.Popen(
        [sys.executable, "-m", "tickwright", "watchdog", found.config], stderr=subprocess.DEVNULL
    )
    with trader(folder) as process:
        wait_until(lambda: len(plain(venue)) >= 6)
        http = pybit.HTTP(api_key=KEY, api_secret=SECRET)
        http.endpoint = venue.rest
        foreign = {
            "category": "linear",
            "symbol": "ETHUSDT",
            "side": "Buy",
            "orderLinkId": "theirs",
        }
        http.place_order(**foreign, orderType="Limit", qty="0.1", price="2000")
        found.seen["running"] = ask("status", found.config)
        # The journal hears of a filled order's end once the state on the disk holds the fill.
        found.seen["orders"] = wait_until(lambda: agreed(found.config))
        found.seen["doctor"] = ask("doctor", found.config)
        http.cancel_order(category="linear", symbol="ETHUSDT", orderLinkId="theirs")
        process.send_signal(signal.SIGINT)
        process.wait(30)
    dog.kill()
    dog.wait()
    found.seen["silent"] = silenced(venue, made(venue, tmp_path_factory.mktemp("silenced")))
    return found


def silenced(venue: Venue, folder: Path) -> dict[str, Any]:
    """What `status` says of a stopped process.

    It has a folder of its own: a trader that was stopped finds its private stream silent when it
    goes on and cancels for that reason, and the world's orders shall end for one reason only.
    """
    config = str(folder / "run.toml")
    with trader(folder) as process:
        wait_until(lambda: len(plain(venue)) >= 1)
        process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: ask("status", config, code=None)["exit_code"] == 4)
            return ask("status", config, code=4)
        finally:
            process.send_signal(signal.SIGCONT)


# status -------------------------------------------------------------------------------------------


def test_status_when_a_trader_comes_and_goes_then_says_which(world: World):
    states = {name: world.seen[name]["trader"]["state"] for name in ("before", "running", "silent")}
    assert {"before": "none", "running": "running", "silent": "silent"} == states
    running = world.seen["running"]
    assert running["trader"]["pid"] > 1
    assert running["trader"]["epoch"] == running["session"]["epoch"]
    assert running["trader"]["silence_s"] < 2
    assert running["watchdog"]["is_watching"]
    assert not world.seen["silent"]["watchdog"]["is_watching"]
    assert not running["session"]["is_closed"]
    assert running["journals"][0]["open"] >= 6
    assert 5 == len(running["last_orders"])
    assert running["disk_free_bytes"] > 0
    assert [] == running["faults"] == running["protections"]


def test_status_when_the_run_ended_then_says_how_and_shows_no_open_order(world: World):
    report = ask("status", world.config, code=3)
    assert ("ended", True) == (report["trader"]["state"], report["session"]["is_closed"])
    assert 0 == report["journals"][0]["open"]
    assert {"cancelled"} <= {one["state"] for one in report["last_orders"]}
    code, out, _ = says("status", world.config)
    assert 3 == code
    assert "ended: the last run ended in order" in out


def test_status_when_killed_then_says_who_and_why(venue: Venue, tmp_path: Path):
    folder = made(venue, tmp_path)
    config = str(folder / "run.toml")
    assert 0 == says("kill", config, "--reason", "lunch")[0]
    report = ask("status", config, code=5)
    assert ("lunch", "cli", "account") == tuple(
        report["kill"][name] for name in ("reason", "by", "scope")
    )
    assert report["kill"]["done_ns"] >= report["kill"]["asked_ns"]
    doctor = ask("doctor", config, code=1)
    (line,) = [one for one in doctor["lines"] if one["name"] == "kill switch"]
    assert ("fail", True) == (line["verdict"], "--lift" in line["remedy"])


def test_status_when_the_process_died_then_says_that_it_is_gone(venue: Venue, tmp_path: Path):
    folder = made(venue, tmp_path)
    with trader(folder) as process:
        wait_until(lambda: len(plain(venue)) >= 3)
        process.kill()
        process.wait()
    report = ask("status", str(folder / "run.toml"), code=3)
    assert "gone" == report["trader"]["state"]
    assert not report["session"]["is_closed"]
    # An order that filled a moment before may not have its end in the journal: then they differ.
    orders = ask("orders", str(folder / "run.toml"), "--open", "--venue", code=None)
    seen = {one["verdict"] for one in orders["venues"][0]["orders"]}
    assert {"agrees", "held"} <= seen <= {"agrees", "held", "ended_there"}
    assert 0 == says("kill", str(folder / "run.toml"), "--flatten")[0]
    after = ask("orders", str(folder / "run.toml"), "--venue", code=1)
    assert {"ended_there"} == {one["verdict"] for one in after["venues"][0]["orders"]}


def test_status_when_files_are_damaged_then_they_are_faults_and_not_a_crash(
    world: World, tmp_path: Path
):
    folder = tmp_path / "copy"
    shutil.copytree(world.folder, folder)
    state = folder / "sessions" / "state"
    (state / "fence").write_bytes(b"rubbish")
    (segment,) = (state / "journal-bybit-main").glob("*.log")
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    (state / "kill.json").write_text("{")
    report = ask("status", str(folder / "run.toml"), code=5)
    assert 2 == len(report["faults"])
    assert "is damaged" in report["faults"][1]
    assert "is damaged" in report["kill"]["words"]


# orders -------------------------------------------------------------------------------------------


def test_orders_when_the_venue_is_asked_then_each_is_ours_held_or_foreign(world: World):
    (account,) = world.seen["orders"]["venues"]
    verdicts = {one["verdict"] for one in account["orders"]}
    assert {"agrees", "held", "foreign"} == verdicts
    (foreign,) = [one for one in account["orders"] if one["verdict"] == "foreign"]
    assert ("theirs", "2000.00", "0.10") == tuple(
        foreign[name] for name in ("client_id", "price", "size")
    )
    mine = {one["client_id"] for one in account["orders"] if one["verdict"] == "agrees"}
    assert {one["client_id"] for one in world.seen["orders"]["orders"]} == mine


def test_orders_when_filtered_then_only_those(world: World):
    everything = world.orders()
    assert 7 == len(everything)
    last = ask("orders", world.config, "--last", "2")["orders"]
    assert everything[-2:] == last
    assert [] == ask("orders", world.config, "--open")["orders"]
    assert [] == ask("orders", world.config, "--strategy", "other")["orders"]
    assert 7 == len(ask("orders", world.config, "--symbol", "BTCUSDT")["orders"])
    filled = next(one for one in everything if one["state"] == "filled")
    assert ("buy", "market", "0.004", "0.004", None) == tuple(
        filled[name] for name in ("side", "type", "size", "filled", "price")
    )


def test_orders_when_the_venue_is_gone_then_nothing_is_known_and_it_says_so(
    world: World, tmp_path: Path
):
    folder = tmp_path / "copy"
    shutil.copytree(world.folder, folder)
    path = folder / "run.toml"
    lines = path.read_text().splitlines()
    gone = ['rest_url = "http://127.0.0.1:9"' if x.startswith("rest_url") else x for x in lines]
    path.write_text("\n".join(gone))
    report = ask("orders", str(path), "--venue", code=1)
    assert report["venues"][0]["fault"]
    assert [] == report["venues"][0]["orders"]
    assert 7 == len(report["orders"])


# explain ------------------------------------------------------------------------------------------


def kinds(story: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["source"], one["kind"]) for one in story["lines"]]


def test_explain_when_an_order_filled_then_every_step_stands_there_in_its_order(world: World):
    story = ask("explain", world.filled(), world.config)
    steps = kinds(story)
    assert [
        ("replay", "book"),
        ("replay", "verdict"),
        ("replay", "command"),
        ("replay", "state"),
        ("journal", "promise"),
        ("session", "sent"),
    ] == steps[:6]
    assert {
        ("session", "reply"),
        ("session", "report"),
        ("session", "execution"),
        ("replay", "ledger"),
        ("journal", "settled"),
    } <= set(steps)
    times = [one["time_ns"] for one in story["lines"]]
    assert sorted(times) == times
    (ledger,) = [one["text"] for one in story["lines"] if one["kind"] == "ledger"]
    assert "position 0.000 -> 0.004" in ledger
    assert "of quoting" in ledger
    checks = {one["reason"]: one for one in story["checks"]}
    assert {"passed"} == {one["outcome"] for one in checks.values()}
    assert "USDT" in checks["order_notional"]["value"]
    assert [] == story["notes"]


def test_explain_when_an_order_was_cancelled_then_says_who_asked_for_it(world: World):
    story = ask("explain", world.cancelled(), world.config)
    told = {(one["kind"], one["text"]) for one in story["lines"]}
    assert ("operator", "stop all: end of the run") in told
    assert ("command", "cancel") in told
    assert ("sent", "cancel: bytes handed to the socket") in told
    assert ("settled", "ended cancelled, 0.000 filled") in told


def test_explain_when_the_beginning_fits_one_then_takes_it_else_says_which(world: World):
    name = world.filled()
    assert name == ask("explain", name[:-1] + name[-1], world.config)["client_id"]
    code, _, err = says("explain", name[:8], world.config)
    assert (2, True) == (code, "several orders begin with" in err)
    code, _, err = says("explain", "tw" + name[3:], world.config)
    assert (2, True) == (code, f"did you mean {name!r}" in err or "did you mean" in err)
    assert 1 == err.count("\n")


def test_explain_when_only_a_session_is_given_then_the_journal_is_left_out(world: World):
    story = ask("explain", world.filled(), "--session", str(world.session))
    sources = {one["source"] for one in story["lines"]}
    assert {"session", "replay"} == sources
    assert story["order"] is None


def test_explain_when_the_strategy_is_gone_then_the_log_tells_decisions_and_the_notes_why(
    world: World, tmp_path: Path
):
    name = world.filled()
    folder = tmp_path / "copy"
    shutil.copytree(world.folder, folder)
    (session,) = (folder / "sessions").glob("2*Z")
    header = session / "header.json"
    header.write_text(header.read_text().replace("quoting.py", "gone.py"))
    story = ask("explain", name, str(folder / "run.toml"))
    assert "can't be repeated" in story["notes"][0]
    steps = set(kinds(story))
    assert {("log", "state"), ("journal", "promise"), ("session", "execution")} <= steps
    assert "replay" not in {source for source, _ in steps}


def test_explain_when_the_session_was_not_recorded_then_the_journal_is_what_is_left(
    world: World, tmp_path: Path
):
    name = world.filled()
    folder = tmp_path / "copy"
    shutil.copytree(world.folder, folder)
    for session in (folder / "sessions").glob("2*Z"):
        shutil.rmtree(session)
    story = ask("explain", name, str(folder / "run.toml"))
    assert [("journal", "promise"), ("journal", "settled")] == kinds(story)
    assert "no recorded session" in story["notes"][0]
    assert "units" in story["lines"][0]["text"]


def test_explain_when_a_replay_differs_then_only_what_agreed_is_believed(
    world: World, tmp_path: Path
):
    name = world.cancelled()
    folder = tmp_path / "copy"
    shutil.copytree(world.folder, folder)
    (session,) = (folder / "sessions").glob("2*Z")
    header = session / "header.json"
    header.write_text(
        header.read_text()
        .replace(f"{folder}", "")
        .replace(str(world.folder / "quoting.py"), str(folder / "quoting.py"))
    )
    quoting = folder / "quoting.py"
    quoting.write_text(quoting.read_text().replace("RESTING_MAX = 6", "RESTING_MAX = 1"))
    story = ask("explain", name, str(folder / "run.toml"))
    assert any("the replay is another one" in note for note in story["notes"])
    assert ("session", "sent") in kinds(story)
    assert ("log", "state") in kinds(story)


def test_explain_when_a_later_run_took_an_order_over_then_both_runs_tell(
    venue: Venue, tmp_path: Path
):
    folder = made(venue, tmp_path)
    config = str(folder / "run.toml")
    with trader(folder) as process:
        wait_until(lambda: len(plain(venue)) >= 5)
        process.kill()
        process.wait()
    left = [one for one in ask("orders", config, "--open")["orders"] if one["price"]]
    assert 0 == says("run", config, "--seconds", "2")[0]
    story = ask("explain", left[-1]["client_id"], config)
    assert 2 == len(story["sessions"])
    assert "cancelled" == story["order"]["state"]
    epochs = [one["epoch"] for one in story["lines"] if one["epoch"]]
    assert left[-1]["epoch"] == epochs[0] < epochs[-1]
    steps = kinds(story)
    assert [("journal", "promise"), ("session", "restored"), ("journal", "settled")] == [
        step
        for step in steps
        if step in (("journal", "promise"), ("session", "restored"), ("journal", "settled"))
    ]
    assert [] == story["notes"]


# doctor -------------------------------------------------------------------------------------------


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["verdict"] for one in report["lines"]}


def test_doctor_when_all_is_well_then_every_line_is_ok(world: World):
    report = world.seen["doctor"]
    skipped = {name for name, verdict in verdicts(report).items() if verdict == "skip"}
    # Neither a history nor a mirror is configured here.
    assert {"database", "server"} == skipped
    assert {"ok", "skip"} == set(verdicts(report).values())
    assert {
        "picows",
        "configuration",
        "space",
        "write",
        "trader",
        "kill switch",
        "watchdog",
        "clock",
        "linear BTCUSDT",
        "public socket linear",
        "private socket",
        "trade socket",
        "key: withdraw",
        "key: linear",
        "margin mode",
        "position mode linear",
        "cancel on disconnect",
        "rate limits",
        "kill key: linear",
    } <= set(verdicts(report))


def test_doctor_when_the_key_is_wrong_then_fails_with_a_remedy(world: World):
    report = ask(
        "doctor",
        world.config,
        code=1,
        TICKWRIGHT_MAIN_API_KEY="k" * 18,
        TICKWRIGHT_MAIN_API_SECRET="s" * 36,
    )
    (key,) = [one for one in report["lines"] if one["name"] == "key"]
    assert ("fail", True, True) == (key["verdict"], "10003" in key["text"], bool(key["remedy"]))
    assert {"fail"} == {verdicts(report)[name] for name in ("private socket", "trade socket")}
    assert "s" * 36 not in json.dumps(report)


def test_doctor_when_the_clock_is_off_then_says_how_much(venue: Venue, world: World):
    venue.fault(kind="clock", offset_s=-1.0, count=1_000_000)
    try:
        warned = ask("doctor", world.config)
        venue.heal()
        venue.fault(kind="clock", offset_s=9.0, count=1_000_000)
        failed = ask("doctor", world.config, code=1)
    finally:
        venue.heal()
    assert ("warn", "fail") == (verdicts(warned)["clock"], verdicts(failed)["clock"])


def test_doctor_when_it_looks_then_nothing_at_the_venue_changes(venue: Venue, world: World):
    before = venue.account()
    ask("doctor", world.config)
    after = venue.account()
    assert before["closed_orders"] == after["closed_orders"]
    assert before["open_orders"] == after["open_orders"]


def test_doctor_when_a_key_expires_soon_and_may_withdraw_then_says_both(
    venue: Venue, world: World, tmp_path: Path
):
    held = {
        "readOnly": 0,
        "permissions": {"ContractTrade": ["Order"], "Wallet": ["Withdraw"]},
        "ips": ["10.0.0.1"],
        "expiredAt": "2026-01-01T00:00:00Z",
    }
    answer = json.dumps({"retCode": 0, "retMsg": "", "result": held, "time": 1}).encode()
    folder = tmp_path / "copy"
    shutil.copytree(world.folder, folder)
    path = folder / "run.toml"
    with between(venue.rest, {"/user/query-api": answer}) as rest:
        path.write_text(path.read_text().replace(venue.rest, rest))
        found = verdicts(ask("doctor", str(path), code=1))
    assert ["fail", "fail", "fail", "ok"] == [
        found[f"key: {name}"] for name in ("withdraw", "linear", "expiry", "address")
    ]
