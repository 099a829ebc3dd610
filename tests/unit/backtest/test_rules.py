"""The rules by which orders fill, each alone on a hand-made tape with its right answer."""

from pathlib import Path

import msgspec
import pytest

from tests.unit.backtest.tapes import (
    BTC,
    Hand,
    amend_all,
    cancel_all,
    ioc,
    limit,
    market,
    run,
)
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import SelfTradeRule, Side, TimeInForce, TriggerBy
from tickwright.core.units import MONEY_ONE
from tickwright.matching import QueueModel

BUY, SELL = Side.BUY, Side.SELL
BID, ASK = 500_000, 500_010


def quiet(**more: float) -> Hand:
    """A book of 5.000 on each side of a ten-tick spread, deeper levels behind it."""
    hand = Hand(feed_ms=more.get("feed_ms", 1.0))
    return hand.book(
        0,
        [(BID, 5_000), (BID - 10, 4_000), (BID - 20, 4_000)],
        [(ASK, 4_000), (ASK + 10, 5_000), (ASK + 20, 6_000)],
    )


def test_order_when_the_queue_ahead_is_traded_then_fills_only_after_it(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID, 3_000).trade(60, SELL, BID, 2_000)
    hand.trade(70, SELL, BID, 500).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)]})
    assert [(1, BID, 500)] == ran.fills
    (order,) = ran.orders
    assert (5_000, 500, "partly_filled") == (order.ahead_units, order.filled_units, order.state)
    # Known after the response has travelled.
    assert [73.0] == ran.times("fill")


def test_order_when_the_queue_is_exactly_used_up_then_does_not_fill(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID, 5_000).trade(1_000, BUY, ASK, 1)
    assert [] == run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)]}).fills


def test_order_when_its_level_shrinks_then_its_place_is_capped(tmp_path: Path):
    hand = quiet().delta(40, [(BID, 1_000)], []).trade(50, SELL, BID, 1_500)
    hand.trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)]})
    assert [(1, BID, 500)] == ran.fills


def test_order_when_in_flight_then_cannot_be_hit(tmp_path: Path):
    # It is sent at 10 and arrives at 12; the trades at 11 pass it.
    hand = quiet().delta(5, [(BID, 0)], []).trade(11, SELL, BID - 10, 9_000)
    hand.trade(1_000, BUY, ASK, 1)
    assert [] == run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)]}).fills


def test_cancel_when_in_flight_then_the_order_can_still_fill(tmp_path: Path):
    hand = quiet().trade(51, SELL, BID, 6_000).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)], 50: [cancel_all]})
    assert [(1, BID, 1_000)] == ran.fills
    (order,) = ran.orders
    assert ("filled", 50.0) == (order.state, (order.cancel_sent_ns - order.intended_ns) / 1e6 + 10)


def test_cancel_when_it_arrives_first_then_the_trade_finds_nobody(tmp_path: Path):
    hand = quiet().trade(53, SELL, BID, 6_000).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)], 50: [cancel_all]})
    assert ([], "cancelled") == (ran.fills, ran.orders[0].state)


def test_fill_when_it_happens_then_is_known_after_response_and_books_lag_by_the_feed(
    tmp_path: Path,
):
    hand = quiet(feed_ms=7.0).delta(40, [], [(ASK, 1_000)]).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK, 1_000)]})
    assert [7.0, 47.0] == ran.times("book")
    assert [15.0] == ran.times("fill")
    assert 12.0 == (ran.orders[0].arrived_ns - 1_767_225_600_000_000_000) / 1e6


def test_post_only_when_it_would_take_then_is_cancelled_and_fok_too_large_as_well(tmp_path: Path):
    hand = quiet().trade(1_000, BUY, ASK, 1)
    script = {
        10: [limit(BUY, ASK, 1_000, post_only=True)],
        20: [limit(BUY, ASK, 9_000, time_in_force=TimeInForce.FOK)],
        30: [limit(BUY, ASK, 4_000, time_in_force=TimeInForce.FOK)],
    }
    ran = run(hand.write(tmp_path / "t"), script)
    assert ["cancelled", "cancelled", "filled"] == [one.state for one in ran.orders]
    assert "PostOnly" in ran.orders[0].reason
    assert [(1, ASK, 4_000)] == ran.fills


def test_tie_when_an_order_arrives_with_a_trade_then_the_market_comes_first(tmp_path: Path):
    hand = quiet().delta(5, [(BID, 0)], []).trade(12, SELL, BID, 1_000).trade(1_000, BUY, ASK, 1)
    assert [] == run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)]}).fills


def test_run_when_repeated_then_is_the_same_to_the_digest(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID, 5_500).delta(60, [], [(ASK, 10)])
    tape = hand.trade(1_000, BUY, ASK, 1).write(tmp_path / "t")
    script = {10: [limit(BUY, BID, 1_000)], 70: [market(SELL, 100)]}
    runs = [run(tape, script) for _ in range(3)]
    assert 1 == len({one.record.digest for one in runs})
    assert runs[0].rows == runs[1].rows == runs[2].rows
    assert len(runs[0].rows) > 1


def test_trade_through_when_small_then_fills_no_more_than_its_size(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID - 10, 1).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 3_000)]})
    assert [(1, BID, 1)] == ran.fills
    assert "traded_through" == ran.rows[0].cause


def test_level_that_drops_onto_us_when_small_then_fills_what_is_shown(tmp_path: Path):
    hand = quiet().delta(50, [(BID, 0)], [(BID, 200)]).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 3_000)]})
    assert [(1, BID, 200)] == ran.fills


def test_taker_when_larger_than_the_book_then_gets_what_is_there_level_by_level(tmp_path: Path):
    hand = quiet().trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK + 20, 50_000)]}, money="10000000")
    assert [(1, ASK, 4_000), (1, ASK + 10, 5_000), (1, ASK + 20, 6_000)] == ran.fills
    assert 15_000 == ran.position
    spent = 4_000 * ASK + 5_000 * (ASK + 10) + 6_000 * (ASK + 20)
    fees = sum(row.fee for row in ran.rows)
    # Price has one decimal, size three; the taker's rate is 550 parts per million.
    assert spent * MONEY_ONE // 10**4 * 550 // 10**6 == fees
    assert 10_000_000 * 10**8 - fees // 10**10 == int(ran.record.curve.cash[-1])


def test_liquidity_when_taken_then_cannot_be_taken_again_until_the_level_refreshes(
    tmp_path: Path,
):
    hand = quiet().delta(100, [], [(ASK, 700)]).trade(1_000, BUY, ASK, 1)
    script = {at: [ioc(BUY, ASK, 4_000)] for at in (10, 20, 30, 120)}
    ran = run(hand.write(tmp_path / "t"), script)
    assert [(1, ASK, 4_000), (1, ASK, 700)] == ran.fills


def test_own_orders_when_one_trade_comes_then_share_it_in_time_order(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID, 6_000).trade(1_000, BUY, ASK, 1)
    script = {at: [limit(BUY, BID, 1_000)] for at in (10, 11, 12)}
    ran = run(hand.write(tmp_path / "t"), script)
    assert [(1, BID, 1_000)] == ran.fills
    assert [1_000, 0, 0] == [one.filled_units for one in ran.orders]


def test_own_orders_when_they_cross_then_trade_with_each_other_and_the_position_stays(
    tmp_path: Path,
):
    # The venue's default: no self-trade prevention, so the two match, once, and fees are paid.
    hand = quiet().delta(5, [], [(ASK, 0), (ASK + 10, 0)]).trade(1_000, BUY, ASK + 20, 1)
    script = {10: [limit(SELL, ASK, 1_000)], 20: [limit(BUY, ASK, 1_000)]}
    ran = run(hand.write(tmp_path / "t"), script)
    assert {(-1, ASK, 1_000), (1, ASK, 1_000)} == set(ran.fills)
    assert 0 == ran.position
    assert all(row.fee > 0 for row in ran.rows)


@pytest.mark.parametrize(
    ("rule", "fills", "states"),
    [
        # The offers of 1.000 and 2.000 are ours, the 4.000 behind them others'.
        (
            SelfTradeRule.NONE,
            {(-1, ASK, 1_000), (-1, ASK + 1, 2_000), (1, ASK, 1_000), (1, ASK + 1, 2_000)}
            | {(1, ASK + 2, 500)},
            ("filled", "filled", "filled"),
        ),
        (SelfTradeRule.CANCEL_MAKER, {(1, ASK + 2, 3_500)}, ("cancelled", "cancelled", "filled")),
        (SelfTradeRule.CANCEL_TAKER, set(), ("working", "working", "cancelled")),
        (SelfTradeRule.CANCEL_BOTH, set(), ("cancelled", "working", "cancelled")),
    ],
)
def test_own_orders_when_the_account_has_a_rule_then_it_decides_what_meets(
    tmp_path: Path,
    rule: SelfTradeRule,
    fills: set[tuple[int, int, int]],
    states: tuple[str, ...],
):
    hand = quiet().delta(5, [], [(ASK, 0), (ASK + 2, 4_000)]).trade(1_000, BUY, ASK + 2, 1)
    script = {
        10: [limit(SELL, ASK, 1_000)],
        15: [limit(SELL, ASK + 1, 2_000)],
        20: [limit(BUY, ASK + 2, 3_500)],
    }
    ran = run(hand.write(tmp_path / "t"), script, self_trade=rule)
    assert fills == set(ran.fills)
    assert states == tuple(one.state for one in ran.orders)
    ended = [one.reason for one in ran.orders if one.state == "cancelled"]
    assert ["EC_BySelfMatch CancelBySmp"] * states.count("cancelled") == ended


def test_size_when_it_breaks_a_filter_then_never_reaches_the_book(tmp_path: Path):
    hand = quiet().trade(1_000, BUY, ASK, 1)
    script = {
        10: [limit(BUY, BID, 2_000_000)],
        # 0.001 of 50 is below the least notional of 5.
        20: [limit(BUY, 300, 1)],
    }
    ran = run(hand.write(tmp_path / "t"), script)
    assert ([], []) == (ran.fills, ran.orders)
    assert 2 == sum(ran.record.refusals["script"].values())


@pytest.mark.parametrize("size", [0, -1])
def test_size_when_it_is_none_then_the_strategy_is_told(tmp_path: Path, size: int):
    hand = quiet().trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, size)]})
    assert ([], []) == (ran.fills, ran.orders)
    assert 1 == sum(ran.record.refusals["script"].values()), ran.record.halted


def test_order_when_nobody_could_pay_for_it_then_the_venue_refuses_with_its_code(tmp_path: Path):
    hand = quiet().trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000_000)]}, money="1000")
    assert ([], "rejected") == (ran.fills, ran.orders[0].state)
    assert ran.orders[0].reason.startswith("110007 ")
    assert {ran.orders[0].reason: 1} == ran.record.venue_refusals


@pytest.mark.parametrize("parts", [(1_000,), (1_000, 2_000), (1, 1, 2_998), (3_000,)])
def test_partial_fills_when_they_come_then_each_is_booked(tmp_path: Path, parts: tuple[int, ...]):
    hand = quiet().delta(5, [(BID, 0)], [])
    for number, part in enumerate(parts):
        hand.trade(50 + number, SELL, BID, part)
    hand.trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 3_000)]})
    assert [(1, BID, part) for part in parts] == ran.fills
    assert sum(parts) == ran.position == ran.orders[0].filled_units
    fees = [part * BID * MONEY_ONE // 10**4 * 200 // 10**6 for part in parts]
    assert fees == [row.fee for row in ran.rows]
    expected = "filled" if sum(parts) == 3_000 else "partly_filled"
    assert expected == ran.orders[0].state


def test_taker_when_the_book_is_smaller_then_the_rest_is_cancelled_and_booked_right(
    tmp_path: Path,
):
    hand = Hand().book(0, [(BID, 5_000)], [(ASK, 4_000)]).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK, 9_000)]})
    assert ([(1, ASK, 4_000)], 4_000) == (ran.fills, ran.position)
    assert ("cancelled", 4_000) == (ran.orders[0].state, ran.orders[0].filled_units)


def test_order_when_filled_to_the_last_lot_then_more_trades_end_nothing(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID, 6_000)
    for at in range(60, 400, 10):
        hand.trade(at, SELL, BID, 1_000).delta(at + 5, [(BID, 5_000 + at)], [])
    ran = run(
        hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)], 390: [ioc(SELL, BID, 1_000)]}
    )
    assert [(1, BID, 1_000), (-1, BID, 1_000)] == ran.fills
    assert 0 == ran.position


def test_amend_when_the_price_changes_then_loses_its_place_and_smaller_size_keeps_it(
    tmp_path: Path,
):
    hand = quiet().trade(60, SELL, BID, 4_900).trade(80, SELL, BID, 200).trade(1_000, BUY, ASK, 1)
    tape = hand.write(tmp_path / "t")
    kept = run(tape, {10: [limit(BUY, BID, 1_000)], 70: [amend_all(size_units=500)]})
    assert [(1, BID, 100)] == kept.fills
    lost = run(tape, {10: [limit(BUY, BID, 1_000)], 70: [amend_all(size_units=2_000)]})
    assert [] == lost.fills
    assert 1 == lost.orders[0].amends


def test_reduce_only_when_larger_than_the_position_then_is_trimmed_to_it(tmp_path: Path):
    hand = quiet().trade(1_000, BUY, ASK, 1)
    script = {
        10: [ioc(BUY, ASK, 1_000)],
        30: [limit(SELL, BID, 3_000, reduce_only=True, time_in_force=TimeInForce.IOC)],
    }
    ran = run(hand.write(tmp_path / "t"), script)
    assert [(1, ASK, 1_000), (-1, BID, 1_000)] == ran.fills
    assert 0 == ran.position


def test_trigger_when_the_last_price_reaches_it_then_takes_from_the_book(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID - 5, 10).trade(60, SELL, BID - 10, 10)
    hand.trade(1_000, BUY, ASK, 1)
    stop = market(SELL, 500, trigger_price_units=BID - 10)
    ran = run(hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK, 500)], 20: [stop]})
    assert [(1, ASK, 500), (-1, BID, 500)] == ran.fills
    assert [15.0, 63.0] == ran.times("fill")


def test_funding_when_its_time_passes_then_moves_cash_by_the_rate_named_before(tmp_path: Path):
    hand = quiet().mark(1, BID).funding(2, 100_000, 500).funding(600, 0, 1_500)
    hand.trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK, 1_000)]})
    (row,) = [row for row in ran.rows if row.kind == "funding"]
    # One coin at 50,000 and a rate of 0.0001.
    assert -5 * MONEY_ONE == row.cash
    assert -5 * 10**8 == int(ran.record.curve.funding[-1])


def test_position_when_margin_is_used_up_then_is_liquidated(tmp_path: Path):
    hand = quiet().mark(1, BID)
    for at, mark in ((100, 480_000), (200, 460_000), (300, 440_000), (400, 420_000)):
        hand.mark(at, mark)
    hand.trade(1_000, BUY, ASK, 1)
    ran = run(
        hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK, 1_000)]}, money="5200",
        leverage=BTC.leverage_max,
    )  # fmt: skip
    assert ["trade", "liquidation"] == [row.kind for row in ran.rows]
    assert 0 == ran.position
    assert 0 <= int(ran.record.curve.equity[-1]) < 5_200 * 10**8


def test_order_when_deeper_than_the_book_is_shown_then_queues_behind_what_nobody_sees(
    tmp_path: Path,
):
    hand = Hand(depth=2).book(
        0, [(BID, 5_000), (BID - 10, 5_000)], [(ASK, 5_000), (ASK + 10, 5_000)]
    )
    hand.trade(50, SELL, BID - 20, 9_000_000).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID - 20, 1_000)]})
    assert [] == ran.fills


def test_book_when_the_tape_has_a_hole_then_is_stale_and_nothing_is_sent(tmp_path: Path):
    hand = quiet().stale(50, "records are missing").book(500, [(BID, 1_000)], [(ASK, 1_000)])
    hand.trade(1_000, BUY, ASK, 1)
    script = {100: [ioc(BUY, ASK, 1_000)], 600: [ioc(BUY, ASK, 1_000)]}
    ran = run(hand.write(tmp_path / "t"), script)
    assert [(1, ASK, 1_000)] == ran.fills
    assert {"book_not_synced": 1} == ran.record.refusals["script"]
    states = [what for _, kind, what in ran.heard if kind == "state"]
    assert ("STALE", "records are missing") in states
    told = ran.record.books[str(BTC.id)]
    assert (1, 450_000_000) == (told.gaps, told.stale_ns)


def test_strategy_when_it_raises_then_is_halted_with_its_place_and_the_run_goes_on(
    tmp_path: Path,
):
    def fail(_: object) -> list[object]:
        raise RuntimeError("a bug of mine")

    hand = quiet().trade(50, SELL, BID, 6_000).trade(1_000, BUY, ASK, 1)
    ran = run(hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 1_000)], 20: [fail]}, halts=True)
    assert "RuntimeError: a bug of mine at test_rules.py:" in ran.record.halted["script"]
    # Its opening order was withdrawn; the tape was walked to its end.
    assert ("cancelled", 3) == (ran.orders[0].state, ran.record.messages)


@pytest.mark.parametrize(
    ("queue", "exponent", "ahead"),
    [
        # 2,000 leave a price at which 4,000 stand before us and 1,000 behind, without a trade.
        (QueueModel.BACK, 1.0, 3_000),
        # 2,000 x 4,000 / 5,000 stood before us.
        (QueueModel.POWER, 1.0, 2_400),
        # 2,000 x 16 / 17, rounded down.
        (QueueModel.POWER, 2.0, 2_118),
        (QueueModel.LOG, 1.0, 2_909),
    ],
)
def test_queue_when_size_leaves_without_a_trade_then_moves_by_the_model(
    tmp_path: Path, queue: QueueModel, exponent: float, ahead: int
):
    hand = Hand().book(0, [(BID, 4_000)], [(ASK, 4_000)]).delta(30, [(BID, 5_000)], [])
    hand.delta(40, [(BID, 3_000)], []).trade(50, SELL, BID, ahead).trade(60, SELL, BID, 1)
    hand.trade(1_000, BUY, ASK, 1)
    ran = run(
        hand.write(tmp_path / "t"), {10: [limit(BUY, BID, 500)]}, queue=queue,
        queue_exponent=exponent,
    )  # fmt: skip
    assert [(1, BID, 1)] == ran.fills
    # Not at the trade that uses the queue up, but at the very next one.
    assert [63.0] == ran.times("fill")


def test_queue_when_size_leaves_by_a_trade_then_no_model_counts_it_twice(tmp_path: Path):
    hand = Hand().book(0, [(BID, 4_000)], [(ASK, 4_000)]).trade(30, SELL, BID, 1_000)
    hand.delta(40, [(BID, 3_000)], []).trade(50, SELL, BID, 3_000).trade(60, SELL, BID, 1)
    hand.trade(1_000, BUY, ASK, 1)
    for queue in QueueModel:
        ran = run(hand.write(tmp_path / queue.name), {10: [limit(BUY, BID, 500)]}, queue=queue)
        assert [63.0] == ran.times("fill"), queue


def test_trigger_when_the_mark_reaches_it_then_the_last_price_does_not_matter(tmp_path: Path):
    hand = quiet().mark(1, BID).trade(40, SELL, BID - 10, 10).mark(60, BID - 100)
    hand.trade(1_000, BUY, ASK, 1)
    stop = market(SELL, 500, trigger_price_units=BID - 50, trigger_by=TriggerBy.MARK)
    ran = run(hand.write(tmp_path / "t"), {10: [ioc(BUY, ASK, 500)], 20: [stop]})
    assert [(1, ASK, 500), (-1, BID, 500)] == ran.fills
    assert [15.0, 63.0] == ran.times("fill")


def test_markets_when_there_are_two_then_each_order_meets_its_own(tmp_path: Path):
    eth = msgspec.structs.replace(BTC, id=InstrumentId("sim", Category.LINEAR, "ETHUSDT"))
    hand = Hand(instruments=(BTC, eth)).book(0, [(BID, 5_000)], [(ASK, 4_000)])
    hand.book(1, [(40_000, 700)], [(40_010, 800)], slot=1)
    hand.trade(50, SELL, 40_000, 900, slot=1).trade(60, SELL, BID, 5_100)
    hand.trade(1_000, BUY, ASK, 1)
    script = {
        10: [limit(BUY, BID, 300), limit(BUY, 40_000, 300, instrument_id=eth.id)],
    }
    ran = run(hand.write(tmp_path / "t"), script)
    found = {(row.instrument_id, row.price_units, row.size_units) for row in ran.rows}
    assert {(str(eth.id), 40_000, 200), (str(BTC.id), BID, 100)} == found


def test_strategy_when_it_wakes_on_the_touch_then_deeper_changes_leave_it_alone(tmp_path: Path):
    hand = quiet().delta(20, [(BID - 10, 9)], []).delta(30, [(BID, 77)], [])
    hand.delta(40, [], [(ASK + 10, 8)]).delta(50, [], [(ASK, 0)]).trade(1_000, BUY, ASK, 1)
    tape = hand.write(tmp_path / "t")
    assert [1.0, 21.0, 31.0, 41.0, 51.0] == run(tape, {}).times("book")
    woken = run(tape, {}, wakes_on="touch")
    assert [1.0, 31.0, 51.0] == woken.times("book")
