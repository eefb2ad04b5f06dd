"""Ultrasound regions (PS3.3 C.8.5.5), the parts of an image that have a scale of their own. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable

from medray.types import Bool, UltrasoundRegion

AGREEMENT = 0.01
"""By which part of itself one size may differ from another that says the same."""
TWO_D = 1
"""Region Spatial Format of tissue and flow in two dimensions; the others have no scale in mm."""

Regions = tuple[UltrasoundRegion, ...]


def alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two pairs of positive sizes agree."""
    return all(abs(a - b) <= AGREEMENT * max(a, b) for a, b in zip(one, other, strict=True))


def common_spacing(regions: Iterable[UltrasoundRegion]) -> tuple[float, float] | None:
    """(row, column) distance of pixel centres in mm of the 2-D regions; None without one, and where they disagree."""
    found = [spacing_of(region) for region in regions if region.spatial_format == TWO_D]
    if not found or found[0] is None:
        return None
    return found[0] if all(one is not None and alike(one, found[0]) for one in found) else None


def spacing_of(region: UltrasoundRegion) -> tuple[float, float] | None:
    """(row, column) distance of pixel centres in mm, or None where the region has no such scale."""
    return None if region.row_mm is None or region.column_mm is None else (region.row_mm, region.column_mm)


def same_scale(one: UltrasoundRegion, other: UltrasoundRegion) -> bool:
    """Whether two regions agree in their spacing, or have none."""
    first, second = spacing_of(one), spacing_of(other)
    return first is second or (first is not None and second is not None and alike(first, second))


def within(regions: Iterable[UltrasoundRegion], rows: int, columns: int) -> Regions:
    """The regions that meet an image of this size by half a pixel or more, cut to it."""
    cut = (
        one._replace(top=max(one.top, 0), left=max(one.left, 0), bottom=min(one.bottom, rows), right=min(one.right, columns))
        for one in regions
    )
    return tuple(one for one in cut if one.bottom - one.top >= 0.5 and one.right - one.left >= 0.5)


def marked(regions: Regions, mask: Bool) -> Regions:
    """The regions in which a mask, bool (…, rows, columns), marks a pixel."""
    return tuple(one for one in regions if mask[..., _pixels(one.top, one.bottom), _pixels(one.left, one.right)].any())


def _pixels(start: float, end: float) -> slice:
    """Those whose centres lie between two places."""
    return slice(max(math.ceil(start - 0.5), 0), max(math.ceil(end - 0.5), 0))


def moved(regions: Regions, origin: tuple[float, float], scale: tuple[float, float] = (1, 1)) -> Regions:
    """The regions as an image has them whose upper left corner is at ``origin``, with pixels ``scale`` times as large."""
    (top, left), (down, across) = origin, scale
    return tuple(
        UltrasoundRegion(
            one.spatial_format,
            (one.top - top) / down,
            (one.left - left) / across,
            (one.bottom - top) / down,
            (one.right - left) / across,
            None if one.row_mm is None else one.row_mm * down,
            None if one.column_mm is None else one.column_mm * across,
        )
        for one in regions
    )


def transposed(regions: Regions) -> Regions:
    """The regions of the image whose rows are the columns of this one."""
    return tuple(
        UltrasoundRegion(one.spatial_format, one.left, one.top, one.right, one.bottom, one.column_mm, one.row_mm)
        for one in regions
    )


def flipped(regions: Regions, shape: tuple[int, int], flips: tuple[bool, bool]) -> Regions:
    """The regions of an image of ``shape`` whose rows, or columns, run the other way."""
    (rows, columns), (down, across) = shape, flips
    return tuple(
        one._replace(
            top=rows - one.bottom if down else one.top,
            bottom=rows - one.top if down else one.bottom,
            left=columns - one.right if across else one.left,
            right=columns - one.left if across else one.right,
        )
        for one in regions
    )
