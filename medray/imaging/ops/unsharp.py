"""Unsharp masking."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, finite, valid_mean
from medray.imaging.ops.gaussian import blurred
from medray.types import Image


class Unsharp(OpSpec):
    """Add a multiple of what a Gaussian filter takes away."""

    source: ClassVar[str] = "Gonzalez & Woods, Digital Image Processing: unsharp masking and highboost filtering"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["unsharp"] = "unsharp"
    sigma: float = Field(2.0, ge=0.1, le=100, description="standard deviation of the Gaussian in pixels")
    amount: float = Field(1.0, gt=0, le=10, description="the multiple")


def unsharp(image: Image, spec: Unsharp) -> Image:
    """The sharpened image, which may leave its range; invalid pixels are left out of the Gaussian's mean."""
    smooth, _ = valid_mean(image, lambda array: blurred(array, spec.sigma))
    return image.with_pixels(finite(image.pixels + spec.amount * (image.pixels - smooth.astype(np.float64))))
