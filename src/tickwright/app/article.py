"""Owns the comparison with the article this project began from: its figures beside a run's.

Each row says what exactly was measured: a figure without its sample is a boast. The article's
50,000 messages a second are a stress figure; a run shows its market's own rate and says so.
"""

from tickwright.app.report import ArticleRow, Latency, RunReport

__all__ = ["article_rows", "both_text", "us_text"]


def article_rows(report: RunReport) -> tuple[ArticleRow, ...]:
    """Return the article's figures beside this run's."""
    rows = [
        ArticleRow(
            what="messages",
            article="50,000/s",
            here=f"{report.messages_per_s:,.0f}/s",
            measured="this market's own rate; 50,000/s is a stress figure that 50 symbols never "
            "reach on a real venue: `make bench` measures it",
        ),
        ArticleRow(
            what="symbols",
            article="50",
            here=f"{report.books_kept}",
            measured=f"{report.books_synced} of {report.books_kept} books valid at the end",
        ),
        *_update_rows(report),
        ArticleRow(
            what="signal to order",
            article="2.1 ms",
            here=f"{both_text(report.tick_to_order_us)} p99",
            measured=f"{report.tick_to_order_us.count} orders: from the socket read of the frame, "
            "through strategy, risk gate and journal, to the bytes handed to the socket",
        ),
        ArticleRow(
            what="memory",
            article="2 GB (100 symbols)",
            here="-" if report.memory_mb is None else f"{report.memory_mb:.0f} MB",
            measured=f"resident memory of this process: {report.books_kept} books, the screen "
            "and the report",
        ),
    ]
    if report.cut is not None:
        healed = report.cut.valid_after_ms
        rows.append(
            ArticleRow(
                what="reconnect",
                article="3 s, ends after 10",
                here="not healed" if healed is None else f"{healed:.0f} ms",
                measured=f"public socket reset at {report.cut.at_s:.1f} s until all "
                f"{report.cut.books} books were valid again",
            )
        )
    return tuple(rows)


def _update_rows(report: RunReport) -> list[ArticleRow]:
    rows = []
    replay = report.replay
    if replay is not None and replay.frame_us_average is not None:
        average, p99 = us_text(replay.frame_us_average), us_text(replay.frame_us_p99)
        rows.append(
            ArticleRow(
                what="book update",
                article="0.3 ms, 1.2 ms p99",
                here=f"{average}, {p99} p99",
                measured=f"the work alone: {replay.frames:,} frames of this run once more, bytes "
                "to book to strategies to risk",
            )
        )
    rows.append(
        ArticleRow(
            what="the same, live",
            article="-",
            here=f"{both_text(report.callback_us)} p99",
            measured="median, p99 from socket read to strategy, waiting behind its burst included",
        )
    )
    return rows


def both_text(latency: Latency) -> str:
    """Return median and p99 for people."""
    return f"{us_text(latency.p50)}, {us_text(latency.p99)}"


def us_text(value: float | None) -> str:
    """Return microseconds for people."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f} µs"
    return f"{value / 1e3:.1f} ms" if value >= 1_000 else f"{value:.0f} µs"
