"""medray.evaluation.binary against scikit-learn, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scored_cases import CASES
from sklearn import metrics as oracle

from medray.errors import ModelError
from medray.evaluation.binary import evaluate


@given(CASES)
@settings(max_examples=50, deadline=None)
def test_figures_equal_scikit_learn(rows: list[tuple[int, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
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
