"""Plans: prices at the touch with caps rounded inward, brackets on the right side, exits capped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.bench import SPOT, instrument, long, short
from tickwright.book import OrderBook
from tickwright.core.errors import ConfigError
from tickwright.core.instrument import Instrument
from tickwright.core.orders import OrderIntent, Purpose, Side, TimeInForce
from tickwright.core.verdicts import Reason, Rejected
from tickwright.core.work import FollowTouch, Iceberg, Twap
from tickwright.execution.config import ExecutionConfig, IcebergEntry, PassiveEntry, TwapEntry
from tickwright.execution.planner import Bracket, Planner


def book_of(item: Instrument, bid: int = 600_000, ask: int = 600_001) -> OrderBook:
    book = OrderBook(item, capacity=10)
    book.apply_snapshot([(bid, 500)], [(ask, 500)], update_id=1, received_ns=1)
    return book


def entry(signal, *, config=None, item=None, attached=False) -> OrderIntent:
    item = item or instrument()
    intent = Planner(config or ExecutionConfig(slippage_bps_max=5.0)).entry(
        signal,
        size_units=100,
        book=book_of(item),
        instrument=item,
        now_ns=1_000,
        attached=signal.policy if attached else None,
    )
    assert isinstance(intent, OrderIntent)
    return intent


def test_entry_when_marketable_then_ioc_capped_through_the_touch():
    bought, sold = entry(long()), entry(short())
    # 5 bps of 600001 are 300.0005 ticks, of 600000 exactly 300.
    assert (Side.BUY, 600_301, TimeInForce.IOC) == (
        bought.side,
        bought.price_units,
        bought.time_in_force,
    )
    assert (Side.SELL, 599_700) == (sold.side, sold.price_units)
    assert 1_000 + 1_000_000_000 == bought.valid_until_ns
    assert (None, None) == (bought.stop_loss_price_units, bought.take_profit_price_units)


def worked(signal, config, size_units=1_000):
    return Planner(config).algorithm(signal, size_units, book_of(instrument()), instrument())


def test_algorithm_when_entries_are_marketable_then_none():
    assert worked(long(), ExecutionConfig()) is None


def test_algorithm_when_passive_then_follows_the_touch_as_configured():
    config = ExecutionConfig(
        entry="passive",
        entry_timeout_ms=2_000,
        passive=PassiveEntry(offset_ticks=2, amend_ms_min=300, chase_bps_max=7.0),
    )
    assert FollowTouch(
        offset_ticks=2, amend_ms_min=300, give_up_ms=2_000, chase_bps_max=7.0
    ) == worked(long(), config)
    # A price of the signal's own is where a plain order rests.
    assert worked(long(price_units=599_000), config) is None


def test_algorithm_when_twap_then_a_price_is_the_cap():
    config = ExecutionConfig(
        entry="twap", slippage_bps_max=3.0, twap=TwapEntry(duration_ms=9_000, slices=3)
    )
    wish = worked(short(price_units=599_000), config)
    assert Twap(duration_ms=9_000, slices=3, slippage_bps_max=3.0, price_units=599_000) == wish


def test_algorithm_when_iceberg_then_rests_at_the_touch_and_shows_a_share():
    config = ExecutionConfig(entry="iceberg", iceberg=IcebergEntry(shown_fraction=0.25))
    assert Iceberg(shown_units=250, price_units=600_000, give_up_ms=60_000) == worked(
        long(), config
    )
    assert Iceberg(shown_units=250, price_units=600_001, give_up_ms=60_000) == worked(
        short(), config
    )
    tiny = worked(long(), config, size_units=2)
    assert isinstance(tiny, Iceberg)
    assert 1 == tiny.shown_units


def test_entry_when_the_signal_names_a_price_then_it_rests_there():
    intent = entry(long(price_units=599_000))
    assert (599_000, TimeInForce.GTC, False) == (
        intent.price_units,
        intent.time_in_force,
        intent.post_only,
    )


def test_entry_when_attached_then_the_bracket_stands_around_the_worst_price():
    intent = entry(long(), attached=True)
    assert (600_301 - 3_001, 600_301 + 9_005) == (
        intent.stop_loss_price_units,
        intent.take_profit_price_units,
    )


def test_entry_when_a_side_is_empty_then_rejected():
    item = instrument()
    book = OrderBook(item, capacity=10)
    book.apply_snapshot([(600_000, 5)], [], update_id=1, received_ns=1)
    verdict = Planner(ExecutionConfig()).entry(
        long(), size_units=1, book=book, instrument=item, now_ns=1, attached=None
    )
    assert isinstance(verdict, Rejected)
    assert Reason.BOOK_EMPTY is verdict.reason


@given(
    st.sampled_from([Side.BUY, Side.SELL]),
    st.integers(1_000, 10**9),
    st.sampled_from([1, 5, 10, 25]),
    st.floats(0.0001, 0.5),
    st.floats(0.0001, 0.9),
)
def test_bracket_when_around_any_price_then_on_tick_right_side_and_never_a_larger_loss(
    side, entry_units, tick, stop_fraction, take_fraction
):
    item = instrument(tick_units=tick)
    bracket = Planner.bracket(
        side,
        entry_units,
        item,
        stop_loss_fraction=stop_fraction,
        take_profit_fraction=take_fraction,
    )
    stop, take = bracket.stop_units, bracket.take_units
    assert stop is not None
    assert take is not None
    assert (0, 0) == (stop % tick, take % tick)
    sign = int(side)
    loss, profit = (entry_units - stop) * sign, (take - entry_units) * sign
    # Fractions are whole parts per 10^9, so half a price unit may be lost in 10^9 of them.
    assert 0 < loss <= max(entry_units * stop_fraction + 1, tick)
    is_clamped = take == tick
    assert profit >= (0 if is_clamped else entry_units * take_fraction - 1)


@pytest.mark.parametrize(("side", "entry"), [(Side.BUY, 10), (Side.SELL, 1_000)])
def test_bracket_when_at_the_end_of_the_price_range_then_no_stop_beyond_it(side, entry):
    item = instrument(price_min_units=10, price_max_units=1_000)
    bracket = Planner.bracket(
        side, entry, item, stop_loss_fraction=0.1, take_profit_fraction=0.9999
    )
    assert bracket.stop_units is None
    assert bracket.take_units is not None
    assert 10 <= bracket.take_units <= 1_000


def exit_of(share: int, account: int, reducing: int = 0, item: Instrument | None = None):
    item = item or instrument()
    return Planner(ExecutionConfig(exit_slippage_bps_max=50.0)).exit(
        share_units=share,
        account_units=account,
        reducing_units=reducing,
        book=book_of(item),
        instrument=item,
        purpose=Purpose.CLOSE,
        reason="test",
        now_ns=0,
    )


@pytest.mark.parametrize(
    ("share", "account", "reducing", "expected"),
    [
        (100, 100, 0, (Side.SELL, 100, True)),
        (100, 300, 0, (Side.SELL, 100, True)),  # others are long too: only the share
        (100, 40, 0, (Side.SELL, 40, True)),  # others are short: first what is visible
        (100, 0, 0, (Side.SELL, 100, False)),  # hidden by others: a plain order
        (100, -50, 0, (Side.SELL, 100, False)),
        (-100, -100, 0, (Side.BUY, 100, True)),
        (100, 300, 250, (Side.SELL, 50, True)),  # others are reducing already
    ],
)
def test_exit_when_strategies_share_an_account_then_capped_and_netted(
    share, account, reducing, expected
):
    intent = exit_of(share, account, reducing)
    assert isinstance(intent, OrderIntent)
    assert expected == (intent.side, intent.size_units, intent.reduce_only)
    assert TimeInForce.IOC is intent.time_in_force


@pytest.mark.parametrize(("share", "account", "reducing"), [(0, 100, 0), (100, 100, 100)])
def test_exit_when_nothing_is_its_own_then_rejected(share, account, reducing):
    verdict = exit_of(share, account, reducing)
    assert isinstance(verdict, Rejected)
    assert Reason.NOTHING_TO_CLOSE is verdict.reason


def test_exit_when_spot_then_floored_to_what_is_held_and_never_reduce_only():
    item = instrument(SPOT, lot_units=10)
    intent = exit_of(100, 97, item=item)
    assert isinstance(intent, OrderIntent)
    assert (90, False) == (intent.size_units, intent.reduce_only)
    assert isinstance(exit_of(100, 9, item=item), Rejected)


def test_config_when_leaving_is_harder_than_entering_then_refused():
    with pytest.raises(ConfigError, match="leaving"):
        ExecutionConfig(slippage_bps_max=10.0, exit_slippage_bps_max=5.0)


def test_bracket_when_no_fractions_then_empty():
    bracket = Planner.bracket(
        Side.BUY, 1_000, instrument(), stop_loss_fraction=None, take_profit_fraction=None
    )
    assert Bracket() == bracket
    assert bracket.is_empty
