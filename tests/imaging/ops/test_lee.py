"""Lee's speckle filter."""

from __future__ import annotations

import numpy as np
import pytest
from filtering import LARGEST, keeps_constants, leaves_invalid_pixels, needs_a_valid_pixel, noisy, sees_valid_pixels_alone
from pydantic import ValidationError

from medray.imaging.table import Lee, lee
from medray.types import Image

SPEC = Lee(radius=2, noise=0.3)


def speckled(shape: tuple[int, int], deviation: float = 0.3) -> np.ndarray:
    """float32: grey levels 50 and 200 under multiplicative noise with mean 1."""
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(shape[1]) < shape[1] // 2, 50, 200)
    return (truth * rng.gamma(deviation**-2, deviation**2, shape)).astype(np.float32)


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
    after = lee(Image(speckled((40, 60))), Lee(noise=0.3)).pixels
    dark, bright = after[:, :20], after[:, -20:]
    assert dark.std() / dark.mean() < 0.08
    assert bright.std() / bright.mean() < 0.08
    assert bright.mean() / dark.mean() == pytest.approx(4, rel=0.05)


def test_bad_images() -> None:
    keeps_constants(SPEC)
    needs_a_valid_pixel(SPEC)
    sees_valid_pixels_alone(SPEC)
    leaves_invalid_pixels(SPEC)
    for pixels in (noisy((9, 9)) - 50, np.where(np.eye(9) > 0, LARGEST, -LARGEST), np.zeros((9, 9))):
        assert np.isfinite(lee(Image(pixels.astype(np.float32)), SPEC).pixels).all()


@pytest.mark.parametrize("fields", [{"radius": 0}, {"radius": 17}, {"noise": 0}, {"noise": 2.1}])
def test_wrong_specs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Lee.model_validate(fields)
