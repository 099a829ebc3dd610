"""A live session and its repetitions: the replay differs in nothing, the backtest in luck alone."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.integration.app.trading import ACCOUNT, FlipFlop, settings_for, simulator, trading, until
from tickwright.app.diff import diff_session
from tickwright.app.lake import build_lake, open_lake
from tickwright.backtest.from_lake import tape_from_lake
from tickwright.backtest.latency import LatencySpec
from tickwright.backtest.record import RunRecord
from tickwright.backtest.run import Backtest, BacktestSettings
from tickwright.backtest.tape import MessageKind, Tape
from tickwright.backtest.venue import AccountTerms
from tickwright.core.identity import InstrumentId
from tickwright.engine.plan import TradingPlan
from tickwright.storage.lake.catalogue import Catalogue
from tickwright.storage.lake.rules import read_rules

SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with some fills; each book's last update id stands beside it."""
    folder = tmp_path_factory.mktemp("parity")
    asyncio.run(trade(folder))
    return folder / "session"


async def trade(folder: Path) -> None:
    async with simulator(SYMBOLS) as running:
        settings = settings_for(running, folder, SYMBOLS)
        async with trading(settings) as trader:
            await until(lambda: trader.engine.summary().fills >= 6, "six fills", 60.0)
        tops = {
            str(lane.instrument_id): [lane.book.update_id, lane.book.bids(), lane.book.asks()]
            for lane in trader.engine.state.lanes.values()
        }
    (folder / "tops.json").write_bytes(msgspec.json.encode(tops))


@pytest.fixture(scope="module")
def tape(session: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    folder = tmp_path_factory.mktemp("tape")
    place = str(folder / "lake")
    Path(place).mkdir()
    build_lake([session], place, instrument=None, allows_overlap=False, on_progress=lambda *_: None)
    store = open_lake(place)
    instruments = [read_rules(store, InstrumentId.parse(f"bybit:linear:{s}")) for s in SYMBOLS]
    known = [one for one in instruments if one is not None]
    assert len(known) == len(SYMBOLS)
    return tape_from_lake(Catalogue(store), known, folder / "tape")


def settings_of(session: Path, tape: Tape) -> BacktestSettings:
    header = msgspec.json.decode((session / "header.json").read_bytes())
    plan = TradingPlan.from_builtins(header["config"])
    return BacktestSettings(
        tape=tape.folder,
        plan=plan,
        classes={plan.strategies[0].source: FlipFlop},
        accounts={str(ACCOUNT): AccountTerms(balances=(("USDT", Decimal(10_000)),))},
        orders=LatencySpec(ms=1.0),
        responses=LatencySpec(ms=1.0),
        rate_scale=1.0,
    )


def test_diff_when_nothing_changed_then_finds_nothing(session: Path):
    told = diff_session(session)
    assert told.is_equal, told.differences
    assert told.is_complete
    # Six fills may be of fewer orders.
    assert told.orders_then == told.orders_now > 0
    assert told.requests_then == told.requests_now


def test_diff_when_a_parameter_changed_then_names_input_orders_and_reasons(session: Path):
    header = msgspec.json.decode((session / "header.json").read_bytes())
    plan = TradingPlan.from_builtins(header["config"])
    slower = msgspec.structs.replace(plan.strategies[0], parameters={"every": 26})
    told = diff_session(session, plan=msgspec.structs.replace(plan, strategies=(slower,)))
    assert not told.is_equal
    assert told.first_input > 0
    assert told.missing + told.new + told.changed > 0
    assert all(one.reason for one in told.differences)
    assert len(told.differences) == told.missing + told.new + told.changed


def test_tape_when_made_of_a_session_then_ends_with_the_live_books(session: Path, tape: Tape):
    tops = msgspec.json.decode((session.parent / "tops.json").read_bytes())
    backtest = Backtest(settings_of(session, tape))
    backtest.run()
    compared = 0
    for book in backtest.books:
        update_id, bids, asks = tops[str(book.instrument_id)]
        # The last frames may have come after the log was closed.
        if book.update_id == update_id:
            assert [list(one) for one in book.bids()] == bids
            assert [list(one) for one in book.asks()] == asks
            compared += 1
    assert compared
    kinds = np.bincount(tape.messages["kind"], minlength=8)
    for kind in (MessageKind.DELTA, MessageKind.SNAPSHOT, MessageKind.TRADE, MessageKind.MARK):
        assert kinds[kind] > 0


def run(settings: BacktestSettings) -> RunRecord:
    return Backtest(settings).run()


def test_backtest_when_of_a_session_then_decides_as_the_session_did_until_luck_differs(
    session: Path, tape: Tape
):
    found = run(settings_of(session, tape))
    assert {} == found.halted
    assert len(found.orders) >= 4
    again = run(settings_of(session, tape))
    assert found.digest == again.digest
    other = run(replace(settings_of(session, tape), orders=LatencySpec(ms=400.0)))
    assert found.digest != other.digest
