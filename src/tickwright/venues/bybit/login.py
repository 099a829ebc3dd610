"""Owns the life of a private socket: log in, beat, notice death; refuses sockets and clocks.

Both private sockets need it: the account's stream and order entry. A connection is dropped when
its login isn't answered, or when it stays silent after a ping.
"""

import enum

import msgspec

from tickwright.core.errors import FrameError
from tickwright.net.session import Abort, Action, Send
from tickwright.venues.bybit.control import Classified
from tickwright.venues.bybit.sign import AUTH_SECONDS, Credentials

__all__ = [
    "ANSWER_DEADLINE_NS",
    "PING_EVERY_NS",
    "PONG_DEADLINE_NS",
    "Login",
    "LoginPhase",
    "SecretSend",
]

PING_EVERY_NS = 20_000_000_000
"""A talking socket is pinged this often, as the venue recommends."""
IDLE_PING_NS = 2_000_000_000
"""A silent socket is pinged after this long: its pong tells a quiet one from a dead one."""
PONG_DEADLINE_NS = 3_000_000_000
"""A pinged socket without any frame for this long is dead."""
ANSWER_DEADLINE_NS = 5_000_000_000
"""A login or subscription without answer for this long fails the connection."""

_ALREADY_LOGGED_IN = 20001


class SecretSend(Send, frozen=True, gc=False):
    """A message that holds a key and a signature: never shown."""

    def __repr__(self) -> str:
        return "SecretSend(***)"


class LoginPhase(enum.Enum):
    """How far a connection is."""

    DOWN = "down"
    CONNECTED = "connected"
    ASKED = "asked"
    LOGGED_IN = "logged_in"
    FAILED = "failed"


# Looking a member up in its class is a Python call, and every order asks.
_LOGGED_IN = LoginPhase.LOGGED_IN

# The only moves there are; every socket loss leads to DOWN.
_MOVES = {
    (LoginPhase.CONNECTED, "ask"): LoginPhase.ASKED,
    (LoginPhase.ASKED, "accepted"): LoginPhase.LOGGED_IN,
    (LoginPhase.ASKED, "failed"): LoginPhase.FAILED,
    (LoginPhase.LOGGED_IN, "failed"): LoginPhase.FAILED,
    (LoginPhase.FAILED, "failed"): LoginPhase.FAILED,
    (LoginPhase.CONNECTED, "failed"): LoginPhase.FAILED,
}


class _AuthRequest(msgspec.Struct):
    op: str
    args: tuple[str, int, str]


class Login:
    """Logs one socket in and keeps its heartbeat."""

    def __init__(
        self, credentials: Credentials, *, ping: bytes, idle_ping_ns: int = IDLE_PING_NS
    ) -> None:
        self._credentials = credentials
        self._ping = ping
        self._idle_ping_ns = idle_ping_ns
        self.offset_ns = 0
        """How far the venue's clock is ahead of ours, by the last measurement."""
        self.phase = LoginPhase.DOWN
        self._fail_reason = ""
        self._asked_ns = 0
        self._pinged_ns = 0
        self._ping_open_ns = 0
        self._heard_ns = 0

    @property
    def is_logged_in(self) -> bool:
        """Whether the venue accepted the login of this connection."""
        return self.phase is _LOGGED_IN

    def connected(self, now_ns: int) -> None:
        """Start over on a new socket."""
        self.phase = LoginPhase.CONNECTED
        self._fail_reason = ""
        self._heard_ns = self._pinged_ns = now_ns
        self._ping_open_ns = 0

    def disconnected(self) -> None:
        """The socket is gone."""
        self.phase = LoginPhase.DOWN

    def heard(self, now_ns: int) -> None:
        """Any frame came: the peer lives."""
        self._heard_ns = now_ns
        self._ping_open_ns = 0

    def answered(self, what: Classified) -> bool:
        """Take the venue's answer to the login; return whether it was accepted.

        Raises:
            FrameError: nobody asked.
        """
        is_good = what.is_success or what.code == _ALREADY_LOGGED_IN
        if self.phase is not LoginPhase.ASKED:
            raise FrameError(f"an answer to a login nobody sent, in phase {self.phase.value}")
        if is_good:
            self._move("accepted")
        else:
            self.fail(f"login refused: {what.code} {what.text[:200]}")
        return is_good

    def fail(self, reason: str) -> None:
        """Drop the connection at the next poll."""
        if self.phase is not LoginPhase.DOWN:
            self._fail_reason = self._fail_reason or reason
            self._move("failed")

    def poll(self, now_ns: int) -> list[Action]:
        """Return the login, a ping, or the end of the connection."""
        if self.phase is LoginPhase.DOWN:
            return []
        actions: list[Action] = []
        if self.phase is LoginPhase.CONNECTED:
            self._move("ask")
            self._asked_ns = now_ns
            actions.append(SecretSend(self._auth_message(now_ns)))
        elif self.phase is LoginPhase.ASKED and now_ns - self._asked_ns > ANSWER_DEADLINE_NS:
            self.fail("the login got no answer")
        if self._ping_open_ns and now_ns - self._ping_open_ns > PONG_DEADLINE_NS:
            silent_s = (now_ns - self._heard_ns) / 1e9
            self.fail(f"no frame for {silent_s:.1f} s, ping unanswered")
        if self.phase is LoginPhase.FAILED:
            return [Abort(self._fail_reason)]
        is_idle = now_ns - self._heard_ns >= self._idle_ping_ns and not self._ping_open_ns
        if is_idle or now_ns - self._pinged_ns >= PING_EVERY_NS:
            self._pinged_ns = now_ns
            self._ping_open_ns = self._ping_open_ns or now_ns
            actions.append(Send(self._ping))
        return actions

    def _auth_message(self, now_ns: int) -> bytes:
        expires_ms = (now_ns + self.offset_ns) // 1_000_000 + AUTH_SECONDS * 1_000
        args = self._credentials.login_args(expires_ms)
        return msgspec.json.encode(_AuthRequest("auth", args))

    def _move(self, event: str) -> None:
        then = _MOVES.get((self.phase, event))
        assert then is not None, f"a login that is {self.phase.value} can't be {event}"
        self.phase = then
