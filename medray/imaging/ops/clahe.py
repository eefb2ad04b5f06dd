"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medray.compiled import compiled
from medray.imaging.op import UnitRangeSpec, extended, float32, unitless
from medray.types import Float32, Image


class Clahe(UnitRangeSpec):
    """Contrast-limited adaptive histogram equalisation of an image in [0, 1]."""

    source: ClassVar[str] = "Zuiderveld 1994, Graphics Gems IV"
    takes_unit_range: ClassVar[bool] = True
    op: Literal["clahe"] = "clahe"
    clip_limit: float = Field(2.0, gt=0, le=255, description="height limit of a bin, in multiples of the mean height")
    tiles: int = Field(8, ge=1, le=64, description="tiles along each side")


def clahe(image: Image, spec: Clahe) -> Image:
    """CLAHE (Zuiderveld, Graphics Gems IV, 1994) over 256 grey levels; pixels outside [0, 1] are clipped.

    The nearest valid pixel stands for one that is not, which keeps its value. OpenCV's 65,536-level variant has fewer pixels than
    levels in any usual tile and rounds its clip limit to whole counts, so the clip limit would have no meaning there.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    levels = np.empty(image.pixels.shape, np.uint8)
    _quantise(np.ascontiguousarray(extended(image)).ravel(), levels.ravel())
    equalised = cv2.createCLAHE(spec.clip_limit, (spec.tiles, spec.tiles)).apply(levels)
    pixels = float32(cv2.LUT(equalised, np.arange(256, dtype=np.float32) / np.float32(255)))
    return unitless(image, pixels if image.valid is None else np.where(image.valid, pixels, np.clip(image.pixels, 0, 1)))


@compiled
def _quantise(pixels: Float32, levels: NDArray[np.uint8]) -> None:
    black, white = np.float32(0), np.float32(1)
    for i in range(pixels.size):
        value = pixels[i] if pixels[i] > black else black
        value = value if value < white else white
        levels[i] = np.int32(value * np.float32(255) + np.float32(0.5))
