"""Labels of pixels → a DICOM SEG (PS3.3 A.51): binary, its frames referring to the image that they were drawn on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from medray.data.functional_groups import pixel_measures, plane_orientation, plane_position
from medray.types import Float64

_MAKER = "medray"


@dataclass(frozen=True)
class DrawnOn:
    """The image that labels were drawn on.

    Attributes:
        sop_class_uid, sop_uid, series_uid: who it is.
        shape: (frames, rows, columns).
        multi_frame: whether its frames have numbers, as also the one of a multi-frame class has.
        affine: float64 (4, 4), index (column, row, frame) → mm in LPS; None where it is unknown.
        frame_of_reference_uid: "" where the affine is unknown.
    """

    sop_class_uid: str
    sop_uid: str
    series_uid: str
    shape: tuple[int, int, int]
    multi_frame: bool = False
    affine: Float64 | None = None
    frame_of_reference_uid: str = ""


Frame = tuple[int, int]
"""Number of a segment, and index of the frame of the image that it is marked on."""


def marked_frames(labels: NDArray[Any], values: Sequence[int]) -> list[Frame]:
    """The frames on which something is marked, of each segment; where nothing is at all, one that says so."""
    return [(number, int(at)) for number, value in enumerate(values, 1) for at in _frames(labels, value)] or [(1, 0)]


def _frames(labels: NDArray[Any], value: int) -> NDArray[Any]:
    return np.flatnonzero((labels == value).any(axis=(1, 2)))


def describe_segmentation(
    dataset: FileDataset,
    labels: NDArray[Any],
    segments: Mapping[int, str],
    image: DrawnOn,
    uid: Callable[[str], str],
) -> None:
    """Make a SEG of an instance that says patient, study, and when its content was made.

    Args:
        dataset: of Segmentation Storage and Explicit VR Little Endian.
        labels: unsigned integers of the image's shape.
        segments: value → Segment Label, in the order of their numbers; other values are background.
        image: what the labels were drawn on.
        uid: UID of a role: ``"segmentation series"``, ``"dimensions"``.
    """
    values = tuple(segments)
    marked = marked_frames(labels, values)
    _describe(dataset, image, uid)
    named = segments or {0: "nothing is marked"}
    dataset.SegmentSequence = [_segment(number, label) for number, label in enumerate(named.values(), 1)]
    dataset.SharedFunctionalGroupsSequence = [_shared(image)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(image, segment, at) for segment, at in marked]
    _describe_dimensions(dataset, image, uid)
    dataset.NumberOfFrames = len(marked)
    bits = [labels[at] == values[segment - 1] if values else np.zeros(labels.shape[1:], bool) for segment, at in marked]
    packed = np.packbits(np.stack(bits).ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + bytes(len(packed) % 2)
    dataset["PixelData"].VR = "OB"


def _describe(dataset: FileDataset, image: DrawnOn, uid: Callable[[str], str]) -> None:
    dataset.Modality = "SEG"
    dataset.SeriesInstanceUID = uid("segmentation series")
    dataset.SeriesNumber = 2
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel, dataset.ContentDescription, dataset.ContentCreatorName = "MASK", "", ""
    dataset.Manufacturer = dataset.ManufacturerModelName = dataset.DeviceSerialNumber = dataset.SoftwareVersions = _MAKER
    dataset.SegmentationType = "BINARY"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    _, dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    if image.affine is not None:
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = image.frame_of_reference_uid, ""
    else:
        dataset.PatientOrientation = ""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_uid
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = image.series_uid, [reference]
    dataset.ReferencedSeriesSequence = [series]


def _segment(number: int, label: str) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = label
    item.SegmentAlgorithmType = "MANUAL"
    item.SegmentedPropertyCategoryCodeSequence = [_code("85756007", "Tissue")]
    item.SegmentedPropertyTypeCodeSequence = [_code("85756007", "Tissue")]
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _shared(image: DrawnOn) -> Dataset:
    item = Dataset()
    if image.affine is not None:
        item.PixelMeasuresSequence = [pixel_measures(image.affine)]
        item.PlaneOrientationSequence = [plane_orientation(image.affine)]
    return item


def _frame(image: DrawnOn, segment: int, at: int) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_uid
    if image.multi_frame:
        source.ReferencedFrameNumber = at + 1
    source.PurposeOfReferenceCodeSequence = [_dcm("121322", "Source image for image processing operation")]
    derivation = Dataset()
    derivation.DerivationCodeSequence = [_dcm("113076", "Segmentation")]
    derivation.SourceImageSequence = [source]
    content = Dataset()
    content.DimensionIndexValues = [segment, at + 1]
    identification = Dataset()
    identification.ReferencedSegmentNumber = segment
    item = Dataset()
    item.DerivationImageSequence = [derivation]
    item.FrameContentSequence = [content]
    item.SegmentIdentificationSequence = [identification]
    if image.affine is not None:
        item.PlanePositionSequence = [plane_position(image.affine, at)]
    return item


def _dcm(value: str, meaning: str) -> Dataset:
    item = _code(value, meaning)
    item.CodingSchemeDesignator = "DCM"
    return item


def _describe_dimensions(dataset: FileDataset, image: DrawnOn, uid: Callable[[str], str]) -> None:
    """Frames are indexed by segment, and by place (PS3.3 C.7.6.17)."""
    organisation = Dataset()
    organisation.DimensionOrganizationUID = uid("dimensions")
    dataset.DimensionOrganizationSequence = [organisation]
    place = (0x00200032, 0x00209113) if image.affine is not None else (0x00081160, 0x00089124)
    items = []
    for pointer, group in ((0x0062000B, 0x0062000A), place):
        item = Dataset()
        item.DimensionOrganizationUID = organisation.DimensionOrganizationUID
        item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
        items.append(item)
    dataset.DimensionIndexSequence = items
