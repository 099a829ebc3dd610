"""The ledger on fills made by hand, and that nothing it books is created or lost."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tickwright.core.identity import Category
from tickwright.core.orders import Side
from tickwright.core.units import MONEY_ONE, money_from_decimal
from tickwright.simulator.instruments import instrument_for
from tickwright.simulator.private.ledger import AccountLedger, Ledger, share_of

BUY, SELL = Side.BUY, Side.SELL
LINEAR = instrument_for(Category.LINEAR, "BTCUSDT")
SPOT = instrument_for(Category.SPOT, "BTCUSDT")
KEY = ("BTCUSDT", 0)


def opened() -> AccountLedger:
    ledger = AccountLedger()
    ledger.deposit("USDT", 1_000 * MONEY_ONE)
    return ledger


def money(text: str) -> int:
    return money_from_decimal(Decimal(text))


def test_closing_fill_of_a_grown_position_then_realises_against_the_average_cost():
    ledger = opened()
    ledger.book_linear(LINEAR, 0, BUY, 6_000_000, 100, 0, 1)
    ledger.book_linear(LINEAR, 0, BUY, 6_100_000, 300, 0, 2)
    booked = ledger.book_linear(LINEAR, 0, SELL, 6_200_000, 200, 0, 3)
    assert (booked.gross, booked.closed_units) == (money("250"), 200)
    position = ledger.positions[KEY]
    assert (position.size_units, position.cost) == (200, money("12150"))


def test_fill_through_zero_then_closes_the_long_and_opens_a_short_at_the_fill_price():
    ledger = opened()
    ledger.book_linear(LINEAR, 0, BUY, 6_000_000, 100, 0, 1)
    booked = ledger.book_linear(LINEAR, 0, SELL, 6_100_000, 150, 0, 2)
    position = ledger.positions[KEY]
    assert booked.gross == money("100")
    assert (position.size_units, position.cost) == (-50, -money("3050"))
    assert position.opened_ms == 2


def test_taker_fee_then_is_exact_and_leaves_the_wallet():
    ledger = opened()
    booked = ledger.book_linear(LINEAR, 0, BUY, 9_590_010, 500, 550, 1)
    assert booked.fee == money("26.3725275")
    assert ledger.wallet["USDT"] == money("973.6274725")


def test_spot_buy_then_pays_its_fee_in_base_and_a_sell_in_quote():
    ledger = opened()
    bought = ledger.book_spot(SPOT, BUY, 6_000_000, 10_000, 1_000)
    sold = ledger.book_spot(SPOT, SELL, 6_000_000, 5_000, 1_000)
    assert (bought.fee_asset, bought.fee) == ("BTC", money("0.00001"))
    assert (sold.fee_asset, sold.fee) == ("USDT", money("0.3"))
    assert ledger.wallet == {"USDT": money("699.7"), "BTC": money("0.00499")}


def test_funding_then_moves_cash_and_not_the_position():
    ledger = opened()
    ledger.book_linear(LINEAR, 0, BUY, 6_000_000, 100, 0, 1)
    ledger.book_funding(LINEAR, 0, money("0.6"), 2)
    assert ledger.wallet["USDT"] == money("999.4")
    assert ledger.positions[KEY].size_units == 100
    assert ledger.faults() == []


def test_books_with_a_wallet_changed_by_hand_then_name_it():
    ledger = Ledger()
    account = ledger.open(1)
    account.deposit("USDT", MONEY_ONE)
    account.wallet["USDT"] += 1
    assert ledger.faults() == [
        f"account 1: USDT: balance {MONEY_ONE + 1} is explained as {MONEY_ONE}",
        "USDT: off by 1",
    ]


@given(st.integers(-(10**30), 10**30), st.integers(0, 10**6), st.integers(1, 10**6))
def test_share_then_is_within_half_a_unit_of_the_exact_quotient(amount, numerator, denominator):
    share = share_of(amount, numerator, denominator)
    assert abs(2 * (share * denominator - amount * numerator)) <= denominator


FILLS = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 9_999_999),
        st.integers(1, 500_000),
        st.sampled_from([-100, 0, 200, 550]),
        st.booleans(),
    ),
    max_size=40,
)


@given(FILLS)
def test_any_fills_against_the_house_then_every_sum_stays_explained(fills):
    ledger = Ledger()
    account = ledger.open(1)
    account.deposit("USDT", MONEY_ONE)
    for side, price, size, fee_ppm, is_spot in fills:
        if is_spot:
            account.book_spot(SPOT, side, price, size, fee_ppm)
            ledger.house.book_spot(SPOT, side.opposite, price, size, 0)
        else:
            account.book_linear(LINEAR, 0, side, price, size, fee_ppm, 1)
            ledger.house.book_linear(LINEAR, 0, side.opposite, price, size, 0, 1)
        assert ledger.faults() == []
