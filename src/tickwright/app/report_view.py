"""Owns drawing the report of a run for people; measures and decides nothing."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickwright.app.article import both_text
from tickwright.app.history_tap import HistoryReport
from tickwright.app.notice_log import utc
from tickwright.app.progress import mode_banner
from tickwright.app.replay_run import replay_words
from tickwright.app.report import ArticleRow, ResultReport, RunReport

__all__ = ["show_report"]

SYMBOLS_SHOWN = 12
REASONS_SHOWN = 8
LIMITS_SHOWN = 8
DIFFERENCES_SHOWN = 5


def show_report(report: RunReport, console: Console) -> None:
    """Print a report, with the article's figures where it holds them."""
    console.print()
    console.print(Text(_headline(report), style="bold"))
    if report.article:
        console.print(_article_table(report.article))
    console.print(_trading_table(report))
    if report.limits_hit or report.protections_entered or report.protections:
        console.print(_limits_table(report))
    if report.symbols:
        console.print(_symbol_table(report))
    if len(report.strategies) > 1 or len(report.symbols) > 1:
        console.print(_result_table(report))
    for part in _endings(report):
        console.print(part, soft_wrap=True)


def _headline(report: RunReport) -> str:
    ended = "" if report.ended_by == "time" else f", ended by {report.ended_by}"
    if report.is_broken:
        ended = f", BROKEN: {report.ended_by}"
    return f"{mode_banner(report.mode, report.market)} - {report.seconds:.1f} s{ended}"


def _article_table(rows: Sequence[ArticleRow]) -> Table:
    table = Table(title="the article's figures and this run's", title_justify="left")
    table.add_column("")
    table.add_column("article", justify="right")
    table.add_column("here", justify="right", style="bold green")
    table.add_column("what was measured here", style="dim")
    for row in rows:
        table.add_row(row.what, row.article, row.here, row.measured)
    return table


def _trading_table(report: RunReport) -> Table:
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
    if not report.article:
        table.add_row("read to strategy", f"{both_text(report.callback_us)} (p50, p99)")
        table.add_row("tick to order", f"{both_text(report.tick_to_order_us)} (p50, p99)")
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


def _limits_table(report: RunReport) -> Table:
    """Say which limits and protections spoke, how often, and the figures of the last time."""
    table = Table(title="limits hit", title_justify="left", box=None, padding=(0, 2))
    table.add_column("limit")
    table.add_column("times", justify="right")
    table.add_column("the last time")
    for hit in report.limits_hit[:LIMITS_SHOWN]:
        table.add_row(hit.reason, str(hit.count), Text(f"{hit.strategy_id}: {hit.last}"))
    if len(report.limits_hit) > LIMITS_SHOWN:
        rest = report.limits_hit[LIMITS_SHOWN:]
        count = sum(hit.count for hit in rest)
        table.add_row(f"+ {len(rest)} more", str(count), "", style="dim")
    for kind, count in report.protections_entered.items():
        table.add_row(f"protection {kind}", str(count), "entered in this run", style="yellow")
    for row in report.protections[:LIMITS_SHOWN]:
        end = "until a person lifts it" if row.until_ns is None else f"until {utc(row.until_ns)}"
        words = Text(f"{row.state} {end}: {row.reason}", style="red")
        table.add_row(Text(row.name, style="bold red"), "", words)
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


def _result_table(report: RunReport) -> Table:
    table = Table(
        title="by strategy, in the equity asset", title_justify="left", box=None, padding=(0, 2)
    )
    for name in ("account", "strategy", "traded", "realised", "unrealised", "fees", "net", "today"):
        table.add_column(name, justify="left" if name in ("account", "strategy") else "right")
    for account, strategy_id, rows in _by_strategy(report):
        table.add_row(
            account,
            strategy_id,
            _plain(_sum(row.total.traded for row in rows)),
            _money(_sum(row.total.realised for row in rows)),
            _money(_sum(row.total.unrealised for row in rows)),
            _plain(_sum(row.total.fees for row in rows)),
            _money(_sum(row.total.net for row in rows)),
            _money(_sum(row.day.net for row in rows)),
        )
    return table


def _by_strategy(report: RunReport) -> Sequence[tuple[str, str, list[ResultReport]]]:
    groups: dict[tuple[str, str], list[ResultReport]] = {}
    for row in report.results:
        owner = "all" if row.symbol is None else row.strategy_id or "unowned"
        groups.setdefault((row.account, owner), []).append(row)
    return [(account, owner, rows) for (account, owner), rows in groups.items()]


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _plain(value: Decimal | None) -> Text:
    return Text("unknown", style="yellow") if value is None else Text(f"{value:.2f}")


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
    if report.redis is not None:
        redis = report.redis
        parts.append(
            Text(
                f"mirror {redis.address}: {redis.books} books, {redis.trades} trades, "
                f"{redis.signals} signals; away {redis.outages} times, {redis.outage_s:.1f} s, "
                f"{redis.entries_lost} lost",
                style="yellow" if redis.outages or redis.entries_lost else "",
            )
        )
    if report.history is not None:
        parts.append(_history(report.history))
    if report.session is not None:
        whole = "" if report.session_is_whole else ", NOT WHOLE: see the log"
        parts.append(
            Group(
                Text(f"session: {report.session} ({report.session_mb:.1f} MB{whole})"),
                Text(f"replay it: tickwright run --replay {report.session}", style="dim"),
            )
        )
    return parts


def _history(history: HistoryReport) -> Text:
    waits = f", {history.spool_bytes / 1e6:.1f} MB wait in the spool" * bool(history.spool_batches)
    lost = f", {history.lost + history.refused} rows LOST" * bool(history.lost + history.refused)
    away = f"; away {history.outages} times, {history.outage_s:.1f} s" * bool(history.outages)
    return Text(
        f"history {history.database}: {history.rows} rows{waits}{lost}{away}",
        style="bold red" if lost else "yellow" if waits or away else "",
    )


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
