"""Prices and sizes land on valid steps on the named side; money is exact for every payoff."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.instruments import make_instrument
from tickwright.core.errors import ConfigError, UnitsError
from tickwright.core.identity import AccountId, Category, InstrumentId
from tickwright.core.instrument import Instrument, Payoff
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE


def make(**changes: object) -> Instrument:
    return msgspec.structs.replace(make_instrument(), **changes)


STEPPED = st.builds(
    lambda price_decimals, size_decimals, tick, lot: msgspec.structs.replace(
        make_instrument(price_decimals=price_decimals, size_decimals=size_decimals),
        tick_units=tick,
        lot_units=lot,
    ),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(1, 500),
    st.integers(1, 500),
)


@given(STEPPED, st.decimals(0, 10**7, places=12))
def test_rounding_when_a_wish_is_off_the_grid_then_lands_on_the_named_side(
    instrument: Instrument, wish: Decimal
):
    floor, ceil = instrument.price_units_floor(wish), instrument.price_units_ceil(wish)
    assert floor % instrument.tick_units == 0 == ceil % instrument.tick_units
    assert instrument.price(floor) <= wish <= instrument.price(ceil)
    assert ceil - floor in (0, instrument.tick_units)
    assert (ceil == floor) == (instrument.price(floor) == wish)
    size = instrument.size_units_floor(wish)
    assert size % instrument.lot_units == 0
    assert instrument.quantity(size) <= wish < instrument.quantity(size + instrument.lot_units)
    assert floor == instrument.passive_price_units(Side.BUY, wish)
    assert ceil == instrument.passive_price_units(Side.SELL, wish)
    assert ceil == instrument.aggressive_price_units(Side.BUY, wish)
    assert floor == instrument.aggressive_price_units(Side.SELL, wish)


@given(STEPPED, st.integers(0, 10**9))
def test_rounding_when_a_float_prints_as_a_valid_tick_then_stays_on_it(
    instrument: Instrument, steps: int
):
    units = steps * instrument.tick_units
    as_float = float(instrument.price(units))
    if Decimal(repr(as_float)) == instrument.price(units):
        assert units == instrument.price_units_floor(as_float)
        assert units == instrument.price_units_ceil(as_float)


@pytest.mark.parametrize("wish", [float("nan"), float("inf"), -1.0, Decimal("-0.01"), 1e300])
def test_rounding_when_the_wish_is_no_price_then_refused(wish: float | Decimal):
    with pytest.raises(UnitsError):
        make().price_units_floor(wish)


@given(
    STEPPED,
    st.integers(-(10**12), 10**12),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(100), Decimal("0.3")]),
)
def test_money_when_linear_then_exact(
    instrument: Instrument, size: int, entry: int, leave: int, multiplier: Decimal
):
    instrument = msgspec.structs.replace(instrument, multiplier=multiplier)
    scale = 10 ** (instrument.price_decimals + instrument.size_decimals)
    exact = Fraction(abs(size) * entry, scale) * Fraction(multiplier) * MONEY_ONE
    # Only a multiplier finer than money's own 18 decimals could need a rounding.
    assert abs(exact - instrument.notional(size, entry)) <= Fraction(1, 2)
    if exact.denominator == 1:
        assert exact == instrument.notional(size, entry)
    gain = Fraction(size * (leave - entry), scale) * Fraction(multiplier) * MONEY_ONE
    assert abs(gain - instrument.pnl(size, entry, leave)) <= 1


@given(st.integers(-(10**10), 10**10), st.integers(1, 10**10), st.integers(1, 10**10))
def test_money_when_inverse_then_rounded_half_even_at_its_last_decimal(
    size: int, entry: int, leave: int
):
    instrument = msgspec.structs.replace(
        make_instrument(price_decimals=1, size_decimals=0), payoff=Payoff.INVERSE
    )

    def notional(price: int) -> int:
        return round(Fraction(abs(size) * 10 * MONEY_ONE, price))

    assert notional(entry) == instrument.notional(size, entry)
    sign = 1 if size >= 0 else -1
    assert sign * (notional(entry) - notional(leave)) == instrument.pnl(size, entry, leave)


def test_inverse_money_when_there_is_no_price_then_refused():
    with pytest.raises(UnitsError, match="needs a price above zero"):
        make(payoff=Payoff.INVERSE).notional(1, 0)


@pytest.mark.parametrize(
    ("size", "is_market", "fault"),
    [
        (0, False, "above zero"),
        (-5, False, "above zero"),
        (7, False, "no multiple"),
        (5, False, "below"),
        (10, False, None),
        (100, False, None),
        (105, False, "above 0.100"),
        (55, True, "above 0.050"),
        (50, True, None),
    ],
)
def test_size_when_judged_then_the_venues_own_refusal(
    size: int, is_market: bool, fault: str | None
):
    instrument = make(lot_units=5, size_min_units=10, size_max_units=100, market_size_max_units=50)
    said = instrument.size_fault(size, is_market=is_market)
    assert (said is None) if fault is None else (said is not None and fault in said)


@pytest.mark.parametrize(
    ("price", "fault"), [(7, "no multiple"), (5, "outside"), (205, "outside"), (10, None)]
)
def test_price_when_judged_then_the_venues_own_refusal(price: int, fault: str | None):
    said = make(tick_units=5, price_min_units=10, price_max_units=200).price_fault(price)
    assert (said is None) if fault is None else (said is not None and fault in said)


@pytest.mark.parametrize("changes", [{"tick_units": 0}, {"lot_units": -1}])
def test_instrument_when_its_steps_are_none_then_refused(changes: dict[str, int]):
    with pytest.raises(UnitsError, match="must be positive"):
        make(**changes)


def test_instrument_when_money_cannot_hold_its_decimals_then_refused():
    with pytest.raises(UnitsError, match="exceed the 18 of money"):
        make_instrument(price_decimals=10, size_decimals=9)


def test_identity_when_written_and_parsed_then_the_same():
    for category in Category:
        name = InstrumentId("bybit", category, "BTCUSDT")
        assert name == InstrumentId.parse(str(name))
        assert hash(name) == hash(InstrumentId.parse(str(name)))
    spot = InstrumentId("bybit", Category.SPOT, "BTCUSDT")
    assert spot != InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
    assert "bybit:main" == str(AccountId("bybit", "main"))


@pytest.mark.parametrize("text", ["", "BTCUSDT", "bybit:linear", "a:b:c:d", "bybit::X", "x:swap:Y"])
def test_identity_when_it_is_none_then_refused(text: str):
    with pytest.raises(ConfigError):
        InstrumentId.parse(text)
