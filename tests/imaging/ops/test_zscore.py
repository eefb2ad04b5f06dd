"""Z-score normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import LARGEST, ct, makes_constants, masked, needs_a_valid_pixel

from medray.imaging.table import Zscore, zscore
from medray.types import Image


@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("shape", [(128, 128), (4, 64, 64), (1, 37)])
def test_it_is_the_one_of_numpy(offset: float, shape: tuple[int, ...]) -> None:
    pixels = np.resize(ct().pixels + np.float32(offset), shape)
    expected = (pixels - pixels.mean(dtype=np.float64)) / pixels.std(dtype=np.float64)
    np.testing.assert_allclose(zscore(Image(pixels), Zscore()).pixels, expected, rtol=1e-6, atol=1e-6)


def test_padding_counts_for_nothing_and_stays_finite() -> None:
    result = zscore(masked([[1, 3, LARGEST, -LARGEST]], [[1, 1, 0, 0]]), Zscore()).pixels
    np.testing.assert_array_equal(result, np.array([[-1, 1, LARGEST, -LARGEST]], np.float32))


def test_the_largest_values_are_scored() -> None:
    np.testing.assert_allclose(zscore(Image(np.array([[-LARGEST, LARGEST]], np.float32)), Zscore()).pixels, [[-1, 1]])


def test_bad_images() -> None:
    makes_constants(Zscore(), 0)
    needs_a_valid_pixel(Zscore())
