"""The trader's own limits: sizing, checks and the gate every order passes. Pure."""

from tickwright.risk.gate import Gate, RiskView
from tickwright.risk.limits import LimitOverrides, RiskLimits, SizingLimits

__all__ = ["Gate", "LimitOverrides", "RiskLimits", "RiskView", "SizingLimits"]
