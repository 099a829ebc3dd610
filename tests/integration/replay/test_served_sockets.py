"""What a served recording says on its sockets and by REST, frame for frame."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.integration.replay.playing import SYMBOLS, Recorded, frames_of, played, serving
from tests.unit.app.test_replay_host import instrument
from tests.unit.simulator.oracle import ClientBook
from tickwright.app.door import BookAdded
from tickwright.app.replay_serve import Addresses
from tickwright.app.replay_source import find_spans
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.net.tap import InputTap
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.segments import RecordKind
from tickwright.venues.bybit.decode import decode_orderbook

KINDS = ("orderbook.50", "publicTrade", "tickers", "kline.1")
LINEAR = [f"{kind}.{symbol}" for kind in KINDS for symbol in SYMBOLS]


async def heard(place: Addresses, topics: Sequence[str], category: str = "linear") -> list[bytes]:
    """Subscribe, and return every frame with a topic until the socket ends."""
    frames: list[bytes] = []
    async with connect(f"{place.public}/{category}", close_timeout=0.2) as socket:
        for first in range(0, len(topics), 10):
            args = list(topics[first : first + 10])
            await socket.send(json.dumps({"op": "subscribe", "req_id": "s", "args": args}))
        try:
            while True:
                text = await asyncio.wait_for(socket.recv(), 30)
                assert isinstance(text, str)
                if '"topic"' in text:
                    frames.append(text.encode())
                elif '"success"' in text:
                    assert json.loads(text)["success"], text
        except ConnectionClosed:
            return frames


def by_topic(frames: Sequence[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for frame in frames:
        found.setdefault(json.loads(frame)["topic"], []).append(frame)
    return found


async def get(place: Addresses, path: str, **query: Any) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{place.rest}/v5/market/{path}", params=query) as response,
    ):
        assert 200 == response.status
        body: dict[str, Any] = await response.json()
        return body


async def test_frames_when_subscribed_from_the_start_then_come_byte_for_byte_up_to_the_cut(
    recorded: Recorded,
):
    async with serving(recorded.folder, speed=None) as (server, place):
        spot = [topic for topic in LINEAR if "SOL" not in topic]
        hearing = asyncio.gather(heard(place, LINEAR), heard(place, spot, "spot"))
        await played(server, subscriptions=len(LINEAR) + len(spot))
        await server.stop()
        frames = await hearing
    expected = by_topic([record.payload for record in frames_of(recorded.folder)])
    # Both product lines have the same topics: sent is what was recorded of one of them.
    for category, got in zip((0, 1), map(by_topic, frames), strict=True):
        assert {topic for topic in (LINEAR, spot)[category] if "book" in topic} <= got.keys()
        for topic, mine in got.items():
            row = [frame for frame in expected[topic] if is_spot(frame) == bool(category)]
            assert mine == row[: len(mine)]
    # The linear socket ends where the recorded one was cut; nobody cut spot.
    assert sum(map(len, by_topic(frames[1]).values())) == sum(
        len([one for one in expected[topic] if is_spot(one)]) for topic in spot
    )


def is_spot(frame: bytes) -> bool:
    """Tell by what differs: trades of contracts have a tick direction, candles nothing at all."""
    return SPOT_SOURCE[frame]


SPOT_SOURCE: dict[bytes, bool] = {}


@pytest.fixture(autouse=True)
def _sources(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    # Raw clients never come back.
    monkeypatch.setattr("tickwright.app.replay_serve.REJOIN_S_MAX", 0.1)
    for record in frames_of(recorded.folder):
        SPOT_SOURCE[record.payload] = record.source == 2


async def test_late_client_when_it_subscribes_then_gets_the_state_and_what_continues_it(
    recorded: Recorded,
):
    (span,) = find_spans([recorded.folder])
    as_of_ns = span.first_ns + (span.last_ns - span.first_ns) // 4
    async with serving(recorded.folder, speed=None, as_of_ns=as_of_ns) as (server, place):
        hearing = asyncio.create_task(heard(place, LINEAR, "spot"))
        await played(server, subscriptions=len(LINEAR))
        await server.stop()
        got = by_topic(await hearing)
        instruments = server.shelf.topics.instruments
    every = by_topic([r.payload for r in frames_of(recorded.folder) if r.source == 2])
    kinds = set()
    for topic, frames in got.items():
        first = json.loads(frames[0])
        kind = topic.partition(".")[0]
        if kind == "publicTrade":
            assert frames[0] in every[topic]
            continue
        kinds.add(kind)
        assert "snapshot" == first["type"]
        rest = every[topic]
        if len(frames) > 1:
            at = rest.index(frames[1])
            assert rest[at : at + len(frames) - 1] == frames[1:]
        if kind == "orderbook":
            listed = {s: i for (c, s), i in instruments.items() if c is Category.SPOT}
            book = decode_orderbook(frames[0], listed.__getitem__)
            levels = tuple(book.bids), tuple(book.asks)
            assert recorded.at["spot", topic.split(".")[2], book.update_id] == levels
            kept = ClientBook()
            for frame in frames:
                kept.apply(json.loads(frame))
        elif kind == "tickers":
            assert {"symbol", "lastPrice", "highPrice24h"} <= first["data"].keys()
    assert {"orderbook", "tickers", "kline"} == kinds


async def test_rest_when_asked_then_knows_what_the_recording_knows(recorded: Recorded):
    (span,) = find_spans([recorded.folder])
    async with serving(recorded.folder, as_of_ns=span.last_ns) as (_, place):
        listed = (await get(place, "instruments-info", category="linear"))["result"]["list"]
        assert list(SYMBOLS) == [row["symbol"] for row in listed]
        assert int((await get(place, "time"))["result"]["timeSecond"]) > 1_700_000_000
        book = (await get(place, "orderbook", category="spot", symbol="BTCUSDT", limit=5))["result"]
        assert (5, 5) == (len(book["b"]), len(book["a"]))
        levels = recorded.at["spot", "BTCUSDT", book["u"]]
        assert [float(price) for price, _ in book["b"]] == [
            price / 100 for price, _ in levels[0][:5]
        ]
        ticker = (await get(place, "tickers", category="linear", symbol="ETHUSDT"))["result"]
        assert float(ticker["list"][0]["lastPrice"]) > 0
        for refused, query in {
            "kline": {"category": "linear", "symbol": "BTCUSDT", "interval": "1"},
            "orderbook": {"category": "linear", "symbol": "NOUSDT"},
            "instruments-info": {"category": "linear", "symbol": "NOUSDT"},
        }.items():
            assert 10001 == (await get(place, refused, **query))["retCode"]


async def test_topic_when_nobody_recorded_it_then_is_refused_as_the_venue_does(recorded: Recorded):
    async with serving(recorded.folder) as (_, place), connect(f"{place.public}/linear") as socket:
        for topic in ("orderbook.200.BTCUSDT", "tickers.NOUSDT"):
            await socket.send(json.dumps({"op": "subscribe", "req_id": "s", "args": [topic]}))
            answer = json.loads(await asyncio.wait_for(socket.recv(), 30))
            expected = f"error:handler not found,topic:{topic}"
            assert (False, expected) == (answer["success"], answer["ret_msg"])
        await socket.send('{"op":"ping","req_id":"p"}')
        assert "pong" == json.loads(await asyncio.wait_for(socket.recv(), 30))["ret_msg"]


async def test_fault_when_added_to_a_served_recording_then_strikes_as_in_the_simulator(
    recorded: Recorded,
):
    topic = "orderbook.50.ETHUSDT"
    async with serving(recorded.folder, speed=None) as (server, place):
        fault = {"kind": "duplicate", "category": "spot", "topic": topic, "after_frames": 3}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{place.rest}/control/faults", json=fault) as answer,
        ):
            assert 200 == answer.status
        hearing = asyncio.create_task(heard(place, [topic], "spot"))
        await played(server, subscriptions=1)
        await server.stop()
        frames = await hearing
    assert 1 == sum(one == other for one, other in itertools.pairwise(frames))


async def test_time_when_nobody_has_subscribed_then_stands_still(recorded: Recorded):
    async with serving(recorded.folder, speed=None) as (server, place):
        playing = asyncio.create_task(server.play())
        async with connect(f"{place.public}/linear") as socket:
            await socket.send('{"op":"ping","req_id":"p"}')
            await asyncio.wait_for(socket.recv(), 30)
        assert 0 == server.report().frames
        playing.cancel()


async def test_time_when_rest_is_asked_for_a_book_then_begins(recorded: Recorded):
    async with serving(recorded.folder, speed=50.0) as (server, place):
        playing = asyncio.create_task(server.play())
        asked = {"category": "linear", "symbol": "BTCUSDT"}
        async with asyncio.timeout(40):
            while (book := await get(place, "orderbook", **asked))["retCode"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        key = ("linear", "BTCUSDT", book["result"]["u"])
        assert float(book["result"]["b"][0][0]) == recorded.at[key][0][0][0] / 100
        await asyncio.wait_for(playing, 30)
        assert server.report().is_complete


async def test_client_when_it_reads_nothing_then_holds_the_others_until_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tickwright.app.replay_serve.STALL_S_MAX", 1.0)
    flood(tmp_path / "flood", frames=20_000)
    topic = "publicTrade.BTCUSDT"
    async with serving(tmp_path / "flood", speed=None) as (server, place):
        hearing = asyncio.create_task(heard(place, [topic]))
        async with connect(f"{place.public}/linear", max_queue=1, close_timeout=0.1) as lazy:
            await lazy.send(json.dumps({"op": "subscribe", "args": [topic]}))
            await played(server, subscriptions=2)
        await server.stop()
        assert 20_000 == len(await hearing)
        assert 1 == server.report().cut_slow


def flood(folder: Path, *, frames: int) -> None:
    """Write a recording of more bytes than sockets hold."""
    folder.mkdir()
    tap = InputTap()
    book = BookAdded(0, 0, instrument(Category.LINEAR, 2), 50, 50)
    tap.append(RecordKind.BOOK, 0, 0, 0, 1, msgspec.json.encode(book))
    head = b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[],"x":"'
    for number in range(frames):
        tap.append(RecordKind.FRAME, 0, 0, 0, 1 + number, head + b"%06d" % number * 100 + b'"}')
    writer = SegmentWriter(folder, SegmentOptions(disk_free_min=0, sync_s=0))
    writer.write(tap.take())
    writer.close()


def test_serving_when_what_is_asked_cannot_be_then_says_what_and_where(
    recorded: Recorded, tmp_path: Path
):
    (span,) = find_spans([recorded.folder])
    twins, foreign = tmp_path / "twins", tmp_path / "foreign" / "frames.jsonl"
    foreign.parent.mkdir()
    foreign.write_text("{}\n")
    cases = {
        "there is no such folder or file": [tmp_path / "nowhere"],
        "no segment of a recording": [foreign],
        "holds no recording": [foreign.parent],
        "both hold": [recorded.folder, recorded.copy(twins / "twin")],
    }
    for words, paths in cases.items():
        with pytest.raises(ConfigError, match=words):
            find_spans(paths)
    if len(recorded.files) > 2:
        with pytest.raises(ConfigError, match="without a hole"):
            find_spans([recorded.files[0], recorded.files[2]])
    assert 1 == len(find_spans([recorded.folder.parent]))
    assert span.first_ns < span.last_ns
