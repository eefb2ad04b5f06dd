"""Wavelet shrinkage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from filter_checks import (
    ct,
    keeps_constants,
    leaves_invalid_pixels,
    needs_a_valid_pixel,
    noisy,
    sees_valid_pixels_alone,
    smooths_and_keeps_the_edge,
)
from pydantic import ValidationError
from skimage.restoration import denoise_wavelet

from medray.imaging.table import WaveletDenoise, wavelet_denoise
from medray.types import Image


@pytest.mark.parametrize("mode", ["soft", "hard"])
@pytest.mark.parametrize(("threshold", "theirs"), [("bayes", "BayesShrink"), ("visu", "VisuShrink")])
@pytest.mark.parametrize("shape", [(96, 97), (16, 20, 24)])
@pytest.mark.parametrize("noise", [None, 10.0])
def test_it_is_that_of_scikit_image(shape: tuple[int, ...], threshold: Any, theirs: str, mode: Any, noise: float | None) -> None:
    pixels = noisy(shape)
    expected = denoise_wavelet(
        pixels.astype(np.float64), noise, "db2", mode, wavelet_levels=2, method=theirs, rescale_sigma=False
    )
    spec = WaveletDenoise(threshold=threshold, mode=mode, levels=2, noise=noise)
    np.testing.assert_allclose(wavelet_denoise(Image(pixels), spec).pixels, expected, atol=1e-4)


@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym8", "coif2", "bior4.4"])
def test_noise_goes_and_the_edge_stays(wavelet: Any) -> None:
    smooths_and_keeps_the_edge(WaveletDenoise(wavelet=wavelet), (64, 64), 0.8)


def test_without_noise_nothing_changes() -> None:
    np.testing.assert_allclose(wavelet_denoise(ct(), WaveletDenoise(noise=1e-9)).pixels, ct().pixels, rtol=1e-5, atol=1e-3)


def test_bad_images() -> None:
    keeps_constants(WaveletDenoise())
    needs_a_valid_pixel(WaveletDenoise())
    sees_valid_pixels_alone(WaveletDenoise())
    leaves_invalid_pixels(WaveletDenoise())


@pytest.mark.parametrize("fields", [{"wavelet": "db99"}, {"levels": 0}, {"threshold": "sure"}, {"mode": "firm"}, {"noise": 0}])
def test_wrong_specs_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WaveletDenoise.model_validate(fields)


@pytest.mark.parametrize("threshold", ["bayes", "visu"])
@pytest.mark.parametrize("pixels", [np.zeros((16, 16)), np.indices((16, 16))[0] % 2 * 7.0], ids=["constant", "stripes"])
def test_an_image_without_noise_stays(threshold: Any, pixels: np.ndarray) -> None:
    image = Image(pixels.astype(np.float32))
    np.testing.assert_allclose(wavelet_denoise(image, WaveletDenoise(threshold=threshold)).pixels, image.pixels, atol=1e-6)
