"""Owns what a client's session is, whatever carries it: requests in, frames out; refuses sockets.

A session speaks through a `Line`. A socket is one kind of line, a function in the same process is
another; what is said on it is the same, byte for byte.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

__all__ = ["Line", "ProcessLine", "Session"]


class Line(Protocol):
    """What carries a session's frames to its client."""

    def send(self, payload: bytes) -> None:
        """Take a frame; it leaves with the next turn, or at once."""

    def send_fragmented(self, payload: bytes) -> None:
        """Take a frame that leaves in three fragments, where there are fragments."""

    def cut(self) -> None:
        """End the session without a word."""

    def vanish(self) -> None:
        """Read, send and answer nothing any more, and stay open."""

    def stop_reading(self) -> None:
        """Leave what the client sends where it is, where anything is in between."""

    def resume_reading(self) -> None:
        """Read again."""


class Session(ABC):
    """One client's session."""

    def __init__(self, line: Line, conn_id: str) -> None:
        self.line = line
        self.conn_id = conn_id
        self.address = ""
        self.is_open = False

    def open(self, address: str = "") -> None:
        """Begin: the client can be spoken to."""
        self.address = address
        self.is_open = True

    def close(self) -> None:
        """End: the client is gone. Safe to call twice."""
        self.is_open = False

    @abstractmethod
    def on_request(self, text: bytes) -> bool:
        """Carry out one text frame; False leaves its answer to the turn's end."""

    @abstractmethod
    def is_idle(self, now_ns: int) -> bool:
        """Whether the session has been unused for too long."""


class ProcessLine:
    """Hands every frame to a function in the same process, at the venue time it is made.

    A frame in fragments comes whole and a client that is not read waits for nothing: there is no
    socket in between. After `cut` and `vanish` nothing comes any more.
    """

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self.session: Session | None = None
        self.is_cut = False
        self.has_vanished = False
        self.send = sink

    def send_fragmented(self, payload: bytes) -> None:
        """Hand a frame over whole."""
        self.send(payload)

    def cut(self) -> None:
        """End the session."""
        self.is_cut = True
        self.send = _drop
        if self.session is not None:
            self.session.close()

    def vanish(self) -> None:
        """Hand nothing over any more; the session stays subscribed."""
        self.has_vanished = True
        self.send = _drop

    def stop_reading(self) -> None:
        """Do nothing: a request is a call."""

    def resume_reading(self) -> None:
        """Do nothing: a request is a call."""


def _drop(payload: bytes) -> None:
    """Take a frame nowhere."""
