"""Bilateral filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.imaging.decay import decay
from medray.imaging.op import OpSpec, bordered, over_valid
from medray.types import Float32, Image, Int64


class Bilateral(OpSpec):
    """Smooth by a mean that weighs the pixels of a disc by their distance and by their difference in grey level."""

    source: ClassVar[str] = "Tomasi & Manduchi 1998, ICCV"
    op: Literal["bilateral"] = "bilateral"
    radius: int = Field(2, ge=1, le=16, description="radius of the disc in pixels")
    sigma_space: float = Field(1.5, ge=0.1, le=100, description="standard deviation of the weights of distance in pixels")
    sigma_range: float = Field(
        0.1, ge=1e-6, le=1e6, description="standard deviation of the weights of difference, in the units of the pixels"
    )


def bilateral(image: Image, spec: Bilateral) -> Image:
    """The filtered image; the nearest valid pixel stands for one that is not, and for one beyond the border.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    offsets = np.indices((2 * spec.radius + 1,) * 2).reshape(2, -1).T
    distances = np.square(offsets - spec.radius).sum(1)
    inside = distances <= spec.radius**2
    weights = np.exp(-distances[inside] / (2 * spec.sigma_space**2)).astype(np.float32)
    steepness = np.float32(1 / (2 * spec.sigma_range**2))

    def smooth(pixels: Float32) -> Float32:
        result = np.empty(pixels.shape, np.float32)
        _bilateral(bordered(pixels, spec.radius), result, offsets[inside], weights, steepness)
        return result

    return over_valid(image, smooth)


@compiled
def _bilateral(padded: Float32, result: Float32, offsets: Int64, weights: Float32, steepness: np.float32) -> None:
    rows, columns = result.shape
    radius = (padded.shape[0] - rows) // 2
    for row in range(rows):
        centre = padded[row + radius, radius : radius + columns].copy()
        change, total = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
        for k in range(weights.size):
            near = padded[row + offsets[k, 0], offsets[k, 1] : offsets[k, 1] + columns]
            for column in range(columns):
                difference = near[column] - centre[column]
                weight = weights[k] * decay(difference * difference * steepness)
                change[column] += weight * difference if weight > 0 else np.float32(0)  # the difference may be infinite
                total[column] += weight
        for column in range(columns):
            result[row, column] = centre[column] + change[column] / total[column]
