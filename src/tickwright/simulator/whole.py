"""Owns both halves of the simulated venue as one machine under one clock; refuses sockets.

Markets, accounts, matching, limits and faults are here; a front only carries what is said. There
are two: `SimulatorServer` over sockets, and these methods in the same process, where the caller
moves time with `advance`. Same options, seeds and calls: same answers and same frames.

What of the faults needs a socket to hit: `fragmented` (a frame in fragments comes whole in
process), `slow_reader`, `outage` and `refuse_connections`. All others hit here too.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.private.accounts import Account, Accounts, ApiKey
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.ledger import Ledger
from tickwright.simulator.private.limits import AddressLimits, RequestLimits
from tickwright.simulator.private.options import PrivateOptions
from tickwright.simulator.private.service import Answer, Reply, Service
from tickwright.simulator.private.session import ACTIVE_NS_DEFAULT
from tickwright.simulator.private.shapes import Row
from tickwright.simulator.private.stream import StreamSession
from tickwright.simulator.private.told import Listener
from tickwright.simulator.private.trade import TradeSession
from tickwright.simulator.public_session import IDLE_NS_MAX, PublicSession
from tickwright.simulator.session import Line, ProcessLine, Session
from tickwright.simulator.venue import SimulatedVenue

__all__ = ["PROCESS_SESSIONS_MAX", "WholeVenue"]

PROCESS_SESSIONS_MAX = 1_000
"""Sessions open at once in process; more are refused."""

_TRADE_REQUESTS_PER_S = 3_000

Sink = Callable[[bytes], None]
SessionT = TypeVar("SessionT", bound=Session)


class WholeVenue:
    """A venue in a box, public and private, without anything in between."""

    def __init__(
        self, venue: SimulatedVenue, faults: FaultBoard, options: PrivateOptions | None = None
    ) -> None:
        options = options or PrivateOptions()
        self.venue = venue
        self.faults = faults
        self.options = options
        self._rng = Random(options.seed)
        self.ledger = Ledger()
        self.accounts = Accounts(options.accounts, self.ledger, venue.now_ns // 1_000_000)
        self.desk = Desk(
            venue,
            self.accounts,
            self.ledger,
            Random(self._rng.getrandbits(64)),
            self._publish,
            latency_ns=options.latency_ns,
            has_funding=options.has_funding,
        )
        self.desk.settlement.is_heard = self._is_heard
        self.limits = RequestLimits(options.rate_scale)
        self.hurry: Callable[[], None] = _wait
        """What to call when a request waits for the next turn; a server hangs itself in here."""
        self.service = Service(self.desk, self.limits, faults, self._wait_less)
        # Dictionaries and not sets: they are walked in the order of opening, in every process.
        self.streams: dict[StreamSession, None] = {}
        self.trades: dict[TradeSession, None] = {}
        self._trade_addresses = AddressLimits(_TRADE_REQUESTS_PER_S, 1_000, 1_000)
        self._process_sessions: list[Session] = []

    # time
    # -------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Venue time."""
        return self.venue.now_ns

    def advance(self, now_ns: int) -> None:
        """Do everything due up to `now_ns`, in time order; frames go out on the way."""
        self.venue.clock_ns = self.faults.clock_ns if self.faults.has_clock else None
        self.venue.advance(now_ns)
        past = self.desk.settlement.past
        if self.faults.has_lag:
            past.is_kept = True
        elif past.is_kept:
            past.forget()

    # requests
    # ---------------------------------------------------------------------------------------

    def key(self, name: str) -> ApiKey:
        """Return a key by its text.

        Raises:
            ConfigError: no account has it.
        """
        key = self.accounts.keys.get(name)
        if key is None:
            raise ConfigError(f"no account has the key {name!r}")
        return key

    def get(self, key: ApiKey, name: str, query: Mapping[str, str]) -> Answer:
        """Answer a reading request, by a name of `GETS`: `order.realtime`, `position.list`."""
        return self.service.get(key, name, query)

    def post(self, key: ApiKey, name: str, body: Any) -> Reply:
        """Carry out a changing request, by a name of `POSTS`; what follows waits for `advance`.

        The reply has no answer when a fault ate it. Its way is `process` for a fault's `topic`.
        """
        return self.service.submit(key, name, body, "process")

    def clock_ms(self) -> int:
        """Return what the venue's clock says to clients, which a fault may have put off."""
        return self.faults.clock_ns(self.venue.now_ns) // 1_000_000

    # subscriptions
    # ----------------------------------------------------------------------------------

    def public(self, category: Category, sink: Sink) -> PublicSession:
        """Open a public session whose frames go to `sink`; topics by its `subscribe`."""
        line = ProcessLine(sink)
        return self._begin(line, self.public_session(line, category))

    def private(self, key: ApiKey, sink: Sink, *topics: str) -> StreamSession:
        """Open a private session of an account, subscribed to `topics`; messages go to `sink`.

        Raises:
            ConfigError: a topic that the venue refuses, or too many sessions.
        """
        line = ProcessLine(sink)
        session = self._begin(line, self.stream_session(line))
        try:
            session.subscribe(key, *topics)
        except ConfigError:
            session.close()
            raise
        return session

    def _begin(self, line: ProcessLine, session: SessionT) -> SessionT:
        if len(self._process_sessions) >= PROCESS_SESSIONS_MAX:
            self._process_sessions = [s for s in self._process_sessions if s.is_open]
            if len(self._process_sessions) >= PROCESS_SESSIONS_MAX:
                raise ConfigError(f"at most {PROCESS_SESSIONS_MAX} sessions in one process")
        self._process_sessions.append(session)
        line.session = session
        session.open("process")
        return session

    # sessions, for any line
    # -------------------------------------------------------------------------------

    def public_session(
        self, line: Line, category: Category, *, idle_ns_max: int = IDLE_NS_MAX
    ) -> PublicSession:
        """Make a public session on a line."""
        conn_id = str(UUID(int=self._rng.getrandbits(128)))
        return PublicSession(
            line, conn_id, self.venue, self.faults, category, idle_ns_max=idle_ns_max
        )

    def stream_session(self, line: Line, *, active_ns: int = ACTIVE_NS_DEFAULT) -> StreamSession:
        """Make a private session on a line; it says itself whose it is."""
        return StreamSession(
            line,
            self._conn_id(),
            self.venue,
            self.faults,
            self.accounts,
            self.streams,
            self.service.disconnection,
            active_ns=active_ns,
        )

    def trade_session(self, line: Line, *, active_ns: int = ACTIVE_NS_DEFAULT) -> TradeSession:
        """Make a session of order entry on a line."""
        return TradeSession(
            line,
            self._conn_id(),
            self.venue,
            self.faults,
            self.accounts,
            self.service,
            self._trade_addresses,
            self.trades,
            Random(self._rng.getrandbits(64)),
            active_ns=active_ns,
            reply_delay_s=self.options.reply_delay_s,
        )

    def _conn_id(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def _wait_less(self) -> None:
        self.hurry()

    # events
    # -----------------------------------------------------------------------------------------

    def listen(self, account: Account, listener: Listener) -> None:
        """Let somebody without a line hear everything of an account; no fault stands between."""
        self.desk.settlement.listeners[account.uid] = listener

    def _is_heard(self, account: Account) -> bool:
        # A loop and not `any`: without streams, which is each step of a backtest, it is nothing.
        for session in self.streams:
            if session.key is not None and session.key.account is account:
                return True
        return False

    def _publish(self, account: Account, topic: str, rows: list[Row]) -> None:
        # A session may be cut by a fault of its own message.
        for session in tuple(self.streams):
            if session.key is not None and session.key.account is account:
                session.publish(topic, rows)


def _wait() -> None:
    """Leave a request to the next `advance`."""
