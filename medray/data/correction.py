"""Resampling of tilted or unevenly spaced slices. Pure functions on arrays.

Interpolation is linear, or cubic: Hermite with the slopes of the parabola through three neighbours, which for even steps is
the cubic convolution of Keys (IEEE Trans. ASSP 29, 1981). Both meet the values at their own places exactly.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from medray.data.geometry import SAME_PLACE_MM, STEP_TOLERANCE
from medray.types import Bool, Float32, Float64, Int64

Correction = Literal["tilt", "spacing"]
Interpolation = Literal["linear", "cubic"]
CORRECTIONS: tuple[str, ...] = get_args(Correction)
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)

_SAME_PIXEL = 1e-3
"""Shifts closer to whole pixels than this, in pixels, are whole ones: positions are rounded to fewer digits."""
_NO_SHIFT = 0.02
"""Where all slices lie within this part of a pixel along an axis, that axis is left alone."""


def check_names(correct: Collection[str], interpolation: str) -> None:
    """Raise ValueError unless these are corrections and an interpolation."""
    for names, known in ((correct, CORRECTIONS), ([interpolation], INTERPOLATIONS)):
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(known)}")


@dataclass(frozen=True)
class Taps:
    """The source values of each result, and their weights: int64 and float32, both (results, 2) or (results, 4)."""

    indices: Int64
    weights: Float32

    def values(self, values: Float32) -> Float32:
        """The results, of values along the first axis."""
        made = np.zeros((len(self.indices), *values.shape[1:]), np.float32)
        for index, weight in zip(self.indices.T, self.weights.T, strict=True):
            made += values[index] * weight.reshape(-1, *[1] * (values.ndim - 1))
        return made

    def valid(self, valid: Bool) -> Bool:
        """Which results are made of valid values only, along the first axis."""
        made = np.ones((len(self.indices), *valid.shape[1:]), np.bool_)
        for index, weight in zip(self.indices.T, self.weights.T, strict=True):
            made &= valid[index] | (weight == 0).reshape(-1, *[1] * (valid.ndim - 1))
        return made


def taps(places: Float64, nodes: Float64, interpolation: Interpolation, same: float) -> Taps:
    """How to interpolate at some places.

    Args:
        places: float64 (results,), from the first of the nodes to the last.
        nodes: float64 (values,), rising; two or more.
        interpolation: linear or cubic.
        same: places closer to a node than this take its value.
    """
    low = np.clip(np.searchsorted(nodes, places, "right") - 1, 0, len(nodes) - 2)
    width = nodes[low + 1] - nodes[low]
    part = (places - nodes[low]) / width
    part = np.where(np.abs(part) * width < same, 0.0, np.where(np.abs(1 - part) * width < same, 1.0, part))
    if interpolation == "linear":
        return Taps(np.stack([low, low + 1], axis=1), np.stack([1 - part, part], axis=1).astype(np.float32))
    before, after = np.maximum(low - 1, 0), np.minimum(low + 2, len(nodes) - 1)
    back, ahead = nodes[low] - nodes[before], nodes[after] - nodes[low + 1]
    # the slope at each end: of the parabola through its neighbours, of the straight line where there is no third
    left = np.where(back > 0, width / (width + back) * width / np.where(back > 0, back, 1), 0.0)
    right = np.where(ahead > 0, width / (width + ahead) * width / np.where(ahead > 0, ahead, 1), 0.0)
    start, end = back / (width + back) + (back == 0), ahead / (width + ahead) + (ahead == 0)
    rise, leave, arrive = part**2 * (3 - 2 * part), part * (1 - part) ** 2, part**2 * (part - 1)
    weights = [
        -leave * left,
        1 - rise + leave * (left - start) - arrive * end,
        rise + leave * start + arrive * (end - right),
        arrive * right,
    ]
    return Taps(np.stack([before, low, low + 1, after], axis=1), np.stack(weights, axis=1).astype(np.float32))


_Window = tuple[int, tuple[slice, slice], tuple[Taps, Taps]]


@dataclass(frozen=True)
class Straightening:
    """Slices moved within their planes, so that each lies right above the one before: the correction of a gantry tilt.

    Attributes:
        shifts: float64 (slices, 2), by how many rows and columns the pixels of each slice move, 0 or more.
        shape: of the result: slices, rows, columns.
    """

    shifts: Float64
    shape: tuple[int, int, int]

    def values(self, values: Float32, interpolation: Interpolation, fill: float) -> Float32:
        """The moved slices; ``fill`` where there was nothing."""
        made = np.full(self.shape, fill, np.float32)
        for k, window, (rows, columns) in self._windows(values.shape, interpolation):
            made[(k, *window)] = columns.values(rows.values(values[k]).T).T
        return made

    def valid(self, valid: Bool | None, shape: tuple[int, ...], interpolation: Interpolation) -> Bool:
        """Which voxels of the result come from valid ones; those from outside do not."""
        made = np.zeros(self.shape, np.bool_)
        for k, window, (rows, columns) in self._windows(shape, interpolation):
            made[(k, *window)] = True if valid is None else columns.valid(rows.valid(valid[k]).T).T
        return made

    def _windows(self, shape: tuple[int, ...], interpolation: Interpolation) -> Iterator[_Window]:
        """Of each slice: its number, where it comes to lie, and of what its rows and columns are made."""
        for k, (down, along) in enumerate(self.shifts.tolist()):
            (rows, of_rows), (columns, of_columns) = _moved(shape[1], down, interpolation), _moved(shape[2], along, interpolation)
            yield k, (rows, columns), (of_rows, of_columns)


def _moved(size: int, shift: float, interpolation: Interpolation) -> tuple[slice, Taps]:
    """Where ``size`` pixels lie that move by ``shift``, and what each is made of: of the two that it lies between."""
    nearest = round(shift)
    if size < 2 or abs(shift - nearest) < _SAME_PIXEL:
        indices = np.arange(size)
        return slice(nearest, nearest + size), Taps(indices[:, None], np.ones((size, 1), np.float32))
    first, last = math.ceil(shift), math.floor(shift + size - 1)
    places = np.arange(first, last + 1, dtype=np.float64) - shift
    return slice(first, last + 1), taps(places, np.arange(size, dtype=np.float64), interpolation, 0.0)


def straightening(
    positions_mm: Float64, directions: Float64, pixel_mm: tuple[float, float], rows: int, columns: int
) -> tuple[Straightening, Float64]:
    """How to move the slices of a stack, and the new positions of their first pixels.

    Args:
        positions_mm: float64 (slices, 3), of the first pixel of each slice.
        directions: of :func:`medray.data.geometry.axes`.
        pixel_mm: distance of rows and of columns.

    Returns:
        The straightening, and float64 (slices, 3), the new positions.
    """
    from_first = positions_mm - positions_mm[0]
    places = from_first @ directions[1::-1].T / pixel_mm  # in rows and columns
    lowest, highest = places.min(axis=0), places.max(axis=0)
    moved = highest - lowest > _NO_SHIFT
    more = np.where(moved, np.ceil(highest - lowest - _SAME_PIXEL), 0.0)
    origin = np.where(moved, highest - more, 0.0)  # so that the slice that moves farthest keeps its pixels, as in dcm2niix
    shifts = np.where(moved, np.maximum(places - origin, 0.0), 0.0)
    more_rows, more_columns = more.astype(int).tolist()
    corner = positions_mm[0] + origin * pixel_mm @ directions[1::-1]
    above = np.outer(from_first @ directions[2], directions[2])
    return Straightening(shifts, (len(positions_mm), rows + more_rows, columns + more_columns)), corner + above


@dataclass(frozen=True)
class Evening:
    """Slices interpolated between slices, along their step: the correction of uneven distances.

    Attributes:
        distances_mm: float64 (slices,), of the slices that are given, along the normal, from 0 on.
        step_mm: distance of the slices that are made.
        slices: how many are made.
    """

    distances_mm: Float64
    step_mm: float
    slices: int

    def values(self, values: Float32, interpolation: Interpolation) -> Float32:
        """The slices that are made, (slices, rows, columns)."""
        made = np.empty((self.slices, *values.shape[1:]), np.float32)
        for k, one in enumerate(self._taps(interpolation)):
            made[k] = one.values(values)[0]
        return made

    def valid(self, valid: Bool, interpolation: Interpolation) -> Bool:
        """Which of their voxels are made of valid ones."""
        made = np.empty((self.slices, *valid.shape[1:]), np.bool_)
        for k, one in enumerate(self._taps(interpolation)):
            made[k] = one.valid(valid)[0]
        return made

    @property
    def nearest(self) -> Int64:
        """int64 (slices,): which given slice lies nearest to each one that is made."""
        between = (self.distances_mm[1:] + self.distances_mm[:-1]) / 2
        return np.searchsorted(between, self._places(), "right")

    def _places(self) -> Float64:
        return np.asarray(np.minimum(np.arange(self.slices) * self.step_mm, self.distances_mm[-1]), dtype=np.float64)

    def _taps(self, interpolation: Interpolation) -> Iterator[Taps]:
        """Of one slice after the other, so that no copy of all of them is made."""
        found = taps(self._places(), self.distances_mm, interpolation, SAME_PLACE_MM)
        return (Taps(found.indices[k : k + 1], found.weights[k : k + 1]) for k in range(self.slices))


def evening(distances_mm: Float64) -> Evening:
    """Make the distances of slices even: the step is the smallest distance, so that no detail is lost.

    Steps that differ from the smallest by no more than a tenth are taken together, as rounding makes them differ. At most twice
    as many slices are made as there were; none beyond the last.

    Args:
        distances_mm: float64 (slices,), along the normal, rising from 0; two or more.
    """
    steps, most = np.diff(distances_mm), 2 * len(distances_mm)
    step = float(steps[steps <= (1 + STEP_TOLERANCE) * steps.min()].mean())
    slices = math.floor(distances_mm[-1] / step + SAME_PLACE_MM) + 1
    if slices > most:
        slices, step = most, float(distances_mm[-1]) / (most - 1)
    return Evening(distances_mm, step, slices)
