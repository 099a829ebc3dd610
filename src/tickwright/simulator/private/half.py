"""Owns mounting the private half of a venue on its server; refuses rules of its own."""

from picows import WSListener, WSUpgradeRequest

from tickwright.simulator.connection import PRIVATE_REQUEST_BYTES_MAX, SessionSocket
from tickwright.simulator.private.control import LedgerControl
from tickwright.simulator.private.limits import AddressLimits
from tickwright.simulator.private.rest import PrivateRest
from tickwright.simulator.private.session import active_span_ns
from tickwright.simulator.server import SimulatorServer

__all__ = ["PRIVATE_PATH", "SESSIONS_MAX", "TRADE_PATH", "mount_private"]

PRIVATE_PATH = "/v5/private"
TRADE_PATH = "/v5/trade"

SESSIONS_MAX = 200
"""Private and trade sockets open at once, each; more are refused."""


def mount_private(server: SimulatorServer) -> None:
    """Give a server the private paths of its venue: two sockets, REST, and the ledger's control."""
    whole, options = server.whole, server.whole.options
    addresses = AddressLimits(
        options.address_requests_max, options.address_window_ms, options.address_ban_ms
    )

    def stream(request: WSUpgradeRequest) -> WSListener | None:
        if len(whole.streams) >= SESSIONS_MAX:
            return None
        active_ns = _span(request)
        return SessionSocket(
            server,
            lambda line: whole.stream_session(line, active_ns=active_ns),
            PRIVATE_REQUEST_BYTES_MAX,
        )

    def trade(request: WSUpgradeRequest) -> WSListener | None:
        if len(whole.trades) >= SESSIONS_MAX:
            return None
        active_ns = _span(request)
        return SessionSocket(
            server,
            lambda line: whole.trade_session(line, active_ns=active_ns),
            PRIVATE_REQUEST_BYTES_MAX,
        )

    PrivateRest(whole.venue, whole.service, whole.accounts, whole.faults, addresses).mount(
        server.app
    )
    LedgerControl(whole.desk).mount(server.app)
    server.websocket_paths[PRIVATE_PATH] = stream
    server.websocket_paths[TRADE_PATH] = trade


def _span(request: WSUpgradeRequest) -> int:
    return active_span_ns(request.path.decode("latin-1").partition("?")[2])
