"""What every filter and normalisation must do with images that hold little or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medray.errors import Quarantined
from medray.imaging.table import OPS
from medray.types import Header, Image

SHAPES = [(1, 1), (1, 9), (9, 1), (6, 7), (1, 1, 1), (3, 1, 1), (4, 6, 5)]
LARGEST = float(np.finfo(np.float32).max)


def apply(image: Image, spec: Any) -> Image:
    return OPS[spec.op](image, spec)


def ct() -> Image:
    """A CT slice of 128 x 128 in Hounsfield units, with a window of its own."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    pixels = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return Image(pixels.astype(np.float32), header=Header(modality="CT", spacing_mm=(0.5, 0.25), voi_window=(40.0, 400.0)))


def masked(pixels: Any, valid: Any) -> Image:
    return Image(np.asarray(pixels, np.float32), np.asarray(valid, bool))


def noisy(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """float32: two halves that differ by 100, with noise of deviation 10."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 10, shape) + 100 * (np.indices(shape)[-1] >= shape[-1] // 2)
    return np.asarray(values, dtype=np.float32)


def keeps_constants(spec: Any, rtol: float = 1e-6) -> None:
    """A constant image, of any size and however bright, stays what it is to the precision of float32."""
    for shape in SHAPES:
        if len(shape) in spec.dimensions:
            for value in (0, 7.25, -1e30, LARGEST):
                np.testing.assert_allclose(apply(Image(np.full(shape, value, np.float32)), spec).pixels, value, rtol=rtol)


def makes_constants(spec: Any, becomes: float) -> None:
    """A constant image, of any size and however bright, becomes this value everywhere."""
    for shape in SHAPES:
        if len(shape) in spec.dimensions:
            for value in (7.25, -1e30, LARGEST):
                np.testing.assert_array_equal(apply(Image(np.full(shape, value, np.float32)), spec).pixels, becomes)


def needs_a_valid_pixel(spec: Any) -> None:
    for shape in [(1, 1), (4, 5), (2, 3, 4)]:
        if len(shape) in spec.dimensions:
            with pytest.raises(Quarantined, match="IMAGE_NO_VALID_PIXELS"):
                apply(masked(np.ones(shape), np.zeros(shape)), spec)


def sees_valid_pixels_alone(spec: Any, scale: float = 1) -> None:
    """Whatever the invalid pixels hold, the valid ones come out the same."""
    pixels = noisy((12, 14)) * np.float32(scale)
    valid = np.random.default_rng(1).random(pixels.shape) < 0.7
    first, second = (apply(masked(np.where(valid, pixels, other), valid), spec).pixels for other in (0, 1e30))
    np.testing.assert_array_equal(first[valid], second[valid])


def leaves_invalid_pixels(spec: Any) -> None:
    pixels = noisy((12, 14))
    valid = np.arange(14) > 3
    result = apply(masked(pixels, np.broadcast_to(valid, pixels.shape)), spec).pixels
    np.testing.assert_array_equal(result[:, ~valid], pixels[:, ~valid])


def smooths_and_keeps_the_edge(spec: Any, shape: tuple[int, ...], noise_left: float) -> None:
    """The noise of both halves falls to at most this share of what it was, and their difference stays."""
    before = noisy(shape)
    after = apply(Image(before), spec).pixels
    quarter = shape[-1] // 4
    dark, bright = after[..., :quarter], after[..., -quarter:]
    assert max(dark.std(), bright.std()) < 10 * noise_left
    assert bright.mean() - dark.mean() == pytest.approx(100, abs=3)


def speckled(shape: tuple[int, int], deviation: float = 0.3) -> np.ndarray:
    """float32: grey levels 50 and 200 under multiplicative noise with mean 1."""
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(shape[1]) < shape[1] // 2, 50, 200)
    return (truth * rng.gamma(deviation**-2, deviation**2, shape)).astype(np.float32)


def removes_speckle_and_keeps_the_edge(spec: Any) -> None:
    after = apply(Image(speckled((40, 60))), spec).pixels
    dark, bright = after[:, :20], after[:, -20:]
    assert dark.std() / dark.mean() < 0.08
    assert bright.std() / bright.mean() < 0.08
    assert bright.mean() / dark.mean() == pytest.approx(4, rel=0.05)


def takes_bad_images(spec: Any) -> None:
    """Of a speckle filter: constants, padding, negative and huge values."""
    keeps_constants(spec)
    needs_a_valid_pixel(spec)
    sees_valid_pixels_alone(spec)
    leaves_invalid_pixels(spec)
    for pixels in (noisy((9, 9)) - 50, np.where(np.eye(9) > 0, LARGEST, -LARGEST), np.zeros((9, 9))):
        assert np.isfinite(apply(Image(pixels.astype(np.float32)), spec).pixels).all()
