"""Percentile normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import ct, makes_constants, masked, needs_a_valid_pixel
from pydantic import ValidationError

from medray.imaging.table import Percentile, percentile
from medray.types import Image


@pytest.mark.parametrize("scale", [1, 0.37])
def test_it_stretches_between_the_percentiles_of_numpy(scale: float) -> None:
    image = ct().with_pixels(ct().pixels * np.float32(scale))
    low, high = np.percentile(image.pixels.astype(np.float64), [2, 97])
    result = percentile(image, Percentile(low=2, high=97))
    np.testing.assert_allclose(result.pixels, np.clip((image.pixels - low) / (high - low), 0, 1), atol=1e-6)
    assert result.header.voi_window is None


def test_percentiles_ignore_padding() -> None:
    values = np.arange(101.0)
    image = masked(np.concatenate([values, [9999.0] * 50])[None], np.arange(151)[None] < 101)
    result = percentile(image, Percentile(low=10, high=90)).pixels[0]
    np.testing.assert_allclose(result[:101], np.clip((values - 10) / 80, 0, 1), atol=1e-6)


def test_a_volume_has_one_range() -> None:
    volume = np.stack([ct().pixels, ct().pixels + 500])
    np.testing.assert_array_equal(
        percentile(Image(volume), Percentile()).pixels.ravel(),
        percentile(Image(volume.reshape(256, -1)), Percentile()).pixels.ravel(),
    )


def test_bad_images() -> None:
    makes_constants(Percentile(), 0)
    needs_a_valid_pixel(Percentile())


@pytest.mark.parametrize("fields", [{"low": 50, "high": 50}, {"low": -1}, {"high": 100.1}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Percentile(**fields)
