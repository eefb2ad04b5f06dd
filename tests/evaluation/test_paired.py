"""medray.evaluation.paired: differences of two models on the same cases."""

from __future__ import annotations

import numpy as np
import pytest
from scored_cases import noisy

from medray.errors import ModelError
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import auroc_interval
from medray.evaluation.paired import auroc_difference, mean_difference


def blurred(p: np.ndarray, by: float, seed: int = 1) -> np.ndarray:
    """The scores with noise in their logits."""
    return 1 / (1 + np.exp(-(np.log(p / (1 - p)) + np.random.default_rng(seed).normal(size=len(p)) * by)))


def delong_error(y: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Standard error of the difference of two correlated AUROCs (DeLong, DeLong & Clarke-Pearson 1988)."""
    wins = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in (p, q)]
    parts = [np.cov([won.mean(axis=axis) for won in wins]) / wins[0].shape[1 - axis] for axis in (0, 1)]
    total = parts[0] + parts[1]
    return float(np.sqrt(total[0, 0] + total[1, 1] - 2 * total[0, 1]))


def test_the_difference_of_aurocs_has_the_interval_of_delong() -> None:
    y, p = noisy(1000)
    q = blurred(p, 1.0)
    found = auroc_difference(y, p, q)
    assert found.value == pytest.approx(auroc(y, p) - auroc(y, q))
    error = delong_error(y, p, q)
    assert (found.low, found.high) == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error), abs=0.005)
    swapped = auroc_difference(y, q, p)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert found == auroc_difference(y, p, q) != auroc_difference(y, p, q, seed=1)


def test_pairs_tell_what_two_intervals_do_not() -> None:
    """Two models that agree but for a little: the paired interval is far narrower than that of either."""
    y, p = noisy(300)
    q = blurred(p, 0.2)
    found = auroc_difference(y, p, q)
    alone = auroc_interval(y, p)
    assert found.high - found.low < 0.3 * (alone.high - alone.low)
    assert auroc_difference(y, p, p).model_dump() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_images_of_one_patient_are_drawn_together() -> None:
    y, p = noisy(100)
    q = blurred(p, 1.0)
    single = auroc_difference(y, p, q)
    often = [np.repeat(values, 9) for values in (y, p, q, np.arange(100))]
    assert auroc_difference(*often[:3], groups=often[3]).low == pytest.approx(single.low, abs=1e-12)
    fooled = auroc_difference(*often[:3])
    assert fooled.high - fooled.low < 0.5 * (single.high - single.low)


def test_columns_are_averaged_where_both_kinds_are_known() -> None:
    y, p = noisy(200)
    q = blurred(p, 1.0)
    one = auroc_difference(y, p, q)
    absent, unknown = np.zeros(200), np.full(200, np.nan)
    truth = np.column_stack([y, absent, unknown])
    assert auroc_difference(truth, np.column_stack([p, q, q]), np.column_stack([q, p, p])).value == one.value
    part = np.where(np.arange(200) < 150, y, np.nan)
    known = auroc_difference(part, p, q)
    assert known.value == pytest.approx(auroc_difference(y[:150], p[:150], q[:150]).value)
    two = auroc_difference(np.column_stack([y, 1 - y]), np.column_stack([p, p]), np.column_stack([q, q]))
    assert two.value == pytest.approx(0, abs=1e-12), "the second column is as much worse as the first is better"


def test_what_is_undefined_or_wrong() -> None:
    nothing = {"value": None, "low": None, "high": None}
    assert auroc_difference([1, 1], [0.2, 0.3], [0.1, 0.4]).model_dump() == nothing
    assert auroc_difference([], [], []).model_dump() == nothing
    assert mean_difference([], []).model_dump() == nothing
    for first, second in (([0.2], [0.1, 0.3]), ([0.2, np.nan], [0.1, 0.3])):
        with pytest.raises(ModelError, match="METRICS_INPUT"):
            auroc_difference([0, 1], first, second)
        with pytest.raises(ModelError, match="METRICS_INPUT"):
            mean_difference(first, second)


def test_the_difference_of_means_is_that_of_each_case() -> None:
    rng = np.random.default_rng(0)
    hard = rng.gamma(2, size=500)
    one, other = hard + rng.normal(size=500) * 0.1, hard + 0.05
    found = mean_difference(other, one)
    assert found.value == pytest.approx((other - one).mean())
    assert found.low is not None
    assert 0 < found.low < 0.05 < found.high < 0.07
