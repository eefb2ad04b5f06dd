"""Resample to a spacing in mm, or to square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from medray.errors import Excluded
from medray.imaging.op import OpSpec, Shape, check_size, valid_mean
from medray.imaging.place import scaled
from medray.imaging.resampling import resample_axis
from medray.types import Float32, Image


class Resample(OpSpec):
    """Resample to a spacing in mm, exactly, around the centre of the image; the size is the nearest whole number of pixels.

    Area means where an axis shrinks (nothing aliases), linear where it grows. Invalid pixels have no weight; a pixel is valid
    where at least half its weight is. Excluded as SPACING_UNKNOWN where a spacing that is to change is not known. `square` needs
    none in mm: it resamples rows or columns, whichever are farther apart by the spacing or the pixel aspect ratio, to the
    distance of the others.
    """

    source: ClassVar[str] = "Knutsson and Westin 1993, CVPR (normalised convolution); grid: IBSI 1 reference manual, 2.4"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["resample"] = "resample"
    row_mm: float | None = Field(None, ge=0.001, le=1000, description="distance of rows in mm; null keeps it")
    column_mm: float | None = Field(None, ge=0.001, le=1000, description="distance of columns in mm; null keeps it")
    slice_mm: float | None = Field(None, ge=0.001, le=1000, description="distance of slices in mm, of a volume; null keeps it")

    square: bool = Field(False, description="make pixels square, without a distance of rows and columns in mm")

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.row_mm is self.column_mm is self.slice_mm is None and not self.square:
            raise ValueError("give row_mm, column_mm or slice_mm, or square: true")
        if self.square and (self.row_mm is not None or self.column_mm is not None):
            raise ValueError("give row_mm and column_mm, or square: true")
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
    scale = _scales(image, spec)
    shape = [max(round(size / one), 1) for size, one in zip(image.shape, scale, strict=True)]
    check_size(shape)
    pixels, weight = valid_mean(image, lambda array: _resampled(array, shape, scale))
    mask = None if image.mask is None else _resampled(image.mask.astype(np.float32), shape, scale) >= 0.5
    result = replace(scaled(image, shape, scale), pixels=pixels, valid=None if weight is None else weight >= 0.5, mask=mask)
    if result.header.spacing_mm is not None:  # what was asked for, to the last digit
        rows_mm, columns_mm = result.header.spacing_mm
        header = replace(result.header, spacing_mm=(spec.row_mm or rows_mm, spec.column_mm or columns_mm))
        result = replace(result, header=header)
    return result if spec.slice_mm is None or image.dimensions == 2 else replace(result, slice_spacing_mm=spec.slice_mm)


def _scales(image: Image, spec: Resample) -> list[float]:
    """Size of a new pixel in old ones along each axis."""
    rows, columns = image.header.spacing_mm or (None, None)
    plane = [_scale(rows, spec.row_mm), _scale(columns, spec.column_mm)]
    if spec.square:
        plane = [min(image.pixel_shape) / size for size in image.pixel_shape]
    return plane if image.dimensions == 2 else [_scale(image.slice_spacing_mm, spec.slice_mm), *plane]


def _scale(before: float | None, wanted: float | None) -> float:
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
