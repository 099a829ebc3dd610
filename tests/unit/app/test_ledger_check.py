"""The ledger's comparison with the venue: equal, different, unknown."""

from collections.abc import Sequence

import pytest

from tests.unit.engine.bench import ACCOUNT, BTC, ETH, Bench, instrument, long
from tickwright.app import ledger_check
from tickwright.app.ledger_check import LedgerCheck, LedgerWatch
from tickwright.core.errors import ConnectionLost
from tickwright.core.events import AccountState, BalanceReport, PositionReport
from tickwright.core.identity import Category
from tickwright.core.orders import OrderState
from tickwright.core.units import MONEY_ONE

FEE = MONEY_ONE // 4


class Venue:
    """What the venue would answer, in turn: the last answer stays."""

    def __init__(
        self, bench: Bench, *, sizes: Sequence[int], balance: int, faults: int = 0
    ) -> None:
        self._bench = bench
        self._sizes = list(sizes)
        self._balance = balance
        self._faults = faults
        self.asked = 0

    async def positions(self, category: Category) -> Sequence[PositionReport]:
        self.asked += 1
        if self.asked <= self._faults:
            raise ConnectionLost("connection refused")
        size = self._sizes.pop(0) if len(self._sizes) > 1 else self._sizes[0]
        return [self._bench.position_report(size)] if size else []

    async def wallet(self) -> Sequence[BalanceReport | AccountState]:
        return [
            BalanceReport(
                account_id=ACCOUNT,
                asset="USDT",
                wallet_balance=self._balance,
                locked=0,
                venue_ns=self._bench.now_ns,
                received_ns=self._bench.now_ns,
            )
        ]


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger_check, "PAUSE_S", 0.0)


def _traded() -> tuple[Bench, LedgerWatch]:
    """Return a bench that bought 166 units for a fee of a quarter."""
    bench = Bench(instruments=(instrument(), instrument(ETH)))
    watch = LedgerWatch(bench.engine)
    watch.remember()
    bench.say(long())
    order = bench.placed()
    bench.ack(order)
    bench.fill(order, fee=FEE)
    bench.report(order, OrderState.FILLED, filled=order.size_units)
    assert 166 == bench.net(BTC)
    return bench, watch


async def _check(watch: LedgerWatch, venue: Venue) -> LedgerCheck:
    return await watch.check(ACCOUNT, venue, [Category.LINEAR])


async def test_check_when_both_agree_then_equal():
    bench, watch = _traded()
    venue = Venue(bench, sizes=[166], balance=100_000 * MONEY_ONE - FEE)
    found = await _check(watch, venue)
    assert (True, 1, 1, ()) == (found.is_equal, found.positions, found.assets, found.differences)
    assert 1 == venue.asked


async def test_check_when_a_fill_is_on_its_way_then_asked_again():
    bench, watch = _traded()
    venue = Venue(bench, sizes=[100, 100, 166], balance=100_000 * MONEY_ONE - FEE)
    assert (True, 3) == ((await _check(watch, venue)).is_equal, venue.asked)


async def test_check_when_position_differs_then_both_sizes_are_named():
    bench, watch = _traded()
    found = await _check(watch, Venue(bench, sizes=[165], balance=100_000 * MONEY_ONE - FEE))
    assert (False, ("BTCUSDT net: 0.166 here, 0.165 at the venue",)) == (
        found.is_equal,
        found.differences,
    )


async def test_check_when_the_venue_holds_nothing_then_that_differs_too():
    bench, watch = _traded()
    found = await _check(watch, Venue(bench, sizes=[0], balance=100_000 * MONEY_ONE - FEE))
    assert ("BTCUSDT net: 0.166 here, 0.000 at the venue",) == found.differences


async def test_check_when_the_wallet_moved_without_a_fill_then_it_differs_though_reported():
    bench, watch = _traded()
    balance = 100_000 * MONEY_ONE - FEE - MONEY_ONE
    bench.handle(
        BalanceReport(
            account_id=ACCOUNT,
            asset="USDT",
            wallet_balance=balance,
            locked=0,
            venue_ns=bench.now_ns,
            received_ns=bench.now_ns,
        ),
        after_ms=1,
    )
    found = await _check(watch, Venue(bench, sizes=[166], balance=balance))
    assert ("USDT: 99999.75 here, 99998.75 at the venue",) == found.differences


async def test_check_when_the_venue_cannot_be_asked_then_unknown_and_never_equal():
    bench, watch = _traded()
    venue = Venue(bench, sizes=[166], balance=0, faults=100)
    found = await _check(watch, venue)
    assert (None, "connection refused", ledger_check.TRIES_MAX) == (
        found.is_equal,
        found.fault,
        venue.asked,
    )


async def test_check_when_it_answers_at_last_then_that_counts():
    bench, watch = _traded()
    venue = Venue(bench, sizes=[166], balance=100_000 * MONEY_ONE - FEE, faults=2)
    assert (await _check(watch, venue)).is_equal


async def test_check_when_the_account_was_never_ready_then_unknown():
    bench = Bench(is_synced=False)
    watch = LedgerWatch(bench.engine)
    watch.remember()
    found = await _check(watch, Venue(bench, sizes=[0], balance=0))
    assert (None, False) == (found.is_equal, watch.is_complete)
    assert found.fault.startswith("was never ready")
