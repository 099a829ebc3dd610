"""Decimal text to whole units and back: exact, or refused."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwright.core.errors import UnitsError
from tickwright.core.units import (
    INT64_MAX,
    MONEY_ONE,
    decimal_from_units,
    decimals_of,
    money_from_decimal,
    money_to_decimal,
    units_from_decimal,
    units_from_text,
    units_to_text,
    units_writer,
)

DECIMALS = st.integers(0, 18)
EXACT = Context(prec=200)


@given(st.integers(0, INT64_MAX), DECIMALS)
def test_units_when_written_and_read_then_the_same(units: int, decimals: int):
    text = units_to_text(units, decimals)
    assert units == units_from_text(text, decimals)
    assert Decimal(text) == decimal_from_units(units, decimals)
    assert units == units_from_decimal(Decimal(text), decimals)
    assert "e" not in text.lower()
    assert decimals == len(text.partition(".")[2])
    assert text == units_writer(decimals)(units)


@given(st.integers(1, INT64_MAX), DECIMALS)
def test_units_when_negative_then_written_with_their_sign(units: int, decimals: int):
    assert "-" + units_to_text(units, decimals) == units_to_text(-units, decimals)
    assert -units == units_from_decimal(Decimal(units_to_text(-units, decimals)), decimals)


@given(
    st.text("0123456789", min_size=1, max_size=60),
    st.text("0123456789", max_size=60),
    DECIMALS,
)
def test_text_when_plain_digits_then_exact_or_refused(whole: str, fraction: str, decimals: int):
    text = f"{whole}.{fraction}" if fraction else whole
    scaled = EXACT.scaleb(Decimal(text), decimals)
    is_exact = scaled == scaled.to_integral_value(context=EXACT)
    if is_exact and scaled <= INT64_MAX and len(whole) < 40:
        assert int(scaled) == units_from_text(text, decimals)
    else:
        with pytest.raises(UnitsError):
            units_from_text(text, decimals)


@given(st.text(max_size=12), DECIMALS)
def test_text_when_anything_then_units_or_units_error(text: str, decimals: int):
    try:
        units = units_from_text(text, decimals)
    except UnitsError:
        return
    assert set(text) <= set("0123456789.")
    assert EXACT.scaleb(Decimal(text), decimals) == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e5",
        "NaN",
        "inf",
        "1 ",
        " 1",
        "1_0",
        "0x1",
        "٣",
        "１",
        "1.2.3",
    ],
)
def test_text_when_not_plain_then_refused(text: str):
    with pytest.raises(UnitsError, match="not plain decimal text"):
        units_from_text(text, 2)


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "sNaN", "1E+400", "1E-400", "0.001", "1e30"]
)
def test_decimal_when_it_does_not_fit_then_refused(value: str):
    with pytest.raises(UnitsError):
        units_from_decimal(Decimal(value), 2)


@given(st.integers(1, 10**12), DECIMALS)
def test_decimals_of_a_step_when_asked_then_the_fewest_that_hold_it(units: int, decimals: int):
    step = decimal_from_units(units, decimals)
    needed = decimals_of(step)
    assert units_from_decimal(step, needed) > 0
    if needed:
        with pytest.raises(UnitsError):
            units_from_decimal(step, needed - 1)


@pytest.mark.parametrize("step", ["0", "-0.1", "NaN", "Infinity", "1E-19"])
def test_decimals_of_a_step_when_it_is_none_then_refused(step: str):
    with pytest.raises(UnitsError):
        decimals_of(Decimal(step))


@given(st.decimals(-(10**30), 10**30, places=18))
def test_money_when_converted_both_ways_then_the_same(value: Decimal):
    assert value == money_to_decimal(money_from_decimal(value))


@given(st.decimals(-(10**12), 10**12, places=24))
def test_money_when_finer_than_its_unit_then_rounds_half_even(value: Decimal):
    wanted = EXACT.scaleb(value, 18).to_integral_value(ROUND_HALF_EVEN, context=EXACT)
    assert int(wanted) == money_from_decimal(value)


def test_money_when_not_finite_then_refused():
    assert money_from_decimal(Decimal(1)) == MONEY_ONE
    for value in ("NaN", "Infinity"):
        with pytest.raises(UnitsError):
            money_from_decimal(Decimal(value))
