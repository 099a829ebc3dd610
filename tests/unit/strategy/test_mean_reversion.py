"""Mean reversion on constructed books: every rule of its docstring, with real order books."""

import random
from decimal import Decimal

import pytest

from tickwright.book import OrderBook
from tickwright.core.events import BookState, BookStateChanged, InstrumentChanged
from tickwright.core.identity import AccountId, Category, InstrumentId, StrategyId
from tickwright.core.instrument import FeeRates, Instrument
from tickwright.core.moment import Moment
from tickwright.core.orders import ExecutionKind, Fill, Side
from tickwright.core.signals import Decision, Signal, SignalKind
from tickwright.strategy.context import PositionView, StrategyContext
from tickwright.strategy.library.mean_reversion import MeanReversion, MeanReversionParameters

MS = 1_000_000
ID = InstrumentId("venue", Category.LINEAR, "BTCUSDT")
ACCOUNT = AccountId("venue", "main")


def instrument(**changes) -> Instrument:
    values = {
        "id": ID,
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "settle_asset": "USDT",
        "price_decimals": 1,
        "size_decimals": 3,
        "tick_units": 1,
        "lot_units": 1,
        "size_min_units": 1,
        "size_max_units": 10**9,
        "market_size_max_units": 10**9,
    }
    return Instrument(**{**values, **changes})


class World:
    """One book, one position and the fees: what the engine would show."""

    def __init__(self) -> None:
        self.shown = OrderBook(instrument(), capacity=50)
        self.shown.slot = 7
        self.position = PositionView(0, None)
        self.rates: FeeRates | None = None

    def book(self, instrument_id):
        return self.shown

    def instrument(self, instrument_id):
        return self.shown.instrument

    def position_view(self, strategy_id, instrument_id):
        return self.position

    def fees(self, account_id, instrument_id):
        return self.rates

    def mark_units(self, instrument_id):
        return None

    def index_units(self, instrument_id):
        return None

    def funding(self, instrument_id):
        return None

    def live_orders(self, strategy_id):
        return ()

    def live_works(self, strategy_id):
        return ()

    def set_timer(self, strategy_id, name, due_ns):
        raise AssertionError(f"no timer was expected: {name} at {due_ns}")


class Bench:
    """Drives one strategy with snapshots around a wished best bid."""

    def __init__(self, **parameters) -> None:
        self.world = World()
        self.moment = Moment(now_ns=1_000 * MS)
        self.update_id = 0
        self.strategy = MeanReversion()
        self.strategy.bind(
            StrategyContext(
                strategy_id=StrategyId("mean"),
                account_id=ACCOUNT,
                parameters=MeanReversionParameters(**parameters),
                instruments=(ID,),
                moment=self.moment,
                world=self.world,
                random=random.Random(1),
            )
        )
        self.strategy.on_start()

    def book(
        self, bid: int, *, bid_size: int = 100, ask_size: int = 100, step_ms: int = 10
    ) -> Decision:
        self.moment.now_ns += step_ms * MS
        self.update_id += 1
        self.world.shown.apply_snapshot(
            [(bid, bid_size)],
            [(bid + 1, ask_size)],
            update_id=self.update_id,
            received_ns=self.moment.now_ns,
        )
        return self.strategy.on_book(self.world.shown)

    def warm(self, count: int = 10, bid: int = 600_000, **book) -> None:
        for index in range(count):
            assert self.book(bid + index % 2, **book) is None

    def fill(self, side: Side, position_units: int) -> None:
        self.world.position = PositionView(position_units, 600_000.0 if position_units else None)
        self.strategy.on_fill(
            Fill(
                account_id=ACCOUNT,
                instrument_id=ID,
                execution_id=str(self.update_id),
                kind=ExecutionKind.TRADE,
                side=side,
                price_units=600_000,
                size_units=1,
                fee=0,
                fee_asset="USDT",
                is_maker=False,
                venue_ns=1,
                received_ns=1,
            )
        )


UPDATE = {"lookback": 10, "sampling": "by_update"}


def test_long_when_price_fell_and_bids_stand_behind_then_signal():
    bench = Bench(**UPDATE)
    bench.warm(11)
    signal = bench.book(599_997, bid_size=300, ask_size=100)
    assert isinstance(signal, Signal)
    assert (SignalKind.LONG, 0.005, 0.015) == (
        signal.kind,
        signal.stop_loss_fraction,
        signal.take_profit_fraction,
    )
    # The deviation is half a tick: its floor of one tick makes z about -3.5 or -3.6.
    assert 0.7 < signal.confidence < 0.9
    assert "imbalance +0.50" in signal.reason


def test_short_when_price_rose_and_asks_stand_behind_then_signal():
    bench = Bench(**UPDATE)
    bench.warm(11)
    signal = bench.book(600_010, bid_size=100, ask_size=300)
    assert isinstance(signal, Signal)
    assert (SignalKind.SHORT, 1.0) == (signal.kind, signal.confidence)


@pytest.mark.parametrize(("bid", "bid_size"), [(599_990, 100), (599_990, 50), (600_010, 300)])
def test_entry_when_the_imbalance_does_not_confirm_then_nothing(bid, bid_size):
    bench = Bench(**UPDATE)
    bench.warm(11)
    assert bench.book(bid, bid_size=bid_size, ask_size=100) is None


def test_entry_when_the_move_is_one_tick_then_the_floor_keeps_quiet():
    bench = Bench(**UPDATE)
    for _ in range(12):
        bench.book(600_000)
    assert bench.book(599_999, bid_size=300) is None


def test_entry_when_still_warming_up_then_nothing():
    bench = Bench(**UPDATE)
    bench.warm(9)
    assert bench.book(599_000, bid_size=900) is None


def test_entry_when_signalled_then_one_an_excursion_and_armed_again_inside_the_exit_band():
    bench = Bench(**UPDATE)
    bench.warm(11)
    assert bench.book(599_997, bid_size=300) is not None
    assert bench.book(599_990, bid_size=300) is None
    for index in range(30):  # back at the mean, flat: armed again
        assert bench.book(600_000 + index % 2) is None
    assert bench.book(599_990, bid_size=300) is not None


def test_exit_when_z_came_back_then_asked_for_once_a_second_until_flat():
    bench = Bench(**UPDATE)
    bench.warm(11)
    bench.book(599_995, bid_size=300)
    bench.fill(Side.BUY, 1)
    assert bench.book(599_995) is None
    signal = bench.book(600_001)
    assert isinstance(signal, Signal)
    assert SignalKind.EXIT is signal.kind
    assert bench.book(600_001, step_ms=500) is None
    assert bench.book(600_001, step_ms=600) is not None
    bench.fill(Side.SELL, 0)
    assert bench.book(600_001) is None


def test_exit_when_short_then_mirrored():
    bench = Bench(**UPDATE)
    bench.warm(11)
    bench.book(600_010, ask_size=300)
    bench.fill(Side.SELL, -1)
    assert bench.book(600_010) is None
    signal = bench.book(599_999)
    assert isinstance(signal, Signal)
    assert SignalKind.EXIT is signal.kind


def test_edge_when_fees_eat_the_move_then_nothing_and_unknown_fees_refuse():
    for rates, expected in (
        (None, False),
        (FeeRates(Decimal("0.0002"), Decimal("0.0006")), False),
        (FeeRates(Decimal(0), Decimal(0)), True),
    ):
        bench = Bench(**UPDATE, edge_bps=0.1)
        bench.world.rates = rates
        bench.warm(11)
        assert expected == (bench.book(599_980, bid_size=300) is not None)


def test_interval_sampling_when_silent_then_the_old_mid_fills_the_grid():
    bench = Bench(lookback=10, sampling="by_interval", interval_ms=100)
    bench.book(600_000)
    # One second of silence is ten samples of the mid that stood: the window is full.
    signal = bench.book(599_990, bid_size=300, step_ms=1_100)
    assert isinstance(signal, Signal)
    assert SignalKind.LONG is signal.kind


def test_interval_sampling_when_updates_are_dense_then_only_the_grid_counts():
    bench = Bench(lookback=10, sampling="by_interval", interval_ms=100)
    for index in range(50):  # half a second: five samples
        assert bench.book(600_000 + index % 2) is None
    assert bench.book(599_990, bid_size=900) is None


@pytest.mark.parametrize(("outage_ms", "expected"), [(1_000, True), (3_000, False)])
def test_outage_when_longer_than_the_limit_then_the_window_starts_anew(outage_ms, expected):
    bench = Bench(**UPDATE)
    bench.warm(11)
    stale = BookStateChanged(ID, BookState.STALE, BookState.SYNCED, "gap")
    synced = BookStateChanged(ID, BookState.SYNCED, BookState.RESYNCING, "snapshot")
    bench.strategy.on_book_state(stale)
    bench.moment.now_ns += outage_ms * MS
    bench.strategy.on_book_state(synced)
    assert expected == (bench.book(599_990, bid_size=300) is not None)


def test_instrument_change_when_the_tick_grows_then_the_floor_follows():
    bench = Bench(**UPDATE)
    bench.warm(11)
    bench.strategy.on_market(InstrumentChanged(instrument(tick_units=10, version=2)))
    bench.warm(11)
    assert bench.book(599_995, bid_size=300) is None  # half a new tick
    assert bench.book(599_970, bid_size=300) is not None
