"""The verbs `sweep` and `walkforward` as they are typed, over a made market."""

import json
import os
from pathlib import Path

import polars
import pytest
from typer.testing import CliRunner, Result

from tickwright.cli.main import app
from tickwright.cli.outcome import USAGE


def typed(market: Path, *words: str) -> Result:
    """Type a verb in the folder of the configuration."""
    before = Path.cwd()
    os.chdir(market.parent)
    try:
        return CliRunner().invoke(app, list(words), env={"COLUMNS": "160"})
    finally:
        os.chdir(before)


def test_sweep_when_typed_then_trials_are_kept_in_folder_json_and_lake(market: Path):
    words = [
        *("sweep", "maker.toml", "--param", "mm.fill_decay=0.1,50", "--objective", "net"),
        *("--param", "mm.risk_aversion=0.01,0.02", "--jobs", "2", "--json", "out.json"),
        *("--keep-in", "lake"),
    ]
    done = typed(market, *words)
    assert 0 == done.exit_code, done.stderr
    assert "4 trials in" in done.stdout
    folder = market.parent
    told = json.loads((folder / "out.json").read_text())
    assert (4, 4, 0, "net") == (
        told["planned"],
        told["done"],
        told["failed"],
        told["objective"],
    )
    frame = polars.read_parquet(folder / "sweeps" / "maker" / "trials.parquet")
    assert [0.1, 0.1, 50.0, 50.0] == frame["mm.fill_decay"].to_list()
    (kept,) = (folder / "lake" / "research" / "sweeps").glob("maker-*.parquet")
    assert frame.equals(polars.read_parquet(kept))
    # Without it being said, nothing goes on; then nothing is tried twice.
    again = typed(market, *words)
    assert (USAGE, True) == (again.exit_code, "--resume goes on" in again.stderr)
    resumed = typed(market, *words, "--resume")
    assert (0, True) == (resumed.exit_code, "4 known from before" in resumed.stdout)


def test_walkforward_when_typed_then_curve_windows_and_page(market: Path):
    done = typed(
        market,
        *("walkforward", "maker.toml", "--param", "mm.fill_decay=20,50", "--objective", "net"),
        *("--in-sample", "30s", "--out-of-sample", "15s", "--warm-up", "10s", "--jobs", "1"),
        *("--json", "walk.json", "--html", "walk.html"),
    )
    assert 0 == done.exit_code, done.stderr
    told = json.loads((market.parent / "walk.json").read_text())
    assert (3, 6, False) == (len(told["windows"]), told["trials"], told["is_anchored"])
    assert ["mm.fill_decay"] == [one["name"] for one in told["stability"]]
    curve = polars.read_parquet(market.parent / "walkforwards" / "maker" / "curve.parquet")
    assert told["out_of_sample"]["observations"] == curve.height == 45
    assert told["out_of_sample"]["total_return"] == pytest.approx(curve["equity"][-1] - 1)
    page = (market.parent / "walk.html").read_text()
    assert "Walk-forward of maker" in page
    assert "src=" not in page.partition("<script")[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--param", "mm.fil_decay=1,2"], "did you mean 'mm.fill_decay'"),
        (["--param", "mm.fill_decay=1:2"], "a grid needs a list or LOW:HIGH:STEP"),
        (["--param", "mm.fill_decay=1000,2"], "must be number above 0 and at most 100"),
        (["--param", "mm.fill_decay=1,2", "--sampler", "tpe"], "needs --trials"),
    ],
)
def test_sweep_when_typed_wrong_then_one_sentence(market: Path, words: list[str], told: str):
    done = typed(market, "sweep", "maker.toml", *words)
    assert (USAGE, True) == (done.exit_code, told in done.stderr), done.stderr
