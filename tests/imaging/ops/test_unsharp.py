"""Unsharp masking."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import LARGEST, ct, keeps_constants, sees_valid_pixels_alone
from pydantic import ValidationError
from skimage.filters import unsharp_mask

from medray.imaging.table import Unsharp, unsharp
from medray.types import Image


@pytest.mark.parametrize("shape", [(128, 128), (24, 24, 28)])
def test_it_is_that_of_scikit_image_away_from_the_border(shape: tuple[int, ...]) -> None:
    pixels = np.resize(ct().pixels, shape)
    expected = unsharp_mask(pixels.astype(np.float64), radius=1, amount=2, preserve_range=True)
    inside = (slice(6, -6),) * len(shape)
    ours = unsharp(Image(pixels), Unsharp(sigma=1, amount=2)).pixels
    np.testing.assert_allclose(ours[inside], expected[inside], rtol=1e-4, atol=0.1)


def test_it_makes_an_edge_overshoot() -> None:
    step = np.repeat([[0.0, 1.0]], 8, axis=1).astype(np.float32)
    result = unsharp(Image(np.repeat(step, 8, axis=0)), Unsharp()).pixels
    assert result.min() < -0.1
    assert result.max() > 1.1


def test_bad_images() -> None:
    keeps_constants(Unsharp(amount=10), rtol=1e-5)
    sees_valid_pixels_alone(Unsharp())
    spike = np.full((9, 9), -LARGEST, np.float32)
    spike[4, 4] = LARGEST
    result = unsharp(Image(spike), Unsharp(amount=10)).pixels
    assert (result.min(), result.max()) == (-LARGEST, LARGEST)


@pytest.mark.parametrize("fields", [{"sigma": 0}, {"sigma": 101}, {"amount": 0}, {"amount": 11}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Unsharp.model_validate(fields)
