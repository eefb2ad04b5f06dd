"""Resample to a size in pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from placed_images import is_ramp, marked, placed, ramp

from medray.errors import Excluded
from medray.imaging.table import Resize, resize
from medray.types import Header, Image


def test_shrinking_does_not_alias_and_spacing_follows() -> None:
    checkers = np.indices((64, 64)).sum(0) % 2
    image = replace(Image(checkers.astype(np.float32)), header=Header(spacing_mm=(0.5, 0.25)))
    small = resize(image, Resize(rows=16, columns=32))
    np.testing.assert_allclose(small.pixels, 0.5)
    assert small.header.spacing_mm == (2.0, 0.5)


def test_it_shrinks_one_axis_and_enlarges_the_other() -> None:
    ramp = np.repeat(np.arange(8.0)[:, None], 4, axis=1)
    result = resize(Image(ramp.astype(np.float32)), Resize(rows=4, columns=16)).pixels
    np.testing.assert_allclose(result, np.repeat([[0.5], [2.5], [4.5], [6.5]], 16, axis=1))


def test_padding_has_no_weight() -> None:
    pixels = np.array([[1.0, 1.0, 1.0, 900.0, 900.0, 900.0, 900.0, 900.0]], np.float32)
    small = resize(Image(pixels, pixels < 2), Resize(rows=1, columns=4))
    assert small.valid is not None
    np.testing.assert_array_equal(small.valid, [[True, True, False, False]])
    np.testing.assert_allclose(small.pixels[small.valid], 1)


@pytest.mark.parametrize(("shape", "expected"), [((100, 50), (64, 32)), ((50, 100), (32, 64)), ((1, 500), (1, 64))])
def test_keep_aspect_fits_inside(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    spec = Resize(rows=64, columns=64, keep_aspect=True)
    assert resize(Image(np.ones(shape, np.float32)), spec).pixels.shape == expected


@pytest.mark.parametrize(
    ("known", "shape"),
    [({"pixel_aspect": 2.0}, (64, 64)), ({"spacing_mm": (0.1, 0.2)}, (16, 64)), ({"pixel_aspect": 0.5}, (16, 64))],
)
def test_the_aspect_that_is_kept_is_that_of_what_is_shown(known: dict[str, Any], shape: tuple[int, int]) -> None:
    image = Image(np.ones((50, 100), np.float32), header=Header(**known))
    after = resize(image, Resize(rows=64, columns=64, keep_aspect=True))
    assert after.pixels.shape == shape
    assert after.pixel_shape == pytest.approx((1, 1))


@pytest.mark.parametrize("size", [(10, 5), (40, 50), (4, 33)])
def test_the_content_keeps_its_place(size: tuple[int, int]) -> None:
    is_ramp(resize(ramp((20, 20)), Resize(rows=size[0], columns=size[1])), border=2)


def test_slices_are_resampled_as_rows_and_columns_are() -> None:
    blurred = np.stack([cv2.GaussianBlur(marked((12, 14), (5, 6)), (0, 0), 2) * weight for weight in (1, 2, 5, 2, 1, 0)])
    image = placed(blurred)
    for slices in (3, 9):
        resized = resize(image, Resize(rows=6, columns=7, slices=slices))
        assert resized.pixels.shape == (slices, 6, 7)
        assert resized.slice_spacing_mm == pytest.approx(2.0 * 6 / slices)
        is_ramp(resize(ramp((6, 12, 14)), Resize(rows=6, columns=7, slices=slices)), border=1)
    kept = resize(image, Resize(rows=6, columns=7))
    np.testing.assert_allclose(kept.pixels[2], cv2.resize(image.pixels[2], (7, 6), interpolation=cv2.INTER_AREA), atol=1e-7)


def test_one_pixel_grows_to_a_constant_image() -> None:
    assert (resize(Image(np.full((1, 1), 3, np.float32)), Resize(rows=4, columns=5)).pixels == 3).all()


def test_too_large_a_volume_is_excluded() -> None:
    with pytest.raises(Excluded, match="IMAGE_TOO_LARGE"):
        resize(Image(np.ones((2, 2, 2), np.float32)), Resize(rows=16384, columns=16384))
