"""Positions, ledger and valuation: what we hold and what it is worth, exact to 10^-18. Pure."""

from tickwright.portfolio.fold import FillEffect
from tickwright.portfolio.portfolio import DayRecord, Portfolio
from tickwright.portfolio.position import Position
from tickwright.portfolio.sync import SyncDifference

__all__ = ["DayRecord", "FillEffect", "Portfolio", "Position", "SyncDifference"]
