"""Left–right symmetry of images whose axis is known."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured

from medray.features.symmetry import SYMMETRY, SymmetryParams

CENTRE = SymmetryParams(axis="centre")


def mirrored(width: int, total: int, seed: int = 0) -> np.ndarray:
    """Noise whose columns c and total - c are equal."""
    pixels = np.random.default_rng(seed).random((30, width))
    for column in range(width):
        if 0 <= total - column < width:
            pixels[:, column] = pixels[:, min(column, total - column)]
    return pixels


@pytest.mark.parametrize(("width", "total"), [(60, 59), (61, 60), (60, 52), (60, 55), (61, 66), (40, 36)])
def test_the_axis_is_found_on_a_column_or_between_two(width: int, total: int) -> None:
    found = measured(SYMMETRY, mirrored(width, total))
    assert found["symmetry_axis"] == pytest.approx(total / 2 / (width - 1))
    assert found["symmetry_correlation"] == pytest.approx(1)
    assert found["symmetry_absolute_difference"] == found["symmetry_side_difference"] == 0
    if total != width - 1:
        assert measured(SYMMETRY, mirrored(width, total), params=CENTRE)["symmetry_correlation"] < 0.8


def test_the_centre_in_plain_numpy() -> None:
    pixels = np.random.default_rng(1).random((20, 31)).astype(np.float32)
    found = measured(SYMMETRY, pixels, params=CENTRE)
    left, right = pixels[:, :15].astype(np.float64), pixels[:, 16:][:, ::-1].astype(np.float64)
    both, other = np.concatenate([left, right]), np.concatenate([right, left])
    assert found["symmetry_correlation"] == pytest.approx(np.corrcoef(both.ravel(), other.ravel())[0, 1], rel=1e-9)
    assert found["symmetry_absolute_difference"] == pytest.approx(np.abs(left - right).mean(), rel=1e-9)
    assert found["symmetry_side_difference"] == pytest.approx(left.mean() - right.mean(), rel=1e-9)
    assert found["symmetry_paired"] == 1
    assert found["symmetry_axis"] == 0.5


def twin(pixels: np.ndarray, region: np.ndarray, total: int) -> float:
    """Correlation over the pairs whose columns add up to the total."""
    first, second = [], []
    for row, column in np.argwhere(region):
        other = total - column
        if other != column and 0 <= other < pixels.shape[1] and region[row, other]:
            first.append(pixels[row, column])
            second.append(pixels[row, other])
    return float(np.corrcoef(np.array(first, float), np.array(second, float))[0, 1])


@pytest.mark.parametrize("masked", [False, True])
def test_no_other_axis_within_reach_is_better(masked: bool) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.random((12, 24), dtype=np.float32)
    region = rng.random((12, 24)) < 0.8 if masked else np.ones((12, 24), bool)
    region[0, 0] = region[0, -1] = True
    found = measured(SYMMETRY, pixels, region, SymmetryParams(search=0.2))
    correlations = {total: twin(pixels, region, total) for total in range(23 - 10, 23 + 11)}
    best = max(correlations, key=correlations.__getitem__)
    assert found["symmetry_axis"] == pytest.approx(best / 46)
    assert found["symmetry_correlation"] == pytest.approx(correlations[best], rel=1e-6)


def test_a_brighter_side_shows() -> None:
    pixels = np.random.default_rng(3).random((20, 40)) * 0.1
    pixels[:, 30:] += 0.5
    found = measured(SYMMETRY, pixels, params=CENTRE)
    assert found["symmetry_side_difference"] == pytest.approx(-0.25, abs=0.02)


def test_pairs_that_leave_the_region_do_not_count() -> None:
    pixels, region = mirrored(40, 39), np.ones((30, 40), bool)
    pixels[5:10, 3:9], region[5:10, 3:9] = 7, False
    found = measured(SYMMETRY, pixels, region, CENTRE)
    assert found["symmetry_correlation"] == pytest.approx(1)
    assert found["symmetry_paired"] == pytest.approx(1 - 30 / 1170)


def test_flat_and_narrow_images() -> None:
    flat = measured(SYMMETRY, np.full((10, 12), 0.4))
    assert np.isnan(flat["symmetry_correlation"])
    assert flat["symmetry_absolute_difference"] == 0
    assert flat["symmetry_axis"] == 0.5
    assert np.isnan(list(measured(SYMMETRY, np.ones((9, 1))).values())).all()
