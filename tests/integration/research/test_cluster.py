"""The same trials on a Ray cluster of this machine."""

import pytest

from tests.unit.research.formula import recipe
from tickwright.core.errors import ConfigError
from tickwright.research.sweep import sweep

pytest.importorskip("ray", reason="Ray has no wheel for this Python: its sweeps are not tested")

pytestmark = [
    pytest.mark.timeout(120),
    # Ray leaves sockets and files to the collector when it shuts down.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]


def test_cluster_when_local_then_the_same_trials_and_a_dead_actor_is_told():
    space = ["one.n=1,3,13,66,5"]
    here = sweep(recipe(), ["one.n=1,3,13,5"], objective="value")
    there = sweep(recipe(), space, objective="value", ray="local", jobs=2)
    by_parameters = {str(t.parameters): t.value("value") for t in here.done}
    assert by_parameters == {str(t.parameters): t.value("value") for t in there.done}
    lost = [t for t in there.failed if t.parameters["one.n"] == 66]
    assert 1 == len(lost)
    assert all(t.error.startswith("the worker died: ") for t in lost)
    assert there.best is not None
    assert {"one.n": 3} == there.best.parameters


def test_cluster_when_none_answers_then_one_sentence():
    with pytest.raises(ConfigError, match="--ray auto: no cluster answers"):
        sweep(recipe(), ["one.n=1,2"], objective="value", ray="auto")
