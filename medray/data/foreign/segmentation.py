"""Mask → DICOM SEG, with a segment for each value, of the image that it was drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, SegmentationStorage

from medray.data.foreign.identity import digest, uid
from medray.data.foreign.secondary_capture import (
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    Instance,
    describe_study,
    file_bytes,
    file_dataset,
)
from medray.data.segmentation_file import DrawnOn, describe_segmentation, marked_frames
from medray.errors import Quarantined

MAX_SEGMENTS = 1000
_MAX_FRAMES = 1 << 16


@dataclass(frozen=True)
class Segmentation:
    """The SEG of an image; its UIDs follow from both.

    Attributes:
        content: sha256, in hex.
        image: what the mask was drawn on.
        labels: unsigned integers of the image's shape, (frames, rows, columns): 0 is background, each other value a segment,
            numbered from 1 in the order of the values, which its label states.
        values: of the segments.
    """

    content: str
    image: Instance
    labels: NDArray[Any]
    values: tuple[int, ...]

    @property
    def sop_uid(self) -> UID:
        """SOP Instance UID."""
        return uid(self.content, "segmentation")


def segmentation(labels: NDArray[Any], image: Instance) -> Segmentation:
    """The SEG of the labels of an image: who it is; :func:`file_of` makes its file.

    Raises:
        Quarantined: IMPORT_MASK_SIZE, IMPORT_MASK_VALUES.
    """
    if labels.shape != image.shape:
        sizes = (" × ".join(map(str, shape)) for shape in (labels.shape, image.shape))
        raise Quarantined("IMPORT_MASK_SIZE", "a mask of {} for an image of {}".format(*sizes))
    values = tuple(int(value) for value in np.unique(labels) if value)
    if len(values) > MAX_SEGMENTS:
        raise Quarantined("IMPORT_MASK_VALUES", f"a mask of {len(values)} different values, which is not a drawing")
    content = digest([image.content, list(labels.shape)], np.ascontiguousarray(labels, "<u4").tobytes())
    return Segmentation(content, image, labels, values)


def file_of(made: Segmentation) -> bytes:
    """The DICOM file (PS3.10) of a SEG. Frames that mark nothing are left out; where nothing is marked at all, one says so.

    Raises:
        Quarantined: IMPORT_MASK_VALUES.
    """
    image = made.image
    if (frames := len(marked_frames(made.labels, made.values))) > _MAX_FRAMES:
        raise Quarantined("IMPORT_MASK_VALUES", f"a mask of {frames} frames")
    dataset = file_dataset(SegmentationStorage, made.sop_uid, ExplicitVRLittleEndian)
    describe_study(dataset, image)
    dataset.ContentDate, dataset.ContentTime = UNKNOWN_DATE, UNKNOWN_TIME
    segments = {value: f"value {value}" for value in made.values}
    describe_segmentation(dataset, made.labels, segments, _drawn_on(image), partial(uid, made.content))
    return file_bytes(dataset)


def _drawn_on(image: Instance) -> DrawnOn:
    return DrawnOn(
        sop_class_uid=image.sop_class_uid,
        sop_uid=image.sop_uid,
        series_uid=image.series_uid,
        shape=image.shape,
        multi_frame=image.sop_class_uid != SecondaryCaptureImageStorage,
        affine=image.affine,
        frame_of_reference_uid=image.frame_of_reference_uid,
    )
