"""DICOM SEG → the voxels of a volume that it marks, slice by slice, by where its frames lie in the patient."""

from __future__ import annotations

import numpy as np

from medray.data.mask_frames import counted_frames
from medray.data.mask_geometry import Target
from medray.data.masks import check_size, unreadable
from medray.data.segmentation import MaskChoice, open_segmentation
from medray.data.volume import Volume
from medray.types import Bool


def decode_volume_mask(data: bytes, volume: Volume, segment: int | None = None, level: float | None = None) -> Bool:
    """The voxels of a volume that a mask marks, bool (slices, rows, columns).

    Each frame marks the slice whose plane is nearest, at most half a step away; orientation, pixel spacing and the place within
    the plane must be those of the slice. A slice without a frame is not marked. See
    :func:`medray.data.mask_frames.counted_frames`.

    Args:
        data: a DICOM SEG (PS3.3 A.51) whose frames say where they lie (PS3.3 C.7.6.16.2.3).
        volume: as built.
        segment: number of the segment that counts (Referenced Segment Number, or the value in a label map); None: all.
        level: from which part of Maximum Fractional Value on a pixel of a fractional SEG counts, above 0 and at most 1.

    Raises:
        Quarantined: MASK_UNREADABLE, MASK_SIZE, MASK_GEOMETRY, MASK_OTHER_IMAGE.
    """
    with unreadable():
        found = open_segmentation(data)
        check_size(found.pixel.rows, found.pixel.columns, volume.voxels.shape[1:])
        mask = np.zeros(volume.voxels.shape, bool)
        for frame, at in counted_frames(found, _target(volume), segment):
            mask[at] |= found.marked(frame, MaskChoice(segment, level))
        return mask


def _target(volume: Volume) -> Target:
    first = volume.headers[0]
    return Target(
        shape=(volume.voxels.shape[1], volume.voxels.shape[2]),
        sources=tuple(zip(volume.sop_uids, volume.frames, strict=True)),
        frames=first.frames,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        orientation=first.orientation,
        positions_mm=volume.positions_mm,
        spacing_mm=volume.spacing_mm[1:],
        step_mm=volume.spacing_mm[0],
        thickness_mm=first.slice_thickness_mm,
    )
