"""Books that change, and a mirror that writes them, for tests of the mirror."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from random import Random

from tests.oracle.instruments import make_instrument
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import SignalNotice
from tickwright.core.events import Trade
from tickwright.core.identity import StrategyId
from tickwright.core.orders import Side
from tickwright.core.signals import Signal, SignalKind
from tickwright.core.verdicts import Check, Reason, Rejected
from tickwright.net.listener import utc_now_ns
from tickwright.storage.redis_address import RedisAddress, parse_redis_url
from tickwright.storage.redis_mirror import MirrorOptions, RedisMirror

__all__ = ["Market", "mirroring", "until"]

UNTIL_S = 30.0


class Market:
    """Some books with twenty levels a side, whose best bid's size counts the moves."""

    def __init__(self, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> None:
        self.instruments = {symbol: make_instrument(symbol) for symbol in symbols}
        self.books = [OrderBook(one, capacity=50) for one in self.instruments.values()]
        self.moves = 0
        self.trade_count = 0
        for book in self.books:
            book.apply_snapshot(
                [(10_000 - i, 1_000 + i) for i in range(20)],
                [(10_001 + i, 2_000 + i) for i in range(20)],
                update_id=1,
                received_ns=utc_now_ns(),
                sequence=7,
                venue_ns=utc_now_ns(),
            )

    def move(self) -> None:
        self.moves += 1
        for book in self.books:
            book.apply_delta(
                [(10_000, 1_000 + self.moves)],
                [],
                update_id=book.update_id + 1,
                received_ns=utc_now_ns(),
            )

    def trades(self, count: int) -> list[Trade]:
        made = []
        for _ in range(count):
            self.trade_count += 1
            made.append(
                Trade(
                    instrument_id=self.books[0].instrument_id,
                    side=Side.BUY,
                    price_units=10_001,
                    size_units=5,
                    trade_id=f"t{self.trade_count}",
                    venue_ns=utc_now_ns(),
                    received_ns=utc_now_ns(),
                )
            )
        return made

    def find(self, symbol: str):
        return self.instruments[symbol]

    def signal(self, reason: str = "z -2.5") -> SignalNotice:
        return SignalNotice(
            strategy_id=StrategyId("lean"),
            signal=Signal(
                instrument_id=self.books[0].instrument_id,
                kind=SignalKind.LONG,
                confidence=0.5,
                reason=reason,
            ),
            verdict=Rejected(Check(Reason.NO_EQUITY, "0", "1")),
            client_id=None,
            event_id=42,
            now_ns=utc_now_ns(),
        )


@contextlib.asynccontextmanager
async def mirroring(
    url: str | RedisAddress,
    market: Market,
    *,
    options: MirrorOptions | None = None,
    notes: list[str] | None = None,
    clean: Callable[[str], str] = str,
) -> AsyncIterator[RedisMirror]:
    """Mirror the market for the block; the mirror must end by itself and in time."""
    mirror = RedisMirror(
        parse_redis_url(url) if isinstance(url, str) else url,
        options or MirrorOptions(interval_ms=10, levels=10, expire_ms=1_500),
        books=lambda: market.books,
        random=Random(1),
        clean=clean,
        on_note=None if notes is None else lambda event, text: notes.append(f"{event} {text}"),
    )
    running = asyncio.create_task(mirror.run())
    try:
        yield mirror
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await mirror.aclose()


async def until(is_true: Callable[[], object], what: str) -> None:
    """Wait until it is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + UNTIL_S
    while not is_true():
        assert loop.time() < deadline, f"waited {UNTIL_S:g} s for: {what}"
        await asyncio.sleep(0.01)
