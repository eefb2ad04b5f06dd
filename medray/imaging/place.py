"""Where an image lies and how large its pixels are: cuts, padding, turns and scales, with masks and header in step.

A position that can no longer be known (spacing or orientation is unknown, or slices are not evenly stacked) becomes None. An
ultrasound image takes its spacing anew from the regions that a cut leaves in it or a mask meets (PS3.3 C.8.5.5).

What is moved is recorded in the image's grid, by which an answer of a network goes back to the image that was decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data import ultrasound
from medray.data.geometry import axes
from medray.errors import Excluded
from medray.imaging.resampling import sampled_axis
from medray.types import Bool, Float32, Float64, Header, Image, PixelGrid

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
    first, inside = [one.start or 0 for one in slices], _of_every_channel(slices)
    header = moved(image, first)
    result = _each(replace(image, header=header, grid=_shifted(image, first)), lambda array: array[inside].copy())
    if not header.ultrasound_regions:
        return result
    regions = ultrasound.moved(header.ultrasound_regions, (first[-2], first[-1]))
    rows, columns = result.shape[-2:]
    return replace(result, header=_measured(header, ultrasound.within(regions, rows, columns)))


def masked(image: Image, mask: Bool) -> Image:
    """The image with a region of interest, its spacing that of the ultrasound regions which the mask meets, if there were any."""
    header = image.header
    if header.ultrasound_regions and mask.any():
        header = _measured(header, ultrasound.marked(header.ultrasound_regions, mask))
    return replace(image, mask=mask, header=header)


def _measured(header: Header, regions: ultrasound.Regions) -> Header:
    """The header of a part of an image that these ultrasound regions meet, with their spacing."""
    spacing = ultrasound.common_spacing(regions)
    aspect = None if spacing else header.pixel_aspect
    return replace(header, spacing_mm=spacing, pixel_aspect=aspect, ultrasound_regions=regions)


def padded(image: Image, before: Sequence[int], shape: Sequence[int], value: float) -> Image:
    """The image laid into a larger one of this shape, ``before`` pixels after its first along each axis; the rest is invalid."""
    inside = _of_every_channel([slice(first, first + size) for first, size in zip(before, image.shape, strict=True)])

    def laid(array: Array, rest: float) -> Array:
        result = np.full((*array.shape[: -len(shape)], *shape), rest, array.dtype)
        result[inside] = array
        return result

    valid = np.ones(image.shape, np.bool_) if image.valid is None else image.valid
    mask = None if image.mask is None else laid(image.mask, 0)
    first = [-one for one in before]
    header, grid = moved(image, first), _shifted(image, first)
    if header.ultrasound_regions:
        regions = ultrasound.moved(header.ultrasound_regions, (first[-2], first[-1]))
        header = replace(header, ultrasound_regions=regions)
    return replace(image, pixels=laid(image.pixels, value), valid=laid(valid, 0), mask=mask, header=header, grid=grid)


def turned(image: Image, order: Sequence[int], flips: Sequence[bool]) -> Image:
    """The image with its axes in another order, then some of them reversed; no pixel is resampled.

    Args:
        image: a plane or a volume; of a volume the result must be right-handed as it was.
        order: for each axis of the result, the axis of the image.
        flips: for each axis of the result, whether it runs the other way.
    """
    first = [0] * len(order)
    for axis, flip in zip(order, flips, strict=True):
        first[axis] = image.shape[axis] - 1 if flip else 0
    header, spacing = moved(image, first), _spacings(image)
    *through, row_mm, column_mm = (spacing[axis] for axis in order)
    known = None if row_mm is None or column_mm is None else (row_mm, column_mm)
    header = replace(_turned_pixels(image, header, order, flips), spacing_mm=known, orientation=_orientation(image, order, flips))
    grid = _shifted(image, first)
    steps = [-grid.step[axis] if flip else grid.step[axis] for axis, flip in zip(order, flips, strict=True)]
    grid = PixelGrid(tuple(grid.axes[axis] for axis in order), tuple(grid.first[axis] for axis in order), tuple(steps))
    result = replace(image, header=header, slice_spacing_mm=through[0] if through else image.slice_spacing_mm, grid=grid)
    return _each(result, lambda array: _turned_array(array, order, flips))


def _turned_array(array: Array, order: Sequence[int], flips: Sequence[bool]) -> Array:
    channels = array.ndim - len(order)
    places = (*range(channels), *(channels + axis for axis in order))
    turn = _of_every_channel([slice(None, None, -1) if flip else slice(None) for flip in flips])
    return np.ascontiguousarray(array.transpose(places)[turn])


def _turned_pixels(image: Image, header: Header, order: Sequence[int], flips: Sequence[bool]) -> Header:
    """The header with the pixel aspect and the ultrasound regions of the turned image; of none whose slices become rows."""
    if header.pixel_aspect is None and not header.ultrasound_regions:
        return header
    rows, columns = image.dimensions - 2, image.dimensions - 1
    if {*order[-2:]} != {rows, columns}:
        return replace(header, pixel_aspect=None, ultrasound_regions=())
    aspect, regions = header.pixel_aspect, header.ultrasound_regions
    if order[-1] == rows:
        aspect, regions = None if aspect is None else 1 / aspect, ultrasound.transposed(regions)
    shape = image.shape[order[-2]], image.shape[order[-1]]
    return replace(header, pixel_aspect=aspect, ultrasound_regions=ultrasound.flipped(regions, shape, (flips[-2], flips[-1])))


def scaled(image: Image, shape: Sequence[int], scale: Sequence[float]) -> Image:
    """The image with header, distance of slices and grid for other pixels around the same centre, which are yet to be set.

    Args:
        image: a plane or a volume.
        shape: number of the new pixels along each axis.
        scale: size of a new pixel in old ones along each axis.
    """
    ends = zip(image.shape, shape, scale, strict=True)
    first = [((old - 1) - (new - 1) * one) / 2 for old, new, one in ends]
    header, (down, across) = moved(image, first), scale[-2:]
    if header.spacing_mm is not None:
        header = replace(header, spacing_mm=(header.spacing_mm[0] * down, header.spacing_mm[1] * across))
    elif down != across:
        aspect = (header.pixel_aspect or 1.0) * down / across
        header = replace(header, pixel_aspect=None if aspect == 1 else aspect)
    if header.ultrasound_regions:
        corner = first[-2] + (1 - down) / 2, first[-1] + (1 - across) / 2
        header = replace(header, ultrasound_regions=ultrasound.moved(header.ultrasound_regions, corner, (down, across)))
    grid = _shifted(image, first)
    grid = replace(grid, step=tuple(step * one for step, one in zip(grid.step, scale, strict=True)))
    slice_mm = image.slice_spacing_mm
    through = slice_mm if slice_mm is None or len(scale) < 3 else slice_mm * scale[0]
    return replace(image, header=header, slice_spacing_mm=through, grid=grid)


def restored(values: Float32, prepared: Image, shape: tuple[int, int]) -> Float32:
    """What is known of each pixel of a prepared plane, on the grid of the plane that was decoded.

    Linear between the centres of pixels where those of the prepared plane are larger, means of them where they are smaller; 0
    where the prepared plane has no pixel.

    Args:
        values: float32 (rows, columns) of the prepared plane, for example probabilities.
        prepared: the plane, as :func:`medray.imaging.preprocess.preprocess` returns it.
        shape: (rows, columns) of the decoded plane.

    Returns:
        float32 of that shape.

    Raises:
        Excluded: MODEL_INPUT_SHAPE, a volume.
    """
    if prepared.dimensions != 2:
        raise Excluded("MODEL_INPUT_SHAPE", "results in a volume cannot be mapped back to its slices")
    if values.shape != prepared.shape:
        raise ValueError(f"values of {values.shape} for a plane of {prepared.shape}")
    if prepared.grid is None:
        if values.shape != shape:
            raise ValueError(f"a plane of {values.shape} that was not moved, but {shape} when it was decoded")
        return values
    grid = prepared.grid
    for axis in range(2):
        first, step, size = grid.first[axis], grid.step[axis], values.shape[axis]
        centres = (np.arange(shape[grid.axes[axis]], dtype=np.float64) - first) / step
        values = sampled_axis(values, axis, centres, 1 / abs(step))
        outside = (centres < -0.5) | (centres > size - 0.5)
        values[(slice(None),) * axis + (outside,)] = 0
    return values if grid.axes == (0, 1) else np.ascontiguousarray(values.T)


def _shifted(image: Image, offset: Sequence[float]) -> PixelGrid:
    """The grid for a first pixel that lies at this index of the image."""
    axes = image.dimensions
    grid = image.grid or PixelGrid(tuple(range(axes)), (0.0,) * axes, (1.0,) * axes)
    ends = zip(grid.first, grid.step, offset, strict=True)
    return replace(grid, first=tuple(first + step * number for first, step, number in ends))


def directions(image: Image) -> Float64 | None:
    """Unit vectors along rising slices (of a volume), rows and columns, in LPS; None where the orientation is unknown."""
    found = axes(image.header.orientation)
    return None if found is None else found[::-1][-image.dimensions :]


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
    return [image.slice_spacing_mm, rows, columns][-image.dimensions :]


def _steps(image: Image) -> list[Float64 | None]:
    """From a pixel to the next along each axis, in mm; None where it is unknown."""
    found, spacing = directions(image), _spacings(image)
    if image.dimensions == 3 and UNEVEN & {*image.header.flags}:
        spacing[0] = None
    if found is None:
        return [None] * len(spacing)
    return [None if one is None else one * vector for one, vector in zip(spacing, found, strict=True)]


def _of_every_channel(slices: Sequence[slice]) -> tuple[Any, ...]:
    """The index of a part of an array, whether it has channels or not."""
    return (..., *slices)


def _each(image: Image, change: Callable[[Array], Array]) -> Image:
    """The image with its pixels and masks changed alike."""
    valid = None if image.valid is None else change(image.valid)
    mask = None if image.mask is None else change(image.mask)
    return replace(image, pixels=change(image.pixels), valid=valid, mask=mask)
