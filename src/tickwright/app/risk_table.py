"""Owns drawing the picture of an account's risk for people; computes and decides nothing."""

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tickwright.app.progress import mode_banner
from tickwright.app.risk_view import (
    LimitLine,
    OrderVerdict,
    RiskAccount,
    RiskReport,
    StressLine,
)

__all__ = ["show_risk"]

BAR = 12
BREACHES_SHOWN = 4
_OUTCOMES = {
    "passed": "green",
    "approved": "bold green",
    "reduced": "yellow",
    "refused": "bold red",
    "unknown": "yellow",
}


def show_risk(report: RiskReport, console: Console) -> None:
    """Print accounts, limits, stress and the verdict, what was asked about last."""
    banner = "offline" if report.is_offline else mode_banner(report.mode)
    console.print(Text(f"{banner} - risk at {report.time}", style="bold"))
    for account in report.accounts:
        console.print(_account_table(account, report.asset))
        if account.positions:
            console.print(_position_table(account))
        rows = [row for row in report.limits if row.account == account.account]
        console.print(_limit_table(account, rows))
        shocks = [row for row in report.stress if row.account == account.account]
        if shocks and account.positions:
            console.print(_stress_table(account, shocks))
    for row in report.protections:
        end = "until a person lifts it" if row.until_ns is None else "until its time is over"
        words = f"{row.state} {row.scope} by {row.kind}, {end}: {row.reason}"
        console.print(Text(words, style="bold yellow"), soft_wrap=True)
    for halt in report.halts:
        console.print(Text(f"halted {halt}", style="bold red"), soft_wrap=True)
    for words in report.unknown:
        console.print(Text(f"unknown: {words}", style="dim"), soft_wrap=True)
    if report.order is not None:
        _show_verdict(report.order, console)


def _account_table(account: RiskAccount, asset: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_row("account", f"{account.account} ({asset})")
    table.add_row(
        "equity",
        Text.assemble(
            _plain(account.equity),
            ", today ",
            _signed(account.day_change),
            ", peak ",
            _plain(account.peak_equity),
        ),
    )
    table.add_row(
        "held",
        Text.assemble(
            "gross ",
            _plain(account.gross),
            ", net ",
            _signed(account.net),
            ", with orders ",
            _plain(account.exposure),
            ", leverage ",
            _plain(account.leverage, digits=3),
        ),
    )
    table.add_row(
        "margin at the venue",
        Text.assemble(
            "initial ",
            _plain(account.initial_margin),
            ", maintenance ",
            _plain(account.maintenance_margin),
            ", available ",
            _plain(account.available),
            ", ratio ",
            _percent(account.margin_ratio),
        ),
    )
    table.add_row("liquidation", _liquidation(account))
    return table


def _liquidation(account: RiskAccount) -> Text:
    if account.liquidation_percent is not None:
        words = f"if every price moves {account.liquidation_percent:+.2f} %"
        near = abs(account.liquidation_percent) < 10
        return Text(words, style="bold red" if near else "")
    return Text("no move of all prices brings it" if account.is_liquidation_known else "unknown")


def _position_table(account: RiskAccount) -> Table:
    table = _table(f"positions of {account.account}")
    for name in (
        "symbol",
        "size",
        "entry",
        "mark",
        "notional",
        "unrealised",
        "liquidation",
        "orders",
    ):
        table.add_column(name, justify="left" if name == "symbol" else "right")
    for row in account.positions:
        leg = "" if row.leg == "net" else f" {row.leg}"
        away = "" if row.liquidation_percent is None else f" ({row.liquidation_percent:+.1f} %)"
        table.add_row(
            f"{row.symbol} {row.category}{leg}",
            _figure(row.size),
            _figure(row.entry_price),
            _figure(row.mark_price),
            _plain(row.notional),
            _signed(row.unrealised),
            f"{_figure(row.liquidation_price)}{away}" if row.liquidation_price else away or "-",
            f"{row.open_orders}",
        )
    return table


def _limit_table(account: RiskAccount, rows: Iterable[LimitLine]) -> Table:
    table = _table(f"limits of {account.account}")
    for name in ("limit", "set to", "of", "use", "bound", "headroom", "unit", "used"):
        is_number = name in ("set to", "use", "bound", "headroom")
        justify: JustifyMethod = "right" if is_number else "left"
        table.add_column(name, justify=justify, no_wrap=name in ("limit", "used"))
    for row in rows:
        name = "" if row.scope == "account" else row.name
        table.add_row(
            row.limit,
            _set_to(account, row),
            escape(name or row.scope),
            _figure(row.use) if row.use is not None else Text("unknown", style="yellow"),
            _figure(row.bound),
            _figure(row.headroom),
            row.unit,
            _bar(row),
        )
    return table


def _set_to(account: RiskAccount, row: LimitLine) -> str:
    """Return the configured figure: the narrowest table that names it speaks first."""
    limits = account.limits
    strategy, _, symbol = row.name.rpartition(" ")
    for scope in (limits.strategies.get(strategy), limits.symbols.get(symbol), limits):
        value = getattr(scope, row.limit, None)
        if value is not None:
            return str(value)
    return "-"


def _bar(row: LimitLine) -> Text:
    if row.use is None:
        return Text("?" * BAR, style="yellow")
    share = Decimal(1 if row.use > 0 else 0)
    if row.bound:
        share = min(Decimal(1), max(Decimal(0), row.use / row.bound))
    filled = int(share * BAR)
    style = "bold red" if row.is_reached else "yellow" if share > Decimal("0.8") else "green"
    return Text(f"{'#' * filled}{'.' * (BAR - filled)} {share:.0%}", style=style)


def _stress_table(account: RiskAccount, rows: Iterable[StressLine]) -> Table:
    table = _table(f"stress of {account.account}: what is held, if this happened now")
    for name in ("shock", "change", "equity", "leverage", "margin ratio", "would break"):
        table.add_column(
            name,
            justify="left" if name in ("shock", "would break") else "right",
            no_wrap=name == "shock",
        )
    for row in rows:
        broken = [f"{one.limit} {one.name}".strip() for one in row.breaches]
        more = len(broken) - BREACHES_SHOWN
        words = ", ".join(broken[:BREACHES_SHOWN]) + (f", + {more} more" if more > 0 else "")
        if row.is_liquidated:
            words = f"LIQUIDATED{': ' if words else ''}{words}"
        table.add_row(
            row.shock,
            _signed(row.change),
            _plain(row.equity),
            _plain(row.leverage, digits=3),
            _percent(row.margin_ratio),
            Text(words or "-", style="red" if words else "dim"),
        )
    return table


def _show_verdict(verdict: OrderVerdict, console: Console) -> None:
    table = _table(f"{verdict.order}, by {verdict.strategy_id} on {verdict.account}")
    for name in ("check", "", "value", "bound"):
        table.add_column(name)
    for check in verdict.checks:
        style = _OUTCOMES[check.outcome]
        table.add_row(
            check.reason, Text(check.outcome, style=style), escape(check.value), escape(check.bound)
        )
    console.print(table)
    words = f"{verdict.outcome}: {verdict.order}"
    if verdict.outcome == "reduced":
        words += f" shrinks to {_figure(verdict.size_approved)}"
    if verdict.reason:
        words += f" by {verdict.reason}: {verdict.value}, bound {verdict.bound}"
    console.print(Text(words, style=_OUTCOMES[verdict.outcome]), soft_wrap=True)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 2), collapse_padding=True)


def _figure(value: Decimal | None) -> str:
    if value is None:
        return "-"
    # Five digits tell what is near its bound, and cents are told of any sum.
    decimals = min(8, max(2, 4 - value.adjusted()))
    return f"{round(value, decimals).normalize():f}"


def _plain(value: Decimal | None, *, digits: int = 2) -> Text:
    return Text("unknown", style="yellow") if value is None else Text(f"{value:.{digits}f}")


def _signed(value: Decimal | None) -> Text:
    if value is None:
        return Text("unknown", style="yellow")
    return Text(f"{value:+.2f}", style="green" if value > 0 else "red" if value < 0 else "")


def _percent(value: Decimal | None) -> Text:
    return Text("unknown", style="yellow") if value is None else Text(f"{value * 100:.2f} %")
