"""Owns playing Binance recordings as market operations; refuses to hide that they are Binance's.

The book starts from the REST snapshot in the file and follows the depth stream by the venue's own
rules: spot updates continue each other's ids, futures updates name the id before them. Timing is
the recording's own.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from tickwright.core.errors import ConfigError, FrameError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.sources.lines import recorded_lines
from tickwright.simulator.sources.operations import (
    BookReset,
    Level,
    LevelChanges,
    Operation,
    PublicTrade,
    TimedOperation,
    TradePrints,
)
from tickwright.simulator.sources.recording import AfterEnd, Recording, levels_of

__all__ = ["BinanceRecording"]

_LOOK_AHEAD_LINES = 20_000
_BUFFERED_MAX = 10_000


class _Data(msgspec.Struct):
    """Any event of the streams used; fields of other events stay None."""

    e: str = ""
    s: str = ""
    U: int | None = None
    u: int | None = None
    pu: int | None = None
    b: list[tuple[str, str]] | str | None = None
    a: list[tuple[str, str]] | str | None = None
    p: str | None = None
    q: str | None = None
    m: bool | None = None


class _Line(msgspec.Struct):
    """A stream event, or the REST snapshot."""

    data: _Data | None = None
    last_update_id: int | None = msgspec.field(default=None, name="lastUpdateId")
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


_decode = msgspec.json.Decoder(_Line).decode


class BinanceRecording(Recording):
    """A recording of one symbol, spot or USD-M futures; which of them is read from the events."""

    format_label = "Binance recording re-encoded as Bybit frames"

    def __init__(self, path: Path, rng: Random, *, after_end: AfterEnd = AfterEnd.CONTINUE) -> None:
        symbol = ""
        is_futures = has_snapshot = False
        for number, _, frame in recorded_lines(path):
            line = _decoded(frame, number)
            if line.data is not None and line.data.e == "depthUpdate":
                symbol, is_futures = line.data.s, line.data.pu is not None
            has_snapshot = has_snapshot or line.last_update_id is not None
            if (symbol and has_snapshot) or number >= _LOOK_AHEAD_LINES:
                break
        if not symbol or not has_snapshot:
            raise ConfigError(f"recording {path}: no depth updates with a snapshot near its start")
        category = Category.LINEAR if is_futures else Category.SPOT
        super().__init__(path, category, rng, after_end)
        self.symbol = symbol
        self._instrument = instrument_for(category, symbol)
        self.instruments = {symbol: self._instrument}
        self._is_futures = is_futures

    def play(self) -> Iterator[TimedOperation]:
        """Yield the snapshot at 0, then updates and trades as they were received."""
        buffered: list[_Data] = []
        base_id: int | None = None
        first_ns = 0
        last_id = 0
        is_joined = False
        for number, received_ns, frame in recorded_lines(self.path):
            line = _decoded(frame, number)
            if line.last_update_id is not None and base_id is None:
                base_id = last_id = line.last_update_id
                first_ns = received_ns or 0
                yield (
                    0,
                    self.symbol,
                    BookReset(self._levels(line.bids, number), self._levels(line.asks, number)),
                )
                waiting, buffered = buffered, []
            elif line.data is None:
                continue
            elif base_id is None:
                if line.data.e == "depthUpdate" and len(buffered) < _BUFFERED_MAX:
                    buffered.append(line.data)
                continue
            else:
                waiting = [line.data]
            at_ns = max(0, (received_ns or 0) - first_ns)
            for event in waiting:
                operation: Operation | None
                if event.e == "depthUpdate":
                    assert event.U is not None and event.u is not None
                    if event.u < base_id or (event.u <= last_id and not self._is_futures):
                        continue
                    self._check(event, last_id, number, is_joined=is_joined)
                    is_joined, last_id = True, event.u
                    operation = self._changes(event, number)
                else:
                    operation = self._trade(event, number)
                if operation is not None:
                    yield at_ns, self.symbol, operation

    def _check(self, event: _Data, last_id: int, number: int, *, is_joined: bool) -> None:
        """Refuse an update that doesn't continue the book.

        The first one after the snapshot must contain it; later ones must follow without a gap.
        """
        assert event.U is not None and event.u is not None
        if not is_joined:
            follows = event.U <= last_id + (0 if self._is_futures else 1)
            if self._is_futures and not follows:
                follows = event.pu is not None and event.pu <= last_id
        elif self._is_futures:
            follows = event.pu == last_id
        else:
            follows = event.U == last_id + 1
        if not follows:
            raise FrameError(f"{self.path}: line {number}: ids don't follow {last_id}")

    def _changes(self, event: _Data, number: int) -> LevelChanges:
        if not isinstance(event.b, list) or not isinstance(event.a, list):
            raise FrameError(f"line {number}: an update without levels")
        return LevelChanges(self._levels(event.b, number), self._levels(event.a, number))

    def _trade(self, event: _Data, number: int) -> TradePrints | None:
        if event.e not in ("trade", "aggTrade") or event.p is None or event.q is None:
            return None
        ((price, size),) = self._levels([(event.p, event.q)], number)
        # Futures print marks of the insurance fund as trades without price and size.
        if not price or not size:
            return None
        side = Side.SELL if event.m else Side.BUY
        return TradePrints([PublicTrade(side, price, size)])

    def _levels(self, texts: list[tuple[str, str]], number: int) -> list[Level]:
        return levels_of(texts, self._instrument, number)


def _decoded(frame: bytes, number: int) -> _Line:
    try:
        return _decode(frame)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"line {number} is not a recorded frame: {error}") from None
