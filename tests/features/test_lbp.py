"""Local binary patterns against scikit-image and drawn images."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured
from skimage.feature import local_binary_pattern

from medray.features.lbp import LBP, LbpParams


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(61, 83), (11, 40)])
def test_shares_equal_those_of_scikit_image(radius: int, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(radius).random(shape, dtype=np.float32)
    with pytest.warns(UserWarning, match="integer"):
        patterns = local_binary_pattern(pixels.astype(np.float64), 8, radius, "uniform")[radius:-radius, radius:-radius]
    expected = np.bincount(patterns.astype(int).ravel(), minlength=10) / patterns.size
    found = measured(LBP, pixels, params=LbpParams(radii=(radius,)))
    np.testing.assert_allclose(list(found.values()), expected, rtol=0, atol=1e-12)


def twin(pixels: np.ndarray, region: np.ndarray, radius: int) -> np.ndarray:
    """Pixel by pixel."""
    counts = np.zeros(10)
    for row in range(radius, pixels.shape[0] - radius):
        for column in range(radius, pixels.shape[1] - radius):
            if not region[row - radius : row + radius + 1, column - radius : column + radius + 1].all():
                continue
            bits = []
            for n in range(8):
                down, across = -radius * np.sin(np.pi * n / 4), radius * np.cos(np.pi * n / 4)
                r, c = int(np.floor(np.round(row + down, 5))), int(np.floor(np.round(column + across, 5)))
                dr, dc = row + down - r, column + across - c
                square = np.pad(pixels, ((0, 1), (0, 1)))[r : r + 2, c : c + 2]
                bits.append(np.array([1 - dr, dr]) @ square @ np.array([1 - dc, dc]) >= pixels[row, column] - 1e-6)
            arcs = np.count_nonzero(np.array(bits) != np.roll(bits, 1))
            counts[sum(bits) if arcs <= 2 else 9] += 1
    return counts / counts.sum()


@pytest.mark.parametrize("radius", [1, 2])
def test_neighbourhoods_that_leave_the_region_do_not_count(radius: int) -> None:
    rng = np.random.default_rng(3)
    pixels, region = rng.random((24, 21), dtype=np.float32), rng.random((24, 21)) < 0.98
    found = measured(LBP, pixels, region, LbpParams(radii=(radius,)))
    np.testing.assert_allclose(list(found.values()), twin(pixels, region, radius), atol=1e-12)


def test_patterns_of_an_edge_and_of_a_spot() -> None:
    edge = np.where(np.arange(9) < 4, 0.2, 0.8) * np.ones((9, 1))
    found = measured(LBP, edge, params=LbpParams(radii=(1,)))
    assert found["lbp_8_r1"] == pytest.approx(6 / 7)
    assert found["lbp_5_r1"] == pytest.approx(1 / 7)
    spots = np.zeros((9, 9))
    spots[4, 4] = 1
    assert measured(LBP, spots, params=LbpParams(radii=(1,)))["lbp_0_r1"] == pytest.approx(1 / 49)


def test_ties_count_as_brighter_also_between_pixels() -> None:
    for level in (0.1, 0.3, 0.7, 1000.0):
        assert measured(LBP, np.full((16, 16), level))["lbp_8_r1"] == 1


def test_small_and_empty_regions() -> None:
    assert np.isnan(list(measured(LBP, np.ones((2, 300))).values())).all()
    assert np.isnan(list(measured(LBP, np.ones((16, 16)), np.arange(16) % 3 > 0 * np.ones((16, 1))).values())).all()


def test_quarter_turns_do_not_show() -> None:
    pixels = np.random.default_rng(1).random((40, 30))
    assert measured(LBP, np.rot90(pixels)) == pytest.approx(measured(LBP, pixels), abs=1e-12)
