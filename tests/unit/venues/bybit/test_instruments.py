"""Instruments-info becomes instruments; what can't be used is named by symbol and field."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.errors import ConfigError, FrameError, InstrumentUnknown
from tickwright.core.identity import Category
from tickwright.core.instrument import InstrumentStatus, Payoff, SizeUnit
from tickwright.core.units import INT64_MAX
from tickwright.simulator.instruments import instrument_for, instruments_info_row
from tickwright.venues.bybit.instruments import (
    InstrumentFault,
    Instruments,
    load_instruments,
    parse_instruments,
)

Sample = Callable[[str], bytes]


def test_parse_when_linear_sample_then_units_and_rules(sample: Sample):
    page = parse_instruments(sample("rest-instruments-linear"), Category.LINEAR)
    (btc,) = page.instruments
    assert ("bybit:linear:BTCUSDT", "BTC", "USDT", "USDT") == (
        str(btc.id),
        btc.base_asset,
        btc.quote_asset,
        btc.settle_asset,
    )
    # priceScale 2, although the tick 0.10 needs one decimal: marks are printed with two.
    assert (2, 10, 3, 1) == (
        btc.price_decimals,
        btc.tick_units,
        btc.size_decimals,
        btc.lot_units,
    )
    assert (1, 1_190_000, 500_000) == (
        btc.size_min_units,
        btc.size_max_units,
        btc.market_size_max_units,
    )
    assert (10, 199_999_980, Decimal(5)) == (
        btc.price_min_units,
        btc.price_max_units,
        btc.notional_min,
    )
    assert (Decimal("100.00"), 480) == (btc.leverage_max, btc.funding_interval_minutes)
    assert btc.capabilities.can_short
    assert ((), "") == (page.faults, page.next_cursor)


def test_parse_when_spot_sample_then_step_is_base_precision(sample: Sample):
    (btc,) = parse_instruments(sample("rest-instruments-spot"), Category.SPOT).instruments
    assert (1, 1, 6, 1) == (
        btc.price_decimals,
        btc.tick_units,
        btc.size_decimals,
        btc.lot_units,
    )
    # The deprecated minOrderQty doesn't count; the amount does.
    assert (1, Decimal(5)) == (btc.size_min_units, btc.notional_min)
    assert (83_000_000, 41_500_000) == (btc.size_max_units, btc.market_size_max_units)
    assert (1, INT64_MAX) == (btc.price_min_units, btc.price_max_units)
    assert not btc.capabilities.can_short
    assert not btc.capabilities.has_reduce_only


def test_parse_when_inverse_sample_then_settles_in_base(sample: Sample):
    (btc,) = parse_instruments(sample("rest-instruments-inverse"), Category.INVERSE).instruments
    assert (Payoff.INVERSE, SizeUnit.QUOTE, "BTC", 0) == (
        btc.payoff,
        btc.size_unit,
        btc.settle_asset,
        btc.size_decimals,
    )
    assert 50 == btc.tick_units


def test_parse_when_premarket_sample_then_not_trading_and_cursor_kept_as_sent(sample: Sample):
    page = parse_instruments(sample("rest-instruments-linear-premarket"), Category.LINEAR)
    assert InstrumentStatus.PRELAUNCH is page.instruments[0].status
    assert "first%3DBIOUSDT%26last%3DBIOUSDT" == page.next_cursor


@pytest.mark.parametrize("category", [Category.LINEAR, Category.SPOT])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "XRPUSDT", "PEPEUSDT", "SIM0007USDT"])
def test_parse_when_simulator_lists_it_then_its_units(category: Category, symbol: str):
    listed = instrument_for(category, symbol)
    body = json.dumps(
        {"result": {"category": category.value, "list": [instruments_info_row(listed)]}}
    )
    (parsed,) = parse_instruments(body.encode(), category).instruments
    assert listed.tick_units * 10**parsed.price_decimals == (
        parsed.tick_units * 10**listed.price_decimals
    )
    assert parsed.size_decimals == listed.size_decimals


def _linear(changes: dict[str, Any]) -> bytes:
    document = json.loads((SAMPLES / "rest-instruments-linear.json").read_text())
    row = document["result"]["list"][0]
    for path, value in changes.items():
        *parents, last = path.split(".")
        target = row
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("priceFilter.tickSize", "0"),
        ("priceFilter.tickSize", "-0.1"),
        ("priceFilter.tickSize", "abc"),
        ("priceFilter.tickSize", "NaN"),
        ("priceFilter.tickSize", "0." + "0" * 20 + "1"),
        ("priceFilter.maxPrice", "9" * 25),
        ("lotSizeFilter.qtyStep", ""),
        ("lotSizeFilter.minOrderQty", "0"),
        ("lotSizeFilter.maxOrderQty", "Infinity"),
        ("lotSizeFilter.maxMktOrderQty", "1" * 50),
        ("lotSizeFilter.minNotionalValue", "five"),
        ("leverageFilter.maxLeverage", "0"),
        ("priceScale", "2.5"),
        ("priceScale", "40"),
        ("fundingInterval", "soon"),
        ("settleCoin", ""),
        ("baseCoin", ""),
    ],
)
def test_parse_when_field_is_wrong_then_fault_names_symbol_and_field(path: str, value: str):
    page = parse_instruments(_linear({path: value}), Category.LINEAR)
    assert () == page.instruments
    (fault,) = page.faults
    assert ("BTCUSDT", path) == (fault.symbol, fault.field)


@pytest.mark.parametrize("path", ["priceFilter", "lotSizeFilter", "status", "priceFilter.tickSize"])
def test_parse_when_field_is_missing_then_fault_names_it(path: str):
    (fault,) = parse_instruments(_linear({path: None}), Category.LINEAR).faults
    assert isinstance(fault, InstrumentFault)
    assert "BTCUSDT" == fault.symbol
    assert path.rpartition(".")[2] in str(fault)


def test_parse_when_decimals_exceed_money_then_fault():
    body = _linear(
        {"priceFilter.tickSize": "0.0000000001", "lotSizeFilter.qtyStep": "0.0000000001"}
    )
    (fault,) = parse_instruments(body, Category.LINEAR).faults
    assert ("BTCUSDT", "decimals") == (fault.symbol, fault.field)


def test_parse_when_status_is_new_then_suspended():
    (btc,) = parse_instruments(_linear({"status": "Delivering"}), Category.LINEAR).instruments
    assert InstrumentStatus.SUSPENDED is btc.status


def test_parse_when_another_category_then_frame_error(sample: Sample):
    with pytest.raises(FrameError, match="asked for spot"):
        parse_instruments(sample("rest-instruments-linear"), Category.SPOT)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"result":{"list":{}}}'])
def test_parse_when_body_is_no_listing_then_frame_error(body: bytes):
    with pytest.raises(FrameError):
        parse_instruments(body, Category.LINEAR)


def test_option_rows_when_parsed_then_faults(sample: Sample):
    document = json.loads(sample("rest-instruments-option"))
    (fault,) = parse_instruments(json.dumps(document).encode(), Category.OPTION).faults
    assert "category" == fault.field


def test_load_when_file_is_a_bare_result_then_read(tmp_path: Path, sample: Sample):
    path = tmp_path / "instruments.json"
    path.write_text(json.dumps(json.loads(sample("rest-instruments-spot"))["result"]))
    assert "BTCUSDT" == load_instruments(path, Category.SPOT).instruments[0].symbol


@pytest.mark.parametrize("text", [None, "<html>", '{"list": []}', '{"list": [{"symbol": "X"}]}'])
def test_load_when_file_is_unusable_then_config_error_names_it(tmp_path: Path, text: str | None):
    path = tmp_path / "instruments.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"instruments\.json"):
        load_instruments(path, Category.SPOT)


def test_instruments_when_updated_then_changes_have_versions(sample: Sample):
    held = Instruments(Category.LINEAR)
    listed = parse_instruments(sample("rest-instruments-linear"), Category.LINEAR).instruments
    (first,) = held.update(listed, now_ns=5)
    assert (1, 5) == (first.instrument.version, first.instrument.valid_from_ns)
    assert [] == held.update(listed, now_ns=6)
    changed = parse_instruments(_linear({"priceFilter.tickSize": "0.50"}), Category.LINEAR)
    (second,) = held.update(changed.instruments, now_ns=7)
    assert (2, 7, 50) == (
        second.instrument.version,
        second.instrument.valid_from_ns,
        second.instrument.tick_units,
    )
    assert second.instrument is held.get("BTCUSDT")
    assert ("BTCUSDT",) == held.symbols()


def test_instruments_when_symbol_is_unknown_then_near_ones_are_named(sample: Sample):
    held = Instruments(Category.LINEAR)
    held.update(
        parse_instruments(sample("rest-instruments-linear"), Category.LINEAR).instruments, now_ns=1
    )
    with pytest.raises(InstrumentUnknown, match="did you mean BTCUSDT"):
        held.get("btcusdt")
    with pytest.raises(InstrumentUnknown, match=r"not among the 1 linear instruments$"):
        held.get("")


def test_instruments_when_category_differs_then_refused(sample: Sample):
    listed = parse_instruments(sample("rest-instruments-spot"), Category.SPOT).instruments
    with pytest.raises(FrameError):
        Instruments(Category.LINEAR).update(listed, now_ns=1)


def test_instrument_when_largest_sizes_are_missing_then_readable_but_no_order_fits() -> None:
    row = {
        "symbol": "BTCUSDT",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "priceFilter": {"tickSize": "0.1"},
        "lotSizeFilter": {"qtyStep": "0.001"},
    }
    result = {"category": "linear", "list": [row]}
    body = json.dumps({"retCode": 0, "retMsg": "OK", "result": result}).encode()
    (instrument,) = parse_instruments(body, Category.LINEAR).instruments
    assert (1, 3) == (instrument.price_decimals, instrument.size_decimals)
    for is_market in (True, False):
        assert "is above 0.000" in str(instrument.size_fault(1, is_market=is_market))
