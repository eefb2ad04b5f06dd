"""medray.evaluation.curves against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scored_cases import CASES, noisy
from sklearn import calibration
from sklearn import metrics as oracle

from medray.evaluation.curves import calibration_curve, expected_calibration_error, roc_curve


@given(CASES)
@settings(max_examples=50, deadline=None)
def test_roc_equals_scikit_learn(rows: list[tuple[int, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    roc = roc_curve(y, p)
    fpr, tpr, thresholds = oracle.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(roc.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(roc.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(roc.thresholds, thresholds)


def test_calibration_curve_equals_scikit_learn() -> None:
    y, p = noisy(503)
    curve = calibration_curve(y, p, bins=7)
    observed, predicted = calibration.calibration_curve(y, p, n_bins=7, strategy="quantile")
    np.testing.assert_allclose(curve.observed, observed, atol=1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, atol=1e-12)
    assert curve.counts.sum() == 503


def test_calibration_error_is_the_bias_of_a_biased_forecast() -> None:
    assert expected_calibration_error([0, 1] * 50, [0.7] * 100) == pytest.approx(0.2)
    assert expected_calibration_error([0, 1] * 50, [0.0, 1.0] * 50) == 0
