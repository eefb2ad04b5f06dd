"""medray.evaluation.novelty: figures of labelled cases are those of two classes, and without labels there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scored_cases import noisy

from medray.errors import ModelError
from medray.evaluation.binary import evaluate as evaluate_two_classes
from medray.evaluation.novelty import evaluate


def test_cases_without_a_label_change_no_figure_of_the_others() -> None:
    y, p = noisy(200)
    truth, scores = np.concatenate([y, np.full(50, np.nan)]), np.concatenate([p, np.linspace(0, 1, 50)])
    found, expected = evaluate(truth, scores, 0.4, np.arange(250) // 2), evaluate_two_classes(y, p, 0.4, np.arange(200) // 2)
    same = ("n", "positives", "auroc", "auprc", "accuracy", "sensitivity", "specificity", "f1", "confusion", "threshold")
    assert all(getattr(found, name) == getattr(expected, name) for name in same)
    assert found.n_unlabelled == 50
    assert found.flagged == np.mean(scores >= 0.4)
    assert (found.scores.low, found.scores.median, found.scores.high) == tuple(np.percentile(scores, [5, 50, 95]))


@pytest.mark.parametrize("truth", [np.nan, 0.0, 1.0])
def test_labels_of_one_kind_or_none_leave_figures_undefined(truth: float) -> None:
    found = evaluate(np.full(9, truth), np.linspace(0, 1, 9), 0.5)
    assert found.auroc.value is found.auroc.low is None
    assert (found.sensitivity is None, found.specificity is None) == (truth != 1, truth != 0)
    assert found.flagged == 5 / 9


def test_no_cases_and_wrong_labels() -> None:
    found = evaluate([], [], 0.5)
    assert found.flagged is found.scores.median is found.accuracy is None
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate([0, 2], [0.5, 0.6], 0.5)
