"""DICOM SEG objects of volumes, made by highdicom."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits, pixel_array
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid


def segmentation(slices: Sequence[Dataset], marked: NDArray[np.uint8]) -> Dataset:
    """A binary SEG of slices in geometric order; frames that mark nothing are left out.

    Args:
        marked: (slices, rows, columns), the number of the segment of each voxel, 0 for none.
    """
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"region {number}",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in range(1, int(marked.max()) + 1)
    ]
    return highdicom.seg.Segmentation(
        source_images=list(slices),
        pixel_array=marked,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="ACME",
        manufacturer_model_name="pen",
        software_versions="1",
        device_serial_number="1",
    )


def reordered(found: Dataset, seed: int = 5) -> Dataset:
    """The same SEG with its frames in another order."""
    frames = pixel_array(found).reshape(-1, found.Rows, found.Columns)
    order = np.random.default_rng(seed).permutation(len(frames))
    found.PixelData = pack_bits(frames[order])
    found.PerFrameFunctionalGroupsSequence = [found.PerFrameFunctionalGroupsSequence[index] for index in order]
    return found
