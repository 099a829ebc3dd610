"""Positions, ledger and valuation: what we hold and what it is worth, exact to 10^-18. Pure."""

from tickwright.portfolio.portfolio import Portfolio
from tickwright.portfolio.position import Position

__all__ = ["Portfolio", "Position"]
