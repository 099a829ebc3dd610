"""Every public fault of the simulated venue: no synced book is ever wrong, and all come back.

What is hit suffers alone, and each fault's own count says that it was really hit.
"""

import asyncio

import pytest

from tests.integration.feed.world import SYMBOLS, World, running_world
from tickwright.core.events import BookState
from tickwright.core.identity import Category

HIT = "ETHUSDT"
OTHERS = tuple(symbol for symbol in SYMBOLS if symbol != HIT)
TOPIC = f"orderbook.50.{HIT}"
SOON_S = 6.0
"""What takes a twentieth of this on an idle machine; the bench measures, a test only bounds."""
RESYNCED = [BookState.STALE, BookState.RESYNCING, BookState.SYNCED]


async def unharmed(world: World) -> None:
    for symbol in OTHERS:
        assert [BookState.SYNCED] == world.states_of(symbol), symbol
    assert [] == world.connections_lost()


# one topic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("gap", "gap"),
        ("reorder", "gap"),
        ("missing_field", "a frame was unreadable"),
        ("long_number", "a frame was unreadable"),
        ("wrong_symbol", "a frame was unreadable"),
        ("truncated", "a frame was unreadable"),
        # What can't be read at all is a gap when the topic's next frame comes.
        ("garbage", "gap"),
        ("html", "gap"),
    ],
)
@pytest.mark.parametrize("category", [Category.LINEAR, Category.SPOT])
async def test_topic_when_a_delta_is_lost_or_spoilt_then_it_resyncs_alone(
    kind: str, reason: str, category: Category
):
    async with running_world(category=category) as world:
        fault = world.strike(kind=kind, topic=TOPIC, after_frames=3)
        await world.wait("hit", lambda: fault.hit == 1)
        await world.wait("stale", lambda: world.reasons_of(HIT) != [])
        assert await world.all_synced() < SOON_S
        await world.end_well()
        assert [BookState.SYNCED, *RESYNCED] == world.states_of(HIT)
        assert [reason] == world.reasons_of(HIT)
        assert 1 == world.feed.collect().resyncs
        if kind not in ("gap", "reorder"):
            assert world.feed.collect().refused_frames >= 1
        await unharmed(world)


@pytest.mark.parametrize("kind", ["duplicate", "unknown_fields", "fragmented", "snapshot"])
async def test_topic_when_its_frame_is_odd_but_whole_then_nothing_happens(kind: str):
    async with running_world() as world:
        fault = world.strike(kind=kind, topic=TOPIC, count=5)
        await world.wait("hit", lambda: fault.hit == 5)
        await world.end_well()
        assert [BookState.SYNCED] == world.states_of(HIT)
        assert 0 == world.feed.collect().resyncs
        if kind == "duplicate":
            assert world.book(HIT).duplicate_count == 5
        if kind == "fragmented":
            listener = world.feed.connections[0].listener
            assert listener is not None
            assert listener.fragment_count == 15
        await unharmed(world)


async def test_topic_when_its_service_restarts_then_counts_on_from_one():
    async with running_world() as world:
        before = world.book(HIT).update_id
        fault = world.strike(kind="restart", topic=TOPIC)
        await world.wait("hit", lambda: fault.hit == 1)
        await world.wait("restarted", lambda: world.book(HIT).update_id < before)
        await world.flowing(HIT)
        assert 1 < world.book(HIT).update_id < before
        await world.end_well()
        assert [BookState.SYNCED] == world.states_of(HIT)
        await unharmed(world)


async def test_topic_when_silenced_among_the_living_then_noticed_and_resynced_alone():
    async with running_world() as world:
        # Silent on this subscription for good: only leaving and coming back helps, or its end.
        fault = world.strike(kind="silence_topic", topic=TOPIC, duration_s=2.5)
        await world.wait("hit", lambda: fault.hit == 1)
        await world.wait("stale", lambda: not world.book(HIT).is_synced)
        age_ns = world.book(HIT).age_ns(world.book(HIT).proof_ns)
        assert age_ns == 0
        await world.wait("synced", lambda: world.book(HIT).is_synced)
        await world.end_well()
        await unharmed(world)
        assert world.feed.collect().alarms >= 1


async def test_topics_when_faults_rain_on_all_of_them_then_no_synced_book_is_ever_wrong():
    async with running_world() as world:
        kinds = ("gap", "duplicate", "reorder", "truncated", "garbage", "missing_field", "snapshot")
        faults = [
            world.strike(kind=kind, topic="orderbook.50.*", probability=0.02, count=0)
            for kind in (*kinds, "long_number", "wrong_symbol", "fragmented", "html", "restart")
        ]
        compared = sum(world.compared.values())
        await world.wait("hits", lambda: all(fault.hit >= 4 for fault in faults), 40.0)
        world.running.faults.clear()
        assert sum(world.compared.values()) - compared > 100
        await world.end_well()
        assert world.feed.collect().resyncs > 5
        # The connection itself never was the matter.
        assert [] == world.connections_lost()


# requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["slow_ack", "no_ack"])
async def test_acks_when_late_or_absent_then_data_counts(kind: str):
    async with running_world(is_synced=False) as world:
        fault = world.strike(kind=kind, count=0, delay_s=0.8)
        assert await world.all_synced() < SOON_S
        assert fault.hit > 0
        await world.end_well()


async def test_subscription_when_refused_once_then_asked_again_topic_by_topic():
    async with running_world(is_synced=False) as world:
        fault = world.strike(kind="refuse_subscribe")
        await world.all_synced()
        assert 1 == fault.hit
        assert {} == world.feed.refused
        await world.end_well()


async def test_symbol_when_the_venue_refuses_it_for_good_then_the_others_live():
    async with running_world(is_synced=False) as world:
        fault = world.strike(kind="refuse_subscribe", topic=TOPIC, count=0)
        await world.wait("others", lambda: all(world.book(symbol).is_synced for symbol in OTHERS))
        await world.wait("refused", lambda: TOPIC in world.feed.refused)
        await world.flowing(*OTHERS)
        assert fault.hit >= 2
        assert BookState.EMPTY is world.book(HIT).state
        assert [] == world.wrong


async def test_venue_when_it_reads_slowly_then_its_data_is_all_that_counts():
    async with running_world() as world:
        fault = world.strike(kind="slow_reader", duration_s=1.0, count=0)
        gap = world.strike(kind="gap", topic=TOPIC)
        await world.wait("hits", lambda: fault.hit >= 1 and gap.hit == 1)
        await world.end_well()
        await unharmed(world)


# the connection ----------------------------------------------------------------------------------


async def test_connection_when_reset_then_every_book_is_stale_and_soon_back():
    async with running_world(options={"connections": 2}) as world:
        fault = world.strike(kind="cut", topic="orderbook.50.*", count=2)
        await world.wait("hit", lambda: fault.hit == 2)
        await world.wait("noticed", lambda: len(world.connections_lost()) == 2)
        assert await world.all_synced() < SOON_S
        await world.end_well()
        for symbol in SYMBOLS:
            assert world.states_of(symbol)[:2] == [BookState.SYNCED, BookState.STALE]
        assert 2 == world.feed.collect().reconnects


async def test_connection_when_its_peer_vanishes_then_aborted_soon():
    async with running_world() as world:
        fault = world.strike(kind="vanish", topic=TOPIC)
        await world.wait("hit", lambda: fault.hit == 1)
        assert await world.wait("noticed", lambda: world.connections_lost() != []) < 8.0
        assert "pings unanswered" in world.connections_lost()[0]
        assert await world.all_synced() < SOON_S
        await world.end_well()


@pytest.mark.parametrize("answer_pings", [True, False])
async def test_socket_when_it_answers_and_sends_no_data_then_not_believed_and_given_up(
    answer_pings: bool,
):
    async with running_world() as world:
        fault = world.strike(kind="silence_socket", topic=TOPIC, answer_pings=answer_pings)
        await world.wait("hit", lambda: fault.hit == 1)
        await world.wait(
            "noticed", lambda: not any(book.is_synced for book in world.books.values())
        )
        await world.wait("given up", lambda: world.connections_lost() != [])
        assert await world.all_synced() < SOON_S
        await world.end_well()


@pytest.mark.parametrize("kind", ["outage", "refuse_connections"])
async def test_venue_when_it_is_down_for_seconds_then_all_books_are_back_soon_after(kind: str):
    async with running_world(options={"connections": 2}) as world:
        fault = world.strike(kind=kind, duration_s=2.0)
        await world.wait("begun", lambda: fault.hit == 1)
        if kind == "refuse_connections":
            assert world.feed.is_all_synced
            for connection in world.feed.connections:
                connection.drop("on purpose")
        await world.wait("down", lambda: not world.feed.is_all_synced)
        await world.wait("up", lambda: not world.running.faults.outages(world.running.venue.now_ns))
        down_until_ns = fault.from_ns + 2_000_000_000
        await world.wait("over", lambda: world.running.venue.now_ns >= down_until_ns)
        assert await world.all_synced() < SOON_S
        await world.end_well()
        # One prober for both connections, and few dials of it.
        dials = sum(connection.counts.dials for connection in world.feed.connections)
        assert 4 <= dials <= 16


async def test_faults_when_posted_and_read_over_http_then_are_the_same_board():
    async with running_world() as world:
        import aiohttp

        url = f"{world.running.rest}/control/faults"
        async with aiohttp.ClientSession() as http:
            async with http.post(url, json={"kind": "gap", "topic": TOPIC}) as answer:
                assert 200 == answer.status
            await world.wait("stale", lambda: world.reasons_of(HIT) == ["gap"])
            async with http.get(url) as answer:
                assert [1] == [fault["hit"] for fault in (await answer.json())["faults"]]
        await asyncio.sleep(0)
        await world.end_well()
