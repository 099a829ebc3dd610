"""Instruments have one order whatever their categories, since everything is listed in it."""

import pytest

from tickwright.core.identity import Category, InstrumentId


def test_instruments_when_of_several_categories_then_they_can_be_sorted():
    names = ["b:linear:A", "a:spot:B", "a:linear:B", "a:linear:A", "a:inverse:Z"]
    expected = ["a:inverse:Z", "a:linear:A", "a:linear:B", "a:spot:B", "b:linear:A"]
    assert expected == [str(one) for one in sorted(map(InstrumentId.parse, names))]


def test_category_when_compared_with_something_else_then_raises():
    with pytest.raises(TypeError):
        assert Category.SPOT < "linear"
