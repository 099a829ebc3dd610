"""A trader killed in the midst of a work: the next one buys the rest, and not a lot more.

The venue's ledger is the judge: what its executions sum to is the size asked for, no order is there
twice, and the sessions of both lives are repeated hash for hash.
"""

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.app.test_works import (
    BTC,
    LIVELY,
    SYMBOLS,
    FollowWorker,
    Heard,
    TwapWorker,
    Worker,
    rows_of,
    working,
)
from tests.integration.app.trading import simulator, trading, until
from tickwright.app.explain import explain_from_session
from tickwright.app.replay import Replay
from tickwright.app.trader_settings import TraderSettings
from tickwright.book.order_book import OrderBook
from tickwright.core.orders import Fill, Order, OrderState, Side
from tickwright.core.signals import Decision
from tickwright.core.work import Algorithm, FollowTouch, Twap, Work, WorkState
from tickwright.simulator.private.control import ledger_report
from tickwright.simulator.run import RunningSimulator
from tickwright.strategy.parameters import StrategyParameters

SIZE = 30
SECONDS_MAX = 40.0
_CONTEXT = multiprocessing.get_context("forkserver")


class Addresses(msgspec.Struct, frozen=True):
    """Where the venue is, for a process that can't hold the venue itself."""

    rest: str
    public: str
    private: str
    trade: str


class OnceParameters(StrategyParameters, frozen=True):
    """In which life it is: the first begins a work and dies in its midst, the next looks on."""

    begins: bool = True


class Once(Worker):
    """Works one size, once; after a restart it only looks on."""

    Parameters = OnceParameters
    parameters: OnceParameters

    def on_book(self, book: OrderBook) -> Decision:
        now_ns = self.context.now_ns
        if not self.parameters.begins or now_ns < self.again_ns or not book.is_synced:
            return None
        self.again_ns = now_ns + 100_000_000
        algorithm = self.algorithm(book, Side.BUY)
        return self.context.work(BTC, Side.BUY, SIZE, algorithm, reason="once")

    def on_work(self, work: Work) -> Decision:
        self.again_ns = 2**63
        return None

    def die(self) -> None:
        if self.parameters.begins:
            os.kill(os.getpid(), signal.SIGKILL)


class OnceTwap(Once, TwapWorker):
    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        return Twap(duration_ms=1_500, slices=6, randomise_fraction=0.5, slippage_bps_max=50.0)

    def on_fill(self, fill: Fill) -> Decision:
        # Not in the first slice: what the earlier ones got must count.
        if self.context.works()[0].filled_units > SIZE // 6:
            self.die()
        return None


class OnceFollow(Once, FollowWorker):
    def algorithm(self, book: OrderBook, side: Side) -> Algorithm:
        return FollowTouch(amend_ms_min=50, give_up_ms=60_000, chase_bps_max=100.0)

    def on_order(self, order: Order) -> Decision:
        if order.state is OrderState.WORKING:
            self.die()
        return None


KINDS: dict[str, type[Once]] = {
    "twap": OnceTwap,
    "follow": OnceFollow,
}


def settings(
    at: Addresses | RunningSimulator, folder: Path, name: str, session: str, *, begins: bool
) -> TraderSettings:
    made = working(at, folder, "twap")  # type: ignore[arg-type]
    source = f"{Path(__file__).resolve()}:{KINDS[name].__name__}"
    strategy = msgspec.structs.replace(
        made.plan.strategies[0], source=source, parameters={"begins": begins}
    )
    return msgspec.structs.replace(
        made,
        plan=msgspec.structs.replace(made.plan, strategies=(strategy,)),
        classes={source: KINDS[name]},
        session_folder=folder / session,
    )


def live(at: Addresses, folder: str, name: str) -> None:
    """Trade until killed; the target of a process."""

    async def trade() -> None:
        async with trading(settings(at, Path(folder), name, "first", begins=True)):
            await asyncio.sleep(SECONDS_MAX)

    asyncio.run(trade())


def ledger(running: RunningSimulator) -> dict[str, Any]:
    """The account in the venue's ledger, without asking over a socket."""
    return dict(ledger_report(running.whole.desk)["accounts"][0])


def bought(running: RunningSimulator) -> Decimal:
    return sum((Decimal(row["execQty"]) for row in ledger(running)["executions"]), Decimal(0))


@pytest.mark.parametrize("name", KINDS)
async def test_work_when_its_trader_is_killed_then_the_next_one_buys_exactly_the_rest(
    tmp_path: Path, name: str
) -> None:
    async with simulator(SYMBOLS, style=LIVELY) as running:
        at = Addresses(running.rest, running.public, running.private, running.trade)
        process = _CONTEXT.Process(target=live, args=(at, str(tmp_path), name), daemon=True)
        process.start()
        await asyncio.to_thread(process.join, SECONDS_MAX)
        assert -signal.SIGKILL == process.exitcode
        before = bought(running)
        heard = Heard()
        wanted = settings(running, tmp_path, name, "second", begins=False)
        async with trading(wanted, on_notice=heard) as trader:
            await until(lambda: bool(heard.ended()), "the work ended", SECONDS_MAX)
            (work,) = heard.ended()
            assert (WorkState.DONE, SIZE, "") == (work.state, work.filled_units, work.reason)
            step = trader.engine.state.instrument(BTC)
            assert step.quantity(SIZE) == bought(running)
            assert name != "twap" or 0 < before < step.quantity(SIZE)
            orders = rows_of(ledger(running))
            assert {1} == set(Counter(row["orderLinkId"] for row in orders).values())
            assert (
                SIZE
                == trader.engine.state.portfolio.position(
                    trader.settings.accounts[0].account_id, BTC
                ).size_units
            )
    for session in ("first", "second"):
        assert "" == Replay(tmp_path / session).run().difference
    if name == "twap":
        # Sent by the second life, for the work of the first.
        child = max(row["orderLinkId"] for row in orders)
        told = explain_from_session(child, tmp_path / "second")
        (asked,) = [line.text for line in told.lines if line.kind == "command"]
        assert f" of work {work.work_id} (twap, 0.0" in asked
        assert any(line.kind == "work" and " done, 0.030 " in line.text for line in told.lines)
