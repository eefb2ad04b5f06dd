"""Where a frame lies that Image Position (Patient) does not place: of an NM reconstruction, of an Enhanced US Volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import group
from medray.data.geometry import axes
from medray.data.plane import Plane

_RECONSTRUCTED = {"RECON TOMO", "RECON GATED TOMO"}
"""Image Type, value 3, of the NM images whose frames are slices (PS3.3 C.8.4.9.1.1.3)."""

_MOST_DETECTORS = 64
_VECTORS = dict(
    zip(
        tags.FRAME_VECTORS,
        ("energy window", "detector", "phase", "rotation", "R-R interval", "time slot", "slice", "angular view", "time slice"),
        strict=True,
    )
)


def placed(dataset: DataSet, plane: Plane) -> Plane:
    """A frame where the data set places it; without a position where it says nothing of this frame.

    Args:
        dataset: of the image.
        plane: of its header, with ``frame``; its position is that of the first frame.
    """
    if tags.DETECTOR_INFORMATION in dataset.items:
        return _reconstructed(dataset, plane)
    if group(dataset, plane.frame, tags.PLANE_POSITION) is not None:
        return plane
    if any(group(dataset, plane.frame, tag) is not None for tag in (tags.PLANE_POSITION_VOLUME, tags.PLANE_ORIENTATION_VOLUME)):
        return _in_volume(dataset, plane)
    return plane if (dataset.integer(tags.NUMBER_OF_FRAMES) or 1) == 1 else replace(plane, position_mm=None)


def _in_volume(dataset: DataSet, plane: Plane) -> Plane:
    """A frame of an Enhanced US Volume, in the Volume Frame of Reference, in mm (PS3.3 C.7.6.16.2.21, C.7.6.16.2.22)."""
    position = group(dataset, plane.frame, tags.PLANE_POSITION_VOLUME)
    orientation = group(dataset, plane.frame, tags.PLANE_ORIENTATION_VOLUME)
    at = position.doubles(tags.IMAGE_POSITION_VOLUME) if position is not None else ()
    cosines = orientation.doubles(tags.IMAGE_ORIENTATION_VOLUME) if orientation is not None else ()
    return replace(
        plane,
        position_mm=(at[0], at[1], at[2]) if len(at) == 3 and np.isfinite(at).all() else None,
        orientation=cosines if len(cosines) == 6 and np.isfinite(cosines).all() else None,
        notes=("VOLUME_FRAME_OF_REFERENCE",),
    )


def _reconstructed(dataset: DataSet, plane: Plane) -> Plane:
    """A slice of a reconstruction (PS3.3 C.8.4.11, C.8.4.15); without a position if the image is not a reconstruction.

    The Detector Information says where the first slice lies. Slice v of the Slice Vector lies (v - 1) times Spacing Between
    Slices further along the normal; against it where that is negative. The other vectors set stacks apart.
    """
    frames = dataset.integer(tags.NUMBER_OF_FRAMES) or 1
    vectors = _vectors(dataset, plane.frame)
    slice_number = vectors.pop(tags.SLICE_VECTOR, 1 if frames == 1 else None)
    apart = ", ".join(f"{_VECTORS[tag]} {value}" for tag, value in vectors.items())
    first = _first_slice(dataset, vectors.get(tags.DETECTOR_VECTOR))
    directions = axes(first[1]) if first is not None else None
    if _RECONSTRUCTED.isdisjoint(plane.image_type) or first is None or directions is None:
        return replace(plane, position_mm=None, orientation=None, stack_id=apart)
    plane = replace(plane, position_mm=None, orientation=first[1], stack_id=apart)
    step_mm = dataset.decimal(tags.SPACING_BETWEEN_SLICES) if frames > 1 else 0.0
    if not slice_number or step_mm is None:
        return plane
    x, y, z = (np.asarray(first[0]) + (slice_number - 1) * step_mm * directions[2]).tolist()
    return replace(plane, position_mm=(x, y, z))


def _vectors(dataset: DataSet, frame: int) -> dict[int, int]:
    """Vector → its value for a frame, of those that Frame Increment Pointer names (PS3.3 C.8.4.8); of all where it is missing."""
    pointer = [_nth(dataset, tags.FRAME_INCREMENT_POINTER, index) for index in range(2 * len(_VECTORS))]
    named = {high << 16 | low for high, low in zip(pointer[::2], pointer[1::2], strict=True) if high and low}
    values = {tag: _nth(dataset, tag, frame) for tag in _VECTORS if not named or tag in named}
    return {tag: value for tag, value in values.items() if value is not None}


def _nth(dataset: DataSet, tag: int, index: int) -> int | None:
    """One of the unsigned 16-bit numbers of an element; None where it has fewer."""
    raw = dataset.values.get(tag, b"")[2 * index : 2 * index + 2]
    return int.from_bytes(raw, "little" if dataset.little else "big") if len(raw) == 2 else None


def _first_slice(dataset: DataSet, detector: int | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Position and orientation of the first slice: of the numbered detector, or where no frame names one, as all agree."""
    items = dataset.items[tags.DETECTOR_INFORMATION]
    if detector is not None:
        items = items[detector - 1 : detector] if detector else ()
    if len(items) > _MOST_DETECTORS:
        return None
    found = {(item.decimals(tags.IMAGE_POSITION), item.decimals(tags.IMAGE_ORIENTATION)) for item in items}
    if len(found) != 1:
        return None
    ((position, orientation),) = found
    return (position, orientation) if position and orientation and len(position) == 3 else None
