"""Gamma correction."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.imaging.op import UnitRangeSpec, float32, unitless
from medray.types import Image


class Gamma(UnitRangeSpec):
    """Raise an image in [0, 1] to a power: below 1 it brightens the dark, above 1 it darkens them."""

    source: ClassVar[str] = "Gonzalez & Woods, Digital Image Processing: power-law transformation"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    takes_unit_range: ClassVar[bool] = True
    op: Literal["gamma"] = "gamma"
    gamma: float = Field(1.0, ge=0.05, le=20, description="the power")


def gamma(image: Image, spec: Gamma) -> Image:
    """The image to that power; pixels outside [0, 1] are clipped."""
    return unitless(image, float32(np.clip(image.pixels, 0, 1) ** np.float32(spec.gamma)))
