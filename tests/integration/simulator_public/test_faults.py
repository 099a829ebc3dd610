"""Every fault on command really reaches the client, and is counted."""

import asyncio
import json
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.simulator_public.client import (
    WAIT_S,
    Client,
    client,
    get,
    hits,
    is_book,
    post_fault,
    simulator,
    wait_hit,
)
from tickwright.simulator.run import RunningSimulator
from tickwright.simulator.sources.synthetic import SyntheticStyle

_BUSY = SyntheticStyle(events_per_s=600.0, quiet_symbols=0)
_TOPIC = "orderbook.50.BTCUSDT"
_AFTER = 20
"""How many book frames are read behind those that were under way when a fault struck."""


async def _ids(public: Client, running: RunningSimulator) -> list[int]:
    """Return `u` of the book frames up to a struck fault and some more, unchecked."""
    await wait_hit(running)
    await public.send(req_id="fence", op="ping")
    ids: list[int] = []
    left = _AFTER
    is_behind = False
    while left:
        frame = await public.frame()
        is_behind = is_behind or frame.get("req_id") == "fence"
        if is_book(frame):
            ids.append(frame["data"]["u"])
            left -= is_behind
    return ids


async def _started(public: Client) -> None:
    await public.subscribe(_TOPIC)
    await public.wait(is_book)


async def test_gap_skips_one_update_id() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="gap", topic=_TOPIC, after_frames=3)
        ids = await _ids(public, running)
        steps = [later - earlier for earlier, later in pairwise(ids)]
        assert sorted(steps) == [1] * (len(ids) - 2) + [2]
        assert 1 == await hits(running)


async def test_duplicate_repeats_one_update_id() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="duplicate", topic="orderbook.*")
        ids = await _ids(public, running)
        steps = [later - earlier for earlier, later in pairwise(ids)]
        assert sorted(steps) == [0] + [1] * (len(ids) - 2)


async def test_reorder_swaps_two_deltas() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="reorder")
        ids = await _ids(public, running)
        steps = [later - earlier for earlier, later in pairwise(ids)]
        assert -1 in steps
        assert sorted(ids) == list(range(min(ids), min(ids) + len(ids)))


async def test_unasked_snapshot_keeps_the_update_id() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="snapshot")
        frame = await public.wait(lambda f: is_book(f) and f["type"] == "snapshot")
        await public.wait(is_book)
        assert frame["data"]["u"] < public.books[_TOPIC].u


async def test_restart_begins_again_at_1() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="restart", topic=_TOPIC)
        frame = await public.wait(lambda f: is_book(f) and f["data"]["u"] == 1)
        assert "snapshot" == frame["type"]
        await public.wait(is_book)
        assert 2 == public.books[_TOPIC].u


async def test_cut_resets_the_socket() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="cut")
        with pytest.raises(ConnectionClosed) as closed:
            await public.read_to_end()
        assert closed.value.rcvd is None
        assert 1 == await hits(running)


async def test_vanished_socket_is_open_and_dead() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="vanish")
        await wait_hit(running)
        await public.read_to_silence(0.4)
        await public.send(op="ping")
        assert [] == await public.frames_within(0.4)


@pytest.mark.parametrize("answers", [True, False])
async def test_silent_socket_answers_pings_only_if_told(*, answers: bool) -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="silence_socket", duration_s=2.0, answer_pings=answers)
        await wait_hit(running)
        if answers:
            await public.fence()
        else:
            await public.read_to_silence(0.2)
            await public.send(op="ping")
            assert [] == await public.frames_within(0.5)
        assert (await public.frame())["topic"] == _TOPIC


async def test_silent_topic_leaves_the_others_alone() -> None:
    other = "orderbook.50.ETHUSDT"
    async with simulator(style=_BUSY) as running, client(running) as public:
        await public.subscribe(_TOPIC, other)
        await post_fault(running, kind="silence_topic", topic=_TOPIC)
        async with asyncio.timeout(WAIT_S):
            while not await hits(running):
                await public.wait(is_book)
        await public.fence()
        held = public.books[_TOPIC].u
        for _ in range(20):
            assert other == (await public.wait(is_book))["topic"]
        assert held == public.books[_TOPIC].u


@pytest.mark.parametrize(
    "kind", ["truncated", "garbage", "html", "unknown_fields", "missing_field", "long_number"]
)
async def test_damaged_frame_reaches_the_client_once(kind: str) -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind=kind)
        odd = after = 0
        while after < 20:
            after += odd
            text = await public.text()
            try:
                frame = json.loads(text)
            except ValueError:
                odd += 1
                continue
            keys = set(frame) <= {"topic", "type", "ts", "data", "cts"}
            odd += not keys or "u" not in frame["data"] or "1234567890123456" in text
        assert 1 == odd == await hits(running)


async def test_wrong_symbol_frame_reaches_the_client() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="wrong_symbol")
        frame = await public.wait(lambda f: is_book(f) and f["data"]["s"] == "WRONGUSDT")
        assert _TOPIC == frame["topic"]


async def test_fragmented_frame_is_whole_again_for_a_client_that_joins() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="fragmented", count=5)
        async with asyncio.timeout(WAIT_S):
            while await hits(running) < 5:
                await public.wait(is_book)
        for _ in range(20):
            await public.wait(is_book)
        assert 5 == await hits(running)


async def test_slow_ack_comes_after_data() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await post_fault(running, kind="slow_ack", delay_s=1.0)
        await public.send(req_id="late", op="subscribe", args=[_TOPIC])
        assert "snapshot" == (await public.wait(is_book))["type"]
        assert "late" == (await public.wait(lambda f: "success" in f))["req_id"]


async def test_lost_ack_leaves_the_subscription_alive() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await post_fault(running, kind="no_ack")
        await public.send(req_id="lost", op="subscribe", args=[_TOPIC])
        frames = [await public.frame() for _ in range(10)]
        assert all(is_book(frame) for frame in frames)


async def test_refused_subscribe_can_be_tried_again() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await post_fault(running, kind="refuse_subscribe", topic=_TOPIC)
        assert (await public.subscribe(_TOPIC))["success"] is False
        assert (await public.subscribe(_TOPIC))["success"] is True


async def test_slow_reader_answers_after_its_span() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await post_fault(running, kind="slow_reader", duration_s=0.4)
        # From before it was struck: however late the answer to the subscription is read.
        start = asyncio.get_running_loop().time()
        await public.subscribe(_TOPIC)
        await public.send(op="ping")
        await public.wait(lambda f: f.get("ret_msg") == "pong")
        assert asyncio.get_running_loop().time() - start > 0.35


async def test_outage_resets_everyone_and_refuses_until_it_is_over() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="outage", duration_s=1.5)
        with pytest.raises(ConnectionClosed):
            await public.read_to_end()
        with pytest.raises(InvalidStatus, match="503"):
            async with client(running):
                pass
        async with asyncio.timeout(WAIT_S):
            while await _is_refused(running):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with client(running) as again:
            assert (await again.subscribe(_TOPIC))["success"] is True


async def _is_refused(running: RunningSimulator) -> bool:
    try:
        async with client(running):
            return False
    except InvalidStatus:
        return True


async def test_refused_connections_leave_open_sockets_alone() -> None:
    async with simulator(style=_BUSY) as running, client(running) as public:
        await _started(public)
        await post_fault(running, kind="refuse_connections", duration_s=30.0)
        async with asyncio.timeout(WAIT_S):
            while not await hits(running):
                await public.wait(is_book)
        with pytest.raises(InvalidStatus, match="503"):
            async with client(running):
                pass
        await public.wait(is_book)


async def test_wrong_fault_request_is_refused_in_words() -> None:
    async with simulator() as running:
        with pytest.raises(AssertionError, match="did you mean 'gap'"):
            await post_fault(running, kind="gapp")
        assert [] == (await get(running, "/control/faults"))["faults"]
