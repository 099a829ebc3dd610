"""Runs as a person starts them: the smallest configuration, an eager one, and what they leave."""

from pathlib import Path

SMALLEST = """
[venues.box]

[accounts.paper]
venue = "box"

[[strategies]]
id = "reversion"
strategy = "mean_reversion"
account = "paper"
symbols = ["BTCUSDT"]
"""
EAGER = f"""
{SMALLEST.replace('["BTCUSDT"]', '["BTCUSDT", "ETHUSDT"]')}
[strategies.parameters]
lookback = 20
entry_z = 0.5
z_full = 1.0
exit_z = 0.1
imbalance_threshold = 0.0
"""
"""Signals within seconds."""


def written_below(folder: Path) -> str:
    """Return all that a run wrote as JSON."""
    return "".join(one.read_text("utf-8") for one in folder.rglob("*.json*"))
