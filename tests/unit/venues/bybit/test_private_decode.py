"""Private rows become the engine's inputs, exact to the unit, or are refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.bybit.accounts import (
    ACCOUNT,
    BTC,
    SPOT_BTC,
    instrument_of,
    money,
)
from tests.unit.venues.bybit.conftest import SAMPLES
from tickwright.core.errors import FrameError
from tickwright.core.events import AccountState, BalanceReport, OrderReport, PositionReport
from tickwright.core.identity import Category, ClientId, Leg, VenueOrderId
from tickwright.core.orders import ExecutionKind, Fill, OrderState, OrderType, Side
from tickwright.venues.bybit.private_decode import RowReader, leg_index, money_from_text
from tickwright.venues.bybit.wire import InstrumentMismatch, InstrumentUnlisted

MS = 1_000_000
Sample = Callable[[str], bytes]


def _rows() -> RowReader:
    return RowReader(ACCOUNT, instrument_of)


def _row(name: str, **changes: Any) -> dict[str, Any]:
    document = json.loads((SAMPLES / f"{name}.json").read_text())
    rows = document["data"] if "data" in document else document["result"]["list"]
    row: dict[str, Any] = rows[0]
    for key, value in changes.items():
        if value is None:
            del row[key]
        else:
            row[key] = value
    return row


def test_order_when_filled_sample_then_whole_report():
    assert OrderReport(
        account_id=ACCOUNT,
        instrument_id=BTC,
        client_id=ClientId("twmr0000001000042"),
        venue_id=VenueOrderId("0d6f1c52-2f0e-4a51-9f0b-6f1d1a1c0a01"),
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        state=OrderState.FILLED,
        price_units=6180050,
        size_units=100,
        filled_units=100,
        reason="",
        venue_ns=1790134712457 * MS,
        received_ns=5,
    ) == _rows().order(_row("ws-private-order-linear-filled"), received_ns=5)


def test_order_when_post_only_was_cancelled_then_reason_and_leg():
    report = _rows().order(_row("ws-private-order-postonly-cancelled"), received_ns=5)
    assert (OrderState.CANCELLED, "EC_PostOnlyWillTakeLiquidity", Leg.LONG, 0) == (
        report.state,
        report.reason,
        report.leg,
        report.filled_units,
    )


def test_order_when_untriggered_stop_then_working_and_conditional():
    report = _rows().order(_row("ws-private-order-untriggered-stop"), received_ns=5)
    assert (OrderState.WORKING, True, 6150000, None, True) == (
        report.state,
        report.is_conditional,
        report.trigger_price_units,
        report.price_units,
        report.reduce_only,
    )


def test_order_when_a_stop_of_the_position_filled_then_its_kind_is_the_reason():
    row = _row("ws-private-order-linear-filled", stopOrderType="TakeProfit", orderLinkId="")
    report = _rows().order(row, received_ns=5)
    assert (OrderState.FILLED, True, "TakeProfit") == (
        report.state,
        report.is_conditional,
        report.reason,
    )


def test_order_when_rest_row_then_category_of_the_query():
    report = _rows().order(
        _row("rest-order-realtime"), received_ns=5, category=Category.LINEAR, is_from_query=True
    )
    assert (OrderState.WORKING, 160000, 100, True, False) == (
        report.state,
        report.price_units,
        report.size_units,
        report.is_from_query,
        report.is_conditional,
    )


def test_order_when_partly_filled_then_cancelled_keeps_its_fill():
    row = _row(
        "ws-private-order-linear-filled", orderStatus="Cancelled", cumExecQty="0.040", qty="0.100"
    )
    report = _rows().order(row, received_ns=5)
    assert (OrderState.CANCELLED, 40) == (report.state, report.filled_units)


def test_order_when_cancel_lost_the_race_then_filled_with_reason():
    row = _row(
        "ws-private-order-linear-filled",
        cancelType="CancelByUser",
        rejectReason="EC_OrigClOrdIDDoesNotExist",
    )
    report = _rows().order(row, received_ns=5)
    assert (OrderState.FILLED, "EC_OrigClOrdIDDoesNotExist CancelByUser") == (
        report.state,
        report.reason,
    )


def test_order_when_stop_belongs_to_a_parent_then_named():
    row = _row("ws-private-order-untriggered-stop", parentOrderLinkId="twparent", orderLinkId="")
    report = _rows().order(row, received_ns=5)
    assert (None, "twparent") == (report.client_id, report.parent_id)


def test_order_when_spot_market_buy_counts_quote_then_filled_base_is_its_size():
    row = _row(
        "ws-private-order-linear-filled",
        category="spot",
        orderType="Market",
        qty="200",
        cumExecQty="0.003236",
    )
    report = _rows().order(row, received_ns=5)
    assert (SPOT_BTC.id, 3236, 3236) == (
        report.instrument_id,
        report.size_units,
        report.filled_units,
    )
    row["marketUnit"], row["qty"] = "baseCoin", "0.004"
    assert 4000 == _rows().order(row, received_ns=5).size_units


@pytest.mark.parametrize(
    "changes",
    [
        {"orderStatus": "Paused"},
        {"orderType": "Iceberg"},
        {"side": ""},
        {"orderId": ""},
        {"cumExecQty": "0"},
        {"cumExecQty": "0.2"},
        {"positionIdx": 3},
        {"positionIdx": "0"},
        {"updatedTime": ""},
        {"updatedTime": "soon"},
        {"category": "bonds"},
        {"price": "1e5"},
        {"qty": None},
        {"symbol": None},
        {"updatedTime": None},
        {"reduceOnly": "false"},
    ],
)
def test_order_when_row_is_wrong_then_frame_error(changes: dict[str, Any]):
    with pytest.raises(FrameError):
        _rows().order(_row("ws-private-order-linear-filled", **changes), received_ns=5)


def test_order_when_instrument_is_not_held_then_unlisted():
    with pytest.raises(InstrumentUnlisted) as caught:
        _rows().order(_row("ws-private-order"), received_ns=5)
    assert "ETH-30DEC22-1400-C" == caught.value.symbol


def test_order_when_size_has_more_decimals_then_mismatch():
    with pytest.raises(InstrumentMismatch):
        _rows().order(_row("ws-private-order-linear-filled", qty="0.1001"), received_ns=5)


def test_fill_when_sample_then_whole_fill():
    assert Fill(
        account_id=ACCOUNT,
        instrument_id=BTC,
        execution_id="0ab1bdf7-4219-438b-b30a-32ec863018f7",
        kind=ExecutionKind.TRADE,
        side=Side.SELL,
        price_units=9590010,
        size_units=500,
        fee=money("26.3725275"),
        fee_asset="USDT",
        is_maker=False,
        venue_ns=1746270400353 * MS,
        received_ns=5,
        client_id=None,
        venue_id=VenueOrderId("9aac161b-8ed6-450d-9cab-c5cc67c21784"),
    ) == _rows().fill(_row("ws-private-execution"), received_ns=5)


def test_fill_when_rest_row_without_fee_currency_then_settle_asset():
    fill = _rows().fill(_row("rest-execution-list"), received_ns=5, category=Category.LINEAR)
    assert ("USDT", money("0.071409"), 118_015 + 1_000) == (
        fill.fee_asset,
        fill.fee,
        fill.price_units,
    )


@pytest.mark.parametrize(
    ("side", "fee", "asset"),
    [
        ("Buy", "0.000001", "BTC"),
        ("Sell", "0.06", "USDT"),
        ("Buy", "-0.06", "USDT"),
        ("Sell", "-0.000001", "BTC"),
    ],
)
def test_fill_when_spot_names_no_fee_asset_then_by_side_and_sign(side: str, fee: str, asset: str):
    row = _row("ws-private-execution", category="spot", side=side, execFee=fee, feeCurrency="")
    fill = _rows().fill(row, received_ns=5)
    assert (asset, money(fee)) == (fill.fee_asset, fill.fee)


def test_fill_when_funding_then_cash_and_no_fee():
    row = _row(
        "ws-private-execution", execType="Funding", execFee="0.25", execPrice="95901.48123456"
    )
    fill = _rows().fill(row, received_ns=5)
    assert (ExecutionKind.FUNDING, 0, -money("0.25"), 9590148) == (
        fill.kind,
        fill.fee,
        fill.cash,
        fill.price_units,
    )


def test_fill_when_settled_then_cash_is_the_profit():
    row = _row("ws-private-execution", execType="Settle", execPnl="-1.5", execFee="0.1")
    fill = _rows().fill(row, received_ns=5)
    assert (ExecutionKind.SETTLE, money("-1.5"), money("0.1")) == (fill.kind, fill.cash, fill.fee)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("AdlTrade", ExecutionKind.ADL),
        ("BustTrade", ExecutionKind.LIQUIDATION),
        ("Delivery", ExecutionKind.DELIVERY),
        ("CorporateAction", ExecutionKind.OTHER),
        ("SomethingNew", ExecutionKind.OTHER),
    ],
)
def test_fill_when_kind_then_of_the_table(text: str, kind: ExecutionKind):
    assert kind is _rows().fill(_row("ws-private-execution", execType=text), received_ns=5).kind


@pytest.mark.parametrize(
    "changes",
    [
        {"execId": ""},
        {"execPrice": "0"},
        {"execPrice": ""},
        {"execQty": "0"},
        {"execQty": "-1"},
        {"execFee": "free"},
        {"execTime": "0"},
        {"side": "None"},
        {"isMaker": "false"},
        {"execFee": None},
        {"execType": "Settle", "execPnl": ""},
        {"execType": "BustTrade", "execPrice": "-5"},
    ],
)
def test_fill_when_row_is_wrong_then_frame_error(changes: dict[str, Any]):
    with pytest.raises(FrameError):
        _rows().fill(_row("ws-private-execution", **changes), received_ns=5)


def test_fill_when_trade_price_has_more_decimals_then_mismatch():
    with pytest.raises(InstrumentMismatch):
        _rows().fill(_row("ws-private-execution", execPrice="95900.101"), received_ns=5)


def test_position_when_short_sample_then_negative_size():
    row = _row("ws-private-position")
    assert PositionReport(
        account_id=ACCOUNT,
        instrument_id=instrument_of(Category.LINEAR, "ETHUSDT").id,
        leg=Leg.NET,
        size_units=-250,
        entry_price="2680.125",
        venue_ns=1790134712472 * MS,
        received_ns=5,
        stop_units=0,
        take_units=0,
        trailing_distance_units=0,
        leverage="30",
        initial_margin=22_330_000_000_000_000_000,
        maintenance_margin=3_350_000_000_000_000_000,
        liquidation_price_units=8_841_250,
    ) == _rows().position(row, received_ns=5)


@pytest.mark.parametrize("name", ["positionIM", "positionMM", "liqPrice"])
def test_position_when_a_margin_is_no_number_then_frame_error(name: str):
    with pytest.raises(FrameError):
        _rows().position(_row("ws-private-position", **{name: "much"}), received_ns=5)


def test_position_when_no_margin_is_told_then_it_is_unknown():
    row = _row("ws-private-position", positionIM="", positionMM="", liqPrice="")
    report = _rows().position(row, received_ns=5)
    assert (None, None, None) == (
        report.initial_margin,
        report.maintenance_margin,
        report.liquidation_price_units,
    )


def test_position_when_flat_leg_then_zero_on_the_short_leg():
    report = _rows().position(_row("ws-private-position-flat"), received_ns=5)
    assert (0, Leg.SHORT, "0") == (report.size_units, report.leg, report.entry_price)


def test_position_when_rest_row_then_its_price_name():
    report = _rows().position(
        _row("rest-position-list"), received_ns=5, category=Category.INVERSE, is_from_query=True
    )
    assert (-300, "27464.50441675", True) == (
        report.size_units,
        report.entry_price,
        report.is_from_query,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"side": ""},
        {"side": "Short"},
        {"positionIdx": 1},
        {"positionIdx": None},
        {"size": "much"},
        {"entryPrice": "NaN"},
        {"updatedTime": "x"},
    ],
)
def test_position_when_row_is_wrong_then_frame_error(changes: dict[str, Any]):
    with pytest.raises(FrameError):
        _rows().position(_row("ws-private-position", **changes), received_ns=5)


def test_wallet_when_sample_then_balances_and_totals():
    reports = _rows().wallet(_row("ws-private-wallet"), venue_ns=4, received_ns=5)
    assert [
        BalanceReport(
            account_id=ACCOUNT,
            asset="BTC",
            wallet_balance=money("0.00102964"),
            locked=0,
            venue_ns=4,
            received_ns=5,
        ),
        AccountState(
            account_id=ACCOUNT,
            equity=money("10262.91335023"),
            available=money("9556.6056555"),
            initial_margin=0,
            maintenance_margin=0,
            venue_ns=4,
            received_ns=5,
        ),
    ] == reports


def test_wallet_when_margin_mode_has_no_totals_then_balances_alone():
    row = _row("ws-private-wallet", totalAvailableBalance="")
    assert [BalanceReport] == [
        type(report) for report in _rows().wallet(row, venue_ns=4, received_ns=5)
    ]


@pytest.mark.parametrize("balance", ["", "1e5", "0x1", None])
def test_wallet_when_balance_is_no_number_then_frame_error(balance: str | None):
    row = _row("ws-private-wallet")
    row["coin"][0]["walletBalance"] = balance
    with pytest.raises(FrameError):
        _rows().wallet(row, venue_ns=4, received_ns=5)


@given(units=st.integers(-(10**40), 10**40))
def test_money_when_written_and_read_then_the_same(units: int):
    sign, digits = ("-", str(-units)) if units < 0 else ("", str(units))
    digits = digits.rjust(19, "0")
    assert units == money_from_text(f"{sign}{digits[:-18]}.{digits[-18:]}", b"")


def test_money_when_beyond_eighteen_decimals_then_half_even():
    assert [2, 2, -2] == [
        money_from_text(f"{sign}0.{'0' * 17}{tail}", b"")
        for sign, tail in (("", "15"), ("", "25"), ("-", "25"))
    ]


def test_leg_index_when_leg_then_the_venues_number():
    assert [0, 1, 2] == [leg_index(leg) for leg in (Leg.NET, Leg.LONG, Leg.SHORT)]
