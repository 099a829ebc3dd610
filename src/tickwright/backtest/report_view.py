"""Owns what a terminal shows of a backtest or of several; refuses to work figures out."""

from collections.abc import Mapping
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tickwright.backtest import report_words as say
from tickwright.backtest.charts import symbol_of
from tickwright.backtest.compare import Comparison
from tickwright.backtest.compare_page import value_text
from tickwright.backtest.metrics_splits import SplitRow
from tickwright.backtest.quality import Quality
from tickwright.backtest.record import RunRecord
from tickwright.backtest.report import BacktestReport, make_report

__all__ = ["print_comparison", "print_summary"]

ROWS_SHOWN = 12
REASONS_SHOWN = 6


def print_summary(found: RunRecord | BacktestReport, console: Console | None = None) -> None:
    """Print a run's figures: result, risk, trades, costs, execution, books, refusals."""
    report = make_report(found, is_drawn=False) if isinstance(found, RunRecord) else found
    console = console or Console(highlight=False)
    facts = report.facts
    console.print()
    speed = "" if facts.rows_per_s is None else f", {facts.rows_per_s:,.0f} level rows/s"
    console.print(
        Text(
            f"{facts.mode} {facts.name} - {say.duration(facts.seconds)} of market in "
            f"{say.duration(facts.wall_seconds)}{speed}",
            style="bold",
        )
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    _add_results(table, report)
    _add_execution(table, report.quality)
    console.print(table)
    metrics = report.metrics
    for title, rows in (("strategy", metrics.by_strategy), ("symbol", metrics.by_symbol)):
        if len(rows) > 1:
            console.print(_split_table(title, rows))
    for name, reason in report.halted.items():
        console.print(Text(f"halted {name}: {reason}", style="bold red"), soft_wrap=True)
    for note in report.notes:
        console.print(Text(note, style="dim"), soft_wrap=True)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print several runs side by side; the best of a row is bold."""
    table = Table(title=f"{len(comparison.runs)} backtests", title_justify="left", box=None)
    table.add_column("")
    for run in comparison.runs:
        # No markup: a name is somebody's text.
        table.add_column(Text(run.name), justify="right")
    section = ""
    for row in comparison.rows:
        if row.section != section:
            section = row.section
            table.add_row(Text(section, style="bold"))
        cells = [
            Text(value_text(row, value), style="bold green" if index == row.best else "")
            for index, value in enumerate(row.values)
        ]
        table.add_row(Text(f"  {row.figure}", style="dim"), *cells)
    if comparison.parameters:
        table.add_row(Text("parameters that differ", style="bold"))
    for held in comparison.parameters:
        name = Text(f"  {held.strategy} {held.name}", style="dim")
        table.add_row(name, *(Text(value) for value in held.values))
    console.print(table)
    for note in comparison.notes:
        console.print(Text(note, style="yellow"), soft_wrap=True)


def _add_results(table: Table, report: BacktestReport) -> None:
    metrics = report.metrics
    returns, drawdown, trips, costs = (
        metrics.returns,
        metrics.drawdown,
        metrics.trips,
        metrics.costs,
    )
    error = "" if returns.sharpe_error is None else f" ± {returns.sharpe_error:.2f}"
    table.add_row(
        "money",
        Text.assemble(
            "net ",
            _tinted(metrics.money.net),
            f" {metrics.equity_asset} ({say.signed_percent(returns.total_return)}), fees ",
            f"{say.money(costs.fees_paid)}, funding {say.signed_money(costs.funding_received)}, ",
            f"turnover {say.money(costs.turnover)}",
        ),
    )
    table.add_row(
        "risk",
        f"drawdown {say.percent(drawdown.depth)} ({say.money(drawdown.money)}, "
        f"{say.duration(drawdown.seconds)}), Sharpe {say.figure(returns.sharpe)}{error}, "
        f"Sortino {say.figure(returns.sortino)}, Calmar {say.figure(returns.calmar)}",
    )
    table.add_row(
        "round trips",
        f"{trips.count:,}, {say.percent(trips.win_rate)} won, profit factor "
        f"{say.figure(trips.profit_factor)}, {say.money(trips.expectancy)} each, best "
        f"{say.money(trips.best)}, worst {say.money(trips.worst)}, held "
        f"{say.duration(trips.holding_seconds_p50)}",
    )
    for book in report.books[:ROWS_SHOWN]:
        if book.stale_s or book.gaps:
            table.add_row(
                "stale book",
                Text(
                    f"{symbol_of(book.instrument)}: {say.duration(book.stale_s)} "
                    f"({say.percent(book.stale_share)}), {book.gaps} gaps",
                    style="yellow",
                ),
            )
    if report.limits_hit:
        table.add_row("limits hit", Text(_reasons(report.limits_hit)))


def _add_execution(table: Table, quality: Quality) -> None:
    orders = quality.orders
    table.add_row(
        "orders",
        f"{orders.orders:,}, {orders.arrived:,} arrived, {say.percent(orders.fill_ratio_orders)} "
        f"with a fill ({say.percent(orders.fill_ratio_size)} of size), cancel to fill "
        f"{say.figure(orders.cancel_to_fill)}, {orders.races:,} filled after the cancel was sent",
    )
    queue = quality.queue_first_ms
    table.add_row(
        "queue",
        f"to first fill {say.milliseconds(queue.p50)} / {say.milliseconds(queue.p99)} (p50, p99), "
        f"ahead {say.money(quality.ahead_notional.p50)} / {say.money(quality.ahead_notional.p99)}",
    )
    for row in quality.liquidity[1:]:
        if not row.fills:
            continue
        marks = [
            f"{one.horizon_s} s {say.estimate(one.markout.mean_bp, one.markout.error_bp)}"
            for one in quality.markouts
            if one.liquidity == row.liquidity
        ]
        table.add_row(
            row.liquidity,
            f"{row.fills:,} fills ({say.percent(row.share)}), spread "
            f"{say.points(row.effective_spread.mean_bp)} bp, slippage "
            f"{say.points(row.slippage.mean_bp)} bp, markout bp: {', '.join(marks)}"
            + (f", own impact {say.money(row.impact_money)}" if row.impact_money else ""),
        )
    if quality.refusals:
        refused: dict[str, int] = {}
        for one in quality.refusals:
            refused[one.reason] = refused.get(one.reason, 0) + one.count
        table.add_row("refused", Text(f"{sum(refused.values()):,}: {_reasons(refused)}"))


def _split_table(title: str, rows: tuple[SplitRow, ...]) -> Table:
    table = Table(title=f"by {title}", title_justify="left", box=None, padding=(0, 2))
    for name in (title, "net", "fees", "funding", "trips", "won", "fills", "maker", "turnover"):
        table.add_column(name, justify="left" if name == title else "right")
    ranked = sorted(rows, key=lambda row: -abs(row.net))
    for row in ranked[:ROWS_SHOWN]:
        table.add_row(
            Text(symbol_of(row.key)),
            _tinted(row.net),
            say.money(row.fees),
            say.signed_money(row.funding),
            say.count(row.trips),
            say.percent(row.win_rate),
            say.count(row.fills),
            say.percent(row.maker_share),
            say.money(row.turnover),
        )
    if len(ranked) > ROWS_SHOWN:
        rest = ranked[ROWS_SHOWN:]
        table.add_row(f"+ {len(rest)} more", _tinted(sum(row.net for row in rest)), style="dim")
    return table


def _reasons(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{name} {times:,}" for name, times in ranked[:REASONS_SHOWN]]
    more = len(ranked) - REASONS_SHOWN
    return ", ".join(shown) + (f", + {more} more reasons" if more > 0 else "")


def _tinted(value: float | Decimal | None) -> Text:
    if value is None:
        return Text(say.UNKNOWN, style="yellow")
    style = "green" if value > 0 else "red" if value < 0 else ""
    return Text(say.signed_money(value), style=style)
