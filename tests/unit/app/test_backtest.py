"""Which tape a configuration's lake means: what was made of one isn't taken for another's."""

from pathlib import Path

import pytest

from tests.runs import SMALLEST
from tests.unit.storage.lake.lakes import delta, put, source, trade
from tickwright.app.backtest import MarketChoice, open_tape
from tickwright.app.config import load_config
from tickwright.core.identity import Category, InstrumentId
from tickwright.storage.lake.store import FolderStore
from tickwright.storage.lake.writer import LakeWriter

BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
CONFIG = f"""{SMALLEST}
[backtest.rules.BTCUSDT]
tick = "0.01"
lot = "0.001"
size_min = "0.001"
size_max = "100"
base_asset = "BTC"
"""


def lake(folder: Path, best_bid: int, *, trades: int = 1, checksum: str = "") -> Path:
    """Write a lake of one source: a book whose best bid is given, and some trades."""
    book = delta(1, 1, {best_bid: 5}, {best_bid + 10: 5})
    with LakeWriter(FolderStore(folder), source(checksum=checksum)) as writer:
        put(writer, book, *(trade(2 + n) for n in range(trades)), instrument_id=BTC)
        writer.finish([])
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG)
    return path


def test_tape_when_two_lakes_name_their_files_alike_then_each_has_its_own(config: Path):
    found = []
    for name, best_bid in (("one", 6_000_000), ("other", 7_000_000), ("one", 6_000_000)):
        folder = config.parent / name
        place = folder if folder.exists() else lake(folder, best_bid)
        tape = open_tape(load_config(config), MarketChoice(lake=str(place)))
        found.append((tape.folder, int(tape.levels[:, 0].max())))
    (one, other, again) = found
    assert (6_000_010, 7_000_010) == (one[1], other[1])
    assert one == again


def test_tape_when_a_session_went_on_then_it_is_made_anew(config: Path):
    counts = []
    for trades in (1, 3):
        place = lake(config.parent / "one", 6_000_000, trades=trades, checksum=f"{trades}" * 64)
        counts.append(len(open_tape(load_config(config), MarketChoice(lake=str(place)))))
    assert [2, 4] == counts
