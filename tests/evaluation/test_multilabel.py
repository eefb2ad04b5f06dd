"""medray.evaluation.multilabel against the figures of each label alone, against resamples one by one, and at its edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from medray.errors import ModelError
from medray.evaluation import binary
from medray.evaluation.curves import auprc, auroc
from medray.evaluation.multilabel import evaluate


def _labelled(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three labels of each case, probabilities that tell them apart somewhat, and which labels are known (seven in ten)."""
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 3)) < [0.5, 0.3, 0.2]).astype(int)
    return truth, 1 / (1 + np.exp(-(rng.normal(size=(n, 3)) + 1.5 * truth))), rng.random((n, 3)) < 0.7


def test_each_label_has_the_figures_of_its_known_cases() -> None:
    truth, probability, known = _labelled(200)
    cut, patients = [0.5, 0.6, 0.7], np.repeat(np.arange(100), 2)
    found = evaluate(truth, probability, cut, known, patients, seed=4)
    for one, rows in enumerate(known.T):
        assert found.labels[one] == binary.evaluate(truth[rows, one], probability[rows, one], cut[one], patients[rows], seed=4)
    assert found.averaged == (0, 1, 2)
    assert found.macro_auroc.value == pytest.approx(np.mean([one.auroc.value for one in found.labels]), abs=1e-12)
    assert found.macro_auprc == pytest.approx(np.mean([one.auprc for one in found.labels]), abs=1e-12)


def test_what_is_not_known_plays_no_part() -> None:
    truth, probability, known = _labelled(100)
    other = np.where(known, truth, np.nan)
    assert evaluate(truth, probability, [0.5] * 3, known) == evaluate(other, probability, [0.5] * 3, known)


def test_macro_interval_equals_that_of_resamples_drawn_one_by_one() -> None:
    truth, probability, known = _labelled(400)
    found = evaluate(truth, probability, [0.5] * 3, known, np.repeat(np.arange(200), 2)).macro_auroc
    rng = np.random.default_rng(1)
    means = []
    for _ in range(300):
        rows = (2 * rng.integers(0, 200, 200)[:, None] + np.arange(2)).ravel()
        counted = [rows[known[rows, one]] for one in range(3)]
        means.append(np.mean([auroc(truth[use, one], probability[use, one]) for one, use in enumerate(counted)]))
    assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.01)


def test_labels_of_one_value_or_never_known_are_null_and_left_out_of_the_mean() -> None:
    truth = np.array([[0, 1, 0], [1, 1, 0], [0, 1, 1], [1, 1, 0]])
    probability = np.array([[0.1, 0.5, 0.5], [0.6, 0.5, 0.5], [0.7, 0.5, 0.5], [0.9, 0.5, 0.5]])
    known = np.array([[True, True, False]] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(truth, probability, [0.5] * 3, known)
        nothing = evaluate(truth[:, 1:], probability[:, 1:], [0.5] * 2, known[:, 1:])
    assert found.labels[2] is None
    assert found.labels[1].auroc.value is None
    assert found.averaged == (0,)
    assert found.macro_auroc.value == found.labels[0].auroc.value == 0.75
    assert found.macro_auprc == auprc(truth[:, 0], probability[:, 0])
    assert (nothing.macro_auroc.value, nothing.macro_auprc, nothing.averaged) == (None, None, ())
    assert '"macro_auprc":null' in nothing.model_dump_json()


@pytest.mark.parametrize(
    ("truth", "probability", "thresholds"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), [0.5, 0.5]),
        ([0, 1], [0.1, 0.2], [0.5]),
        ([[0, 2]], [[0.1, 0.2]], [0.5, 0.5]),
        ([[0, np.nan]], [[0.1, 0.2]], [0.5, 0.5]),
        ([[0, 1]], [[0.1, 1.2]], [0.5, 0.5]),
        ([[0, 1]], [[0.1, np.nan]], [0.5, 0.5]),
        ([[0, 1]], [[0.1, 0.2]], [0.5]),
    ],
)
def test_contradictory_cases_are_refused(truth: list[list[int]], probability: list[list[float]], thresholds: list[float]) -> None:
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate(truth, probability, thresholds)
