"""A market of seeded agents: makers, takers, trend followers, noise; they see users' orders."""

from tickwright.simulator.sources.agents.source import AGENTS_LABEL, AgentsSource
from tickwright.simulator.sources.agents.style import CALIBRATED, AgentsStyle, Regime, style_for

__all__ = ["AGENTS_LABEL", "CALIBRATED", "AgentsSource", "AgentsStyle", "Regime", "style_for"]
