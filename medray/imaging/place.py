"""Where an image lies: cuts, padding and turns, with the masks, the position, the orientation and the spacing in step.

A position that can no longer be known (spacing or orientation is unknown, or slices are not evenly stacked) becomes None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.geometry import axes
from medray.types import Float64, Header, Image

UNEVEN = frozenset({"VOLUME_GAP", "VOLUME_SHEARED", "VOLUME_TILT"})
"""Flags of volumes whose slices do not follow each other along the normal in equal steps."""

Array = NDArray[Any]


def moved(image: Image, offset: Sequence[float]) -> Header:
    """The header for a first pixel that lies at this index of the image, fractions and negative numbers included.

    Args:
        image: a plane or a volume.
        offset: one number for each axis, in pixels (PS3.3 C.7.6.2.1.1).
    """
    header = image.header
    if header.position_mm is None or not any(offset):
        return header
    steps = _steps(image)
    along = [(number, step) for number, step in zip(reversed(offset), reversed(steps), strict=False) if number]
    if any(step is None for _, step in along):
        return replace(header, position_mm=None)
    x, y, z = (np.asarray(header.position_mm) + sum(number * step for number, step in along if step is not None)).tolist()
    return replace(header, position_mm=(x, y, z))


def cut(image: Image, *slices: slice) -> Image:
    """The part of an image inside one slice (first and end index) for each axis, copied."""
    header = moved(image, [one.start or 0 for one in slices])
    return _each(replace(image, header=header), lambda array: array[slices].copy())


def padded(image: Image, before: Sequence[int], shape: Sequence[int], value: float) -> Image:
    """The image laid into a larger one of this shape, ``before`` pixels after its first along each axis; the rest is invalid."""
    inside = tuple(slice(first, first + size) for first, size in zip(before, image.pixels.shape, strict=True))

    def laid(array: Array, rest: float) -> Array:
        result = np.full(shape, rest, array.dtype)
        result[inside] = array
        return result

    valid = np.ones(image.pixels.shape, np.bool_) if image.valid is None else image.valid
    mask = None if image.mask is None else laid(image.mask, 0)
    header = moved(image, [-first for first in before])
    return replace(image, pixels=laid(image.pixels, value), valid=laid(valid, 0), mask=mask, header=header)


def turned(image: Image, order: Sequence[int], flips: Sequence[bool]) -> Image:
    """The image with its axes in another order, then some of them reversed; no pixel is resampled.

    Args:
        image: a plane or a volume; of a volume the result must be right-handed as it was.
        order: for each axis of the result, the axis of the image.
        flips: for each axis of the result, whether it runs the other way.
    """
    first = [0] * len(order)
    for axis, flip in zip(order, flips, strict=True):
        first[axis] = image.pixels.shape[axis] - 1 if flip else 0
    header, spacing = moved(image, first), _spacings(image)
    *through, row_mm, column_mm = (spacing[axis] for axis in order)
    known = None if row_mm is None or column_mm is None else (row_mm, column_mm)
    header = replace(header, spacing_mm=known, orientation=_orientation(image, order, flips))
    turn = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)
    result = replace(image, header=header, slice_spacing_mm=through[0] if through else image.slice_spacing_mm)
    return _each(result, lambda array: np.ascontiguousarray(array.transpose(order)[turn]))


def directions(image: Image) -> Float64 | None:
    """Unit vectors along rising slices (of a volume), rows and columns, in LPS; None where the orientation is unknown."""
    found = axes(image.header.orientation)
    return None if found is None else found[::-1][-image.pixels.ndim :]


def _orientation(
    image: Image, order: Sequence[int], flips: Sequence[bool]
) -> tuple[float, float, float, float, float, float] | None:
    before = directions(image)
    if before is None:
        return None
    after = before[list(order)] * np.where(flips, -1.0, 1.0)[:, None] + 0.0  # no negative zeros
    a, b, c, d, e, f = np.concatenate([after[-1], after[-2]]).tolist()
    return a, b, c, d, e, f


def _spacings(image: Image) -> list[float | None]:
    """The spacing along each axis."""
    rows, columns = image.header.spacing_mm or (None, None)
    return [image.slice_spacing_mm, rows, columns][-image.pixels.ndim :]


def _steps(image: Image) -> list[Float64 | None]:
    """From a pixel to the next along each axis, in mm; None where it is unknown."""
    found, spacing = directions(image), _spacings(image)
    if image.pixels.ndim == 3 and UNEVEN & {*image.header.flags}:
        spacing[0] = None
    if found is None:
        return [None] * len(spacing)
    return [None if one is None else one * vector for one, vector in zip(spacing, found, strict=True)]


def _each(image: Image, change: Callable[[Array], Array]) -> Image:
    """The image with its pixels and masks changed alike."""
    valid = None if image.valid is None else change(image.valid)
    mask = None if image.mask is None else change(image.mask)
    return replace(image, pixels=change(image.pixels), valid=valid, mask=mask)
