"""Owns the page's sections about execution quality; refuses to work figures out."""

from collections.abc import Callable, Sequence

from tickwright.backtest import report_words as say
from tickwright.backtest.charts import symbol_of
from tickwright.backtest.quality import Quality, QualityRow
from tickwright.backtest.quality_orders import Quantiles
from tickwright.backtest.report import BacktestReport
from tickwright.backtest.report_frame import Markup, joined, pairs, safe, section, table, tinted

__all__ = ["execution_sections"]


def execution_sections(report: BacktestReport, place: Callable[[str], Markup]) -> Sequence[Markup]:
    """Return the sections; `place` gives the place of a figure, or nothing."""
    quality = report.quality
    return (
        section(
            "Were fills good?",
            Markup(
                '<p class="dim">Basis points of the fill, weighted by notional, for our side: a '
                "positive markout is a fill that turned out well, a positive spread or slippage "
                "was paid, a positive adverse move went against us. Means are ± standard error.</p>"
            ),
            place("markout"),
            _markouts(quality),
            Markup("<h3>Spread and slippage</h3>"),
            Markup(f'<p class="dim">Own impact: {safe(report.facts.impact)}.</p>'),
            _liquidity(quality),
            Markup("<h3>Why orders filled</h3>"),
            _causes(quality),
        ),
        section(
            "Did orders get them?",
            _orders(quality),
            place("queue"),
            _queue(quality),
            Markup("<h3>How orders ended</h3>"),
            table(
                ("state", "reason", "orders"),
                ((row.state, row.reason, say.count(row.orders)) for row in quality.ends),
                left=(1,),
            ),
            Markup("<h3>Refused</h3>"),
            table(
                ("by", "strategy", "reason", "times"),
                (
                    (row.place, row.strategy, row.reason, say.count(row.count))
                    for row in quality.refusals
                ),
                left=(1, 2),
            ),
        ),
        section("Latency", place("latency"), _latencies(quality)),
        section(
            "Execution by symbol, strategy and hour",
            *(_groups(quality, by) for by in ("symbol", "strategy", "hour")),
        ),
    )


def _markouts(quality: Quality) -> Markup:
    return table(
        (
            "fills",
            "after",
            "known",
            "markout, bp",
            "money",
            "adverse move, bp",
            "moved against",
            "realised spread, bp",
        ),
        (
            (
                row.liquidity,
                f"{row.horizon_s} s",
                say.count(row.markout.fills),
                tinted(
                    say.estimate(row.markout.mean_bp, row.markout.error_bp), row.markout.mean_bp
                ),
                say.signed_money(row.money),
                say.estimate(row.adverse.mean_bp, row.adverse.error_bp),
                say.percent(row.adverse_share),
                say.points(row.realised_spread_bp),
            )
            for row in sorted(quality.markouts, key=lambda row: row.liquidity)
        ),
    )


def _liquidity(quality: Quality) -> Markup:
    return table(
        (
            "fills",
            "number",
            "notional",
            "share",
            "effective spread",
            "slippage",
            "from arrival",
            "delay",
            "slippage, money",
            "own impact",
            "own impact, money",
        ),
        (
            (
                row.liquidity,
                say.count(row.fills),
                say.money(row.notional),
                say.percent(row.share),
                *(
                    say.estimate(one.mean_bp, one.error_bp)
                    for one in (row.effective_spread, row.slippage, row.arrival_slippage, row.delay)
                ),
                say.signed_money(row.slippage_money),
                say.estimate(row.impact.mean_bp, row.impact.error_bp),
                say.signed_money(row.impact_money),
            )
            for row in quality.liquidity
        ),
    )


def _causes(quality: Quality) -> Markup:
    middle = quality.horizons_s[len(quality.horizons_s) // 2]
    return table(
        ("why", "fills", "notional", f"markout {middle} s, bp"),
        (
            (
                row.cause or "(none)",
                say.count(row.fills),
                say.money(row.notional),
                say.points(row.markout_bp),
            )
            for row in quality.causes
        ),
    )


def _orders(quality: Quality) -> Markup:
    orders, middle = quality.orders, quality.horizons_s[len(quality.horizons_s) // 2]
    race = quality.race_markout
    parts = (
        pairs(
            "Orders",
            (
                ("intended", say.count(orders.orders)),
                ("arrived", say.count(orders.arrived)),
                ("rested", say.count(orders.rested)),
                ("with a fill", say.count(orders.filled_any)),
                ("filled whole", say.count(orders.filled_whole)),
                ("fill ratio, orders", say.percent(orders.fill_ratio_orders)),
                ("fill ratio, size", say.percent(orders.fill_ratio_size)),
            ),
        ),
        pairs(
            "Cancels",
            (
                ("orders cancelled", say.count(orders.cancels)),
                ("cancel to fill", say.figure(orders.cancel_to_fill)),
                ("filled after the cancel was sent", say.count(orders.races)),
                ("of cancels", say.percent(orders.race_share)),
                ("their fills", say.count(quality.race_fills)),
                ("their notional", say.money(quality.race_notional)),
                (f"their markout {middle} s, bp", say.estimate(race.mean_bp, race.error_bp)),
            ),
        ),
        pairs(
            "Time in the queue, p50 / p90 / p99",
            (
                ("arrival to first fill", _times(quality.queue_first_ms)),
                ("arrival to filled whole", _times(quality.queue_whole_ms)),
                ("unfilled, to the end", _times(quality.unfilled_ms)),
                ("size ahead, p50 / p90 / p99", _sizes(quality.ahead_notional)),
            ),
        ),
    )
    return Markup(f'<div class="columns">{"".join(parts)}</div>')


def _times(found: Quantiles) -> str:
    if not found.count:
        return say.UNKNOWN
    return " / ".join(say.milliseconds(value) for value in (found.p50, found.p90, found.p99))


def _sizes(found: Quantiles) -> str:
    if not found.count:
        return say.UNKNOWN
    return " / ".join(say.money(value) for value in (found.p50, found.p90, found.p99))


def _queue(quality: Quality) -> Markup:
    if not quality.queue:
        return Markup("")
    rows = table(
        ("notional ahead", "orders", "with a fill", "to first fill, p50"),
        (
            (
                f"{say.money(row.ahead_from)} to {say.money(row.ahead_to)}",
                say.count(row.orders),
                say.percent(row.fill_ratio_orders),
                say.milliseconds(row.first_fill_ms_p50),
            )
            for row in quality.queue
        ),
    )
    return joined(Markup("<h3>By size ahead, a quarter of the resting orders each</h3>"), rows)


def _latencies(quality: Quality) -> Markup:
    return table(
        ("delay", "samples", "p10", "p50", "p90", "p99", "max"),
        (
            (
                row.kind,
                say.count(row.ms.count),
                *(
                    say.milliseconds(value)
                    for value in (row.ms.p10, row.ms.p50, row.ms.p90, row.ms.p99, row.ms.max)
                ),
            )
            for row in quality.latencies
        ),
    )


def _groups(quality: Quality, by: str) -> Markup:
    rows = [row for row in quality.groups if row.by == by]
    horizons = "/".join(str(seconds) for seconds in quality.horizons_s)
    found = table(
        (
            by,
            "orders",
            "fill ratio",
            "of size",
            "fills",
            "maker",
            "slippage, bp",
            f"maker markout {horizons} s, bp",
            f"taker markout {horizons} s, bp",
            "adverse, bp",
            "cancel to fill",
            "races",
            "queue p50",
        ),
        (_group(row) for row in rows),
    )
    return joined(Markup(f"<h3>By {safe(by)}</h3>"), found)


def _group(row: QualityRow) -> Sequence[str]:
    def joined(values: Sequence[float | None]) -> str:
        return " / ".join("?" if value is None else f"{value:+.2f}" for value in values)

    return (
        symbol_of(row.key),
        say.count(row.orders.orders),
        say.percent(row.orders.fill_ratio_orders),
        say.percent(row.orders.fill_ratio_size),
        say.count(row.fills),
        say.percent(row.maker_share),
        say.points(row.slippage_bp),
        joined(row.maker_markout_bp),
        joined(row.taker_markout_bp),
        joined(row.adverse_bp),
        say.figure(row.orders.cancel_to_fill),
        say.count(row.orders.races),
        say.milliseconds(row.queue_ms.p50),
    )
