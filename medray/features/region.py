"""What most families of planes share: the region that counts, its bounding box, percentiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from medray.types import Bool, Float32, Float64, Image

GREY = "grey level"
"""Unit of the pixels."""


def region_of(image: Image) -> Bool:
    """bool, as the pixels: those that count."""
    return np.ones(image.pixels.shape, bool) if image.region is None else image.region


def box_of(region: Bool) -> tuple[slice, slice]:
    """Rows and columns of the bounding box of bool (rows, columns) with at least one True."""
    rows, columns = (np.flatnonzero(region.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def boxed(image: Image) -> tuple[Float32, Bool]:
    """The pixels and the region inside the bounding box of the region."""
    if image.region is None:
        return image.pixels, np.ones(image.pixels.shape, bool)
    box = box_of(image.region)
    return image.pixels[box], image.region[box]


def in_proportion(moments: Mapping[str, float], pixel_shape: tuple[float, float]) -> dict[str, float]:
    """The moments of :func:`cv2.moments`, the central ones of pixels of this (height, width) and area 1."""
    height, width = pixel_shape
    central = {name: value for name, value in moments.items() if name[:2] in ("mu", "nu")}
    return {**moments, **{name: value * width ** int(name[2]) * height ** int(name[3]) for name, value in central.items()}}


def eroded(region: Bool, radius: int, border: bool) -> Bool:
    """The pixels whose square of side 2 ``radius`` + 1 lies in the region; with ``border`` the outside belongs to it."""
    side = 2 * radius + 1
    square = np.ones((side, side), np.uint8)
    shrunk = cv2.erode(region.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=int(border))
    return np.asarray(shrunk, dtype=np.bool_)


def percentiles(values: Float32, at: Sequence[float]) -> Float64:
    """Percentiles as :func:`numpy.percentile` has them, of float32 (n,) with n > 0; several times as fast, by sorting."""
    ordered: Any = np.sort(values).astype(np.float64)
    place = np.asarray(at, dtype=np.float64) / 100 * (len(ordered) - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    return np.asarray(ordered[below] + (ordered[above] - ordered[below]) * (place - below), dtype=np.float64)
