"""Owns the live table of `watch`; refuses to cost more than a glance twice a second.

The rows are laid out by hand and handed to rich as one text: a rich table of a hundred rows would
hold the event loop for tens of milliseconds, and stand in the figures it shows.
"""

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tickwright.app.watch import age_s
from tickwright.book.order_book import OrderBook
from tickwright.core.events import BookState

if TYPE_CHECKING:
    from tickwright.app.watch import Watch

__all__ = ["WatchTable"]

NOTES_MAX = 3
FRAME_ROWS = 5 + NOTES_MAX
_HEAD = (
    f"{'symbol':<16}{'state':<10}{'age s':>7}{'bid size':>14}{'bid':>14}{'ask':>14}{'ask size':>14}"
    f"{'spread bps':>12}{'updates/s':>11}"
)


class WatchTable:
    """Draws the books on a terminal; does nothing when not live."""

    def __init__(self, *, is_live: bool) -> None:
        self._is_live = is_live
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, screen=False)
        self._notes: list[str] = []
        self._seen: dict[str, int] = {}
        self._seen_s = 0.0
        self._messages = 0

    def __enter__(self) -> "WatchTable":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._live.stop()

    def note(self, event: str, text: str) -> None:
        """Keep the last few remarks below the table."""
        self._notes = [*self._notes[1 - NOTES_MAX :], f"{event}: {text}"]

    def show(self, watch: "Watch") -> None:
        """Draw the newest state."""
        since_s = max(watch.seconds - self._seen_s, 1e-3)
        self._seen_s = watch.seconds
        text = Text(no_wrap=True, overflow="crop")
        text.append(_HEAD + "\n", "bold")
        books = watch.books
        shown = books[: max(1, self._console.size.height - FRAME_ROWS)]
        for book in shown:
            count = book.update_count + book.snapshot_count
            rate = (count - self._seen.get(book.symbol, count)) / since_s
            self._seen[book.symbol] = count
            text.append(_row(book, rate) + "\n", None if book.is_synced else "yellow")
        if len(shown) < len(books):
            text.append(f"... and {len(books) - len(shown)} more books\n", "dim")
        text.append(self._totals(watch, since_s) + "\n", "bold")
        for remark in self._notes:
            text.append(remark + "\n", "dim")
        self._live.update(text, refresh=True)

    def _totals(self, watch: "Watch", since_s: float) -> str:
        messages = watch.message_count
        rate = (messages - self._messages) / since_s
        self._messages = messages
        synced = sum(1 for book in watch.books if book.state is BookState.SYNCED)
        counts = watch.feed.collect()
        callback = watch.feed.callback_time()
        p50, p99 = callback.percentile_ns(0.5), callback.percentile_ns(0.99)
        latency = "" if p50 is None or p99 is None else f"{p50 / 1e3:.1f}/{p99 / 1e3:.1f} us"
        return (
            f"{watch.seconds:7.1f} s  {synced}/{len(watch.books)} synced  {messages} messages "
            f"{rate:.0f}/s  {watch.watcher.trade_count} trades  read to callback p50/p99 "
            f"{latency}  gaps {counts.gaps}  resyncs {counts.resyncs}  "
            f"reconnects {counts.reconnects}"
        )


def _row(book: OrderBook, rate: float) -> str:
    instrument = book.instrument
    age = age_s(book)
    bid, bid_size, ask, ask_size = "-", "-", "-", "-"
    if book.best_bid is not None and book.best_bid_size is not None:
        bid = instrument.price_text(book.best_bid)
        bid_size = instrument.size_text(book.best_bid_size)
    if book.best_ask is not None and book.best_ask_size is not None:
        ask = instrument.price_text(book.best_ask)
        ask_size = instrument.size_text(book.best_ask_size)
    spread = book.spread_percent
    return (
        f"{book.symbol:<16}{book.state.name.lower():<10}"
        f"{'-' if age is None else f'{age:.2f}':>7}"
        f"{bid_size:>14}{bid:>14}{ask:>14}{ask_size:>14}"
        f"{'-' if spread is None else f'{spread * 100:.2f}':>12}{rate:>11.1f}"
    )
