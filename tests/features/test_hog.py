"""Histograms of oriented gradients of drawn images, against scikit-image where the definitions meet."""

from __future__ import annotations

import numpy as np
import pytest
from feature_values import measured
from skimage.feature import hog

from medray.features.family import Reason
from medray.features.gradient import gradient, orientation_histograms
from medray.features.hog import HOG, HogParams
from medray.types import Image


def test_cells_see_their_own_part() -> None:
    pixels = np.zeros((64, 64))
    pixels[8:24, 40:56] = 1
    found = measured(HOG, pixels, params=HogParams(grid=2))
    cells = {cell: sum(found[f"hog_{cell}_{n}"] for n in range(8)) for cell in ("0_0", "0_1", "1_0", "1_1")}
    assert cells["0_1"] > 0.5
    assert cells["0_0"] == cells["1_0"] == cells["1_1"] == 0
    assert sum(value**2 for value in found.values()) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("orientations", [2, 6, 8])
def test_equals_scikit_image_for_gradients_along_an_axis(turned: bool, orientations: int) -> None:
    """Then Sobel's kernel is the central difference, and no weight is shared between bins."""
    profile = np.random.default_rng(orientations).random(48)
    pixels = np.tile(profile, (48, 1)).T if turned else np.tile(profile, (48, 1))
    expected = hog(pixels, orientations, (12, 12), (4, 4), block_norm="L2", feature_vector=True)
    found = measured(HOG, pixels, params=HogParams(orientations=orientations, grid=4))
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-4)


def test_histograms_equal_those_of_plain_numpy() -> None:
    rng = np.random.default_rng(2)
    image = Image(rng.random((33, 50), dtype=np.float32), mask=rng.random((33, 50)) < 0.97)
    found = gradient(image)
    place = np.arctan2(found.down, found.right).astype(np.float64) / np.pi * 7
    expected = np.zeros((9, 7))
    for (row, column), inside in np.ndenumerate(found.counted):
        if inside:
            cell = row * 3 // 33 * 3 + column * 3 // 50
            lower = int(np.floor(place[row, column]))
            upper = place[row, column] - lower
            expected[cell, lower % 7] += (1 - upper) * found.magnitude[row, column]
            expected[cell, (lower + 1) % 7] += upper * found.magnitude[row, column]
    np.testing.assert_allclose(orientation_histograms(found, 3, 7), expected, rtol=1e-12)


def test_contrast_does_not_show_and_a_flat_image_has_none() -> None:
    pixels = np.random.default_rng(0).random((32, 32))
    assert measured(HOG, pixels / 2 + 0.25) == pytest.approx(measured(HOG, pixels), abs=1e-5)
    assert np.isnan(list(measured(HOG, np.full((32, 32), 0.5)).values())).all()
    assert np.isnan(list(measured(HOG, np.ones((1, 1))).values())).all()


def test_grey_levels_whose_squares_overflow_are_not_called_constant() -> None:
    pixels = (np.random.default_rng(0).random((16, 16)) * 1e30).astype(np.float32)
    reasons = HOG.extract(Image(pixels), HogParams()).reasons
    assert set(reasons.values()) == {Reason.UNDEFINED}
