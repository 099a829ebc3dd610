"""A small made market and a configuration of the library's market maker on it."""

from pathlib import Path

import pytest

from tickwright.backtest.synthetic import SyntheticTape, write_synthetic

CONFIG = """
[venues.sim]
kind = "bybit"
env = "simulator"

[accounts.paper]
venue = "sim"

[[strategies]]
id = "mm"
strategy = "market_making"
account = "paper"
symbols = ["BTCUSDT"]

[strategies.parameters]
order_notional = 300
fill_decay = 50
volatility_interval_ms = 500
volatility_window = 10

[risk]
position_percent_max = 50
order_notional_usdt_max = 5000

[risk.strategies.mm]
deny_conflicting_position = false

[backtest]
tape = "tape"
"""


@pytest.fixture(scope="session")
def made_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tape of about 80 seconds."""
    folder = tmp_path_factory.mktemp("market") / "tape"
    write_synthetic(folder, SyntheticTape(messages=4_000))
    header = folder / "tape.json"
    header.write_text(header.read_text().replace('"venue":"sim"', '"venue":"bybit"'))
    return folder


@pytest.fixture
def market(made_tape: Path, tmp_path: Path) -> Path:
    """Return a configuration beside the tape."""
    (tmp_path / "tape").symlink_to(made_tape)
    path = tmp_path / "maker.toml"
    path.write_text(CONFIG)
    return path
