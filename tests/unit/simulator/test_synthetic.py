"""The synthetic market: never crossed, trades that fit the book, busy and quiet symbols."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import SYMBOLS_MAX, instrument_for, symbols_of_count
from tickwright.simulator.sources.operations import BookReset, LevelChanges, TradePrints
from tickwright.simulator.sources.synthetic import SyntheticSource, SyntheticStyle


def _source(symbols: int, seed: int, style: SyntheticStyle | None = None) -> SyntheticSource:
    instruments = [instrument_for(Category.LINEAR, name) for name in symbols_of_count(symbols)]
    return SyntheticSource(instruments, Random(seed), style)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["BTCUSDT", "XRPUSDT", "SIM0001USDT"]))
def test_book_is_never_crossed_and_trades_fit_the_touch(seed: int, symbol: str) -> None:
    instrument = instrument_for(Category.LINEAR, symbol)
    source = SyntheticSource([instrument], Random(seed), SyntheticStyle(levels=150))
    ((_, reset),) = source.resets()
    bids, asks = dict(reset.bids), dict(reset.asks)
    for _ in range(3_000):
        _, trades, changes = source.next_event()
        for trade in trades.trades if trades else ():
            side, best = (asks, min(asks)) if trade.side is Side.BUY else (bids, max(bids))
            assert best == trade.price_units
            assert 0 < trade.size_units <= side[best]
            side[best] -= trade.size_units
            if not side[best]:
                del side[best]
        for side, level_changes in ((bids, changes.bids), (asks, changes.asks)):
            prices = [price for price, _ in level_changes]
            assert len(set(prices)) == len(prices)
            for price, size in level_changes:
                assert price > 0
                assert 0 == price % instrument.tick_units
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        assert max(bids) < min(asks)
        assert 140 <= len(bids) <= 160
        assert 140 <= len(asks) <= 160
    for trade in trades.trades if trades else ():
        assert trade.size_units > 0


def test_spread_stays_narrow_most_of_the_time() -> None:
    source = _source(1, 5)
    ((_, reset),) = source.resets()
    bids, asks = dict(reset.bids), dict(reset.asks)
    spreads: Counter[int] = Counter()
    for _ in range(20_000):
        _, _, changes = source.next_event()
        for side, level_changes in ((bids, changes.bids), (asks, changes.asks)):
            for price, size in level_changes:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        spreads[(min(asks) - max(bids)) // 10] += 1
    assert spreads[1] > 10_000
    # A swept touch over a thin stretch opens a wide spread for a few events.
    assert sum(count for ticks, count in spreads.items() if ticks > 5) < 200


def test_same_seed_gives_the_same_operations() -> None:
    runs = []
    for _ in range(2):
        operations = _source(5, 11).operations()
        runs.append([next(operations) for _ in range(2_000)])
    assert runs[0] == runs[1]
    other = _source(5, 12).operations()
    assert runs[0] != [next(other) for _ in range(2_000)]


def test_operations_start_with_every_book_and_keep_the_rate() -> None:
    operations = _source(6, 3, SyntheticStyle(events_per_s=300)).operations()
    resets = [next(operations) for _ in range(6)]
    assert [0] * 6 == [at_ns for at_ns, _, _ in resets]
    assert all(isinstance(operation, BookReset) for _, _, operation in resets)
    events, last_ns = 0, 0
    for at_ns, _, operation in operations:
        assert at_ns >= last_ns
        last_ns = at_ns
        if at_ns > 20_000_000_000:
            break
        assert isinstance(operation, LevelChanges | TradePrints)
        events += isinstance(operation, LevelChanges)
    assert 5_500 < events < 6_500


def test_some_symbols_are_quiet_and_activity_is_skewed() -> None:
    counts: Counter[str] = Counter()
    names = symbols_of_count(24)
    for at_ns, symbol, _ in _source(24, 9).operations():
        if at_ns > 20_000_000_000:
            break
        counts[symbol] += 1
    assert counts[names[0]] > 4 * counts[names[12]]
    for quiet in names[-2:]:
        assert 1 <= counts[quiet] < 15


def test_focus_moves_only_the_focused_symbols() -> None:
    source = _source(8, 2)
    source.resets()
    source.focus({"ETHUSDT", "SOLUSDT"})
    assert {"ETHUSDT", "SOLUSDT"} == {source.next_event()[0] for _ in range(200)}


@pytest.mark.parametrize("symbol", ["btcusdt", "BTC", "USDT", "BTCUSD", "BTC-USDT", "ÄUSDT", ""])
def test_symbol_that_can_not_be_listed_is_refused(symbol: str) -> None:
    with pytest.raises(ConfigError, match="USDT"):
        instrument_for(Category.LINEAR, symbol)


@pytest.mark.parametrize("count", [0, -1, SYMBOLS_MAX + 1])
def test_impossible_number_of_symbols_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match="number of symbols"):
        symbols_of_count(count)


def test_catalogue_of_many_symbols_has_no_double() -> None:
    names = symbols_of_count(500)
    assert 500 == len(set(names)) == len(names)
    for name in names:
        instrument = instrument_for(Category.LINEAR, name)
        ticks = instrument.reference_price_units // instrument.tick_units
        assert ticks > 1_200
