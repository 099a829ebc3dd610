"""A ladder placed and withdrawn in batches: what one message carries ends one by one.

The venue's ledger is the judge: every intent is at most one order there, whatever became of the
message or of its answer, and the session is repeated hash for hash.
"""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.integration.app.test_trader_under_fault import ledger, strike, struck
from tests.integration.app.trading import ACCOUNT, settings_for, simulator, trading, until
from tickwright.app.replay import Replay
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import TraderSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.events import OperatorCommand, OperatorVerb
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import OrderIntent, OrderState, OrderType, Side
from tickwright.core.signals import AmendIntent, CancelIntent, Decision
from tickwright.engine.config import EngineConfig
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.request_budget import BudgetLimits
from tickwright.net.listener import utc_now_ns
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.simulator.run import RunningSimulator
from tickwright.storage.journal import segments
from tickwright.strategy.base import Strategy

BTC = InstrumentId("bybit", Category.LINEAR, "BTCUSDT")
SYMBOLS = ("BTCUSDT",)
RUNGS = 6
MOVED = 50


class Ladder(Strategy):
    """Places six bids at once, moves them at once, withdraws them at once, again and again."""

    def on_start(self) -> Decision:
        self.again_ns = 0
        self.has_moved = False
        return None

    def on_book(self, book: OrderBook) -> Decision:
        context = self.context
        if context.now_ns < self.again_ns or book.best_bid is None:
            return None
        orders = context.orders()
        self.again_ns = context.now_ns + 100_000_000
        if orders:
            if any(order.state is not OrderState.WORKING for order in orders):
                return None
            if not self.has_moved:
                self.has_moved = True
                return [
                    AmendIntent(client_id=order.client_id, price_units=order.price_units - MOVED)
                    for order in orders
                    if order.price_units is not None
                ]
            return [CancelIntent(client_id=order.client_id) for order in orders]
        self.has_moved = False
        tick = book.instrument.tick_units
        return [
            OrderIntent(
                instrument_id=BTC,
                side=Side.BUY,
                size_units=book.instrument.size_min_units,
                order_type=OrderType.LIMIT,
                price_units=book.best_bid - 200 * tick - rung * tick,
                post_only=True,
            )
            for rung in range(RUNGS)
        ]


def _settings(running: RunningSimulator, folder: Path, *, by_rest: bool = False) -> TraderSettings:
    settings = settings_for(running, folder, SYMBOLS)
    many = BudgetLimits(limit=100)
    plan = msgspec.structs.replace(
        settings.plan,
        engine=EngineConfig(
            risk=RiskLimits(
                orders_per_second_max=100,
                orders_per_minute_max=1_000,
                amends_per_second_max=100,
                protections=ProtectionLimits(order_storm_max=1_000),
            ),
            execution=ExecutionConfig(
                budgets={f"{kind}.linear": many for kind in ("create", "amend", "cancel", "query")},
                answer_timeout_ms=400,
                recv_window_ms=300,
                evidence_margin_ms=100,
                query_ms=100,
            ),
        ),
        strategies=(
            msgspec.structs.replace(
                settings.plan.strategies[0],
                strategy_id="ladder",
                source=f"{Path(__file__).resolve()}:Ladder",
                parameters={},
            ),
        ),
    )
    (account,) = settings.accounts
    return msgspec.structs.replace(
        settings,
        plan=plan,
        classes={plan.strategies[0].source: Ladder},
        accounts=(msgspec.structs.replace(account, batches_orders=True, orders_by_rest=by_rest),),
    )


async def _settle(trader: Trader) -> None:
    """Stop the ladder and wait until nothing of it is open or in doubt."""
    halt = OperatorCommand(OperatorVerb.HALT, "all", "the test compares now")
    trader.door.on_input(halt, utc_now_ns())
    summary = trader.engine.summary
    await until(
        lambda: not (summary().unknown_requests or summary().orders_live), "every request ended"
    )


async def _compare(trader: Trader, running: RunningSimulator, folder: Path) -> int:
    """Hold each promise to the venue's ledger; return how many orders the venue booked."""
    (account,) = (await ledger(running))["accounts"]
    rows = account["open_orders"] + account["closed_orders"]
    ids = Counter(row["orderLinkId"] for row in rows)
    assert {1} == set(ids.values())
    assert [] == account["open_orders"]
    journal = "".join(
        path.read_text() for path in segments(folder / "state" / "journal-bybit-main")
    )
    assert all(client_id in journal for client_id in ids)
    assert trader.engine.summary().orders_placed >= len(ids)
    return len(ids)


@pytest.mark.parametrize("by_rest", [False, True], ids=["socket", "rest"])
async def test_ladder_when_batched_then_one_message_a_ladder_and_one_order_an_intent(
    tmp_path: Path, by_rest: bool
):
    async with simulator(SYMBOLS, rate_scale=10.0) as running:
        settings = _settings(running, tmp_path, by_rest=by_rest)
        async with trading(settings) as trader:
            summary = trader.engine.summary
            await until(lambda: summary().orders_placed >= 3 * RUNGS, "three ladders")
            await until(lambda: summary().cancels >= 2 * RUNGS, "two withdrawn")
            counts = trader.links[ACCOUNT].counts
            now = summary()
            assert now.amends >= 2 * RUNGS
            # Each time all of a ladder in one message.
            assert now.orders_placed + now.amends + now.cancels == RUNGS * counts.batches
            await _settle(trader)
            placed = summary().orders_placed
            assert placed == await _compare(trader, running, tmp_path)
            sent = placed + summary().amends + summary().cancels
            assert (0, sent) == (counts.unsent, counts.sent_by_socket + counts.sent_by_rest)
    assert "" == Replay(tmp_path / "session").run().difference


FAULTS: list[dict[str, object]] = [
    # The venue's budget ends in the midst of a ladder: the first pass, the last does not.
    {"kind": "halved_limits", "topic": "order.create-batch"},
    {"kind": "reply_dropped", "topic": "trade.order.create-batch", "count": 2},
    {"kind": "cut_before_booking", "topic": "trade.order.create-batch"},
    {"kind": "cut_after_booking", "topic": "trade.order.create-batch"},
    {"kind": "reply_dropped", "topic": "trade.order.amend-batch"},
    {"kind": "reply_dropped", "topic": "trade.order.cancel-batch", "count": 2},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f['kind']}-{f['topic']}")
async def test_ladder_when_a_fault_hits_its_message_then_each_order_ends_as_the_venue_says(
    tmp_path: Path, fault: dict[str, object]
):
    scale = 1.0 if fault["kind"] == "halved_limits" else 10.0
    async with (
        simulator(SYMBOLS, rate_scale=scale) as running,
        trading(_settings(running, tmp_path)) as trader,
    ):
        summary = trader.engine.summary
        await until(lambda: summary().orders_live == RUNGS, "a ladder")
        await strike(running, **fault)
        await until(lambda: any(f["hit"] for f in running.faults.report()), "the fault hit")
        placed = summary().orders_placed
        await until(lambda: summary().orders_placed >= placed + RUNGS, "ladders go on")
        await _settle(trader)
        assert await struck(running) > 0
        booked = await _compare(trader, running, tmp_path)
        lost = summary().orders_placed - booked
        is_lost = fault["kind"] in ("halved_limits", "cut_before_booking")
        is_lost = is_lost and "create" in str(fault["topic"])
        assert is_lost is (lost > 0)
    assert "" == Replay(tmp_path / "session").run().difference
