"""Where the slices of a stack lie in the patient: order, step, what is wrong with them. Pure functions on arrays, in LPS mm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from medray.types import Float64, Int64

SAME_PLACE_MM = 1e-3
"""Planes closer than this lie at the same place; positions are written with fewer digits than that only by coarser devices."""
COSINE_TOLERANCE = 0.01
"""Largest error of direction cosines in length and right angle; beyond it they are not an orientation."""
STEP_TOLERANCE = 0.1
"""By which part of the slice step a slice may lie off its place along the normal."""
DRIFT_TOLERANCE = 0.2
"""By which part of a pixel a slice may lie off its place within its plane."""
SHEAR_TOLERANCE = 0.005
"""Tangent of the angle between slice step and normal from which a stack counts as sheared (0.3 degrees)."""
_OBLIQUE = 0.9


class Trouble(NamedTuple):
    """A problem of a stack: a stable code (see :mod:`medray.remedies`) and one line that says where."""

    code: str
    detail: str


@dataclass(frozen=True)
class Slices:
    """Slices in geometric order: along the normal, the cross product of the directions of a row and of a column.

    Attributes:
        order: int64 (slices,), indices into what was given; a place that was given twice is here once.
        step_mm: float64 (3,), from one slice's first pixel to the next one's; None for one slice without thickness.
        troubles: what is wrong.
    """

    order: Int64
    step_mm: Float64 | None
    troubles: tuple[Trouble, ...] = ()


@lru_cache(maxsize=4096)
def axes(orientation: tuple[float, ...] | None) -> Float64 | None:
    """Unit vectors of an Image Orientation (Patient) (PS3.3 C.7.6.2.1.1).

    Returns:
        float64 (3, 3): the direction along a row (rising column index), the direction along a column (rising row index) and their
        cross product, the normal; not to be written to. None if the six numbers are not an orientation.
    """
    if orientation is None or len(orientation) != 6:
        return None
    pair = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    if not np.abs(pair).max() < 1 + COSINE_TOLERANCE:
        return None
    lengths = np.linalg.norm(pair, axis=1)
    if np.abs(lengths - 1).max() > COSINE_TOLERANCE or abs(pair[0] @ pair[1]) > COSINE_TOLERANCE:
        return None
    pair = pair / lengths[:, None]
    normal = np.cross(pair[0], pair[1])
    directions = np.stack([pair[0], pair[1], normal / np.linalg.norm(normal)])
    directions.flags.writeable = False
    return directions


@lru_cache(maxsize=4096)
def orientation_name(orientation: tuple[float, ...] | None) -> str:
    """``"axial"``, ``"coronal"``, ``"sagittal"`` (normal within 26 degrees of the axis), ``"oblique"``, or "" where unknown."""
    directions = axes(orientation)
    if directions is None:
        return ""
    normal = np.abs(directions[2])
    return ("sagittal", "coronal", "axial")[int(normal.argmax())] if normal.max() > _OBLIQUE else "oblique"


def places(positions_mm: Float64, normal: Float64) -> Int64:
    """int64 (planes,): equal numbers for planes at the same distance along the normal, rising along it.

    Args:
        positions_mm: float64 (planes, 3).
        normal: float64 (3,), of unit length.
    """
    distances = positions_mm @ normal
    order = np.argsort(distances, kind="stable")
    labels = np.empty(len(order), dtype=np.int64)
    labels[order] = np.cumsum(np.diff(distances[order], prepend=distances[order[:1]]) > SAME_PLACE_MM)
    return labels


def arrange(positions_mm: Float64, directions: Float64, spacing_mm: tuple[float, float], thickness_mm: float | None) -> Slices:
    """Order the slices of a stack by Image Position (Patient) projected on the normal, and look for trouble.

    Args:
        positions_mm: float64 (planes, 3), of the first pixel's centre.
        directions: of :func:`axes`.
        spacing_mm: (row, column) distance of pixel centres.
        thickness_mm: Slice Thickness, the step of a single slice.

    Returns:
        The slices; troubles are VOLUME_SINGLE_SLICE, VOLUME_DUPLICATE_SLICE, VOLUME_GAP, VOLUME_TILT, VOLUME_SHEARED.
    """
    labels = places(positions_mm, directions[2])
    _, order = np.unique(labels, return_index=True)
    troubles: list[Trouble] = []
    if len(order) < len(labels):
        twice = int((np.bincount(labels) > 1).sum())
        troubles.append(Trouble("VOLUME_DUPLICATE_SLICE", f"{twice} of {len(order)} places hold more than one slice"))
    if len(order) == 1:
        troubles.append(Trouble("VOLUME_SINGLE_SLICE", "one slice; the slice thickness stands for its step"))
        return Slices(order, directions[2] * thickness_mm if thickness_mm else None, tuple(troubles))
    step, found = _step(positions_mm[order], directions, min(spacing_mm))
    return Slices(order, step, (*troubles, *found))


def _step(positions_mm: Float64, directions: Float64, pixel_mm: float) -> tuple[Float64, list[Trouble]]:
    """The step of two or more slices in order: the mean one, or the median where slices are missing."""
    distances = (positions_mm - positions_mm[0]) @ directions[2]
    whole = positions_mm[-1] - positions_mm[0]
    step, troubles = whole / (len(distances) - 1), []
    steps, mean = np.diff(distances), distances[-1] / (len(distances) - 1)
    if np.abs(distances - mean * np.arange(len(distances))).max() > STEP_TOLERANCE * mean:
        step = np.median(np.diff(positions_mm, axis=0), axis=0)
        detail = f"slices are {steps.min():.4g} to {steps.max():.4g} mm apart, {np.median(steps):.4g} mm as a rule"
        troubles.append(Trouble("VOLUME_GAP", detail))
    beside_line = positions_mm - positions_mm[0] - np.outer(distances / distances[-1], whole)
    if (drift := np.linalg.norm(beside_line, axis=1).max()) > DRIFT_TOLERANCE * pixel_mm:
        troubles.append(Trouble("VOLUME_TILT", f"slices lie up to {drift:.4g} mm beside the line through the first and the last"))
    along = step @ directions[2]
    if (beside := np.linalg.norm(step - along * directions[2])) > SHEAR_TOLERANCE * along:
        angle = np.degrees(np.arctan2(beside, along))
        troubles.append(Trouble("VOLUME_SHEARED", f"the slice step is tilted by {angle:.3g} degrees against the normal"))
    return step, troubles
