"""Pad to a size in pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from medray.errors import Excluded
from medray.imaging.op import OpSpec, Shape
from medray.imaging.ops.resize import Pixels
from medray.types import Image


class Pad(OpSpec):
    """Pad around the centre to rows x columns; padded pixels are invalid."""

    op: Literal["pad"] = "pad"
    rows: Pixels
    columns: Pixels
    value: float = 0.0

    def shape_after(self, before: Shape) -> Shape:
        """Fixed."""
        return self.rows, self.columns

    def largest_after(self, before: Shape) -> Shape:
        """Fixed.

        Raises:
            ValueError: an image of the largest size before does not fit.
        """
        if before is not None and (before[0] > self.rows or before[1] > self.columns):
            raise ValueError(f"pad to {self.rows} x {self.columns} is below the {before[0]} x {before[1]} before it")
        return self.rows, self.columns


def pad(image: Image, spec: Pad) -> Image:
    """The padded image.

    Raises:
        Excluded: IMAGE_LARGER_THAN_PAD where the image does not fit; a resize with ``keep_aspect`` before makes it fit.
    """
    rows, columns = image.pixels.shape
    if rows > spec.rows or columns > spec.columns:
        raise Excluded("IMAGE_LARGER_THAN_PAD", f"{rows} x {columns} pixels cannot be padded to {spec.rows} x {spec.columns}")
    top, left = (spec.rows - rows) // 2, (spec.columns - columns) // 2
    inside = slice(top, top + rows), slice(left, left + columns)
    pixels = np.full((spec.rows, spec.columns), spec.value, np.float32)
    pixels[inside] = image.pixels
    valid = np.zeros(pixels.shape, bool)
    valid[inside] = True if image.valid is None else image.valid
    mask = None
    if image.mask is not None:
        mask = np.zeros(pixels.shape, bool)
        mask[inside] = image.mask
    return replace(image, pixels=pixels, valid=valid, mask=mask)
