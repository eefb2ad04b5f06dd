"""DICOM SEG → the voxels of a volume that it marks, slice by slice, by where its frames lie in the patient."""

from __future__ import annotations

import numpy as np

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import group
from medray.data.dicom.header import sop_class
from medray.data.dicom.pixels import stored_values
from medray.data.geometry import axes
from medray.data.masks import LABEL_MAP, check_size, open_segmentation, unreadable
from medray.data.series import ORIENTATION_TOLERANCE
from medray.data.volume import Volume
from medray.errors import Quarantined
from medray.types import Bool, Float64

DRIFT_TOLERANCE = 0.1
"""By which part of a pixel a frame may lie beside its slice, within the plane."""


def decode_volume_mask(data: bytes, volume: Volume, segment: int | None = None) -> Bool:
    """The voxels of a volume that a mask marks, bool (slices, rows, columns).

    Each frame marks the slice whose plane is nearest, at most half a step away; orientation, pixel spacing and the place within
    the plane must be those of the slice. A slice without a frame is not marked.

    Args:
        data: a DICOM SEG (PS3.3 A.51: binary, or a label map) whose frames say where they lie (PS3.3 C.7.6.16.2.3).
        volume: as built.
        segment: number of the segment that counts (Referenced Segment Number, or the value in a label map); None: all.

    Raises:
        Quarantined: MASK_UNREADABLE, MASK_SIZE, MASK_GEOMETRY.
    """
    with unreadable():
        file, header = open_segmentation(data)
        check_size(header.rows, header.columns, volume.voxels.shape[1:])
        _check_reference(file.dataset, volume)
        of_labels = sop_class(file) == LABEL_MAP
        mask = np.zeros(volume.voxels.shape, bool)
        for frame in range(header.frames):
            if segment is None or of_labels or _segment(file.dataset, frame) == segment:
                values = stored_values(file, header, frame)
                mask[_slice(file.dataset, frame, volume)] |= values == segment if segment and of_labels else values > 0
        return mask


def _check_reference(dataset: DataSet, volume: Volume) -> None:
    given, expected = dataset.text(tags.FRAME_OF_REFERENCE), volume.headers[0].frame_of_reference_uid
    if given and expected and given != expected:
        raise Quarantined("MASK_GEOMETRY", "the mask has another frame of reference than the volume")


def _segment(dataset: DataSet, frame: int) -> int | None:
    found = group(dataset, frame, tags.SEGMENT_IDENTIFICATION)
    return None if found is None else found.whole(tags.REFERENCED_SEGMENT)


def _slice(dataset: DataSet, frame: int, volume: Volume) -> int:
    """The slice that a frame lies on."""
    position = _numbers(dataset, frame, tags.PLANE_POSITION, tags.IMAGE_POSITION, 3)
    orientation = _numbers(dataset, frame, tags.PLANE_ORIENTATION, tags.IMAGE_ORIENTATION, 6)
    spacing = _numbers(dataset, frame, tags.PIXEL_MEASURES, tags.PIXEL_SPACING, 2)
    expected = volume.headers[0].orientation
    directions = axes(expected)
    if directions is None or np.abs(orientation - np.asarray(expected)).max() > ORIENTATION_TOLERANCE:
        raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask has another orientation than the volume")
    step, pixel = volume.spacing_mm[0], np.asarray(volume.spacing_mm[1:])
    offsets = (position - volume.positions_mm) @ directions.T  # along a row, along a column, along the normal
    at = int(np.abs(offsets[:, 2]).argmin())
    if abs(offsets[at, 2]) > step / 2:
        raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask lies {abs(offsets[at, 2]):.4g} mm from the nearest slice")
    beside = np.abs(offsets[at, 1::-1]) / pixel
    growing = np.abs(spacing - pixel) / pixel * (np.asarray(volume.voxels.shape[1:]) - 1)
    if (drift := float((beside + growing).max())) > DRIFT_TOLERANCE:
        raise Quarantined("MASK_GEOMETRY", f"frame {frame} of the mask lies up to {drift:.3g} pixels beside its slice")
    return at


def _numbers(dataset: DataSet, frame: int, sequence: int, tag: int, count: int) -> Float64:
    found = group(dataset, frame, sequence)
    numbers = None if found is None else found.decimals(tag)
    if numbers is None or len(numbers) != count:
        raise Quarantined("MASK_GEOMETRY", f"the mask does not say where its frame {frame} lies")
    return np.asarray(numbers, dtype=np.float64)
