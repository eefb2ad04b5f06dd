"""Percentile normalisation."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from medray.imaging.op import UnitRangeSpec, stretch, unitless, valid_pixels
from medray.imaging.quantiles import quantiles
from medray.types import Image


class Percentile(UnitRangeSpec):
    """Map the range between two percentiles of the valid pixels to [0, 1].

    In colour there is one scale for all channels, so that hues stay.
    """

    source: ClassVar[str] = "Hyndman & Fan 1996, The American Statistician 50, definition 7"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["percentile"] = "percentile"
    low: float = Field(0.5, ge=0, le=100, description="percentile that becomes 0")
    high: float = Field(99.5, ge=0, le=100, description="percentile that becomes 1")

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


def percentile(image: Image, spec: Percentile) -> Image:
    """Stretch and clip to [0, 1]; equal percentiles give a step just above them, so a constant image gives zeros.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    low, high = quantiles(valid_pixels(image), (spec.low / 100, spec.high / 100)).tolist()
    return unitless(image, stretch(image.pixels, low, high))
