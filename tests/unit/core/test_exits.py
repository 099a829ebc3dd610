"""The exits a strategy may name, in both their shapes."""

import pytest

from tickwright.core.exits import Exits, ExitWishes
from tickwright.strategy.context import StrategyContext


def test_wishes_when_compared_with_the_policy_then_no_field_is_missing():
    assert list(Exits.__struct_fields__) == list(ExitWishes.__annotations__)


@pytest.mark.parametrize("answer", [StrategyContext.long, StrategyContext.short])
def test_answer_when_a_field_is_misspelt_then_type_error(answer):
    with pytest.raises(TypeError, match="stop_loss"):
        answer(StrategyContext.__new__(StrategyContext), None, stop_loss=0.1)
