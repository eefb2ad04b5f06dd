"""medray.evaluation.intervals against Hanley and McNeil, against standard errors, and at its edges."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scored_cases import noisy
from threadpoolctl import threadpool_limits

from medray.errors import ModelError
from medray.evaluation.intervals import auroc_interval, cluster_interval


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


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(0).gamma(2, size=800)
    found = cluster_interval(values)
    error = values.std() / np.sqrt(800)
    assert found.value == pytest.approx(values.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error), abs=0.02)
    assert cluster_interval(np.repeat(values, 3), np.repeat(np.arange(800), 3)).low == pytest.approx(found.low, abs=1e-12)
    assert cluster_interval(values, seed=1) != found == cluster_interval(values)


def test_a_function_of_means_has_its_own_interval() -> None:
    hits = np.random.default_rng(0).random((500, 2)) < 0.4
    ratio = cluster_interval(hits, statistic=lambda means: means[:, 0] / means[:, 1])
    swapped = cluster_interval(hits, statistic=lambda means: -means[:, 0] / means[:, 1])
    assert ratio.value == pytest.approx(hits[:, 0].sum() / hits[:, 1].sum())
    assert (swapped.low, swapped.high) == pytest.approx((-ratio.high, -ratio.low))


def test_an_interval_of_nothing_is_null_and_one_of_nan_is_refused() -> None:
    assert cluster_interval([]).model_dump() == {"value": None, "low": None, "high": None}
    for values, groups in (([1.0, np.nan], None), ([1.0, 2.0], [1])):
        with pytest.raises(ModelError, match="METRICS_INPUT"):
            cluster_interval(values, groups)


def test_an_interval_does_not_depend_on_the_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    one = rng.random(5000)
    values, patients = np.stack([one, one**2, one**3], axis=1), rng.integers(0, 2500, 5000)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(cluster_interval(values, patients, lambda means: means[:, 0] / means[:, 2]))
    assert found[0] == found[1]


def test_what_patients_are_called_decides_nothing() -> None:
    y, p = noisy(300)
    patients = np.arange(300) // 3
    first = auroc_interval(y, p, patients), cluster_interval(p, patients)
    for seed in range(3):
        names = np.random.default_rng(seed).permutation(100)[patients].astype(str)
        assert (auroc_interval(y, p, names), cluster_interval(p, names)) == first
