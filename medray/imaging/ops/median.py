"""Median filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
from pydantic import Field

from medray.imaging.op import OpSpec, float32
from medray.types import Image


class Median(OpSpec):
    """Replace each pixel by the median of its neighbourhood; invalid pixels are taken as they are."""

    source: ClassVar[str] = "Tukey 1977, Exploratory Data Analysis"
    op: Literal["median"] = "median"
    kernel: Literal[3, 5] = Field(3, description="side of the neighbourhood in pixels")


def median(image: Image, spec: Median) -> Image:
    """The filtered image."""
    return image.with_pixels(float32(cv2.medianBlur(image.pixels, spec.kernel)))
