"""Owns the settings of the engine: money, risk, execution, bounds; refuses contradictions."""

from typing import Annotated

import msgspec
from msgspec import Meta

from tickwright.execution.config import ExecutionConfig
from tickwright.risk.limits import RiskLimits

__all__ = ["EngineConfig"]


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trading process. `account_risk` replaces `risk` for accounts named `venue:name`.

    Volatility for sizing is measured on mids sampled once a second over `volatility_window_s` and
    told for a horizon of `volatility_horizon_s`.
    """

    risk: RiskLimits = RiskLimits()
    account_risk: dict[str, RiskLimits] = {}
    execution: ExecutionConfig = ExecutionConfig()
    equity_asset: str = "USDT"
    parity_assets: frozenset[str] = frozenset({"USD"})
    ignored_assets: frozenset[str] = frozenset()
    day_start_hour_utc: Annotated[int, Meta(ge=0, le=23)] = 0
    volatility_window_s: Annotated[int, Meta(ge=2, le=86_400)] = 300
    volatility_horizon_s: Annotated[int, Meta(ge=1, le=31_536_000)] = 3_600
    notices_max: Annotated[int, Meta(ge=16, le=1_000_000)] = 8_192
    """Notices nobody took; beyond it the oldest are dropped and counted."""
