"""A run under a virtual clock: one seed, one hash, and a ledger that balances."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.simulator.oracle import ClientBook
from tickwright.core.errors import ConfigError
from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.simulator.book import VenueBook
from tickwright.simulator.faults import FaultSpec, fault_specs
from tickwright.simulator.instruments import VenueInstrument
from tickwright.simulator.run import SimulatorOptions
from tickwright.simulator.virtual import (
    CROWD_ACCOUNTS_MAX,
    ORDERS_PER_S_MAX,
    SECONDS_MAX,
    START_NS,
    VirtualOptions,
    VirtualReport,
    VirtualRun,
)

BOTH = (Category.LINEAR, Category.SPOT)
SCRIPT = """
import sys
from tests.unit.simulator.test_virtual import report_of
print(report_of(seconds=20.0, orders_per_s=10.0).hash)
"""


def run_of(
    *,
    seed: int = 7,
    seconds: float = 20.0,
    orders_per_s: float = 10.0,
    faults: tuple[FaultSpec, ...] = (),
) -> VirtualRun:
    options = SimulatorOptions(symbols=2, categories=BOTH, seed=seed, fault_specs=faults)
    return VirtualRun(options, VirtualOptions(seconds=seconds, orders_per_s=orders_per_s))


def report_of(*, seed: int = 7, seconds: float = 20.0, orders_per_s: float = 10.0) -> VirtualReport:
    return run_of(seed=seed, seconds=seconds, orders_per_s=orders_per_s).run()


def in_another_process(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_run_when_repeated_in_any_process_then_has_one_hash():
    here = report_of()
    assert report_of().hash == here.hash
    assert [here.hash, here.hash] == [in_another_process("1"), in_another_process("4242")]


def test_run_when_seed_or_orders_differ_then_the_hash_does():
    hashes = {
        report_of().hash,
        report_of(seed=8).hash,
        report_of(orders_per_s=0.0).hash,
        report_of(seconds=19.0).hash,
    }
    assert 4 == len(hashes)


def test_run_when_the_clock_moves_in_other_steps_then_says_the_same():
    said: list[list[bytes]] = []
    for step_ns in (1_000_000_000, 7_000_000, 333_333_333):
        run = run_of(seconds=5.0)
        while run.whole.now_ns < START_NS + 5_000_000_000:
            run.whole.advance(min(run.whole.now_ns + step_ns, START_NS + 5_000_000_000))
        said.append(list(run._made))
    assert len(said[0]) > 500
    assert said[0] == said[1] == said[2]


def test_run_when_it_has_ended_then_its_figures_are_whole_and_the_ledger_balances():
    run = run_of(seconds=60.0)
    done: list[float] = []
    report = run.run(done.append)

    assert [float(second) for second in range(1, 61)] == done
    assert (60.0, 4, 7) == (report.virtual_s, report.symbols, report.seed)
    assert report.frames > 4 * 60
    assert report.requests > 400
    assert report.requests == report.answers + report.lost
    assert report.executions > 100
    assert 0 < report.refused < report.requests
    assert report.messages > report.executions
    assert report.is_balanced, report.ledger_faults
    # Every account traded, and the money of a run is what was paid in: nothing else came or went.
    desk = run.whole.desk
    assert all(store.executions for store in desk.stores.values())
    for market in run.whole.venue.markets.values():
        bid, ask = market.book.best()
        assert bid is not None and ask is not None and bid[0] < ask[0]


def test_crowd_when_it_trades_then_sends_every_kind_of_order():
    run = run_of(seconds=240.0)
    run.run()
    kinds: set[str | tuple[str, str]] = set()
    for store in run.whole.desk.stores.values():
        for order in [*store.live.values(), *store.finals()]:
            kinds.add((order.category.value, order.order_type))
            kinds.add(order.time_in_force)
            kinds |= {"reduce"} if order.reduce_only else set()
            kinds |= {"conditional"} if order.is_conditional else set()
            kinds.add(order.create_type)
            kinds.add(order.status)
    wanted: set[str | tuple[str, str]] = {
        (category.value, kind) for category in BOTH for kind in ("Limit", "Market")
    }
    wanted |= {"GTC", "IOC", "FOK", "PostOnly", "reduce", "conditional", "CreateByUser"}
    wanted |= {"CreateByStopLoss", "New", "Filled", "Cancelled", "Untriggered"}
    assert set() == wanted - kinds


def test_books_when_rebuilt_from_frames_then_are_the_venues_at_every_frame():
    run = run_of(orders_per_s=40.0)
    compared = own = 0
    for (category, symbol), market in run.whole.venue.markets.items():
        kept, book, instrument = ClientBook(), market.book, market.instrument

        def compare(
            payload: bytes,
            kept: ClientBook = kept,
            book: VenueBook = book,
            instrument: VenueInstrument = instrument,
        ) -> None:
            nonlocal compared, own
            kept.apply(json.loads(payload))
            price, size = instrument.price_text, instrument.size_text
            shown = tuple(
                [[price[at], size[units]] for at, units in book.levels(side, 50)]
                for side in (Side.BUY, Side.SELL)
            )
            assert shown == kept.levels()
            compared += 1
            own += bool(book.bids.own or book.asks.own)

        run.whole.public(category, compare).subscribe(f"orderbook.50.{symbol}")
    run.run()
    assert compared > 500
    assert own > 100


PLAN = fault_specs(
    [
        {"kind": "reply_dropped", "topic": "order.create", "probability": 0.1, "count": 0},
        {"kind": "cut_before_booking", "topic": "process.*", "probability": 0.05, "count": 0},
        {"kind": "cut_after_booking", "probability": 0.05, "count": 0},
        {"kind": "reply_delayed", "probability": 0.05, "count": 0, "delay_s": 0.4},
        {"kind": "reply_error", "probability": 0.05, "count": 0},
        {"kind": "duplicate_event", "probability": 0.1, "count": 0},
        {"kind": "reorder_event", "probability": 0.1, "count": 0},
        {"kind": "topic_outage", "topic": "wallet", "count": 5},
        {"kind": "halved_limits", "probability": 0.2, "count": 0},
        {"kind": "lagging_rest", "probability": 0.5, "count": 0, "delay_s": 5.0},
        {"kind": "maintenance", "at_s": 30.0, "count": 3},
        {"kind": "clock", "offset_s": 0.7, "count": 0},
        {"kind": "gap", "topic": "orderbook.*", "count": 5},
        {"kind": "duplicate", "topic": "orderbook.*", "count": 5},
        {"kind": "reorder", "topic": "orderbook.*", "count": 5},
        {"kind": "restart", "topic": "orderbook.*", "count": 2},
        {"kind": "truncated", "topic": "tickers.*", "count": 5},
    ],
    "test",
)


def test_faults_when_planned_then_hit_in_process_and_the_ledger_balances():
    run = run_of(seconds=60.0, faults=tuple(PLAN))
    report = run.run()

    assert [] == [fault.kind for fault in report.faults if not fault.hit]
    assert report.lost > 10
    # A late answer may still be on its way.
    assert 0 <= report.requests - report.answers - report.lost <= 5
    assert report.is_balanced, report.ledger_faults
    again = run_of(seconds=60.0, faults=tuple(PLAN)).run()
    assert (report.hash, report.faults) == (again.hash, again.faults)
    assert report.hash != report_of(seconds=60.0).hash


def test_market_when_frames_are_faulted_then_goes_its_own_way():
    damaged = run_of(seconds=10.0, orders_per_s=0.0, faults=tuple(PLAN))
    plain = run_of(seconds=10.0, orders_per_s=0.0)
    damaged.run()
    plain.run()
    for one, other in zip(
        damaged.whole.venue.markets.values(), plain.whole.venue.markets.values(), strict=True
    ):
        assert one.book.best() == other.book.best()
        assert one.book.seq == other.book.seq
        assert list(one.tape) == list(other.tape)


@pytest.mark.parametrize(
    ("options", "virtual", "words"),
    [
        ({}, {"seconds": 0.0}, "seconds must be above 0"),
        ({}, {"seconds": SECONDS_MAX + 1.0}, "seconds must be above 0"),
        ({}, {"seconds": 1.0, "orders_per_s": -1.0}, "orders a second"),
        ({}, {"seconds": 1.0, "orders_per_s": ORDERS_PER_S_MAX + 1}, "orders a second"),
        ({"rate": 100.0}, {"seconds": 1.0}, "for sockets"),
    ],
)
def test_run_when_its_options_cannot_be_then_is_refused(
    options: dict[str, float], virtual: dict[str, float], words: str
):
    with pytest.raises(ConfigError, match=words):
        VirtualRun(SimulatorOptions(symbols=1, **options), VirtualOptions(**virtual))  # type: ignore[arg-type]


def test_crowd_when_it_is_to_send_much_then_has_more_accounts_up_to_a_bound():
    few = VirtualRun(SimulatorOptions(symbols=1), VirtualOptions(seconds=1.0))
    many = VirtualRun(
        SimulatorOptions(symbols=1), VirtualOptions(seconds=1.0, orders_per_s=ORDERS_PER_S_MAX)
    )
    assert 5 == len(few.whole.accounts.keys)
    assert CROWD_ACCOUNTS_MAX == len(many.whole.accounts.keys)
