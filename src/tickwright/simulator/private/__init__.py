"""The simulated venue's private half: accounts, exact money, orders and their sockets."""

from tickwright.simulator.private.accounts import (
    DEMO_ACCOUNT,
    DEMO_KEY,
    DEMO_SECRET,
    AccountSpec,
    parse_account,
)
from tickwright.simulator.private.half import PrivateHalf, PrivateOptions, private_half

__all__ = [
    "DEMO_ACCOUNT",
    "DEMO_KEY",
    "DEMO_SECRET",
    "AccountSpec",
    "PrivateHalf",
    "PrivateOptions",
    "parse_account",
    "private_half",
]
