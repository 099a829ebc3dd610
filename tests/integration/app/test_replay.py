"""A recorded session replays to the same decisions, hash for hash, whatever happened to it."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.integration.app.trading import settings_for, simulator, trading, until
from tickwright.app.replay import Replay
from tickwright.app.replay_serve import Addresses
from tickwright.net.tap import InputTap
from tickwright.simulator.run import RunningSimulator
from tickwright.storage.segment_writer import SegmentOptions, SegmentWriter
from tickwright.storage.session_log import Record, SessionReader

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


async def strike(running: RunningSimulator, **fault: object) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{running.rest}/control/faults", json=fault) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def test_session_when_orders_filled_then_the_replay_is_identical(tmp_path: Path) -> None:
    async with simulator(SYMBOLS) as running:
        async with trading(settings_for(running, tmp_path, SYMBOLS)) as trader:
            await until(lambda: trader.engine.summary().fills >= 6, "six fills")
        summary = trader.engine.summary()
    result = Replay(tmp_path / "session").run()
    assert "" == result.difference
    assert result.is_complete
    assert summary.digest == result.digest
    assert summary.event_id == result.events
    assert result.decisions_checked > 6


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("gap", {"topic": "orderbook.50.BTCUSDT"}),
        ("cut", {"category": "linear"}),
        ("restart", {"topic": "orderbook.50.ETHUSDT"}),
        ("garbage", {"topic": "orderbook.50.SOLUSDT"}),
        ("duplicate", {"topic": "orderbook.50.BTCUSDT", "count": 5}),
    ],
)
async def test_session_when_a_fault_struck_then_the_replay_is_identical(
    tmp_path: Path, kind: str, extra: dict[str, object]
) -> None:
    async with simulator(SYMBOLS) as running:
        async with trading(settings_for(running, tmp_path, SYMBOLS)) as trader:
            feed = trader.feeds[0]
            await until(lambda: trader.engine.summary().fills >= 2, "two fills")
            await strike(running, kind=kind, **extra)
            await until(lambda: sum(f["hit"] for f in running.faults.report()) > 0, "the fault hit")
            before = trader.snapshot().book_updates
            await until(
                lambda: feed.is_all_synced and trader.snapshot().book_updates > before + 50,
                "all books synced again",
            )
        digest = trader.engine.digest
    result = Replay(tmp_path / "session").run()
    assert "" == result.difference
    assert digest == result.digest


async def test_session_when_cut_short_then_the_rest_still_replays(tmp_path: Path) -> None:
    async with (
        simulator(SYMBOLS) as running,
        trading(settings_for(running, tmp_path, SYMBOLS)) as trader,
    ):
        await until(lambda: trader.engine.summary().fills >= 6, "six fills")
    path = tmp_path / "session" / "inputs-000001.tws"
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    result = Replay(tmp_path / "session").run()
    assert "" == result.difference
    assert not result.is_complete
    assert result.decisions_checked > 0


TRADER = """
import asyncio, sys
from pathlib import Path

import msgspec

from tests.integration.app.trading import settings_for, trading
from tickwright.app.replay_serve import Addresses
from tickwright.storage.segment_writer import SegmentOptions

async def main():
    place = msgspec.json.decode(sys.argv[1], type=Addresses)
    settings = settings_for(place, Path(sys.argv[2]), ("BTCUSDT", "ETHUSDT"), every=10)
    options = SegmentOptions(segment_s_max=0.5, disk_free_min=0)
    async with trading(msgspec.structs.replace(settings, session_options=options)) as trader:
        while True:
            # What the live run had decided by an input: the replay must come to the same.
            engine = trader.engine
            print(engine.event_id, engine.digest, engine.summary().fills, flush=True)
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


async def test_session_when_the_trader_was_killed_then_its_compressed_segments_replay_hash_for_hash(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS) as running:
        place = Addresses(
            rest=running.rest, public=running.public, private=running.private,
            trade=running.trade, first="", last="",
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", TRADER, msgspec.json.encode(place).decode(), str(tmp_path),
            stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        said: dict[int, str] = {}
        try:
            last = 0
            async with asyncio.timeout(50):
                while line := await process.stdout.readline():
                    event_id, digest, fills = line.decode().split()
                    said[int(event_id)] = digest
                    # What was decided by then is on disk when two more segments were begun.
                    begun = len(list((tmp_path / "session").glob("inputs-*.tws")))
                    if int(fills) >= 2:
                        last = last or begun + 2
                    if last and begun >= last:
                        break
        finally:
            process.kill()
            await process.wait()
    replay = Replay(tmp_path / "session")
    heard: dict[int, str] = {}
    take = replay._take

    def watched(record: Record) -> None:
        take(record)
        heard[replay.engine.event_id] = replay.engine.digest

    replay._take = watched  # type: ignore[method-assign]
    result = replay.run()
    assert ("", False, True) == (result.difference, result.is_complete, replay.reader.is_cut)
    assert result.decisions_checked >= 2
    # Only the last moments of the log may be missing.
    common = said.keys() & heard.keys()
    assert [] == [one for one in common if said[one] != heard[one]]
    assert len(common) > len(said) // 4


async def test_session_when_records_were_lost_then_replays_up_to_the_hole(tmp_path: Path) -> None:
    async with (
        simulator(SYMBOLS) as running,
        trading(settings_for(running, tmp_path, SYMBOLS)) as trader,
    ):
        await until(lambda: trader.engine.summary().fills >= 2, "two fills")
    whole = Replay(tmp_path / "session").run()
    path = tmp_path / "session" / "inputs-000001.tws"
    records = list(SessionReader(tmp_path / "session").records())
    path.unlink()
    writer = SegmentWriter(tmp_path / "session", SegmentOptions(disk_free_min=0))
    half = len(records) * 2 // 3
    writer.write(b"".join(map(laid_out, records[:half])), dropped=1)
    writer.write(b"".join(map(laid_out, records[half + 1 :])))
    writer.close()
    result = Replay(tmp_path / "session").run()
    assert ("", False) == (result.difference, result.is_complete)
    assert 0 < result.decisions_checked < whole.decisions_checked


def laid_out(record: Record) -> bytes:
    tap = InputTap()
    tap.append(
        record.kind, record.flags, record.source, record.number, record.now_ns, record.payload
    )
    return tap.take()


async def test_session_when_an_input_was_changed_then_the_replay_differs(tmp_path: Path) -> None:
    async with (
        simulator(SYMBOLS) as running,
        trading(settings_for(running, tmp_path, SYMBOLS)) as trader,
    ):
        await until(lambda: trader.engine.summary().fills >= 2, "two fills")
    header = tmp_path / "session" / "header.json"
    header.write_text(header.read_text().replace('"every": 25', '"every": 26'))
    result = Replay(tmp_path / "session").run()
    assert "decisions differ" in result.difference
