"""A venue without sockets or clocks: answers a public session as Bybit does, when it is told.

`World` moves time in steps, hands the session's messages to the venue and the venue's frames to the
session, and lets REST answer late. Faults are switches of the venue.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fuzz.corpus import book_frame
from tests.oracle.instruments import make_instrument
from tickwright.book.control import BookVerb, control_book
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.commands import Command
from tickwright.core.errors import InstrumentUnknown
from tickwright.core.events import BookState, MarketEvent, Trade
from tickwright.core.identity import Category
from tickwright.core.instrument import Instrument
from tickwright.net.session import Abort, Action, Send
from tickwright.venues.bybit.public import PublicSession
from tickwright.venues.port import TopOfBook
from tickwright.venues.public_port import TopicChange

__all__ = ["MS", "Host", "Market", "Venue", "World", "rest_of_the_market"]

MS = 1_000_000
START_NS = 1_769_000_000_000 * MS
REPEAT_NS = 3_000 * MS


class Host:
    """Does what the session asks and remembers it."""

    def __init__(self) -> None:
        self.books: dict[int, OrderBook] = {}
        self.instruments: dict[str, Instrument] = {}
        self.controls: list[tuple[int, BookVerb, str]] = []
        self.states: list[tuple[int, BookState, BookState]] = []
        self.topics: list[TopicChange] = []
        self.trades: list[Trade] = []
        self.market: list[MarketEvent] = []
        self.refused: dict[str, str] = {}
        self.doubts: list[str] = []
        self.updates = 0

    def on_book(self, slot: int, now_ns: int) -> list[Command] | None:
        self.updates += 1
        return None

    def on_trades(self, trades: list[Trade]) -> list[Command] | None:
        self.trades += trades
        return None

    def on_commands(self, commands: object) -> None:
        raise AssertionError("nobody answers commands here")

    def on_book_state(self, slot: int, previous: BookState, now_ns: int) -> None:
        self.states.append((slot, previous, self.books[slot].state))

    def on_market(self, event: MarketEvent, now_ns: int) -> None:
        self.market.append(event)

    def control_book(
        self, slot: int, verb: BookVerb, reason: str, now_ns: int, *, is_derived: bool = False
    ) -> None:
        self.controls.append((slot, verb, reason))
        control_book(self.books[slot], verb, reason, now_ns)

    def on_topic(self, change: TopicChange, now_ns: int) -> None:
        self.topics.append(change)

    def on_refused(self, topic: str, text: str) -> None:
        self.refused[topic] = text

    def on_instrument_doubt(self, symbol: str) -> None:
        self.doubts.append(symbol)

    def instrument_for(self, symbol: str) -> Instrument:
        if symbol not in self.instruments:
            raise InstrumentUnknown(symbol)
        return self.instruments[symbol]

    def stale_reasons(self, slot: int) -> list[str]:
        return [
            reason for at, verb, reason in self.controls if at == slot and verb is BookVerb.STALE
        ]


@dataclass
class Market:
    """One symbol at the venue: its top, and the numbers of its topics."""

    bid: int = 10_000
    ask: int = 10_100
    u: int = 100
    level1_u: int = 500
    level1_sent_ns: int = 0


@dataclass
class Venue:
    """Answers requests; the attributes below are what goes wrong."""

    category: Category = Category.LINEAR
    markets: dict[str, Market] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)
    requests: list[dict[str, object]] = field(default_factory=list)
    is_dead: bool = False
    has_no_acks: bool = False
    has_no_snapshots: bool = False
    has_no_unsubscribe_acks: bool = False
    silent: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    pong: bytes = b'{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"ping","op":"ping"}'
    out: list[bytes] = field(default_factory=list)

    def take(self, message: bytes, now_ns: int) -> None:
        request = json.loads(message)
        self.requests.append(request)
        if self.is_dead:
            return
        if request["op"] == "ping":
            self.out.append(self.pong)
            return
        topics = request["args"]
        if request["op"] == "unsubscribe":
            self.subscribed.difference_update(topics)
            if not self.has_no_unsubscribe_acks:
                self._answer(request, success=True)
            return
        wrong = [topic for topic in topics if topic in self.unknown]
        again = [topic for topic in topics if topic in self.subscribed]
        if wrong:
            self._answer(request, success=False, text=f"error:handler not found,topic:{wrong[0]}")
        elif again:
            self._answer(request, success=False, text=f"error:already subscribed,topic:{again[0]}")
        else:
            if not self.has_no_acks:
                self._answer(request, success=True)
            self.subscribed.update(topics)
            for topic in topics:
                self._first(topic, now_ns)

    def _answer(self, request: dict[str, object], *, success: bool, text: str = "") -> None:
        answer = {
            "success": success,
            "ret_msg": text,
            "conn_id": "c",
            "req_id": request["req_id"],
            "op": request["op"],
        }
        self.out.append(json.dumps(answer).encode())

    def _first(self, topic: str, now_ns: int) -> None:
        name, _, rest = topic.partition(".")
        if name == "orderbook" and not self.has_no_snapshots:
            depth, symbol = rest.split(".")
            self._book(int(depth), symbol, "snapshot", now_ns)

    def _book(self, depth: int, symbol: str, kind: str, now_ns: int) -> None:
        topic = f"orderbook.{depth}.{symbol}"
        if topic not in self.subscribed or topic in self.silent or self.is_dead:
            return
        market = self.markets[symbol]
        if depth == 1:
            market.level1_sent_ns = now_ns
        price = "{:.2f}".format
        self.out.append(
            book_frame(
                self.category,
                depth,
                kind=kind,
                bids=[(price(market.bid / 100), "1")],
                asks=[(price(market.ask / 100), "1")],
                update_id=market.level1_u if depth == 1 else market.u,
                sequence=market.u,
                symbol=symbol,
                ts_ms=now_ns // MS,
            )
        )

    def change(self, symbol: str, now_ns: int, *, bid: int | None = None) -> None:
        """Change the market's top (or a size at it): a delta, and a level-1 snapshot."""
        market = self.markets[symbol]
        old_bid = market.bid
        market.u += 1
        market.level1_u += 1
        market.bid = market.bid if bid is None else bid
        topic = f"orderbook.50.{symbol}"
        if topic in self.subscribed and topic not in self.silent and not self.is_dead:
            price = "{:.2f}".format
            bids = [(price(market.bid / 100), "1")]
            if market.bid != old_bid:
                bids.append((price(old_bid / 100), "0"))
            self.out.append(
                book_frame(
                    self.category,
                    50,
                    kind="delta",
                    bids=bids,
                    asks=[],
                    update_id=market.u,
                    sequence=market.u,
                    symbol=symbol,
                    ts_ms=now_ns // MS,
                )
            )
        self._book(1, symbol, "snapshot", now_ns)

    def tick(self, now_ns: int) -> None:
        """Send level 1 again where it was quiet for 3 s."""
        for symbol, market in self.markets.items():
            if (
                f"orderbook.1.{symbol}" in self.subscribed
                and now_ns - market.level1_sent_ns >= REPEAT_NS
            ):
                self._book(1, symbol, "snapshot", now_ns)


class World:
    """The session, its venue, REST and time."""

    def __init__(
        self,
        symbols: tuple[str, ...] = ("BTCUSDT",),
        *,
        category: Category = Category.LINEAR,
        rest: Callable[["World", str], TopOfBook | None] | None = None,
        rest_delay_ns: int = 80 * MS,
        has_companion: bool = True,
        has_trades: bool = False,
        depth: int = 50,
    ) -> None:
        self.now_ns = START_NS
        self.venue = Venue(category)
        self.host = Host()
        self.session = PublicSession(
            category, self.host, depth=depth, has_companion=has_companion, source=2
        )
        self.session.wake = self._wake
        self.aborts: list[tuple[int, str]] = []
        self.rest = rest
        self.rest_delay_ns = rest_delay_ns
        self.checks = 0
        self._answers: list[tuple[int, int, int, TopOfBook | None]] = []
        self._is_woken = False
        for slot, symbol in enumerate(symbols):
            self.add(symbol, slot, has_trades=has_trades)

    def add(self, symbol: str, slot: int, *, has_trades: bool = False) -> OrderBook:
        """Keep the book of a symbol that the venue has."""
        instrument = make_instrument(symbol, category=self.venue.category)
        policy = BookPolicy(window=50, restart_id=1)
        book = OrderBook(instrument, capacity=50, policy=policy)
        book.slot = slot
        self.host.books[slot] = book
        self.host.instruments[symbol] = instrument
        self.venue.markets[symbol] = Market()
        self.session.add_book(book)
        if has_trades:
            self.session.add_trades(instrument, slot)
        return book

    def book(self, slot: int = 0) -> OrderBook:
        return self.host.books[slot]

    @property
    def seconds(self) -> float:
        return (self.now_ns - START_NS) / 1e9

    def connect(self) -> None:
        """Open the socket and let everything subscribe."""
        self.venue.subscribed.clear()
        self.session.on_connected(self.now_ns)
        self.pass_ms(100)

    def disconnect(self, reason: str = "connection reset") -> None:
        self.session.on_disconnected(reason, self.now_ns)
        self.venue.out.clear()

    def feed(self, frame: bytes) -> None:
        """Let the session read one frame now."""
        self.session.scanner.feed(frame, self.now_ns)

    def pass_ms(self, milliseconds: int, *, step_ms: int = 50) -> list[Action]:
        """Let time pass in steps; returns what the session wanted."""
        actions: list[Action] = []
        for _ in range(milliseconds // step_ms):
            self.now_ns += step_ms * MS
            actions += self.step()
        return actions

    def step(self) -> list[Action]:
        """Exchange everything that is due at this moment."""
        self.venue.tick(self.now_ns)
        actions: list[Action] = []
        for _ in range(20):
            self._is_woken = False
            self._deliver()
            actions += self._poll()
            if not self._is_woken and not self.venue.out:
                break
        return actions

    def wait_until(self, condition: Callable[[], bool], milliseconds: int) -> float:
        """Let time pass until something holds; returns the seconds that took."""
        begun_ns = self.now_ns
        while not condition():
            assert self.now_ns - begun_ns < milliseconds * MS, "it never happened"
            self.pass_ms(50)
        return (self.now_ns - begun_ns) / 1e9

    def requests(self, op: str) -> list[list[str]]:
        """The topics of all requests of one kind."""
        return [each["args"] for each in self.venue.requests if each["op"] == op]  # type: ignore[misc]

    def _wake(self) -> None:
        self._is_woken = True

    def _deliver(self) -> None:
        frames, self.venue.out = self.venue.out, []
        for frame in frames:
            self.feed(frame)

    def _poll(self) -> list[Action]:
        actions = self.session.poll(self.now_ns)
        for action in actions:
            if isinstance(action, Send):
                self.venue.take(action.message, self.now_ns)
            elif isinstance(action, Abort):
                self.aborts.append((self.now_ns, action.reason))
        for check in self.session.top_checks(self.now_ns):
            self.checks += 1
            top = None if self.rest is None else self.rest(self, check.symbol)
            self._answers.append((self.now_ns + self.rest_delay_ns, check.slot, self.now_ns, top))
        due = [answer for answer in self._answers if answer[0] <= self.now_ns]
        self._answers = [answer for answer in self._answers if answer[0] > self.now_ns]
        for _, slot, asked_ns, top in due:
            self.session.on_top_checked(slot, top, asked_ns, self.now_ns)
        return actions


def rest_of_the_market(world: World, symbol: str) -> TopOfBook:
    """REST as it should be: the market's top at the time of asking."""
    market = world.venue.markets[symbol]
    return TopOfBook(
        symbol=symbol,
        bid_price_units=market.bid,
        bid_size_units=1_000,
        ask_price_units=market.ask,
        ask_size_units=1_000,
        update_id=market.u,
        sequence=market.u,
        venue_ns=world.now_ns,
    )
