"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, float32
from medray.types import Image


class Clahe(OpSpec):
    """Contrast-limited adaptive histogram equalisation of an image in [0, 1]."""

    source: ClassVar[str] = "Zuiderveld 1994, Graphics Gems IV"
    op: Literal["clahe"] = "clahe"
    clip_limit: float = Field(2.0, gt=0, le=255, description="height limit of a bin, in multiples of the mean height")
    tiles: int = Field(8, ge=1, le=64, description="tiles along each side")


def clahe(image: Image, spec: Clahe) -> Image:
    """CLAHE (Zuiderveld, Graphics Gems IV, 1994) over 256 grey levels; pixels outside [0, 1] are clipped.

    OpenCV's 65,536-level variant has fewer pixels than levels in any usual tile and rounds its clip limit to whole
    counts, so the limit asked for would mean nothing there.
    """
    levels = np.rint(np.clip(image.pixels, 0, 1) * 255).astype(np.uint8)
    equalised = cv2.createCLAHE(spec.clip_limit, (spec.tiles, spec.tiles)).apply(levels)
    return image.with_pixels(float32(equalised) / np.float32(255))
