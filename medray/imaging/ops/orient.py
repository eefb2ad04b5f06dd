"""Turn images to one orientation, and mammograms to one side."""

from __future__ import annotations

from itertools import permutations
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from medray.errors import Excluded
from medray.imaging.breast import Side, find_breast
from medray.imaging.op import OpSpec, Shape, flagged, luminance
from medray.imaging.place import UNEVEN, directions, turned
from medray.types import Float64, Image

AXES = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
"""Directions in DICOM's patient system: left, right, posterior, anterior, superior (head), inferior (feet)."""
_HANGING: dict[str, Side] = {"L": "left", "R": "right"}
"""Where the chest wall is in the usual hanging of a breast, by laterality."""
_BREAST_THRESHOLD = 0.05


class Orient(OpSpec):
    """Turn to one convention by flips and transpositions alone; no pixel is resampled.

    Letters say where rising indices go: L, R (left, right of the patient), P, A (back, front), S, I (head, feet). An oblique
    image goes by the nearest axes. Planes are named by the axis nearest to their normal. A mammogram is flipped so that the chest
    wall is on one side: the side that the breast lies against in the image, or where that is at neither or both, the side that is
    usual for its laterality (L: left, R: right). Where the two differ the image counts and the flag LATERALITY_DIFFERS is added.
    Whether a mammogram is upside down is not looked at. Other images without an orientation are excluded as ORIENTATION_UNKNOWN,
    or kept.
    """

    source: ClassVar[str] = "DICOM PS3.3 C.7.6.2.1.1, C.7.6.1.1.1"
    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    takes_colour: ClassVar[bool] = True
    op: Literal["orient"] = "orient"
    volume: Literal["LPS", "RAS", "LIP", "PIR"] = Field("LPS", description="columns, rows and slices of a volume go to")
    axial: Literal["LP", "RP", "LA", "RA"] = Field("LP", description="columns and rows of an axial plane go to")
    coronal: Literal["LI", "RI", "LS", "RS"] = Field("LI", description="columns and rows of a coronal plane go to")
    sagittal: Literal["PI", "AI", "PS", "AS"] = Field("PI", description="columns and rows of a sagittal plane go to")
    chest_wall: Literal["left", "right"] = Field("left", description="side of the chest wall in a mammogram (modality MG)")
    unknown: Literal["exclude", "keep"] = Field("exclude", description="what to do with an image of unknown orientation")

    def shape_after(self, before: Shape) -> Shape:
        """Fixed for square images alone."""
        return before if before is not None and before[0] == before[1] else None

    def largest_after(self, before: Shape) -> Shape:
        """Rows may become columns."""
        return None if before is None else (max(before), max(before))


def orient(image: Image, spec: Orient) -> Image:
    """The turned image; spacing, orientation and position follow.

    Raises:
        Excluded: ORIENTATION_UNKNOWN; VOLUME_SHEARED where slices would become rows or columns of a sheared or uneven volume.
        Quarantined: IMAGE_NO_VALID_PIXELS, of a mammogram.
    """
    if image.header.modality == "MG" and image.dimensions == 2:
        return _hung(image, spec)
    have = directions(image)
    if have is None:
        return _unknown(image, spec, "the image does not say how it lies in the patient")
    want = np.array([AXES[letter] for letter in reversed(_convention(have, spec))], dtype=np.float64)
    order, flips = _turn(have, want)
    if len(order) == 3 and order[0] != 0 and UNEVEN & {*image.header.flags}:
        raise Excluded("VOLUME_SHEARED", "slices that are sheared or uneven cannot become rows or columns")
    return turned(image, order, flips)


def _unknown(image: Image, spec: Orient, why: str) -> Image:
    if spec.unknown == "keep":
        return image
    raise Excluded("ORIENTATION_UNKNOWN", why)


def _convention(have: Float64, spec: Orient) -> str:
    """Where columns, rows (and slices) are to go."""
    if len(have) == 3:
        return spec.volume
    normal = np.abs(np.cross(have[1], have[0]))
    return (spec.sagittal, spec.coronal, spec.axial)[int(normal.argmax())]


def _turn(have: Float64, want: Float64) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """The order of axes that comes nearest to the wanted directions, and which of them then run the other way."""
    near = want @ have.T
    axes = range(len(have))
    order = max(permutations(axes), key=lambda one: sum(abs(near[axis, one[axis]]) for axis in axes))
    return order, tuple(bool(near[axis, order[axis]] < 0) for axis in axes)


def _hung(image: Image, spec: Orient) -> Image:
    """A mammogram with the chest wall on the wanted side."""
    breast = find_breast(luminance(image), _BREAST_THRESHOLD)
    expected = _HANGING.get(image.header.laterality)
    side = breast.side if breast is not None else expected
    if side is None:
        return _unknown(image, spec, "neither the image nor its laterality says on which side the chest wall is")
    if expected is not None and side != expected:
        image = flagged(image, "LATERALITY_DIFFERS")
    return image if side == spec.chest_wall else turned(image, (0, 1), (False, True))
