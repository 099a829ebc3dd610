"""Owns the typed decoding of Binance's depth events and REST depth snapshots; refuses the rest.

Events come bare or in the combined wrapper `{"stream": ..., "data": {...}}`. Unknown fields are
ignored; a missing vital field, a wrong type or a number that doesn't fit is a `FrameError` with the
beginning of the raw text, and nothing of that frame is used.
"""

import enum
from typing import TypeVar

import msgspec

from tickwright.core.errors import FrameError, UnitsError
from tickwright.core.instrument import Instrument
from tickwright.core.units import INT64_MAX, units_from_text

__all__ = [
    "LEVELS_MAX",
    "DepthEvent",
    "DepthSnapshot",
    "FrameKind",
    "classify",
    "decode_depth_event",
    "decode_depth_snapshot",
    "read_depth_event",
    "read_depth_snapshot",
    "symbol_of",
]

LEVELS_MAX = 10_000
"""Most levels a side in one message: twice the deepest REST snapshot."""
_MILLISECONDS_MAX = INT64_MAX // 1_000_000
_SHOWN_BYTES = 160
_TextPair = tuple[str, str]


class FrameKind(enum.Enum):
    """What a recorded line is, as far as books are concerned."""

    DEPTH_EVENT = "depth_event"
    DEPTH_SNAPSHOT = "depth_snapshot"
    OTHER = "other"
    """Trades, best prices, acknowledgements: well-formed, and nothing for a book."""


class DepthEvent(msgspec.Struct, frozen=True, gc=False):
    """Changed levels in units, size 0 removes one. `previous_id` is -1 where the feed has none."""

    symbol: str
    first_id: int
    last_id: int
    previous_id: int
    venue_ns: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class DepthSnapshot(msgspec.Struct, frozen=True, gc=False):
    """The whole visible book in units, best first; it names no symbol."""

    last_id: int
    venue_ns: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class RawDepthEvent(msgspec.Struct, frozen=True, gc=False):
    """A `depthUpdate` as it is sent: `E` in milliseconds, `pu` on futures alone."""

    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[_TextPair]
    a: list[_TextPair]
    pu: int | None = None


class RawDepthSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A REST depth answer as it is sent; `E` on futures alone."""

    lastUpdateId: int  # noqa: N815
    bids: list[_TextPair]
    asks: list[_TextPair]
    E: int = 0


class _Event(msgspec.Struct, frozen=True, gc=False):
    e: str = ""
    s: str = ""


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    """Read only as far as it takes to tell what a line is."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    e: str = ""
    s: str = ""
    lastUpdateId: int | None = None  # noqa: N815


_envelope = msgspec.json.Decoder(_Envelope)
_event = msgspec.json.Decoder(_Event)
_raw_event = msgspec.json.Decoder(RawDepthEvent)
_raw_snapshot = msgspec.json.Decoder(RawDepthSnapshot)

T = TypeVar("T")


def classify(frame: bytes) -> FrameKind:
    """Tell what a line is.

    Raises:
        FrameError: it isn't a JSON object of a shape Binance sends.
    """
    envelope = _read(_envelope, frame)
    if envelope.lastUpdateId is not None:
        return FrameKind.DEPTH_SNAPSHOT
    event = envelope if not envelope.data else _read(_event, bytes(envelope.data))
    return FrameKind.DEPTH_EVENT if event.e == "depthUpdate" else FrameKind.OTHER


def symbol_of(frame: bytes) -> str:
    """Return the symbol an event names, "" if it names none; raises FrameError as `classify`."""
    envelope = _read(_envelope, frame)
    event = envelope if not envelope.data else _read(_event, bytes(envelope.data))
    return event.s


def read_depth_event(frame: bytes) -> RawDepthEvent:
    """Read a diff-depth event, bare or wrapped, its numbers still text.

    Raises:
        FrameError: it isn't one.
    """
    envelope = _read(_envelope, frame)
    raw = _read(_raw_event, frame if not envelope.data else bytes(envelope.data))
    if raw.e != "depthUpdate" or not raw.s:
        raise FrameError(f"no depth event: {_shortened(frame)}")
    if not 0 < raw.U <= raw.u <= INT64_MAX or not -1 <= (raw.pu or 0) <= INT64_MAX:
        raise FrameError(f"ids out of range: {_shortened(frame)}")
    if not 0 < raw.E <= _MILLISECONDS_MAX:
        raise FrameError(f"time out of range: {_shortened(frame)}")
    _check_count(raw.b, raw.a, frame)
    return raw


def read_depth_snapshot(frame: bytes) -> RawDepthSnapshot:
    """Read a REST depth snapshot, its numbers still text.

    Raises:
        FrameError: it isn't one.
    """
    raw = _read(_raw_snapshot, frame)
    if not 0 < raw.lastUpdateId <= INT64_MAX or not 0 <= raw.E <= _MILLISECONDS_MAX:
        raise FrameError(f"id or time out of range: {_shortened(frame)}")
    _check_count(raw.bids, raw.asks, frame)
    return raw


def decode_depth_event(frame: bytes, instrument: Instrument) -> DepthEvent:
    """Decode a diff-depth event of this instrument into its units.

    Raises:
        FrameError: no such event, of another symbol, or a number doesn't fit the instrument.
    """
    raw = read_depth_event(frame)
    if raw.s != instrument.symbol:
        raise FrameError(f"event of {raw.s[:40]!r}, not of {instrument.symbol}")
    return DepthEvent(
        symbol=raw.s,
        first_id=raw.U,
        last_id=raw.u,
        previous_id=-1 if raw.pu is None else raw.pu,
        venue_ns=raw.E * 1_000_000,
        bids=_levels(raw.b, instrument, frame),
        asks=_levels(raw.a, instrument, frame),
    )


def decode_depth_snapshot(frame: bytes, instrument: Instrument) -> DepthSnapshot:
    """Decode a REST depth snapshot into this instrument's units; the caller knows whose it is.

    Raises:
        FrameError: no such snapshot, or a number doesn't fit the instrument.
    """
    raw = read_depth_snapshot(frame)
    return DepthSnapshot(
        last_id=raw.lastUpdateId,
        venue_ns=raw.E * 1_000_000,
        bids=_levels(raw.bids, instrument, frame),
        asks=_levels(raw.asks, instrument, frame),
    )


def _read(decoder: msgspec.json.Decoder[T], frame: bytes) -> T:
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise FrameError(f"{error}: {_shortened(frame)}") from None


def _check_count(bids: list[_TextPair], asks: list[_TextPair], frame: bytes) -> None:
    if len(bids) > LEVELS_MAX or len(asks) > LEVELS_MAX:
        raise FrameError(f"more than {LEVELS_MAX} levels a side: {_shortened(frame)}")


def _levels(rows: list[_TextPair], instrument: Instrument, frame: bytes) -> list[tuple[int, int]]:
    price_decimals, size_decimals = instrument.price_decimals, instrument.size_decimals
    levels = []
    try:
        for price_text, size_text in rows:
            price = units_from_text(price_text, price_decimals)
            if price == 0:
                raise FrameError(f"a level's price must be above zero: {_shortened(frame)}")
            levels.append((price, units_from_text(size_text, size_decimals)))
    except UnitsError as error:
        raise FrameError(f"{instrument.id}: {error}: {_shortened(frame)}") from None
    return levels


def _shortened(frame: bytes) -> str:
    shown = ascii(frame[:_SHOWN_BYTES].decode("utf-8", "replace"))
    return shown if len(frame) <= _SHOWN_BYTES else f"{shown}... ({len(frame)} bytes)"
