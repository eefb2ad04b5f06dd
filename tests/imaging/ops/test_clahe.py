"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from filter_checks import LARGEST, SHAPES, ct
from pydantic import ValidationError

from medray.imaging.table import Clahe, Window, clahe, window
from medray.types import Image

DULL = window(ct(), Window(centre=0, width=4000))


def test_it_is_that_of_opencv_over_256_levels() -> None:
    levels = np.rint(DULL.pixels * 255).astype(np.uint8)
    expected = cv2.createCLAHE(3, (4, 4)).apply(levels) / np.float32(255)
    assert np.abs(clahe(DULL, Clahe(clip_limit=3, tiles=4)).pixels - expected).max() < 1e-6


def test_it_spreads_a_dull_image() -> None:
    mild, strong = (clahe(DULL, Clahe(clip_limit=limit)).pixels.std() for limit in (2, 20))
    assert DULL.pixels.std() < mild < 0.7 * strong


def test_bad_images() -> None:
    for shape in SHAPES:
        for value in (-LARGEST, 0.5, LARGEST):
            if len(shape) == 2:
                result = clahe(Image(np.full(shape, value, np.float32)), Clahe(tiles=64)).pixels
                assert result.shape == shape
                assert result.min() == result.max()
                assert 0 <= result.min() <= 1


@pytest.mark.parametrize("fields", [{"clip_limit": float("nan")}, {"clip_limit": 0}, {"tiles": 0}, {"tiles": 65}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Clahe.model_validate(fields)


def test_what_stands_in_padding_changes_nothing() -> None:
    valid = np.ones(DULL.pixels.shape, bool)
    valid[:, :40] = False
    first, second = (
        clahe(replace(DULL, pixels=np.where(valid, DULL.pixels, np.float32(value)), valid=valid), Clahe()) for value in (0, 1)
    )
    np.testing.assert_array_equal(first.pixels[valid], second.pixels[valid])
    assert (first.pixels[~valid] == 0).all()
    assert (second.pixels[~valid] == 1).all()
