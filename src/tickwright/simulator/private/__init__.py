"""The simulated venue's private half: accounts, exact money, orders and their sessions."""

from tickwright.simulator.private.accounts import (
    DEMO_ACCOUNT,
    DEMO_KEY,
    DEMO_SECRET,
    AccountSpec,
    parse_account,
)
from tickwright.simulator.private.options import PrivateOptions

__all__ = [
    "DEMO_ACCOUNT",
    "DEMO_KEY",
    "DEMO_SECRET",
    "AccountSpec",
    "PrivateOptions",
    "parse_account",
]
