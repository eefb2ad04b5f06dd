"""Frost's speckle filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.imaging.decay import decay
from medray.imaging.moments import local_moments
from medray.imaging.op import OpSpec, bordered, finite, over_valid
from medray.types import Float32, Float64, Image, Int64


class Frost(OpSpec):
    """Reduce speckle: a mean whose weights fall off with distance, the faster the more the grey levels vary around the pixel."""

    source: ClassVar[str] = "Frost et al. 1982, IEEE PAMI 4; in the form of Lopes et al. 1990, IEEE TGRS 28"
    op: Literal["frost"] = "frost"
    radius: int = Field(3, ge=1, le=16, description="half the side of the square neighbourhood in pixels")
    damping: float = Field(2.0, gt=0, le=100, description="how fast the weights fall off: exp(-damping * variation² * distance)")


def frost(image: Image, spec: Frost) -> Image:
    """The filtered image, of one with grey levels of 0 and more (before any logarithm), whose speckle multiplies them.

    The weight of a pixel at a distance of t pixels is exp(-damping v/m² t), with the local mean m and variance v.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    offsets = np.indices((2 * spec.radius + 1,) * 2).reshape(2, -1).T
    distances = np.hypot(*(offsets - spec.radius).T).astype(np.float32)

    def smooth(pixels: Float32) -> Float32:
        mean, variance = local_moments(pixels, spec.radius)
        square = np.maximum(mean * mean, 1e-200)
        slope = np.minimum(spec.damping * variance / square, 1e3).astype(np.float32)
        result = np.empty(pixels.shape)
        _frost(bordered(pixels, spec.radius), slope, offsets, distances, result)
        return finite(result)

    return over_valid(image, smooth)


@compiled
def _frost(padded: Float32, slope: Float32, offsets: Int64, distances: Float32, result: Float64) -> None:
    rows, columns = result.shape
    for row in range(rows):
        total, weights = np.zeros(columns), np.zeros(columns)
        for k in range(distances.size):
            near = padded[row + offsets[k, 0], offsets[k, 1] : offsets[k, 1] + columns]
            for column in range(columns):
                weight = np.float64(decay(slope[row, column] * distances[k]))
                total[column] += weight * near[column]
                weights[column] += weight
        for column in range(columns):
            result[row, column] = total[column] / weights[column]
