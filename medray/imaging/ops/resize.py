"""Resample to a size in pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, Pixels, Shape, check_size, float32, valid_mean
from medray.imaging.place import scaled
from medray.imaging.resampling import resample_axis
from medray.types import Float32, Image


class Resize(OpSpec):
    """Resample to rows x columns (of a volume to slices too, if asked), or to the largest size inside with the image's aspect.

    The aspect is that in mm, or by the pixel aspect ratio, so that pixels become square. Area means where an axis shrinks
    (nothing aliases), linear where it grows. Invalid pixels have no weight; a pixel is valid where at least half its weight is.
    """

    source: ClassVar[str] = "Knutsson and Westin 1993, CVPR (normalised convolution)"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["resize"] = "resize"
    rows: Pixels = Field(description="height in pixels")
    columns: Pixels = Field(description="width in pixels")
    slices: Pixels | None = Field(None, description="number of slices, of a volume; null keeps them")
    keep_aspect: bool = Field(False, description="keep the proportion of height to width, so that rows or columns may be fewer")

    def shape_after(self, before: Shape) -> Shape:
        """Fixed, unless the aspect is kept."""
        return None if self.keep_aspect else (self.rows, self.columns)

    def largest_after(self, before: Shape) -> Shape:
        """What was asked for."""
        return self.rows, self.columns


def resize(image: Image, spec: Resize) -> Image:
    """The resampled image.

    Raises:
        Excluded: IMAGE_TOO_LARGE.
    """
    before = image.shape
    after = (*([spec.slices or before[0]] if len(before) == 3 else []), *_plane(image, spec))
    check_size(after)
    pixels, weight = valid_mean(image, lambda array: _resampled(array, after))
    valid = None if weight is None else weight >= 0.5
    mask = None if image.mask is None else _resampled(image.mask.astype(np.float32), after) >= 0.5
    scale = [old / new for old, new in zip(before, after, strict=True)]
    return replace(scaled(image, after, scale), pixels=pixels, valid=valid, mask=mask)


def _plane(image: Image, spec: Resize) -> tuple[int, int]:
    if not spec.keep_aspect:
        return spec.rows, spec.columns
    height, width = (size * one for size, one in zip(image.shape[-2:], image.pixel_shape, strict=True))
    scale = min(spec.rows / height, spec.columns / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _resampled(array: Float32, shape: tuple[int, ...]) -> Float32:
    """Slices that become fewer first: nothing in between is larger than the image or the result."""
    if array.ndim == 2:
        return _resampled_plane(array, shape[0], shape[1])
    scale = array.shape[0] / shape[0]
    if scale > 1:
        array = resample_axis(array, 0, shape[0], scale)
    planes = np.stack([_resampled_plane(plane, shape[1], shape[2]) for plane in array])
    return planes if scale > 1 else resample_axis(planes, 0, shape[0], scale)


def _resampled_plane(array: Float32, rows: int, columns: int) -> Float32:
    shrunk = min(array.shape[0], rows), min(array.shape[1], columns)
    if shrunk != array.shape:
        array = float32(cv2.resize(array, shrunk[::-1], interpolation=cv2.INTER_AREA))
    if shrunk != (rows, columns):
        array = float32(cv2.resize(array, (columns, rows), interpolation=cv2.INTER_LINEAR))
    return array
