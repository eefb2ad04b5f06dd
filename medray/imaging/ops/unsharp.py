"""Unsharp masking."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.compiled import compiled
from medray.imaging.op import LARGEST, OpSpec, valid_mean
from medray.imaging.ops.gaussian import blurred
from medray.types import Float32, Image


class Unsharp(OpSpec):
    """Add a multiple of the difference from a Gaussian-filtered image."""

    source: ClassVar[str] = "Gonzalez & Woods, Digital Image Processing: unsharp masking and highboost filtering"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["unsharp"] = "unsharp"
    sigma: float = Field(2.0, ge=0.1, le=100, description="standard deviation of the Gaussian in pixels")
    amount: float = Field(1.0, gt=0, le=10, description="the multiple")


def unsharp(image: Image, spec: Unsharp) -> Image:
    """The sharpened image, which may leave its range; invalid pixels are left out of the Gaussian's mean."""
    smooth, _ = valid_mean(image, lambda array: blurred(array, spec.sigma))
    result = np.empty(image.pixels.shape, np.float32)
    _sharpen(np.ascontiguousarray(image.pixels).ravel(), smooth.ravel(), spec.amount, result.ravel())
    return image.with_pixels(result)


@compiled
def _sharpen(pixels: Float32, smooth: Float32, amount: float, result: Float32) -> None:
    """Values beyond the largest float32 are cut to it."""
    for i in range(pixels.size):
        value = pixels[i] + amount * (np.float64(pixels[i]) - smooth[i])
        value = value if value < LARGEST else LARGEST
        result[i] = value if value > -LARGEST else -LARGEST
