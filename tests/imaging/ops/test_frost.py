"""Frost's speckle filter."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import removes_speckle_and_keeps_the_edge, speckled, takes_bad_images
from pydantic import ValidationError

from medray.imaging.table import Frost, frost
from medray.types import Image

SPEC = Frost(radius=2, damping=3)


def twin(pixels: np.ndarray, spec: Frost) -> np.ndarray:
    """The definition, pixel by pixel."""
    side = 2 * spec.radius + 1
    padded = np.pad(pixels.astype(np.float64), spec.radius, mode="edge")
    distance = np.hypot(*(np.indices((side, side)) - spec.radius))
    result = np.empty(pixels.shape)
    for row, column in np.ndindex(pixels.shape):
        near = padded[row : row + side, column : column + side]
        weight = np.exp(-spec.damping * near.var() / near.mean() ** 2 * distance)
        result[row, column] = (weight * near).sum() / weight.sum()
    return result


@pytest.mark.parametrize("shape", [(20, 23), (1, 30), (30, 1)])
def test_it_is_its_definition(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(frost(Image(speckled(shape)), SPEC).pixels, twin(speckled(shape), SPEC), rtol=1e-4)


def test_speckle_goes_and_the_edge_stays() -> None:
    removes_speckle_and_keeps_the_edge(Frost())


def test_bad_images() -> None:
    takes_bad_images(SPEC)


@pytest.mark.parametrize("fields", [{"radius": 0}, {"radius": 17}, {"damping": 0}, {"damping": 101}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Frost.model_validate(fields)
