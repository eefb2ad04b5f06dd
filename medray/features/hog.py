"""Histograms of oriented gradients in the cells of a coarse grid."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.features.family import Extracted, Feature, Reason, explained, undefined
from medray.features.gradient import gradient, normalised, orientation_histograms, why_none
from medray.spec import Spec
from medray.types import Image

SOURCE = "Dalal and Triggs 2005, CVPR"


class HogParams(Spec):
    """What to measure."""

    family: Literal["hog"] = "hog"
    orientations: int = Field(default=8, ge=2, le=36, description="bins over 180 degrees")
    grid: int = Field(default=4, ge=1, le=16, description="cells along each side")


class Hog:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of the cells of a grid over the whole image, in one block.

    The gradient is Sobel's, orientations are unsigned and weighted by magnitude with linear interpolation between bins, and
    the histograms of all cells together have L2 norm 1. Pixels beside one that does not belong to the region do not count.
    """

    name = "hog"
    params: type[Spec] = HogParams
    dimensions: ClassVar[tuple[int, ...]] = (2,)
    unit_range: ClassVar[bool] = False

    def features(self, params: HogParams) -> tuple[Feature, ...]:
        """The bins of each cell, cells row by row."""
        cells = [(row, column) for row in range(params.grid) for column in range(params.grid)]
        return tuple(
            Feature(
                f"hog_{row}_{column}_{n}",
                f"share of the gradient of orientation {n * 180 / params.orientations:g}° to the columns' axis"
                f" in the cell of grid row {row}, column {column}; all shares together have L2 norm 1",
                SOURCE,
            )
            for row, column in cells
            for n in range(params.orientations)
        )

    def extract(self, image: Image, params: HogParams) -> Extracted:
        """See the class; NaN for an image without any gradient."""
        found = gradient(image)
        if not found.counted.any():
            return undefined(params.grid**2 * params.orientations, Reason.TOO_SMALL)
        histograms = orientation_histograms(found, params.grid, params.orientations).ravel()
        norm = float(np.linalg.norm(histograms))
        return explained(normalised(histograms, norm), why_none(norm))


HOG = Hog()
