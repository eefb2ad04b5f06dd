"""medray.evaluation.thresholds against enumeration of all thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scored_cases import CASES, noisy

from medray.errors import ModelError
from medray.evaluation.binary import confusion
from medray.evaluation.thresholds import ThresholdPolicy, choose_threshold


@given(CASES)
@settings(max_examples=50, deadline=None)
def test_youden_point_is_the_best_of_all(rows: list[tuple[int, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))

    def youden(threshold: float) -> float:
        return float(np.mean(p[y == 1] >= threshold) - np.mean(p[y == 0] >= threshold))

    assert youden(choose_threshold(y, p).value) == pytest.approx(max(map(youden, p)))


@given(CASES, st.sampled_from([0.0, 0.5, 0.9, 1.0]))
@settings(max_examples=50, deadline=None)
def test_sensitivity_at_least_is_met_at_the_best_specificity(rows: list[tuple[int, float]], wanted: float) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    chosen = choose_threshold(y, p, ThresholdPolicy(kind="sensitivity_at_least", value=wanted)).value
    found = confusion(y, p, chosen)
    rivals = [confusion(y, p, t) for t in np.unique(p)]
    assert found.sensitivity >= wanted
    assert found.specificity == max(rival.specificity for rival in rivals if rival.sensitivity >= wanted)


def test_specificity_at_least_is_met_at_the_best_sensitivity() -> None:
    y, p = noisy(200)
    chosen = choose_threshold(y, p, ThresholdPolicy(kind="specificity_at_least", value=0.9)).value
    found = confusion(y, p, chosen)
    rivals = [confusion(y, p, t) for t in p]
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
