"""The demo's configuration is a good one for any number of symbols, and its folders are bounded."""

from pathlib import Path

import pytest

from tickwright.app.config import load_config
from tickwright.app.demo import DEMOS_KEPT, demo_config, demo_folder, demo_symbols
from tickwright.app.settings import simulator_arguments, trader_settings
from tickwright.core.identity import Category

SECOND = 1_000_000_000
NOW = 1_722_470_400 * SECOND


def test_symbols_when_any_count_then_recorded_first_and_each_once():
    assert ("BTCUSDT",) == demo_symbols(1)
    assert ("BTCUSDT", "XRPUSDT") == demo_symbols(2)
    many = demo_symbols(100)
    assert (100, 100) == (len(many), len(set(many)))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 100, 500])
def test_config_when_any_count_then_good_and_every_symbol_traded(tmp_path: Path, count: int):
    path = tmp_path / "demo.toml"
    symbols = demo_symbols(count)
    path.write_text(demo_config(path, symbols, seed=7))
    config = load_config(path)
    assert set(symbols) == set(config.symbols("box", Category.LINEAR))
    assert (4, 7) == (len(config.strategies), config.file.run.seed)


def test_config_when_settings_are_made_then_one_feed_and_the_seed_reaches_the_market(
    tmp_path: Path,
):
    path = tmp_path / "demo.toml"
    path.write_text(demo_config(path, demo_symbols(10), seed=7))
    config = load_config(path)
    settings = trader_settings(config, now_ns=NOW)
    assert ([10], ["bybit:demo"]) == (
        [len(feed.symbols) for feed in settings.feeds],
        [str(account.account_id) for account in settings.accounts],
    )
    assert settings.session_folder is not None
    assert tmp_path == settings.session_folder.parent
    arguments = simulator_arguments(config, "box")
    assert "7" == arguments[arguments.index("--seed") + 1]
    assert "demo" == arguments[arguments.index("--source") + 1]


def test_folder_when_many_demos_then_the_newest_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = []
    for number in range(6):
        # No process has such a number: each demo is over.
        monkeypatch.setattr("os.getpid", lambda number=number: 2**30 + number)
        folder = demo_folder(NOW + number * SECOND)
        (folder / "demo.toml").write_text("")
        made.append(folder)
    kept = sorted(made[0].parent.iterdir())
    # The newest was made after the last clearing: it comes on top of those that stay.
    assert made[-DEMOS_KEPT - 1 :] == kept


def test_folder_when_its_demo_still_runs_then_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = [demo_folder(NOW + number * SECOND) for number in range(6)]
    for folder in made:
        (folder / "demo.toml").write_text("")
    demo_folder(NOW + 6 * SECOND)
    assert all(folder.is_dir() for folder in made)


def test_folder_when_something_else_stands_there_then_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    mine = tmp_path / "tickwright" / "demo" / "0-mine"
    mine.mkdir(parents=True)
    for number in range(6):
        (demo_folder(NOW + number * SECOND) / "demo.toml").write_text("")
    assert mine.is_dir()


def test_folder_when_state_cannot_be_written_then_the_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert tmp_path / "tickwright" / "demo" == demo_folder(NOW).parent
