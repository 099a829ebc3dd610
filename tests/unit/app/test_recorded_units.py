"""Decimals are inferred from what a recording prints."""

import pytest

from tickwright.app.recorded_units import UnitsSurvey
from tickwright.core.identity import Category, InstrumentId

ID = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")


def decimals_of(*frames: bytes) -> tuple[int, int]:
    """Return the decimals of prices and sizes after these frames."""
    survey = UnitsSurvey()
    for frame in frames:
        survey.see(frame)
    instrument = survey.instrument(ID)
    return instrument.price_decimals, instrument.size_decimals


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], (0, 0)),
        ([b'{"b":[["5","7"]]}'], (0, 0)),
        ([b'{"b":[["1.9531","6203"]]}'], (4, 0)),
        ([b'[["1.5","2"],["1.25","0.125"]]'], (2, 3)),
        ([b'[["1.25","2"]]', b'[["1.5","0.5"]]'], (2, 1)),
        ([b'[["61737.63000000","0.00000000"]]'], (8, 8)),
        ([b'[ [ "1.50" , "2.5" ] ]'], (2, 1)),
    ],
)
def test_decimals_when_seen_then_are_the_most_printed(
    frames: list[bytes], expected: tuple[int, int]
):
    assert expected == decimals_of(*frames)


def test_decimals_when_the_printed_ones_do_not_fit_then_zeros_are_left_out():
    assert (1, 2) == decimals_of(b'[["1.5","123456789012.50000000"]]', b'[["1.5","1.25000000"]]')


def test_decimals_when_a_number_is_absurd_then_it_is_left_to_the_decoder():
    assert (2, 0) == decimals_of(b'[["1.25","1"]]', b'[["1.' + b"1" * 29 + b'","1"]]')
