"""medray.evaluation.multiclass against scikit-learn, against resamples one by one, and at its edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_cases import noisy
from sklearn import metrics as oracle

from medray.errors import ModelError
from medray.evaluation.curves import auroc
from medray.evaluation.intervals import auroc_interval
from medray.evaluation.multiclass import auroc_intervals, evaluate


def _three(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes (n,) of three, the last one rare, and probabilities (n, 3) that tell them apart somewhat."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    odds = np.exp(rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth])
    return truth, odds / odds.sum(axis=1, keepdims=True)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Small sets of two to four classes, all of them in truth, with many ties."""
    count = draw(st.integers(2, 4))
    more = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=20))
    truth = np.array([*range(count), *more])
    row = st.lists(st.integers(0, 4), min_size=count, max_size=count).filter(any)
    table = np.array(draw(st.lists(row, min_size=len(truth), max_size=len(truth))), dtype=np.float64)
    return truth, table / table.sum(axis=1, keepdims=True)


@given(_cases())
@settings(max_examples=30, deadline=None)
def test_figures_equal_scikit_learn(cases: tuple[np.ndarray, np.ndarray]) -> None:
    truth, table = cases
    decided, every = table.argmax(axis=1), range(table.shape[1])
    found = evaluate(truth, table)
    assert [list(row) for row in found.confusion] == oracle.confusion_matrix(truth, decided, labels=every).tolist()
    for one in every:
        figures, mine, theirs = found.classes[one], truth == one, decided == one
        assert figures.cases == mine.sum()
        assert figures.auroc.value == pytest.approx(oracle.roc_auc_score(mine, table[:, one]), abs=1e-12)
        assert figures.sensitivity == pytest.approx(oracle.recall_score(mine, theirs), abs=1e-12)
        assert figures.specificity == pytest.approx(oracle.recall_score(~mine, ~theirs), abs=1e-12)
        assert figures.f1 == pytest.approx(oracle.f1_score(mine, theirs), abs=1e-12)
        expected = oracle.precision_score(mine, theirs) if theirs.any() else None
        assert figures.precision == (expected if expected is None else pytest.approx(expected, abs=1e-12))
    areas = [oracle.roc_auc_score(truth == one, table[:, one]) for one in every]
    assert found.macro_auroc.value == pytest.approx(np.mean(areas), abs=1e-12)
    assert found.macro_f1 == pytest.approx(oracle.f1_score(truth, decided, average="macro"), abs=1e-12)
    assert found.accuracy == pytest.approx(np.mean(truth == decided), abs=1e-12)
    assert found.balanced_accuracy == pytest.approx(np.mean([one.sensitivity for one in found.classes]), abs=1e-12)
    assert found.kappa == pytest.approx(oracle.cohen_kappa_score(truth, decided), abs=1e-12)
    assert found.quadratic_kappa == pytest.approx(oracle.cohen_kappa_score(truth, decided, weights="quadratic"), abs=1e-12)
    assert found.log_loss == pytest.approx(oracle.log_loss(truth, table), abs=1e-12)
    assert found.brier == pytest.approx(np.mean(np.sum((table - np.eye(len(every))[truth]) ** 2, axis=1)), abs=1e-12)


def test_two_classes_have_the_interval_of_the_binary_auroc() -> None:
    y, p = noisy(150)
    assert y.sum() < len(y) / 2
    each, macro = auroc_intervals(y, np.stack([1 - p, p], axis=1), seed=3)
    assert each[1] == auroc_interval(y, p, seed=3)
    assert macro.low == pytest.approx(each[1].low, abs=1e-12)
    assert macro.value == pytest.approx(each[0].value, abs=1e-12)


def test_intervals_equal_those_of_resamples_drawn_one_by_one() -> None:
    truth, table = _three(400)
    groups = np.repeat(np.arange(200), 2)
    each, macro = auroc_intervals(truth, table, groups)
    rng = np.random.default_rng(1)
    areas = []
    for _ in range(300):
        rows = (2 * rng.integers(0, 200, 200)[:, None] + np.arange(2)).ravel()
        areas.append([auroc(truth[rows] == one, table[rows, one]) for one in range(3)])
    for found, drawn in zip((*each, macro), (*np.transpose(areas), np.mean(areas, axis=1)), strict=True):
        assert [found.low, found.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.01)
    assert macro.high - macro.low < max(one.high - one.low for one in each)


def test_a_macro_figure_is_of_the_classes_in_truth_and_null_without_one_of_them() -> None:
    found = evaluate([0, 1, 0, 1], [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.8, 0.2, 0], [0.6, 0.4, 0]])
    assert found.classes[2].model_dump(exclude={"auroc"}) == {
        "cases": 0,
        "sensitivity": None,
        "specificity": 1.0,
        "precision": None,
        "f1": None,
    }
    assert found.classes[2].auroc.value is None
    assert found.macro_auroc.value == 1
    assert found.balanced_accuracy == 0.75
    assert found.macro_precision == pytest.approx((2 / 3 + 1) / 2)
    assert evaluate([0, 1], [[0.9, 0.1], [0.8, 0.2]]).macro_precision is None


def test_one_class_gives_null_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate([1, 1], [[0.1, 0.9], [0.2, 0.8]])
    assert (found.macro_auroc.value, found.macro_auroc.low, found.kappa, found.macro_specificity) == (None, None, None, None)
    assert '"kappa":null' in found.model_dump_json()


def test_quadratic_kappa_knows_the_distance_of_a_class_that_no_case_has() -> None:
    found = evaluate([0, 3, 3, 0], np.eye(4)[[0, 3, 1, 0]])
    observed, by_chance = 4, (2 * 1 * 1 + 2 * 1 * 9 + 2 * 2 * 9 + 2 * 1 * 4) / 4
    assert found.quadratic_kappa == pytest.approx(1 - observed / by_chance)


@pytest.mark.parametrize(
    ("truth", "probability"),
    [
        ([], np.zeros((0, 3))),
        ([0, 3], np.full((2, 3), 1 / 3)),
        ([0.5, 1], np.full((2, 2), 0.5)),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]]),
        ([0, 1], [[1.1, -0.1], [0.5, 0.5]]),
        ([0, 1], [[np.nan, 1], [0.5, 0.5]]),
        ([0, 0], [[1.0], [1.0]]),
        ([0, 1], [0.1, 0.9]),
    ],
)
def test_contradictory_cases_are_refused(truth: list[float], probability: np.ndarray) -> None:
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate(truth, probability)
