"""Paper runs: live data from a venue that never hears of an order, fills from a ledger of its own.

The simulated venue stands for the real one; every private request or socket there is counted.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.integration.app.trading import ACCOUNT, settings_for, simulator, trading, until
from tickwright.app.paper_settings import PaperSettings
from tickwright.app.replay import Replay
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import TraderSettings
from tickwright.core.errors import ConfigError, StorageError
from tickwright.core.identity import Category
from tickwright.engine.config import EngineConfig
from tickwright.execution.config import ExecutionConfig
from tickwright.simulator.private.saved import SavedPosition, SavedVenue, read_saved
from tickwright.simulator.run import RunningSimulator

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
RUN_S = 5


class Touched:
    """What of a venue's private side was ever asked for."""

    def __init__(self, running: RunningSimulator) -> None:
        self.venue = running.whole
        self.paths: list[str] = []
        paths = running.server.websocket_paths
        for path in [one for one in paths if "/public/" not in one]:
            paths[path] = self._counting(path, paths[path])
        service = running.whole.service
        for name in ("get", "submit"):
            setattr(service, name, self._counting(name, getattr(service, name)))

    def _counting(self, name: str, inner: Any) -> Any:
        def count(*args: Any, **named: Any) -> Any:
            self.paths.append(name)
            return inner(*args, **named)

        return count

    @property
    def nothing(self) -> bool:
        """Whether nobody asked for anything, and no account has ever done anything."""
        stores = self.venue.desk.stores.values()
        return not self.paths and not any(
            [*store.live, *store.executions, *store.finals()] for store in stores
        )


@asynccontextmanager
async def real_venue(**options: Any) -> AsyncIterator[tuple[RunningSimulator, Touched]]:
    async with simulator(SYMBOLS, **options) as running:
        yield running, Touched(running)


def paper_settings(running: RunningSimulator, folder: Path, **paper: Any) -> TraderSettings:
    """Settings of a paper run; the venue's private addresses are there, and must not be used."""
    plain = settings_for(running, folder, SYMBOLS)
    wanted: dict[str, Any] = {
        "balances": {ACCOUNT.name: (("USDT", Decimal(25_000)),)},
        "latency_ms": 3.0,
        "reply_ms": 2.0,
        "ledger": folder / "state" / "paper.json",
    }
    return msgspec.structs.replace(plain, paper=PaperSettings(**{**wanted, **paper}))


def kept(path: Path) -> SavedVenue:
    return read_saved(path.read_bytes(), where=str(path))


def sizes_of(path: Path) -> dict[str, Decimal]:
    """Return the open positions that a paper ledger holds."""
    found = {one.symbol: Decimal(one.size) for one in kept(path).accounts["main"].positions}
    return {symbol: size for symbol, size in found.items() if size}


def sizes_held(trader: Trader) -> dict[str, Decimal]:
    """Return the positions that the engine believes in."""
    found: dict[str, Decimal] = {}
    for one in trader.engine.summary().positions:
        symbol = one.instrument.rpartition(":")[2]
        found[symbol] = found.get(symbol, Decimal(0)) + one.size
    return {symbol: size for symbol, size in found.items() if size}


async def test_paper_when_trading_then_fills_come_and_the_real_venue_hears_nothing(tmp_path: Path):
    async with real_venue() as (running, touched):
        settings = paper_settings(running, tmp_path)
        async with trading(settings) as trader:
            await until(lambda: trader.engine.summary().fills >= 6, "six fills")
            assert ("paper", "simulator") == (trader.mode, trader.market)
        held, digest = sizes_held(trader), trader.engine.digest
        assert touched.nothing
    assert held == sizes_of(tmp_path / "state" / "paper.json")
    result = Replay(tmp_path / "session").run()
    assert ("", digest) == (result.difference, result.digest)
    assert b'"mode":"paper"' in (tmp_path / "session" / "header.json").read_bytes().replace(
        b" ", b""
    )


async def test_paper_when_started_again_then_it_goes_on_with_its_ledger(tmp_path: Path):
    async with real_venue() as (running, touched):
        async with trading(paper_settings(running, tmp_path)) as trader:
            await until(lambda: bool(sizes_held(trader)), "a position")
        held = sizes_of(tmp_path / "state" / "paper.json")
        assert held
        again = msgspec.structs.replace(
            paper_settings(running, tmp_path), session_folder=tmp_path / "second"
        )
        notes: list[str] = []
        trader = Trader(again, on_note=lambda event, text: notes.append(f"{event} {text}"))
        await trader.start()
        reports = await trader.clients[ACCOUNT].positions(Category.LINEAR)
        feed = trader.feeds[0]
        assert held == {
            symbol: feed.instrument_for(symbol).quantity(one.size_units)
            for one in reports
            for symbol in [one.instrument_id.symbol]
        }
        task = asyncio.create_task(trader.run())
        await until(lambda: sizes_held(trader) == held, "the engine knows what is held")
        trader.stop()
        await task
        await trader.close()
        assert any("goes on from the last run, holding" in note for note in notes)
        fresh = paper_settings(running, tmp_path / "fresh")
        wanted = {"ledger": tmp_path / "state" / "paper.json", "keeps": False}
        paper = msgspec.structs.replace(fresh.paper, **wanted)  # type: ignore[type-var]
        async with trading(msgspec.structs.replace(fresh, paper=paper)) as trader:
            assert not await trader.clients[ACCOUNT].positions(Category.LINEAR)
        assert touched.nothing


async def test_paper_when_it_holds_what_nobody_trades_now_then_it_does_not_start(tmp_path: Path):
    async with real_venue() as (running, _):
        async with trading(paper_settings(running, tmp_path)) as trader:
            await until(lambda: bool(sizes_held(trader)), "a position")
        path = tmp_path / "state" / "paper.json"
        lost = min(sizes_of(path))
        settings = paper_settings(running, tmp_path)
        others = tuple(symbol for symbol in SYMBOLS if symbol != lost)
        narrow = msgspec.structs.replace(settings.feeds[0], symbols=others)
        trader = Trader(msgspec.structs.replace(settings, feeds=(narrow,)))
        with pytest.raises(ConfigError, match=rf"holds {lost}.* no strategy trades now"):
            await trader.start()
        await trader.close()
        path.write_text("{")
        trader = Trader(settings)
        with pytest.raises(StorageError, match=r"paper\.json holds no paper accounts"):
            await trader.start()
        await trader.close()


async def test_paper_when_the_live_feed_breaks_then_it_trades_on_and_replays(tmp_path: Path):
    async with real_venue() as (running, touched):
        async with trading(paper_settings(running, tmp_path)) as trader:
            feed = trader.feeds[0]
            await until(lambda: trader.engine.summary().fills >= 2, "two fills")
            for fault in (
                {"kind": "gap", "topic": "orderbook.50.BTCUSDT"},
                {"kind": "cut", "category": "linear"},
            ):
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(f"{running.rest}/control/faults", json=fault) as answer,
                ):
                    assert 200 == answer.status
            await until(lambda: sum(f["hit"] for f in running.faults.report()) >= 2, "both hit")
            await until(lambda: feed.is_all_synced, "all synced again")
            before = trader.engine.summary().fills
            await until(lambda: trader.engine.summary().fills >= before + 2, "two more fills")
        held, digest = sizes_held(trader), trader.engine.digest
        assert touched.nothing
    assert held == sizes_of(tmp_path / "state" / "paper.json")
    result = Replay(tmp_path / "session").run()
    assert ("", digest) == (result.difference, result.digest)


async def test_paper_when_orders_rest_then_live_trades_fill_them_as_makers(tmp_path: Path):
    async with real_venue(sources=("agents",)) as (running, touched):
        plain = paper_settings(running, tmp_path)
        engine = EngineConfig(execution=ExecutionConfig(entry="passive"))
        plan = msgspec.structs.replace(plain.plan, engine=engine)
        async with trading(msgspec.structs.replace(plain, plan=plan)) as trader:
            client = trader.clients[ACCOUNT]
            await until(lambda: trader.engine.summary().fills >= 3, "three fills", 25.0)
            fills = await client.fills(Category.LINEAR, since_ns=0)
            assert any(fill.is_maker for fill in fills)
        assert touched.nothing


# a whole process ----------------------------------------------------------------------------------

_CONFIG = """\
[venues.main]
env = "simulator"
rest_url = "{rest}"
public_url = "{public}"
private_url = "{private}"
trade_url = "{trade}"

[accounts.trader]
venue = "main"

[[strategies]]
id = "flip"
strategy = "flip.py:Flip"
account = "trader"
symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]

[run]
mode = "paper"

[paper]
balances = {{ USDT = "25000" }}
latency_ms = 3
reply_ms = 2
"""
_STRATEGY = '''\
import tickwright as tw

KINDS = (tw.SignalKind.LONG, tw.SignalKind.EXIT, tw.SignalKind.SHORT, tw.SignalKind.EXIT)


class Flip(tw.Strategy):
    """Goes in and out by turns."""

    def on_start(self):
        self.count = 0

    def on_book(self, book):
        self.count += 1
        if self.count % 25:
            return None
        kind = KINDS[self.count // 25 % 4]
        return tw.Signal(instrument_id=book.instrument_id, kind=kind, reason="turn")
'''


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tickwright", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def tickwright(*arguments: str) -> tuple[int, str, str]:
    process = await started(*arguments)
    out, told = await process.communicate()
    return process.returncode or 0, out.decode(), told.decode()


def configured(running: RunningSimulator, folder: Path) -> Path:
    """Write a configuration that holds the private addresses too: they must not be used."""
    (folder / "flip.py").write_text(_STRATEGY)
    path = folder / "my.toml"
    path.write_text(
        _CONFIG.format(
            rest=running.rest,
            public=running.public,
            private=running.private,
            trade=running.trade,
        )
    )
    return path


async def test_run_when_in_paper_mode_then_it_reports_paper_and_touches_no_account(tmp_path: Path):
    report_path = tmp_path / "report.json"
    async with real_venue() as (running, touched):
        path = configured(running, tmp_path)
        arguments = ("run", str(path), "--seconds", str(RUN_S), "--json", str(report_path))
        code, out, told = await tickwright(*arguments)
        assert 0 == code, out + told
        assert touched.nothing
    report = msgspec.json.decode(report_path.read_bytes())
    assert ("paper", "simulator") == (report["mode"], report["market"])
    assert "PAPER: a simulated market, orders matched in this process" in out
    assert report["fills"] > 0
    assert report["signals"] > 0
    (check,) = report["ledger"]
    assert (True, "bybit:trader") == (check["is_equal"], check["account"])
    ledger = kept(tmp_path / "sessions" / "state-paper" / "paper.json").accounts["trader"]
    held = {one.symbol: Decimal(one.size) for one in ledger.positions}
    assert {one["symbol"]: Decimal(one["size"]) for one in report["symbols"]} == {
        symbol: held.get(symbol, Decimal(0))
        for symbol in (one["symbol"] for one in report["symbols"])
    }
    log = (Path(report["session"]) / "run.log.jsonl").read_text()
    assert "paper.ready" in log
    assert "begins afresh" in log
    code, out, told = await tickwright("run", "--replay", report["session"])
    assert 0 == code, out + told
    assert "identical" in out


async def test_run_when_killed_then_the_next_one_goes_on_from_its_ledger(tmp_path: Path):
    ledger, report_path = tmp_path / "sessions" / "state-paper" / "paper.json", tmp_path / "r.json"
    async with real_venue() as (running, touched):
        path = configured(running, tmp_path)
        process = await started("run", str(path))
        try:
            await until(lambda: ledger.exists() and bool(positions_of(ledger)), "a position")
        finally:
            process.kill()
            await process.communicate()
        before = kept(ledger).accounts["trader"].sums["fees"]["USDT"]
        arguments = ("run", str(path), "--seconds", "2", "--json", str(report_path))
        code, out, told = await tickwright(*arguments)
        assert 0 == code, out + told
        assert touched.nothing
    report = msgspec.json.decode(report_path.read_bytes())
    assert [True] == [check["is_equal"] for check in report["ledger"]]
    after = kept(ledger).accounts["trader"]
    assert int(after.sums["fees"]["USDT"]) >= int(before) > 0
    assert {"USDT": "25000" + "0" * 18} == after.sums["deposits"]


async def test_kill_when_the_trader_is_on_paper_then_it_ends_and_its_ledger_stays(tmp_path: Path):
    ledger = tmp_path / "sessions" / "state-paper" / "paper.json"
    async with real_venue() as (running, touched):
        path = configured(running, tmp_path)
        trader = asyncio.create_task(tickwright("run", str(path)))
        await until(
            lambda: ledger.exists() and any(Decimal(one.size) for one in positions_of(ledger)),
            "a position",
        )
        code, out, told = await tickwright("kill", str(path), "--timeout", "30")
        assert 0 == code, out + told
        await trader
        assert touched.nothing
    code, out, told = await tickwright("run", str(path), "--seconds", "1")
    assert 2 == code, out + told
    assert "--lift" in told


def positions_of(path: Path) -> tuple[SavedPosition, ...]:
    return kept(path).accounts["trader"].positions
