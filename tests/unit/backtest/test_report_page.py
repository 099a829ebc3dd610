"""The page: safe whatever a run is called, whole without scripts, and asking for nothing."""

import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import plotly.graph_objects as go
import pytest

from tests.unit.backtest.made_runs import MadeRun
from tests.unit.backtest.test_report import crowded, traded
from tickwright.backtest.charts import make_figures
from tickwright.backtest.report import BacktestReport, make_report
from tickwright.backtest.report_frame import Markup, table, tinted, write_page
from tickwright.backtest.report_page import make_page
from tickwright.core.errors import ConfigError

EVIL = "<script>alert('&')</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link", "input"}


class Outline(HTMLParser):
    """Collects tags, addresses and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.addresses += [
            value or "" for name, value in attrs if name in {"src", "href", "action"}
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def without_plotly(page: str) -> str:
    """Return the page without the 5 MB that aren't ours."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs()
    assert 1 == page.count(script)
    return page.replace(script, "")


def page_of(run: MadeRun) -> str:
    return without_plotly(make_page(make_report(run.record())))


def evil() -> MadeRun:
    run = traded().with_(
        name=EVIL,
        mode=EVIL,
        halted={EVIL: EVIL},
        limits_hit={EVIL: 1, EVIL + EVIL: 2},
        refusals={EVIL: {EVIL: 1}},
        venue_refusals={EVIL: 1},
        parameters={EVIL: {EVIL: EVIL}},
    )
    for order in run.orders:
        order.strategy_id = order.reason = EVIL
        order.client_id += EVIL
    for fill in run.fills:
        fill.strategy_id = fill.cause = EVIL
        fill.client_id += EVIL if fill.client_id else ""
    return run


def test_page_when_names_hold_markup_then_none_of_it_becomes_an_element():
    page = page_of(evil())
    outline, tame = Outline(page), Outline(page_of(traded()))

    # The figures, plotly's script and ours; no image, no handler.
    assert (3, 0) == (outline.tags["script"], outline.tags["img"])
    assert ([], []) == (outline.handlers, outline.addresses)
    assert tame.tags == outline.tags
    assert EVIL in "".join(outline.text)
    assert "<script>alert" not in page


def test_page_when_it_is_read_then_is_well_formed_and_asks_for_nothing():
    for run in (traded(), crowded(), MadeRun(), MadeRun(seconds=0)):
        page = page_of(run)
        outline = Outline(page)

        assert ([], []) == (outline.open, outline.faults)
        assert [] == outline.addresses
        assert {"link", "iframe", "object", "base", "form"}.isdisjoint(outline.tags)
        assert "default-src 'none'" in page
        assert [] == re.findall(r"@import|url\(", page)
        assert [] == re.findall(r"https?://[^\s\"']+", page)


def test_page_when_scripts_are_off_then_the_headline_stands_in_plain_text():
    text = " ".join(Outline(page_of(traded())).text)

    for words in ("made", "greatest drawdown", "+12.00", "fill ratio", "unknown", "2024-10-04"):
        assert words in text, words


def test_page_when_plotly_would_offer_its_cloud_then_does_not():
    page = page_of(traded())

    assert "showSendToCloud: false" in page
    assert 'plotlyServerURL: ""' in page


def test_page_when_it_is_drawn_then_every_figure_has_a_place_and_every_place_a_figure():
    page = page_of(traded())
    held = re.search(r'id="page-figures">(.*?)</script>', page, re.DOTALL)
    assert held is not None
    document = json.loads(held.group(1))

    places = set(re.findall(r'id="chart-(\w+)"', page)) - {"trip"}
    assert set(document["figures"]) == places
    assert [1] == [chart["trip"] for chart in document["charts"]]
    assert 'data-trip="1"' in page


@pytest.mark.parametrize("run", [traded(), crowded(), evil(), MadeRun()])
def test_figures_when_made_then_plotly_understands_every_word(run: MadeRun):
    for name, figure in make_figures(make_report(run.record())).items():
        assert go.Figure(figure), name


def test_figures_when_a_run_traded_then_show_curve_markout_queue_and_latency():
    figures = make_figures(make_report(traded().record()))

    assert {"equity", "positions", "results", "markout", "queue", "latency"} == set(figures)
    made, took = figures["markout"]["data"]
    assert ["at the fill", "1 s", "5 s", "30 s"] == made["x"]
    assert "taker (1 fills)" == took["name"]
    (held,) = figures["positions"]["data"]
    curve = figures["equity"]["data"][0]["x"]
    assert ([0, 1.0, 0.0, 0.0], curve[0], curve[-1]) == (held["y"], held["x"][0], held["x"][-1])


def test_page_when_plotly_is_missing_then_names_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)

    with pytest.raises(ConfigError, match=r"tickwright\[backtest\]"):
        make_page(make_report(MadeRun().record()))


def test_page_when_made_of_the_json_alone_then_is_the_same():
    report = make_report(traded().record())
    again = msgspec.json.decode(msgspec.json.encode(report), type=BacktestReport)

    assert make_page(report) == make_page(again)


def test_page_when_a_run_is_crowded_then_stays_small():
    assert len(page_of(crowded())) < 4_000_000


def test_table_when_cells_are_texts_then_are_escaped_and_markup_is_not():
    made = table(("a<",), [("<b>",), (Markup("<i>x</i>"),), (tinted("<u>", -1.0),)])

    assert "<th>a&lt;</th>" in made
    assert "<td>&lt;b&gt;</td>" in made
    assert "<td><i>x</i></td>" in made
    assert '<td><span class="bad">&lt;u&gt;</span></td>' in made
    assert "None." in table(("a",), [])


def test_write_page_when_the_folder_is_missing_then_raises_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        write_page(tmp_path / "none" / "page.html", "x")
    write_page(tmp_path / "page.html", "ä")

    assert ["page.html"] == [path.name for path in tmp_path.iterdir()]
    assert "ä" == (tmp_path / "page.html").read_text("utf-8")
