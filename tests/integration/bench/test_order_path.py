"""The bench of the order path sends what it says by every policy, past what protections allow."""

import asyncio

import pytest

from tickwright.bench import order_path
from tickwright.bench.order_path import measured_run
from tickwright.bench.runner import SECTIONS
from tickwright.bench.tape import COMPOSED_SHAPE, make_tape
from tickwright.storage.journal import SyncPolicy


@pytest.mark.parametrize(("sync", "rounds"), [("never", 160), ("interval", 3), ("always", 3)])
def test_run_when_of_any_policy_then_every_order_is_timed(
    sync: SyncPolicy, rounds: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(order_path, "WARM_ROUNDS", 2)
    assert "order_path" in SECTIONS
    tape = make_tape(COMPOSED_SHAPE, frames=2_000, category="linear")
    # More opening orders than a protection lets pass in a minute by default.
    samples = asyncio.run(measured_run(tape, rounds, is_watched=False, sync=sync))
    assert {"entry": rounds, "intent": rounds, "exit": 2 * rounds} == {
        name: len(samples[name]) for name in ("entry", "intent", "exit")
    }
    assert min(samples["entry"]) > 0
