"""The account is compared with the venue while trading; a difference that stands halts."""

from typing import Any

from tests.unit.engine.bench import ACCOUNT, BTC, MS, Bench, long
from tickwright.core.events import Reconciliation, SyncReport
from tickwright.core.orders import ExecutionKind, Fill, Side


def read(bench: Bench, *positions: int, fills: tuple[Fill, ...] = (), **changes: Any) -> None:
    bench.now_ns += 2_500 * MS
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "orders": (),
        "positions": tuple(bench.position_report(size) for size in positions),
        "balances": (),
        "fills": fills,
        "venue_ns": bench.now_ns,
    }
    bench.handle(Reconciliation(SyncReport(**{**values, **changes})))


def holding() -> Bench:
    bench = Bench()
    bench.say(long())
    bench.execute(bench.placed())
    return bench


def halted(bench: Bench) -> dict[str, str]:
    return bench.engine.summary().halted_instruments


def test_reconciliation_when_equal_then_nothing_happens():
    bench = holding()
    for _ in range(3):
        read(bench, bench.net())
    assert {} == halted(bench)


def test_reconciliation_when_different_twice_then_halted_and_the_venue_wins():
    bench = holding()
    ours = bench.net()
    read(bench, ours + 3)
    assert {} == halted(bench)
    read(bench, ours + 3)
    (reason,) = halted(bench).values()
    assert "at the venue" in reason and "read twice" in reason
    assert ours + 3 == bench.net()
    assert ours == bench.share()


def test_reconciliation_when_the_venue_is_flat_then_that_is_a_difference_too():
    bench = holding()
    read(bench)
    read(bench)
    assert 1 == len(halted(bench))
    assert 0 == bench.net() == bench.share()


def test_reconciliation_when_a_missed_execution_explains_it_then_folded_and_no_halt():
    bench = holding()
    ours = bench.net()
    missed = Fill(
        account_id=ACCOUNT,
        instrument_id=BTC,
        execution_id="missed",
        kind=ExecutionKind.TRADE,
        side=Side.BUY,
        price_units=600_000,
        size_units=2,
        fee=0,
        fee_asset="USDT",
        is_maker=False,
        venue_ns=bench.now_ns,
        received_ns=bench.now_ns,
        client_id=None,
        venue_id=None,
    )
    for _ in range(3):
        read(bench, ours + 2, fills=(missed,))
    assert {} == halted(bench)
    assert ours + 2 == bench.net()


def test_reconciliation_when_an_order_is_missing_there_then_it_is_asked_about():
    bench = Bench()
    bench.say(long())
    order = bench.placed()
    bench.ack(order)
    read(bench)
    assert [order.client_id] == [query.client_id for query in bench.queries()]


def test_reconciliation_when_the_account_is_not_ready_then_it_waits():
    bench = Bench(is_synced=False)
    for _ in range(3):
        read(bench, 50)
    assert {} == halted(bench)
    assert 0 == bench.net()
