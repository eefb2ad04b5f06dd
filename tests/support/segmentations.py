"""DICOM SEG objects: of volumes by highdicom, and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits, pixel_array
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def segmentation(slices: Sequence[Dataset], marked: NDArray[Any], kind: str = "BINARY", **more: Any) -> Dataset:
    """A SEG of slices in geometric order; frames that mark nothing are left out.

    Args:
        marked: (slices, rows, columns), the number of the segment of each voxel, 0 for none; of a fractional one, the fraction.
        kind: Segmentation Type.
        more: further arguments of highdicom's.
    """
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"region {number}",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in range(1, int(np.ceil(marked.max())) + 1)
    ]
    return highdicom.seg.Segmentation(
        source_images=list(slices),
        pixel_array=marked,
        segmentation_type=highdicom.seg.SegmentationTypeValues(kind),
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="ACME",
        manufacturer_model_name="pen",
        software_versions="1",
        device_serial_number="1",
        **more,
    )


def reordered(found: Dataset, seed: int = 5) -> Dataset:
    """The same SEG with its frames in another order."""
    frames = pixel_array(found).reshape(-1, found.Rows, found.Columns)
    order = np.random.default_rng(seed).permutation(len(frames))
    found.PixelData = pack_bits(frames[order])
    found.PerFrameFunctionalGroupsSequence = [found.PerFrameFunctionalGroupsSequence[index] for index in order]
    return found


def drawn(frames: NDArray[np.integer[Any]], *, kind: str = "BINARY", **attributes: Any) -> Dataset:
    """A SEG by hand, which says nothing of its frames; ``attributes`` are set last.

    Args:
        frames: (frames, rows, columns) of stored values.
        kind: Segmentation Type.
    """
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = LABEL_MAP if kind == "LABELMAP" else SegmentationStorage
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.StudyInstanceUID, found.SeriesInstanceUID, found.Modality = generate_uid(), generate_uid(), "SEG"
    found.NumberOfFrames, found.Rows, found.Columns = frames.shape
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 1 if kind == "BINARY" else 8 * frames.dtype.itemsize
    found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
    found.PixelRepresentation, found.SegmentationType = int(frames.dtype.kind == "i"), kind
    data = pack_bits(frames.astype(np.uint8)) if kind == "BINARY" else frames.tobytes()
    found.PixelData = data + bytes(len(data) % 2)
    found["PixelData"].VR = "OB" if bits <= 8 else "OW"
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


def item(**values: Any) -> Dataset:
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def sources(*uids: str, **more: Any) -> list[Dataset]:
    """A Derivation Image Sequence that names images."""
    return [item(SourceImageSequence=[item(ReferencedSOPInstanceUID=uid, **more) for uid in uids])]


def plane_groups(slice_: Dataset, **measures: Any) -> dict[str, Any]:
    """The functional groups of a frame that lies on a slice."""
    return {
        "PlanePositionSequence": [item(ImagePositionPatient=slice_.ImagePositionPatient)],
        "PlaneOrientationSequence": [item(ImageOrientationPatient=slice_.ImageOrientationPatient)],
        "PixelMeasuresSequence": [item(PixelSpacing=slice_.PixelSpacing, **measures)],
    }


def of_segment(number: int) -> dict[str, Any]:
    """The functional group that says of which segment a frame is."""
    return {"SegmentIdentificationSequence": [item(ReferencedSegmentNumber=number)]}
