"""Cross-validation, against every half worked out by hand and against a slow second telling."""

import math
from itertools import combinations

import numpy as np
import pytest

from tickwright.research.overfitting import overfitting

LN2 = math.log(2)


def test_overfitting_when_one_is_always_better_then_zero():
    # Two trials: the better one ranks 2 of 2 in each half: w = 2/3, ln 2.
    found = overfitting(np.array([[2.0, 1.0]] * 4), blocks=4, statistic="mean")
    assert (0.0, 0.0, 6, 4) == (
        found.probability,
        found.loss_probability,
        found.choices,
        found.observations,
    )
    assert [LN2] * 6 == pytest.approx(found.logits)


def test_overfitting_when_worked_out_by_hand_then_the_same():
    # Means of A and B by pairs of rows, then of the other pair:
    #   12: A 3.0 over B 0.0, then -1.0 against 2.0: worse   34: B, then 0.0 against 3.0: worse
    #   13: A 0.5 B 0.5: the first, A, then 1.5 and 1.5: a tie, w = 1.5 / 3, logit 0
    #   24: A 1.5 B 1.5: A, then 0.5 and 0.5: a tie
    #   14: A 2.5 over B 1.5, then -0.5 against 0.5: worse   23: B, then 1.5 against 2.5: worse
    rows = np.array([[4.0, 0.0], [2.0, 0.0], [-3.0, 1.0], [1.0, 3.0]])
    found = overfitting(rows, blocks=4, statistic="mean")
    assert 1.0 == found.probability
    assert sorted([-LN2] * 4 + [0.0] * 2) == pytest.approx(sorted(found.logits))
    assert 2 / 6 == found.loss_probability


def slowly(rows: np.ndarray, blocks: int) -> list[float]:
    """Tell the logits as the paper describes them, one half after the other."""
    parts = np.split(rows, blocks)
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[i] for i in chosen])
        outside = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        best = int((inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax())
        ratios = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        rank = 1 + int((ratios < ratios[best]).sum())
        share = rank / (rows.shape[1] + 1)
        logits.append(math.log(share / (1 - share)))
    return logits


def test_overfitting_when_told_slowly_then_the_same_ratios_and_ranks():
    rows = np.random.default_rng(11).standard_normal((48, 9))
    found = overfitting(rows, blocks=8)
    expected = slowly(rows, 8)
    assert expected == pytest.approx(list(found.logits))
    assert sum(one <= 0 for one in expected) / 70 == found.probability


def test_overfitting_when_one_trial_has_skill_then_low_and_among_noise_then_high():
    chance = np.random.default_rng(1)
    noise = chance.standard_normal((1_600, 30))
    skilled = noise.copy()
    skilled[:, 4] += 0.3
    assert overfitting(skilled).probability < 0.01
    # Each trial is good where it happened to be, and must be bad elsewhere: the sums are equal.
    balanced = noise - noise.mean(axis=0)
    assert overfitting(balanced).probability > 0.9
    assert overfitting(balanced).slope < 0


def test_overfitting_when_trials_did_nothing_then_their_ratio_is_zero():
    rows = np.zeros((40, 3))
    rows[:, 1] = 0.01  # a constant gain: no variance either
    found = overfitting(rows, blocks=4)
    assert [0.0] * 6 == list(found.logits)
    assert 0.0 == found.loss_probability


def test_overfitting_when_rows_do_not_fill_the_blocks_then_the_first_are_left_out():
    rows = np.random.default_rng(2).standard_normal((43, 4))
    assert overfitting(rows[3:], blocks=8) == overfitting(rows, blocks=8)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (np.zeros((40, 1)), {}, "at least two trials"),
        (np.zeros(40), {}, "at least two trials"),
        (np.zeros((40, 2)), {"blocks": 7}, "even number from 2 to 20, not 7"),
        (np.zeros((40, 2)), {"blocks": 22}, "even number"),
        (np.zeros((15, 2)), {"blocks": 16}, "15 observations are too few"),
        (np.full((40, 2), math.nan), {}, "not a finite number"),
    ],
)
def test_overfitting_when_there_is_too_little_then_refused(rows, options, words):
    with pytest.raises(ValueError, match=words):
        overfitting(rows, **options)
