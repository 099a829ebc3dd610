"""One input in, commands out: the whole trading state of a process, for every mode. Pure."""

from tickwright.engine.config import EngineConfig
from tickwright.engine.engine import Engine
from tickwright.engine.summary import EngineSummary

__all__ = ["Engine", "EngineConfig", "EngineSummary"]
