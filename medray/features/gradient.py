"""The Sobel gradient and its histograms of orientation, which the families ``edges`` and ``hog`` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from medray.compiled import compiled
from medray.features.family import Reason
from medray.features.region import eroded, region_of
from medray.types import Bool, Float32, Float64, Image


@dataclass(frozen=True)
class Gradient:
    """The gradient of an image, in grey levels per pixel.

    Attributes:
        down, right, magnitude: float32 (rows, columns).
        counted: bool (rows, columns), the pixels of the region with none beside them that does not belong to it.
    """

    down: Float32
    right: Float32
    magnitude: Float32
    counted: Bool


def gradient(image: Image) -> Gradient:
    """The gradient by the Sobel kernels, scaled to 1 for a ramp of one grey level per pixel; the border is mirrored."""
    down, right = sobel(image.pixels)
    return Gradient(down, right, magnitude(down, right), eroded(region_of(image), 1, border=True))


def magnitude(first: Float32, second: Float32) -> Float32:
    """√(a² + b²). OpenCV's own function rounds in another way where the arrays lie at other places in memory."""
    with np.errstate(over="ignore"):
        return np.sqrt(first * first + second * second)


def sobel(pixels: Float32) -> tuple[Float32, Float32]:
    """Derivatives along the rows' and along the columns' axis, float32 (rows, columns)."""
    down, right = (np.asarray(cv2.Sobel(pixels, cv2.CV_32F, dx, 1 - dx, scale=1 / 8), np.float32) for dx in (0, 1))
    return down, right


def orientation_histograms(found: Gradient, grid: int, bins: int) -> Float64:
    """Histograms of the unsigned orientation in the cells of a grid, weighted by magnitude: float64 (grid², bins).

    A bin is centred at a multiple of 180 / ``bins`` degrees, 0 for a gradient along the columns' axis; a weight is shared
    between the two nearest bins (linear interpolation).
    """
    angle = np.arctan2(found.down, found.right)
    histograms = np.zeros((grid * grid, bins))
    _histograms(angle, found.magnitude, found.counted, grid, histograms)
    return histograms


@compiled
def _histograms(angle: Any, magnitude: Any, counted: Any, grid: int, histograms: Any) -> None:
    rows, columns = angle.shape
    bins = histograms.shape[1]
    for row in range(rows):
        first = row * grid // rows * grid
        for column in range(columns):
            if counted[row, column]:
                cell = first + column * grid // columns
                place = np.float64(angle[row, column]) / np.pi * bins
                lower = int(np.floor(place))
                weight = np.float64(magnitude[row, column])
                upper = (place - lower) * weight
                histograms[cell, lower % bins] += weight - upper
                histograms[cell, (lower + 1) % bins] += upper


def normalised(values: Float64, by: float) -> Float64:
    """The values divided by their sum or norm; NaN where that is zero."""
    return values / by if by > 1e-12 else np.full(values.shape, np.nan)


def why_none(total: float) -> Reason:
    """Why values with this sum or norm are undefined: nothing varies, or the squares of the grey levels overflow."""
    return Reason.CONSTANT if np.isfinite(total) else Reason.UNDEFINED
