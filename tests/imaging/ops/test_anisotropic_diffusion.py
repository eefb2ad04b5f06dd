"""Anisotropic diffusion."""

from __future__ import annotations

from typing import Any

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

from medray.imaging.table import AnisotropicDiffusion, anisotropic_diffusion
from medray.types import Image


def twin(pixels: np.ndarray, spec: AnisotropicDiffusion) -> np.ndarray:
    """The scheme of the paper in float64, by differences along each axis."""
    values = pixels.astype(np.float64)
    for _ in range(spec.iterations):
        change = np.zeros(values.shape)
        for axis in range(values.ndim):
            difference = np.diff(values, axis=axis)
            squared = (difference / spec.edge) ** 2
            flow = difference * (np.exp(-squared) if spec.conduction == "exponential" else 1 / (1 + squared))
            widths = [(0, 0)] * values.ndim
            widths[axis] = (1, 1)
            change += np.diff(np.pad(flow, widths), axis=axis)
        values = values + spec.step * change
    return values


@pytest.mark.parametrize("conduction", ["exponential", "rational"])
@pytest.mark.parametrize("shape", [(20, 23), (1, 30), (30, 1), (5, 8, 9)])
def test_it_is_its_definition(shape: tuple[int, ...], conduction: Any) -> None:
    spec = AnisotropicDiffusion(iterations=5, edge=20, conduction=conduction)
    np.testing.assert_allclose(anisotropic_diffusion(Image(noisy(shape)), spec).pixels, twin(noisy(shape), spec), atol=2e-3)


@pytest.mark.parametrize("shape", [(40, 40), (8, 20, 24)])
def test_noise_goes_and_the_edge_stays(shape: tuple[int, ...]) -> None:
    smooths_and_keeps_the_edge(AnisotropicDiffusion(edge=25), shape, 0.35)


def test_nothing_is_lost() -> None:
    before = noisy((30, 31))
    after = anisotropic_diffusion(Image(before), AnisotropicDiffusion(iterations=50, edge=100)).pixels
    assert after.sum(dtype=np.float64) == pytest.approx(before.sum(dtype=np.float64), rel=1e-5)


@pytest.mark.parametrize("conduction", ["exponential", "rational"])
def test_an_outlier_conducts_nothing(conduction: Any) -> None:
    spec = AnisotropicDiffusion(edge=20, conduction=conduction)
    pixels = np.zeros((5, 5), np.float32)
    pixels[2, 2], pixels[0, 0] = LARGEST, -LARGEST
    np.testing.assert_allclose(anisotropic_diffusion(Image(pixels), spec).pixels, pixels, atol=1e-3)


def test_bad_images() -> None:
    spec = AnisotropicDiffusion(edge=20)
    keeps_constants(spec)
    needs_a_valid_pixel(spec)
    sees_valid_pixels_alone(spec)
    leaves_invalid_pixels(spec)


@pytest.mark.parametrize("fields", [{"iterations": 0}, {"step": 0.2}, {"step": 0}, {"edge": 0}, {"conduction": "linear"}])
def test_wrong_specs_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnisotropicDiffusion.model_validate(fields)
