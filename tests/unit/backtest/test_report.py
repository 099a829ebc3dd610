"""The report as a document: what it holds, what it cuts, and what reads it back."""

from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.unit.backtest.made_runs import SECOND, MadeRun, near
from tickwright.backtest.charts_trips import TRIPS_CHARTED
from tickwright.backtest.record import BookTime
from tickwright.backtest.report import BacktestReport, make_report, read_report
from tickwright.backtest.report_rows import CURVE_POINTS, FILLS_LISTED, POSITION_POINTS
from tickwright.core.errors import ConfigError


def traded() -> MadeRun:
    """Return a run with a little of everything: both sides, funding, refusals, gaps."""
    run = MadeRun(seconds=120)
    for at in range(121):
        run.sample(at, 1000 + at / 10, 100 if 10 <= at < 20 else 0).mid(at, 100 + at / 50)
    run.order("in", 1, 1, 100.0, at=5, mid=100.1, rested=6, ahead=3, ended=10, known=10.1)
    run.order("out", -1, 1, at=20, mid=100.4)
    run.order("gone", 1, 1, 90.0, at=30, rested=31, cancel=40, ended=41, state="cancelled")
    run.fill(10, 1, 1, 100, order="in", maker=True, fee="-0.01", mid=100.2)
    run.fill(20, -1, 1, 100.3, order="out", fee="0.05", mid=100.4)
    run.funding(15, "-0.02").position(10, 1).position(20, 0)
    return run.with_(
        refusals={"lean": {"stale_book": 4}},
        venue_refusals={"110007 no money": 1},
        limits_hit={"position": 2, "rate": 9},
        halted={"fade": "on_book: ZeroDivisionError"},
        books={"box:linear:BTCUSDT": BookTime(messages=9, gaps=2, stale_ns=30 * SECOND)},
        latencies={"order": np.array([1, 2, 3]) * 1_000_000},
    )


def crowded() -> MadeRun:
    run = MadeRun(seconds=3600)
    for index in range(300):
        run.order(f"i{index}", 1, 1).order(f"o{index}", -1, 1)
        run.fill(index * 12, 1, 1, 100, order=f"i{index}")
        run.fill(index * 12 + 3, -1, 1, 100 + index % 5 - 2, order=f"o{index}")
        for after, held in enumerate((1, 2, 3, 0)):
            run.position(index * 12 + after, held)
    for index in range(3000):
        run.sample(index, 1000 + (index * 37) % 101)
    return run


RUNS = [
    pytest.param(MadeRun(), id="nothing"),
    pytest.param(MadeRun(seconds=0), id="no time"),
    pytest.param(MadeRun().sample(30, 1000.5), id="one sample"),
    pytest.param(MadeRun().with_(books={}, instruments={}), id="no books"),
    pytest.param(MadeRun().fill(1, 1, 1, 100, fee="1", fee_asset="MNT"), id="no rate"),
    pytest.param(traded(), id="traded"),
]


@pytest.mark.parametrize("run", RUNS)
def test_report_when_written_as_json_then_reads_back_equal(run: MadeRun, tmp_path: Path):
    report = make_report(run.record())
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(report))

    assert report == read_report(path)


def test_report_when_a_run_traded_then_tells_facts_books_and_limits():
    report = make_report(traded().record())

    facts = report.facts
    assert ("made", "2024-10-04T00:02:00.000+00:00", 120.0, 500_000.0) == (
        facts.name,
        facts.ended,
        facts.seconds,
        facts.rows_per_s,
    )
    assert {"lean": {"edge_bps": "1.5", "symbols": ["BTCUSDT"]}} == facts.parameters
    (book,) = report.books
    assert (2, 30.0, 0.25) == (book.gaps, book.stale_s, book.stale_share)
    assert ["rate", "position"] == list(report.limits_hit)
    assert {"fade": "on_book: ZeroDivisionError"} == report.halted
    (trip,) = report.trips
    assert ("long", 100.0, near(100.3), near(0.26)) == (
        trip.direction,
        trip.entry,
        trip.exit,
        trip.net,
    )
    assert near(1002.0) == trip.equity
    assert [1, 2, 3] == [len(report.charts), len(report.charts[0].fills), len(report.fills)]
    assert ("funding", "-0.02") == (
        report.fills[2].kind,
        f"{Decimal(report.fills[2].cash).normalize()}",
    )
    assert any("60" not in note and "1 s each" in note for note in report.notes)


def test_report_when_lists_are_long_then_are_cut_to_their_bounds():
    report = make_report(crowded().record())

    assert (3000, True) == (report.curve.samples, len(report.curve.equity) <= CURVE_POINTS)
    assert {1000.0, 1100.0} <= set(report.curve.equity)
    (held,) = report.positions
    assert (1200, True) == (held.changes, len(held.size) <= POSITION_POINTS)
    assert (TRIPS_CHARTED, TRIPS_CHARTED) == (len(report.trips), len(report.charts))
    assert (300, 600) == (report.metrics.trips.count, report.facts.fills)
    assert FILLS_LISTED == len(report.fills)
    assert ("o299", "i0") == (report.fills[-1].client_id, report.fills[0].client_id)
    assert 300 == sum(report.results_bp.counts)


def test_report_when_not_to_be_drawn_then_leaves_out_what_only_pages_need():
    report = make_report(traded().record(), is_drawn=False)

    assert ((), (), ()) == (report.trips, report.charts, report.fills)
    assert 1 == report.metrics.trips.count


def test_report_when_the_greatest_drawdown_is_one_sample_then_the_short_curve_has_it():
    run = MadeRun(seconds=50_000)
    for index in range(50_000):
        run.sample(index, 400 if index == 31_337 else 1000 + index / 1e4)

    curve = make_report(run.record()).curve

    assert 400.0 in curve.equity
    assert near(max(value for value in curve.drawdown if value is not None)) == near(
        1 - 400 / 1003.1336
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "no report of a backtest"),
        (b'{"kind": "tickwright.backtest"}', "no report of a backtest"),
        (b"\xff\xfe", "no report of a backtest"),
        (b"[]", "no report of a backtest"),
    ],
)
def test_read_report_when_a_file_is_something_else_then_refuses(
    text: bytes, words: str, tmp_path: Path
):
    path = tmp_path / "run.json"
    path.write_bytes(text)

    with pytest.raises(ConfigError, match=words):
        read_report(path)


@pytest.mark.parametrize("changes", [{"kind": "other"}, {"format": 99}])
def test_read_report_when_of_another_kind_or_format_then_refuses(
    changes: dict[str, object], tmp_path: Path
):
    report = make_report(MadeRun().record())
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(report, **changes)))

    with pytest.raises(ConfigError, match="format"):
        read_report(path)


def test_read_report_when_an_earlier_version_lacked_fields_then_they_are_at_nothing(tmp_path: Path):
    report = make_report(traded().record())
    raw = msgspec.json.decode(msgspec.json.encode(report))
    for row in (raw["facts"], *raw["quality"]["liquidity"]):
        row.pop("impact")
        row.pop("impact_money", None)
    for chart in raw["charts"]:
        for name in ("book", "end_ms", "moves_left_out"):
            chart.pop(name)
        for order in chart["orders"]:
            order.pop("moves")
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(raw))
    found = read_report(path)
    assert report.metrics == found.metrics
    assert ("none", 0.0) == (found.facts.impact, found.quality.liquidity[0].impact_money)
    assert [None] == [chart.book for chart in found.charts]


def test_read_report_when_a_later_version_added_a_field_then_reads_the_rest(tmp_path: Path):
    report = make_report(MadeRun().record())
    held = msgspec.json.decode(msgspec.json.encode(report))
    held["new"] = held["facts"]["new"] = 1
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(held))

    assert report == read_report(path)


def test_report_when_made_twice_of_one_record_then_is_the_same():
    record = crowded().record()

    first, second = make_report(record), make_report(record)

    assert isinstance(first, BacktestReport)
    assert first == second
