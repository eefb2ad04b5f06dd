"""Pad to a size in pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from placed_images import marked, placed, same_place
from pydantic import ValidationError

from medray.errors import Excluded
from medray.imaging.table import Pad, pad
from medray.types import Image


def test_it_centres_and_marks_padding_invalid() -> None:
    padded = pad(Image(np.ones((2, 3), np.float32)), Pad(rows=4, columns=7, value=-5))
    assert padded.valid is not None
    assert padded.valid[1:3, 2:5].all()
    assert padded.valid.sum() == 6
    np.testing.assert_array_equal(padded.pixels == 1, padded.valid)
    assert (padded.pixels[~padded.valid] == -5).all()


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5)])
def test_the_content_keeps_its_place_and_its_mask(shape: tuple[int, ...]) -> None:
    image = replace(placed(marked(shape, tuple(size - 1 for size in shape))), mask=marked(shape, (0,) * len(shape)) > 0)
    padded = pad(image, Pad(rows=8, columns=9, slices=6))
    assert padded.pixels.shape == (*([6] if len(shape) == 3 else []), 8, 9)
    assert padded.mask is not None
    assert padded.mask.sum() == 1
    same_place(image, padded)


@pytest.mark.parametrize("shape", [(2, 8), (5, 2), (3, 2, 2)])
def test_a_larger_image_is_excluded(shape: tuple[int, ...]) -> None:
    with pytest.raises(Excluded, match="IMAGE_LARGER_THAN_PAD"):
        pad(Image(np.ones(shape, np.float32)), Pad(rows=4, columns=7, slices=2))


def test_too_large_a_volume_is_excluded_and_a_value_no_float32_can_hold_refused() -> None:
    with pytest.raises(Excluded, match="IMAGE_TOO_LARGE"):
        pad(Image(np.ones((1, 2, 2), np.float32)), Pad(rows=16384, columns=16384, slices=2))
    with pytest.raises(ValidationError):
        Pad(rows=1, columns=1, value=1e300)
