"""Gaussian filter."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
from pydantic import Field

from medray.imaging.op import OpSpec, float32, valid_mean
from medray.types import Image


class Gaussian(OpSpec):
    """Smooth with a Gaussian; invalid pixels are left out of its mean."""

    source: ClassVar[str] = "Knutsson 1993, CVPR (normalised convolution)"
    op: Literal["gaussian"] = "gaussian"
    sigma: float = Field(1.0, gt=0, le=100, description="standard deviation in pixels")


def gaussian(image: Image, spec: Gaussian) -> Image:
    """The filtered image."""
    pixels, _ = valid_mean(image, lambda array: float32(cv2.GaussianBlur(array, (0, 0), spec.sigma)))
    return image.with_pixels(pixels)
