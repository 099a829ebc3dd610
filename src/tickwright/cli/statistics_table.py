"""Owns how measured markets are shown beside each other; refuses to measure."""

from rich.console import Group, RenderableType
from rich.table import Table

from tickwright.simulator.comparison import Comparison, StatisticsReport
from tickwright.simulator.statistics import MarketStatistics

__all__ = ["statistics_view"]

_ROWS: tuple[tuple[str, str], ...] = (
    ("book updates a second", "updates_per_s"),
    ("between updates, p50 ms", "update_gap_ms_p50"),
    ("between updates, p90 ms", "update_gap_ms_p90"),
    ("between updates, p99 ms", "update_gap_ms_p99"),
    ("burstiness of updates", "update_dispersion"),
    ("levels an update", "levels_per_update"),
    ("trades a second", "trades_per_s"),
    ("between trades, p50 ms", "trade_gap_ms_p50"),
    ("between trades, p90 ms", "trade_gap_ms_p90"),
    ("between trades, p99 ms", "trade_gap_ms_p99"),
    ("burstiness of trades", "trade_dispersion"),
    ("trade size, p50", "trade_size_p50"),
    ("trade size, p99", "trade_size_p99"),
    ("spread, mean ticks", "spread_ticks_mean"),
    ("spread, p90 ticks", "spread_ticks_p90"),
    ("size at the best price", "depth_1"),
    ("size of 5 levels", "depth_5"),
    ("size of 20 levels", "depth_20"),
    ("volatility of the mid, bps in 1 s", "volatility_bps_1s"),
)
_ABSENT = "-"


def statistics_view(report: StatisticsReport) -> RenderableType:
    """Lay a report out: a table a symbol, each made market beside its ratio to the recording."""
    return Group(*[_table(row) for row in report.symbols])


def _table(row: Comparison) -> Table:
    title = f"{row.symbol} {row.category}"
    columns = [] if row.recording is None else [row.recording]
    columns += row.made
    gathered = {one.interval_ms for one in row.made if one.interval_ms}
    if gathered:
        title += f", changes gathered over {max(gathered):g} ms"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2), expand=False)
    table.add_column("statistic")
    for one in columns:
        table.add_column(f"{one.source}, {one.seconds:.0f} s", justify="right", max_width=24)
        if row.recording is not None and one is not row.recording:
            table.add_column("ratio", justify="right")
    for name, attribute in _ROWS:
        table.add_row(name, *_cells(columns, row.recording, attribute))
    return table


def _cells(
    columns: list[MarketStatistics], recording: MarketStatistics | None, attribute: str
) -> list[str]:
    cells = []
    for one in columns:
        value: float | None = getattr(one, attribute)
        cells.append(_ABSENT if value is None else _figure(value))
        if recording is not None and one is not recording:
            against: float | None = getattr(recording, attribute)
            cells.append(f"{value / against:.2f}" if value is not None and against else _ABSENT)
    return cells


def _figure(value: float) -> str:
    """Write three digits that matter, and whole numbers whole."""
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"
