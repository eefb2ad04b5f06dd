"""Resample to a spacing in mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from medray.errors import Excluded
from medray.imaging.op import OpSpec, Shape, check_size, valid_mean
from medray.imaging.place import moved
from medray.imaging.resampling import resample_axis
from medray.types import Float32, Image


class Resample(OpSpec):
    """Resample to a spacing in mm, exactly, around the centre of the image; the size is the nearest whole number of pixels.

    Area means where an axis shrinks (nothing aliases), linear where it grows. Invalid pixels have no weight; a pixel is valid
    where at least half its weight is. Excluded as SPACING_UNKNOWN where a spacing that is to change is not known.
    """

    source: ClassVar[str] = "Knutsson and Westin 1993, CVPR (normalised convolution); grid: IBSI 1 reference manual, 2.4"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    op: Literal["resample"] = "resample"
    row_mm: float | None = Field(None, ge=0.001, le=1000, description="distance of rows in mm; null keeps it")
    column_mm: float | None = Field(None, ge=0.001, le=1000, description="distance of columns in mm; null keeps it")
    slice_mm: float | None = Field(None, ge=0.001, le=1000, description="distance of slices in mm, of a volume; null keeps it")

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.row_mm is self.column_mm is self.slice_mm is None:
            raise ValueError("give row_mm, column_mm or slice_mm")
        return self

    def shape_after(self, before: Shape) -> Shape:
        """Depends on the image."""
        return None

    def largest_after(self, before: Shape) -> Shape:
        """Depends on the image."""
        return None


def resample(image: Image, spec: Resample) -> Image:
    """The resampled image.

    Raises:
        Excluded: SPACING_UNKNOWN, IMAGE_TOO_LARGE.
    """
    dimensions = image.pixels.ndim
    rows, columns = image.header.spacing_mm or (None, None)
    before = [image.slice_spacing_mm, rows, columns][-dimensions:]
    wanted = [spec.slice_mm, spec.row_mm, spec.column_mm][-dimensions:]
    scale = [_scale(old, new) for old, new in zip(before, wanted, strict=True)]
    shape = [max(round(size / one), 1) for size, one in zip(image.pixels.shape, scale, strict=True)]
    check_size(shape)
    pixels, weight = valid_mean(image, lambda array: _resampled(array, shape, scale))
    mask = None if image.mask is None else _resampled(image.mask.astype(np.float32), shape, scale) >= 0.5
    ends = zip(image.pixels.shape, shape, scale, strict=True)
    header = moved(image, [((old - 1) - (new - 1) * one) / 2 for old, new, one in ends])
    *through, row_mm, column_mm = (new or old for old, new in zip(before, wanted, strict=True))
    return replace(
        image,
        pixels=pixels,
        valid=None if weight is None else weight >= 0.5,
        mask=mask,
        header=replace(header, spacing_mm=None if row_mm is None or column_mm is None else (row_mm, column_mm)),
        slice_spacing_mm=through[0] if through else image.slice_spacing_mm,
    )


def _scale(before: float | None, wanted: float | None) -> float:
    """Size of a new pixel in old ones."""
    if wanted is None:
        return 1.0
    if before is None:
        raise Excluded("SPACING_UNKNOWN", "the image does not say how far apart its pixels or slices are")
    return wanted / before


def _resampled(array: Float32, shape: Sequence[int], scale: Sequence[float]) -> Float32:
    """Along each axis, those that shrink first: nothing in between is larger than the image or the result."""
    for axis in sorted(range(array.ndim), key=lambda axis: -scale[axis]):
        array = resample_axis(array, axis, shape[axis], scale[axis])
    return array
