"""Names of orders: unique, recognisable, short enough, and readable without a record."""

import pytest

from tickwright.core.errors import ConfigError
from tickwright.core.identity import StrategyId
from tickwright.execution.client_ids import CLIENT_ID_LENGTH, ClientIds

ONE, TWO = StrategyId("one"), StrategyId("two")
NOW = 1_790_000_000_123_456_789


def made(epoch: int = NOW) -> ClientIds:
    ids = ClientIds(epoch)
    ids.register(ONE)
    ids.register(TWO)
    return ids


def test_next_when_many_then_unique_alphanumeric_and_of_one_length():
    ids = made()
    names = [ids.next(ONE if index % 3 else TWO) for index in range(5_000)]
    assert len(names) == len(set(names)) == ids.issued
    assert {CLIENT_ID_LENGTH} == {len(name) for name in names}
    assert CLIENT_ID_LENGTH <= 32
    assert all(name.isascii() and name.isalnum() for name in names)


def test_next_when_of_one_strategy_then_in_order_of_text():
    ids = made()
    names = [ids.next(ONE) for _ in range(3_000)]
    assert sorted(names) == names


def test_owner_when_of_another_epoch_then_still_known():
    earlier, now = made(1), made()
    assert (ONE, TWO) == (now.owner(earlier.next(ONE)), now.owner(earlier.next(TWO)))
    assert earlier.next(ONE) != now.next(ONE)


@pytest.mark.parametrize("name", [None, "", "tw", "x" * 26, "tw" + "-" * 24, "other-system-0001"])
def test_owner_when_not_of_our_form_then_none(name):
    assert (False, None) == (ClientIds.is_ours(name), made().owner(name))


def test_owner_when_the_strategy_is_not_configured_then_ours_but_nobodys():
    other = ClientIds(1)
    other.register(StrategyId("gone"))
    name = other.next(StrategyId("gone"))
    assert (True, None) == (ClientIds.is_ours(name), made().owner(name))


def test_register_when_twice_then_refused():
    ids = made()
    with pytest.raises(ConfigError, match="can't be told"):
        ids.register(ONE)


def test_epoch_when_out_of_range_then_refused():
    for epoch in (-1, 36**12):
        with pytest.raises(ConfigError):
            ClientIds(epoch)
