"""Owns the page of one backtest: its sections and their words; refuses to work figures out."""

from collections.abc import Sequence

import msgspec

from tickwright.backtest import report_words as say
from tickwright.backtest.charts import make_figures, symbol_of
from tickwright.backtest.charts_trips import TRIPS_CHARTED
from tickwright.backtest.quality import Quality
from tickwright.backtest.report import BacktestReport
from tickwright.backtest.report_execution import execution_sections
from tickwright.backtest.report_frame import (
    Markup,
    cards,
    chart,
    joined,
    pairs,
    safe,
    section,
    table,
    tinted,
    whole_page,
)
from tickwright.backtest.report_results import day_table, figure_tables, split_table
from tickwright.backtest.report_rows import CURVE_POINTS, FILLS_LISTED, POSITION_POINTS, TripRow

__all__ = ["make_page"]


def make_page(report: BacktestReport) -> str:
    """Return one HTML file with everything about a run inside.

    Raises:
        ConfigError: plotly isn't installed.
    """
    figures = make_figures(report)

    def place(name: str) -> Markup:
        return chart(name) if name in figures else Markup("")

    parts = [
        _head(report),
        cards(_headline(report)),
        _notes(report),
        section("Equity and drawdown", place("equity")),
        section("Positions", place("positions")),
        section("Day by day", place("days"), day_table(report)),
        section("Figures", figure_tables(report), place("results"), place("costs")),
        section(
            "By strategy, symbol and hour",
            place("hours"),
            *(
                split_table(title, rows)
                for title, rows in (
                    ("strategy", report.metrics.by_strategy),
                    ("symbol", report.metrics.by_symbol),
                    ("hour, UTC", report.metrics.by_hour),
                )
            ),
        ),
        _trips(report),
        *execution_sections(report, place),
        section("Books", _books(report)),
        section("Limits and halts", _limits(report)),
        section("Fills", _fills(report)),
        section("The run", _facts(report)),
        _foot(report),
    ]
    title = f"{report.facts.name} - backtest"
    return whole_page(title, "\n".join(part for part in parts if part), figures, report.charts)


def _head(report: BacktestReport) -> Markup:
    facts = report.facts
    return Markup(
        f"<header><div><h1>{safe(facts.name)}</h1>"
        f'<p class="dim">{safe(facts.mode)} · {safe(facts.started)} to {safe(facts.ended)} '
        f"({say.duration(facts.seconds)}) · "
        f"{safe(', '.join(symbol_of(name) for name in facts.instruments[:8]))}"
        f"{f' and {len(facts.instruments) - 8} more' if len(facts.instruments) > 8 else ''}</p>"
        '</div><div class="controls"><button type="button" id="page-look">light / dark</button>'
        "</div></header>"
        '<noscript><p class="dim">Figures need scripts; every number stands in the tables.</p>'
        "</noscript>"
    )


def _headline(report: BacktestReport) -> list[tuple[str, str, str]]:
    metrics, quality = report.metrics, report.quality
    money, returns, drawdown, trips = (
        metrics.money,
        metrics.returns,
        metrics.drawdown,
        metrics.trips,
    )
    asset = metrics.equity_asset
    net = None if money.net is None else float(money.net)
    made = next(row for row in quality.liquidity if row.liquidity == "maker")
    middle = len(quality.horizons_s) // 2
    markout = _markout_of(quality, "all", middle)
    error = returns.sharpe_error
    return [
        (
            f"net, {asset}",
            tinted(say.signed_money(money.net), net),
            say.signed_percent(returns.total_return),
        ),
        ("greatest drawdown", say.percent(drawdown.depth), say.money(drawdown.money)),
        ("Sharpe", say.figure(returns.sharpe), "" if error is None else f"± {error:.2f}, a year"),
        ("round trips", say.count(trips.count), f"{say.percent(trips.win_rate)} won"),
        ("profit factor", say.figure(trips.profit_factor), f"{say.money(trips.expectancy)} each"),
        (
            "fees",
            say.money(metrics.costs.fees_paid),
            f"funding {say.signed_money(metrics.costs.funding_received)}",
        ),
        ("maker share", say.percent(made.share), f"{say.count(metrics.fills)} fills"),
        (
            "fill ratio",
            say.percent(quality.orders.fill_ratio_orders),
            f"of {say.count(quality.orders.arrived)} orders",
        ),
        (
            f"markout, {quality.horizons_s[middle]} s",
            f"{say.points(markout)}",
            "bp" if markout is not None else "",
        ),
    ]


def _markout_of(quality: Quality, liquidity: str, horizon: int) -> float | None:
    wanted = quality.horizons_s[horizon]
    for row in quality.markouts:
        if (row.liquidity, row.horizon_s) == (liquidity, wanted):
            return row.markout.mean_bp
    return None


def _notes(report: BacktestReport) -> Markup:
    return Markup("".join(f'<p class="dim">{safe(note)}</p>' for note in report.notes))


def _trips(report: BacktestReport) -> Markup:
    rows = report.trips
    if not rows:
        return section("Round trips", Markup('<p class="dim">None was closed.</p>'))
    options = "".join(
        f'<option value="{row.number}">{safe(_trip_name(row))}</option>' for row in rows
    )
    whole = report.metrics.trips.count + report.metrics.trips.unknown
    words = f"{len(rows)} of {whole:,} round trips"
    if whole > len(rows):
        words += (
            f" (at most {TRIPS_CHARTED}: a quarter the best, a quarter the worst, others evenly)"
        )
    return section(
        "Round trips",
        Markup(
            f'<p class="dim">{words}. Choose one for the market around it: {_market(report)}, our '
            "orders while they were at the venue, our fills.</p>"
            '<div class="controls"><button type="button" id="page-trip-before">before</button>'
            f'<select id="page-trip" aria-label="round trip">{options}</select>'
            '<button type="button" id="page-trip-after">after</button>'
            '<span class="dim" id="page-trip-words"></span></div>'
        ),
        chart("trip"),
        table(
            (
                "no.",
                "strategy",
                "symbol",
                "side",
                "opened, UTC",
                "held",
                "size",
                "entry",
                "exit",
                "net",
                "bp",
                "fees",
            ),
            (_trip_cells(row) for row in rows),
            left=(1, 2, 3),
            marks=[f'data-trip="{row.number}"' for row in rows],
        ),
        name="round-trips",
    )


def _market(report: BacktestReport) -> str:
    with_book = sum(chart.book is not None for chart in report.charts)
    if not with_book:
        return "mids as sampled"
    which = "" if with_book == len(report.charts) else f" (of {with_book} of them)"
    return (
        f"what rested at each price, bids green and asks red, the fuller the more, and what traded"
        f"{which}, mids as sampled"
    )


def _trip_name(row: TripRow) -> str:
    return (
        f"{row.number}: {row.direction} {symbol_of(row.instrument)} {say.moment(row.opened_ms)}, "
        f"{say.signed_money(row.net)}"
    )


def _trip_cells(row: TripRow) -> Sequence[str]:
    return (
        Markup(f'<button type="button" data-trip="{row.number}">{row.number}</button>'),
        row.strategy,
        symbol_of(row.instrument),
        row.direction,
        say.moment(row.opened_ms),
        say.duration(row.seconds),
        f"{row.size:,.10g}",
        f"{row.entry:,.10g}",
        f"{row.exit:,.10g}",
        tinted(say.signed_money(row.net), row.net),
        say.points(row.net_bp),
        say.money(row.fees),
    )


def _books(report: BacktestReport) -> Markup:
    return table(
        (
            "book",
            "messages",
            "level rows",
            "trades",
            "synced",
            "stale",
            "of the run",
            "gaps",
            "why stale",
        ),
        (
            (
                symbol_of(row.instrument),
                say.count(row.messages),
                say.count(row.level_rows),
                say.count(row.trades),
                say.duration(row.synced_s),
                say.duration(row.stale_s),
                say.percent(row.stale_share),
                say.count(row.gaps),
                ", ".join(f"{reason} {times:,}" for reason, times in row.reasons.items()),
            )
            for row in report.books
        ),
        left=(8,),
    )


def _limits(report: BacktestReport) -> Markup:
    parts = [
        Markup(f'<p class="bad">Halted: {safe(name)}: {safe(reason)}</p>')
        for name, reason in report.halted.items()
    ]
    limits = ((name, say.count(times)) for name, times in report.limits_hit.items())
    return joined(*parts, table(("limit hit", "times"), limits))


def _fills(report: BacktestReport) -> Markup:
    shown, whole = len(report.fills), report.facts.fills
    words = f"{shown:,} of {whole:,} rows of the ledger"
    if whole > shown:
        words += f": the first and the last {FILLS_LISTED // 2}"
    found = table(
        (
            "time, UTC",
            "strategy",
            "symbol",
            "kind",
            "side",
            "size",
            "price",
            "",
            "fee",
            "cash",
            "why",
            "order",
        ),
        (
            (
                row.time.removesuffix("+00:00").replace("T", " "),
                row.strategy,
                symbol_of(row.instrument),
                row.kind,
                "buy" if row.side > 0 else "sell",
                row.size,
                row.price,
                "maker" if row.is_maker else "taker",
                f"{row.fee.rstrip('0').rstrip('.') or '0'} {row.fee_asset}",
                row.cash.rstrip("0").rstrip(".") or "0",
                row.cause,
                row.client_id,
            )
            for row in report.fills
        ),
        left=(1, 2, 3, 4, 7, 10, 11),
    )
    return joined(Markup(f'<p class="dim">{words}.</p>'), found)


def _facts(report: BacktestReport) -> Markup:
    facts = report.facts
    parameters = msgspec.json.format(msgspec.json.encode(facts.parameters), indent=2).decode()
    held = pairs(
        "What was run",
        (
            ("seed", str(facts.seed)),
            ("plan", facts.plan_digest or say.UNKNOWN),
            ("digest of every decision", facts.digest or say.UNKNOWN),
            ("orders, ledger rows", f"{facts.orders:,}, {facts.fills:,}"),
            ("messages, level rows", f"{facts.messages:,}, {facts.level_rows:,}"),
            ("calls into strategies", say.count(facts.wake_ups)),
            ("own impact on prices", facts.impact),
            ("it took", say.duration(facts.wall_seconds)),
            ("level rows a second", say.figure(facts.rows_per_s)),
        ),
    )
    return Markup(f"{held}<h3>Parameters</h3><pre>{safe(parameters)}</pre>")


def _foot(report: BacktestReport) -> Markup:
    return Markup(
        f"<footer>tickwright {safe(report.version)}. Curves are shortened to at most "
        f"{CURVE_POINTS:,} points, positions to {POSITION_POINTS:,}, by the lowest and highest of "
        "each stretch. What isn't known is called unknown, never 0.</footer>"
    )
