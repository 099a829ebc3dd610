"""Exits against the simulated venue over real sockets: held there, watched here, never doubled."""

import asyncio
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.integration.app.trading import ACCOUNT, settings_for, simulator, trading, until
from tests.integration.bybit_private.conftest import caller_of
from tickwright.app.replay import Replay
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import TraderSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.commands import Notice, StopsNotice
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.core.exits import Exits
from tickwright.core.identity import Category, InstrumentId, StrategyId
from tickwright.core.signals import Decision
from tickwright.engine.config import EngineConfig
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.position_plan import PositionPlan
from tickwright.net.listener import utc_now_ns
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.simulator.private import DEMO_KEY, DEMO_SECRET
from tickwright.simulator.run import RunningSimulator
from tickwright.simulator.sources.synthetic import SyntheticStyle
from tickwright.strategy.base import Strategy

BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
STRATEGY = StrategyId("flip")
SYMBOLS = ("BTCUSDT",)
TRAILING = Exits(trailing_fraction=0.00005)
"""A few times the market's own noise: it fires within seconds, not at once."""
QUICK = Exits(trailing_fraction=0.00001)
LIVELY = SyntheticStyle(events_per_s=600.0)
OUTAGE_S = 12.0


class Holder(Strategy):
    """Goes long once a second and never leaves: its exits must."""

    def on_start(self) -> Decision:
        self.again_ns = 0
        return None

    def on_book(self, book: OrderBook) -> Decision:
        context = self.context
        if context.now_ns < self.again_ns or context.position(book.instrument_id).size_units:
            return None
        self.again_ns = context.now_ns + 1_000_000_000
        return context.long(book.instrument_id, reason="once more")


def holding(
    running: RunningSimulator, folder: Path, exits: Exits, *, brackets: str = "auto"
) -> TraderSettings:
    settings = settings_for(running, folder, SYMBOLS)
    source = str(Path(__file__).resolve()) + ":Holder"
    # What protects a trader from many stops in a row is not looked at here.
    engine = EngineConfig(
        risk=RiskLimits(
            protections=ProtectionLimits(
                cooldown_after_stop_s=0, losses_in_row_max=0, flip_flops_max=0
            )
        ),
        execution=ExecutionConfig(
            brackets=brackets,  # type: ignore[arg-type]
            strategy_exits={"flip": exits},
        ),
    )
    strategy = msgspec.structs.replace(settings.plan.strategies[0], source=source, parameters={})
    plan = msgspec.structs.replace(settings.plan, engine=engine, strategies=(strategy,))
    return msgspec.structs.replace(settings, plan=plan, classes={source: Holder})


async def strike(running: RunningSimulator, **fault: object) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{running.rest}/control/faults", json=fault) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def heal(running: RunningSimulator) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.delete(f"{running.rest}/control/faults") as answer,
    ):
        assert answer.status == 200


async def ledger(running: RunningSimulator) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{running.rest}/control/ledger?limit=1000") as answer,
    ):
        return dict(await answer.json())


def plan_of(trader: Trader) -> PositionPlan | None:
    return trader.engine.state.plans.get((STRATEGY, BTC))


def is_held(trader: Trader) -> bool:
    plan = plan_of(trader)
    return plan is not None and plan.size_units > 0 and plan.held.distance_units > 0


def stop_orders(account: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    rows = account["open_orders"] + account["closed_orders"]
    return [row for row in rows if row["stopOrderType"] == kind]


def running_sizes(account: dict[str, Any]) -> list[Decimal]:
    """Return the position after each execution, oldest first."""
    signs = {"Buy": 1, "Sell": -1}
    rows = sorted(account["executions"], key=lambda row: (int(row["execTime"]), int(row["seq"])))
    return list(accumulate(signs[row["side"]] * Decimal(row["execQty"]) for row in rows))


async def halt(trader: Trader) -> None:
    halting = OperatorCommand(OperatorVerb.HALT, "all", "the test compares now")
    trader.door.on_input(halting, utc_now_ns())


async def is_open_there(running: RunningSimulator) -> bool:
    (account,) = (await ledger(running))["accounts"]
    return any(Decimal(row["size"]) for row in account["positions"])


def end_outage(running: RunningSimulator) -> None:
    """Let the venue answer again: what the outage was for has been seen."""
    running.server._refused_until_ns = 0


async def cut_off_while_held(trader: Trader, running: RunningSimulator) -> None:
    """Cut the trader off at a moment when the venue holds its position's trailing stop."""
    link = trader.links[ACCOUNT]
    for _ in range(5):
        await until(lambda: is_held(trader), "a trailing stop held by the venue", 30.0)
        await strike(running, kind="outage", duration_s=OUTAGE_S)
        await until(lambda: not link.is_synced, "the trader is cut off")
        if await is_open_there(running):
            return
        # It fired before the sockets were gone.
        end_outage(running)
        await until(lambda: link.is_synced, "the account is read again", 3 * OUTAGE_S)
    raise AssertionError("the stop always fired before the trader was cut off")


async def test_trailing_when_held_by_the_venue_then_it_fires_while_the_trader_is_cut_off(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS, style=LIVELY) as running:
        settings = holding(running, tmp_path, TRAILING)
        async with trading(settings) as trader:
            await cut_off_while_held(trader, running)
            placed = trader.engine.summary().orders_placed
            while await is_open_there(running):
                assert not trader.links[ACCOUNT].is_synced, "the venue's stop never fired"
                await asyncio.sleep(0.02)
            (account,) = (await ledger(running))["accounts"]
            fired = stop_orders(account, "TrailingStop") + stop_orders(account, "StopLoss")
            assert "Filled" in {row["orderStatus"] for row in fired}
            assert placed == trader.engine.summary().orders_placed, "nobody here closed it"
            assert all(size >= 0 for size in running_sizes(account))
            end_outage(running)
            await until(lambda: trader.links[ACCOUNT].is_synced, "read again", 3 * OUTAGE_S)
            await halt(trader)
            state = trader.engine.state
            await until(lambda: state.blotter.live_count == 0, "no order open")
            fault = state.portfolio.attribution_fault(ACCOUNT, BTC)
            assert fault is None
            (account,) = (await ledger(running))["accounts"]
            assert running_sizes(account)[-1] == state.instrument(BTC).quantity(
                state.portfolio.position(ACCOUNT, BTC).size_units
            )
    assert "" == Replay(tmp_path / "session").run().difference


@pytest.mark.parametrize("exits", [QUICK, Exits(stop_loss_fraction=0.00001)], ids=["trail", "stop"])
async def test_exit_when_watched_here_then_it_closes_by_an_order_of_ours(
    tmp_path: Path, exits: Exits
) -> None:
    async with simulator(SYMBOLS, style=LIVELY) as running:
        async with trading(holding(running, tmp_path, exits, brackets="synthetic")) as trader:
            await until(lambda: trader.engine.summary().stops_hit >= 2, "two stops", 40.0)
        account = (await ledger(running))["accounts"][0]
        assert [] == stop_orders(account, "TrailingStop") + stop_orders(account, "StopLoss")
        assert all(size >= 0 for size in running_sizes(account))
    assert "" == Replay(tmp_path / "session").run().difference


async def test_break_even_when_reached_then_the_stop_at_the_venue_is_moved(tmp_path: Path) -> None:
    exits = Exits(
        stop_loss_fraction=0.01,
        break_even_after_fraction=0.00002,
        break_even_offset_fraction=0.00001,
    )
    async with simulator(SYMBOLS, style=LIVELY) as running:
        settings = holding(running, tmp_path, exits)
        async with trading(settings) as trader:

            def is_moved() -> bool:
                plan = plan_of(trader)
                levels = None if plan is None else plan.levels
                return (
                    plan is not None
                    and levels is not None
                    and levels.break_even_units is not None
                    and plan.held.stop_units == levels.break_even_units
                )

            await until(is_moved, "the venue's stop at break-even", 40.0)
            assert trader.engine.summary().stops_hit == 0
    assert "" == Replay(tmp_path / "session").run().difference


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "gone"])
async def test_stops_after_a_restart_when_read_back_then_adopted_or_set_again(
    tmp_path: Path,
    is_kept: bool,
) -> None:
    exits = Exits(stop_loss_fraction=0.02)
    async with simulator(SYMBOLS) as running:
        settings = holding(running, tmp_path, exits)
        async with trading(settings) as trader:
            # All of it: one order may fill by several executions.
            blotter = trader.engine.state.blotter

            def is_settled() -> bool:
                found = plan_of(trader)
                return found is not None and found.held.stop_units > 0 and not blotter.live_count

            await until(is_settled, "a position and its stop")
            plan = plan_of(trader)
            assert plan is not None
            size, stop = plan.size_units, plan.held.stop_units
        if not is_kept:
            caller = caller_of(running.rest, key=DEMO_KEY, secret=DEMO_SECRET)
            body = b'{"category":"linear","symbol":"BTCUSDT","tpslMode":"Full","stopLoss":"0"}'
            answer = await caller.post(
                "/v5/position/trading-stop", body, group="stops.linear", is_urgent=True
            )
            assert (0, "OK") == (answer.code, answer.text)
            await caller.http.aclose()
        later = msgspec.structs.replace(settings, session_folder=tmp_path / "later")
        async with trading(later) as trader:
            await until(lambda: trader.links[ACCOUNT].is_synced, "the account is read")
            plan = plan_of(trader)
            assert plan is not None
            assert size == plan.size_units
            await until(lambda: plan.held.stop_units > 0, "a stop proven at the venue")
            assert plan.bracket.is_empty
            assert plan.held.was_asked is not is_kept
            if is_kept:
                assert stop == plan.held.stop_units
    assert "" == Replay(tmp_path / "later").run().difference


async def test_stop_when_it_fired_between_two_runs_then_the_second_holds_nothing(
    tmp_path: Path,
) -> None:
    async with simulator(SYMBOLS, style=LIVELY) as running:
        settings = holding(running, tmp_path, TRAILING)
        async with trading(settings) as trader:
            await until(lambda: is_held(trader), "a trailing stop held by the venue", 30.0)
        for _ in range(2_000):
            if not await is_open_there(running):
                break
            await asyncio.sleep(0.02)
        later = msgspec.structs.replace(settings, session_folder=tmp_path / "later")
        async with trading(later) as trader:
            await halt(trader)
            await until(lambda: trader.links[ACCOUNT].is_synced, "the account is read")
            state = trader.engine.state
            assert state.portfolio.position(ACCOUNT, BTC).is_flat
            assert state.portfolio.strategy_position(STRATEGY, ACCOUNT, BTC).is_flat
            assert state.portfolio.attribution_fault(ACCOUNT, BTC) is None


FAULTS: list[dict[str, object]] = [
    {"kind": "reply_error"},
    {"kind": "reply_html"},
    {"kind": "reply_delayed", "delay_s": 1.5},
    {"kind": "cut_before_booking"},
    {"kind": "cut_after_booking"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: str(f["kind"]))
async def test_trailing_when_its_request_fails_then_watched_and_never_closed_twice(
    tmp_path: Path, fault: dict[str, object]
) -> None:
    notices: list[Notice] = []
    async with simulator(SYMBOLS, style=LIVELY) as running:
        settings = holding(running, tmp_path, QUICK)
        # Before anybody trades: not one request passes.
        await strike(running, **fault, topic="position.trading-stop", count=0)
        async with trading(settings, on_notice=notices.append) as trader:
            engine = trader.engine
            await until(lambda: engine.summary().fills >= 4, "two positions", 40.0)
            assert any(f["hit"] for f in running.faults.report())
            await halt(trader)
            await until(lambda: not engine.state.blotter.live_count, "no order open", 20.0)
            # While a position is held its stops are asked for again: looked at before that works.
            held = await ledger(running)
            await heal(running)
        account = held["accounts"][0]
        assert held["balanced"]
        assert all(size >= 0 for size in running_sizes(account)), "an exit turned it over"
        ours = [r for r in account["closed_orders"] if r["orderLinkId"] and r["side"] == "Sell"]
        assert all(row["reduceOnly"] for row in ours)
    assert "" == Replay(tmp_path / "session").run().difference
    if fault["kind"] == "cut_before_booking":
        # It never got there: everything was closed from here, and that was told.
        assert [] == stop_orders(account, "TrailingStop") + stop_orders(account, "StopLoss")
        assert any(isinstance(n, StopsNotice) and not n.is_held for n in notices)
