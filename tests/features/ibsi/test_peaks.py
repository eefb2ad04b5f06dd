"""The mean of a sphere against a plain convolution."""

from __future__ import annotations

import numpy as np
import pytest
from features.ibsi.volumes import measured, volume
from scipy.ndimage import convolve

from medray.features.ibsi.peaks import RADIUS_MM


def peaks(image: object, **changes: object) -> tuple[float, float]:
    found = measured(image, groups=["local"], **changes)
    return found["local_local_intensity_peak"], found["local_global_intensity_peak"]


def by_convolution(values: np.ndarray, mask: np.ndarray, valid: np.ndarray, spacing: tuple[float, ...]) -> tuple[float, float]:
    reach = [int(RADIUS_MM / step) for step in spacing]
    grid = np.mgrid[tuple(slice(-size, size + 1) for size in reach)]
    sphere = (sum((axis * step) ** 2 for axis, step in zip(grid, spacing, strict=True)) <= RADIUS_MM**2).astype(float)
    total, count = (convolve(array, sphere, mode="constant") for array in (np.where(valid, values, 0.0), valid.astype(float)))
    means = total / np.maximum(count, 1)
    return means[mask & (values == values[mask].max())].max(), means[mask].max()


@pytest.mark.parametrize("spacing", [(3.0, 1.5, 0.5), (1.0, 2.0, 4.0), (7.0, 7.0, 7.0), (2.5, 0.9, 0.9)])
def test_spheres(spacing: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(-50, 50, (12, 18, 30)).astype(np.float32)
    valid = rng.random(values.shape) < 0.9
    mask = np.zeros(values.shape, bool)
    mask[4:7, 2:9, 11:25] = True
    expected = by_convolution(values, mask & valid, valid, spacing)
    assert peaks(volume(values, mask, spacing, valid)) == pytest.approx(expected, rel=1e-9)


def test_the_sphere_reaches_out_of_the_region() -> None:
    values = np.full((3, 3, 3), 8.0)
    values[1, 1, 1] = 2
    mask = values == 2
    assert peaks(volume(values, mask, (2, 2, 2))) == pytest.approx(((26 * 8 + 2) / 27,) * 2)


def test_of_several_largest_values_the_higher_peak() -> None:
    line = np.array([9, 1, 1, 1, 1, 1, 1, 9, 5, 1], dtype=float).reshape(1, 1, -1)
    assert peaks(volume(line, spacing=(9, 9, 6)))[0] == pytest.approx(5)


def test_resegmentation_limits_the_centres_alone() -> None:
    line = np.array([9, 4, 1], dtype=float).reshape(1, 1, -1)
    assert peaks(volume(line, spacing=(9, 9, 6)), resegment=(None, 5)) == pytest.approx((14 / 3, 14 / 3))
