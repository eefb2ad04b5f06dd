"""Shared by the crops to a region: the margin, the pixels outside, and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from medray.imaging.components import Components, Slices
from medray.imaging.op import OpSpec, Shape
from medray.imaging.place import cut
from medray.types import Bool, Float32, Image

LEVELS = 1024
TOLERANCE = 0.5  # levels


class RegionCrop(OpSpec):
    """Base of the crops to a region that is found in the image."""

    margin: int = Field(0, ge=0, le=16384, description="pixels to keep around the box in its rows and columns")
    outside: Literal["keep", "invalid"] = Field("keep", description="whether pixels outside the region stay valid")

    def shape_after(self, before: Shape) -> Shape:
        """Depends on the image."""
        return None


def cropped(image: Image, spec: RegionCrop, found: Components, numbers: Sequence[int], region: Bool | None = None) -> Image:
    """The image cut to the box around some components, with its margin.

    Args:
        image: a plane or a volume.
        spec: what to do with the margin and the outside.
        found: components of a mask of the image.
        numbers: those that make the region.
        region: bool, as the image: what stays valid, where that is more than the components.
    """
    if spec.outside == "invalid":
        region = found.mask(numbers) if region is None else region
        image = replace(image, valid=region if image.valid is None else image.valid & region)
    *through, rows, columns = _around(found, numbers)
    return cut(image, *through, *(_wider(one, spec.margin) for one in (rows, columns)))


def _around(found: Components, numbers: Sequence[int]) -> Slices:
    boxes = found.boxes[list(numbers)][:, -len(found.shape) :]
    return tuple(slice(int(first), int(end)) for first, end in zip(boxes[..., 0].min(0), boxes[..., 1].max(0), strict=True))


def _wider(one: slice, margin: int) -> slice:
    return slice(max(one.start - margin, 0), one.stop + margin)


def above(image: Image, threshold: float) -> Bool:
    """The valid pixels above a threshold."""
    bright: Bool = image.pixels > np.float32(threshold)
    if image.valid is not None:
        bright &= image.valid
    return bright


def li(values: Float32) -> float:
    """The threshold of least cross-entropy (Li and Tam, Pattern Recognition Letters 19:771, 1998), over 1,024 levels.

    It separates a dark background from brighter pixels, also where these vary widely.

    Args:
        values: float32 (n,), at least one.
    """
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return high
    step = (high - low) / (LEVELS - 1)
    counts = np.bincount(np.rint(np.subtract(values, low, dtype=np.float64) / step).astype(np.intp), minlength=LEVELS)
    numbers, sums = np.cumsum(counts), np.cumsum(counts * np.arange(LEVELS))
    threshold, last = sums[-1] / numbers[-1], -1.0
    while abs(threshold - last) > TOLERANCE:
        at = int(threshold)
        dark, bright = sums[at] / numbers[at], (sums[-1] - sums[at]) / (numbers[-1] - numbers[at])
        if dark == 0:
            break
        last, threshold = threshold, (bright - dark) / np.log(bright / dark)
    return low + float(threshold) * step
