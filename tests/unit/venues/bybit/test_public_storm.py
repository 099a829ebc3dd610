"""Many messages, some of them lost, doubled, swapped or spoilt: no synced book is wrong.

The session reads a simulated venue's own frames in synthetic time, without sockets, and every book
update is compared with what the venue published under the same number.
"""

import json
from random import Random

import pytest

from tests.oracle.instruments import make_instrument
from tests.unit.venues.bybit.public_world import Host
from tickwright.book.order_book import OrderBook
from tickwright.book.policy import BookPolicy
from tickwright.core.identity import Category
from tickwright.core.units import units_from_text
from tickwright.net.session import Abort, Send
from tickwright.simulator.book_streams import BookStream
from tickwright.simulator.faults import DAMAGE_KINDS, FaultKind, damage
from tickwright.simulator.run import SimulatorOptions, build_venue
from tickwright.simulator.sources.synthetic import SyntheticStyle
from tickwright.venues.bybit.public import PublicSession

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
START_NS = 1_769_000_000_000_000_000
MS = 1_000_000
UNREADABLE = (FaultKind.GARBAGE, FaultKind.HTML)
"""Nothing tells whose frame was lost. A restart's snapshot lost so, at a moment when the old count
happens to stand where the new one goes on, can't be noticed by any rule of the feed."""
Levels = list[tuple[int, int]]


class Judge(Host):
    """Compares at every update."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[int, dict[int, list[Levels]]] = {}
        self.compared = 0
        self.wrong: list[str] = []

    def on_book(self, slot: int, now_ns: int) -> None:
        book = self.books[slot]
        if book.is_synced:
            self.compared += 1
            if self.shown[slot].get(book.update_id) != [book.bids(), book.asks()]:
                self.wrong.append(f"{book.symbol} at {book.update_id}")


class Witness:
    """Keeps what a topic showed, before faults."""

    def __init__(self, shown: dict[int, list[Levels]], decimals: tuple[int, int]) -> None:
        self.shown = shown
        self.decimals = decimals
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        data = json.loads(payload)["data"]
        if not is_delta:
            self.sides = ({}, {})
        for side, rows in zip(self.sides, (data["b"], data["a"]), strict=True):
            for row in rows:
                price, size = map(units_from_text, row, self.decimals)
                side[price] = size
                if not size:
                    del side[price]
        bids, asks = self.sides
        self.shown[data["u"]] = [sorted(bids.items(), reverse=True), sorted(asks.items())]


class Storm:
    """The wire between venue and session; one frame in a hundred comes to harm on it."""

    def __init__(self, seed: int, rate: float) -> None:
        self.chance = Random(seed)
        self.rate = rate
        self.now_ns = START_NS
        self.hits: dict[FaultKind, int] = {}
        self.messages = 0
        self.reconnects = 0
        self.held: dict[str, bytes] = {}
        self.host = Judge()
        style = SyntheticStyle(levels=200, events_per_s=400.0, quiet_symbols=0)
        options = SimulatorOptions(
            symbols=SYMBOLS, categories=(Category.LINEAR,), seed=seed, style=style
        )
        self.venue, _ = build_venue(options, start_ns=START_NS)
        self.session = PublicSession(Category.LINEAR, self.host)
        self.subscribed: set[str] = set()
        self.inbox: list[bytes] = []
        for slot, symbol in enumerate(SYMBOLS):
            listed = self.venue.markets[Category.LINEAR, symbol].instrument
            decimals = (listed.price_decimals, listed.size_decimals)
            instrument = make_instrument(
                symbol, price_decimals=decimals[0], size_decimals=decimals[1]
            )
            policy = BookPolicy(window=50, restart_id=1)
            book = OrderBook(instrument, capacity=50, policy=policy)
            book.slot = slot
            self.host.books[slot] = book
            self.host.instruments[symbol] = instrument
            self.host.shown[slot] = {}
            stream = self.venue.stream(Category.LINEAR, f"orderbook.50.{symbol}")
            assert stream is not None
            stream.subscribe(Witness(self.host.shown[slot], decimals))
            self.session.add_book(book)

    def deliver(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        """Take a frame from the venue, and maybe harm it."""
        held = self.held.pop(topic, None)
        if self.chance.random() < self.rate:
            self._harm(topic, payload, is_delta=is_delta)
        else:
            self.inbox.append(payload)
        if held is not None:
            self.inbox.append(held)

    def _harm(self, topic: str, payload: bytes, *, is_delta: bool) -> None:
        kinds = sorted(DAMAGE_KINDS.difference(UNREADABLE), key=lambda kind: kind.value)
        if is_delta:
            kinds += UNREADABLE
            kinds += [FaultKind.GAP, FaultKind.DUPLICATE, FaultKind.REORDER]
        kinds += [FaultKind.SNAPSHOT, FaultKind.RESTART]
        kind = self.chance.choice(kinds)
        self.hits[kind] = self.hits.get(kind, 0) + 1
        if kind is FaultKind.DUPLICATE:
            self.inbox += [payload, payload]
        elif kind is FaultKind.REORDER:
            self.held[topic] = payload
        elif kind in (FaultKind.SNAPSHOT, FaultKind.RESTART):
            self.inbox.append(payload)
            stream = self.venue.stream(Category.LINEAR, topic)
            if isinstance(stream, BookStream):
                if kind is FaultKind.SNAPSHOT:
                    self.inbox.append(stream.snapshot())
                else:
                    self.venue.schedule(self.now_ns, lambda _: stream.restart())
        elif kind is not FaultKind.GAP:
            self.inbox.append(damage(kind, payload, self.chance))

    def take(self, message: bytes) -> None:
        """Answer a request of the session as the venue does."""
        request = json.loads(message)
        if request["op"] == "ping":
            self.inbox.append(b'{"success":true,"ret_msg":"pong","op":"ping"}')
            return
        is_again = request["op"] == "subscribe" and bool(
            self.subscribed.intersection(request["args"])
        )
        text = f"error:already subscribed,topic:{request['args'][0]}" if is_again else ""
        answer = {"success": not is_again, "ret_msg": text, "conn_id": "c"}
        self.inbox.append(
            json.dumps({**answer, "req_id": request["req_id"], "op": request["op"]}).encode()
        )
        if is_again:
            return
        for topic in request["args"]:
            stream = self.venue.stream(Category.LINEAR, topic)
            assert stream is not None
            if request["op"] == "subscribe":
                self.subscribed.add(topic)
                stream.subscribe(self)
            elif topic in self.subscribed:
                self.subscribed.discard(topic)
                stream.unsubscribe(self)

    def run(self, messages: int, step_ms: int = 5) -> None:
        self._connect()
        while self.messages < messages:
            self.step(step_ms)

    def step(self, step_ms: int = 5) -> None:
        self.now_ns += step_ms * MS
        self.venue.advance(self.now_ns)
        frames, self.inbox = self.inbox, []
        for place, frame in enumerate(frames, start=1):
            self.session.scanner.feed(frame, self.now_ns, last=place == len(frames))
        self.messages += len(frames)
        for action in self.session.poll(self.now_ns):
            if isinstance(action, Send):
                self.take(action.message)
            elif isinstance(action, Abort):
                self.session.on_disconnected(action.reason, self.now_ns)
                self._connect()
                return

    def _connect(self) -> None:
        self.reconnects += 1
        for topic in self.subscribed:
            stream = self.venue.stream(Category.LINEAR, topic)
            assert stream is not None
            stream.unsubscribe(self)
        self.subscribed.clear()
        self.inbox.clear()
        self.held.clear()
        self.session.on_connected(self.now_ns)


@pytest.mark.parametrize(("seed", "rate"), [(1, 0.01), (2, 0.01), (3, 0.2)])
def test_books_when_messages_come_to_harm_then_none_is_wrong_while_synced(seed: int, rate: float):
    storm = Storm(seed, rate)
    storm.run(12_000)
    assert [] == storm.host.wrong
    assert storm.host.compared > 2_000
    assert sum(storm.hits.values()) > 60
    assert storm.session.counts.resyncs > 20
    # When the storm is over everything is whole within a second.
    storm.rate = 0.0
    for _ in range(200):
        storm.step()
    assert all(book.is_synced for book in storm.host.books.values())
    if rate < 0.1:
        assert 1 == storm.reconnects
