"""`backtest` and `import`: what they print, write and refuse."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tickwright.backtest.synthetic import SyntheticTape, write_synthetic
from tickwright.backtest.tape import Tape
from tickwright.bench.backtest import write_npz
from tickwright.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"
CONFIG = """
[venues.box]
kind = "bybit"
env = "simulator"

[venues.box.simulator]
sources = ["demo"]

[accounts.paper]
venue = "box"

[[strategies]]
id = "one"
strategy = "one.py:One"
account = "paper"
symbols = ["BTCUSDT"]

[backtest]
order_ms = 2
"""
STRATEGY = """
import tickwright as tw


class One(tw.Strategy):
    seen = 0

    def on_book(self, book):
        self.seen += 1
        if self.seen == RAISE_AT:
            raise ValueError("I can't count")
        turn = self.seen % 400
        if turn == 100:
            return self.context.long(book.instrument_id, reason="its turn")
        if turn == 300:
            return self.context.leave(book.instrument_id, reason="its turn")
        return None
"""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made tape, by way of the peer's format: its instrument is one of the venue's."""
    folder = tmp_path_factory.mktemp("made")
    made = write_synthetic(folder / "made", SyntheticTape(messages=3_000))
    write_npz(made, folder / "made.npz")
    code, out, err = says(
        "import", folder / "made.npz", "--tape", folder / "tape", *RULES, "--json", "-"
    )
    assert 0 == code, err
    told = json.loads(out)
    assert made.header.level_rows == told["level_rows"]
    assert made.header.trades == told["trades"]
    assert np.array_equal(made.levels, Tape(folder / "tape").levels)
    return folder / "tape"


RULES = ("--instrument", "bybit:linear:BTCUSDT", "--tick", "0.1", "--lot", "0.001", "--base", "BTC")


def says(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path)


def write(folder: Path, *, raise_at: int = -1, more: str = "") -> Path:
    (folder / "one.py").write_text(STRATEGY.replace("RAISE_AT", str(raise_at)))
    path = folder / "run.toml"
    path.write_text(CONFIG + more)
    return path


def test_backtest_when_run_then_prints_writes_and_repeats_itself(tape: Path, config: Path):
    json_path, html = config.parent / "r.json", config.parent / "r.html"
    code, out, err = says("backtest", config, "--tape", tape, "--json", json_path, "--html", html)
    assert 0 == code, err
    assert "round trips" in out
    assert "million rows a second" in out
    report: dict[str, Any] = json.loads(json_path.read_text())
    assert report["facts"]["orders"] >= 4
    assert report["facts"]["fills"] >= 4
    # What was written shows the tape's levels around its round trips.
    assert report["charts"]
    for chart in report["charts"]:
        assert any(share for column in chart["book"]["sizes"] for share in column)
    page = html.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "what rested at each price" in page
    code, out, _ = says("backtest", config, "--tape", tape, "--json", "-")
    assert 0 == code
    assert report["facts"]["digest"] == json.loads(out)["facts"]["digest"]


def test_backtest_when_it_has_an_impact_then_says_which_and_costs_more(tape: Path, tmp_path: Path):
    more = """impact = "obizhaeva_wang"
impact_permanent_bps_per_million = 40
impact_transient_bps_per_million = 400.0
impact_half_life_ms = 3_600_000
"""
    found = {}
    for name, lines in (("plain", ""), ("moved", more)):
        (tmp_path / name).mkdir()
        config = write(tmp_path / name, more=lines)
        code, out, err = says("backtest", config, "--tape", tape, "--json", "-")
        assert 0 == code, err
        found[name] = json.loads(out)
        assert ("own impact" in err) == bool(lines)
    costs = {name: one["quality"]["liquidity"][0]["impact_money"] for name, one in found.items()}
    assert 0 == costs["plain"] < costs["moved"]
    assert "none" == found["plain"]["facts"]["impact"]
    assert found["moved"]["facts"]["impact"].startswith("obizhaeva_wang: a million taken")
    net = {name: float(one["metrics"]["money"]["net"]) for name, one in found.items()}
    assert net["moved"] < net["plain"]


def test_backtest_when_bounded_in_time_then_takes_that_part(tape: Path, config: Path):
    first, last = (int(Tape(tape).received_ns[place]) for place in (0, -1))
    middle = (first + last) // 2
    moment = np.datetime64(middle, "ns").astype(str)[:26]
    code, out, err = says("backtest", config, "--tape", tape, "--from", moment, "--json", "-")
    assert 0 == code, err
    assert json.loads(out)["facts"]["messages"] < 0.6 * len(Tape(tape))


def test_backtest_when_a_strategy_raises_then_the_code_is_3_and_its_place_is_told(
    tape: Path, tmp_path: Path
):
    config = write(tmp_path, raise_at=700)
    code, out, err = says("backtest", config, "--tape", tape, "--json", "-")
    assert 3 == code, err
    assert "ValueError: I can't count at one.py:" in out


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, (), "needs one of backtest.tape, backtest.lake, backtest.sessions and"),
        (1, ("--tape", "nowhere"), "no tape in nowhere"),
        (2, ("--lake", "l", "--session", "s"), "needs one of"),
        (2, ("--tape", "{tape}", "--from", "2031-01-01"), "nothing between the wanted times"),
        (2, ("--tape", "{tape}", "--from", "soon"), "is no time such as"),
        (2, ("--tape", "{tape}", "--html", "nowhere/r.html"), "--html nowhere/r.html"),
    ],
)
def test_backtest_when_asked_wrongly_then_one_sentence(
    tape: Path, config: Path, code: int, arguments: tuple[str, ...], words: str
):
    wanted = [one.replace("{tape}", str(tape)) for one in arguments]
    found, out, err = says("backtest", config, *wanted)
    assert (code, "") == (found, out)
    assert words in err
    assert 1 == err.count("\n")


def test_backtest_when_the_tape_lacks_the_symbol_then_says_what_it_holds(
    tape: Path, tmp_path: Path
):
    config = write(tmp_path)
    config.write_text(config.read_text().replace('["BTCUSDT"]', '["ETHUSDT"]'))
    code, _, err = says("backtest", config, "--tape", tape)
    assert 2 == code
    assert "has no bybit:linear:ETHUSDT; it holds bybit:linear:BTCUSDT" in err


def test_backtest_when_a_key_is_misspelt_then_names_the_right_one(tmp_path: Path, tape: Path):
    config = write(tmp_path, more="ordr_ms = 3\n")
    code, _, err = says("backtest", config, "--tape", tape)
    assert 2 == code
    assert "order_ms" in err


@pytest.mark.parametrize("name", ["levels.npy", "messages.npy", "tape.json"])
def test_backtest_when_the_tape_is_damaged_then_says_so(tape: Path, config: Path, name: str):
    damaged = config.parent / "damaged"
    damaged.mkdir()
    for one in tape.iterdir():
        raw = one.read_bytes()
        (damaged / one.name).write_bytes(raw[: len(raw) // 2] if one.name == name else raw)
    code, _, err = says("backtest", config, "--tape", damaged)
    assert 1 == code
    assert name in err
    assert 1 == err.count("\n")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--tick", "0"), "--tick and --lot must be above zero"),
        (("--tick", "one"), "--tick"),
        (("--instrument", "BTCUSDT"), "BTCUSDT"),
    ],
)
def test_import_when_asked_wrongly_then_one_sentence(
    tape: Path, tmp_path: Path, change: tuple[str, str], words: str
):
    rules = dict(zip(RULES[::2], RULES[1::2], strict=True)) | {change[0]: change[1]}
    flat = [part for pair in rules.items() for part in pair]
    code, _, err = says("import", tape.parent / "made.npz", "--tape", tmp_path / "t", *flat)
    assert 2 == code
    assert words in err
    assert not (tmp_path / "t").exists()


def test_import_when_the_folder_is_there_then_nothing_is_touched(tape: Path):
    before = {one.name: one.stat().st_mtime_ns for one in tape.iterdir()}
    code, _, err = says("import", tape.parent / "made.npz", "--tape", tape, *RULES)
    assert 1 == code
    assert "is there already" in err
    assert before == {one.name: one.stat().st_mtime_ns for one in tape.iterdir()}


def test_backtest_when_probed_then_says_that_nothing_looks_ahead(tape: Path, config: Path):
    code, out, err = says("backtest", config, "--tape", tape, "--probe", "3")
    assert 0 == code, err
    assert "3 cuts, " in out
    assert "none depends on what follows" in " ".join(out.split())


def test_backtest_when_the_market_is_the_configuration_s_own_then_makes_it_once(
    tmp_path: Path,
):
    (tmp_path / "one.py").write_text(STRATEGY.replace("RAISE_AT", "-1"))
    path = tmp_path / "one.toml"
    path.write_text(CONFIG)

    found = [
        CliRunner().invoke(app, ["backtest", str(path), "--simulated", "60", "--json", "-"])
        for _ in range(2)
    ]

    assert [0, 0] == [one.exit_code for one in found], found[0].output
    first, again = (json.loads(one.stdout) for one in found)
    assert first["facts"]["digest"] == again["facts"]["digest"]
    assert first["facts"]["fills"] > 0
    (folder,) = (tmp_path / "tapes").iterdir()
    # The packaged recording, listed with the simulated venue's rules.
    assert Tape(folder).instruments[0].tick_units == 10
    assert "simulated: demo, seed 1, 60 s" == Tape(folder).header.source


def test_backtest_when_the_venue_is_real_then_no_market_is_made_up(tmp_path: Path):
    (tmp_path / "one.py").write_text(STRATEGY.replace("RAISE_AT", "-1"))
    path = tmp_path / "one.toml"
    real = CONFIG.replace('env = "simulator"', 'env = "testnet"')
    path.write_text(real.replace('[venues.box.simulator]\nsources = ["demo"]\n', ""))

    found = CliRunner().invoke(app, ["backtest", str(path), "--simulated", "60"])

    assert 2 == found.exit_code
    assert "needs a venue of env simulator, and this one's is testnet" in found.output


@pytest.mark.parametrize(
    "name", ["funding_carry", "grid", "hold_target", "market_making", "order_flow", "pairs"]
)
def test_backtest_when_an_example_is_tried_then_it_needs_nothing_else(tmp_path: Path, name: str):
    for path in EXAMPLES.glob(f"{name}.*"):
        shutil.copy(path, tmp_path)

    found = CliRunner().invoke(
        app, ["backtest", str(tmp_path / f"{name}.toml"), "--simulated", "20", "--json", "-"]
    )

    assert 0 == found.exit_code, found.output
    assert json.loads(found.stdout)["facts"]["messages"] > 500


@pytest.mark.parametrize(
    "arguments",
    [["backtest", "grid.toml", "--simulated", "20"], ["report", "a.json"]],
    ids=lambda one: one[0],
)
def test_verb_when_its_extra_is_absent_then_names_it_without_a_traceback(arguments: list[str]):
    code = (
        "import sys\nsys.modules['numpy'] = None\n"
        f"sys.argv = ['tickwright', *{arguments}]\n"
        "from tickwright.cli.main import main\nsys.exit(main())"
    )

    found = subprocess.run(
        [sys.executable, "-c", code], cwd=EXAMPLES, capture_output=True, text=True, check=False
    )

    assert 2 == found.returncode, found.stderr
    assert found.stderr == (
        f"tickwright {arguments[0]}: numpy is not installed: "
        "it comes with `pip install 'tickwright[backtest]'`\n"
    )
