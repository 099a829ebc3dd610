"""A recording served on sockets gives the production feed the books of the run that made it."""

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.integration.app.trading import settings_for, trading, until
from tests.integration.replay.playing import (
    Feeding,
    Recorded,
    feeding,
    frames_of,
    played,
    rewritten,
    serving,
)
from tickwright.app.paper_settings import PaperSettings
from tickwright.app.replay import Replay
from tickwright.app.replay_source import find_spans


def differing(fed: Feeding, recorded: Recorded) -> list[object]:
    """Return where both saw a book under one `u`, and not the same levels."""
    assert [] == fed.door.wrong
    common = fed.door.at.keys() & recorded.at.keys()
    return [key for key in common if fed.door.at[key] != recorded.at[key]]


async def test_books_when_served_as_fast_as_read_then_are_those_of_the_live_run_at_every_u(
    recorded: Recorded,
):
    async with serving(recorded.folder, speed=None) as (server, place):
        async with feeding(place) as fed:
            await played(server)
            # Its sockets hold the rest when all has been played.
            last = len(fed.door.at)
            await until(lambda: len(fed.door.at) >= max(last, len(recorded.at) // 2), "the books")
        report = server.report()
    assert [] == differing(fed, recorded)
    assert {key[:2] for key in recorded.at} == {key[:2] for key in fed.door.at}
    # The lost delta, the cut and the restart were played as they were.
    assert fed.count("gaps") >= recorded.gaps > 0
    assert fed.count("reconnects") >= report.lost_connections == recorded.reconnects > 0
    assert ("spot", "SOLUSDT", 1) in fed.door.at
    assert (True, 1, 0) == (report.is_complete, report.laps, report.holes)
    assert report.frames == sum(report.topics.values()) > 100
    assert {"linear tickers.BTCUSDT", "spot kline.1.BTCUSDT"} < report.topics.keys()


async def test_books_when_served_at_a_pace_then_are_those_of_the_live_run(recorded: Recorded):
    async with serving(recorded.folder, speed=3.0) as (server, place):
        async with feeding(place) as fed:
            await played(server)
        report = server.report()
    assert [] == differing(fed, recorded)
    assert len(fed.door.at) > 50
    # Slower on a busy machine, and never faster.
    assert report.speed is not None
    assert 0 < report.speed < 3.2


async def test_books_when_begun_in_the_middle_then_are_those_of_the_live_run(recorded: Recorded):
    (span,) = find_spans([recorded.folder])
    as_of_ns = (span.first_ns + span.last_ns) // 2
    async with serving(recorded.folder, speed=None, as_of_ns=as_of_ns) as (server, place):
        async with feeding(place) as fed:
            await played(server)
            await until(lambda: len(fed.door.at) > 20, "the books")
        report = server.report()
    assert [] == differing(fed, recorded)
    assert report.snapshots > 0
    assert 0.6 * (span.last_ns - span.first_ns) / 1e9 > report.recorded_seconds > 0


async def test_books_when_segments_are_named_then_those_before_them_make_the_base(
    recorded: Recorded,
):
    async with serving(recorded.middle, speed=None) as (server, place), feeding(place) as fed:
        await played(server)
        await until(lambda: len(fed.door.at) > 10, "the books")
    assert [] == differing(fed, recorded)
    assert server.report().snapshots > 0


async def test_books_when_hours_follow_each_other_then_clients_are_cut_between_and_go_on(
    recorded: Recorded, tmp_path: Path
):
    hour_ns = 3_600_000_000_000
    later = rewritten(recorded.folder, tmp_path / "later", later_ns=hour_ns)
    # Named in any order, and the pause between them isn't waited for.
    async with serving(later, recorded.folder, speed=None) as (server, place):
        async with feeding(place) as fed:
            await played(server)
        report = server.report()
    assert [] == differing(fed, recorded)
    assert [str(recorded.folder), str(later)] == report.recordings
    assert report.frames == 2 * len(frames_of(recorded.folder))
    assert 2 * recorded.reconnects == report.lost_connections == report.cuts - 1
    assert report.recorded_seconds < 20 < hour_ns / 1e9
    assert fed.count("reconnects") > recorded.reconnects


async def test_segments_when_named_behind_another_hour_then_what_is_before_them_is_not_played(
    recorded: Recorded, tmp_path: Path
):
    earlier = rewritten(recorded.folder, tmp_path / "earlier", later_ns=-3_600_000_000_000)
    async with serving(recorded.middle, earlier, speed=10_000.0) as (server, _):
        server.shelf.topics.ask_count = 1  # nobody subscribes
        await asyncio.wait_for(server.play(), 50)
        report = server.report()
    played_frames = len(frames_of(recorded.folder)) + len(frames_of(recorded.middle))
    assert played_frames == report.frames == sum(report.topics.values())
    assert 0 == report.frames_sent


async def test_books_when_recordings_run_beside_each_other_then_come_in_the_order_of_time(
    recorded: Recorded, tmp_path: Path
):
    linear = rewritten(recorded.folder, tmp_path / "linear", sources=(0, 1))
    spot = rewritten(recorded.folder, tmp_path / "spot", sources=(2,))
    async with serving(spot, linear, speed=None) as (server, place):
        async with feeding(place) as fed:
            await played(server)
            await until(lambda: len(fed.door.at) > len(recorded.at) // 2, "the books")
        report = server.report()
    assert [] == differing(fed, recorded)
    assert {"linear", "spot"} == {key[0] for key in fed.door.at}
    assert report.frames == len(frames_of(recorded.folder))


@pytest.mark.parametrize("is_paper", [False, True], ids=["plain", "paper"])
async def test_trader_when_it_trades_in_a_served_recording_then_its_session_replays(
    recorded: Recorded, tmp_path: Path, *, is_paper: bool
):
    symbols = ("BTCUSDT", "ETHUSDT")
    async with serving(recorded.folder, speed=1.0, is_looped=True) as (server, place):
        playing = asyncio.create_task(server.play())
        settings = settings_for(place, tmp_path, symbols, every=10)
        if is_paper:
            paper = PaperSettings(balances={"main": (("USDT", Decimal(10_000)),)}, ledger=None)
            settings = msgspec.structs.replace(settings, paper=paper)
        async with trading(settings) as trader:
            await until(lambda: trader.engine.summary().fills >= 2, "two fills", 40.0)
        playing.cancel()
        digest = trader.engine.digest
    result = Replay(tmp_path / "session").run()
    assert ("", digest) == (result.difference, result.digest)


async def test_books_when_the_recorder_was_killed_then_come_up_to_the_last_whole_record(
    recorded: Recorded, tmp_path: Path
):
    folder = recorded.copy(tmp_path / "killed")
    last = sorted(folder.glob("inputs-*.tws"))[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) * 2 // 3])
    async with serving(folder, speed=None) as (server, place):
        async with feeding(place) as fed:
            await played(server)
            await until(lambda: len(fed.door.at) > 20, "the books")
        report = server.report()
    assert [] == differing(fed, recorded)
    assert (True, 0) == (report.is_cut_short, report.holes)


async def test_books_when_a_segment_is_damaged_then_clients_are_cut_and_what_comes_is_right(
    recorded: Recorded, tmp_path: Path
):
    segment = recorded.damaged(tmp_path / "damaged")
    async with serving(segment.parent, speed=None) as (server, place):
        async with feeding(place) as fed:
            await played(server)
            await until(lambda: len(fed.door.at) > 5, "the books")
        report = server.report()
    assert [] == differing(fed, recorded)
    assert 1 == report.holes
    assert [str(segment)] == [place.path for place in report.damage]
    assert report.damage[0].position > 0
    assert report.cuts > report.lost_connections
