"""Binance's depth events and snapshots are read exactly or refused."""

import json

import msgspec
import pytest

from tests.oracle.instruments import make_instrument
from tickwright.core.errors import FrameError
from tickwright.core.identity import Category
from tickwright.venues.binance.decode import (
    FrameKind,
    classify,
    decode_depth_event,
    decode_depth_snapshot,
    symbol_of,
)

EVENT = {
    "e": "depthUpdate",
    "E": 1723161255208,
    "s": "BTCUSDT",
    "U": 100,
    "u": 105,
    "b": [["61737.63000000", "0.00000000"]],
    "a": [["61837.64000000", "1.54698000"]],
}
SNAPSHOT = {"lastUpdateId": 100, "bids": [["61837.63", "3.78826"]], "asks": [["61837.64", "1.5"]]}
INSTRUMENT = make_instrument(
    venue="binance", category=Category.SPOT, price_decimals=2, size_decimals=5
)


def frame(**changes: object) -> bytes:
    """Return an event as it is sent, with some fields replaced; None leaves one out."""
    fields = {name: value for name, value in (EVENT | changes).items() if value is not None}
    return json.dumps(fields).encode()


def test_event_when_wrapped_then_reads_like_the_bare_one():
    wrapped = b'{"stream":"btcusdt@depth@100ms","data":' + frame() + b"}"

    event = decode_depth_event(wrapped, INSTRUMENT)

    assert FrameKind.DEPTH_EVENT is classify(wrapped)
    assert "BTCUSDT" == symbol_of(wrapped)
    assert decode_depth_event(frame(), INSTRUMENT) == event
    assert (100, 105, -1, 1723161255208000000) == (
        event.first_id,
        event.last_id,
        event.previous_id,
        event.venue_ns,
    )
    assert ([(6173763, 0)], [(6183764, 154698)]) == (event.bids, event.asks)


def test_event_when_of_futures_then_names_the_one_before():
    assert 99 == decode_depth_event(frame(pu=99, T=1, ps="BTCUSDT"), INSTRUMENT).previous_id


def test_snapshot_when_read_then_is_in_units():
    snapshot = decode_depth_snapshot(json.dumps(SNAPSHOT).encode(), INSTRUMENT)

    assert (100, [(6183763, 378826)], [(6183764, 150000)]) == (
        snapshot.last_id,
        snapshot.bids,
        snapshot.asks,
    )
    assert FrameKind.DEPTH_SNAPSHOT is classify(json.dumps(SNAPSHOT).encode())


def test_other_events_when_classified_then_are_none_of_ours():
    trade = b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","p":"1","q":"2"}}'

    assert FrameKind.OTHER is classify(trade)
    assert FrameKind.OTHER is classify(b'{"result":null,"id":1}')


@pytest.mark.parametrize(
    "bad",
    [
        frame(b=None),
        frame(u=None),
        frame(U=106),
        frame(U=0, u=0),
        frame(u=2**63),
        frame(E=0),
        frame(s="ETHUSDT"),
        frame(e="trade"),
        frame(b=[["0.00", "1"]]),
        frame(b=[["-1.00", "1"]]),
        frame(b=[["1.001", "1"]]),
        frame(b=[["1.00", "0.000001"]]),
        frame(b=[["1" * 30, "1"]]),
        frame(b=[["1e3", "1"]]),
        frame(b=[[61737.63, 1]]),
        frame(b=[["61737.63"]]),
        frame()[:-20],
        b"<html>",
        b"",
        b"[]",
        b"\xff\xfe",
    ],
)
def test_event_when_not_exact_then_is_refused(bad: bytes):
    with pytest.raises(FrameError):
        decode_depth_event(bad, INSTRUMENT)


@pytest.mark.parametrize("field", ["lastUpdateId", "bids", "asks"])
def test_snapshot_when_a_vital_field_is_missing_then_is_refused(field: str):
    left = {name: value for name, value in SNAPSHOT.items() if name != field}

    with pytest.raises(FrameError):
        decode_depth_snapshot(msgspec.json.encode(left), INSTRUMENT)
