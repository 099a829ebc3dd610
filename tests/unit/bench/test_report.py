"""A report shows every figure with its spread and never hides a missed target."""

import io
import json

from rich.console import Console

from tickwright.bench.figures import Spread
from tickwright.bench.machine import read_machine
from tickwright.bench.report import Column, Section, print_section, write_json
from tickwright.bench.runs import Contestant, Runs, books_agree


def make_section() -> Section:
    section = Section("feed", "Flood", [Column("rate", "frames/s"), Column("ratio", "ours / this")])
    section.add("ours", rate=Spread.of([1_000.0, 3_000.0, 2_000.0]))
    section.add("composed", rate=Spread.of([500.0]), ratio="4.0x")
    section.aim("ratio, at least 3", 4.0, least=3.0)
    section.aim("CPU, at most 0.7", 0.9, most=0.7)
    section.notes.append("a stress figure")
    return section


def test_section_when_printed_then_shows_figures_targets_and_notes():
    out = io.StringIO()
    print_section(Console(file=out, width=120), make_section())
    text = out.getvalue()

    assert "2,000 (1,000-3,000)" in text
    assert "4.0x" in text
    assert "met  ratio, at least 3: 4.00" in text
    assert "missed  CPU, at most 0.7: 0.90" in text
    assert "a stress figure" in text


def test_target_when_reached_exactly_then_is_met():
    section = make_section()
    section.aim("exact", 3.0, least=3.0, most=3.0)

    assert [True, False, True] == [target.is_met for target in section.targets]


def test_json_when_written_then_holds_machine_sections_and_problems(tmp_path):
    path = tmp_path / "bench.json"
    write_json(path, read_machine(), [make_section()], ["latency: no end"])
    document = json.loads(path.read_text())

    assert ["latency: no end"] == document["problems"]
    assert document["machine"]["cores"] >= 1
    row = document["sections"]["feed"]["rows"][0]
    assert {"median": 2000.0, "least": 1000.0, "most": 3000.0, "runs": 3} == row["figures"]["rate"]


def runs_of(*tops: dict[str, list[float]]) -> Runs:
    reports = tuple({"tops": top, "latency_us": {"p50": 5.0 + i}} for i, top in enumerate(tops))
    return Runs(Contestant("ours", "asyncio", "ours", "/paced"), reports)


def test_books_when_compared_then_counters_without_books_do_not_count():
    counting, same = runs_of({}), runs_of({"BTCUSDT": [1.0, 2.0]}, {"BTCUSDT": [1.0, 2.0]})

    assert books_agree([counting, same])
    assert not books_agree([same, runs_of({"BTCUSDT": [1.0, 2.5]})])


def test_runs_when_a_nested_figure_is_picked_then_its_spread_is_over_the_rounds():
    assert Spread(5.5, 5.0, 6.0, 2) == runs_of({}, {}).spread("latency_us", "p50")
