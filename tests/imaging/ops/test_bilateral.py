"""Bilateral filter."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from filter_checks import (
    LARGEST,
    ct,
    keeps_constants,
    leaves_invalid_pixels,
    needs_a_valid_pixel,
    noisy,
    sees_valid_pixels_alone,
    smooths_and_keeps_the_edge,
)
from pydantic import ValidationError

from medray.imaging.table import Bilateral, bilateral
from medray.types import Image

SPEC = Bilateral(radius=3, sigma_space=1.7, sigma_range=25)


def twin(pixels: np.ndarray, spec: Bilateral) -> np.ndarray:
    """The definition, pixel by pixel in float64."""
    padded = np.pad(pixels.astype(np.float64), spec.radius, mode="edge")
    steps = np.arange(-spec.radius, spec.radius + 1)
    distance = steps[:, None] ** 2 + steps**2
    space = np.where(distance <= spec.radius**2, np.exp(-distance / (2 * spec.sigma_space**2)), 0)
    result = np.empty(pixels.shape)
    for place in np.ndindex(pixels.shape):
        near = padded[tuple(slice(at, at + len(steps)) for at in place)]
        weight = space * np.exp(-((near - pixels[place]) ** 2) / (2 * spec.sigma_range**2))
        result[place] = (weight * near).sum() / weight.sum()
    return result


@pytest.mark.parametrize("shape", [(20, 23), (1, 30), (30, 1)])
def test_it_is_its_definition(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(bilateral(Image(noisy(shape)), SPEC).pixels, twin(noisy(shape), SPEC), atol=2e-3)


def test_it_is_that_of_opencv_away_from_the_border() -> None:
    expected = cv2.bilateralFilter(ct().pixels, 7, SPEC.sigma_range, SPEC.sigma_space)
    inside = (slice(3, -3),) * 2
    np.testing.assert_allclose(bilateral(ct(), SPEC).pixels[inside], expected[inside], atol=0.05)


def test_noise_goes_and_the_edge_stays() -> None:
    smooths_and_keeps_the_edge(SPEC, (40, 40), 0.4)


def test_an_outlier_changes_no_other_pixel() -> None:
    pixels = noisy((20, 20))
    expected = bilateral(Image(pixels), SPEC).pixels
    pixels[10, 5] = LARGEST
    result = bilateral(Image(pixels), SPEC).pixels
    assert result[10, 5] == LARGEST
    assert np.abs(result - expected)[:, 10:].max() == 0
    assert result[10, 6] == pytest.approx(expected[10, 6], abs=10)


def test_bad_images() -> None:
    keeps_constants(SPEC)
    needs_a_valid_pixel(SPEC)
    sees_valid_pixels_alone(SPEC)
    leaves_invalid_pixels(SPEC)


@pytest.mark.parametrize("fields", [{"radius": 0}, {"radius": 17}, {"sigma_space": 0}, {"sigma_range": 0}, {"sigma_range": 1e7}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Bilateral.model_validate(fields)
