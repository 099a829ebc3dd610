"""Owns the benchmark's input: a seeded tape of book and trade frames in Bybit V5 wire form.

A tape is what a venue would have sent: it opens with one snapshot of every symbol, every delta
keeps its window at the full depth (a level that leaves arrives as size 0, one that enters as an
insert), ``u`` rises by one, and no book is ever crossed. So any number of laps, each from the first
frame, is legal. It refuses to imitate a real market: symbol mix, burstiness and moves are a guess
that was fitted to two published shapes, and nothing measured on a tape says anything about profit.
"""

import json
import random
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from tickwright.bench.tape_market import (
    MarketSide,
    SymbolMarket,
    TapeInstrument,
    invented_instruments,
)

__all__ = [
    "COMPOSED_SHAPE",
    "CORE_SHAPE",
    "SHAPES",
    "Tape",
    "TapeInstrument",
    "TapeShape",
    "load_tape",
    "make_tape",
    "save_tape",
]

_START_MS: Final = 1_791_365_007_116


@dataclass(frozen=True, slots=True)
class TapeShape:
    """Describe what the frames of a tape look like on average.

    ``levels_mean`` and ``levels_max`` count levels of one delta over both sides, ``book_share`` is
    the part of the frames after the snapshots that are book deltas, the rest are trades.
    ``restructure_share`` is the chance that an operation enters or removes a price instead of
    changing a size; such an operation fills two levels, the price itself and the one at the
    window's far edge.
    """

    name: str
    levels_mean: float
    levels_max: int
    book_share: float
    restructure_share: float
    size_digits: int
    skew: float


#: The frames of the published comparison: 238 bytes and 4.1 levels on average, 88 % book.
COMPOSED_SHAPE: Final = TapeShape("composed", 4.1, 12, 0.88, 0.16, 8, 0.5)
#: The frames the compiled core was chosen on: 314 bytes and 8.5 levels on average, deltas only.
CORE_SHAPE: Final = TapeShape("core", 8.5, 13, 1.0, 0.14, 3, 0.8)
SHAPES: Final = {shape.name: shape for shape in (COMPOSED_SHAPE, CORE_SHAPE)}


@dataclass(frozen=True, slots=True)
class Tape:
    """Hold the frames of one tape in order, the levels in each, and its instruments.

    ``levels[k]`` is the number of levels in frame ``k`` (0 for a trade). The first ``snapshots``
    frames are the snapshots, one a symbol. ``category`` is the form the frames are written in.
    """

    shape: str
    category: str
    depth: int
    frames: Sequence[bytes]
    levels: "array[int]"
    instruments: tuple[TapeInstrument, ...]

    @property
    def snapshots(self) -> int:
        """Return how many frames at the start are snapshots."""
        return len(self.instruments)

    @property
    def topics(self) -> list[str]:
        """Return every topic on the tape, books first."""
        return [i.book_topic for i in self.instruments] + [i.trade_topic for i in self.instruments]

    def places_of_updates(self) -> dict[int, int]:
        """Return the place of every book frame by its update id, which is unique on a tape."""
        places = {}
        for place, frame in enumerate(self.frames):
            if self.levels[place]:
                start = frame.rindex(b'"u":') + 4
                places[int(frame[start : frame.index(b",", start)])] = place
        return places

    def mean_bytes(self) -> float:
        """Return the mean size of a frame after the snapshots, in bytes."""
        rest = self.frames[self.snapshots :]
        return sum(map(len, rest)) / len(rest)

    def mean_levels(self) -> float:
        """Return the mean number of levels in a delta."""
        deltas = [n for n in self.levels[self.snapshots :] if n]
        return sum(deltas) / len(deltas)

    def max_levels(self) -> int:
        """Return the largest number of levels in a delta."""
        return max(self.levels[self.snapshots :])

    def book_share(self) -> float:
        """Return the part of the frames after the snapshots that are deltas."""
        rest = self.levels[self.snapshots :]
        return sum(1 for n in rest if n) / len(rest)

    def describe(self) -> str:
        """Return one line with the tape's shape, to stand beside every figure taken on it."""
        return (
            f"{len(self.frames):,} frames, {len(self.instruments)} symbols, {self.category} form, "
            f"mean {self.mean_bytes():.0f} bytes, {self.book_share():.0%} book, "
            f"mean {self.mean_levels():.1f} and at most {self.max_levels()} levels a delta"
        )


def _fixed(units: int, decimals: int) -> str:
    """Write units as decimal text with all decimals, the way futures frames print numbers."""
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{part:0{decimals}d}" if decimals else str(whole)


def _trimmed(units: int, decimals: int) -> str:
    """Write units as decimal text without trailing zeros, the way spot frames print numbers."""
    text = _fixed(units, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text


class _Writer:
    """Renders frames in one category's form: key order, number text and trade fields differ."""

    def __init__(self, category: str, depth: int) -> None:
        if category not in ("spot", "linear"):
            raise ValueError(f"category must be spot or linear, not {category!r}")
        self.category = category
        self.depth = depth
        self.is_spot = category == "spot"
        self.number = _trimmed if self.is_spot else _fixed

    def book(self, symbol: SymbolMarket, kind: str, bids: str, asks: str, now_ms: int) -> bytes:
        name = symbol.instrument.symbol
        head = (
            f'"ts":{now_ms},"type":"{kind}"' if self.is_spot else f'"type":"{kind}","ts":{now_ms}'
        )
        return (
            f'{{"topic":"orderbook.{self.depth}.{name}",{head},"data":{{"s":"{name}",'
            f'"b":[{bids}],"a":[{asks}],"u":{symbol.update_id},"seq":{symbol.seq}}},'
            f'"cts":{now_ms - 3}}}'
        ).encode()

    def levels(self, symbol: SymbolMarket, side: MarketSide, keys: Sequence[int]) -> str:
        """Write levels best first; a key the window no longer holds is a removal."""
        number, sizes, sign = self.number, side.sizes, side.sign
        price_decimals = symbol.instrument.price_decimals
        size_decimals = symbol.instrument.size_decimals
        parts = []
        for key in sorted(keys, reverse=True):
            size = sizes.get(key)
            text = "0" if size is None else number(size, size_decimals)
            parts.append(f'["{number(key * sign, price_decimals)}","{text}"]')
        return ",".join(parts)

    def trade(self, symbol: SymbolMarket, now_ms: int, rng: random.Random) -> bytes:
        name = symbol.instrument.symbol
        is_buy = rng.random() < 0.5
        side = symbol.asks if is_buy else symbol.bids
        price = self.number(side.keys[-1] * side.sign, symbol.instrument.price_decimals)
        size = self.number(rng.randint(1, symbol.size_max), symbol.instrument.size_decimals)
        aggressor = "Buy" if is_buy else "Sell"
        if self.is_spot:
            return (
                f'{{"topic":"publicTrade.{name}","ts":{now_ms},"type":"snapshot","data":['
                f'{{"i":"{symbol.trade_id}","T":{now_ms - 1},"p":"{price}","v":"{size}",'
                f'"S":"{aggressor}","seq":{symbol.seq},"s":"{name}","BT":false,"RPI":false}}]}}'
            ).encode()
        bits = f"{rng.getrandbits(128):032x}"
        trade_id = f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"
        return (
            f'{{"topic":"publicTrade.{name}","type":"snapshot","ts":{now_ms},"data":['
            f'{{"T":{now_ms - 1},"s":"{name}","S":"{aggressor}","v":"{size}","p":"{price}",'
            f'"L":"ZeroPlusTick","i":"{trade_id}","BT":false,"RPI":false,"seq":{symbol.seq}}}]}}'
        ).encode()


def _level_weights(mean: float, most: int) -> list[float]:
    """Return cumulative weights of 1 to most levels: a geometric law, cut, of this mean."""
    low, high = 0.05, 20.0
    counts = range(1, most + 1)
    for _ in range(60):
        ratio = (low * high) ** 0.5
        weights = [ratio**n for n in counts]
        average = sum(n * w for n, w in zip(counts, weights, strict=True)) / sum(weights)
        low, high = (ratio, high) if average < mean else (low, ratio)
    return list(accumulate(weights))


def make_tape(
    shape: TapeShape = COMPOSED_SHAPE,
    *,
    frames: int,
    symbols: int = 50,
    category: str = "spot",
    depth: int = 50,
    seed: int = 7,
    listed: Sequence[TapeInstrument] = (),
) -> Tape:
    """Write a tape of exactly ``frames`` frames, the first ``symbols`` of them snapshots.

    ``listed`` gives the instruments where a venue knows them already; without it they are made up.
    The same arguments give the same bytes. Raises ValueError for a category other than spot or
    linear, for more symbols than there are names, or when frames do not exceed symbols.
    """
    if frames <= symbols:
        raise ValueError(
            f"a tape of {symbols} symbols needs more than {symbols} frames, not {frames}"
        )
    rng = random.Random(seed)
    chosen = list(listed[:symbols]) if listed else invented_instruments(symbols, rng)
    if len(chosen) != symbols:
        raise ValueError(f"{symbols} symbols asked for and only {len(chosen)} listed")
    writer = _Writer(category, depth)
    markets = [
        SymbolMarket(instrument, index, shape.size_digits, depth, rng)
        for index, instrument in enumerate(chosen)
    ]
    written: list[bytes] = []
    counts = array("q")
    for market in markets:
        bids = writer.levels(market, market.bids, market.bids.keys)
        asks = writer.levels(market, market.asks, market.asks.keys)
        written.append(writer.book(market, "snapshot", bids, asks, _START_MS))
        counts.append(2 * depth)
    mix = list(accumulate((rank + 1.0) ** -shape.skew for rank in range(symbols)))
    law = _level_weights(shape.levels_mean, shape.levels_max)
    now_ms = _START_MS
    for number in range(symbols, frames):
        if number % symbols == 0:
            now_ms += 20
        market = markets[bisect_left(mix, rng.random() * mix[-1])]
        market.seq += rng.randint(1, 90)
        if rng.random() >= shape.book_share:
            market.trade_id += 1
            written.append(writer.trade(market, now_ms, rng))
            counts.append(0)
            continue
        count = bisect_left(law, rng.random() * law[-1]) + 1
        bid_keys, ask_keys = market.change(count, shape.restructure_share, rng)
        market.update_id += 1
        bids = writer.levels(market, market.bids, list(bid_keys))
        asks = writer.levels(market, market.asks, list(ask_keys))
        written.append(writer.book(market, "delta", bids, asks, now_ms))
        counts.append(count)
    instruments = tuple(market.instrument for market in markets)
    return Tape(shape.name, category, depth, written, counts, instruments)


def save_tape(tape: Tape, folder: Path) -> Path:
    """Write ``frames.jsonl`` (one frame a line) and ``tape.json`` into a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "frames.jsonl").write_bytes(b"\n".join(tape.frames))
    about = {
        "shape": tape.shape,
        "category": tape.category,
        "depth": tape.depth,
        "levels": tape.levels.tolist(),
        "instruments": [[i.symbol, i.price_decimals, i.size_decimals] for i in tape.instruments],
    }
    (folder / "tape.json").write_text(json.dumps(about))
    return folder


def load_tape(folder: Path) -> Tape:
    """Read a tape that save_tape wrote. Raises OSError when it is not there."""
    about = json.loads((folder / "tape.json").read_text())
    frames = (folder / "frames.jsonl").read_bytes().split(b"\n")
    return Tape(
        about["shape"],
        about["category"],
        about["depth"],
        frames,
        array("q", about["levels"]),
        tuple(TapeInstrument(*row) for row in about["instruments"]),
    )
