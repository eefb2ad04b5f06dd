"""Probabilities that come true as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medray.evaluation.recalibration import Calibration, calibrate_classes, calibrate_labels, softmax


def sure(n: int, classes: int, seed: int, slope: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, what was said of them with odds that are far too sure, and what would have been right."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 1.5 + np.linspace(0, -2, classes)
    right = softmax(logits)
    y = (rng.random(n)[:, None] > np.cumsum(right, axis=1)).sum(axis=1)
    return y, softmax(slope * logits + np.linspace(0, 1, classes)), right


@pytest.mark.parametrize("classes", [2, 4])
def test_what_was_too_sure_is_mapped_back(classes: int) -> None:
    y, said, right = sure(20_000, classes, 0)
    found = calibrate_classes(y, said)
    assert found.slope[0] == pytest.approx(1 / 3, abs=0.03)
    assert np.abs(found.apply(said) - right).max() < 0.05
    assert np.abs(said - right).max() > 0.3


def test_two_classes_are_platts_sigmoid() -> None:
    from sklearn.calibration import _SigmoidCalibration

    y, said, _ = sure(300, 2, 1)
    odds = np.log(said[:, 1] / said[:, 0])
    expected = _SigmoidCalibration().fit(odds, y).predict(odds)
    np.testing.assert_allclose(calibrate_classes(y, said).apply(said)[:, 1], expected, atol=1e-4)


def test_labels_are_mapped_each_on_its_own_where_they_are_known() -> None:
    y, said, right = sure(20_000, 2, 2)
    truth = np.column_stack([y, 1 - y]).astype(np.float64)
    truth[::3, 0] = np.nan
    p = np.column_stack([said[:, 1], right[:, 0]])
    found = calibrate_labels(truth, p)
    assert found.fits("labels", 2)
    assert np.abs(found.apply(p) - np.column_stack([right[:, 1], right[:, 0]])).max() < 0.05
    assert found.slope[1] == pytest.approx(1, abs=0.1)


def test_few_images_that_are_told_apart_do_not_make_answers_sure() -> None:
    said = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5)
    p = calibrate_classes(np.repeat([0, 1], 5), said).apply(said)
    assert p[0, 1] == pytest.approx(1 / 7, abs=0.01)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_every_answer_is_a_probability_and_the_order_of_two_classes_stays(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    y, said = rng.integers(classes, size=50), rng.dirichlet(np.full(classes, 0.3), size=50)
    found = calibrate_classes(y, said).apply(said)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert ((found >= 0) & (found <= 1)).all()
    if classes == 2:
        assert (np.diff(found[np.argsort(said[:, 1], kind="stable"), 1]) >= -1e-12).all()


@pytest.mark.parametrize("wrong", [{"slope": (-1.0,)}, {"slope": (1e300,)}, {"intercept": (0.0, 1e300)}])
def test_a_map_does_not_turn_answers_round_or_overflow(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate({"kind": "classes", "slope": (1.0,), "intercept": (0.0, 0.0), **wrong})


def test_a_map_is_of_one_head() -> None:
    found = Calibration(kind="classes", slope=(1.0,), intercept=(0.0, 0.0, 0.0))
    assert found.fits("classes", 3)
    assert not found.fits("classes", 2)
    assert not found.fits("labels", 3)
