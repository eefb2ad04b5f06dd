"""Z-score normalisation."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from medray.compiled import compiled
from medray.imaging.op import LARGEST, OpSpec, unitless, valid_pixels
from medray.types import Float32, Image

LANES = 32


class Zscore(OpSpec):
    """Shift and scale so that the valid pixels have mean 0 and standard deviation 1.

    In colour there is one mean and one deviation for all channels, so that hues stay.
    """

    source: ClassVar[str] = "Jain, Nandakumar & Ross 2005, Pattern Recognition 38"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["zscore"] = "zscore"

    def unit_range_after(self, before: bool) -> bool:
        """Never."""
        return False


def zscore(image: Image, spec: Zscore) -> Image:
    """The standard scores, with the standard deviation of a population; zeros for a constant image.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    values = np.ascontiguousarray(valid_pixels(image))
    mean = _power_sum(values, 0.0, 1) / values.size
    deviation = (_power_sum(values, mean, 2) / values.size) ** 0.5
    result = np.zeros(image.pixels.shape, np.float32)
    if deviation > 0:
        _shift_and_scale(np.ascontiguousarray(image.pixels).ravel(), mean, 1 / deviation, result.ravel())
    return unitless(image, result)


@compiled
def _power_sum(values: Float32, centre: float, power: int) -> float:
    """The sum of (value - centre) to the power of 1 or 2, in LANES float64 sums that run side by side."""
    sums = np.zeros(LANES)
    whole = values.size // LANES * LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            difference = values[start + lane] - centre
            sums[lane] += difference * difference if power == 2 else difference
    for i in range(whole, values.size):
        difference = values[i] - centre
        sums[0] += difference * difference if power == 2 else difference
    return float(sums.sum())


@compiled
def _shift_and_scale(pixels: Float32, mean: float, factor: float, result: Float32) -> None:
    """Values beyond the largest float32, which only invalid pixels can reach, are cut to it."""
    for i in range(pixels.size):
        value = (pixels[i] - mean) * factor
        value = value if value < LARGEST else LARGEST
        result[i] = value if value > -LARGEST else -LARGEST
