"""Owns our row with everything on: engine, risk gate, journal, session log, order socket.

``python -m tickwright.bench.trading ours-trading --url URL --tape FOLDER --rest URL --private URL``
runs a whole trading process. Books come from a paced sender, the account from a quiet simulator; a
strategy sends an immediate order at the touch every so many updates, and each order's bytes are
counted from when the frame that caused it was due. The orders are never answered, which costs the
trader nothing until they are overdue; what it does with answers is not measured here.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import resource
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tickwright.app.config_model import HistoryConfig
from tickwright.app.history_open import attach_history
from tickwright.app.history_tap import HistoryTap
from tickwright.app.redis_tap import attach_mirror
from tickwright.app.trader import Trader
from tickwright.app.trader_settings import (
    AccountSettings,
    FeedSettings,
    TraderSettings,
    VenueSettings,
)
from tickwright.bench.client import WARM_UP_FRAMES, fetch_plan
from tickwright.bench.figures import latency_us
from tickwright.bench.machine import pin
from tickwright.bench.ours import tops_of
from tickwright.bench.senders import Plan
from tickwright.bench.tape import Tape, load_tape
from tickwright.book.order_book import LatencyHistogram, OrderBook
from tickwright.core.commands import Notice, SignalNotice
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId
from tickwright.core.orders import OrderIntent, Side, TimeInForce
from tickwright.core.verdicts import Rejected
from tickwright.engine.config import EngineConfig
from tickwright.engine.plan import StrategyPlan, TradingPlan
from tickwright.execution.config import ExecutionConfig
from tickwright.execution.request_budget import BudgetLimits
from tickwright.feed.feed import FeedOptions
from tickwright.net.listener import utc_now_ns
from tickwright.net.loop import make_loop_factory
from tickwright.risk.limits import RiskLimits
from tickwright.risk.protections_config import ProtectionLimits
from tickwright.simulator.private.accounts import DEMO_KEY, DEMO_SECRET
from tickwright.storage.redis_address import parse_redis_url
from tickwright.storage.redis_mirror import MirrorOptions
from tickwright.strategy.base import Strategy
from tickwright.venues.bybit.hosts import Hosts
from tickwright.venues.bybit.sign import Credentials, Secret

__all__ = [
    "STRATEGY_ID",
    "FedTrader",
    "OrderingStrategy",
    "bench_settings",
    "main",
    "sender_settings",
]

_ACCOUNT: Final = AccountId("bybit", "bench")
STRATEGY_ID: Final = StrategyId("bench")
_SOURCE: Final = "bench"
_WAIT_S_MAX: Final = 60.0
_LOOK_S: Final = 0.02
_SETTLE_S: Final = 0.3
_DRAIN_S_MAX: Final = 20.0
_NOTIONAL_MAX: Final = 100.0
_NEVER_MS: Final = 86_400_000
#: The account must be read whole before the first frame, or its first orders would be refused.
_START_DELAY_MS: Final = 1_500


class OrderingStrategy(Strategy):
    """Notes when each update came and sends an order at the touch every so many of them.

    ``prepare`` comes before the first update.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first_ns = 0
        self.first_cpu_ns = 0
        self._every = 0
        self.times = array("q")
        self.update_ids = array("q")
        self._sizes: dict[InstrumentId, int] = {}

    def prepare(self, capacity: int, every: int) -> None:
        """Make room for the notes of a run; 0 sends no orders."""
        self._every = every
        self.times = array("q", bytes(8 * capacity))
        self.update_ids = array("q", bytes(8 * capacity))

    def on_book(self, book: OrderBook) -> OrderIntent | None:
        """Note the time at entry; now and then want an order."""
        now = time.monotonic_ns()
        count = self.count
        self.times[count] = now
        self.update_ids[count] = book.update_id
        self.count = count + 1
        if not count:
            self.first_ns = now
            self.first_cpu_ns = time.process_time_ns()
        if not self._every or count < WARM_UP_FRAMES or count % self._every:
            return None
        return self._order(book, is_buy=count // self._every % 2 == 0)

    def _order(self, book: OrderBook, *, is_buy: bool) -> OrderIntent | None:
        instrument = book.instrument
        touch = book.best_ask if is_buy else book.best_bid
        assert touch is not None
        size = self._sizes.get(book.instrument_id)
        if size is None:
            price = float(instrument.price(touch))
            wanted = max(float(instrument.notional_min) * 1.2 / price, 0.0)
            lots = -(-int(wanted * 10**instrument.size_decimals + 1) // instrument.lot_units)
            size = max(lots * instrument.lot_units, instrument.size_min_units)
            if float(instrument.quantity(size)) * price > _NOTIONAL_MAX:
                size = 0
            self._sizes[book.instrument_id] = size
        if not size:
            return None
        tick = instrument.tick_units
        return OrderIntent(
            instrument_id=book.instrument_id,
            side=Side.BUY if is_buy else Side.SELL,
            size_units=size,
            price_units=-(-touch // tick) * tick if is_buy else touch // tick * tick,
            time_in_force=TimeInForce.IOC,
            reason=str(book.update_id),
        )


def bench_settings(
    hosts: Hosts,
    feed: FeedOptions,
    symbols: Sequence[str],
    strategy: type[Strategy],
    folder: Path,
    *,
    has_log: bool,
) -> TraderSettings:
    """Return a trader whose limits let a bench's orders through, each still checked by all."""
    category = feed.category
    most = Decimal(10_000)
    account = f"{_ACCOUNT.venue}:{_ACCOUNT.name}"
    plan = TradingPlan(
        engine=EngineConfig(
            risk=RiskLimits(
                position_percent_max=most,
                exposure_percent_max=most,
                leverage_max=Decimal(100),
                open_orders_per_instrument_max=1_000,
                orders_per_second_max=10_000,
                orders_per_minute_max=100_000,
                deny_conflicting_position=False,
                protections=ProtectionLimits(order_storm_max=10_000),
            ),
            execution=ExecutionConfig(
                answer_timeout_ms=_NEVER_MS, budget=BudgetLimits(limit=100_000)
            ),
        ),
        accounts=(account,),
        strategies=(
            StrategyPlan(
                strategy_id=STRATEGY_ID,
                source=_SOURCE,
                account=account,
                instruments=tuple(f"{feed.venue}:{category.value}:{name}" for name in symbols),
            ),
        ),
    )
    return TraderSettings(
        plan=plan,
        classes={_SOURCE: strategy},
        venues=(VenueSettings(name=feed.venue, hosts=hosts, mode="simulator"),),
        feeds=(FeedSettings(options=feed, symbols=tuple(symbols)),),
        accounts=(
            AccountSettings(
                account_id=_ACCOUNT,
                credentials=Credentials(DEMO_KEY, Secret(DEMO_SECRET)),
                categories=(category,),
            ),
        ),
        state_folder=folder,
        session_folder=folder / "session" if has_log else None,
    )


def sender_settings(
    url: str, rest: str, private: str, tape: Tape, folder: Path, *, has_log: bool
) -> TraderSettings:
    """Return a trader whose books come from the sender at a URL and whose account is elsewhere."""
    place = urlsplit(url)
    # One name on both sockets: the sender must not take an earlier trader's for this one's.
    name = f"trade={os.getpid()}"
    hosts = Hosts(
        rest=rest,
        public=f"{url}/{name}/delay_ms={_START_DELAY_MS}",
        private=private,
        trade=f"{place.scheme}://{place.netloc}/trade/{name}",
    )
    # No companions and no audits: the sender answers subscriptions before a run only, and its books
    # are not the simulator's.
    feed = FeedOptions(
        venue="bybit",
        category=Category(tape.category),
        depth=tape.depth,
        capacity=tape.depth,
        has_companion=False,
        audit_interval_s=0.0,
        instruments_interval_s=0.0,
    )
    symbols = [instrument.symbol for instrument in tape.instruments]
    return bench_settings(hosts, feed, symbols, OrderingStrategy, folder, has_log=has_log)


class FedTrader:
    """A whole trader on a sender's frames: `start`, then attach what it should also do, then `run`.

    `history` hears of its notices and runs with it.
    """

    def __init__(self, settings: TraderSettings) -> None:
        self.refusals: Counter[str] = Counter()
        self.history: HistoryTap | None = None
        self.trader = Trader(settings, on_notice=self._on_notice)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, updates: int, orders_every: int) -> OrderingStrategy:
        """Start; return its strategy, with room for the notes of so many updates."""
        await self.trader.start()
        strategy = self.trader.engine.state.runs[STRATEGY_ID].strategy
        assert isinstance(strategy, OrderingStrategy)
        strategy.prepare(updates, orders_every)
        return strategy

    async def run(self, wait_s_max: float, on_look: Callable[[], None] = lambda: None) -> None:
        """Trade until the sender closes; looks 50 times a second, `on_look` with it."""
        running = asyncio.create_task(self.trader.run())
        self._tasks = [running]
        if self.history is not None:
            self._tasks.append(asyncio.create_task(self.history.run()))
        connection = self.trader.feeds[0].connections[0]
        deadline = time.monotonic() + wait_s_max
        # Looking now and then, because nothing in a trader calls out when a connection is lost.
        while not connection.counts.drops and not running.done() and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_S)
            on_look()

    async def stop(self) -> None:
        """End at once: an orderly end would wait for answers that nobody gives."""
        await self.trader.feeds[0].stop()
        await self.trader.links[_ACCOUNT].stop()
        # The history last: while it brings its rows home, a feed would dial the sender again.
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.history is not None:
            await self.history.aclose()

    def _on_notice(self, notice: Notice) -> None:
        if self.history is not None:
            self.history.on_notice(notice)
        if isinstance(notice, SignalNotice) and isinstance(notice.verdict, Rejected):
            self.refusals[str(notice.verdict.reason)] += 1


async def _trade(options: argparse.Namespace, tape: Tape, folder: Path) -> dict[str, Any]:
    """Run a trader until the sender closes; return its figures but for latencies."""
    settings = sender_settings(
        options.url, options.rest, options.private, tape, folder, has_log=not options.no_log
    )
    fed = FedTrader(settings)
    trader = fed.trader
    strategy = await fed.start(len(tape.frames), options.orders_every)
    if options.history:
        fed.history = attach_history(trader, options.history, HistoryConfig())
    mirror = None
    if options.redis:
        mirror = attach_mirror(
            trader, parse_redis_url(options.redis), MirrorOptions(), random=Random(1)
        )
    gc.collect()
    gc.freeze()
    mirroring = asyncio.create_task(mirror.run()) if mirror is not None else None
    await fed.run(_WAIT_S_MAX)
    ended_ns, ended_cpu_ns = time.monotonic_ns(), time.process_time_ns()
    await asyncio.sleep(_SETTLE_S)
    if mirror is not None and mirroring is not None:
        deadline = time.monotonic() + _DRAIN_S_MAX
        # A Redis that shares the cores is behind by now; what waits is no loss.
        while mirror.trades_waiting and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        mirroring.cancel()
        await mirror.aclose()
    await fed.stop()
    trader.take_notices()
    books = [book for book in trader.feeds[0].books if book is not None]
    frames = sum(session.book_frame_count for session in trader.feeds[0].sessions)
    trades = sum(session.trade_count for session in trader.feeds[0].sessions)
    seconds = (ended_ns - strategy.first_ns) / 1e9
    cpu_seconds = (ended_cpu_ns - strategy.first_cpu_ns) / 1e9
    state = trader.engine.state
    sent = {
        int(record.order.intent.reason): record.create.sent_ns
        for record in (*state.blotter.live(), *state.blotter.finals())
        if record.order.strategy_id == STRATEGY_ID
    }
    halt = state.runs[STRATEGY_ID].halt_reason
    figures = {
        "name": "ours-trading",
        "loop": options.loop,
        "messages": frames + trades,
        "updates": strategy.count,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "cpu_share": cpu_seconds / seconds,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "tops": {symbol: list(top) for symbol, top in sorted(tops_of(books).items())},
        "orders": len(sent),
        "sent_by_socket": trader.links[_ACCOUNT].counts.sent_by_socket,
        "refusals": dict(fed.refusals),
        "halt_reason": halt,
        "tick_to_order_us": _inside(trader.door.tick_to_order),
        "is_synced": trader.links[_ACCOUNT].is_synced,
        "gaps": sum(book.gap_count for book in books),
    }
    if fed.history is not None:
        figures["history"] = msgspec.to_builtins(fed.history.report())
    if mirror is not None:
        figures["mirror"] = msgspec.to_builtins(mirror.report())
    figures |= _latencies(strategy, sent, tape, fetch_plan(options.url))
    await trader.close()
    return figures


def _inside(histogram: LatencyHistogram) -> dict[str, float]:
    """Return read of the frame to the order's bytes, as the trader itself measures it."""
    return {
        name: (histogram.percentile_ns(part) or 0) / 1e3
        for name, part in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
    }


def _latencies(
    strategy: OrderingStrategy, sent: dict[int, int], tape: Tape, plan: Plan
) -> dict[str, Any]:
    """Return due to strategy, and due to the order's bytes handed to the socket."""
    places = tape.places_of_updates()
    # The production clock is the monotonic one plus an anchor that never changes.
    anchor_ns = min(utc_now_ns() - time.monotonic_ns() for _ in range(100))
    calls, orders = [], []
    for at, update_id in zip(strategy.times[: strategy.count], strategy.update_ids, strict=False):
        place = places[update_id]
        if place >= WARM_UP_FRAMES:
            calls.append(at - plan.due_ns(place))
    for update_id, sent_ns in sent.items():
        orders.append(sent_ns - anchor_ns - plan.due_ns(places[update_id]))
    return {
        "latency_us": latency_us(calls),
        "order_us": latency_us(orders) if orders else {},
        "rate": plan.rate,
        "send_shape": plan.send_shape,
        "sender_late_us": {"p99": plan.late_us_p99, "max": plan.late_us_max},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one whole trading process against a sender and print its report."""
    parser = argparse.ArgumentParser(prog="tickwright.bench.trading")
    parser.add_argument("name", choices=("ours-trading",))
    parser.add_argument("--url", required=True)
    parser.add_argument("--rest", required=True)
    parser.add_argument("--private", required=True)
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    parser.add_argument("--orders-every", type=int, default=200)
    parser.add_argument("--no-log", action="store_true", help="write no session log")
    parser.add_argument("--history", metavar="DSN", help="write the history there while trading")
    parser.add_argument("--redis", metavar="URL", help="mirror there while trading")
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    pin(options.cpu)
    tape = load_tape(options.tape)
    factory = make_loop_factory(wants_uvloop=options.loop == "uvloop")
    with (
        tempfile.TemporaryDirectory(prefix="tickwright-trader-") as folder,
        asyncio.Runner(loop_factory=factory) as runner,
    ):
        figures = runner.run(_trade(options, tape, Path(folder)))
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
