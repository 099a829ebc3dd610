"""Owns the decoding of Bybit's tickers, candles and liquidations; refuses to guess.

Prices that can be traded must fit the instrument exactly. Mark, index and bankruptcy prices and
volumes are computed figures: the venue may print more decimals, and they are rounded half-even to
the instrument's units. An empty or zero price is unknown and makes no event.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

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
from tickwright.core.units import INT64_MAX
from tickwright.venues.bybit.decode import (
    InstrumentFor,
    instrument_of,
    side_of,
    split_topic,
    units_of,
    venue_ns_of,
)
from tickwright.venues.bybit.wire import (
    CandleData,
    CandleMessage,
    LiquidationMessage,
    TickerData,
    TickerMessage,
    read,
    shortened,
)

__all__ = [
    "INTERVALS",
    "TickerEvent",
    "Tickers",
    "candle_of",
    "decode_candles",
    "decode_liquidations",
    "interval_ns_of",
]

_MINUTE_NS = 60_000_000_000
INTERVALS = {str(minutes): minutes * _MINUTE_NS for minutes in (1, 3, 5, 15, 30)} | {
    "60": 60 * _MINUTE_NS,
    "120": 120 * _MINUTE_NS,
    "240": 240 * _MINUTE_NS,
    "360": 360 * _MINUTE_NS,
    "720": 720 * _MINUTE_NS,
    "D": 1_440 * _MINUTE_NS,
    "W": 10_080 * _MINUTE_NS,
    "M": 0,
}
"""Length of each candle interval; a month has none and takes its end from the message."""

_ROWS_MAX = 2_000
_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_EXACT = Context(prec=80)
_BILLION_DECIMALS = 9

TickerEvent = LastPrice | MarkPrice | IndexPrice | FundingUpdate


class Tickers:
    """Decodes `tickers.{symbol}` and merges the deltas of one socket, which hold only changes."""

    def __init__(self, instrument_for: InstrumentFor) -> None:
        self._instrument_for = instrument_for
        # One entry per instrument we hold: symbols we don't know are refused before.
        self._funding: dict[str, tuple[str, str]] = {}

    def reset(self) -> None:
        """Forget what was merged: the socket is a new one."""
        self._funding.clear()

    def decode(self, frame: bytes) -> list[TickerEvent]:
        """Return the prices named in a message, and the funding when it is known and changed.

        Raises:
            InstrumentMismatch: unknown symbol, or a last price that doesn't fit.
            FrameError: not a ticker.
        """
        message = read(frame, TickerMessage)
        symbol = split_topic(message.topic, "tickers", frame)
        data = message.data
        if data.symbol != symbol:
            raise FrameError(f"symbol under another's topic: {shortened(frame)}")
        if message.type not in ("snapshot", "delta"):
            raise FrameError(f"ticker of type {shortened(message.type)}: {shortened(frame)}")
        venue_ns = venue_ns_of(message.ts, frame)
        instrument = instrument_of(symbol, self._instrument_for)
        events: list[TickerEvent] = []
        if data.lastPrice:
            last = units_of(data.lastPrice, instrument.price_decimals, instrument, frame)
            if last > 0:
                events.append(LastPrice(instrument.id, last, venue_ns))
        mark = _price(data.markPrice, instrument, frame)
        if mark > 0:
            events.append(MarkPrice(instrument.id, mark, venue_ns))
        index = _price(data.indexPrice, instrument, frame)
        if index > 0:
            events.append(IndexPrice(instrument.id, index, venue_ns))
        funding = self._merge_funding(data, instrument, venue_ns, frame)
        if message.type == "snapshot" and funding is None:
            self._funding.pop(symbol, None)
        if funding is not None:
            events.append(funding)
        return events

    def _merge_funding(
        self, data: TickerData, instrument: Instrument, venue_ns: int, frame: bytes
    ) -> FundingUpdate | None:
        if data.fundingRate is None and data.nextFundingTime is None:
            return None
        held = self._funding.get(data.symbol, ("", ""))
        rate = held[0] if data.fundingRate is None else data.fundingRate
        due = held[1] if data.nextFundingTime is None else data.nextFundingTime
        event = None
        if rate and due and due != "0":
            if not (due.isascii() and due.isdigit() and len(due) <= 16):
                raise FrameError(f"funding time {shortened(due)}: {shortened(frame)}")
            event = FundingUpdate(
                instrument.id,
                _signed(rate, frame),
                venue_ns_of(int(due), frame),
                venue_ns,
            )
        self._funding[data.symbol] = (rate, due)
        return event


def decode_candles(frame: bytes, instrument_for: InstrumentFor) -> list[CandleUpdate]:
    """Decode a `kline.{interval}.{symbol}` message.

    Raises:
        InstrumentMismatch: unknown symbol, or a price that doesn't fit.
        FrameError: not such a message.
    """
    message = read(frame, CandleMessage)
    interval, dot, symbol = split_topic(message.topic, "kline", frame).partition(".")
    if not dot or not symbol or interval not in INTERVALS or len(message.data) > _ROWS_MAX:
        raise FrameError(f"topic {shortened(message.topic)} is no candle: {shortened(frame)}")
    instrument = instrument_of(symbol, instrument_for)
    return [
        _candle(row, interval, instrument, venue_ns_of(message.ts, frame), frame)
        for row in message.data
    ]


def decode_liquidations(frame: bytes, instrument_for: InstrumentFor) -> list[Liquidation]:
    """Decode an `allLiquidation.{symbol}` message; `Side.BUY` means a long was liquidated.

    Raises:
        InstrumentMismatch: unknown symbol, or a size that doesn't fit.
        FrameError: not such a message.
    """
    message = read(frame, LiquidationMessage)
    symbol = split_topic(message.topic, "allLiquidation", frame)
    if len(message.data) > _ROWS_MAX:
        raise FrameError(f"more than {_ROWS_MAX} liquidations: {shortened(frame)}")
    instrument = instrument_of(symbol, instrument_for)
    events = []
    for row in message.data:
        if row.s != symbol:
            raise FrameError(f"symbol under another's topic: {shortened(frame)}")
        events.append(
            Liquidation(
                instrument.id,
                side_of(row.S, frame),
                _price(row.p, instrument, frame),
                units_of(row.v, instrument.size_decimals, instrument, frame),
                venue_ns_of(row.T, frame),
            )
        )
    return events


def interval_ns_of(interval: str) -> int:
    """Return the length of an interval name ("1", "60", "D"); raises FrameError for others."""
    length = INTERVALS.get(interval)
    if not length:
        raise FrameError(f"candle interval {shortened(interval)} is none of {', '.join(INTERVALS)}")
    return length


def candle_of(
    row: CandleData, interval_ns: int, instrument: Instrument, venue_ns: int, frame: bytes
) -> CandleUpdate:
    """Return the candle of a row; raises FrameError when its prices contradict each other."""
    decimals = instrument.price_decimals
    opened, high, low, close = (
        units_of(text, decimals, instrument, frame)
        for text in (row.open, row.high, row.low, row.close)
    )
    if not 0 < low <= min(opened, close) <= max(opened, close) <= high:
        raise FrameError(f"a candle's prices contradict each other: {shortened(frame)}")
    return CandleUpdate(
        instrument_id=instrument.id,
        interval_ns=interval_ns,
        start_ns=venue_ns_of(row.start, frame),
        open_units=opened,
        high_units=high,
        low_units=low,
        close_units=close,
        volume_units=_rounded(row.volume, instrument.size_decimals, frame),
        is_final=row.confirm,
        venue_ns=venue_ns,
    )


def _candle(
    row: CandleData, interval: str, instrument: Instrument, venue_ns: int, frame: bytes
) -> CandleUpdate:
    if row.interval != interval or row.end <= row.start:
        raise FrameError(f"a candle of another interval: {shortened(frame)}")
    interval_ns = INTERVALS[interval] or (row.end - row.start + 1) * 1_000_000
    return candle_of(row, interval_ns, instrument, venue_ns, frame)


def _price(text: str | None, instrument: Instrument, frame: bytes) -> int:
    # Spot tickers have no mark and index price; dated contracts leave some empty.
    if not text:
        return 0
    return _rounded(text, instrument.price_decimals, frame)


def _signed(rate: str, frame: bytes) -> int:
    if rate.startswith("-"):
        return -_rounded(rate[1:], _BILLION_DECIMALS, frame)
    return _rounded(rate, _BILLION_DECIMALS, frame)


def _rounded(text: str, decimals: int, frame: bytes) -> int:
    if not _NUMBER.fullmatch(text):
        raise FrameError(f"{shortened(text)} is no number: {shortened(frame)}")
    scaled = _EXACT.scaleb(Decimal(text), decimals)
    units = int(scaled.to_integral_value(ROUND_HALF_EVEN, _EXACT))
    if units > INT64_MAX:
        raise FrameError(f"{shortened(text)} is too large: {shortened(frame)}")
    return units
