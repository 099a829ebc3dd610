"""Which requests of a step share a message, and that none overtakes its own order."""

from tests.unit.venues.bybit.accounts import ACCOUNT, BTC, SPOT_BTC, amend, cancel, place
from tickwright.core.commands import QueryOrder
from tickwright.core.identity import Category, ClientId
from tickwright.feed.together import AccountCommand, together


def _most(category: Category) -> int:
    return 3 if category is Category.LINEAR else 1


def _shape(commands: list[AccountCommand]) -> list[str]:
    return [
        type(group[0]).__name__[0] + "".join(str(one.client_id) for one in group)  # type: ignore[union-attr]
        for group in together(commands, _most)
    ]


def _place(name: str, **changes: object) -> AccountCommand:
    return place(client_id=ClientId(name), **changes)


def _cancel(name: str) -> AccountCommand:
    return cancel(client_id=ClientId(name))


def _amend(name: str) -> AccountCommand:
    return amend(client_id=ClientId(name))


def test_step_when_many_creates_then_in_their_order_and_no_more_than_fit():
    assert ["Pabc", "Pd"] == _shape([_place(name) for name in "abcd"])


def test_step_when_cancels_and_creates_alternate_then_cancels_go_first():
    commands = [_cancel("a"), _place("x"), _cancel("b"), _place("y")]
    assert ["Cab", "Pxy"] == _shape(commands)


def test_step_when_a_cancel_is_about_what_it_creates_or_amends_then_nothing_moves():
    assert ["Px", "Cx", "Py"] == _shape([_place("x"), _cancel("x"), _place("y")])
    assert ["Ax", "Cx", "Py"] == _shape([_amend("x"), _cancel("x"), _place("y")])


def test_step_when_an_amend_stands_between_then_it_splits_and_goes_with_amends():
    commands = [_place("x"), _place("y"), _amend("m"), _amend("n"), _place("z")]
    assert ["Pxy", "Amn", "Pz"] == _shape(commands)


def test_step_when_a_question_stands_between_then_cancels_still_go_together():
    question = QueryOrder(
        account_id=ACCOUNT, client_id=ClientId("a"), instrument_id=BTC, event_id=1
    )
    assert ["Cab", "Qa"] == _shape([question, _cancel("a"), _cancel("b")])


def test_step_when_product_lines_differ_then_each_has_its_own_and_its_bound():
    commands = [_place("x"), _place("s", instrument_id=SPOT_BTC.id)]
    commands += [_place("t", instrument_id=SPOT_BTC.id), _place("y"), _place("z")]
    assert ["Px", "Ps", "Pt", "Pyz"] == _shape(commands)
