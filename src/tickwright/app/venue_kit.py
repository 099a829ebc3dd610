"""Owns putting a venue's parts together; here, and in the venue's own room, its name is known.

Refuses to decide anything: it makes clients, sessions and links from addresses and keys.
"""

import ssl
from collections.abc import Callable, Sequence
from random import Random
from urllib.parse import urlsplit

import msgspec

from tickwright.book.messages import MessageSink
from tickwright.core.commands import PlaceOrder
from tickwright.core.errors import ConfigError
from tickwright.core.events import ClockNotice, RateLimitReport
from tickwright.core.identity import AccountId, Category, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import SelfTradeRule
from tickwright.feed.account_link import AccountDoor, AccountLink, OrderFence
from tickwright.feed.door import Door
from tickwright.feed.feed import FeedOptions, PublicFeed
from tickwright.net.backoff import DialBudget
from tickwright.net.connection import DialGate
from tickwright.net.dial_file import SharedDialBudget, dial_file
from tickwright.net.http import HttpClient
from tickwright.net.listener import utc_now_ns
from tickwright.net.tap import InputTap
from tickwright.storage.journal import Journal
from tickwright.venues.bybit.account_rest import BybitAccountClient
from tickwright.venues.bybit.emergency import BybitEmergencyClient
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.bybit.limits import RestBudget, VenueClock
from tickwright.venues.bybit.order_encode import OrderEncoder
from tickwright.venues.bybit.private import PrivateSession
from tickwright.venues.bybit.private_decode import RowReader
from tickwright.venues.bybit.public import PublicSession as BybitPublicSession
from tickwright.venues.bybit.rest import BybitMarketClient
from tickwright.venues.bybit.rest_call import RestCaller
from tickwright.venues.bybit.sign import Credentials
from tickwright.venues.bybit.trade import TradeSession
from tickwright.venues.public_port import PublicHost, PublicSession

__all__ = ["BybitKit", "emergency_client", "make_replay_session"]

KILL_TIMEOUT_S = 1.5

InstrumentOf = Callable[[Category, str], Instrument]


class BybitKit:
    """Everything that talks to one Bybit environment: shared budget, clock, dial gates."""

    def __init__(
        self, name: str, hosts: Hosts, random: Random, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        if not hosts.rest and not hosts.public:
            raise ConfigError(f"venue {name}: no address is known; give rest_url and public_url")
        self.name = name
        self.hosts = hosts
        self.clock = VenueClock()
        self.budget = RestBudget()
        self._random = random
        self._ssl = ssl_context
        self._http = HttpClient(hosts.rest, ssl_context=ssl_context) if hosts.rest else None
        self._sessions: list[PrivateSession | TradeSession] = []
        # Venues count dials by host: all sockets, and all processes of this user, share a budget.
        dials = _dial_budget(hosts)
        self.public_gate = DialGate(random, budget=dials)
        self.account_gate = DialGate(random, budget=dials)
        self.trade_gate = DialGate(random, budget=dials)
        self.market: BybitMarketClient | None = None
        if self._http is not None:
            self.market = BybitMarketClient(self._caller(None))

    def _caller(self, credentials: Credentials | None) -> RestCaller:
        assert self._http is not None
        return RestCaller(
            self._http,
            now=utc_now_ns,
            random=self._random,
            budget=self.budget,
            clock=self.clock,
            credentials=credentials,
        )

    async def measure_clock(self) -> ClockNotice:
        """Ask the venue's time; sessions stamp their requests by it from now on."""
        assert self.market is not None
        notice = await self.market.server_clock()
        for session in self._sessions:
            session.set_clock_offset(self.clock.offset_ns)
        self.clock.is_doubted = False
        # Known by the venue's name from here on, as accounts know it; the client knows an address.
        return msgspec.structs.replace(notice, source=self.name)

    def feed(
        self,
        options: FeedOptions,
        door: Door,
        *,
        tap: InputTap | None,
        on_note: Callable[[str, str], None] | None = None,
        measures_callbacks: bool = False,
    ) -> PublicFeed:
        """Return the feed of one product line."""

        def make_session(host: PublicHost, source: int) -> PublicSession:
            session = BybitPublicSession(
                options.category,
                host,
                depth=options.depth,
                has_companion=options.has_companion,
                wants_trades=options.has_trades,
                tap=tap,
                source=source,
                conflate_after=options.conflate_after,
            )
            if measures_callbacks:
                session.measure_callbacks()
            return session

        return PublicFeed(
            options,
            door,
            make_session=make_session,
            url=self.hosts.public_url(options.category),
            gate=self.public_gate,
            rest=self.market,
            ssl_context=self._ssl,
            on_note=on_note,
        )

    def client(
        self,
        account_id: AccountId,
        credentials: Credentials,
        instrument_of: InstrumentOf,
        *,
        on_limit: Callable[[RateLimitReport], None] | None = None,
        self_trade: SelfTradeRule = SelfTradeRule.NONE,
    ) -> BybitAccountClient:
        """Return the REST client of one account.

        Raises:
            ConfigError: no REST address is known.
        """
        if self._http is None:
            raise ConfigError(f"venue {self.name}: an account needs rest_url")
        # Where orders have no socket, demo, batches are for contracts alone.
        batched = (Category.LINEAR, Category.SPOT) if self.hosts.trade else (Category.LINEAR,)
        return BybitAccountClient(
            account_id,
            self._caller(credentials),
            instrument_of,
            on_limit=on_limit,
            batched=batched,
            self_trade=self_trade,
        )

    def link(
        self,
        account_id: AccountId,
        credentials: Credentials,
        client: BybitAccountClient,
        door: AccountDoor,
        journal: Journal,
        instrument_of: InstrumentOf,
        *,
        categories: Sequence[Category],
        last_price_units: Callable[[PlaceOrder], int | None],
        on_sent: Callable[[PlaceOrder, int], None] | None = None,
        on_note: Callable[[str, str], None] | None = None,
        wants_trade_socket: bool = True,
        fence: OrderFence | None = None,
        reconcile_s: float = 0.0,
        seen_ns: int = 0,
        batches: bool = False,
        self_trade: SelfTradeRule = SelfTradeRule.NONE,
    ) -> AccountLink:
        """Return the link of one account.

        Private stream, order channel where there is one, REST.
        """
        link = AccountLink(
            account_id,
            door,
            client,
            journal,
            categories=categories,
            last_price_units=last_price_units,
            on_sent=on_sent,
            on_note=on_note,
            fence=fence,
            silent_ns=self.budget.silent_for_ns,
            reconcile_s=reconcile_s,
            seen_ns=seen_ns,
            batches=batches,
        )
        rows = RowReader(account_id, instrument_of)
        doubt = self.clock.distrust
        private = PrivateSession(credentials, rows, link, wake=link.wake, on_clock_doubt=doubt)
        self._sessions.append(private)
        # The clock was measured before there was a session: the first order has the venue's time.
        private.set_clock_offset(self.clock.offset_ns)
        trade = None
        if wants_trade_socket and self.hosts.trade:
            encoder = OrderEncoder(
                lambda one: instrument_of(one.category, one.symbol), self_trade=self_trade
            )
            session = TradeSession(
                account_id, credentials, encoder, link, wake=link.wake, on_clock_doubt=doubt
            )
            self._sessions.append(session)
            session.set_clock_offset(self.clock.offset_ns)
            trade = (self.hosts.trade, session)
        if not self.hosts.private:
            raise ConfigError(f"venue {self.name}: an account needs private_url")
        link.connect(
            (self.hosts.private, private),
            trade,
            self.account_gate,
            self.trade_gate,
            ssl_context=self._ssl,
        )
        return link

    async def aclose(self) -> None:
        """Release the HTTP connections."""
        if self._http is not None:
            await self._http.aclose()


def emergency_client(
    hosts: Hosts,
    credentials: Credentials,
    categories: Sequence[Category],
    *,
    random: Random,
    ssl_context: ssl.SSLContext | None = None,
) -> tuple[BybitEmergencyClient, HttpClient]:
    """Return what the kill switch asks a venue with, and the connections to close afterwards.

    Nothing is shared with a trader: it has budgets, clock and connections of its own. Answers are
    not waited for as long as elsewhere: asking again is what helps.
    """
    http = HttpClient(
        hosts.rest, timeout_s=KILL_TIMEOUT_S, connect_timeout_s=1.0, ssl_context=ssl_context
    )
    caller = RestCaller(http, now=utc_now_ns, random=random, credentials=credentials)
    return BybitEmergencyClient(caller, categories), http


def _dial_budget(hosts: Hosts) -> DialBudget:
    host = urlsplit(hosts.public or hosts.rest).hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return DialBudget()
    return SharedDialBudget(dial_file(host))


def make_replay_session(
    instrument_id: InstrumentId,
    depth: int,
    host: PublicHost,
    source: int,
    *,
    messages: MessageSink | None = None,
) -> PublicSession:
    """Return a session that reads recorded frames as the live one did; it is never polled.

    `messages` is told every book message that a book took.
    """
    if instrument_id.venue != "bybit":
        raise ConfigError(f"recordings of {instrument_id.venue} can't be replayed yet")
    return BybitPublicSession(
        instrument_id.category, host, depth=depth, source=source, messages=messages
    )
