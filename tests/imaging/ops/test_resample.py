"""Resample to a spacing in mm."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import SimpleITK
from placed_images import is_ramp, placed, ramp
from pydantic import ValidationError

from medray.errors import Excluded
from medray.imaging.resampling import resample_axis
from medray.imaging.table import Resample, resample
from medray.types import Header, Image

NOISE = np.random.default_rng(5).normal(size=(23, 31)).astype(np.float32)


def test_the_spacing_is_exactly_what_was_asked_for() -> None:
    result = resample(placed(NOISE), Resample(row_mm=0.7, column_mm=0.7))
    assert result.header.spacing_mm == (0.7, 0.7)
    assert result.pixels.shape == (round(23 * 0.5 / 0.7), round(31 * 0.3 / 0.7))


@pytest.mark.parametrize("spacing", [(0.25, 0.3), (0.2, 0.11), (0.43, 0.29)])
def test_a_finer_grid_is_simpleitks_linear_interpolation(spacing: tuple[float, float]) -> None:
    image = placed(NOISE)
    ours = resample(image, Resample(row_mm=spacing[0], column_mm=spacing[1]))
    before = SimpleITK.GetImageFromArray(image.pixels)
    before.SetSpacing((0.3, 0.5))
    grid = SimpleITK.Image(ours.pixels.shape[1], ours.pixels.shape[0], SimpleITK.sitkFloat32)
    grid.SetSpacing(spacing[::-1])
    centres = [(31 * 0.3, 23 * 0.5), (ours.pixels.shape[1] * spacing[1], ours.pixels.shape[0] * spacing[0])]
    first = [(a - b) / 2 + (new - old) / 2 for a, b, new, old in zip(*centres, spacing[::-1], (0.3, 0.5), strict=True)]
    grid.SetOrigin(first)
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.Resample(before, grid, SimpleITK.Transform(), SimpleITK.sitkLinear))
    np.testing.assert_allclose(ours.pixels[2:-2, 3:-3], theirs[2:-2, 3:-3], atol=1e-5)


def test_a_coarser_grid_is_opencvs_area_mean() -> None:
    expected = cv2.resize(NOISE[:, :30], (10, 23), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(resample_axis(NOISE[:, :30], 1, 10, 3.0), expected, atol=1e-6)
    fraction = cv2.resize(NOISE, (12, 23), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(resample_axis(NOISE, 1, 12, 31 / 12), fraction, atol=1e-6)


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.4, 9.0])
def test_a_constant_stays_constant(scale: float) -> None:
    np.testing.assert_allclose(resample_axis(np.full((5, 40), 3, np.float32), 1, 17, scale), 3, rtol=1e-6)


def test_the_content_of_a_volume_keeps_its_place() -> None:
    result = resample(ramp((5, 24, 30)), Resample(row_mm=1.0, column_mm=0.9, slice_mm=0.7))
    assert result.spacing_mm == (0.7, 1.0, 0.9)
    assert result.pixels.shape == (14, 12, 10)
    is_ramp(result, border=2)


def test_padding_has_no_weight_and_the_mask_follows() -> None:
    pixels = np.where(np.arange(20) < 10, 1.0, 900.0)[None].repeat(8, 0)
    image = replace(placed(pixels), valid=pixels < 2, mask=pixels < 2)
    result = resample(image, Resample(column_mm=0.9))
    assert result.valid is not None
    assert result.mask is not None
    np.testing.assert_allclose(result.pixels[result.valid], 1)
    np.testing.assert_array_equal(result.mask, result.valid)


def test_what_is_not_given_stays() -> None:
    plane = placed(NOISE)
    np.testing.assert_array_equal(resample(plane, Resample(slice_mm=1)).pixels, NOISE)
    assert resample(plane, Resample(row_mm=1)).header.spacing_mm == (1, 0.3)
    assert resample(Image(NOISE[:1, :1], header=plane.header), Resample(row_mm=3)).pixels.shape == (1, 1)


def test_an_unknown_spacing_is_excluded() -> None:
    with pytest.raises(Excluded, match="SPACING_UNKNOWN"):
        resample(Image(NOISE), Resample(row_mm=1))
    with pytest.raises(Excluded, match="SPACING_UNKNOWN"):
        resample(replace(placed(NOISE[None]), slice_spacing_mm=None), Resample(slice_mm=1))


def test_too_fine_a_grid_is_excluded() -> None:
    with pytest.raises(Excluded, match="IMAGE_TOO_LARGE"):
        resample(placed(np.ones((60, 60))), Resample(row_mm=0.001, column_mm=0.001))


def test_nothing_to_do_is_no_spec() -> None:
    with pytest.raises(ValidationError, match="give row_mm, column_mm or slice_mm"):
        Resample()


def test_a_pixel_larger_than_the_image_is_its_mean() -> None:
    tiny = replace(placed(NOISE), header=replace(placed(NOISE).header, spacing_mm=(1e-9, 1e-9)))
    result = resample(tiny, Resample(row_mm=1000, column_mm=1000))
    np.testing.assert_allclose(result.pixels, [[NOISE.mean()]], atol=1e-6)


def test_what_shrinks_does_so_first_whatever_the_axis() -> None:
    pixels = np.ones((2, 40_000))
    for image, spec in [
        (placed(pixels), Resample(row_mm=0.001, column_mm=300)),
        (placed(pixels.T), Resample(row_mm=300, column_mm=0.001)),
    ]:
        tracemalloc.start()
        result = resample(image, spec)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert result.pixels.shape in {(1000, 40), (67, 600)}
        np.testing.assert_allclose(result.pixels, 1, rtol=1e-5)
        assert peak < 10 << 20


@pytest.mark.parametrize(
    ("known", "shape", "after"),
    [
        ({"pixel_aspect": 2.0}, (20, 30), {}),
        ({"pixel_aspect": 0.5}, (10, 60), {}),
        ({"spacing_mm": (0.4, 0.2)}, (20, 30), {"spacing_mm": (0.2, 0.2)}),
        ({"spacing_mm": (0.3, 0.3)}, (10, 30), {"spacing_mm": (0.3, 0.3)}),
        ({}, (10, 30), {}),
    ],
)
def test_square_pixels_need_no_millimetres(known: dict[str, Any], shape: tuple[int, int], after: dict[str, Any]) -> None:
    image = Image(np.ones((10, 30), np.float32), header=Header(**known))
    square = resample(image, Resample(square=True))
    assert square.pixels.shape == shape
    assert square.pixel_shape == pytest.approx((1, 1))
    assert square.header.spacing_mm == (pytest.approx(after["spacing_mm"]) if after else None)


def test_an_aspect_ratio_is_no_spacing() -> None:
    with pytest.raises(Excluded, match="SPACING_UNKNOWN"):
        resample(Image(np.ones((4, 4), np.float32), header=Header(pixel_aspect=2.0)), Resample(row_mm=1, column_mm=1))


def test_square_pixels_of_a_volume_and_another_slice_spacing() -> None:
    volume = placed(np.ones((4, 6, 10)), spacing_mm=(0.5, 0.25))
    square = resample(volume, Resample(square=True, slice_mm=1))
    assert (square.pixels.shape, square.spacing_mm) == ((8, 12, 10), pytest.approx((1, 0.25, 0.25)))


def test_square_pixels_and_millimetres_are_not_asked_for_together() -> None:
    with pytest.raises(ValidationError):
        Resample(square=True, row_mm=1)
