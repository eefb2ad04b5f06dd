"""Mean and variance around each pixel, for the speckle filters."""

from __future__ import annotations

import cv2
import numpy as np

from medray.types import Float32, Float64


def local_moments(pixels: Float32, radius: int) -> tuple[Float64, Float64]:
    """Mean and variance of the square neighbourhood of each pixel; the border pixel stands for those beyond."""
    side = 2 * radius + 1
    row = np.full(side, 1 / side)

    def mean_of(values: Float64) -> Float64:
        return np.asarray(cv2.sepFilter2D(values, -1, row, row, borderType=cv2.BORDER_REPLICATE), np.float64)

    values = pixels.astype(np.float64)
    mean = mean_of(values)
    return mean, np.maximum(mean_of(values * values) - mean * mean, 0)
