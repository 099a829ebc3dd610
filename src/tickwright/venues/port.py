"""Owns what a venue offers to the rooms above it, in nobody's wire words; refuses venue names.

A venue's private side has three parts: a session that reads the account's stream, a channel that
sends order requests over a socket, and a client for queries and, where there is no channel, for
order requests too.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol, final

import msgspec

from tickwright.core.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    PlaceOrder,
    QueryOrder,
    SetPositionStops,
)
from tickwright.core.events import (
    AccountState,
    BalanceReport,
    CandleUpdate,
    ClockNotice,
    FeesChanged,
    Input,
    OrderAbsent,
    OrderReport,
    PositionReport,
    Reply,
    SendOutcome,
    StopsReply,
    SyncReport,
)
from tickwright.core.identity import Category, ClientId, InstrumentId
from tickwright.core.instrument import Instrument
from tickwright.core.orders import Fill, RequestKind

__all__ = [
    "AccountClient",
    "AccountHost",
    "AccountTerms",
    "EmergencyClient",
    "Encoded",
    "EncodedBatch",
    "HeldPosition",
    "KeyRights",
    "MarketClient",
    "OrderChannel",
    "OrderRequest",
    "PricedRequest",
    "RestingOrder",
    "TopOfBook",
    "Unsendable",
]

OrderRequest = PlaceOrder | AmendOrder | CancelOrder
"""The requests that concern one order."""
PricedRequest = tuple[OrderRequest, int | None]
"""A request and the latest trade price, which conditional orders need; None when unknown."""


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """An order request as bytes; the channel waits for its answer from now on."""

    request_id: str
    client_id: ClientId
    request: RequestKind
    message: bytes


class EncodedBatch(msgspec.Struct, frozen=True, gc=False):
    """Several order requests as one message; the channel waits for its answer from now on.

    `refused` can't be sent, each with its reason: proof that the venue never saw it. The message is
    empty when that goes for all of them.
    """

    request_id: str
    message: bytes
    sent: tuple[OrderRequest, ...]
    refused: tuple[tuple[OrderRequest, str], ...]


@final
class Unsendable(msgspec.Struct, frozen=True, gc=False):
    """Why an order request can't be sent: proof that the venue never saw it."""

    client_id: ClientId
    request: RequestKind
    reason: str


class TopOfBook(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask by REST, in units; 0 for an empty side."""

    symbol: str
    bid_price_units: int
    bid_size_units: int
    ask_price_units: int
    ask_size_units: int
    update_id: int
    sequence: int
    venue_ns: int


class KeyRights(msgspec.Struct, frozen=True):
    """What an API key may do. A key that may withdraw must be refused, an unbound one warned of."""

    can_withdraw: bool
    is_read_only: bool
    is_bound_to_address: bool
    permissions: tuple[str, ...]
    expires: str


class AccountTerms(msgspec.Struct, frozen=True):
    """How an account is set up at its venue, in the venue's words; empty where it tells none.

    `disconnect_cancels` names products whose orders the venue cancels when the account's streams
    are gone, with the seconds it waits.
    """

    margin_mode: str
    disconnect_cancels: tuple[tuple[str, int], ...] = ()


class AccountHost(Protocol):
    """What the private session and the order channel tell their owner, while they read frames."""

    def on_event(self, event: Input, now_ns: int) -> None:
        """Pass an input to the engine's door."""
        ...

    def on_ready(self, channel: str, now_ns: int) -> None:
        """A channel ("private" or "trade") is logged in. After "private", read the account."""
        ...

    def on_unreadable(self, channel: str, text: str, now_ns: int) -> None:
        """A private message couldn't be read: read the account again, nothing may be missed."""
        ...

    def on_instrument_doubt(self, symbol: str) -> None:
        """A symbol isn't held, or a number didn't fit it: read the instruments again."""
        ...

    def on_login_refused(self, channel: str, code: int, text: str, now_ns: int) -> None:
        """The venue refuses the login; the socket is dropped and dialled again."""
        ...


class OrderChannel(Protocol):
    """Order entry over a socket."""

    @property
    def is_ready(self) -> bool:
        """Whether requests can be sent now."""
        ...

    def encode(
        self, request: OrderRequest, now_ns: int, *, last_price_units: int | None = None
    ) -> Encoded | Unsendable:
        """Make the bytes of a request and wait for its answer from now on."""
        ...

    def encode_batch(self, requests: Sequence[PricedRequest], now_ns: int) -> EncodedBatch:
        """Make one message of requests of one kind and product line; see `batch_max`."""
        ...

    def not_sent(self, request_id: str) -> None:
        """Forget a message whose bytes never left."""
        ...


class MarketClient(Protocol):
    """Public queries. All raise `ConnectionLost`, `FrameError` or `VenueError`."""

    async def server_clock(self) -> ClockNotice:
        """Measure how far the venue's clock is ahead of ours."""
        ...

    async def instruments(self, category: Category, *, symbol: str = "") -> Sequence[Instrument]:
        """Read all instruments of a category, or the one named."""
        ...

    async def top_of_book(self, instrument: Instrument) -> TopOfBook:
        """Read the best bid and ask."""
        ...

    async def candles(
        self, instrument: Instrument, interval: str, *, limit: int = 200
    ) -> Sequence[CandleUpdate]:
        """Read the latest candles, oldest first."""
        ...


class AccountClient(Protocol):
    """Private queries and order requests by REST. A query that failed raises, it is never empty."""

    async def key_rights(self) -> KeyRights:
        """Read what the key may do."""
        ...

    async def open_orders(self, category: Category) -> Sequence[OrderReport]:
        """Read all open orders of a category."""
        ...

    async def fills(self, category: Category, *, since_ns: int) -> Sequence[Fill]:
        """Read all executions since a time, oldest first."""
        ...

    async def positions(self, category: Category) -> Sequence[PositionReport]:
        """Read all positions of a category."""
        ...

    async def wallet(self) -> Sequence[BalanceReport | AccountState]:
        """Read balances and totals."""
        ...

    async def fees(
        self, category: Category, *, symbols: Iterable[str] = ()
    ) -> Sequence[FeesChanged]:
        """Read the account's fee rates."""
        ...

    async def sync(self, categories: Iterable[Category], *, since_ns: int) -> SyncReport:
        """Read the whole private state."""
        ...

    async def query_order(self, query: QueryOrder) -> Sequence[OrderReport | Fill | OrderAbsent]:
        """Look for evidence about one order."""
        ...

    async def send(
        self, request: OrderRequest, *, last_price_units: int | None = None
    ) -> tuple[SendOutcome, Reply | None]:
        """Send one order request; a failure after its bytes left is an unknown reply."""
        ...

    def batch_max(self, category: Category) -> int:
        """Return how many requests one message may hold; 1 where there are no batches.

        It goes for the order channel, too.
        """
        ...

    async def send_batch(
        self, requests: Sequence[PricedRequest]
    ) -> Sequence[tuple[SendOutcome, Reply | None]]:
        """Send requests of one kind and product line in one message; see `send` for each."""
        ...

    async def cancel_all(self, command: CancelAll, *, category: Category) -> int:
        """Cancel all plain orders; protective stops stay. Returns how many the venue named."""
        ...

    async def set_stops(self, command: SetPositionStops) -> StopsReply:
        """Let the venue hold a position's stops; a failure that proves nothing is unknown."""
        ...

    async def set_leverage(self, instrument_id: InstrumentId, leverage: Decimal) -> None:
        """Set the leverage of a contract; already being set is success."""
        ...


class RestingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that could still fill, as the kill switch needs to know it.

    `is_protective`: it waits for its trigger and can then only shrink what is held. `filter` is the
    venue's word for its kind, where a cancel must name it.
    """

    category: Category
    symbol: str
    venue_id: str
    client_id: str
    parent_id: str
    is_conditional: bool
    is_protective: bool
    filter: str


class HeldPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the kill switch needs to know it: signed size, and the venue's leg index."""

    category: Category
    symbol: str
    size: Decimal
    index: int


class EmergencyClient(Protocol):
    """What the kill switch asks of a venue. A query that failed raises, it is never empty."""

    cancels_per_s: int
    """How many orders the venue lets an account cancel one by one in a second."""

    async def synchronise(self) -> Sequence[Category]:
        """Measure the venue's clock; return the product lines the key has no rights on."""
        ...

    async def orders(self) -> Sequence[RestingOrder]:
        """Read every order that could still fill."""
        ...

    async def cancel_all(self) -> int:
        """Cancel all plain orders; stops stay. Returns how many the venue named."""
        ...

    async def cancel_stops(self) -> int:
        """Cancel all conditional orders."""
        ...

    async def cancel(self, order: RestingOrder) -> None:
        """Cancel one order; already being gone is success."""
        ...

    async def positions(self) -> Sequence[HeldPosition]:
        """Read every position that isn't flat."""
        ...

    async def close(self, position: HeldPosition) -> None:
        """Close a position at the market, reduce-only; nothing being held is success."""
        ...


Clock = Callable[[], int]
"""Returns now in UTC nanoseconds."""
