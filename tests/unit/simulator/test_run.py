"""Options become a venue, or one clear sentence."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.simulator.oracle import START_NS
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.faults import FaultKind, FaultSpec
from tickwright.simulator.run import SimulatorOptions, build_venue
from tickwright.simulator.sources.opening import SAMPLE_FILES, sample_path
from tickwright.simulator.throwaway_tls import make_throwaway_tls


def _symbols(**options: Any) -> dict[str, list[str]]:
    venue, _ = build_venue(SimulatorOptions(**options), start_ns=START_NS)
    listed: dict[str, list[str]] = {}
    for category, symbol in venue.markets:
        listed.setdefault(category.value, []).append(symbol)
    return listed


def test_default_is_fifty_symbols_in_both_categories() -> None:
    listed = _symbols()
    assert [50, 50] == [len(listed["linear"]), len(listed["spot"])]
    assert ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"] == listed["spot"][:4]


def test_named_symbols_are_listed_once_each() -> None:
    names = ["ETHUSDT", "FOOUSDT", "ETHUSDT"]
    assert {"linear": ["ETHUSDT", "FOOUSDT"]} == _symbols(
        symbols=names, categories=(Category.LINEAR,)
    )


def test_recordings_alone_list_only_their_symbols() -> None:
    sources = [sample_path(name) for name in SAMPLE_FILES]
    assert {"linear": ["BTCUSDT", "XRPUSDT"], "spot": ["BTCUSDT"]} == _symbols(sources=sources)


def test_recordings_with_more_symbols_are_filled_up_synthetically() -> None:
    listed = _symbols(sources=[sample_path(SAMPLE_FILES[1])], symbols=4)
    assert {"XRPUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT"} == set(listed["linear"])
    assert len(listed["spot"]) == 4


def test_demo_with_few_symbols_keeps_both_recordings() -> None:
    assert {"linear": ["BTCUSDT", "XRPUSDT"]} == _symbols(sources=["demo"], symbols=1)


def test_agents_trade_what_no_recording_holds_and_say_so() -> None:
    listed = _symbols(sources=["agents"], symbols=["BTCUSDT", "DOGEUSDT"])
    assert {"linear": ["BTCUSDT", "DOGEUSDT"], "spot": ["BTCUSDT", "DOGEUSDT"]} == listed
    assert [50, 50] == [len(names) for names in _symbols(sources=["agents"]).values()]
    options = SimulatorOptions(sources=["demo", "agents"], symbols=3)
    venue, _ = build_venue(options, start_ns=START_NS)
    labels = {symbol: market.label for (_, symbol), market in venue.markets.items()}
    assert "agents" == labels["ETHUSDT"]
    assert "recording" in labels["BTCUSDT"]


def test_plan_file_and_specs_are_both_on_the_board(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nkind = "gap"\n')
    options = SimulatorOptions(symbols=1, faults=plan, fault_specs=(FaultSpec(kind=FaultKind.CUT),))
    _, faults = build_venue(options, start_ns=START_NS)
    assert ["cut", "gap"] == [row["kind"] for row in faults.report()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": 0.0}, "speed"),
        ({"speed": float("nan")}, "speed"),
        ({"speed": -2.0}, "speed"),
        ({"rate": -1.0}, "rate"),
        ({"rate": 1e9}, "rate"),
        ({"symbols": 0}, "number of symbols"),
        ({"symbols": ["btcusdt"]}, "upper case"),
        ({"sources": []}, "at least one source"),
        ({"sources": ["nowhere.gz"]}, "nowhere.gz"),
        ({"sources": ["agents", "synthetic"]}, "choose one"),
        ({"sources": ["agents"], "rate": 5.0}, "their own pace"),
        ({"sources": ["demo"], "faults": Path("nowhere.toml")}, "nowhere.toml"),
        (
            {"sources": [sample_path(SAMPLE_FILES[0])], "categories": (Category.SPOT,)},
            "is linear, which is not simulated",
        ),
        ({"sources": ["demo", sample_path(SAMPLE_FILES[0])]}, "BTCUSDT is in"),
    ],
)
def test_impossible_options_are_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_venue(SimulatorOptions(**options), start_ns=START_NS)


def test_throwaway_certificate_is_trusted_through_its_authority_and_removed() -> None:
    tls = make_throwaway_tls("localhost", now_ns=time.time_ns())
    try:
        trusting = ssl.create_default_context(cafile=str(tls.ca_path))
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(client_in, client_out, server_hostname="127.0.0.1")
        server = tls.context.wrap_bio(server_in, server_out, server_side=True)
        done: set[int] = set()
        for _ in range(6):
            for number, side in enumerate((client, server)):
                try:
                    side.do_handshake()
                    done.add(number)
                except ssl.SSLWantReadError:
                    pass
            server_in.write(client_out.read())
            client_in.write(server_out.read())
        assert {0, 1} == done
    finally:
        tls.remove()
    assert not tls.folder.exists()
