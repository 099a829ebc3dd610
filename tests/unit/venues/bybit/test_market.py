"""Tickers, candles, liquidations and price limits become events in units."""

from collections.abc import Callable

import pytest

from tickwright.core.errors import FrameError
from tickwright.core.events import (
    CandleUpdate,
    FundingUpdate,
    IndexPrice,
    LastPrice,
    Liquidation,
    MarkPrice,
)
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.venues.bybit.market import (
    Tickers,
    decode_candles,
    decode_liquidations,
    interval_ns_of,
)
from tickwright.venues.bybit.wire import InstrumentMismatch

Lookup = Callable[[str], Instrument]
Sample = Callable[[str], bytes]
MS = 1_000_000


def test_tickers_when_snapshot_then_all_prices_and_funding(sample: Sample, linear: Lookup):
    btc = linear("BTCUSDT").id
    at = 1760325052630 * MS
    assert [
        LastPrice(btc, 6666660, at),
        MarkPrice(btc, 6666660, at),
        IndexPrice(btc, 11541819, at),
        FundingUpdate(btc, -5_000_000, 1760342400000 * MS, at),
    ] == Tickers(linear).decode(sample("ws-tickers-linear-snapshot"))


def test_tickers_when_delta_then_changed_fields_alone(sample: Sample, linear: Lookup):
    btc = linear("BTCUSDT").id
    at = 1790134712383 * MS
    assert [MarkPrice(btc, 8671630, at), IndexPrice(btc, 8675670, at)] == Tickers(linear).decode(
        sample("ws-tickers-linear-delta")
    )


def test_tickers_when_delta_changes_rate_alone_then_merged_with_the_time_held(
    sample: Sample, linear: Lookup
):
    tickers = Tickers(linear)
    tickers.decode(sample("ws-tickers-linear-snapshot"))
    delta = (
        b'{"topic":"tickers.BTCUSDT","type":"delta",'
        b'"data":{"symbol":"BTCUSDT","fundingRate":"0.0001"},"cs":9,"ts":1760325052730}'
    )
    expected = FundingUpdate(linear("BTCUSDT").id, 100_000, 1760342400000 * MS, 1760325052730 * MS)
    assert [expected] == tickers.decode(delta)
    tickers.reset()
    assert [] == tickers.decode(delta)


def test_tickers_when_spot_then_last_price_alone(sample: Sample, spot: Lookup):
    assert [LastPrice(spot("BTCUSDT").id, 2110977, 1673853746003 * MS)] == Tickers(spot).decode(
        sample("ws-tickers-spot")
    )


def test_tickers_when_dated_future_then_no_funding(sample: Sample, linear: Lookup):
    frame = sample("ws-tickers-linear-futures-snapshot").replace(b"BTC-26DEC25", b"BTCUSDT")
    assert [LastPrice, MarkPrice, IndexPrice] == [
        type(event) for event in Tickers(linear).decode(frame)
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"lastPrice":"66666.60"', b'"lastPrice":"-1"'),
        (b'"markPrice":"66666.60"', b'"markPrice":"1e5"'),
        (b'"markPrice":"66666.60"', b'"markPrice":66666.6'),
        (b'"fundingRate":"-0.005"', b'"fundingRate":"--0.005"'),
        (b'"nextFundingTime":"1760342400000"', b'"nextFundingTime":"tomorrow"'),
        (b'"ts":1760325052630', b'"ts":0'),
        (b'"symbol":"BTCUSDT"', b'"symbol":"ETHUSDT"'),
        (b'"snapshot"', b'"whole"'),
    ],
)
def test_tickers_when_field_is_wrong_then_frame_error(
    sample: Sample, linear: Lookup, old: bytes, new: bytes
):
    frame = sample("ws-tickers-linear-snapshot")
    assert old in frame
    with pytest.raises(FrameError):
        Tickers(linear).decode(frame.replace(old, new))


def test_tickers_when_last_price_has_more_decimals_then_asks_for_instrument(
    sample: Sample, linear: Lookup
):
    frame = sample("ws-tickers-linear-snapshot").replace(
        b'"lastPrice":"66666.60"', b'"lastPrice":"66666.605"'
    )
    with pytest.raises(InstrumentMismatch):
        Tickers(linear).decode(frame)


def test_candles_when_sample_then_units_and_not_final(sample: Sample, linear: Lookup):
    assert [
        CandleUpdate(
            instrument_id=linear("BTCUSDT").id,
            interval_ns=300_000 * MS,
            start_ns=1672324800000 * MS,
            open_units=1664950,
            high_units=1667700,
            low_units=1660800,
            close_units=1667700,
            volume_units=2081,
            is_final=False,
            venue_ns=1672324988882 * MS,
        )
    ] == decode_candles(sample("ws-kline"), linear)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"kline.5.", b"kline.7."),
        (b'"interval":"5"', b'"interval":"15"'),
        (b'"low":"16608"', b'"low":"16700"'),
        (b'"confirm":false', b'"confirm":"false"'),
        (b'"volume":"2.081"', b'"volume":"-2.081"'),
    ],
)
def test_candles_when_field_is_wrong_then_frame_error(
    sample: Sample, linear: Lookup, old: bytes, new: bytes
):
    frame = sample("ws-kline")
    assert old in frame
    with pytest.raises(FrameError):
        decode_candles(frame.replace(old, new), linear)


def test_candles_when_month_then_length_from_the_message(sample: Sample, linear: Lookup):
    frame = sample("ws-kline").replace(b"kline.5.", b"kline.M.")
    (candle,) = decode_candles(frame.replace(b'"interval":"5"', b'"interval":"M"'), linear)
    assert 300_000 * MS == candle.interval_ns


def test_interval_when_unknown_then_frame_error():
    assert 60_000 * MS == interval_ns_of("1")
    with pytest.raises(FrameError):
        interval_ns_of("7")


def test_liquidations_when_sample_then_side_as_told(sample: Sample, linear: Lookup):
    assert [
        Liquidation(linear("ROSEUSDT").id, Side.SELL, 4499, 20000, 1739502302929 * MS)
    ] == decode_liquidations(sample("ws-all-liquidation"), linear)
