"""Crop to the largest bright component."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, Shape, cut, valid_pixels
from medray.types import Image


class ForegroundCrop(OpSpec):
    """Crop to the bounding box of the largest bright component."""

    op: Literal["foreground_crop"] = "foreground_crop"
    threshold: float = Field(0.05, ge=0, lt=1, description="fraction of the range of the valid pixels; brighter is foreground")
    margin: int = Field(0, ge=0, le=16384, description="pixels to keep around the box")

    def shape_after(self, before: Shape) -> Shape:
        """Depends on the image."""
        return None

    def largest_after(self, before: Shape) -> Shape:
        """Depends on the image."""
        return None


def foreground_crop(image: Image, spec: ForegroundCrop) -> Image:
    """The image cropped to its foreground, of 8-connected pixels; unchanged where there is none (a constant image)."""
    values = valid_pixels(image)
    low, high = float(values.min()), float(values.max())
    foreground = image.pixels > low + spec.threshold * (high - low)
    if image.valid is not None:
        foreground &= image.valid
    count, _, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=8)
    if count < 2:
        return image
    left, top, width, height, _ = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))].tolist()
    rows = slice(max(top - spec.margin, 0), top + height + spec.margin)
    columns = slice(max(left - spec.margin, 0), left + width + spec.margin)
    return cut(image, rows, columns)
