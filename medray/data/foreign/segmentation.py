"""Mask → DICOM SEG (PS3.3 A.51): binary, a segment for each value, its frames referring to the image that it was drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, SegmentationStorage

from medray.data.foreign.groups import pixel_measures, plane_orientation, plane_position
from medray.data.foreign.identity import digest, uid
from medray.data.foreign.secondary_capture import (
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    Instance,
    describe_study,
    file_bytes,
    file_dataset,
)
from medray.errors import Quarantined

MAX_SEGMENTS = 1000
_MAX_FRAMES = 1 << 16
_MAKER = "medray"


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
    labels, values, image = made.labels, made.values, made.image
    marked = [(number, int(at)) for number, value in enumerate(values, 1) for at in _frames(labels, value)] or [(1, 0)]
    if len(marked) > _MAX_FRAMES:
        raise Quarantined("IMPORT_MASK_VALUES", f"a mask of {len(marked)} frames")
    dataset = file_dataset(SegmentationStorage, made.sop_uid, ExplicitVRLittleEndian)
    describe_study(dataset, image)
    _describe(dataset, made.content, image)
    dataset.SegmentSequence = [_segment(number, value) for number, value in enumerate(values or (0,), 1)]
    dataset.SharedFunctionalGroupsSequence = [_shared(image)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(image, segment, at) for segment, at in marked]
    _describe_dimensions(dataset, made.content, image)
    dataset.NumberOfFrames = len(marked)
    bits = [labels[at] == values[segment - 1] if values else np.zeros(labels.shape[1:], bool) for segment, at in marked]
    packed = np.packbits(np.stack(bits).ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + bytes(len(packed) % 2)
    dataset["PixelData"].VR = "OB"
    return file_bytes(dataset)


def _frames(labels: NDArray[Any], value: int) -> NDArray[Any]:
    return np.flatnonzero((labels == value).any(axis=(1, 2)))


def _describe(dataset: FileDataset, content: str, image: Instance) -> None:
    dataset.Modality = "SEG"
    dataset.SeriesInstanceUID = uid(content, "segmentation series")
    dataset.SeriesNumber = 2
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentDate, dataset.ContentTime = UNKNOWN_DATE, UNKNOWN_TIME
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


def _segment(number: int, value: int) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = f"value {value}" if value else "nothing is marked"
    item.SegmentAlgorithmType = "MANUAL"
    item.SegmentedPropertyCategoryCodeSequence = [_code("85756007", "Tissue")]
    item.SegmentedPropertyTypeCodeSequence = [_code("85756007", "Tissue")]
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _shared(image: Instance) -> Dataset:
    item = Dataset()
    if image.affine is not None:
        item.PixelMeasuresSequence = [pixel_measures(image.affine)]
        item.PlaneOrientationSequence = [plane_orientation(image.affine)]
    return item


def _frame(image: Instance, segment: int, at: int) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_uid
    if image.sop_class_uid != SecondaryCaptureImageStorage:
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


def _describe_dimensions(dataset: FileDataset, content: str, image: Instance) -> None:
    """Frames are indexed by segment, and by place (PS3.3 C.7.6.17)."""
    organisation = Dataset()
    organisation.DimensionOrganizationUID = uid(content, "dimensions")
    dataset.DimensionOrganizationSequence = [organisation]
    place = (0x00200032, 0x00209113) if image.affine is not None else (0x00081160, 0x00089124)
    items = []
    for pointer, group in ((0x0062000B, 0x0062000A), place):
        item = Dataset()
        item.DimensionOrganizationUID = organisation.DimensionOrganizationUID
        item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
        items.append(item)
    dataset.DimensionIndexSequence = items
