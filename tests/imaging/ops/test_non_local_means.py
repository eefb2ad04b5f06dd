"""Non-local means."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import (
    LARGEST,
    keeps_constants,
    leaves_invalid_pixels,
    needs_a_valid_pixel,
    noisy,
    sees_valid_pixels_alone,
    smooths_and_keeps_the_edge,
)
from pydantic import ValidationError
from skimage.restoration import denoise_nl_means

from medray.imaging.table import NonLocalMeans, non_local_means
from medray.types import Image

SPEC = NonLocalMeans(patch=1, search=3, strength=12)


def twin(pixels: np.ndarray, spec: NonLocalMeans) -> np.ndarray:
    """The definition, pixel by pixel in float64."""
    side = 2 * spec.patch + 1
    padded = np.pad(pixels.astype(np.float64), spec.patch + spec.search, mode="edge")
    patches = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    result = np.empty(pixels.shape)
    for row, column in np.ndindex(pixels.shape):
        near = patches[row : row + 2 * spec.search + 1, column : column + 2 * spec.search + 1]
        distance = np.square(near - patches[row + spec.search, column + spec.search]).mean((2, 3))
        weight = np.exp(-distance / spec.strength**2)
        result[row, column] = (weight * near[:, :, spec.patch, spec.patch]).sum() / weight.sum()
    return result


@pytest.mark.parametrize("shape", [(18, 21), (1, 30), (30, 1)])
def test_it_is_its_definition(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(non_local_means(Image(noisy(shape)), SPEC).pixels, twin(noisy(shape), SPEC), atol=2e-3)


def test_it_is_close_to_that_of_scikit_image() -> None:
    """Which takes patches that are a pixel smaller, and leaves out weights below exp(-5)."""
    pixels = noisy((40, 40))
    theirs = denoise_nl_means(pixels, patch_size=3, patch_distance=3, h=12, fast_mode=True)
    difference = np.abs(non_local_means(Image(pixels), SPEC).pixels - theirs)[4:-4, 4:-4]
    assert difference.mean() < 1


def test_noise_goes_and_the_edge_stays() -> None:
    smooths_and_keeps_the_edge(NonLocalMeans(strength=12), (40, 40), 0.35)


def test_an_outlier_spoils_its_own_patches_alone() -> None:
    pixels = noisy((24, 24))
    expected = non_local_means(Image(pixels), SPEC).pixels
    pixels[12, 4] = -LARGEST
    result = non_local_means(Image(pixels), SPEC).pixels
    assert result[12, 4] == -LARGEST
    np.testing.assert_array_equal(result[:, 10:], expected[:, 10:])
    assert np.abs(np.delete(result - pixels, 4, axis=1)).max() < 60


def test_bad_images() -> None:
    keeps_constants(SPEC)
    needs_a_valid_pixel(SPEC)
    sees_valid_pixels_alone(SPEC)
    leaves_invalid_pixels(SPEC)


@pytest.mark.parametrize("fields", [{"patch": 0}, {"patch": 8}, {"search": 16}, {"strength": 0}, {"strength": 1e7}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        NonLocalMeans.model_validate(fields)
