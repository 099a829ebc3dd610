"""Owns plugging the private half into a simulator server; refuses rules of its own.

`private_half(options)` is what `serve(..., plug_ins=[...])` takes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from uuid import UUID

from picows import WSListener, WSUpgradeRequest

from tickwright.simulator.market_rest import MarketRest
from tickwright.simulator.private.accounts import DEMO_ACCOUNT, Account, Accounts, AccountSpec
from tickwright.simulator.private.control import LedgerControl
from tickwright.simulator.private.desk import Desk
from tickwright.simulator.private.ledger import Ledger
from tickwright.simulator.private.limits import AddressLimits, RequestLimits
from tickwright.simulator.private.rest import PrivateRest
from tickwright.simulator.private.service import Service
from tickwright.simulator.private.shapes import Row
from tickwright.simulator.private.sockets import active_span_ns
from tickwright.simulator.private.stream import StreamSocket
from tickwright.simulator.private.trade import TradeSocket
from tickwright.simulator.server import SimulatorServer

__all__ = [
    "PRIVATE_PATH",
    "SESSIONS_MAX",
    "TRADE_PATH",
    "PrivateHalf",
    "PrivateOptions",
    "private_half",
]

PRIVATE_PATH = "/v5/private"
TRADE_PATH = "/v5/trade"

SESSIONS_MAX = 200
"""Private and trade sockets open at once, each; more are refused."""

_TRADE_REQUESTS_PER_S = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateOptions:
    """Accounts and limits. The limits are the venue's; a test may shrink or lift them.

    `latency_ns` is the venue time between an answer and the book. `rate_scale` multiplies every
    per-account budget. `reply_delay_s` holds back the trade socket's acknowledgements, as a network
    would: some clients register what they wait for only after they have sent the request.
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


class PrivateHalf:
    """Everything private of one simulator, mounted on its server."""

    def __init__(self, server: SimulatorServer, options: PrivateOptions) -> None:
        self._server = server
        venue = server.venue
        rng = Random(options.seed)
        self.ledger = Ledger()
        self.accounts = Accounts(options.accounts, self.ledger, venue.now_ns // 1_000_000)
        self.desk = Desk(
            venue,
            self.accounts,
            self.ledger,
            Random(rng.getrandbits(64)),
            self._publish,
            latency_ns=options.latency_ns,
            has_funding=options.has_funding,
        )
        self.limits = RequestLimits(options.rate_scale)
        self.service = Service(self.desk, self.limits, server.faults, server.hurry)
        self.desk.settlement.is_heard = self._is_heard
        server.on_turn(self._keep_past)
        self._rng = rng
        self._reply_delay_s = options.reply_delay_s
        self._streams: set[StreamSocket] = set()
        self._trades: set[TradeSocket] = set()
        self._trade_addresses = AddressLimits(_TRADE_REQUESTS_PER_S, 1_000, 1_000)
        addresses = AddressLimits(
            options.address_requests_max, options.address_window_ms, options.address_ban_ms
        )
        PrivateRest(venue, self.service, self.accounts, server.faults, addresses).mount(server.app)
        MarketRest(venue).mount(server.app)
        LedgerControl(self.desk).mount(server.app)
        server.websocket_paths[PRIVATE_PATH] = self._stream
        server.websocket_paths[TRADE_PATH] = self._trade

    def _keep_past(self, now_ns: int) -> None:
        past = self.desk.settlement.past
        if self._server.faults.has_lag:
            past.is_kept = True
        elif past.is_kept:
            past.forget()

    def _is_heard(self, account: Account) -> bool:
        return any(s.key is not None and s.key.account is account for s in self._streams)

    def _publish(self, account: Account, topic: str, rows: list[Row]) -> None:
        for socket in self._streams:
            if socket.key is not None and socket.key.account is account:
                socket.publish(topic, rows)

    def _stream(self, request: WSUpgradeRequest) -> WSListener | None:
        if len(self._streams) >= SESSIONS_MAX:
            return None
        return StreamSocket(
            self._server,
            self._conn_id(),
            _span(request),
            self.accounts,
            self._streams,
            self.service.disconnection,
        )

    def _trade(self, request: WSUpgradeRequest) -> WSListener | None:
        if len(self._trades) >= SESSIONS_MAX:
            return None
        return TradeSocket(
            self._server,
            self._conn_id(),
            _span(request),
            self.accounts,
            self.service,
            self._trade_addresses,
            self._trades,
            Random(self._rng.getrandbits(64)),
            self._reply_delay_s,
        )

    def _conn_id(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))


def _span(request: WSUpgradeRequest) -> int:
    return active_span_ns(request.path.decode("latin-1").partition("?")[2])


def private_half(options: PrivateOptions | None = None) -> Callable[[SimulatorServer], None]:
    """Return the plug-in that gives a simulator server its private half."""

    def plug_in(server: SimulatorServer) -> None:
        PrivateHalf(server, options or PrivateOptions())

    return plug_in
