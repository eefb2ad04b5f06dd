"""Resample to a size in pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from medray.imaging.op import OpSpec, Shape, float32, valid_mean
from medray.types import Float32, Image

Pixels = Annotated[int, Field(ge=1, le=16384)]


class Resize(OpSpec):
    """Resample to rows x columns, or to the largest size of the same aspect that fits inside."""

    source: ClassVar[str] = "Knutsson 1993, CVPR (normalised convolution)"
    op: Literal["resize"] = "resize"
    rows: Pixels
    columns: Pixels
    keep_aspect: bool = False

    def shape_after(self, before: Shape) -> Shape:
        """Fixed, unless the aspect is kept."""
        return None if self.keep_aspect else (self.rows, self.columns)

    def largest_after(self, before: Shape) -> Shape:
        """What was asked for."""
        return self.rows, self.columns


def resize(image: Image, spec: Resize) -> Image:
    """The image resampled along each axis: area means where it shrinks (nothing aliases), linear where it grows.

    Invalid pixels have no weight; a pixel is valid where at least half its weight is.
    """
    rows, columns = _resized(image.pixels.shape, spec)
    pixels, weight = valid_mean(image, lambda array: _resample(array, rows, columns))
    valid = None if weight is None else weight >= 0.5
    header = image.header
    if header.spacing_mm is not None:
        scale = image.pixels.shape[0] / rows, image.pixels.shape[1] / columns
        header = replace(header, spacing_mm=(header.spacing_mm[0] * scale[0], header.spacing_mm[1] * scale[1]))
    mask = None if image.mask is None else _resample(image.mask.astype(np.float32), rows, columns) >= 0.5
    return replace(image, pixels=pixels, valid=valid, mask=mask, header=header)


def _resized(shape: tuple[int, ...], spec: Resize) -> tuple[int, int]:
    if not spec.keep_aspect:
        return spec.rows, spec.columns
    scale = min(spec.rows / shape[0], spec.columns / shape[1])
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def _resample(array: Float32, rows: int, columns: int) -> Float32:
    shrunk = min(array.shape[0], rows), min(array.shape[1], columns)
    array = float32(cv2.resize(array, shrunk[::-1], interpolation=cv2.INTER_AREA))
    return float32(cv2.resize(array, (columns, rows), interpolation=cv2.INTER_LINEAR))
