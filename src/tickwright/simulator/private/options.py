"""Owns what may be chosen about the private half; refuses defaults that are not the venue's."""

from dataclasses import dataclass

from tickwright.simulator.private.accounts import DEMO_ACCOUNT, AccountSpec

__all__ = ["PrivateOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateOptions:
    """Accounts and limits. The limits are the venue's; a test may shrink or lift them.

    `latency_ns` is the venue time between an answer and the book. `rate_scale` multiplies every
    per-account budget. `reply_delay_s` holds back the trade socket's acknowledgements, as a network
    would: some clients register what they wait for only after they have sent the request. The
    limits of an address count on sockets alone.
    """

    accounts: tuple[AccountSpec, ...] = (DEMO_ACCOUNT,)
    seed: int = 1
    latency_ns: int = 0
    rate_scale: float = 1.0
    address_requests_max: int = 600
    address_window_ms: int = 5_000
    address_ban_ms: int = 600_000
    has_funding: bool = True
    reply_delay_s: float = 0.0
