"""Measures what packing a book for the mirror in Redis costs the trading loop; needs no Redis."""

import time
from random import Random

from tickwright.book.order_book import OrderBook
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.net.listener import utc_now_ns
from tickwright.storage.redis_address import RedisAddress
from tickwright.storage.redis_mirror import MirrorOptions, RedisMirror

__all__ = ["main"]

BOOKS = 50
ROUNDS = 200


def _books() -> list[OrderBook]:
    made = []
    for number in range(BOOKS):
        instrument = Instrument(
            id=InstrumentId("venue", Category.LINEAR, f"S{number}USDT"),
            base_asset=f"S{number}",
            quote_asset="USDT",
            settle_asset="USDT",
            price_decimals=2,
            size_decimals=3,
            tick_units=1,
            lot_units=1,
            size_min_units=1,
            size_max_units=10**15,
            market_size_max_units=10**15,
        )
        book = OrderBook(instrument, capacity=50)
        book.apply_snapshot(
            [(6_000_000 - i, 1_000 + i) for i in range(50)],
            [(6_000_001 + i, 2_000 + i) for i in range(50)],
            update_id=1,
            received_ns=utc_now_ns(),
        )
        made.append(book)
    return made


def main() -> None:
    """Print the time and size of one book by its levels."""
    books = _books()
    for levels in (1, 10, 50):
        mirror = RedisMirror(
            RedisAddress(host="nowhere"),
            MirrorOptions(levels=levels),
            books=lambda: books,
            random=Random(1),
        )
        took = []
        for _ in range(ROUNDS):
            for book in books:
                book.prove(utc_now_ns())
            started_ns = time.perf_counter_ns()
            size = mirror.measure(books)
            took.append((time.perf_counter_ns() - started_ns) / BOOKS / 1e3)
        took.sort()
        print(
            f"{levels:>3} levels: best {took[0]:.1f}, median {took[len(took) // 2]:.1f}, "
            f"p99 {took[int(len(took) * 0.99)]:.1f} us a book, {size // BOOKS} bytes"
        )


if __name__ == "__main__":
    main()
