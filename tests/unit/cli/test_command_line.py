"""Verbs pass on what they are given and end with one sentence and the right exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import tickwright
from tickwright.bench.runner import SECTIONS
from tickwright.cli.main import app
from tickwright.simulator.sources.opening import sample_path

BYBIT = str(sample_path("bybit_linear_xrpusdt_ob500_20241201.zip"))
BOOK_FIELDS = ["frame", "symbol", "state", "update_id", "bids", "asks"]


def run(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, list(arguments))


def test_version_when_asked_then_is_the_packages():
    result = run("--version")

    assert (0, f"tickwright {tickwright.__version__}\n") == (result.exit_code, result.stdout)


@pytest.mark.parametrize(
    "verb",
    "demo simulate watch book run init bench status orders explain doctor".split(),
)
def test_verb_when_asked_for_help_then_explains_itself(verb: str):
    result = run(verb, "--help")

    assert (0, "") == (result.exit_code, result.stderr)
    assert f"Usage: root {verb}" in result.stdout or f"Usage: tickwright {verb}" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("watch",),
        ("watch", "--category", "futures", "--symbols", "A"),
        ("watch", "--venue", "nowhere", "--category", "spot", "--symbols", "A"),
        ("watch", "--category", "spot", "--symbols", "A", "--connections", "0"),
        ("demo", "--seconds", "soon"),
        ("demo", "--symbols", "0"),
        ("book",),
        ("book", BYBIT, "--levels", "-1"),
        ("simulate", "--port", "99999"),
        ("bench", "--nothing"),
    ],
)
def test_usage_when_wrong_then_exits_2_and_says_it_on_stderr(arguments: tuple[str, ...]):
    result = run(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)
    assert "Error: " in result.stderr


def test_verbs_when_listed_then_each_is_told_in_a_line_that_ends():
    verbs = run("--help").stdout.partition("Commands:")[2].splitlines()[1:]

    assert (True, []) == (len(verbs) > 20, [line for line in verbs if line.endswith("...")])


def test_bench_when_asked_for_help_then_names_every_section():
    told = set(run("bench", "--help").stdout.replace(",", " ").replace(".", " ").split())
    assert set() == set(SECTIONS) - told


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("watch", "--category", "spot", "--symbols", ","), "no symbol is given"),
        (
            ("watch", "--category", "spot", "--symbols", "A", "--depth", "7"),
            "depth 7 is not served",
        ),
        (
            ("watch", "--category", "spot", "--symbols", "A", "--public-url", "http://x"),
            "must begin with ws or wss://",
        ),
        (
            ("watch", "--category", "spot", "--symbols", "A", "--public-url", "ws://127.0.0.1:1"),
            "give --rest-url URL or --instruments FILE.json",
        ),
        (
            ("watch", "--category", "spot", "--symbols", "A", "--rest-url", "http://127.0.0.1:1"),
            "names no socket",
        ),
        (
            ("watch", "--category", "spot", "--symbols", "A", "--busy-poll", "--coalesce-us", "9"),
            "exclude each other",
        ),
        (("watch", "--category", "spot", "--symbols", "A", "--json", "/no/such/x"), "no folder"),
        (("book", "/no/such/file"), "No such file or directory"),
        (("run",), "give a configuration"),
        (("status", "/no/such/file"), "No such file or directory"),
        (("orders", "/no/such/file"), "No such file or directory"),
        (("explain", "tw1"), "give a configuration, or a session by --session"),
        (("explain", "tw1", "/no/such/file"), "No such file or directory"),
        (("doctor", "/no/such/file", "--json", "/no/such/x"), "no folder"),
        (("run", "/no/such/file"), "No such file or directory"),
        (("simulate", "--symbols", "3", "--symbol", "A"), "not both"),
        (("simulate", "--category", "option"), "choose linear or spot"),
        (("simulate", "--seconds", "5"), "go with --statistics"),
        (("simulate", "--json", "-"), "go with --statistics"),
        (("simulate", "--statistics", "--seconds", "0"), "seconds must be above 0"),
        (("simulate", "--statistics", "--source", "/no/such/file"), "No such file or directory"),
        (("simulate", "--statistics", "--json", "/no/such/x"), "no folder"),
        (("simulate", "--source", "agents", "--rate", "9"), "agents trade at their own pace"),
        (("simulate", "--orders-per-s", "3"), "goes with --in-process"),
        (("simulate", "--in-process", "--statistics"), "not both"),
        (("simulate", "--in-process", "--rate", "9"), "is for sockets"),
        (("simulate", "--in-process", "--tls"), "is for sockets"),
        (("simulate", "--in-process", "--account", "a:b=1USDT"), "brings its own accounts"),
        (("simulate", "--in-process", "--seconds", "0"), "seconds must be above 0"),
        (("simulate", "--in-process", "--orders-per-s", "-1"), "orders a second must be 0"),
        (("simulate", "--in-process", "--source", "/no/such/file"), "No such file or directory"),
        (("simulate", "--in-process", "--json", "/no/such/x"), "no folder"),
        (("simulate", "--account", "nonsense"), "must be written KEY:SECRET=10000USDT"),
    ],
)
def test_mistake_when_made_then_is_one_sentence_and_exit_2(arguments: tuple[str, ...], text: str):
    result = run(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"tickwright {arguments[0]}: ")
    assert text in result.stderr
    assert 1 == result.stderr.count("\n")


def test_watch_when_instruments_file_is_wrong_then_says_so(tmp_path: Path):
    path = tmp_path / "instruments.json"
    path.write_text("<html>")
    common = ("watch", "--category", "linear", "--public-url", "ws://127.0.0.1:1/v5/public")

    result = run(*common, "--symbols", "A", "--instruments", str(path))

    assert 2 == result.exit_code
    assert f"instruments file {path}" in result.stderr


def test_book_when_run_then_prints_lines_of_exact_text():
    result = run("book", BYBIT, "--every", "20", "--levels", "2")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert (0, "") == (result.exit_code, result.stderr)
    assert [20, 40, 50] == [line["frame"] for line in lines]
    assert all(BOOK_FIELDS == list(line) for line in lines)
    assert [["1.9537", "10605"], ["1.9536", "3515"]] == lines[-1]["bids"]


def test_book_when_every_divides_the_frames_then_the_end_is_told_once():
    lines = run("book", BYBIT, "--every", "25").stdout.splitlines()

    assert [25, 50] == [json.loads(line)["frame"] for line in lines]


def test_book_when_nothing_can_be_read_then_exits_1(tmp_path: Path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"topic":"orderbook.50.X","type":"delta"}\n')

    result = run("book", str(path))

    assert 1 == result.exit_code
    assert "no order book came out of this file" in result.stderr


def test_init_when_run_twice_then_refuses_to_overwrite(tmp_path: Path):
    path = tmp_path / "new.toml"

    assert 0 == run("init", str(path)).exit_code
    assert 0 == run("run", str(path), "--check").exit_code
    again = run("init", str(path))

    assert (2, True) == (again.exit_code, "--force replaces it" in again.stderr)
    assert 0 == run("init", str(path), "--force").exit_code


def test_run_when_the_configuration_is_wrong_then_all_mistakes_are_told(tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_text("[venues.sim]\nkindd = 1\n[feed]\ndepth = 7\n")

    result = run("run", str(path))

    assert 2 == result.exit_code
    assert "has 2 mistakes" in result.stderr
    assert "venues.sim.kindd" in result.stderr
    assert "feed.depth = 7" in result.stderr


def test_run_when_the_session_is_none_then_says_so(tmp_path: Path):
    result = run("run", "--replay", str(tmp_path))

    assert 1 == result.exit_code
    assert "holds no session" in result.stderr


def test_simulate_when_a_source_is_absent_then_says_so():
    result = run("simulate", "--source", "/no/such/recording")

    assert 2 == result.exit_code


def test_simulate_when_in_process_then_prints_its_figures_and_one_hash(tmp_path: Path):
    path = tmp_path / "run.json"
    words = ("simulate", "--in-process", "--seconds", "3", "--symbols", "1", "--orders-per-s", "20")
    result = run(*words, "--seed", "5", "--json", str(path))

    assert (0, "") == (result.exit_code, result.stderr)
    report = json.loads(path.read_text("utf-8"))
    assert "ledger balanced yes\n" in result.stdout
    assert f"hash            {report['hash']}\n" in result.stdout
    assert (3.0, 1, 5, True) == tuple(
        report[name] for name in ("virtual_s", "symbols", "seed", "is_balanced")
    )
    assert report["hash"] == json.loads(run(*words, "--seed", "5", "--json", "-").stdout)["hash"]
    assert report["hash"] != json.loads(run(*words, "--seed", "6", "--json", "-").stdout)["hash"]


def test_command_line_when_imported_then_leaves_heavy_modules_alone():
    heavy = "aiohttp asyncio numpy pydantic picows rich uvloop".split()
    code = f"import sys, tickwright.cli.main; print([m for m in {heavy} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_reader_when_it_leaves_early_then_nothing_is_said():
    command = f"{sys.executable} -m tickwright book {BYBIT} --every 1 --levels 500 | head -n 1"

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == json.loads(done.stdout)["frame"]
