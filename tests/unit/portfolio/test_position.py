"""The arithmetic under the fold: named rounding, and splitting without loss."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.portfolio.worlds import ACCOUNT, inverse, linear
from tickwright.core.errors import UnitsError
from tickwright.core.identity import Leg
from tickwright.core.instrument import Instrument
from tickwright.portfolio.position import Position, divide_half_even, split_by_weight


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (7, 3, 2), (8, 3, 3), (-8, 3, -3)],
)
def test_divide_half_even_when_between_two_numbers_then_the_nearest_or_the_even_one(
    numerator: int, denominator: int, expected: int
):
    assert expected == divide_half_even(numerator, denominator)


@given(st.lists(st.integers(0, 10**20), min_size=1, max_size=10), st.integers(0, 10**20))
def test_split_by_weight_when_any_then_nothing_is_lost_and_no_part_exceeds_its_weight(
    weights: list[int], amount: int
):
    amount = min(amount, sum(weights))
    parts = split_by_weight(amount, weights)
    assert amount == sum(parts)
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


def test_entry_price_when_closing_a_part_then_it_stays():
    position = Position(ACCOUNT, linear().id, Leg.NET)
    position.trade(10, 6_000_000, linear(), 1)
    position.trade(20, 6_300_000, linear(), 2)
    position.trade(-15, 6_500_000, linear(), 3)
    assert position.entry_price(linear()) == Decimal(62_000)
    assert (position.opened_ns, position.updated_ns, position.fill_count) == (1, 3, 3)


def test_entry_price_when_inverse_then_it_is_the_harmonic_mean():
    position = Position(ACCOUNT, inverse().id, Leg.NET)
    position.trade(-30_000, 3_000_000, inverse(), 1)
    position.trade(-60_000, 6_000_000, inverse(), 2)
    assert position.entry_price(inverse()) == Decimal(45_000)
    assert position.unrealised(inverse(), 4_500_000) == 0


@given(
    st.lists(
        st.tuples(st.integers(-500, 500).filter(bool), st.integers(1, 9_000_000)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([linear(), inverse()]),
)
def test_entry_units_when_any_fills_then_the_price_to_the_nearest_unit(
    fills: list[tuple[int, int]], instrument: Instrument
):
    position = Position(ACCOUNT, instrument.id, Leg.NET)
    for size, price in fills:
        position.trade(size, price, instrument, 1)
        entry = position.entry_price(instrument)
        told = None if entry is None else round(entry.scaleb(instrument.price_decimals))
        assert told == position.entry_units(instrument)


def test_trade_when_the_price_is_zero_then_it_is_a_bug():
    with pytest.raises(AssertionError):
        Position(ACCOUNT, linear().id, Leg.NET).trade(1, 0, linear(), 1)


def test_rescale_when_digits_would_be_lost_then_raises_and_keeps_the_size():
    position = Position(ACCOUNT, linear().id, Leg.NET)
    position.trade(-15, 6_000_000, linear(), 1)
    with pytest.raises(UnitsError):
        position.rescale(-1)
    assert position.size_units == -15
    position.rescale(2)
    assert position.size_units == -1_500
