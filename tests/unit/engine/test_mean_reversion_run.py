"""Mean reversion through the whole engine: in on a fall with bids behind it, out at the mean."""

from tests.unit.engine.bench import ACCOUNT, BTC, CONFIG, MS, START, instrument, venue_id
from tickwright.book import OrderBook
from tickwright.core.commands import PlaceOrder, SignalNotice
from tickwright.core.events import BalanceReport, OrderReport, SyncReport
from tickwright.core.identity import StrategyId
from tickwright.core.orders import ExecutionKind, Fill, OrderState, Purpose, Side
from tickwright.core.units import MONEY_ONE
from tickwright.engine import Engine
from tickwright.strategy.library.mean_reversion import MeanReversion, MeanReversionParameters


class Market:
    """An engine with one mean-reverting strategy on one book, filled at once at its limit."""

    def __init__(self) -> None:
        self.engine = Engine(CONFIG, epoch=1, seed=1, now_ns=START)
        self.now_ns = START
        self.update_id = 0
        self.bench_book = OrderBook(instrument(), capacity=50)
        self.engine.add_account(ACCOUNT)
        self.engine.add_book(3, self.bench_book)
        self.engine.add_strategy(
            StrategyId("mean"),
            MeanReversion(),
            account_id=ACCOUNT,
            instruments=(BTC,),
            parameters=MeanReversionParameters(lookback=20, sampling="by_update"),
        )
        self.engine.start(START)
        balance = BalanceReport(
            account_id=ACCOUNT,
            asset="USDT",
            wallet_balance=100_000 * MONEY_ONE,
            locked=0,
            venue_ns=START,
            received_ns=START,
        )
        report = SyncReport(
            account_id=ACCOUNT,
            orders=(),
            positions=(),
            balances=(balance,),
            fills=(),
            venue_ns=START,
        )
        self.engine.handle(report, START)

    def book(self, bid: int, bid_size: int = 10_000, ask_size: int = 10_000) -> list[PlaceOrder]:
        self.now_ns += 20 * MS
        self.update_id += 1
        self.bench_book.apply_snapshot(
            [(bid - level, bid_size) for level in range(10)],
            [(bid + 1 + level, ask_size) for level in range(10)],
            update_id=self.update_id,
            received_ns=self.now_ns,
        )
        commands = self.engine.on_book(3, self.now_ns)
        return [command for command in commands if isinstance(command, PlaceOrder)]

    def execute(self, order: PlaceOrder, price: int) -> None:
        self.now_ns += MS
        common = {
            "account_id": ACCOUNT,
            "instrument_id": BTC,
            "client_id": order.client_id,
            "venue_id": venue_id(order.client_id),
            "side": order.side,
            "venue_ns": self.now_ns,
            "received_ns": self.now_ns,
        }
        fill = Fill(
            execution_id=f"x{self.update_id}",
            kind=ExecutionKind.TRADE,
            price_units=price,
            size_units=order.size_units,
            fee=0,
            fee_asset="USDT",
            is_maker=False,
            **common,  # type: ignore[arg-type]
        )
        self.engine.handle(fill, self.now_ns)
        report = OrderReport(
            order_type=order.order_type,
            state=OrderState.FILLED,
            price_units=order.price_units,
            size_units=order.size_units,
            filled_units=order.size_units,
            reason="",
            **common,  # type: ignore[arg-type]
        )
        self.engine.handle(report, self.now_ns)


def test_mean_reversion_when_the_price_falls_and_returns_then_in_and_out_with_a_profit():
    market = Market()
    for index in range(25):
        assert [] == market.book(600_000 + index % 2)
    (entry,) = market.book(599_995, bid_size=40_000, ask_size=10_000)
    assert (Side.BUY, 599_996 + 299) == (entry.side, entry.price_units)
    market.execute(entry, 599_996)
    assert [] == market.book(599_995)
    (leave,) = market.book(600_001)
    assert (Side.SELL, entry.size_units, True) == (leave.side, leave.size_units, leave.reduce_only)
    market.execute(leave, 600_001)
    summary = market.engine.summary()
    (position,) = summary.positions
    assert position.size == 0
    assert position.realised > 0
    signals = [n for n in market.engine.take_notices() if isinstance(n, SignalNotice)]
    assert ["z ", "z "] == [notice.signal.reason[:2] for notice in signals]


def test_mean_reversion_when_the_fall_goes_on_then_the_stop_takes_it_out():
    market = Market()
    for index in range(25):
        market.book(600_000 + index % 2)
    (entry,) = market.book(599_990, bid_size=40_000, ask_size=10_000)
    market.execute(entry, 599_991)
    for bid in range(599_500, 597_200, -250):
        assert [] == market.book(bid)
    (stop,) = market.book(596_990)
    record = market.engine.state.blotter.find_ours(stop.client_id)
    assert record is not None
    assert Purpose.STOP_LOSS is record.order.intent.purpose
    market.execute(stop, 596_990)
    assert 1 == market.engine.summary().stops_hit
