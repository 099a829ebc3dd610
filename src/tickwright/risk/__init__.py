"""The trader's own limits: sizing, checks and the gate every order passes. Pure."""

from tickwright.risk.gate import CheckResult, Gate, RiskView
from tickwright.risk.limits import LimitOverrides, RiskLimits, SizingLimits
from tickwright.risk.usage import LimitUse

__all__ = [
    "CheckResult",
    "Gate",
    "LimitOverrides",
    "LimitUse",
    "RiskLimits",
    "RiskView",
    "SizingLimits",
]
