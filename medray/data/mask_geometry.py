"""Where the frames of a segmentation lie beside the planes that it is for: an image, or the slices of a volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from medray.data.geometry import SAME_PLACE_MM, STEP_TOLERANCE, axes
from medray.data.segmentation import Place, Reference
from medray.data.series import ORIENTATION_TOLERANCE
from medray.types import Float64

DRIFT_TOLERANCE = 0.1
"""By which part of a pixel a frame may lie beside its plane, within it."""


@dataclass(frozen=True)
class Target:
    """The planes that a mask is for: an image, or the slices of a volume.

    Attributes:
        shape: rows and columns.
        sources: SOP Instance UID and frame (counted from 0) of each plane.
        frames: how many frames the file of a plane has.
        series_uid, frame_of_reference_uid: "" where unknown.
        orientation: Image Orientation (Patient), or None.
        positions_mm: float64 (planes, 3), Image Position (Patient) of each; None where the geometry is not known in full.
        spacing_mm: distance of rows and of columns.
        step_mm: distance of the slices of a volume; None for an image.
        thickness_mm: Slice Thickness, or None.
    """

    shape: tuple[int, int]
    sources: tuple[tuple[str, int], ...]
    frames: int = 1
    series_uid: str = ""
    frame_of_reference_uid: str = ""
    orientation: tuple[float, ...] | None = None
    positions_mm: Float64 | None = None
    spacing_mm: tuple[float, float] | None = None
    step_mm: float | None = None
    thickness_mm: float | None = None

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        numbers = defaultdict(list)
        for number, (uid, _) in enumerate(self.sources):
            numbers[uid].append(number)
        return numbers

    @property
    def is_volume(self) -> bool:
        """Whether the planes are slices that follow each other."""
        return self.step_mm is not None

    def named_by(self, references: Sequence[Reference]) -> set[int]:
        """The planes that references name."""
        return {
            number
            for one in references
            for number in self._numbers.get(one.sop_uid, ())
            if not one.frames or self.sources[number][1] in one.frames
        }

    def is_alone_in(self, references: Sequence[Reference]) -> bool:
        """Whether references that name one of the planes name nothing else."""
        return len(references) == 1 and (self.frames == 1 or len(references[0].frames) == 1)


class Offset(NamedTuple):
    """How far a frame lies from the nearest plane.

    Attributes:
        at: number of the plane.
        along_mm: distance along the normal.
        drift: within the plane, in pixels, at the worst corner.
        turned: whether it has another orientation.
    """

    at: int
    along_mm: float
    drift: float
    turned: bool


def offset(place: Place, target: Target) -> Offset:
    """How far a frame lies from the nearest plane of a target whose geometry is known."""
    directions = axes(target.orientation)
    assert directions is not None
    assert target.positions_mm is not None
    pixel = np.asarray(target.spacing_mm)
    offsets = (place.position_mm - target.positions_mm) @ directions.T  # along a row, along a column, along the normal
    at = int(np.abs(offsets[:, 2]).argmin())
    beside = np.abs(offsets[at, 1::-1]) / pixel
    growing = np.abs(place.spacing_mm - pixel) / pixel * (np.asarray(target.shape) - 1)
    turned = np.abs(place.orientation - np.asarray(target.orientation)).max() > ORIENTATION_TOLERANCE
    return Offset(at, float(abs(offsets[at, 2])), float((beside + growing).max()), bool(turned))


def reach_mm(place: Place, target: Target, *, named: bool) -> tuple[float, float]:
    """How far off a frame still lies on its plane, and from where on it lies on another one; between them it lies on none.

    Half a step to the next plane, where that is known. The neighbours of a single image are unknown, and slices may overlap: a
    frame that does not refer to the image must then lie exactly on its plane.
    """
    if target.step_mm is not None:
        return target.step_mm / 2 - SAME_PLACE_MM, target.step_mm / 2
    half = (place.step_mm or target.thickness_mm or place.thickness_mm or float(min(place.spacing_mm))) / 2
    on = half - SAME_PLACE_MM if named or place.step_mm else 2 * half * STEP_TOLERANCE
    return max(on, SAME_PLACE_MM), half + SAME_PLACE_MM
