"""Gaussian filter."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import ct, keeps_constants, masked, sees_valid_pixels_alone
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from medray.imaging.table import Gaussian, gaussian
from medray.types import Image


@pytest.mark.parametrize("sigma", [0.5, 1, 2.25])
@pytest.mark.parametrize("shape", [(128, 128), (1, 60), (12, 24, 30)])
def test_it_is_that_of_scipy_along_every_axis(sigma: float, shape: tuple[int, ...]) -> None:
    pixels = np.resize(ct().pixels, shape)
    expected = gaussian_filter(pixels.astype(np.float64), sigma, mode="mirror", radius=round(8 * sigma + 1) // 2)
    np.testing.assert_allclose(gaussian(Image(pixels), Gaussian(sigma=sigma)).pixels, expected, rtol=1e-5, atol=2e-2)


def test_padding_has_no_weight() -> None:
    for shape in [(9, 9), (5, 5, 5)]:
        pixels = np.ones(shape)
        pixels[(shape[0] // 2,) * len(shape)] = 100
        result = gaussian(masked(pixels, pixels == 1), Gaussian(sigma=0.8)).pixels
        np.testing.assert_allclose(result, 1, rtol=1e-6)


def test_bad_images() -> None:
    keeps_constants(Gaussian(sigma=3))
    sees_valid_pixels_alone(Gaussian())
    apart = Image(np.array([[-3.4e38, 3.4e38]] * 2, np.float32))
    assert np.isfinite(gaussian(apart, Gaussian()).pixels).all()


@pytest.mark.parametrize("sigma", [0, -1, 101, float("nan")])
def test_wrong_specs_are_refused(sigma: float) -> None:
    with pytest.raises(ValidationError):
        Gaussian(sigma=sigma)
