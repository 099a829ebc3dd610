"""Owns a trading process as screens and reports see it at one moment; refuses to change it."""

import msgspec

from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.engine.summary import EngineSummary

__all__ = ["BookLine", "TraderSnapshot", "book_line", "microseconds", "percentiles"]


class BookLine(msgspec.Struct, frozen=True, kw_only=True):
    """One book as a screen shows it; prices and sizes as exact text, None when unknown."""

    symbol: str
    state: str
    age_ms: float | None
    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None
    spread_percent: float | None
    imbalance: float | None
    updates: int
    gaps: int
    update_id: int


class TraderSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A whole trading process at one moment, for screens, reports and `--json`.

    Latencies: `feed` is venue time to socket read (clock skew included), `callback` socket read to
    the engine's door, `tick_to_order` socket read to the order's bytes handed to the socket.
    """

    mode: str
    market: str
    """Where the market data comes from; the mode, but for paper runs."""
    seconds: float
    cpu_seconds: float
    messages: int
    book_updates: int
    trades: int
    frames_per_turn_max: int
    turn_us_p99: float | None
    conflated: int
    feed_ms: dict[str, float]
    callback_us: dict[str, float]
    tick_to_order_us: dict[str, float]
    gaps: int
    resyncs: int
    reconnects: int
    suspicions: int
    alarms: int
    refused_frames: int
    audits_agreed: int
    audits_differed: int
    clock_offset_ms: float
    books_synced: int
    books: tuple[BookLine, ...]
    engine: EngineSummary
    log_is_whole: bool
    log_bytes: int
    journal_entries: int
    last_refusals: tuple[str, ...]
    last_signals: tuple[str, ...]
    notes: tuple[str, ...]


def book_line(book: OrderBook, now_ns: int) -> BookLine:
    """Return a book as a screen shows it."""
    bids, asks = book.bids_text(1), book.asks_text(1)
    age_ns = book.age_ns(now_ns)
    return BookLine(
        symbol=book.symbol,
        state=book.state.name.lower(),
        age_ms=None if age_ns is None else age_ns / 1e6,
        bid=bids[0][0] if bids else None,
        bid_size=bids[0][1] if bids else None,
        ask=asks[0][0] if asks else None,
        ask_size=asks[0][1] if asks else None,
        spread_percent=book.spread_percent,
        imbalance=book.imbalance(10),
        updates=book.update_count + book.snapshot_count,
        gaps=book.gap_count,
        update_id=book.update_id,
    )


def percentiles(histogram: LatencyHistogram, unit: float) -> dict[str, float]:
    """Return count, p50, p99 and max in a unit of so many ns; empty when nothing was counted."""
    if histogram.count == 0:
        return {}
    result = {"count": float(histogram.count)}
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        value = histogram.percentile_ns(fraction)
        assert value is not None
        result[name] = value / unit
    result["max"] = histogram.max_ns / unit
    return result


def microseconds(value_ns: int | None) -> float | None:
    """Return ns as us; None stays None."""
    return None if value_ns is None else value_ns / 1e3
