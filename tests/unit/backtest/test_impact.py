"""What our own taking does to the prices we meet next, each rule alone with its right answer.

The impact here is 40 basis points for good and 80 that halve every 100 ms, each for a million of
the quote asset; at 50,000.0 the 4.000 of the best ask are 200,004 of it: 8.000 and 16.001 basis
points, 400.02 and 800.03 of the price's units of 0.1.
"""

import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backtest.tapes import BTC, Hand, Ran, amend_all, ioc, limit, market, run
from tests.unit.backtest.test_accounting import HEAVY, random_market, random_script
from tickwright.backtest.impact import MODEL, ImpactSpec
from tickwright.backtest.record import FillRecord
from tickwright.backtest.report import make_report
from tickwright.backtest.report_page import make_page
from tickwright.core.orders import Side, TimeInForce
from tickwright.matching import BookOrder, MatchingBook, OrderIds
from tickwright.matching.impact import FINE_UNITS, PARTS_MAX
from tickwright.matching.levels import ExternalLevels

BUY, SELL = Side.BUY, Side.SELL
BID, ASK = 500_000, 500_010
PERMANENT, TRANSIENT = 400, 800
"""Price units that taking 4.000 at the best ask moves the asks: see the top."""
FAR = 2_000


def spec(permanent: str = "40", transient: str = "80", half_life_ms: str = "100") -> ImpactSpec:
    return ImpactSpec(
        permanent_bps_per_million=Decimal(permanent),
        transient_bps_per_million=Decimal(transient),
        half_life_ms=Decimal(half_life_ms),
    )


def quiet(**more: float) -> Hand:
    """A book of one deep level a side; the bids as worth taking as the asks."""
    hand = Hand(**more)  # type: ignore[arg-type]
    return hand.book(0, [(BID, 4_000), (BID - 10, 50_000)], [(ASK, 4_000), (ASK + 10, 50_000)])


def ran(tmp_path: Path, hand: Hand, script: dict[Any, list[Any]], **more: Any) -> Ran:
    tape = hand.trade(1_000, BUY, ASK, 1).write(tmp_path / "t")
    return run(tape, script, money="100000000", impact=more.pop("impact", spec()), **more)


def test_example_when_worked_out_by_hand_then_is_as_the_words_above_say():
    notional = Fraction(ASK * 4_000, 10**4)
    assert Fraction(2_000_040, 10) == notional
    for bps, units in ((40, PERMANENT), (80, TRANSIENT)):
        assert units == round(ASK * Fraction(bps, 10**4) * notional / 10**6)


def test_taker_when_it_comes_again_then_pays_both_parts_at_once_and_half_of_one_later(
    tmp_path: Path,
):
    script = {
        10: [ioc(BUY, ASK, 4_000)],
        20: [ioc(BUY, ASK + FAR, 1)],
        112: [ioc(BUY, ASK + FAR, 1)],
    }
    found = ran(tmp_path, quiet(), script, order_ms=0.0)
    # A tenth of the half life later: 400.02 + 800.03 x 2^-0.1 = 1146.48; after 102 ms: 400.02 +
    # 800.03 x 2^-1.02 = 794.53, and 0.20 of the lot between. The tick is one unit.
    assert [(1, ASK, 4_000), (1, ASK + 10 + 1_146, 1), (1, ASK + 10 + 795, 1)] == found.fills
    assert [0, 1_146, 795] == [one.impact_units for one in found.rows]


def test_taker_when_two_half_lives_have_passed_then_meets_a_quarter_of_what_decays(tmp_path: Path):
    script = {10: [ioc(BUY, ASK, 4_000)], 210: [ioc(BUY, ASK + FAR, 1)]}
    found = ran(tmp_path, quiet(), script)
    assert [0, PERMANENT + TRANSIENT // 4] == [one.impact_units for one in found.rows]


def test_taker_when_there_is_no_model_then_pays_what_is_shown(tmp_path: Path):
    script = {10: [ioc(BUY, ASK, 4_000)], 20: [ioc(BUY, ASK + FAR, 1)]}
    found = ran(tmp_path, quiet(), script, impact=None)
    assert [(1, ASK, 4_000), (1, ASK + 10, 1)] == found.fills
    assert ("none", [0, 0]) == (found.record.impact, [one.impact_units for one in found.rows])


def test_other_side_when_we_took_one_then_is_met_as_it_is_shown_and_never_better(tmp_path: Path):
    # 4.000 bought lift the asks by 120 ticks; who sells then gets no more than the tape's bid.
    script = {10: [ioc(BUY, ASK, 4_000)], 20: [ioc(SELL, BID - FAR, 1)]}
    found = ran(tmp_path, quiet(), script)
    assert [(1, ASK, 4_000), (-1, BID, 1)] == found.fills


def test_sells_when_they_come_again_then_get_less(tmp_path: Path):
    script = {10: [ioc(SELL, BID, 4_000)], 210: [ioc(SELL, BID - FAR, 1)]}
    found = ran(tmp_path, quiet(), script)
    lower = PERMANENT + TRANSIENT // 4
    assert [(-1, BID, 4_000), (-1, BID - 10 - lower, 1)] == found.fills
    assert [0, lower] == [one.impact_units for one in found.rows]


def test_permanent_part_when_we_take_the_other_way_then_is_taken_back_first(tmp_path: Path):
    # All of it halves within a millisecond; what stays is of 4.000 bought less 4.000 sold.
    script = {
        10: [ioc(BUY, ASK, 4_000)],
        50: [ioc(SELL, BID, 4_000)],
        90: [ioc(BUY, ASK + FAR, 1)],
        91: [ioc(SELL, BID - FAR, 1)],
    }
    found = ran(tmp_path, quiet(), script, impact=spec(half_life_ms="1"))
    assert [0, 0, 0, 0] == [one.impact_units for one in found.rows]


def test_order_when_its_limit_is_what_is_shown_then_no_longer_takes(tmp_path: Path):
    hand = quiet().delta(15, [], [(ASK, 4_000)])
    script = {10: [ioc(BUY, ASK, 4_000)], 20: [ioc(BUY, ASK, 1_000)]}
    found = ran(tmp_path, hand, script)
    assert [(1, ASK, 4_000)] == found.fills
    assert "cancelled" == found.orders[1].state


def test_fill_or_kill_when_the_moved_levels_are_beyond_its_limit_then_is_killed(tmp_path: Path):
    fok = {"time_in_force": TimeInForce.FOK}
    script = {
        10: [ioc(BUY, ASK, 4_000)],
        210: [limit(BUY, ASK + 10 + PERMANENT, 1, **fok)],
        # The single lots that were killed have added nothing.
        211: [limit(BUY, ASK + 10 + PERMANENT + TRANSIENT, 50_000, **fok)],
    }
    found = ran(tmp_path, quiet(), script)
    assert ["filled", "cancelled", "filled"] == [one.state for one in found.orders]
    assert [4_000, 50_000] == [size for _, _, size in found.fills]


def test_market_order_when_prices_have_moved_then_fills_at_them(tmp_path: Path):
    script = {10: [ioc(BUY, ASK, 4_000)], 210: [market(BUY, 1)]}
    found = ran(tmp_path, quiet(), script)
    assert (1, ASK + 10 + PERMANENT + TRANSIENT // 4, 1) == found.fills[-1]


def test_levels_of_one_order_when_several_are_taken_then_are_as_shown(tmp_path: Path):
    # The walk through the book is the book's own; the model begins behind it.
    script = {10: [ioc(BUY, ASK + 10, 6_000)]}
    found = ran(tmp_path, quiet(), script)
    assert [(1, ASK, 4_000), (1, ASK + 10, 2_000)] == found.fills
    assert [0, 0] == [one.impact_units for one in found.rows]


def test_resting_order_when_the_market_comes_to_it_then_needs_the_moved_level(tmp_path: Path):
    # 10: the asks move up by 400 for good. 50: our bid stands at the shown ask and takes nothing.
    # 60: the shown ask falls by 300, and the one that we meet doesn't reach us; 70: by 400.
    hand = quiet().delta(15, [], [(ASK, 700)])
    fallen = [(BID, 0), (BID - 10, 0), (BID - 1_000, 9_000)]
    hand.delta(60, fallen, [(ASK - 300, 700), (ASK, 0), (ASK + 10, 0)])
    hand.delta(70, [], [(ASK - 400, 800), (ASK - 300, 0)])
    script = {10: [ioc(BUY, ASK, 4_000)], 50: [limit(BUY, ASK, 1_000)]}
    found = ran(tmp_path, hand, script, impact=spec(half_life_ms="1"))
    assert [(1, ASK, 4_000), (1, ASK, 800)] == found.fills
    assert ("book_crossed", 70.0) == (found.rows[1].cause, _at_ms(found, 1))
    # The shown book would have filled it as a taker: by waiting it saved nothing.
    assert [False, False] == [row.is_maker for row in found.rows]


def _at_ms(found: Ran, row: int) -> float:
    return (found.rows[row].venue_ns - found.record.started_ns) / 1e6 + 1.0


def test_trades_when_they_reach_a_resting_order_then_fill_it_as_recorded(tmp_path: Path):
    hand = quiet().trade(50, SELL, BID, 4_500)
    script = {5: [limit(BUY, BID, 1_000)], 10: [ioc(BUY, ASK, 4_000)]}
    found = ran(tmp_path, hand, script)
    assert [(1, ASK, 4_000), (1, BID, 500)] == found.fills
    assert [0, 0] == [one.impact_units for one in found.rows]
    assert [False, True] == [one.is_maker for one in found.rows]


def test_order_when_it_is_amended_out_of_the_shown_book_then_makes_again(tmp_path: Path):
    hand = quiet().delta(15, [], [(ASK, 4_000)]).trade(90, SELL, BID, 4_500)
    script = {
        10: [ioc(BUY, ASK, 4_000)],
        20: [limit(BUY, ASK, 1_000)],
        40: [amend_all(price_units=BID)],
    }
    found = ran(tmp_path, hand, script)
    assert [(1, ASK, 4_000), (1, BID, 500)] == found.fills
    assert [False, True] == [one.is_maker for one in found.rows]


def test_post_only_when_it_would_take_what_is_shown_then_is_refused_all_the_same(tmp_path: Path):
    hand = quiet().delta(15, [], [(ASK, 4_000)])
    script = {10: [ioc(BUY, ASK, 4_000)], 20: [limit(BUY, ASK, 1_000, post_only=True)]}
    found = ran(tmp_path, hand, script)
    assert ["filled", "cancelled"] == [one.state for one in found.orders]
    assert "PostOnly" in found.orders[1].reason


def test_own_orders_when_they_meet_behind_an_impact_then_trade_with_each_other(tmp_path: Path):
    # The asks are 400 higher for us: our own offer at the shown price is the best there is, and
    # what stands before it on the tape isn't at that price for the order that takes.
    hand = quiet().delta(15, [], [(ASK, 5_000)])
    script = {
        10: [ioc(BUY, ASK, 4_000)],
        50: [limit(SELL, ASK, 1_000)],
        60: [ioc(BUY, ASK, 3_000)],
    }
    found = ran(tmp_path, hand, script, impact=spec(half_life_ms="1"))
    assert [(1, ASK, 4_000), (-1, ASK, 1_000), (1, ASK, 1_000)] == found.fills
    assert 5_000 == found.orders[1].ahead_units
    assert [0, 0, 0] == [one.impact_units for one in found.rows]


def test_strategy_when_it_moved_the_market_then_sees_the_tape(tmp_path: Path):
    script = {10: [ioc(BUY, ASK, 4_000)], 20: [ioc(SELL, BID, 4_000)]}
    with_it, without = (
        ran(tmp_path / name, quiet().delta(100, [(BID, 9)], []), script, impact=impact)
        for name, impact in (("a", spec()), ("b", None))
    )
    seen = [[what for _, kind, what in one.heard if kind == "book"] for one in (with_it, without)]
    assert seen[0] == seen[1]
    # Fills are the same here: only what comes behind them would be met elsewhere.
    assert with_it.fills == without.fills


def test_run_when_repeated_with_a_model_then_is_the_same_and_says_which(tmp_path: Path):
    script = {at: [ioc(BUY, ASK + FAR, 500)] for at in (10, 33, 71)}
    runs = [ran(tmp_path / name, quiet(), script) for name in ("a", "b")]
    assert runs[0].rows == runs[1].rows
    assert 1 == len({one.record.digest for one in runs})
    assert (
        f"{MODEL}: a million taken moves prices by 40 bp for good and 80 bp that halve every 100 ms"
    ) == runs[0].record.impact


def test_impact_when_one_takes_more_than_a_market_holds_then_ends_at_quarters_of_the_price():
    levels = ExternalLevels()
    levels.set_level(SELL, ASK, 10**9)
    moved = spec(permanent="1000", transient="1000").levels(BTC, levels)
    book = MatchingBook(moved, new_id=OrderIds(), lot_units=1, tick_units=BTC.tick_units)
    book.submit(BookOrder(1, 1, BUY, 10**9, ASK, time_in_force=TimeInForce.IOC), 0)
    moved.see_time(0)
    assert 2 * (ASK * FINE_UNITS // PARTS_MAX) // FINE_UNITS == moved.moved_units(BUY)
    assert 0 == moved.moved_units(SELL)


@pytest.mark.parametrize("age", range(0, 1_000, 37))
def test_decay_when_compared_with_the_exponential_then_is_it_to_the_tick(age: int):
    levels = ExternalLevels()
    levels.set_level(SELL, ASK, 10**6)
    moved = spec(permanent="0", half_life_ms="0.0003").levels(BTC, levels)
    book = MatchingBook(moved, new_id=OrderIds(), lot_units=1, tick_units=1)
    book.submit(BookOrder(1, 1, BUY, 50_000, ASK, time_in_force=TimeInForce.IOC), 0)
    moved.see_time(age)
    start = ASK * 80 / 1e4 * (ASK * 50_000 / 1e4) / 1e6
    assert abs(start * 2 ** (-age / 300) - moved.moved_units(BUY)) <= BTC.tick_units / 2 + 1e-6


def test_report_when_a_run_had_a_model_then_names_it_and_says_what_it_cost(tmp_path: Path):
    script = {10: [ioc(BUY, ASK, 4_000)], 210: [ioc(BUY, ASK + FAR, 1_500)]}
    report = make_report(ran(tmp_path, quiet(), script).record)
    # 600 price units of 0.1 on 1.500, of a price that would have been 50,002.0.
    moved, whole = Decimal(60), Decimal("50001") * 4 + Decimal("50062") * Decimal("1.5")
    rows = {row.liquidity: row for row in report.quality.liquidity}
    assert pytest.approx(90.0) == rows["taker"].impact_money == rows["all"].impact_money
    mean_bp = float(moved * Decimal("1.5") / whole * 10_000)
    assert pytest.approx(mean_bp) == rows["taker"].impact.mean_bp
    assert (0.0, None) == (rows["maker"].impact_money, rows["maker"].impact.mean_bp)
    assert report.facts.impact.startswith(MODEL)
    assert any(MODEL in note for note in report.notes)
    page = make_page(report)
    assert "own impact, money" in page and "+90.00" in page


def test_report_when_a_run_had_no_model_then_says_so(tmp_path: Path):
    script = {10: [ioc(BUY, ASK, 4_000)], 210: [ioc(BUY, ASK + FAR, 1_500)]}
    report = make_report(ran(tmp_path, quiet(), script, impact=None).record)
    assert ("none", 0.0) == (report.facts.impact, report.quality.liquidity[0].impact_money)
    assert not any("impact" in note for note in report.notes)


# over random markets ------------------------------------------------------------------------------


def wild(tmp_path: Path, seed: int, impact: ImpactSpec | None) -> Ran:
    chance = random.Random(seed)
    hand, _ = random_market(chance)
    script = random_script(chance)
    return run(hand.write(tmp_path / "t"), script, rate_scale=100.0, impact=impact)


def taken(found: Ran) -> list[list[FillRecord]]:
    """Return what each order took of the market at one time, in order; not of our own orders."""
    own = Counter(
        (row.venue_ns, row.price_units, row.size_units)
        for row in found.rows
        if row.cause == "hit_by_order"
    )
    groups: dict[tuple[str, int], list[FillRecord]] = {}
    for row in found.rows:
        if row.cause != "took":
            continue
        key = (row.venue_ns, row.price_units, row.size_units)
        if own[key]:
            own[key] -= 1
            assert 0 == row.impact_units
            continue
        groups.setdefault((row.client_id, row.venue_ns), []).append(row)
    return sorted(groups.values(), key=lambda rows: rows[0].venue_ns)


@pytest.mark.parametrize("seed", range(100, 120))
def test_impact_when_anything_happens_then_is_what_an_independent_sum_says(
    tmp_path: Path, seed: int
):
    found = wild(tmp_path, seed, HEAVY)
    assert all(row.impact_units == 0 for row in found.rows if row.is_maker)
    lasting, decaying = 0.0, {BUY: (0.0, 0), SELL: (0.0, 0)}
    for rows in taken(found):
        side, now_ns = Side(rows[0].side), rows[0].venue_ns
        units, since_ns = decaying[side]
        left = units * 2 ** (-(now_ns - since_ns) / 700e6)
        expected = max(side * lasting, 0.0) + left
        for row in rows:
            # The venue tells times in whole milliseconds: 1/700 of a half life at either end.
            assert abs(row.impact_units - expected) <= 0.5 + 0.002 * expected, (seed, row)
        shown = [(row.price_units - side * row.impact_units, row.size_units) for row in rows]
        # Price 0.1, size 0.001: basis points of the price for a million of price x size.
        bps = sum(price * price * size / 1e14 for price, size in shown)
        lasting += side * 2 * bps
        decaying[side] = (left + 20 * bps, now_ns)


def test_random_markets_when_looked_at_then_have_impacts_worth_a_test(tmp_path: Path):
    paid = [
        rows[0].impact_units
        for seed in range(100, 120)
        for rows in taken(wild(tmp_path / str(seed), seed, HEAVY))
    ]
    assert sum(units > 0 for units in paid) > 40


@pytest.mark.parametrize("seed", range(120, 132))
def test_impact_when_far_below_a_tick_then_the_run_is_the_same_as_without(
    tmp_path: Path, seed: int
):
    tiny = spec(permanent="0.000001", transient="0.000001")
    with_it, without = (
        wild(tmp_path / name, seed, one) for name, one in (("a", tiny), ("b", None))
    )
    assert with_it.rows == without.rows
    assert with_it.record.digest == without.record.digest
