"""medray.evaluation.regression against scikit-learn and NumPy, and at its edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from medray.errors import ModelError
from medray.evaluation.regression import agreement, calibration_curve, evaluate

_number = st.floats(-1000, 1000).map(lambda value: round(value, 3))
_pairs = st.lists(st.tuples(_number, _number), min_size=3, max_size=30).filter(
    lambda rows: all(len(set(column)) > 1 for column in zip(*rows, strict=True))
)


@given(_pairs)
@settings(max_examples=30, deadline=None)
def test_figures_equal_scikit_learn_and_numpy(pairs: list[tuple[float, float]]) -> None:
    truth, value = np.array(pairs).T
    found = evaluate(truth, value)
    assert found.mae.value == pytest.approx(oracle.mean_absolute_error(truth, value), rel=1e-12)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((truth - value) ** 2)), rel=1e-12)
    assert found.median_absolute_error == pytest.approx(np.median(np.abs(truth - value)), rel=1e-12)
    assert found.r2.value == pytest.approx(oracle.r2_score(truth, value), rel=1e-9)
    assert found.pearson == pytest.approx(np.corrcoef(truth, value)[0, 1], abs=1e-9)
    ranks = [[np.mean(column < one) + np.mean(column <= one) for one in column] for column in (truth, value)]
    assert found.spearman == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-9)
    assert found.agreement.bias == pytest.approx(np.mean(value) - np.mean(truth), abs=1e-9)
    assert found.agreement.high - found.agreement.low == pytest.approx(2 * 1.96 * np.std(value - truth, ddof=1), abs=1e-9)


def _measured(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    truth = rng.normal(1000, 50, n)
    return truth, truth + rng.normal(5, 20, n)


def test_intervals_equal_those_of_resamples_drawn_one_by_one() -> None:
    truth, value = _measured(300)
    found = evaluate(truth, value, groups=np.repeat(np.arange(100), 3))
    rng = np.random.default_rng(1)
    drawn = [(3 * rng.integers(0, 100, 100)[:, None] + np.arange(3)).ravel() for _ in range(1000)]
    errors = [np.abs(value[rows] - truth[rows]).mean() for rows in drawn]
    assert [found.mae.low, found.mae.high] == pytest.approx(np.percentile(errors, [2.5, 97.5]), abs=0.3)
    shares = [oracle.r2_score(truth[rows], value[rows]) for rows in drawn]
    assert [found.r2.low, found.r2.high] == pytest.approx(np.percentile(shares, [2.5, 97.5]), abs=0.01)


def test_limits_of_agreement_hold_95_percent_of_normal_errors() -> None:
    truth, value = _measured(20_000)
    found = agreement(truth, value)
    assert found.bias == pytest.approx(5, abs=0.5)
    inside = (value - truth > found.low) & (value - truth < found.high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.005)


def test_calibration_bins_hold_equal_counts_and_their_means() -> None:
    truth, value = _measured(500)
    curve = calibration_curve(truth, value, bins=5)
    order = np.argsort(value)
    assert curve.counts.tolist() == [100] * 5
    np.testing.assert_allclose(curve.predicted, value[order].reshape(5, 100).mean(axis=1))
    np.testing.assert_allclose(curve.observed, truth[order].reshape(5, 100).mean(axis=1))
    assert calibration_curve([1, 2, 3, 4], [7, 7, 7, 7]).counts.tolist() == [4]


def test_constant_truth_has_no_r2_and_no_correlation() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate([0.1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5])
        single = evaluate([2.0], [3.0])
    assert (found.r2.value, found.r2.low, found.pearson, found.spearman) == (None, None, None, None)
    assert found.mae.value == pytest.approx(0.2)
    assert single.model_dump() == {
        "n": 1,
        "mae": {"value": 1.0, "low": 1.0, "high": 1.0},
        "rmse": 1.0,
        "median_absolute_error": 1.0,
        "r2": {"value": None, "low": None, "high": None},
        "pearson": None,
        "spearman": None,
        "agreement": {"bias": 1.0, "low": None, "high": None},
    }


def test_a_perfect_model_of_two_patients_has_r2_of_one() -> None:
    found = evaluate([1.0, 2.0], [1.0, 2.0])
    assert found.r2.model_dump() == {"value": 1.0, "low": 1.0, "high": 1.0}


@pytest.mark.parametrize(
    ("truth", "value"), [([], []), ([1, 2], [1]), ([1, np.nan], [1, 2]), ([1, 2], [1, np.inf]), ([[1]], [[1]])]
)
def test_contradictory_cases_are_refused(truth: list[float], value: list[float]) -> None:
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate(truth, value)
