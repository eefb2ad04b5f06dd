"""medray.evaluation.intervals against Hanley and McNeil, and at its edges."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scored_cases import noisy

from medray.evaluation.intervals import auroc_interval


def test_interval_covers_hanley_mcneil_and_repeats() -> None:
    y, p = noisy(1000)
    started = time.perf_counter()
    found = auroc_interval(y, p, seed=3)
    assert time.perf_counter() - started < 2
    assert found == auroc_interval(y, p, seed=3)
    assert found != auroc_interval(y, p, seed=4)
    a, n1, n0 = found.value, y.sum(), (1 - y).sum()
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (n1 - 1) * (q1 - a * a) + (n0 - 1) * (q2 - a * a)) / (n1 * n0))
    assert found.low == pytest.approx(a - 1.96 * error, abs=0.01)
    assert found.high == pytest.approx(a + 1.96 * error, abs=0.01)


def test_repeated_images_of_a_patient_do_not_narrow_the_interval() -> None:
    y, p = noisy(100)
    single = auroc_interval(y, p)
    repeated = auroc_interval(np.repeat(y, 9), np.repeat(p, 9), groups=np.repeat(np.arange(100), 9))
    assert repeated.value == single.value
    assert repeated.low == pytest.approx(single.low, abs=1e-12)
    fooled = auroc_interval(np.repeat(y, 9), np.repeat(p, 9))
    assert fooled.high - fooled.low < 0.5 * (single.high - single.low)
