"""Canonical frames of both grammars, as the venue writes them: what every mutant descends from."""

from dataclasses import dataclass
from random import Random

from tickwright.core.identity import Category

__all__ = ["DEPTHS", "SYMBOL", "Seed", "book_frame", "corpus", "trade_frame"]

SYMBOL = "BTCUSDT"
DEPTHS = (1, 50, 200, 500, 1000)
_MS = 1_769_000_000_000


@dataclass(frozen=True, slots=True)
class Seed:
    """A frame that both readers accept, and the category of the socket it came by."""

    category: Category
    frame: bytes


def _rows(levels: list[tuple[str, str]]) -> str:
    return ",".join(f'["{price}","{size}"]' for price, size in levels)


def book_frame(
    category: Category,
    depth: int,
    *,
    kind: str,
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    update_id: int = 1_000,
    sequence: int = 77,
    symbol: str = SYMBOL,
    ts_ms: int = _MS,
) -> bytes:
    """Return an order book frame; spot and level 1 name the time before the type."""
    when, what = f'"ts":{ts_ms}', f'"type":"{kind}"'
    head = f"{when},{what}" if category is Category.SPOT or depth == 1 else f"{what},{when}"
    return (
        f'{{"topic":"orderbook.{depth}.{symbol}",{head},"data":{{"s":"{symbol}",'
        f'"b":[{_rows(bids)}],"a":[{_rows(asks)}],"u":{update_id},"seq":{sequence}}},'
        f'"cts":{ts_ms - 3}}}'
    ).encode()


def trade_frame(
    category: Category, trades: list[tuple[str, str, str]], *, symbol: str = SYMBOL
) -> bytes:
    """Return a publicTrade frame of (side, price, size) trades."""
    rows = []
    for number, (side, price, size) in enumerate(trades):
        if category is Category.SPOT:
            rows.append(
                f'{{"i":"229000000{number}","T":{_MS + number},"p":"{price}","v":"{size}",'
                f'"S":"{side}","seq":{900 + number},"s":"{symbol}","BT":false,"RPI":true}}'
            )
        else:
            rows.append(
                f'{{"T":{_MS + number},"s":"{symbol}","S":"{side}","v":"{size}","p":"{price}",'
                f'"L":"ZeroMinusTick","i":"5d0f1f2a-8c1b-5d1e-9a3f-0d5c2f3b4a{number:02d}",'
                f'"BT":true,"RPI":false,"seq":{900 + number}}}'
            )
    when, what = f'"ts":{_MS + 5}', '"type":"snapshot"'
    head = f"{when},{what}" if category is Category.SPOT else f"{what},{when}"
    return f'{{"topic":"publicTrade.{symbol}",{head},"data":[{",".join(rows)}]}}'.encode()


def corpus(chance: Random) -> list[Seed]:
    """Return frames of every topic, kind and shape, small ones mostly: they mutate faster."""
    seeds = []
    for category in (Category.LINEAR, Category.SPOT):
        for depth in DEPTHS:
            for count in (0, 1, 2, 5) if depth > 1 else (1,):
                for kind in ("snapshot", "delta"):
                    seeds.append(
                        Seed(
                            category,
                            book_frame(
                                category,
                                depth,
                                kind=kind,
                                bids=_levels(chance, count, -1, kind),
                                asks=_levels(chance, max(0, count - 1), 1, kind),
                                update_id=chance.choice([2, 1_000, 4_521_334]),
                            ),
                        )
                    )
        for count in (1, 2, 4):
            trades = [
                (chance.choice(["Buy", "Sell"]), _price(chance, 0), _size(chance))
                for _ in range(count)
            ]
            seeds.append(Seed(category, trade_frame(category, trades)))
    return seeds


def _levels(chance: Random, count: int, sign: int, kind: str) -> list[tuple[str, str]]:
    places = sorted(chance.sample(range(1, 30), count))
    return [
        (
            _price(chance, sign * place),
            "0" if kind == "delta" and chance.random() < 0.3 else _size(chance),
        )
        for place in places
    ]


def _price(chance: Random, place: int) -> str:
    units = 6_000_000 + place
    return f"{units // 100}.{units % 100:02d}" + chance.choice(["", "", "", "0", "000"])


def _size(chance: Random) -> str:
    return chance.choice(["1", "0.001", "12.5", "0.250", "3.1000", "17"])
