"""Which tape a configuration's lake means: what was made of one isn't taken for another's."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.runs import SMALLEST
from tests.unit.storage.lake.lakes import delta, put, source, trade
from tickwright.app.backtest import MarketChoice, backtest_settings, open_tape
from tickwright.app.config import load_config
from tickwright.backtest.impact import ImpactSpec
from tickwright.core.errors import ConfigError
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


IMPACT = """
[backtest]
impact = "obizhaeva_wang"
impact_permanent_bps_per_million = 0.1
impact_transient_bps_per_million = 2.5
impact_half_life_ms = 5_000.0
"""


def test_impact_when_configured_then_is_exactly_that_and_else_there_is_none(config: Path):
    assert None is backtest_settings(load_config(config), config.parent).impact
    config.write_text(IMPACT + CONFIG)
    assert ImpactSpec(
        permanent_bps_per_million=Decimal("0.1"),
        transient_bps_per_million=Decimal("2.5"),
        half_life_ms=Decimal("5000.0"),
    ) == (backtest_settings(load_config(config), config.parent).impact)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("obizhaeva_wang", "obizhaeva_wong", "did you mean 'obizhaeva_wang'"),
        ("obizhaeva_wang", "none", 'impact is "none", and its figures are given'),
        ("= 5_000.0", "= 0.0", "needs impact_half_life_ms above 0"),
        ("= 2.5", "= -2.5", "impact_transient_bps_per_million = -2.5"),
        ("= 0.1\nimpact_transient_bps_per_million = 2.5", "= 0.0", "has no default"),
    ],
)
def test_impact_when_configured_wrong_then_says_what_to_do(
    config: Path, old: str, new: str, text: str
):
    assert old in IMPACT
    config.write_text(IMPACT.replace(old, new) + CONFIG)
    with pytest.raises(ConfigError) as refused:
        load_config(config)
    assert text in str(refused.value)
