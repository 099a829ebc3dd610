"""A small campaign: random intents with concurrent fills against a second model of the limits."""

import pytest

from tests.campaigns.risk.world import World

ALWAYS_MET = {
    "book_too_old",
    "daily_loss",
    "funding_window",
    "group_exposure",
    "margin_use",
    "net_exposure",
    "open_orders_limit",
    "order_notional",
    "outside_hours",
    "position_limit",
    "price_band",
    "size_invalid",
    "spread_too_wide",
    "symbol_denied",
}


@pytest.mark.parametrize("seed", [6, 7])
def test_gate_when_ten_thousand_random_intents_and_fills_then_a_second_model_agrees(seed: int):
    world = World(seed)
    figures = world.run(10_000)
    assert figures.approved > 500
    assert figures.fills > 500
    # A check that was never met proved nothing.
    met = set(figures.refused) | set(figures.reduced)
    assert ALWAYS_MET <= met
    for name, (ours, models) in world.totals().items():
        assert ours == models, name
