"""Non-local means."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.imaging.decay import decay
from medray.imaging.op import OpSpec, bordered, over_valid
from medray.types import Float32, Image


class NonLocalMeans(OpSpec):
    """Smooth by a mean that weighs the pixels of a square window by how alike the patches around them are."""

    source: ClassVar[str] = "Buades, Coll & Morel 2005, CVPR"
    op: Literal["non_local_means"] = "non_local_means"
    patch: int = Field(2, ge=1, le=7, description="radius of a patch in pixels")
    search: int = Field(5, ge=1, le=15, description="radius of the window in pixels")
    strength: float = Field(
        0.1, ge=1e-6, le=1e6, description="root mean square difference of patches whose weight is 1/e, in the units of the pixels"
    )


def non_local_means(image: Image, spec: NonLocalMeans) -> Image:
    """The filtered image; the nearest valid pixel stands for one that is not, and for one beyond the border.

    The weight of a pixel is exp(-mean squared difference of the patches / strength²); a pixel's own is 1.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    side = 2 * spec.patch + 1
    steepness = np.float32(1 / (side * side * spec.strength**2))

    def smooth(pixels: Float32) -> Float32:
        result = np.empty(pixels.shape, np.float32)
        _non_local_means(bordered(pixels, spec.patch + spec.search), result, spec.patch, spec.search, steepness)
        return result

    return over_valid(image, smooth)


@compiled
def _non_local_means(padded: Float32, result: Float32, patch: int, search: int, steepness: np.float32) -> None:
    rows, columns = result.shape
    border, width = patch + search, columns + 2 * patch
    squares, distance = np.empty(width, np.float32), np.empty(columns, np.float32)
    for row in range(rows):
        centre = padded[row + border, border : border + columns]
        change, total = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
        for down in range(2 * search + 1):
            for right in range(2 * search + 1):
                squares[:] = 0  # of each column of the patches
                for step in range(2 * patch + 1):
                    here = padded[row + search + step, search : search + width]
                    there = padded[row + down + step, right : right + width]
                    for column in range(width):
                        difference = there[column] - here[column]
                        squares[column] += difference * difference
                distance[:] = 0
                for step in range(2 * patch + 1):
                    for column in range(columns):
                        distance[column] += squares[column + step]
                near = padded[row + down + patch, right + patch : right + patch + columns]
                for column in range(columns):
                    weight = decay(distance[column] * steepness)
                    change[column] += weight * (near[column] - centre[column]) if weight > 0 else np.float32(0)
                    total[column] += weight
        for column in range(columns):
            result[row, column] = centre[column] + change[column] / total[column]
