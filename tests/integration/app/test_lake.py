"""A recorded session comes out of the lake as the live books, trades, orders and fills it was."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pyarrow.parquet as pq
import pytest

from tests.integration.app.trading import settings_for, simulator, trading, until
from tests.oracle.lake_session import PlainSessionRows
from tickwright.app.lake import LakeBuild, build_lake, lake_rows, query_lake
from tickwright.app.replay import Replay
from tickwright.book.order_book import OrderBook
from tickwright.core.errors import StorageError
from tickwright.core.events import Trade
from tickwright.core.identity import InstrumentId
from tickwright.core.orders import Side
from tickwright.simulator.run import RunningSimulator
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.manifest import Source
from tickwright.storage.lake.reader import LakeReader, apply_book_row
from tickwright.storage.lake.schema import MessageKind, Table
from tickwright.storage.lake.store import FolderStore
from tickwright.storage.lake.writer import LakeWriter
from tickwright.storage.session_log import SessionReader

SYMBOLS = ("BTCUSDT", "ETHUSDT")

Picture = tuple[int, int, int, list[tuple[int, int]], list[tuple[int, int]]]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    asyncio.run(_record(folder))
    return folder / "session"


async def _record(folder: Path) -> None:
    async with (
        simulator(SYMBOLS) as running,
        trading(settings_for(running, folder, SYMBOLS)) as trader,
    ):
        await until(lambda: trader.engine.summary().fills >= 4, "four fills")
        await _gap(running)
        feed = trader.feeds[0]
        books = [lane.book for lane in trader.engine.state.lanes.values()]
        # Of each book: how they share the updates is chance.
        before = [book.update_count for book in books]
        await until(
            lambda: (
                feed.is_all_synced
                and all(book.update_count > n + 60 for book, n in zip(books, before, strict=True))
            ),
            "all books synced again",
        )


async def _gap(running: RunningSimulator) -> None:
    fault = {"kind": "gap", "topic": "orderbook.50.BTCUSDT"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{running.rest}/control/faults", json=fault) as answer,
    ):
        assert answer.status == 200, await answer.text()
    await until(lambda: sum(f["hit"] for f in running.faults.report()) > 0, "the fault hit")


class Watched(Replay):
    """A replay that keeps every book as it was after each update, and every trade."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pictures: dict[InstrumentId, list[Picture]] = {}
        self.trades: list[Trade] = []
        inner = self.engine.on_book

        def on_book(slot: int, now_ns: int) -> object:
            book = self._books[slot]
            self.pictures.setdefault(book.instrument_id, []).append(picture(book))
            return inner(slot, now_ns)

        self.on_book = on_book  # type: ignore[assignment]

    def on_trades(self, trades: list[Trade]) -> None:
        self.trades += trades
        super().on_trades(trades)


def picture(book: OrderBook) -> Picture:
    return (book.update_id, book.sequence, book.venue_ns, book.bids(), book.asks())


def built(session: Path, lake: Path) -> LakeBuild:
    return build_lake(
        [session],
        str(lake),
        instrument=None,
        allows_overlap=False,
        on_progress=lambda name, part: None,
    )


@pytest.fixture(scope="module")
def lake(session: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "lake"
    (source,) = built(session, folder).sources
    assert not source.is_known
    assert source.rows > 200
    return folder


def test_books_when_rebuilt_from_the_lake_then_equal_the_live_ones_at_every_update(
    session: Path, lake: Path
):
    live = Watched(session)
    assert "" == live.run().difference
    reader = LakeReader(Catalogue(FolderStore(lake)))
    doubts = 0
    for book in live._books.values():
        rebuilt = OrderBook(book.instrument, capacity=book.capacity, policy=book.policy)
        seen: list[Picture] = []
        for batch in reader.book(book.instrument_id):
            for index in range(len(batch)):
                apply_book_row(rebuilt, batch, index)
                if batch.kind[index] == MessageKind.DOUBT:
                    doubts += 1
                    assert not rebuilt.is_synced
                else:
                    assert rebuilt.is_synced
                    seen.append(picture(rebuilt))
        # A live update may have been conflated on its way to the strategies, a row never is.
        by_id = {(one[0], one[2]): one for one in seen}
        expected = live.pictures[book.instrument_id]
        assert len(expected) > 50
        assert expected == [by_id[one[0], one[2]] for one in expected]
        assert book.update_count + book.snapshot_count == len(seen)
    assert doubts > 0


def test_trades_and_fills_when_in_the_lake_then_are_the_recorded_ones(session: Path, lake: Path):
    live = Watched(session)
    summary_of = live.run()
    assert "" == summary_of.difference
    _, rows = query_lake(
        str(lake),
        "select trade_id, price, size, side, venue_ns, received_ns from trades order by ordinal",
    )
    expected = [
        (
            t.trade_id,
            t.price_units,
            t.size_units,
            1 if t.side is Side.BUY else -1,
            t.venue_ns,
            t.received_ns,
        )
        for t in live.trades
    ]
    assert expected == list(rows)
    _, counts = query_lake(
        str(lake), "select count(*), count(distinct execution_id) from fills where client_id <> ''"
    )
    ((fills, distinct),) = counts
    assert live.engine.summary().fills == fills == distinct


def test_rows_when_read_plainly_then_are_those_of_the_compiled_way(
    session: Path, lake: Path, tmp_path: Path
):
    store = FolderStore(tmp_path / "plain")
    with LakeWriter(store, Source(key="a" * 64, checksum="", kind="plain", name="")) as writer:
        rows = PlainSessionRows(SessionReader(session), writer)
        rows.run(lambda: None)
        writer.finish(rows.remarks)

    assert contents(lake) == contents(tmp_path / "plain")


def test_lake_when_asked_in_sql_then_decimals_are_exact_and_markets_are_there(lake: Path):
    _, rows = query_lake(
        str(lake),
        "select t.price, d.price, t.price_decimals from trades t join trades_decimal d "
        "using (symbol, trade_id) order by t.ordinal limit 20",
    )
    for units, price, decimals in rows:
        assert units == int(price.scaleb(decimals))  # type: ignore[attr-defined]
    kept = {row.table for row in lake_rows(str(lake))}
    assert {"book", "trades", "tickers", "funding", "orders", "fills"} <= kept


def test_build_when_run_again_then_nothing_is_read_or_written(session: Path, lake: Path):
    before = sorted((p, p.stat().st_mtime_ns) for p in lake.rglob("*.parquet"))

    (source,) = built(session, lake).sources

    assert source.is_known
    assert before == sorted((p, p.stat().st_mtime_ns) for p in lake.rglob("*.parquet"))


@pytest.mark.parametrize("seed", range(4))
def test_build_when_killed_anywhere_then_a_second_one_gives_the_same_lake(
    session: Path, lake: Path, tmp_path: Path, seed: int
):
    target = tmp_path / "lake"
    chance = random.Random(seed)
    command = [sys.executable, "-m", "tickwright", "lake", "build", str(session)]
    with subprocess.Popen(
        [*command, "--lake", str(target)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        # Not before it began to write: until then there is nothing to break.
        deadline = time.monotonic() + 40
        while not (target / "_tmp").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(chance.random() * 0.25)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
    for note in Catalogue(FolderStore(target)).notes():
        assert note.rows == pq.ParquetFile(target / note.file).read().num_rows

    built(session, target)

    assert contents(lake) == contents(target)
    assert not list((target / "_tmp").iterdir())


def contents(lake: Path) -> dict[tuple[str, str], list[tuple[object, ...]]]:
    found = {}
    for table in Table:
        _, rows = query_lake(str(lake), f"select * from {table.value} order by ordinal")
        found[table.value, ""] = list(rows)
    return found


def test_session_when_it_went_on_then_its_rows_are_replaced(session: Path, tmp_path: Path):
    whole = [path for path in sorted(session.iterdir()) if path.is_file()]
    copy = tmp_path / "session"
    copy.mkdir()
    for path in whole:
        raw = path.read_bytes()
        cut = path.name.startswith("inputs-") and path.suffix == ".tws"
        (copy / path.name).write_bytes(raw[: len(raw) // 2] if cut else raw)
    (first,) = built(copy, tmp_path / "lake").sources
    for path in whole:
        (copy / path.name).write_bytes(path.read_bytes())

    (second,) = built(copy, tmp_path / "lake").sources

    assert first.rows < second.rows
    assert sum(row.rows for row in lake_rows(str(tmp_path / "lake"))) == second.rows


def test_session_when_damaged_then_the_position_is_told_and_no_file_stays(
    session: Path, tmp_path: Path
):
    copy = tmp_path / "session"
    copy.mkdir()
    for path in session.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    segment = max(copy.glob("inputs-*.tws"), key=lambda p: p.stat().st_size)
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    segment.write_bytes(raw)

    with pytest.raises(StorageError, match="inputs-"):
        built(copy, tmp_path / "lake")

    assert [] == list((tmp_path / "lake").rglob("*.parquet"))
