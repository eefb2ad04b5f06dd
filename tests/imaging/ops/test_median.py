"""Median filter."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import ct, keeps_constants, leaves_invalid_pixels, masked, needs_a_valid_pixel, sees_valid_pixels_alone
from pydantic import ValidationError
from scipy.ndimage import median_filter

from medray.imaging.table import Median, median
from medray.types import Image


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("shape", [(128, 128), (1, 50), (6, 20, 30)])
def test_it_is_that_of_scipy(kernel: int, shape: tuple[int, ...]) -> None:
    pixels = np.resize(ct().pixels, shape) * np.float32(0.3)
    expected = median_filter(pixels, size=kernel, mode="nearest")
    np.testing.assert_array_equal(median(Image(pixels), Median(kernel=kernel)).pixels, expected)


def test_a_lone_spike_goes_and_padding_gives_nothing() -> None:
    pixels = np.ones((9, 9))
    pixels[4, 4] = 100
    np.testing.assert_array_equal(median(Image(pixels.astype(np.float32)), Median()).pixels, 1)
    pixels[:, :3] = -1000
    np.testing.assert_array_equal(median(masked(pixels, pixels > 0), Median()).pixels[:, 3:], 1)


def test_bad_images() -> None:
    keeps_constants(Median())
    needs_a_valid_pixel(Median())
    sees_valid_pixels_alone(Median(kernel=5))
    leaves_invalid_pixels(Median())


@pytest.mark.parametrize("kernel", [1, 4, 7])
def test_wrong_specs_are_refused(kernel: int) -> None:
    with pytest.raises(ValidationError, match="3 or 5"):
        Median(kernel=kernel)
