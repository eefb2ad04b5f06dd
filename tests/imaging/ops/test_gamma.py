"""Gamma correction."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import LARGEST, SHAPES, ct
from pydantic import ValidationError
from skimage.exposure import adjust_gamma

from medray.imaging.table import Gamma, Minmax, gamma, minmax
from medray.types import Image


@pytest.mark.parametrize("power", [0.05, 0.6, 1, 2.2, 20])
def test_it_is_that_of_scikit_image(power: float) -> None:
    image = minmax(ct(), Minmax())
    np.testing.assert_allclose(gamma(image, Gamma(gamma=power)).pixels, adjust_gamma(image.pixels, power), atol=1e-5)


def test_bad_images() -> None:
    for shape in SHAPES:
        for value, becomes in [(-LARGEST, 0), (-0.1, 0), (0.25, 0.5), (LARGEST, 1)]:
            np.testing.assert_array_equal(gamma(Image(np.full(shape, value, np.float32)), Gamma(gamma=0.5)).pixels, becomes)


@pytest.mark.parametrize("power", [0, -1, 21, float("inf")])
def test_wrong_specs_are_refused(power: float) -> None:
    with pytest.raises(ValidationError):
        Gamma(gamma=power)
