"""Median filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, float32, over_valid
from medray.types import Float32, Image


class Median(OpSpec):
    """Replace each pixel by the median of its square (in a volume: cubic) neighbourhood."""

    source: ClassVar[str] = "Tukey 1977, Exploratory Data Analysis"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["median"] = "median"
    kernel: Literal[3, 5] = Field(3, description="side of the neighbourhood in pixels")


def median(image: Image, spec: Median) -> Image:
    """The filtered image; the nearest valid pixel stands for one that is not, and for one beyond the border.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """

    def smooth(pixels: Float32) -> Float32:
        if pixels.ndim == 2:
            return float32(cv2.medianBlur(pixels, spec.kernel))
        from scipy.ndimage import median_filter

        return np.asarray(median_filter(pixels, size=spec.kernel, mode="nearest"), np.float32)

    return over_valid(image, smooth)
