"""Owns the page's tables of results: figures, days, splits; refuses to work figures out."""

from collections.abc import Sequence

from tickwright.backtest import report_words as say
from tickwright.backtest.charts import symbol_of
from tickwright.backtest.metrics import TripFigures
from tickwright.backtest.metrics_splits import SplitRow
from tickwright.backtest.report import BacktestReport
from tickwright.backtest.report_frame import Markup, joined, pairs, safe, table, tinted

__all__ = ["day_table", "figure_tables", "split_table"]


def figure_tables(report: BacktestReport) -> Markup:
    """Return all the usual figures of a run, in small tables."""
    metrics = report.metrics
    returns, drawdown, costs = metrics.returns, metrics.drawdown, metrics.costs
    exposure, money = metrics.exposure, metrics.money
    interval = say.duration(returns.sample_seconds)

    def at(time_ns: int | None) -> str:
        return say.moment(None if time_ns is None else time_ns / 1e6)

    parts = [
        pairs(
            "Return",
            (
                ("starting equity", say.money(money.starting_equity)),
                ("ending equity", say.money(money.ending_equity)),
                ("net", say.signed_money(money.net)),
                ("of closed lots, before fees", say.signed_money(money.gross)),
                ("of what is open", say.signed_money(money.open_result)),
                ("total return", say.signed_percent(returns.total_return)),
                ("mean return a year", say.signed_percent(returns.annual_return)),
                ("growth a year (CAGR)", say.signed_percent(returns.cagr)),
            ),
        ),
        pairs(
            f"Risk, of {returns.samples} returns of {interval}",
            (
                ("volatility a year", say.percent(returns.volatility)),
                ("Sharpe", say.figure(returns.sharpe)),
                ("its standard error", say.figure(returns.sharpe_error)),
                ("Sortino", say.figure(returns.sortino)),
                ("Omega", say.figure(returns.omega)),
                ("Calmar", say.figure(returns.calmar)),
                ("return / drawdown", say.figure(returns.return_over_drawdown)),
                ("best", say.signed_percent(returns.best_sample)),
                ("worst", say.signed_percent(returns.worst_sample)),
            ),
        ),
        pairs(
            "Drawdown",
            (
                ("greatest", say.percent(drawdown.depth)),
                ("in money", say.money(drawdown.money)),
                ("from its peak", at(drawdown.peak_ns)),
                ("to its trough", at(drawdown.trough_ns)),
                (
                    "recovered",
                    "not"
                    if drawdown.peak_ns and drawdown.recovered_ns is None
                    else at(drawdown.recovered_ns),
                ),
                ("it lasted", say.duration(drawdown.seconds)),
                ("longest below a peak", say.duration(drawdown.longest_seconds)),
                ("time below a peak", say.percent(drawdown.underwater_share)),
                (
                    "average, ulcer index",
                    f"{say.percent(drawdown.average)}, {say.percent(drawdown.ulcer)}",
                ),
            ),
        ),
        pairs(
            "Costs and exposure",
            (
                ("turnover", say.money(costs.turnover)),
                ("a day", say.money(costs.turnover_per_day)),
                ("of equity", say.figure(costs.turnover_of_equity)),
                ("net of turnover, bp", say.points(costs.net_bp)),
                ("fees", ", ".join(f"{say.money(v)} {k}" for k, v in costs.fees.items()) or "0"),
                ("of turnover, bp", say.points(costs.fee_bp)),
                (
                    "as maker, as taker",
                    f"{say.money(costs.maker_fees)}, {say.money(costs.taker_fees)}",
                ),
                ("rebates", say.money(costs.rebates)),
                (
                    "funding",
                    ", ".join(f"{say.signed_money(v)} {k}" for k, v in costs.funding.items())
                    or "0",
                ),
                ("time in the market", say.percent(exposure.time_share)),
                (
                    "gross exposure, mean, max",
                    f"{say.money(exposure.gross_mean)}, {say.money(exposure.gross_max)}",
                ),
                (
                    "leverage, mean, max",
                    f"{say.figure(exposure.leverage_mean)}, {say.figure(exposure.leverage_max)}",
                ),
            ),
        ),
        *(
            pairs(title, _trip_pairs(trips))
            for title, trips in (
                ("Round trips", metrics.trips),
                ("Long", metrics.long),
                ("Short", metrics.short),
            )
        ),
    ]
    return Markup(f'<div class="columns">{"".join(parts)}</div>')


def _trip_pairs(trips: TripFigures) -> Sequence[tuple[str, str]]:
    return (
        ("trips", say.count(trips.count)),
        ("won, lost", f"{say.count(trips.wins)}, {say.count(trips.losses)}"),
        ("win rate", say.percent(trips.win_rate)),
        ("net", say.signed_money(trips.net)),
        ("profit factor", say.figure(trips.profit_factor)),
        ("expectancy", say.signed_money(trips.expectancy)),
        ("expectancy, bp", say.points(trips.expectancy_bp)),
        ("average win, loss", f"{say.money(trips.average_win)}, {say.money(trips.average_loss)}"),
        ("payoff", say.figure(trips.payoff)),
        ("best, worst", f"{say.money(trips.best)}, {say.money(trips.worst)}"),
        ("won, lost in a row", f"{trips.win_streak}, {trips.loss_streak}"),
        ("SQN", say.figure(trips.sqn)),
        ("Kelly", say.percent(trips.kelly)),
        ("held, p50", say.duration(trips.holding_seconds_p50)),
    )


def day_table(report: BacktestReport) -> Markup:
    """Return a row a day."""
    return table(
        (
            "day, UTC",
            "equity",
            "net",
            "return",
            "drawdown",
            "trips",
            "won",
            "fills",
            "turnover",
            "fees",
            "funding",
        ),
        (
            (
                row.day,
                say.money(row.equity),
                tinted(say.signed_money(row.net), row.net),
                say.signed_percent(row.day_return),
                say.percent(row.drawdown),
                say.count(row.trips),
                say.count(row.wins),
                say.count(row.fills),
                say.money(row.turnover),
                say.money(row.fees),
                say.signed_money(row.funding),
            )
            for row in report.metrics.days
        ),
    )


def split_table(title: str, rows: Sequence[SplitRow]) -> Markup:
    """Return the results by one key under its title."""
    found = table(
        (
            title,
            "net",
            "gross",
            "fees",
            "funding",
            "trips",
            "win rate",
            "fills",
            "maker",
            "turnover",
        ),
        (
            (
                symbol_of(row.key),
                tinted(say.signed_money(row.net), row.net),
                say.signed_money(row.gross),
                say.money(row.fees),
                say.signed_money(row.funding),
                say.count(row.trips),
                say.percent(row.win_rate),
                say.count(row.fills),
                say.percent(row.maker_share),
                say.money(row.turnover),
            )
            for row in rows
        ),
    )
    return joined(Markup(f"<h3>By {safe(title)}</h3>"), found)
