"""The typed decoder takes exact frames and refuses everything else with FrameError."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.bybit.conftest import SAMPLES, make_instrument
from tickwright.core.errors import FrameError
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Side
from tickwright.core.units import units_to_text
from tickwright.venues.bybit.decode import BookFrame, decode_orderbook, decode_trades
from tickwright.venues.bybit.wire import LEVELS_MAX, InstrumentMismatch

Lookup = Callable[[str], Instrument]
Sample = Callable[[str], bytes]


def _book(**changes: Any) -> bytes:
    message: dict[str, Any] = {
        "topic": "orderbook.50.BTCUSDT",
        "type": "delta",
        "ts": 1687940967466,
        "data": {
            "s": "BTCUSDT",
            "b": [["30247.20", "30.028"]],
            "a": [["30248.70", "0"]],
            "u": 177400507,
            "seq": 66544703342,
        },
        "cts": 1687940967464,
    }
    for key, value in changes.items():
        (message if key in message else message["data"])[key] = value
    return json.dumps(message).encode()


def test_orderbook_when_delta_sample_then_exact_units(sample: Sample, linear: Lookup):
    frame = decode_orderbook(sample("ws-orderbook-delta"), linear)
    assert frame == BookFrame(
        depth=50,
        symbol="BTCUSDT",
        is_snapshot=False,
        ts_ms=1687940967466,
        cts_ms=1687940967464,
        update_id=177400507,
        sequence=66544703342,
        bids=[
            (3024720, 30028),
            (3024540, 224),
            (3024210, 1593),
            (3024030, 1305),
            (3024000, 0),
        ],
        asks=[
            (3024870, 0),
            (3024930, 892),
            (3024950, 1778),
            (3024960, 0),
            (3025190, 2947),
            (3025220, 659),
            (3025250, 4591),
        ],
    )


@pytest.mark.parametrize(
    ("name", "depth", "is_snapshot", "update_id"),
    [
        ("ws-orderbook-snapshot", 50, True, 173678160),
        ("ws-orderbook-delta-one-sided", 50, False, 29443257),
        ("ws-orderbook-1-snapshot", 1, True, 31071061),
        ("ws-orderbook-1-repeat-same-u", 1, True, 31071061),
        ("ws-orderbook-restart-u1", 50, True, 1),
    ],
)
def test_orderbook_when_linear_sample_then_read(
    sample: Sample, linear: Lookup, name: str, depth: int, is_snapshot: bool, update_id: int
):
    frame = decode_orderbook(sample(name), linear)
    assert (depth, is_snapshot, update_id) == (frame.depth, frame.is_snapshot, frame.update_id)


def test_orderbook_when_spot_sample_then_its_own_decimals(sample: Sample, spot: Lookup):
    frame = decode_orderbook(sample("ws-orderbook-spot-snapshot"), spot)
    assert ([(8380500, 150276)], [(8380510, 993847)]) == (frame.bids, frame.asks)


@pytest.mark.parametrize(
    "name",
    [
        "ws-orderbook-full-delta",
        "ws-orderbook-option-snapshot",
        "ws-public-trade",
        "ws-tickers-spot",
        "ws-pong-linear",
    ],
)
def test_orderbook_when_another_message_then_refused(sample: Sample, linear: Lookup, name: str):
    with pytest.raises(FrameError):
        decode_orderbook(sample(name), linear)


@pytest.mark.parametrize(
    "changes",
    [
        {"s": "ETHUSDT"},
        {"topic": "orderbook.50.ETHUSDT"},
        {"topic": "orderbook.050.BTCUSDT"},
        {"topic": "orderbook.50"},
        {"topic": "orderbook.-50.BTCUSDT"},
        {"type": "Snapshot"},
        {"u": 0},
        {"u": -1},
        {"u": 2**63},
        {"u": "5"},
        {"u": 5.0},
        {"u": True},
        {"u": None},
        {"seq": -1},
        {"seq": 2**63},
        {"ts": 0},
        {"ts": "1687940967466"},
        {"ts": 10**14},
        {"cts": -1},
        {"cts": None},
        {"b": None},
        {"b": {}},
        {"b": [["1", "2", "3"]]},
        {"b": [["1"]]},
        {"b": [["1", 2]]},
        {"b": ["12"]},
        {"b": [["0", "1"]]},
        {"b": [["0.00", "1"]]},
        {"b": [["-1", "1"]]},
        {"b": [["+1", "1"]]},
        {"b": [["1e3", "1"]]},
        {"b": [[" 1", "1"]]},
        {"b": [["1.", "1"]]},
        {"b": [[".5", "1"]]},
        {"b": [["", "1"]]},
        {"b": [["1", ""]]},
        {"b": [["1", "-0"]]},
        {"b": [["1_0", "1"]]},
        {"b": [["\u0661", "1"]]},
        {"b": [["NaN", "1"]]},
        {"b": [["9" * 30, "1"]]},
        {"b": [["1", "9" * 5000]]},
        {"a": [["1", "1"]] * (LEVELS_MAX + 1)},
    ],
)
def test_orderbook_when_field_is_wrong_then_frame_error(linear: Lookup, changes: dict[str, Any]):
    with pytest.raises(FrameError) as caught:
        decode_orderbook(_book(**changes), linear)
    assert FrameError is type(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("key", ["topic", "type", "ts", "data"])
def test_orderbook_when_vital_key_is_missing_then_refused_with_raw_text(linear: Lookup, key: str):
    message = json.loads(_book())
    del message[key]
    with pytest.raises(FrameError, match=r"missing required field.*\{"):
        decode_orderbook(json.dumps(message).encode(), linear)


@pytest.mark.parametrize("key", ["s", "b", "a", "u", "seq"])
def test_orderbook_when_vital_data_key_is_missing_then_refused(linear: Lookup, key: str):
    message = json.loads(_book())
    del message["data"][key]
    with pytest.raises(FrameError, match="missing required field"):
        decode_orderbook(json.dumps(message).encode(), linear)


@pytest.mark.parametrize(
    "levels", [[["30247.201", "1"]], [["1", "0.0001"]], [["92233720368547758.08", "1"]]]
)
def test_orderbook_when_number_does_not_fit_then_asks_for_the_instrument(
    linear: Lookup, levels: list[list[str]]
):
    with pytest.raises(InstrumentMismatch, match="load the instrument again") as caught:
        decode_orderbook(_book(b=levels), linear)
    assert "BTCUSDT" == caught.value.symbol


def test_orderbook_when_symbol_is_unknown_then_asks_for_the_instrument(linear: Lookup):
    with pytest.raises(InstrumentMismatch) as caught:
        decode_orderbook(_book(topic="orderbook.50.NEWUSDT", s="NEWUSDT"), linear)
    assert "NEWUSDT" == caught.value.symbol


def test_orderbook_when_trailing_zeros_and_extra_keys_then_accepted(linear: Lookup):
    message = json.loads(_book(b=[["007.1000000000000000000", "3.0000"]], a=[]))
    message["extra"] = {"deep": [1.5, None]}
    text = json.dumps(dict(reversed(list(message.items()))), indent=2)
    frame = decode_orderbook(text.encode(), linear)
    assert ([(710, 3000)], []) == (frame.bids, frame.asks)


def test_orderbook_when_whole_surrogate_pair_is_in_an_extra_key_then_accepted(linear: Lookup):
    text = _book().replace(b'"cts"', b'"x": "\\ud83d\\ude00 \\u0041", "cts"')
    assert decode_orderbook(_book(), linear) == decode_orderbook(text, linear)


def test_orderbook_when_int64_limit_then_accepted(linear: Lookup):
    frame = decode_orderbook(
        _book(b=[["92233720368547758.07", "9223372036854775.807"]], u=2**63 - 1), linear
    )
    assert [(2**63 - 1, 2**63 - 1)] == frame.bids


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"<html><body>502 Bad Gateway</body></html>",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"u":' + b"1" * 6000 + b"}",
        b"{" + b'"x":1,' * 700_000 + b'"y":1}',
        _book()[:-1],
        _book() + b"x",
        _book().replace(b'"u"', b'"u": 5, "u"'),
        _book().replace(b'"u"', b'"\\u0075": 5, "u"'),
        _book().replace(b'"cts"', b'"x": NaN, "cts"'),
        _book().replace(b'"cts"', b'"x": Infinity, "cts"'),
        _book().replace(b'"cts"', b'"x": "\xff", "cts"'),
        _book().replace(b'"cts"', b'"x": "\\ud800", "cts"'),
        _book().replace(b'"cts"', b'"\\udfff": [], "cts"'),
        _book().replace(b"177400507", b"0177400507"),
        _book().replace(b"delta", b"del\x01ta"),
    ],
)
def test_decoders_when_text_is_broken_then_frame_error(linear: Lookup, text: bytes):
    for decode in (decode_orderbook, decode_trades):
        with pytest.raises(FrameError):
            decode(text, linear)


def test_trades_when_linear_sample_then_one_trade(sample: Sample, linear: Lookup):
    (trade,) = decode_trades(sample("ws-public-trade"), linear, received_ns=7)
    assert (Side.BUY, 8376630, 1, 821670598155, 1791365008334 * 10**6, 7, False) == (
        trade.side,
        trade.price_units,
        trade.size_units,
        trade.sequence,
        trade.venue_ns,
        trade.received_ns,
        trade.is_block,
    )
    assert "68bc1c35-dcc0-58e8-a4c5-f59a6b790814" == trade.trade_id


def test_trades_when_multi_sample_then_oldest_first(sample: Sample, linear: Lookup):
    trades = decode_trades(sample("ws-public-trade-multi"), linear)
    assert [5823000, 3000, 5593000] == [trade.size_units for trade in trades]
    assert [0, 0, 0] == [trade.sequence for trade in trades]


def test_trades_when_spot_sample_then_spot_id(sample: Sample, spot: Lookup):
    (trade,) = decode_trades(sample("ws-public-trade-spot"), spot)
    assert ("2290000001225843671", 1466) == (trade.trade_id, trade.size_units)
    assert spot("BTCUSDT").id == trade.instrument_id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"Buy"', b'"buy"'),
        (b'"0.001"', b'"0"'),
        (b'"0.001"', b"0.001"),
        (b'"83766.30"', b'"0"'),
        (b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'),
        (b'"snapshot"', b'"delta"'),
        (b'"T":1791365008334', b'"T":0'),
        (b'"BT":false', b'"BT":"false"'),
        (b'"i":"68bc1c35-dcc0-58e8-a4c5-f59a6b790814"', b'"i":""'),
        (b'"seq":821670598155', b'"seq":-1'),
    ],
)
def test_trades_when_field_is_wrong_then_frame_error(
    sample: Sample, linear: Lookup, old: bytes, new: bytes
):
    frame = sample("ws-public-trade")
    assert old in frame
    with pytest.raises(FrameError):
        decode_trades(frame.replace(old, new), linear)


@given(
    price=st.integers(1, 2**63 - 1),
    size=st.integers(0, 2**63 - 1),
    decimals=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    zeros=st.integers(0, 5),
)
def test_levels_when_written_and_read_then_the_same_units(
    price: int, size: int, decimals: tuple[int, int], zeros: int
):
    instrument = make_instrument("BTCUSDT", price_decimals=decimals[0], size_decimals=decimals[1])
    tail = "0" * zeros
    texts = [
        units_to_text(price, decimals[0]) + (tail if decimals[0] else ""),
        units_to_text(size, decimals[1]) + (tail if decimals[1] else ""),
    ]
    frame = decode_orderbook(_book(b=[texts], a=[]), lambda _symbol: instrument)
    assert [(price, size)] == frame.bids


@pytest.mark.parametrize("seed", range(4))
def test_decoders_when_frames_are_mutated_then_only_frame_error(linear: Lookup, seed: int):
    chance = random.Random(seed)
    frames = [path.read_bytes() for path in sorted(SAMPLES.glob("ws-*.json"))]
    refused = 0
    for _ in range(1500):
        frame = bytearray(chance.choice(frames))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(frame))
            match chance.randrange(3):
                case 0:
                    frame[at] = chance.choice(b'{}[]",:.-+0123456789eE \x00\xffabcNus')
                case 1:
                    del frame[at : at + chance.randint(1, 8)]
                case _:
                    frame[at:at] = frame[max(0, at - 9) : at]
            if not frame:
                break
        for decode in (decode_orderbook, decode_trades):
            try:
                decode(bytes(frame), linear)
            except FrameError:
                refused += 1
    assert refused > 2000
