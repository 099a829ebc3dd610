"""What rested around a chart is what the tape says, at the moment it says so."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.backtest.made_runs import near
from tests.unit.backtest.tapes import BTC, START_NS, Hand, amend_all, ioc, limit, run
from tickwright.backtest.charts_book import (
    BOOK_COLUMNS,
    BOOK_ROWS,
    BOOKS_CHARTED,
    TRADES_CHARTED,
    ChartBook,
    ChartTrade,
    with_books,
)
from tickwright.backtest.charts_trips import MOVES_CHARTED, TripChart
from tickwright.backtest.report import make_report
from tickwright.backtest.tape import Tape
from tickwright.core.orders import Side

BUY, SELL = Side.BUY, Side.SELL
BID, ASK = 500_000, 500_010
STEP_MS = 100
LOW = 499_995
"""Ten ticks of 0.1 below the mid of 50,000.5: the lowest row of its chart."""


def chart(
    *, start_ms: float = 0.0, mids: tuple[float, ...] = (50_000.5,), instrument: str = str(BTC.id)
) -> TripChart:
    """A chart of as many steps of 100 ms as a book has columns."""
    return TripChart(
        trip=1,
        instrument=instrument,
        start_ms=START_NS / 1e6 + start_ms,
        entry_ms=0.0,
        exit_ms=0.0,
        mid_ms=tuple(0.0 for _ in mids),
        mid=mids,
        orders=(),
        fills=(),
        orders_left_out=0,
        fills_left_out=0,
        end_ms=BOOK_COLUMNS * STEP_MS,
    )


def changing() -> Hand:
    hand = Hand(feed_ms=30.0)
    hand.book(0, [(BID, 5_000), (BID - 2, 1), (1_000, 9)], [(ASK, 4_000), (900_000, 9)])
    hand.delta(1_000, [(BID + 3, 250)], [(ASK, 1_000)])
    hand.stale(2_000, "cut")
    hand.delta(2_500, [(BID + 4, 77)], [])
    hand.book(3_000, [(BID, 2_000)], [(ASK, 10_000)])
    return hand.trade(11_000, BUY, ASK, 1)


def book_of(tape: Tape, one: TripChart) -> ChartBook:
    (found,) = with_books([one], [0], tape)
    assert found.book is not None
    return found.book


def rows(book: ChartBook, at_ms: float) -> dict[int, int]:
    """Return what is shown at a time: price in units and share."""
    assert STEP_MS == book.step_ms
    first = round(book.price_first * 10)
    column = book.sizes[int(at_ms // STEP_MS)]
    return {first + row: share for row, share in enumerate(column) if share}


def test_book_when_levels_change_then_each_column_is_that_of_its_moment(tmp_path: Path):
    book = book_of(changing().write(tmp_path / "t"), chart())
    assert (BOOK_COLUMNS, 21) == (len(book.sizes), len(book.sizes[0]))
    assert (LOW / 10, 0.1, 10.0) == (book.price_first, book.price_step, book.size_max)
    # Thousandths of 10.000, and never nothing where there is something.
    before = {BID: 500, BID - 2: 1, ASK: -400}
    assert before == rows(book, 0) == rows(book, 999)
    between = {BID: 500, BID - 2: 1, BID + 3: 25, ASK: -100}
    assert between == rows(book, 1_000) == rows(book, 1_999)
    # From the hole on nobody knows, until the next whole book.
    assert {} == rows(book, 2_000) == rows(book, 2_999)
    assert {BID: 200, ASK: -1_000} == rows(book, 3_000) == rows(book, 9_599)


def test_books_when_charts_overlap_then_each_is_as_if_alone(tmp_path: Path):
    tape = changing().write(tmp_path / "t")
    charts = [chart(start_ms=at) for at in (2_900.0, 0.0, 500.0, 3_100.0)]
    together = with_books(charts, [3, 0, 1, 2], tape)
    assert [book_of(tape, one) for one in charts] == [one.book for one in together]
    assert {BID: 200, ASK: -1_000} == rows(book_of(tape, charts[3]), 0)


def test_rows_when_prices_are_far_apart_then_share_a_step_and_lose_nothing(tmp_path: Path):
    levels = [(BID - 50 * n, 100 + n) for n in range(10)]
    offers = [(ASK + 50 * n, 200 + n) for n in range(10)]
    tape = Hand().book(0, levels, offers).trade(11_000, BUY, ASK, 1).write(tmp_path / "t")
    book = book_of(tape, chart(mids=(49_950.5, 50_050.5)))
    assert len(book.sizes[0]) <= BOOK_ROWS
    # 1,000 ticks and a quarter of them on either side, in 39 rows: 39 ticks each.
    assert near(3.9) == book.price_step
    low = book.price_first - book.price_step / 2 + 0.05
    shown = np.zeros(len(book.sizes[0]), np.int64)
    for price, size in [*levels, *((price, -size) for price, size in offers)]:
        shown[int((price / 10 - low) // book.price_step)] += size
    largest = round(book.size_max * 1_000)
    assert int(np.abs(shown).max()) == largest
    assert [-(-abs(size) * 1_000 // largest) for size in shown.tolist()] == [
        abs(share) for share in book.sizes[0]
    ]


def test_trades_when_too_many_then_the_largest_are_kept_in_order(tmp_path: Path):
    hand = Hand(feed_ms=700.0).book(0, [(BID, 5_000)], [(ASK, 4_000)]).trade(50, SELL, BID, 7)
    hand.trade(BOOK_COLUMNS * STEP_MS + 1, BUY, ASK, 9_999)
    book = book_of(hand.write(tmp_path / "a"), chart())
    # Received later than the chart ends, and not after it at the venue.
    assert (ChartTrade(at_ms=50.0, price=50_000.0, size=0.007, side=-1),) == book.trades
    for number in range(TRADES_CHARTED + 10):
        hand.trade(100 + number, BUY, ASK, 10 + number)
    book = book_of(hand.write(tmp_path / "b"), chart())
    assert (TRADES_CHARTED, 11) == (len(book.trades), book.trades_left_out)
    assert [20 + n for n in range(TRADES_CHARTED)] == [
        round(one.size * 1_000) for one in book.trades
    ]


def test_charts_when_more_than_may_have_a_book_then_the_others_have_none(tmp_path: Path):
    tape = changing().write(tmp_path / "t")
    charts = [chart() for _ in range(BOOKS_CHARTED + 5)]
    made = with_books(charts, range(len(charts)), tape)
    assert BOOKS_CHARTED == sum(one.book is not None for one in made)
    assert (None,) == tuple(
        one.book for one in with_books([chart(instrument="sim:linear:ETHUSDT")], [0], tape)
    )


def test_report_when_it_has_the_tape_then_its_charts_have_levels_and_the_run_is_the_same(
    tmp_path: Path,
):
    tape = changing().write(tmp_path / "t")
    script = {500: [ioc(BUY, ASK, 1_000)], 3_500: [ioc(SELL, BID, 1_000)]}
    record = run(tape, script).record
    (plain,), (drawn,) = make_report(record).charts, make_report(record, tape=tape).charts
    assert (None, True) == (plain.book, drawn.book is not None)
    assert drawn.book is not None
    # The chart begins five seconds before the entry, where the tape had nothing yet.
    assert 0 == sum(map(abs, drawn.book.sizes[0]))
    assert drawn.book.sizes[-1].count(0) == len(drawn.book.sizes[-1]) - 2
    assert near(drawn.end_ms) == drawn.book.step_ms * BOOK_COLUMNS


def test_order_when_amended_then_its_chart_follows_its_limits(tmp_path: Path):
    hand = changing()
    script = {
        100: [limit(BUY, BID - 5, 1_000)],
        200: [amend_all(price_units=BID - 4)],
        300: [amend_all(price_units=BID - 3)],
        400: [amend_all(size_units=900)],
        500: [ioc(BUY, ASK, 1_000)],
        3_500: [ioc(SELL, BID, 1_000)],
    }
    record = run(hand.write(tmp_path / "t"), script).record
    resting = record.orders[0]
    moved = [((at - START_NS) / 1e6, price) for at, price in resting.moves or ()]
    assert [(202.0, BID - 4), (302.0, BID - 3)] == moved
    assert None is record.orders[1].moves
    (drawn,) = make_report(record).charts
    (order,) = [one for one in drawn.orders if one.client_id == resting.client_id]
    start = drawn.start_ms - START_NS / 1e6
    assert (49_999.5, near(102.0 - start)) == (order.price, order.from_ms)
    times, limits = zip(*order.moves, strict=True)
    assert ((49_999.6, 49_999.7), near((202.0 - start, 302.0 - start))) == (limits, times)


def test_moves_when_too_many_then_those_near_the_ends_are_kept_and_others_evenly(
    tmp_path: Path,
):
    wanted = MOVES_CHARTED + 20
    prices = itertools.cycle((BID - 4, BID - 5))
    first = [ioc(BUY, ASK, 1_000), limit(BUY, BID - 5, 1_000)]
    script: dict[Any, list[Any]] = {50: first}
    for number in range(wanted):
        script[1_000 + 500 * number] = [amend_all(price_units=next(prices))]
    script[1_000 + 500 * wanted] = [ioc(SELL, BID - 20, 1_000)]
    hand = Hand().book(0, [(BID - 10, 90_000)], [(ASK, 90_000)])
    for number in range(wanted + 10):
        # A book that nobody hears of for long isn't traded on.
        hand.delta(400 + 500 * number, [(BID - 30, 5 + number % 2)], [])
    record = run(hand.write(tmp_path / "t"), script, order_ms=0.0, response_ms=0.0).record
    (drawn,) = make_report(record).charts
    shown = sum(len(one.moves) for one in drawn.orders)
    assert (MOVES_CHARTED, 20) == (shown, drawn.moves_left_out)
    # The hundred next to the ends are all there, and no two neighbours of the others are missing.
    steps = [
        round((later - at) / 500)
        for one in drawn.orders
        for (at, _), (later, _) in itertools.pairwise(one.moves)
    ]
    assert [1] * 40 == steps[:40]
    assert [1] * 40 == steps[-40:]
    assert ({1, 2}, MOVES_CHARTED + 19) == (set(steps), sum(steps))
