"""One recording as a served venue plays it: whose frame goes to whom, and who is cut."""

from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.unit.app.test_replay_host import instrument
from tickwright.app.door import BookAdded
from tickwright.app.replay_market import RecordedMarket, RecordedShelf
from tickwright.app.replay_source import RecordedSpan
from tickwright.core.events import ConnectionChanged
from tickwright.core.identity import Category
from tickwright.simulator.faults import FaultBoard
from tickwright.simulator.public_session import PublicSession
from tickwright.simulator.session import ProcessLine
from tickwright.simulator.venue import SimulatedVenue
from tickwright.storage.segments import REPEATED, Loss, Record, RecordKind

SNAPSHOT = (
    b'{"topic":"orderbook.50.%s","type":"snapshot","ts":5,"data":{"s":"%s","b":[["1.00","1"]],'
    b'"a":[["2.00","1"]],"u":7,"seq":9},"cts":4}'
)


class Stage:
    """A market of two linear connections with a symbol each, and who listens."""

    def __init__(self) -> None:
        venue = SimulatedVenue([], [], rng=Random(1), start_ns=1)
        self.shelf = RecordedShelf(venue, lambda market, rate: None)
        span = RecordedSpan(
            folder=Path("here"), files=(), first_ns=1, last_ns=2, books=(), topics=()
        )
        self.cuts: list[list[PublicSession]] = []
        self.market = RecordedMarket(span, self.shelf, self.cuts.append)
        for slot, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
            self.take(RecordKind.BOOK, book_of(slot, slot, symbol))

    def take(self, kind: RecordKind, payload: bytes, *, source: int = 0, flags: int = 0) -> None:
        self.market.take(Record(kind, flags, source, 0, 10, payload))

    def frame(self, payload: bytes, source: int = 0) -> None:
        self.take(RecordKind.FRAME, payload, source=source)

    def listener(self, *topics: str) -> tuple[PublicSession, list[bytes]]:
        heard: list[bytes] = []
        line = ProcessLine(heard.append)
        board = FaultBoard(Random(1))
        session = PublicSession(line, "id", self.shelf.topics, board, Category.LINEAR)
        session.open()
        session.subscribe(*topics)
        return session, heard


def book_of(slot: int, source: int, symbol: str) -> bytes:
    return msgspec.json.encode(
        BookAdded(slot, source, instrument(Category.LINEAR, 2, symbol), 50, 50)
    )


def snapshot(symbol: str) -> bytes:
    return SNAPSHOT % (symbol.encode(), symbol.encode())


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_frame_when_played_then_goes_to_its_topic_alone(stage: Stage):
    _, btc = stage.listener("orderbook.50.BTCUSDT")
    _, eth = stage.listener("orderbook.50.ETHUSDT")
    stage.frame(snapshot("BTCUSDT"))
    assert ([snapshot("BTCUSDT")], []) == (btc, eth)
    assert 1 == stage.market.frames


def test_answer_when_recorded_then_is_not_played(stage: Stage):
    _, heard = stage.listener("orderbook.50.BTCUSDT")
    stage.frame(snapshot("BTCUSDT"))
    stage.frame(b'{"success":true,"ret_msg":"","conn_id":"x","req_id":"t1","op":"subscribe"}')
    stage.frame(b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}')
    assert ([snapshot("BTCUSDT")], 1) == (heard, stage.market.frames)


@pytest.mark.parametrize("damaged", [b"\xff{garbage", b'{"topic":"xx.YYUSDT","data":{}}', b"[]"])
def test_damaged_frame_when_played_then_goes_to_everybody_on_its_connection(
    stage: Stage, damaged: bytes
):
    _, btc = stage.listener("orderbook.50.BTCUSDT")
    _, eth = stage.listener("orderbook.50.ETHUSDT")
    stage.frame(snapshot("BTCUSDT"))
    stage.frame(snapshot("ETHUSDT"), source=1)
    stage.frame(damaged)
    assert [snapshot("BTCUSDT"), damaged] == btc
    assert [snapshot("ETHUSDT")] == eth


def test_topic_when_two_connections_carry_it_then_the_first_ones_frames_are_played(stage: Stage):
    _, heard = stage.listener("publicTrade.BTCUSDT")
    frame = b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":%d,"data":[]}'
    stage.frame(frame % 1, source=0)
    stage.frame(frame % 1, source=1)
    stage.frame(frame % 2, source=0)
    assert [frame % 1, frame % 2] == heard


@pytest.mark.parametrize("number", [0, 1])
def test_connection_when_it_was_lost_then_those_who_hear_its_topics_are_cut(
    stage: Stage, number: int
):
    listeners = [stage.listener(f"orderbook.50.{symbol}") for symbol in ("BTCUSDT", "ETHUSDT")]
    for source, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        stage.frame(snapshot(symbol), source=source)
    for is_up in (True, False):
        change = ConnectionChanged("bybit", "public", f"bybit-linear-{number}", is_up, "why")
        stage.take(RecordKind.INPUT, msgspec.json.encode(change))
    assert [[listeners[number][0]]] == stage.cuts
    assert 1 == stage.market.lost_connections
    # What the venue says now isn't known until the connection is back.
    symbol = ("BTCUSDT", "ETHUSDT")[number]
    _, late = stage.listener(f"orderbook.50.{symbol}")
    assert [] == late
    stage.frame(snapshot(symbol), source=number)
    assert [snapshot(symbol)] == late


def test_private_connection_when_it_was_lost_then_nobody_is_cut(stage: Stage):
    stage.listener("orderbook.50.BTCUSDT")
    stage.frame(snapshot("BTCUSDT"))
    change = ConnectionChanged("bybit", "private", "bybit-linear-0", False, "why")
    stage.take(RecordKind.INPUT, msgspec.json.encode(change))
    assert [] == stage.cuts


def test_records_when_missing_then_everybody_is_cut_and_a_proven_book_is_still_known(stage: Stage):
    one, _ = stage.listener("orderbook.50.BTCUSDT")
    stage.frame(snapshot("BTCUSDT"))
    stage.take(RecordKind.LOSS, msgspec.json.encode(Loss(3, "slow")))
    assert ([[one]], 1) == (stage.cuts, stage.market.lost_records)
    _, late = stage.listener("orderbook.50.BTCUSDT")
    assert 1 == len(late)


def test_book_when_told_again_then_keeps_what_it_holds(stage: Stage):
    stage.frame(snapshot("BTCUSDT"))
    stage.take(RecordKind.BOOK, book_of(0, 0, "BTCUSDT"), flags=REPEATED)
    _, late = stage.listener("orderbook.50.BTCUSDT")
    assert 1 == len(late)


def test_frame_when_its_connection_is_unknown_then_is_counted(stage: Stage):
    stage.frame(snapshot("BTCUSDT"), source=9)
    assert (0, 1) == (stage.market.frames, stage.market.unread_frames)
