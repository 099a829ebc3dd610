"""Agents: one seed one market, never crossed, and what they make of our orders."""

from collections import Counter
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulator.oracle import SECOND, START_NS, ClientBook, Recorder, window_texts
from tests.unit.simulator.pit import STILL, Pit
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import instrument_for, symbols_of_count
from tickwright.simulator.private.refusals import VenueRefusal
from tickwright.simulator.sources.agents import CALIBRATED, AgentsSource, AgentsStyle, style_for
from tickwright.simulator.sources.agents.style import REGIMES
from tickwright.simulator.sources.operations import BookReset
from tickwright.simulator.statistics import measure

replace = msgspec.structs.replace
TAKERS = replace(STILL, taker_rate=20.0, taker_through=0.0, impact=0.0)
WIDE = 40


def _open_gap(pit: Pit, ticks: int = WIDE) -> None:
    """Take asks away, as if nobody had ever offered there: the spread is wide, no one was hit."""
    book, tick = pit.book, pit.instrument.tick_units
    edge = pit.bid + ticks * tick
    gone = [(price, 0) for price, _ in book.levels(Side.SELL) if price < edge]
    book.apply([], gone, pit.venue.now_ns, 1)


# one market ---------------------------------------------------------------------------------------


def _frames(seed: int, *, trades: bool = True) -> list[tuple[int, str, bytes]]:
    pit = Pit("XRPUSDT", seed=seed)
    client = Recorder(pit.venue)
    client.subscribe(Category.LINEAR, "orderbook.50.XRPUSDT", "publicTrade.XRPUSDT")
    for step in range(50):
        if trades:
            pit.order("Buy", 20_000 + step, pit.ask if step % 3 else pit.bid)
        pit.run(100)
    return client.frames


def test_frames_when_seed_and_orders_are_the_same_then_are_the_same():
    frames = _frames(4)

    assert len(frames) > 200
    assert _frames(4) == frames
    assert _frames(5) != frames
    assert _frames(4, trades=False) != frames


def test_book_when_a_client_follows_the_frames_then_is_the_agents_book():
    pit = Pit("BTCUSDT", seed=3)
    client, book = Recorder(pit.venue), ClientBook()
    client.subscribe(Category.LINEAR, "orderbook.50.BTCUSDT")
    for _ in range(100):
        pit.run(50)
        pit.order("Sell", 700, pit.bid)
    # A turn may have come after the last push: it's published before the books are compared.
    stream = pit.venue.book_stream(Category.LINEAR, "BTCUSDT", 50)
    assert stream is not None
    stream.publish(0)
    for _, frame in client.drain():
        book.apply(frame)

    assert window_texts(pit.venue, Category.LINEAR, "BTCUSDT", 50) == book.levels()


ORDERS = st.tuples(
    st.sampled_from(["Buy", "Sell"]),
    st.integers(-30, 30),
    st.sampled_from([1, 50, 4_000, 200_000]),
    st.sampled_from([1, 20, 300]),
)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["BTCUSDT", "XRPUSDT", "SIM0001USDT"]),
    st.lists(ORDERS, max_size=25),
)
def test_book_when_users_do_anything_then_is_never_crossed_and_stays_deep(seed, symbol, orders):
    pit = Pit(symbol, seed=seed)
    tick = pit.instrument.tick_units
    crossed = []

    def look(book, now_ns):
        if book.bids.keys and book.asks.keys and book.bids.keys[-1] >= -book.asks.keys[-1]:
            crossed.append(now_ns)

    # Runs after the matching engine's own hook, which is the last one to change the book.
    pit.whole.desk.desk_of(pit.market)
    pit.book.on_book_change(look)
    for side, away, size, ms in orders:
        best = pit.ask if side == "Buy" else pit.bid
        price = max(tick, best + away * tick)
        try:
            pit.order(side, min(size, pit.instrument.size_max_units // 100 or 1), price)
        except VenueRefusal as refusal:
            if refusal.code not in (110007, 110094):  # no money left, or worth too little
                raise
        pit.run(ms)
        assert pit.bid < pit.ask
    pit.run(2_000)

    assert [] == crossed
    for ladder in (pit.book.bids, pit.book.asks):
        assert 400 < len(ladder.external) < 1_100
        assert min(ladder.external.values()) > 0
        assert sorted(ladder.external.keys() | ladder.own.keys()) == ladder.keys
        assert all(key % tick == 0 for key in ladder.keys)


# our quotes ---------------------------------------------------------------------------------------


def test_better_quote_when_we_are_best_then_takers_hit_it_and_without_it_nobody_trades_there():
    filled, control = Pit(style=TAKERS), Pit(style=TAKERS)
    for pit in (filled, control):
        _open_gap(pit)
    price = filled.bid + 5 * filled.instrument.tick_units
    order = filled.order("Buy", 500, price)
    for pit in (filled, control):
        pit.run(5_000)

    assert (500, "Filled") == (order.filled_units, order.status)
    assert {price} == {fill.price_units for fill in filled.fills()}
    assert all(fill.is_maker for fill in filled.fills())
    assert (Side.SELL, price) in {(trade.side, trade.price_units) for _, trade in filled.trades}
    assert control.trades
    assert (Side.SELL, price) not in {(t.side, t.price_units) for _, t in control.trades}


def test_order_behind_others_when_takers_come_then_waits_for_its_turn_in_the_queue():
    pit = Pit(style=replace(TAKERS, taker_deviation=0.5))
    ahead = pit.book.external_size(Side.BUY, pit.bid)
    price = pit.bid
    order = pit.order("Buy", 5_000, price)
    while not order.filled_units:
        pit.run(1)
        assert pit.bid == price
    sold = sum(t.size_units for _, t in pit.trades if t.price_units == price)

    # One order's prints of an instant are shared in the order of time: what's over is ours.
    assert sold - ahead == order.filled_units
    assert 0 == pit.book.external_size(Side.BUY, price)


def test_trade_when_it_meets_users_and_agents_then_takes_its_size_once():
    pit = Pit(style=TAKERS)
    price, size = pit.bid, pit.book.external_size(Side.BUY, pit.bid)
    pit.order("Buy", 20_000, price)
    while size > 0 and pit.book.external_size(Side.BUY, price):
        pit.run(1)
        sold = sum(t.size_units for _, t in pit.trades if t.price_units == price)
        ours = sum(fill.size_units for fill in pit.fills())
        assert sold == ours + size - pit.book.external_size(Side.BUY, price)
    assert pit.fills()


def test_makers_when_a_user_is_alone_at_the_best_price_then_stay_behind_join_or_improve():
    seen: Counter[str] = Counter()
    for seed in range(40):
        pit = Pit(seed=seed, style=replace(STILL, makers=1, maker_rate=50.0))
        _open_gap(pit)
        tick = pit.instrument.tick_units
        # The fair value is at the bid, so a seller is the one to leave a user alone before it.
        price = pit.bid + 8 * tick
        pit.order("Sell", 100, price)
        before = quoted = -max(pit.book.asks.external)
        while quoted == before:
            pit.run(1)
            quoted = -max(pit.book.asks.external)
        seen["behind" if quoted > price else "joined" if quoted == price else "improved"] += 1

    assert {"behind", "joined", "improved"} == set(seen)


def test_stale_quote_when_the_value_moved_past_it_then_is_taken():
    """A user who doesn't follow the news is hit by those who do; the makers' quotes are gone."""
    style = replace(STILL, news_rate=5.0, taker_rate=20.0, maker_rate=50.0, noise_rate=50.0)
    pit = Pit(seed=6, style=style)
    orders = [pit.order("Buy", 300, pit.bid), pit.order("Sell", 300, pit.ask)]
    pit.run(20_000)

    assert ["Filled"] == list({order.status for order in orders})


# our trades ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XRPUSDT"])
def test_side_when_swept_then_is_pulled_at_once_and_refilled_over_time(symbol: str):
    pit = Pit(
        symbol,
        seed=2,
        style=replace(style_for(Category.LINEAR, symbol, 0), news_rate=1e-9, taker_rate=1e-9),
    )
    pit.run(3_000)
    tick = pit.instrument.tick_units
    ask, before = pit.ask, pit.depth(Side.SELL, 10)
    edge = pit.book.levels(Side.SELL, 15)[-1][0]
    pit.order("Buy", before * 3, edge, timeInForce="IOC")
    swept, sizes = pit.ask, []
    near = range(ask, edge + tick, tick)
    for _ in range(100):
        pit.run(50)
        sizes.append(sum(pit.book.external_size(Side.SELL, price) for price in near))

    assert swept >= edge
    # At first nobody dares; within a second some do; after two the side is back.
    assert max(sizes[:5]) < 0.1 * before
    assert max(sizes[:5]) < sum(sizes[8:20]) / 12 < sum(sizes[40:]) / 60
    assert sum(sizes[40:]) / 60 > 0.5 * before
    # What was paid has moved the market: the price doesn't come back all the way.
    assert pit.ask > ask


def _bought(symbol: str, seed: int, *, sweep: bool) -> int:
    """What the agents' takers bought in the second after our sweep, sold size counted against."""
    style = replace(STILL, trend_rate=20.0, trend_threshold=2.0)
    pit = Pit(symbol, seed=seed, style=style)
    pit.run(1_500)
    if sweep:
        pit.order("Buy", pit.depth(Side.SELL, 80), timeInForce="IOC")
    pit.run(900)
    return sum(trade.side * trade.size_units for _, trade in pit.trades)


def test_trend_followers_when_our_order_moves_the_price_then_chase_it():
    moved = [_bought("XRPUSDT", seed, sweep=True) for seed in range(8)]
    control = [_bought("XRPUSDT", seed, sweep=False) for seed in range(8)]

    assert [0] * 8 == control
    assert all(size > 0 for size in moved)


def test_agents_when_a_side_is_taken_whole_then_build_it_again():
    pit = Pit("XRPUSDT", style=replace(STILL, noise_rate=1.0))
    pit.book.take(Side.BUY, 10**15, None)
    assert not pit.book.asks.keys
    pit.run(10_000)

    assert pit.bid < pit.ask
    assert len(pit.book.asks.keys) >= 40


# the crowd ----------------------------------------------------------------------------------------


def test_first_operations_when_asked_for_then_reset_every_book_at_0():
    instruments = [instrument_for(Category.SPOT, name) for name in symbols_of_count(3)]
    operations = AgentsSource(instruments, Random(1)).operations()
    pits = [Pit(instrument.symbol).book for instrument in instruments]
    for instrument, book in zip(instruments, pits, strict=True):
        at_ns, symbol, turn = next(operations)
        assert (0, instrument.symbol) == (at_ns, symbol)
        first = next(iter(turn.act(book)))  # type: ignore[union-attr]
        assert isinstance(first, BookReset)
        assert len(first.bids) == len(first.asks)
        assert max(first.bids)[0] < min(first.asks)[0]


def _sides(name: str) -> list[Side]:
    """Sides of the takers in a minute of one regime alone."""
    regime = replace(next(one for one in REGIMES if one.name == name), seconds=1e6)
    pit = Pit(
        "XRPUSDT", seed=9, style=replace(CALIBRATED[Category.LINEAR, "XRPUSDT"], regimes=(regime,))
    )
    pit.run(60_000)
    return [side for _, side in dict.fromkeys((at, trade.side) for at, trade in pit.trades)]


def test_regimes_when_they_rule_alone_then_bursts_are_busy_and_one_sided_is_one_sided():
    calm, burst, one_sided = _sides("calm"), _sides("burst"), _sides("one-sided")

    assert len(burst) > 8 * len(calm) > 0
    assert abs(burst.count(Side.BUY) / len(burst) - 0.5) < 0.1
    assert abs(one_sided.count(Side.BUY) / len(one_sided) - 0.5) > 0.15


def test_market_when_its_regimes_change_then_trades_come_in_bursts():
    pit = Pit(seed=9, style=replace(CALIBRATED[Category.LINEAR, "BTCUSDT"], noise_rate=1.0))
    per_second: Counter[int] = Counter()
    pit.run(300_000)
    for now_ns, _ in pit.trades:
        per_second[(now_ns - START_NS) // SECOND] += 1
    counts = sorted(per_second[second] for second in range(300))

    assert counts[-1] > 5 * counts[150] > 0


def test_style_when_symbol_is_further_down_then_is_less_active():
    plain = AgentsStyle()

    assert CALIBRATED[Category.LINEAR, "BTCUSDT"] == style_for(Category.LINEAR, "BTCUSDT", 7)
    assert plain == style_for(Category.LINEAR, "DOGEUSDT", 0)
    assert plain.noise_rate > 4 * style_for(Category.LINEAR, "DOGEUSDT", 9).noise_rate
    given_style = replace(plain, noise_rate=7.0)
    assert given_style == style_for(Category.LINEAR, "BTCUSDT", 0, given_style)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "DOGEUSDT"])
def test_market_when_nobody_trades_for_minutes_then_keeps_its_character(symbol: str):
    instrument = instrument_for(Category.LINEAR, symbol)
    (row,) = measure(AgentsSource([instrument], Random(8)), [instrument], seconds=100)

    assert row.spread_ticks_mean is not None
    assert row.volatility_bps_1s is not None
    assert 1 <= row.spread_ticks_mean < 3
    assert 0.1 < row.volatility_bps_1s < 5
    assert row.trades_per_s > 0.5
