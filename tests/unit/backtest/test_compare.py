"""Several runs side by side."""

import io

import pytest
from rich.console import Console

from tests.unit.backtest.made_runs import DAY, START, MadeRun
from tests.unit.backtest.test_report import crowded, traded
from tests.unit.backtest.test_report_page import EVIL, Outline, without_plotly
from tickwright.backtest.compare import RUNS_MAX, ComparedRow, Comparison, compare
from tickwright.backtest.compare_page import make_comparison_page, value_text
from tickwright.backtest.report import BacktestReport, make_report
from tickwright.backtest.report_view import print_comparison, print_summary
from tickwright.core.errors import ConfigError


def report(run: MadeRun, **changes: object) -> BacktestReport:
    return make_report(run.with_(**changes).record())


def row(comparison: Comparison, figure: str) -> ComparedRow:
    return next(row for row in comparison.rows if row.figure == figure)


def told(found: object) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    if isinstance(found, Comparison):
        print_comparison(found, console)
    else:
        assert isinstance(found, BacktestReport)
        print_summary(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_compare_when_runs_differ_then_marks_the_better_and_names_what_differs():
    first = report(traded(), digest="a", parameters={"lean": {"edge": 1, "same": True}})
    second = report(crowded(), digest="b", parameters={"lean": {"edge": 2, "same": True}})

    found = compare([first, second])

    assert ["made", "made (2)"] == [run.name for run in found.runs]
    net = row(found, "net")
    assert ((12.0, 65.0), 1) == (net.values, net.best)
    assert None is row(found, "fees").best
    assert 0 == row(found, "greatest drawdown").best
    assert [("lean", "edge", ("1", "2"))] == [
        (one.strategy, one.name, one.values) for one in found.parameters
    ]
    assert "The runs cover different times." in found.notes


def test_compare_when_runs_are_alike_then_says_so_and_nobody_is_best():
    found = compare([report(traded()), report(traded(), name="other")])

    assert {None} == {one.best for one in found.rows}
    assert () == found.parameters
    assert ("other decided exactly as made did.",) == found.notes
    assert ["", "made"] == [run.is_same_as for run in found.runs]


def test_compare_when_a_value_is_unknown_then_the_others_are_still_compared():
    found = compare([report(MadeRun(), digest=""), report(traded()), report(crowded())])

    net = row(found, "net")
    assert (None, 2) == (net.values[0], net.best)
    assert "" == found.runs[0].is_same_as


@pytest.mark.parametrize("count", [0, 1, RUNS_MAX + 1])
def test_compare_when_runs_are_too_few_or_too_many_then_refuses(count: int):
    with pytest.raises(ConfigError, match="2 to 20"):
        compare([report(MadeRun())] * count)


def test_comparison_page_when_names_hold_markup_then_is_safe_and_whole():
    reports = [report(traded(), name=EVIL, parameters={EVIL: {EVIL: 1}}), report(crowded())]

    page = without_plotly(make_comparison_page(compare(reports), reports))

    outline = Outline(page)
    assert ([], [], [], []) == (outline.open, outline.faults, outline.addresses, outline.handlers)
    assert (3, 0) == (outline.tags["script"], outline.tags["img"])
    assert EVIL in "".join(outline.text)
    assert 'class="best"' in page


def test_comparison_page_when_runs_never_meet_then_lays_them_over_each_other_by_age():
    later = traded().with_(started_ns=START + DAY, ended_ns=START + DAY + 120 * 10**9)
    reports = [report(traded()), report(later)]

    page = make_comparison_page(compare(reports), reports)

    assert "hours since its start" in page


def test_comparison_page_when_there_are_twenty_runs_then_all_are_drawn():
    reports = [report(traded(), name=f"run {index}") for index in range(RUNS_MAX)]

    page = without_plotly(make_comparison_page(compare(reports), reports))

    assert "run 19" in page
    assert 2 * RUNS_MAX == page.count('"mode":"lines"')


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("money", None, "unknown"),
        ("money", 1234.5, "1,234.50"),
        ("money", 0.00001234, "1.234e-05"),
        ("fraction", 0.1234, "12.34%"),
        ("fraction", 0.000012, "0.0012%"),
        ("bp", 1.5, "+1.50 bp"),
        ("seconds", 90_000.0, "1 d 1 h"),
        ("seconds", 3_725.0, "1 h 2 min"),
        ("seconds", 61.0, "1 min 1 s"),
        ("seconds", 0.0015, "1.5 ms"),
        ("seconds", 0.0, "0 s"),
        ("count", 12345.0, "12,345"),
        ("ratio", 1.234, "1.23"),
    ],
)
def test_value_when_written_then_follows_its_unit(unit: str, value: float | None, text: str):
    held = ComparedRow(section="", figure="", unit=unit, values=(value,), best=None)

    assert text == value_text(held, value)


def test_summary_when_printed_then_tells_result_risk_trades_and_execution():
    text = told(report(traded()))

    for words in (
        "net +12.00 USDT",
        "Sharpe",
        "1, 100.00% won",
        "maker",
        "markout",
        "stale_book 4",
    ):
        assert words in text, words
    assert "halted fade: on_book: ZeroDivisionError" in text
    assert "25.00%" in text


def test_summary_when_names_look_like_markup_then_are_printed_as_they_are():
    run = traded().with_(name="[red]loud[/red]", refusals={"lean": {"[bold]x": 1}})

    text = told(report(run))

    assert "[red]loud[/red]" in text
    assert "[bold]x 1" in text


def test_summary_when_given_a_record_then_prints_it_too(capsys: pytest.CaptureFixture[str]):
    print_summary(MadeRun().record())

    assert "drawdown unknown" in capsys.readouterr().out


def test_comparison_when_printed_then_has_a_column_a_run():
    found = compare([report(traded(), name="[a]"), report(crowded(), name="b")])

    text = told(found)

    assert "[a]" in text
    assert "profit factor" in text
    assert "The runs cover different times." in text
