"""Lee's speckle filter."""

from __future__ import annotations

import numpy as np
import pytest
from filter_checks import removes_speckle_and_keeps_the_edge, speckled, takes_bad_images
from pydantic import ValidationError

from medray.imaging.table import Lee, lee
from medray.types import Image

SPEC = Lee(radius=2, noise=0.3)


def twin(pixels: np.ndarray, spec: Lee) -> np.ndarray:
    """The formulas of the paper (with the mean of the noise 1), pixel by pixel."""
    side = 2 * spec.radius + 1
    padded = np.pad(pixels.astype(np.float64), spec.radius, mode="edge")
    result = np.empty(pixels.shape)
    for row, column in np.ndindex(pixels.shape):
        near = padded[row : row + side, column : column + side]
        mean, variance = near.mean(), near.var()
        under = max((variance + mean**2) / (spec.noise**2 + 1) - mean**2, 0)
        gain = under / (mean**2 * spec.noise**2 + under) if mean or under else 0
        result[row, column] = mean + gain * (pixels[row, column] - mean)
    return result


@pytest.mark.parametrize("shape", [(20, 23), (1, 30), (30, 1)])
def test_it_is_its_definition(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(lee(Image(speckled(shape)), SPEC).pixels, twin(speckled(shape), SPEC), rtol=1e-5)


def test_speckle_goes_and_the_edge_stays() -> None:
    removes_speckle_and_keeps_the_edge(Lee(noise=0.3))


def test_bad_images() -> None:
    takes_bad_images(SPEC)


@pytest.mark.parametrize("fields", [{"radius": 0}, {"radius": 17}, {"noise": 0}, {"noise": 2.1}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Lee.model_validate(fields)
