"""medray.evaluation.binary against scikit-learn, against enumeration, and at its edges."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import calibration
from sklearn import metrics as oracle

from medray.errors import ModelError
from medray.evaluation import binary as metrics
from medray.evaluation.binary import ThresholdPolicy, choose_threshold, evaluate

cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8).map(lambda k: k / 8)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)
"""Small sets of both classes with many ties."""


def _noisy(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    return y, 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * y - 0.5)))


@given(cases)
def test_figures_equal_scikit_learn(rows: list[tuple[int, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    roc = metrics.roc_curve(y, p)
    fpr, tpr, thresholds = oracle.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(roc.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(roc.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(roc.thresholds, thresholds)

    found = evaluate(y, p, 0.5)
    decided = p >= 0.5
    counts = found.confusion
    assert [[counts.tn, counts.fp], [counts.fn, counts.tp]] == oracle.confusion_matrix(y, decided, labels=[0, 1]).tolist()
    assert found.auroc.value == pytest.approx(oracle.roc_auc_score(y, p), abs=1e-12)
    assert found.auprc == pytest.approx(oracle.average_precision_score(y, p), abs=1e-12)
    assert found.accuracy == pytest.approx(oracle.accuracy_score(y, decided), abs=1e-12)
    assert found.sensitivity == pytest.approx(oracle.recall_score(y, decided), abs=1e-12)
    assert found.specificity == pytest.approx(oracle.recall_score(y, decided, pos_label=0), abs=1e-12)
    assert found.f1 == pytest.approx(oracle.f1_score(y, decided), abs=1e-12)
    assert found.brier == pytest.approx(oracle.brier_score_loss(y, p), abs=1e-12)


def test_calibration_curve_equals_scikit_learn() -> None:
    y, p = _noisy(503)
    curve = metrics.calibration_curve(y, p, bins=7)
    observed, predicted = calibration.calibration_curve(y, p, n_bins=7, strategy="quantile")
    np.testing.assert_allclose(curve.observed, observed, atol=1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, atol=1e-12)
    assert curve.counts.sum() == 503


def test_calibration_error_is_the_bias_of_a_biased_forecast() -> None:
    assert metrics.expected_calibration_error([0, 1] * 50, [0.7] * 100) == pytest.approx(0.2)
    assert metrics.expected_calibration_error([0, 1] * 50, [0.0, 1.0] * 50) == 0


@given(cases)
def test_youden_point_is_the_best_of_all(rows: list[tuple[int, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))

    def youden(threshold: float) -> float:
        return float(np.mean(p[y == 1] >= threshold) - np.mean(p[y == 0] >= threshold))

    assert youden(choose_threshold(y, p).value) == pytest.approx(max(map(youden, p)))


@given(cases, st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_sensitivity_at_least_is_met_at_the_best_specificity(rows: list[tuple[int, float]], wanted: float) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    chosen = choose_threshold(y, p, ThresholdPolicy(kind="sensitivity_at_least", value=wanted)).value
    found = metrics.confusion(y, p, chosen)
    rivals = [metrics.confusion(y, p, t) for t in np.unique(p)]
    assert found.sensitivity >= wanted
    assert found.specificity == max(rival.specificity for rival in rivals if rival.sensitivity >= wanted)


def test_specificity_at_least_is_met_at_the_best_sensitivity() -> None:
    y, p = _noisy(200)
    chosen = choose_threshold(y, p, ThresholdPolicy(kind="specificity_at_least", value=0.9)).value
    found = metrics.confusion(y, p, chosen)
    rivals = [metrics.confusion(y, p, t) for t in p]
    assert found.specificity >= 0.9
    assert found.sensitivity == max(rival.sensitivity for rival in rivals if rival.specificity >= 0.9)


def test_threshold_lies_between_scores_and_says_why() -> None:
    chosen = choose_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9])
    assert chosen.value == pytest.approx(0.4)
    assert chosen.reason == "maximises Youden's J (1.00) on 4 validation images"
    assert choose_threshold([0], [0.1], ThresholdPolicy(kind="fixed", value=0.3)).value == 0.3


def test_neighbouring_floats_keep_apart() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    assert low < choose_threshold([0, 1], [low, high]).value <= high


def test_threshold_refuses_what_it_cannot_choose() -> None:
    with pytest.raises(ModelError, match="THRESHOLD_ONE_CLASS"):
        choose_threshold([1, 1], [0.2, 0.3])
    with pytest.raises(ModelError, match="THRESHOLD_UNREACHABLE"):
        choose_threshold([0, 1], [0.9, 0.1], ThresholdPolicy(kind="specificity_at_least", value=0.8))
    for bad in ({"kind": "fixed"}, {"kind": "youden", "value": 0.5}, {"kind": "fixed", "value": 1.5}):
        with pytest.raises(ValidationError):
            ThresholdPolicy.model_validate(bad)


def test_interval_covers_hanley_mcneil_and_repeats() -> None:
    y, p = _noisy(1000)
    started = time.perf_counter()
    found = metrics.bootstrap_interval(y, p, seed=3)
    assert time.perf_counter() - started < 2
    assert found == metrics.bootstrap_interval(y, p, seed=3)
    assert found != metrics.bootstrap_interval(y, p, seed=4)
    a, n1, n0 = found.value, y.sum(), (1 - y).sum()
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (n1 - 1) * (q1 - a * a) + (n0 - 1) * (q2 - a * a)) / (n1 * n0))
    assert found.low == pytest.approx(a - 1.96 * error, abs=0.01)
    assert found.high == pytest.approx(a + 1.96 * error, abs=0.01)


def test_repeated_images_of_a_patient_do_not_narrow_the_interval() -> None:
    y, p = _noisy(100)
    single = metrics.bootstrap_interval(y, p)
    repeated = metrics.bootstrap_interval(np.repeat(y, 9), np.repeat(p, 9), groups=np.repeat(np.arange(100), 9))
    assert repeated.value == single.value
    assert repeated.low == pytest.approx(single.low, abs=1e-12)
    fooled = metrics.bootstrap_interval(np.repeat(y, 9), np.repeat(p, 9))
    assert fooled.high - fooled.low < 0.5 * (single.high - single.low)


def test_one_class_gives_null_not_a_guess() -> None:
    found = evaluate([0, 0, 0], [0.1, 0.2, 0.7], 0.5)
    assert found.auroc.model_dump() == {"value": None, "low": None, "high": None}
    assert (found.auprc, found.sensitivity, found.specificity) == (None, None, 2 / 3)
    assert '"sensitivity":null' in found.model_dump_json()


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([], []),
        ([0, 1], [0.5]),
        ([0, 2], [0.1, 0.2]),
        ([0, 1], [0.1, np.nan]),
        ([0, 1], [0.1, 1.01]),
        ([[0, 1]], [[0, 1]]),
    ],
)
def test_contradictory_cases_are_refused(y: list[int], p: list[float]) -> None:
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate(y, p, 0.5)
