"""`simulate --statistics` as a process: no sockets, a table for people, JSON for programs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tickwright.simulator.statistics import MarketStatistics

TICKWRIGHT = (sys.executable, "-m", "tickwright", "simulate", "--statistics")


def measured(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TICKWRIGHT, *arguments], capture_output=True, text=True, timeout=50, check=False
    )


def test_statistics_when_asked_for_then_are_a_table_and_the_same_again_as_json(tmp_path: Path):
    path = tmp_path / "statistics.json"
    result = measured("--seconds", "20", "--seed", "5", "--json", str(path))
    again = measured("--seconds", "20", "--seed", "5", "--json", "-")

    assert (0, "", 0) == (result.returncode, result.stderr, again.returncode)
    report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert report == json.loads(again.stdout)
    assert (5, 20.0) == (report["seed"], report["seconds"])
    assert ["BTCUSDT", "XRPUSDT"] == [row["symbol"] for row in report["symbols"]]
    for row in report["symbols"]:
        for one in (row["recording"], *row["made"]):
            assert set(MarketStatistics.__struct_fields__) == set(one)
    lines = result.stdout.splitlines()
    assert "BTCUSDT linear, changes gathered over 52 ms" == lines[0].strip()
    (spread,) = [line.split() for line in lines[:25] if "spread, mean ticks" in line]
    mean = report["symbols"][0]["recording"]["spread_ticks_mean"]
    made = report["symbols"][0]["made"][0]["spread_ticks_mean"]
    assert [f"{mean:.3g}", f"{made:.3g}", f"{made / mean:.2f}"] == spread[-3:]
    assert 2 == again.stderr.count("volatility of the mid")


def test_statistics_when_only_made_markets_are_named_then_stand_without_a_ratio():
    result = measured("--source", "agents", "--symbol", "ETHUSDT", "--seconds", "5")

    assert (0, "") == (result.returncode, result.stderr)
    assert "ETHUSDT linear" in result.stdout
    assert "ratio" not in result.stdout
