"""The tap of a live history: blocks by offset, its bounds, and what may not stop a trade."""

from typing import Any

import msgspec
import pytest

from tests.unit.engine.bench import ACCOUNT, BTC, Bench
from tickwright.app.history_rows import EngineRows
from tickwright.app.history_tap import HistoryTap
from tickwright.core.events import Trade
from tickwright.core.identity import Category, InstrumentId
from tickwright.core.orders import ExecutionKind, Fill, Side
from tickwright.storage.history.rows import TRADE, BookRow, ExecutionRow
from tickwright.storage.history.wire import Block, Hello, decode_rows

DSN = "postgresql://me:canary@nowhere/x"


class House:
    """An engine, its rows and a tap whose process never starts."""

    def __init__(self, **options: Any) -> None:
        self.bench = Bench()
        self.rows = EngineRows(self.bench.engine, self.bench.books.values, **options)
        self.tap = HistoryTap(
            Hello("s", DSN, "nowhere", 1),
            self.rows,
            event_id=lambda: self.bench.engine.event_id,
            dropped_notices=lambda: self.bench.engine.state.outbox.dropped_notices,
            take_notices=lambda: None,
        )
        self.trade_count = 0

    def take(self, event: Any) -> None:
        self.bench.handle(event)
        self.rows.on_input(event)

    def trade(self, count: int = 1, **changes: Any) -> None:
        for _ in range(count):
            self.trade_count += 1
            values: dict[str, Any] = {
                "instrument_id": BTC, "side": Side.BUY, "price_units": 600_000, "size_units": 1,
                "trade_id": f"t{self.trade_count}", "venue_ns": 5, "received_ns": 6,
            }  # fmt: skip
            self.take(Trade(**{**values, **changes}))

    def fill(self, name: str) -> None:
        fill = Fill(
            account_id=ACCOUNT, execution_id=name, instrument_id=BTC, kind=ExecutionKind.TRADE,
            side=Side.BUY, price_units=600_000, size_units=1, fee=0, fee_asset="USDT",
            is_maker=False, venue_ns=1, received_ns=1,
        )  # fmt: skip
        self.rows.on_input(fill)

    @property
    def blocks(self) -> list[Block]:
        return [kept.block for kept in self.tap._blocks]


def held(block: Block) -> tuple[int, int, int]:
    """Return trades, sampled books and other rows of a block."""
    books, rows = decode_rows(block.books), decode_rows(block.rows)
    assert all(isinstance(row, BookRow) for _, row in books)
    return len(block.trades) // TRADE.size, len(books), len(rows)


def test_blocks_when_sealed_then_follow_each_other_and_hold_all_rows_of_their_offsets():
    house = House()
    house.trade(3)
    house.tap.seal()
    house.tap.seal()
    house.trade(2)
    house.fill("e1")
    house.rows.sample(1_000_000_000 * 5)
    house.tap.seal()
    one, two = house.blocks
    assert (0, one.last) == (one.first, two.first)
    assert two.last == house.bench.engine.event_id
    assert (3, 0, 0) == held(one)
    trades, books, rows = held(two)
    assert (2, 1) == (trades, books)
    assert rows >= 2
    for block in (one, two):
        offsets = [
            TRADE.unpack_from(block.trades, at)[0] for at in range(0, len(block.trades), TRADE.size)
        ]
        offsets += [offset for offset, _ in decode_rows(block.books) + decode_rows(block.rows)]
        assert all(block.first < offset <= block.last for offset in offsets)
    assert ["BTCUSDT"] == [ref.symbol for ref in house.rows.instruments]


def test_tap_when_nobody_takes_its_blocks_then_market_rows_go_first_and_are_counted(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tickwright.app.history_tap.MARKET_BYTES_MAX", 5_000)
    monkeypatch.setattr("tickwright.app.history_tap.BYTES_MAX", 8_000)
    house = House()
    fills = 0
    while not house.tap._untold or fills < 20:
        house.trade(10)
        fills += 1
        house.fill(f"e{fills}")
        house.tap.seal()
        assert house.tap.waiting_bytes <= 8_000
        assert fills < 2_000
    kept = [held(block) for block in house.blocks]
    executions = [row for block in house.blocks for _, row in decode_rows(block.rows)]
    # The last that went was an execution, and no market row was left then.
    assert 0 == sum(trades for trades, _, _ in kept)
    assert [f"e{n}" for n in range(1, len(executions) + 1)] == [
        row.execution_id for row in executions if isinstance(row, ExecutionRow)
    ]
    lost = house.trade_count + fills - len(executions)
    assert lost == house.tap.lost
    assert lost == sum(block.lost for block in house.blocks) + house.tap._untold
    assert [0, *(block.last for block in house.blocks)][:-1] == [
        block.first for block in house.blocks
    ]
    assert not house.tap.report().is_whole


def test_tap_when_its_blocks_are_durable_then_keeps_market_rows_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tickwright.app.history_tap.MARKET_BYTES_MAX", 5_000)
    house = House()
    while house.rows.has_market:
        house.trade(10)
        house.tap.seal()
    house.trade(7)
    house.tap.seal()
    assert (7, 7) == (house.tap.lost, house.blocks[-1].lost)
    state = msgspec.structs.replace(house.tap.state, acked=house.blocks[-1].number, is_up=True)
    house.tap._hold_less(state)
    assert 0 == house.tap.waiting_bytes
    house.trade(1)
    house.tap.seal()
    house.trade(4)
    house.tap.seal()
    assert (4, 0, 0) == held(house.blocks[-1])
    # One more was lost before the tap noticed that there is room.
    assert 8 == house.tap.lost


def test_trade_when_no_row_can_hold_it_then_nothing_is_raised_and_it_is_counted():
    house = House()
    house.trade(sequence=2**63)
    house.rows.on_input(
        Trade(InstrumentId("bybit", Category.LINEAR, "NEWUSDT"), Side.BUY, 1, 1, "t", 1, 1)
    )
    house.trade(trade_id="é" * 60)
    assert 2 == house.rows.unknown
    assert 1 == house.rows.count


def test_row_when_no_message_can_hold_it_then_the_others_go_and_it_is_counted():
    house = House()
    house.fill("e1")
    house.fill("\ud800")
    house.fill("e2")
    house.tap.seal()
    names = [row.execution_id for _, row in decode_rows(house.blocks[0].rows)
             if isinstance(row, ExecutionRow)]  # fmt: skip
    assert (["e1", "e2"], 1) == (names, house.rows.unknown)


def test_hello_when_shown_then_holds_no_password():
    assert "canary" not in repr(Hello("s", DSN, "f", 1))
    house = House()
    assert "canary" not in str(house.tap.report())
