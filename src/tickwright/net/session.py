"""Owns the contract between a socket and the session that thinks for it; refuses to hold either.

A session is sans-I/O: it is told what happened and when, and answers with actions. `net.connection`
obeys.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tickwright.net.listener import FrameSink

__all__ = ["Abort", "Action", "Send", "Session"]


class Send(msgspec.Struct, frozen=True, gc=False):
    """Hand this text message to the socket."""

    message: bytes


class Abort(msgspec.Struct, frozen=True, gc=False):
    """Drop the connection without a closing handshake and dial again."""

    reason: str


Action = Send | Abort


class Session(Protocol):
    """Thinks for one connection."""

    @property
    def sink(self) -> FrameSink:
        """Where the connection's frames go."""
        ...

    @property
    def is_proven(self) -> bool:
        """Whether this connection has shown that it works (the backoff starts over then)."""
        ...

    def on_connected(self, now_ns: int) -> None:
        """The handshake is done."""
        ...

    def on_disconnected(self, reason: str, now_ns: int) -> None:
        """The connection is gone."""
        ...

    def poll(self, now_ns: int) -> Sequence[Action]:
        """Say what to do now; called often, and soon after the session asked for it."""
        ...
