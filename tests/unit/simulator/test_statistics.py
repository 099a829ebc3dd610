"""Statistics of a tape whose every figure is worked out by hand, and what is set beside what."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.comparison import compare
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.sources.opening import SAMPLE_FILES, sample_path
from tickwright.simulator.sources.operations import (
    BookReset,
    LevelChanges,
    Operation,
    PublicTrade,
    TimedOperation,
    TradePrints,
)
from tickwright.simulator.statistics import SECONDS_MAX, MarketStatistics, measure

BTC = instrument_for(Category.LINEAR, "BTCUSDT")
MS = 1_000_000
BID, ASK = 6_000_000, 6_000_020
"""Two ticks of ten units apart."""


class Tape:
    """A market told operation by operation: (milliseconds, operation)."""

    category = Category.LINEAR

    def __init__(self, *rows: tuple[float, Operation]) -> None:
        self._rows = rows

    def has(self, symbol: str) -> bool:
        return symbol == "BTCUSDT"

    def label(self, symbol: str) -> str:
        return "tape"

    def operations(self) -> Iterator[TimedOperation]:
        bids = [(BID - 10 * n, 1_000 + n) for n in range(30)]
        asks = [(ASK + 10 * n, 3_000 + n) for n in range(30)]
        yield 0, "BTCUSDT", BookReset(bids, asks)
        for at_ms, operation in self._rows:
            yield int(at_ms * MS), "BTCUSDT", operation


def _bid(size: int, price: int = BID) -> LevelChanges:
    return LevelChanges([(price, size)], [])


def _trades(*sizes: int) -> TradePrints:
    return TradePrints([PublicTrade(Side.BUY, ASK, size) for size in sizes])


def _measured(*rows: tuple[float, Operation], seconds: float = 10, **options) -> MarketStatistics:
    (row,) = measure(Tape(*rows), [BTC], seconds=seconds, **options)
    return row


def test_updates_when_counted_then_gaps_and_levels_are_those_of_the_tape():
    rows = [
        (100, _bid(7)),
        (110, _bid(8)),
        (130, _bid(9)),
        (230, LevelChanges([(BID, 1)], [(ASK, 2)])),
    ]
    row = _measured(*rows, (250, _bid(1)), (1_000, _trades(5)))

    # The last change changes nothing, and is no update.
    assert (4 / 1.0, 5 / 4) == (row.updates_per_s, row.levels_per_update)
    assert (20, 100, 100) == (row.update_gap_ms_p50, row.update_gap_ms_p90, row.update_gap_ms_p99)
    assert ("linear", "BTCUSDT", "tape", 1.0) == (row.category, row.symbol, row.source, row.seconds)


def test_updates_when_gathered_then_changes_of_an_interval_are_one():
    rows = [
        (101, _bid(7)),
        (110, _bid(8)),
        (130, _bid(9)),
        (230, LevelChanges([(BID, 1)], [(ASK, 2)])),
    ]
    row = _measured(*rows, (1_000, _trades(5)), interval_ms={"BTCUSDT": 100})

    assert (100.0, 2.0) == (row.interval_ms, row.updates_per_s)
    assert (1.5, 100) == (row.levels_per_update, row.update_gap_ms_p50)


def test_trades_when_of_one_millisecond_then_are_one_arrival_of_many_sizes():
    rows = [(10, _trades(1, 2)), (10.4, _trades(3)), (40, _trades(4)), (2_000, _trades(500))]
    row = _measured(*rows)

    assert (3 / 2, 30, 1_960) == (row.trades_per_s, row.trade_gap_ms_p50, row.trade_gap_ms_p99)
    assert (0.003, 0.5) == (row.trade_size_p50, row.trade_size_p99)


def test_dispersion_when_arrivals_are_even_then_is_0_and_when_bursty_then_above_1():
    even = [(1_000 * n + 500, _trades(1)) for n in range(9)]
    burst = [(4_000 + 10 * n, _trades(1)) for n in range(9)]

    assert _measured(*even, (9_000, _bid(7))).trade_dispersion == 0
    # Nine arrivals in one of nine seconds: mean 1, variance (64 + 8) / 8.
    assert _measured(*burst, (9_000, _bid(7))).trade_dispersion == pytest.approx(9)
    assert _measured((900, _bid(7))).trade_dispersion is None


def test_spread_and_depth_when_looked_at_then_are_averages_over_time():
    # For a quarter of the second the best bid is gone: three ticks, one level deeper.
    row = _measured((499, _bid(0)), (751, _bid(1_000)), (1_000, _trades(1)))
    whole = 2_000.0
    thin = (1_001 + 3_000) / 2

    # Ten looks, at 100, 200, ...; those at 500, 600 and 700 find three ticks.
    assert row.spread_ticks_mean == pytest.approx(2.3)
    assert 3 == row.spread_ticks_p90
    assert row.depth_1 == pytest.approx((7 * whole + 3 * thin) / 10 / 1_000)
    five = sum(range(1_000, 1_005)) + sum(range(3_000, 3_005))
    gone = sum(range(1_001, 1_006)) + sum(range(3_000, 3_005))
    assert row.depth_5 == pytest.approx((7 * five + 3 * gone) / 20 / 1_000)
    twenty = sum(range(1_000, 1_020)) + sum(range(3_000, 3_020))
    late = sum(range(1_001, 1_021)) + sum(range(3_000, 3_020))
    assert row.depth_20 == pytest.approx((7 * twenty + 3 * late) / 20 / 1_000)


def test_volatility_when_the_mid_moves_once_a_second_then_is_the_size_of_the_move():
    up = [(BID + 10, 5)]
    moves = [
        (1_000 * n + 500, LevelChanges(up if n % 2 else [(BID + 10, 0)], [])) for n in range(1, 9)
    ]
    row = _measured(*moves, (9_000, _trades(1)))
    mid = (BID + ASK) / 2

    assert row.volatility_bps_1s == pytest.approx(10_000 * math.log((mid + 5) / mid), rel=1e-3)


def test_stretch_when_the_source_ends_early_then_is_as_long_as_the_source():
    assert _measured((2_500, _bid(7)), seconds=100).seconds == 2.5
    assert _measured((2_500, _bid(7)), seconds=2).seconds == 2


@pytest.mark.parametrize("seconds", [0, -1, SECONDS_MAX + 1, float("nan")])
def test_seconds_when_impossible_then_are_refused(seconds: float):
    with pytest.raises(ConfigError, match="seconds"):
        _measured((10, _bid(7)), seconds=seconds)


def test_source_when_it_ends_at_once_then_is_refused():
    with pytest.raises(ConfigError, match="nothing to measure"):
        _measured()


# beside each other --------------------------------------------------------------------------------


def test_made_market_when_beside_a_recording_then_is_gathered_as_the_recording_was():
    report = compare([sample_path(SAMPLE_FILES[1]), "agents", "synthetic"], seconds=4, seed=3)
    (row,) = report.symbols

    assert ("XRPUSDT", "linear") == (row.symbol, row.category)
    assert row.recording is not None
    assert (0, 4.0) == (row.recording.interval_ms, row.recording.seconds)
    assert [("agents", 100.0), ("synthetic", 100.0)] == [
        (one.source, one.interval_ms) for one in row.made
    ]
    assert (3, 4) == (report.seed, report.seconds)
    assert compare([sample_path(SAMPLE_FILES[1]), "agents"], seconds=4, seed=3).symbols[0].made == [
        row.made[0]
    ]


def test_made_markets_when_without_recordings_then_stand_alone_for_the_symbols_asked():
    report = compare(
        ["agents"], symbols=["ETHUSDT", "BTCUSDT"], categories=[Category.SPOT], seconds=3
    )

    assert [("ETHUSDT", "spot", None)] * 1 + [("BTCUSDT", "spot", None)] == [
        (row.symbol, row.category, row.recording) for row in report.symbols
    ]
    assert ["BTCUSDT"] == [row.symbol for row in compare(["agents"], seconds=1).symbols]


def test_recordings_when_two_hold_one_symbol_then_are_refused():
    path = sample_path(SAMPLE_FILES[1])

    with pytest.raises(ConfigError, match="XRPUSDT is in"):
        compare([path, path], seconds=1)
    with pytest.raises(ConfigError, match=r"nowhere\.gz"):
        compare([Path("nowhere.gz")], seconds=1)


def test_agents_when_measured_beside_the_packaged_recordings_then_come_near_them():
    """The calibration: what the documentation's table says, within half and double."""
    bitcoin, ripple = compare([]).symbols
    (spot,) = compare([sample_path(SAMPLE_FILES[2]), "agents"]).symbols
    near = [
        "levels_per_update",
        "spread_ticks_mean",
        "spread_ticks_p90",
        "depth_1",
        "depth_5",
        "depth_20",
        "volatility_bps_1s",
    ]
    traded = ["trades_per_s", "trade_gap_ms_p50", "trade_gap_ms_p90", "trade_gap_ms_p99"]
    traded += ["trade_size_p50", "trade_size_p99"]
    for row, names in ((bitcoin, [*near, *traded]), (ripple, near), (spot, near)):
        assert row.recording is not None
        for name in names:
            ratio = getattr(row.made[0], name) / getattr(row.recording, name)
            assert 0.5 < ratio < 2, f"{row.symbol}: {name} is {ratio:.2f} of the recording's"
    for row in (bitcoin, spot):
        assert (row.made[0].trade_dispersion or 0) > 4
