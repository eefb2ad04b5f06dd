"""medray.evaluation.overlap against scikit-learn on pixels, and at its edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle

from medray.errors import ModelError
from medray.evaluation.overlap import Overlap, dice, evaluate, iou, overlap, precision, sensitivity

_masks = arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 5)))


@given(_masks)
@settings(max_examples=50, deadline=None)
def test_figures_equal_scikit_learn_over_pixels(masks: np.ndarray) -> None:
    truth, answer = masks
    counts = [overlap(truth, answer)]
    flat = truth.ravel(), answer.ravel()
    assert dice(counts)[0] == pytest.approx(oracle.f1_score(*flat, zero_division=1), abs=1e-12)
    assert iou(counts)[0] == pytest.approx(oracle.jaccard_score(*flat, zero_division=1), abs=1e-12)
    assert sensitivity(counts)[0] == pytest.approx(oracle.recall_score(*flat, zero_division=np.nan), abs=1e-12, nan_ok=True)
    assert precision(counts)[0] == pytest.approx(oracle.precision_score(*flat, zero_division=np.nan), abs=1e-12, nan_ok=True)
    assert counts[0][:2] == (truth.sum(), answer.sum())


def test_images_are_counted_by_what_was_found_and_missed() -> None:
    counts = [Overlap(10, 10, 5), Overlap(10, 4, 0), Overlap(10, 0, 0), Overlap(0, 3, 0), Overlap(0, 0, 0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(counts)
    assert (found.n, found.lesions, found.found, found.missed, found.false_alarms, found.clear) == (5, 3, 1, 2, 1, 1)
    assert found.dice.value == pytest.approx((0.5 + 0 + 0 + 0 + 1) / 5)
    assert found.iou.value == pytest.approx((1 / 3 + 1) / 5)
    assert found.lesion_dice.value == pytest.approx(0.5 / 3)
    assert found.lesion_iou.value == pytest.approx(1 / 9)
    assert found.sensitivity.value == pytest.approx(0.5 / 3)
    assert found.precision.value == pytest.approx(0.5 / 3)


def test_intervals_draw_patients() -> None:
    rng = np.random.default_rng(2)
    both = rng.integers(0, 100, 60)
    counts = np.stack([np.full(60, 100), np.full(60, 100), both], axis=1)
    single = evaluate(counts).dice
    repeated = evaluate(np.repeat(counts, 4, axis=0), np.repeat(np.arange(60), 4)).dice
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high), abs=1e-12)
    error = np.std(both / 100) / np.sqrt(60)
    assert (single.low, single.high) == pytest.approx(np.mean(both / 100) + np.array([-1.96, 1.96]) * error, abs=0.01)


def test_without_a_lesion_its_figures_are_null() -> None:
    found = evaluate([Overlap(0, 0, 0), Overlap(0, 0, 0)])
    assert found.dice.model_dump() == {"value": 1.0, "low": 1.0, "high": 1.0}
    for figure in (found.lesion_dice, found.lesion_iou, found.sensitivity, found.precision):
        assert figure.model_dump() == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("counts", [[], np.zeros((0, 3), int), [[1, 2]], [[1, 2, 3]], [[2, 2, -1]], [[1.5, 2, 1]]])
def test_contradictory_counts_are_refused(counts: list[list[int]]) -> None:
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate(counts)


def test_masks_of_other_types_and_shapes_are_refused() -> None:
    mask = np.ones((2, 2), np.bool_)
    for truth, answer in ((mask, mask[:1]), (mask.astype(np.uint8), mask)):
        with pytest.raises(ModelError, match="METRICS_INPUT"):
            overlap(truth, answer)
    with pytest.raises(ModelError, match="METRICS_INPUT"):
        evaluate([[1, 1, 1]], groups=[1, 2])


def test_a_few_pixels_may_be_too_few() -> None:
    counts = [[50, 3, 3], [50, 40, 30], [0, 3, 0], [0, 20, 0]]
    found = evaluate(counts, least_px=10)
    assert (found.found, found.missed, found.false_alarms, found.clear) == (1, 1, 1, 1)
    touched = evaluate(counts)
    assert (touched.found, touched.missed, touched.false_alarms, touched.clear) == (2, 0, 2, 0)
