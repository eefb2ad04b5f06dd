"""Histogram matching."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from medray.compiled import compiled
from medray.imaging.op import Level, OpSpec, unitless, valid_pixels
from medray.imaging.quantiles import quantiles
from medray.types import Float32, Float64, Image

CELLS = 4096


class HistogramMatch(OpSpec):
    """Give the valid pixels the grey-level distribution of a reference."""

    source: ClassVar[str] = "Nyúl, Udupa & Zhang 2000, IEEE TMI 19 (piecewise linear between quantiles)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["histogram_match"] = "histogram_match"
    reference: tuple[Level, ...] = Field(
        min_length=2, max_length=4097, description="quantiles of the reference, evenly spaced from the minimum to the maximum"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(low > high for low, high in zip(self.reference, self.reference[1:], strict=False)):
            raise ValueError("reference must not fall")
        return self

    def unit_range_after(self, before: bool) -> bool:
        """Where that of the reference does."""
        return self.reference[0] >= 0 and self.reference[-1] <= 1


def histogram_match(image: Image, spec: HistogramMatch) -> Image:
    """Each quantile of the image becomes that of the reference, linearly between; quantiles that are one value, their mean.

    Invalid pixels are mapped alike. The pixels come to the units of the reference.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
    """
    found = quantiles(valid_pixels(image), np.linspace(0, 1, len(spec.reference)))
    own, place = np.unique(found, return_inverse=True)
    becomes = np.bincount(place, spec.reference) / np.bincount(place)
    result = np.empty(image.pixels.shape, np.float32)
    _interpolate(np.ascontiguousarray(image.pixels).ravel(), own, becomes, result.ravel())
    return unitless(image, result)


@compiled
def _interpolate(pixels: Float32, own: Float64, becomes: Float64, result: Float32) -> None:
    """What np.interp does, from a guess of the interval by its place in the range."""
    last = own.size - 1
    low, high = own[0], own[last]
    scale = CELLS / (high - low) if high > low else 0.0
    guess = np.searchsorted(own, low + np.arange(CELLS) * ((high - low) / CELLS), side="right") - 1
    for i in range(pixels.size):
        value = np.float64(pixels[i])
        if value <= low:
            result[i] = becomes[0]
        elif value >= high:
            result[i] = becomes[last]
        else:
            k = guess[min(int((value - low) * scale), CELLS - 1)]
            while value < own[k]:
                k -= 1
            while value >= own[k + 1]:
                k += 1
            result[i] = becomes[k] + (value - own[k]) * ((becomes[k + 1] - becomes[k]) / (own[k + 1] - own[k]))


def reference(images: Iterable[Image], count: int = 101) -> tuple[float, ...]:
    """The mean of the quantiles of images, for :class:`HistogramMatch`.

    Images whose units differ (MR) are brought to one range first, by percentiles for example, as Nyúl & Udupa do.

    Args:
        images: at least one.
        count: number of quantiles, at least 2.

    Raises:
        Quarantined: IMAGE_NO_VALID_PIXELS.
        ValueError: no image, or a count below 2.
    """
    if count < 2:
        raise ValueError("a reference has at least two quantiles")
    found = [quantiles(valid_pixels(image), np.linspace(0, 1, count)) for image in images]
    if not found:
        raise ValueError("a reference needs an image")
    return tuple(np.mean(found, axis=0).tolist())
