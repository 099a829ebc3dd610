"""Owns the market behind a tape: windows that stay full, books that never cross, exact counts.

All chance comes in as a `random.Random`; a change fills exactly as many levels as it is asked for.
"""

from bisect import insort
from dataclasses import dataclass
from random import Random
from typing import Final

__all__ = ["SYMBOLS_MAX", "MarketSide", "SymbolMarket", "TapeInstrument", "invented_instruments"]

_BASES: Final = (
    "BTC ETH SOL XRP BNB DOGE ADA TRX AVAX LINK DOT TON MATIC LTC SHIB BCH NEAR UNI APT ICP "
    "ATOM XLM FIL HBAR ARB VET OP INJ MKR GRT AAVE RUNE ALGO SUI STX SEI TIA IMX FTM SAND MANA "
    "AXS EGLD THETA FLOW KAVA CRV SNX GALA CHZ ZEC DASH EOS XTZ NEO IOTA KSM WAVES ZIL ENJ BAT "
    "LRC COMP YFI SUSHI ONE ROSE CELO ANKR SKL STORJ BAND RSR OCEAN NKN COTI CTSI DENT HOT IOST "
    "ONT QTUM RVN SC ZEN ZRX BLUR PEPE WLD ORDI JUP PYTH STRK ENA WIF BOME JTO MEME ACE XAI "
).split()
SYMBOLS_MAX: Final = len(_BASES)

_FIRST_UPDATE_ID: Final = 10_000_000  # update ids of one symbol never meet those of the next
_GAP_TICKS_MAX: Final = 3
_SPREAD_TICKS_WIDE: Final = 4
_DEPTH_FROM_TOP_MEAN: Final = 8.0


@dataclass(frozen=True, slots=True)
class TapeInstrument:
    """Name one symbol of a tape with the decimals its prices and sizes are written in."""

    symbol: str
    price_decimals: int
    size_decimals: int

    @property
    def book_topic(self) -> str:
        """Return the topic of the symbol's depth-50 book."""
        return f"orderbook.50.{self.symbol}"

    @property
    def trade_topic(self) -> str:
        """Return the topic of the symbol's public trades."""
        return f"publicTrade.{self.symbol}"


def invented_instruments(count: int, rng: Random) -> list[TapeInstrument]:
    """Return instruments with plausible names and decimals.

    Raises ValueError for more than there are names.
    """
    if not 1 <= count <= SYMBOLS_MAX:
        raise ValueError(f"symbols must be 1 to {SYMBOLS_MAX}, not {count}")
    return [
        TapeInstrument(f"{base}USDT", rng.randint(1, 5), rng.randint(1, 4))
        for base in _BASES[:count]
    ]


class MarketSide:
    """One side of a window: keys ascending with the best last; asks are stored negated."""

    __slots__ = ("depth", "keys", "sign", "sizes")

    def __init__(self, best: int, sign: int, depth: int, rng: Random, size_max: int) -> None:
        self.sign = sign
        self.depth = depth
        key = best * sign
        keys = []
        for _ in range(depth):
            keys.append(key)
            key -= rng.randint(1, _GAP_TICKS_MAX)
        keys.reverse()
        self.keys = keys
        self.sizes = {key: rng.randint(1, size_max) for key in keys}

    def enter(self, key: int, size: int) -> int:
        """Insert a level; return the key that the window's far edge lost."""
        lost = self.keys.pop(0)
        del self.sizes[lost]
        insort(self.keys, key)
        self.sizes[key] = size
        return lost

    def leave(self, position: int, revealed: int, size: int) -> int:
        """Remove a level and show ``revealed`` at the far edge; return the removed key."""
        gone = self.keys.pop(position)
        del self.sizes[gone]
        self.keys.insert(0, revealed)
        self.sizes[revealed] = size
        return gone


class SymbolMarket:
    """One symbol's market while the tape is written."""

    __slots__ = ("asks", "bids", "instrument", "seq", "size_max", "trade_id", "update_id")

    def __init__(
        self, instrument: TapeInstrument, index: int, size_digits: int, depth: int, rng: Random
    ) -> None:
        self.instrument = instrument
        best_bid = rng.randint(40_000, 900_000)
        self.size_max = 10 ** rng.randint(3, size_digits)
        self.bids = MarketSide(best_bid, 1, depth, rng, self.size_max)
        self.asks = MarketSide(best_bid + 1 + rng.randint(0, 2), -1, depth, rng, self.size_max)
        self.update_id = _FIRST_UPDATE_ID * (index + 1)
        self.seq = 115_058_638_774 + index * 1_000_003
        self.trade_id = 2_290_000_001_225_843_671 + index * 10_000_019

    def change(
        self, count: int, restructure_share: float, rng: Random
    ) -> tuple[set[int], set[int]]:
        """Change exactly ``count`` levels; return the touched keys of each side."""
        touched: tuple[set[int], set[int]] = (set(), set())
        left = count
        while left:
            which = rng.random() < 0.5
            side, other = (self.asks, self.bids) if which else (self.bids, self.asks)
            seen = touched[which]
            if left >= 2:
                is_wide = -(self.bids.keys[-1] + self.asks.keys[-1]) >= _SPREAD_TICKS_WIDE
                filled = 0
                if is_wide or rng.random() < restructure_share:
                    filled = self._restructure(side, other, seen, rng, is_wide=is_wide)
                if filled:
                    left -= filled
                    continue
            position = self._position(side, rng)
            key = side.keys[position]
            if key in seen:
                continue
            size = rng.randint(1, self.size_max)
            if size == side.sizes[key]:
                continue
            side.sizes[key] = size
            seen.add(key)
            left -= 1
        return touched

    def _restructure(
        self, side: MarketSide, other: MarketSide, seen: set[int], rng: Random, *, is_wide: bool
    ) -> int:
        """Enter or remove one price; return how many levels that filled, 0 when impossible."""
        size = rng.randint(1, self.size_max)
        if is_wide or rng.random() < 0.5:
            key = side.keys[-1 if is_wide else self._position(side, rng)] + 1
            far = side.keys[0]
            if key in side.sizes or key in seen or far in seen or key + other.keys[-1] >= 0:
                return 0
            seen.update((key, side.enter(key, size)))
            return 2
        position = self._position(side, rng)
        revealed = side.keys[0] - rng.randint(1, _GAP_TICKS_MAX)
        if position == 0 or side.keys[position] in seen or revealed in seen:
            return 0
        seen.update((side.leave(position, revealed, size), revealed))
        return 2

    @staticmethod
    def _position(side: MarketSide, rng: Random) -> int:
        return max(0, side.depth - 1 - int(rng.expovariate(1.0 / _DEPTH_FROM_TOP_MEAN)))
