"""Owns drawing the report of a run for people; measures and decides nothing.

The demo's table sets the figures of the article that this project began from beside the measured
ones, each with what exactly was measured: a figure without its sample is a boast.
"""

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickwright.app.progress import mode_banner
from tickwright.app.replay_run import replay_words
from tickwright.app.report import Latency, RunReport

__all__ = ["ArticleRow", "article_rows", "show_report"]

SYMBOLS_SHOWN = 12
REASONS_SHOWN = 8
DIFFERENCES_SHOWN = 5

ArticleRow = tuple[str, str, str, str]
"""What, the article's figure, the measured one, what was measured."""


def article_rows(report: RunReport) -> list[ArticleRow]:
    """Return the article's figures beside this run's."""
    replay = report.replay
    kept = f"{report.books_synced} of {report.books_kept} books valid at the end"
    rows: list[ArticleRow] = [
        (
            "messages",
            "50,000/s",
            f"{report.messages_per_s:,.0f}/s",
            "the market's own rate here; 50,000/s is a stress figure no real market of 50 symbols "
            "sends: `make bench` measures it",
        ),
        ("symbols", "50", f"{report.books_kept}", kept),
    ]
    if replay is not None and replay.frame_us_average is not None:
        rows.append(
            (
                "book update",
                "0.3 ms avg, 1.2 ms p99",
                f"{_us(replay.frame_us_average)} avg, {_us(replay.frame_us_p99)} p99",
                f"{replay.frames:,} frames of this run again: bytes to book, features, strategies",
            )
        )
    rows += [
        (
            "the same, live",
            "-",
            _both(report.callback_us),
            "p50, p99 from socket read to strategy, waiting behind its burst included",
        ),
        (
            "signal to order",
            "2.1 ms",
            _both(report.tick_to_order_us),
            f"p50, p99 of {report.tick_to_order_us.count} orders: socket read of the frame to the "
            "order's bytes handed to the socket, journal written before",
        ),
        (
            "memory",
            "2 GB (100 symbols)",
            "-" if report.memory_mb is None else f"{report.memory_mb:.0f} MB",
            f"resident memory of this process with {report.books_kept} books and this screen",
        ),
    ]
    if report.cut is not None:
        healed = report.cut.valid_after_ms
        rows.append(
            (
                "reconnect",
                "3 s, gives up after 10",
                "not healed" if healed is None else f"{healed:.0f} ms",
                f"public socket reset at {report.cut.at_s:.1f} s until all {report.cut.books} "
                "books were valid again",
            )
        )
    return rows


def show_report(report: RunReport, console: Console, *, has_article: bool = False) -> None:
    """Print a report; one of the demo with the article's figures."""
    console.print()
    console.print(Text(_headline(report), style="bold"))
    if has_article:
        console.print(_article_table(report))
    console.print(_trading_table(report, wants_latency=not has_article))
    if report.symbols:
        console.print(_symbol_table(report))
    for part in _endings(report):
        console.print(part, soft_wrap=True)


def _headline(report: RunReport) -> str:
    ended = "" if report.ended_by == "time" else f", ended by {report.ended_by}"
    return f"{mode_banner(report.mode)} - {report.seconds:.1f} s{ended}"


def _article_table(report: RunReport) -> Table:
    table = Table(title="the article's figures and this run's", title_justify="left", expand=False)
    table.add_column("")
    table.add_column("article", justify="right", no_wrap=False)
    table.add_column("here", justify="right", style="bold green")
    table.add_column("what was measured", style="dim", ratio=None)
    for row in article_rows(report):
        table.add_row(*row)
    return table


def _trading_table(report: RunReport, *, wants_latency: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_row(
        "market",
        f"{report.messages:,} messages ({report.messages_per_s:,.0f}/s), {report.trades:,} trades, "
        f"{report.books_synced}/{report.books_kept} books synced",
    )
    table.add_row(
        "faults",
        f"{report.gaps} gaps, {report.resyncs} resyncs, {report.reconnects} reconnects, "
        f"{report.refused_frames} refused frames; REST audits: {report.audits_agreed} agreed, "
        f"{report.audits_differed} differed",
    )
    if wants_latency:
        table.add_row("read to strategy", f"{_both(report.callback_us)} (p50, p99)")
        table.add_row("tick to order", f"{_both(report.tick_to_order_us)} (p50, p99)")
    memory = "" if report.memory_mb is None else f", {report.memory_mb:.0f} MB resident"
    share = report.cpu_seconds / max(report.seconds, 1e-9)
    table.add_row("cost", f"{report.cpu_seconds:.1f} s of CPU ({share:.0%} of a core){memory}")
    refused = sum(report.refusals.values())
    table.add_row("signals", f"{report.signals} to open, {report.exits} to leave")
    table.add_row("refused", f"{refused}{_reasons(report.refusals)}")
    table.add_row(
        "orders",
        f"{report.orders} placed, {report.cancels} cancelled, {report.fills} fills, "
        f"{report.brackets.stop_losses} stop losses, {report.brackets.take_profits} take profits",
    )
    pnl = report.pnl
    table.add_row(
        "money",
        Text.assemble(
            "realised ",
            _money(pnl.realised),
            ", unrealised ",
            _money(pnl.unrealised),
            f", fees {pnl.fees:.2f}",
            "" if not pnl.funding else f", funding {pnl.funding:+.2f}",
            ", net ",
            _money(pnl.net),
        ),
    )
    for halt in report.halts:
        table.add_row(Text("halted", style="bold red"), Text(halt, style="red"))
    return table


def _symbol_table(report: RunReport) -> Table:
    table = Table(title="by symbol", title_justify="left", box=None, padding=(0, 2), expand=False)
    for name in ("symbol", "left", "realised", "unrealised", "fees", "net"):
        table.add_column(name, justify="left" if name == "symbol" else "right", style="")
    ranked = sorted(report.symbols, key=lambda one: -abs(one.pnl.net))
    for one in ranked[:SYMBOLS_SHOWN]:
        table.add_row(
            one.symbol,
            f"{one.size.normalize():f}" if one.size else "flat",
            _money(one.pnl.realised),
            _money(one.pnl.unrealised),
            f"{one.pnl.fees:.2f}",
            _money(one.pnl.net),
        )
    if len(ranked) > SYMBOLS_SHOWN:
        rest = sum((one.pnl.net for one in ranked[SYMBOLS_SHOWN:]), Decimal(0))
        count = len(ranked) - SYMBOLS_SHOWN
        table.add_row(f"+ {count} more", "", "", "", "", _money(rest), style="dim")
    return table


def _endings(report: RunReport) -> Sequence[RenderableType]:
    parts: list[RenderableType] = []
    for check in report.ledger:
        if check.is_equal is None:
            words = f"ledger of {check.account}: the venue couldn't be asked: {check.fault}"
            parts.append(Text(words, style="yellow"))
        elif check.is_equal:
            parts.append(
                Text(
                    f"ledger of {check.account} equals the venue's: {check.positions} positions, "
                    f"{check.assets} wallet balances, to the last digit",
                    style="green",
                )
            )
        else:
            parts.append(Text(f"ledger of {check.account} DIFFERS:", style="bold red"))
            parts += [Text(f"  {text}", style="red") for text in check.differences]
    if report.replay is not None:
        style = "green" if report.replay.is_identical else "bold red"
        parts.append(Text(replay_words(report.replay), style=style))
    if report.session is not None:
        whole = "" if report.session_is_whole else ", NOT WHOLE: see the log"
        parts.append(
            Group(
                Text(f"session: {report.session} ({report.session_mb:.1f} MB{whole})"),
                Text(f"replay it: tickwright run --replay {report.session}", style="dim"),
            )
        )
    return parts


def _reasons(refusals: dict[str, int]) -> str:
    if not refusals:
        return ""
    shown = [f"{name} {count}" for name, count in list(refusals.items())[:REASONS_SHOWN]]
    more = len(refusals) - REASONS_SHOWN
    return f": {', '.join(shown)}" + (f", + {more} more reasons" if more > 0 else "")


def _money(value: Decimal | None) -> Text:
    if value is None:
        return Text("unknown", style="yellow")
    style = "green" if value > 0 else "red" if value < 0 else ""
    return Text(f"{value:+.2f}", style=style)


def _both(latency: Latency) -> str:
    return f"{_us(latency.p50)}, {_us(latency.p99)}"


def _us(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1e3:.1f} ms" if value >= 1_000 else f"{value:.0f} µs"
