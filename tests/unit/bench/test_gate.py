"""The bench of the risk gate measures what it says: every mix is judged as it is named."""

import json

import pytest

from tickwright.bench.gate import ALL_LIMITS, GateDesk, main
from tickwright.bench.runner import SECTIONS
from tickwright.core.verdicts import Approved


def test_desk_when_every_limit_is_on_then_a_plain_intent_is_approved_whole():
    desk = GateDesk(ALL_LIMITS)
    for number in range(100):
        desk.step(number)
        assert Approved(5) == desk.ask(number, desk.intent(number))


def test_main_when_run_shortly_then_every_mix_and_check_has_a_figure(
    capsys: pytest.CaptureFixture[str],
):
    assert "gate" in SECTIONS
    assert 0 == main(["--intents", "200", "--rounds", "1"])
    report = json.loads(capsys.readouterr().out)
    assert len(report["checks"]) > 45
    for figures in report["mixes"].values():
        assert 0 < figures["p50_us"][0] <= figures["p99_us"][0]
