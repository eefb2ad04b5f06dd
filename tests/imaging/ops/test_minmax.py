"""Min-max normalisation."""

from __future__ import annotations

import numpy as np
from filter_checks import LARGEST, ct, makes_constants, masked, needs_a_valid_pixel

from medray.imaging.table import Minmax, minmax


def test_the_valid_range_becomes_zero_to_one() -> None:
    result = minmax(ct(), Minmax())
    low, high = ct().pixels.min(), ct().pixels.max()
    np.testing.assert_allclose(result.pixels, (ct().pixels - low) / (high - low), atol=1e-6)
    assert (result.pixels.min(), result.pixels.max(), result.header.voi_window) == (0, 1, None)


def test_invalid_pixels_are_clipped() -> None:
    image = masked([[-LARGEST, 2, 3, 4, LARGEST]], [[0, 1, 1, 1, 0]])
    np.testing.assert_allclose(minmax(image, Minmax()).pixels, [[0, 0, 0.5, 1, 1]])


def test_bad_images() -> None:
    makes_constants(Minmax(), 0)
    needs_a_valid_pixel(Minmax())
