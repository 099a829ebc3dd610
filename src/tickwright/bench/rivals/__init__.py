"""What a user would pick instead, written by us from descriptions and measured beside ours.

Each rival has an in-process form, ``feed(frame)``: bytes to book to features to one Python call,
and a socket form that ``tickwright.bench.client`` runs. None of them checks ``u``: that is how they
are used.
"""

from tickwright.bench.rivals.contract import (
    IMBALANCE_LEVELS,
    WINDOW,
    Callback,
    Caller,
    Features,
    Reader,
    Stack,
    Top,
    subscribe_requests,
)

__all__ = [
    "IMBALANCE_LEVELS",
    "WINDOW",
    "Callback",
    "Caller",
    "Features",
    "Reader",
    "Stack",
    "Top",
    "subscribe_requests",
]
