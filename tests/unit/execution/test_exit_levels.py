"""Levels of exits: on tick, on the right side, rounded to the safe side, and never loosened."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.engine.bench import instrument
from tickwright.core.errors import ConfigError
from tickwright.core.exits import Exits
from tickwright.core.orders import Side
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.exit_levels import ExitLevels, fee_parts
from tickwright.execution.planner import Bracket

SIDES = st.sampled_from([Side.BUY, Side.SELL])


def levels_of(exits: Exits, side: Side = Side.BUY, *, fee: int = 0, tick: int = 1) -> ExitLevels:
    return ExitLevels(exits, side, instrument(tick_units=tick), fixed=Bracket(), fee=fee)


# the policy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exits", "words"),
    [
        (Exits(stop_loss_fraction=float("nan")), "stop_loss_fraction nan"),
        (Exits(take_profit_fraction=1.0), "take_profit_fraction 1.0"),
        (Exits(trailing_fraction=-0.1), "trailing_fraction -0.1"),
        (Exits(time_stop_ms=-1), "time_stop_ms -1"),
        (Exits(time_stop_ms=604_800_001), "time_stop_ms"),
        (Exits(activation_fraction=0.1), "needs a trailing_fraction"),
        (Exits(break_even_offset_fraction=0.1), "needs a break_even_after_fraction"),
        (Exits(break_even_after_fraction=0.1, break_even_offset_fraction=0.1), "must be below"),
        (Exits(take_profit_fraction=0.1, break_even_after_fraction=0.1), "never reached"),
        (
            Exits(take_profit_fraction=0.1, trailing_fraction=0.1, activation_fraction=0.2),
            "never reached",
        ),
    ],
)
def test_policy_when_it_contradicts_itself_then_refused_with_the_field(exits, words):
    assert words in (exits.fault() or "")
    with pytest.raises(ConfigError, match=r"execution\.exits"):
        ExecutionConfig(exits=exits)
    with pytest.raises(ConfigError, match=r"execution\.strategy_exits\.lean"):
        ExecutionConfig(strategy_exits={"lean": exits})


def test_policy_when_it_leaves_fields_open_then_they_are_taken_and_zero_switches_off():
    defaults = Exits(
        stop_loss_fraction=0.01,
        trailing_fraction=0.02,
        activation_fraction=0.01,
        break_even_after_fraction=0.03,
        break_even_offset_fraction=0.01,
        time_stop_ms=5,
    )
    own = Exits(stop_loss_fraction=0.05, trailing_fraction=0.0, break_even_after_fraction=0.0)
    merged = own.over(defaults)
    assert (
        Exits(
            stop_loss_fraction=0.05,
            trailing_fraction=0.0,
            break_even_after_fraction=0.0,
            time_stop_ms=5,
        )
        == merged
    )
    assert merged.fault() is None
    assert defaults is Exits().over(defaults)


def test_policy_of_a_strategy_when_configured_then_over_the_common_one():
    config = ExecutionConfig(
        exits=Exits(stop_loss_fraction=0.01, time_stop_ms=9),
        strategy_exits={"lean": Exits(time_stop_ms=0)},
    )
    assert (0.01, 0) == (
        config.exits_of("lean").stop_loss_fraction,
        config.exits_of("lean").time_stop_ms,
    )
    assert 9 == config.exits_of("other").time_stop_ms


# the levels ---------------------------------------------------------------------------------------


def test_trailing_when_the_price_goes_for_us_then_follows_at_its_distance_and_stays():
    levels = levels_of(Exits(trailing_fraction=0.01))
    levels.set_entry(10_000)
    assert (100, 9_900) == (levels.distance_units, levels.stop_units)
    assert levels.follow(2 * 10_050)
    assert 9_950 == levels.stop_units
    assert not levels.follow(2 * 9_960)
    assert 9_950 == levels.stop_units
    assert levels.follow(2 * 10_050 + 1)  # half a unit more: the stop is rounded toward the market
    assert 9_951 == levels.stop_units
    assert "trailing stop" == levels.kind_of(9_951)


def test_trailing_when_short_then_mirrored():
    levels = levels_of(Exits(trailing_fraction=0.01), Side.SELL)
    levels.set_entry(10_000)
    levels.follow(2 * 9_900)
    assert not levels.follow(2 * 9_950)
    assert 10_000 == levels.stop_units


def test_trailing_with_activation_when_not_reached_then_no_stop_and_then_from_the_best():
    levels = levels_of(Exits(trailing_fraction=0.01, activation_fraction=0.02))
    levels.set_entry(10_000)
    assert 10_200 == levels.activation_units
    assert not levels.follow(2 * 10_199)
    assert not levels.stop_units
    assert levels.follow(2 * 10_200)
    assert (True, 10_100) == (levels.is_trailing, levels.stop_units)


def test_break_even_when_the_move_was_reached_then_covers_both_fees_and_stays():
    fee = fee_parts(Decimal("0.00055"))
    levels = levels_of(
        Exits(stop_loss_fraction=0.01, break_even_after_fraction=0.005), fee=fee, tick=1
    )
    levels.set_entry(600_000)
    assert 594_000 == levels.stop_units
    assert not levels.follow(2 * 602_999)
    assert levels.follow(2 * 603_000)
    level = levels.stop_units
    assert level is not None
    taker = Fraction("0.00055")
    # Sold there it gives back entry and fees, and one tick less would not.
    assert level * (1 - taker) >= 600_000 * (1 + taker) > (level - 1) * (1 - taker)
    assert "break-even stop" == levels.kind_of(level)
    assert not levels.follow(2 * 700_000)
    assert level == levels.stop_units


def test_break_even_when_an_offset_is_given_then_it_alone_counts():
    levels = levels_of(
        Exits(break_even_after_fraction=0.01, break_even_offset_fraction=0.002),
        Side.SELL,
        fee=10**6,
    )
    levels.set_entry(10_000)
    levels.follow(2 * 9_900)
    assert 9_980 == levels.stop_units


def test_break_even_when_fees_are_more_than_the_move_then_waits_until_it_fits():
    levels = levels_of(Exits(break_even_after_fraction=0.0005), fee=fee_parts(Decimal("0.001")))
    levels.set_entry(10_000)
    assert not levels.follow(2 * 10_010)
    assert levels.follow(2 * 10_022)
    assert 10_021 == levels.stop_units


def test_stops_when_there_are_several_then_the_tightest_counts():
    levels = levels_of(
        Exits(
            stop_loss_fraction=0.005,
            trailing_fraction=0.02,
            break_even_after_fraction=0.01,
            break_even_offset_fraction=0.0,
        )
    )
    levels.set_entry(10_000)
    assert 9_950 == levels.stop_units
    levels.follow(2 * 10_100)
    assert 10_000 == levels.stop_units
    levels.follow(2 * 10_300)
    assert 10_100 == levels.stop_units


@given(
    side=SIDES,
    entry=st.integers(100, 10**9),
    tick=st.sampled_from([1, 5, 10, 25]),
    stop=st.floats(0.0, 0.5),
    trailing=st.floats(0.0001, 0.5),
    activation=st.floats(0.0, 0.2),
    after=st.floats(0.0001, 0.3),
    fee=st.integers(0, 10**7),
    path=st.lists(st.tuples(st.floats(-0.2, 0.2), st.booleans()), min_size=1, max_size=60),
)
def test_stops_when_on_any_path_then_only_tighten_stand_on_tick_and_short_of_the_best(
    side, entry, tick, stop, trailing, activation, after, fee, path
):
    exits = Exits(
        stop_loss_fraction=stop,
        trailing_fraction=trailing,
        activation_fraction=activation,
        break_even_after_fraction=after,
    )
    assume(exits.fault() is None)
    entry = max(entry // tick * tick, tick * 4)
    levels = levels_of(exits, side, fee=fee, tick=tick)
    levels.set_entry(entry)
    sign = int(side)
    best = 2 * entry
    before: int | None = None
    trail_before: int | None = None
    for move, adds in path:
        twice = max(1, round(2 * entry * (1 + move)))
        if adds:
            # More is filled a little off: the average moves and stops that move must not loosen.
            levels.set_entry(max(tick, round(entry * (1 + move / 100))))
        levels.follow(twice)
        best = max(best * sign, twice * sign) * sign
        assert best == levels.best_twice
        for level in (levels.trail_units, levels.break_even_units):
            if level is not None:
                assert 0 == level % tick
                assert (best - 2 * level) * sign > 0
        trail = levels.trail_units
        if trail_before is not None:
            assert trail is not None
            assert (trail - trail_before) * sign >= 0
        trail_before = trail
        if trail is not None and before is not None and not adds:
            assert levels.stop_units is not None
            assert (levels.stop_units - before) * sign >= 0
        before = levels.stop_units
        if trail is not None and levels.distance_units is not None:
            # Never further from the best price than asked for, but for an average that moved.
            assert (levels.stop_units is not None) and levels.distance_units >= tick


@given(
    side=SIDES,
    entry=st.integers(1_000, 10**9),
    tick=st.sampled_from([1, 5, 25]),
    trailing=st.floats(0.0001, 0.5),
    best_move=st.floats(0.0, 0.5),
)
def test_trailing_when_rounded_then_never_gives_back_more_than_asked(
    side, entry, tick, trailing, best_move
):
    levels = levels_of(Exits(trailing_fraction=trailing), side, tick=tick)
    levels.set_entry(entry)
    sign = int(side)
    best_twice = round(2 * entry * (1 + sign * best_move))
    levels.follow(best_twice)
    level = levels.trail_units
    assume(level is not None)
    assert level is not None
    back = Fraction(levels.best_twice, 2) * sign - level * sign
    # Fractions are whole parts per 10^9; a distance is a tick at least.
    assert 0 < back <= max(Fraction(entry) * Fraction(trailing) + 1, tick)
