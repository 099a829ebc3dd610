"""The verb `report`: one run again, or several side by side."""

import json
import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from tests.unit.backtest.test_report import traded
from tickwright.backtest.report import make_report
from tickwright.cli.main import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(make_report(traded().record())))
    return path


def test_report_when_given_one_run_then_shows_it_and_writes_its_page(written: Path):
    page = written.with_name("run.html")

    result = run(str(written), "--html", str(page))

    assert (0, "") == (result.exit_code, result.stderr)
    assert "net +12.00 USDT" in result.stdout
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_report_when_given_several_then_compares_them(written: Path):
    page, figures = written.with_name("both.html"), written.with_name("both.json")

    result = run(str(written), str(written), "--html", str(page), "--json", str(figures))

    assert (0, "") == (result.exit_code, result.stderr)
    assert "made (2) decided exactly as made did." in result.stdout
    assert "2 backtests" in page.read_text("utf-8")
    found = json.loads(figures.read_text("utf-8"))
    assert ("tickwright.comparison", 2) == (found["kind"], len(found["runs"]))


def test_report_when_json_goes_to_stdout_then_is_all_that_stands_there(written: Path):
    result = run(str(written), "--json", "-")

    assert 0 == result.exit_code
    assert json.loads(result.stdout) == json.loads(written.read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("none.json",), "none.json", 1),
        (("run.json", "--html", "-"), "--html needs a file", 2),
        (("run.json", "--html", "none/page.html"), "--html none/page.html: there is no folder", 2),
        (("run.json", "--json", "none/x.json"), "--json none/x.json: there is no folder", 2),
        (("broken.json",), "broken.json is no report of a backtest", 2),
        (("run.json",) * 21, "2 to 20 runs", 2),
    ],
)
def test_report_when_asked_wrongly_then_says_so_in_one_sentence(
    arguments: tuple[str, ...],
    words: str,
    code: int,
    written: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(written.parent)
    Path("broken.json").write_text("{}")

    result = run(*arguments)

    assert code == result.exit_code
    assert words in result.stderr
    assert 1 == len(result.stderr.strip().splitlines())


def test_report_when_plotly_is_missing_then_the_tables_are_still_shown(
    written: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)

    result = run(str(written), "--html", str(written.with_name("run.html")))

    assert 2 == result.exit_code
    assert "net +12.00 USDT" in result.stdout
    assert "tickwright[backtest]" in result.stderr
    assert not written.with_name("run.html").exists()
