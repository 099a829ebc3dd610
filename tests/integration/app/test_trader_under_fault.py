"""Whatever happens on the private side, the trader's books end equal to the venue's ledger.

The venue's ledger is the judge: each intent became at most one order, positions are equal, and the
ledger balances.
"""

import asyncio
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.app.trading import ACCOUNT, settings_for, simulator, trading, until
from tickwright.app.replay import Replay
from tickwright.app.trader import Trader
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.core.identity import Category, InstrumentId
from tickwright.net.listener import utc_now_ns
from tickwright.simulator.run import RunningSimulator
from tickwright.storage.journal import segments

SYMBOLS = ("BTCUSDT", "ETHUSDT")
EQUAL_S_MAX = 30.0


async def ledger(running: RunningSimulator) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.rest}/control/ledger?limit=1000") as answer,
    ):
        return dict(await answer.json())


async def strike(running: RunningSimulator, **fault: object) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{running.rest}/control/faults", json=fault) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def struck(running: RunningSimulator) -> int:
    """How often the faults of this run really hit."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.rest}/control/faults") as answer,
    ):
        return sum(fault["hit"] for fault in (await answer.json())["faults"])


def positions_of(trader: Trader) -> dict[str, Decimal]:
    state = trader.engine.state
    sizes = {}
    for symbol in SYMBOLS:
        instrument_id = InstrumentId("bybit", Category.LINEAR, symbol)
        units = state.portfolio.position(ACCOUNT, instrument_id).size_units
        sizes[symbol] = state.instrument(instrument_id).quantity(units)
    return {symbol: size for symbol, size in sizes.items() if size}


def positions_at(account: dict[str, Any]) -> dict[str, Decimal]:
    signs = {"Buy": 1, "Sell": -1, "": 0}
    return {
        row["symbol"]: signs[row["side"]] * Decimal(row["size"])
        for row in account["positions"]
        if Decimal(row["size"])
    }


def unresolved(trader: Trader) -> int:
    summary = trader.engine.summary()
    return summary.unknown_requests + summary.orders_live


FAULTS: list[dict[str, object]] = [
    {"kind": "reply_dropped", "topic": "order.create", "count": 3},
    {"kind": "reply_delayed", "topic": "order.create", "count": 3, "delay_s": 1.5},
    {"kind": "reply_error", "topic": "order.create", "count": 2},
    {"kind": "cut_before_booking", "topic": "trade.order.create"},
    {"kind": "cut_after_booking", "topic": "trade.order.create"},
    {"kind": "duplicate_event", "category": "private", "topic": "execution*", "count": 20},
    {"kind": "duplicate_event", "category": "private", "topic": "order*", "count": 20},
    {"kind": "reorder_event", "category": "private", "topic": "*", "count": 20},
    {"kind": "cut", "category": "private", "topic": "execution*"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f['kind']}-{f.get('topic')}")
async def test_account_when_a_private_fault_strikes_then_it_ends_equal_to_the_venue(
    tmp_path: Path, fault: dict[str, object]
) -> None:
    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, tmp_path, SYMBOLS, every=15)
        async with trading(settings) as trader:
            engine = trader.engine
            await until(lambda: engine.summary().fills >= 2, "two fills")
            await strike(running, **fault)
            await until(lambda: any(f["hit"] for f in running.faults.report()), "the fault hit")
            fills = engine.summary().fills
            await until(lambda: engine.summary().fills >= fills + 2, "trading goes on", 30.0)
            halt = OperatorCommand(OperatorVerb.HALT, "all", "the test compares now")
            trader.door.on_input(halt, utc_now_ns())
            await until(lambda: not unresolved(trader), "every request resolved", 30.0)
            deadline = time.monotonic() + EQUAL_S_MAX
            while positions_of(trader) != positions_at(
                account := (await ledger(running))["accounts"][0]
            ):
                assert time.monotonic() < deadline, (positions_of(trader), positions_at(account))
                await asyncio.sleep(0.01)
            held = await ledger(running)
            assert held["balanced"]
            rows = account["open_orders"] + account["closed_orders"]
            ids = Counter(row["orderLinkId"] for row in rows if row["orderLinkId"])
            assert ids
            assert {1} == set(ids.values())
            # Every order the venue knows is in the journal, and nothing else has our mark.
            folder = tmp_path / "state" / "journal-bybit-main"
            journal = "".join(path.read_text() for path in segments(folder))
            assert all(client_id in journal for client_id in ids)


async def test_session_when_private_faults_struck_then_its_replay_is_identical(
    tmp_path: Path,
) -> None:
    async with (
        simulator(SYMBOLS) as running,
        trading(settings_for(running, tmp_path, SYMBOLS, every=15)) as trader,
    ):
        await strike(running, kind="reply_dropped", topic="order.create", count=2)
        await strike(running, kind="duplicate_event", category="private", topic="*", count=30)
        await until(lambda: trader.engine.summary().fills >= 6, "six fills", 30.0)
    result = Replay(tmp_path / "session").run()
    assert "" == result.difference


async def test_fills_when_the_stream_loses_them_then_known_by_the_next_reading(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, tmp_path, SYMBOLS, every=15)
        async with trading(settings) as trader:
            await until(lambda: trader.engine.summary().fills >= 2, "two fills", 30.0)
            await strike(
                running, kind="topic_outage", category="private", topic="execution*", duration_s=600
            )
            before = trader.engine.summary().fills

            def is_read() -> bool:
                found = trader.engine.summary()
                return found.fills >= before + 4 and found.reconciliations >= 1

            await until(is_read, "lost fills, and a reading of the account", 30.0)
            summary = trader.engine.summary()
            assert await struck(running) > 0
            assert 0 == summary.reconcile_mismatches
            assert {} == summary.halted_instruments


async def test_position_when_the_ledger_is_wrong_then_halted_with_both_sizes(
    tmp_path: Path,
) -> None:
    async with (
        simulator(SYMBOLS) as running,
        trading(settings_for(running, tmp_path, SYMBOLS, every=1_000_000)) as trader,
    ):
        await until(lambda: trader.engine.summary().syncs >= 1, "a sync")
        instrument_id = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
        # Nothing in the world can bring this about but a bug: that is what the reading is for.
        trader.engine.state.portfolio.position(ACCOUNT, instrument_id).size_units += 7
        await until(lambda: trader.engine.summary().halted_instruments != {}, "a halt")
        (reason,) = trader.engine.summary().halted_instruments.values()
        assert "at the venue" in reason
        assert {} == positions_of(trader)
