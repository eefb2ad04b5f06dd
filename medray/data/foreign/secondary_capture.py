"""Picture → DICOM: Secondary Capture (PS3.3 A.8), multi-frame for stacks, with the geometry in functional groups."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pydicom.valuerep import format_number_as_ds

from medray.data.foreign.identity import IMPLEMENTATION_CLASS_UID, digest, uid
from medray.data.foreign.picture import Picture
from medray.data.functional_groups import numbers, pixel_measures, plane_orientation, plane_position
from medray.errors import Quarantined
from medray.types import Float64

_PER_FRAME_GROUPS = 0x52009230
_PIXEL_DATA = 0x7FE00010
_LARGEST_BYTES = 0xFFFFFFFE  # of an element of explicit length (PS3.5 7.1.1)
UNKNOWN_DATE, UNKNOWN_TIME = "19000101", "000000"
"""Where the standard asks for one (type 1) and the file states none; the day of the import would change the bytes."""
_FORMAT_VERSION = 1  # of what is written: another one gives other UIDs


@dataclass(frozen=True)
class Said:
    """Attributes of a picture that its file does not hold.

    Attributes:
        modality: Modality (0008,0060).
        spacing_mm: (slice, row, column) distance of pixels whose file states none, that of slices None where it is not known.
        units: of the values, as Rescale Type (0028,1054) says them; "" where they are not known.
        patient_id: "" where it is not known.
    """

    modality: str = "OT"
    spacing_mm: tuple[float | None, float, float] | None = None
    units: str = ""
    patient_id: str = ""


@dataclass(frozen=True)
class Instance:
    """The DICOM instance of a picture; its UIDs follow from its content.

    Attributes:
        content: sha256 of all that the instance says beside the patient, in hex: one image of two patients is one instance.
        picture, said: what it is made of.
        affine: float64 (4, 4), index (column, row, frame) → mm in LPS; None where it is unknown.
        spacing_mm: (row, column), or None.
    """

    content: str
    picture: Picture
    said: Said
    affine: Float64 | None
    spacing_mm: tuple[float, float] | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, rows, columns)."""
        return self.picture.shape

    @property
    def sop_class_uid(self) -> UID:
        """SOP Class UID."""
        return _sop_class(self.picture, self.affine)

    @property
    def sop_uid(self) -> UID:
        """SOP Instance UID."""
        return uid(self.content, "image")

    @property
    def series_uid(self) -> UID:
        """Series Instance UID."""
        return uid(self.content, "series")

    @property
    def frame_of_reference_uid(self) -> UID:
        """Frame of Reference UID, of what has an affine."""
        return uid(self.content, "frame of reference")


def instance(picture: Picture, said: Said) -> Instance:
    """The instance of a picture: who it is; :func:`file_of` makes its file.

    Raises:
        Quarantined: IMPORT_DEPTH of several frames of 16-bit colours, for which DICOM has no class.
    """
    picture = _of_a_class(picture)
    affine = picture.affine
    if affine is None and picture.stack and said.spacing_mm is not None and said.spacing_mm[0] is not None:
        affine = np.diag([said.spacing_mm[2], said.spacing_mm[1], said.spacing_mm[0], 1.0])
    spacing = picture.spacing_mm or (said.spacing_mm[1:] if said.spacing_mm else None)
    if affine is not None:
        column, row, _ = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
        spacing = row, column
    return Instance(_content(picture, said, affine, spacing), picture, said, affine, spacing)


def _of_a_class(picture: Picture) -> Picture:
    """As a class of DICOM takes it; with several frames: no inverted grey, and 8 bits of colour (PS3.3 A.8.3–A.8.5)."""
    if not picture.stack or picture.pixels is None:
        return picture
    if picture.photometric == "RGB" and picture.pixels.dtype.itemsize > 1:
        raise Quarantined("IMPORT_DEPTH", "several frames of 16-bit colour: DICOM holds one frame of it")
    if picture.photometric == "MONOCHROME1":
        return replace(picture, pixels=np.bitwise_not(picture.pixels), photometric="MONOCHROME2")
    return picture


def file_of(made: Instance) -> bytes:
    """The DICOM file (PS3.10) of an instance.

    Raises:
        Quarantined: IMPORT_TOO_LARGE.
    """
    picture = made.picture
    dataset = file_dataset(made.sop_class_uid, made.sop_uid, _syntax(picture))
    describe_study(dataset, made)
    dataset.SeriesInstanceUID = made.series_uid
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = dataset.Laterality = ""
    _describe_pixels(dataset, picture, multi_frame=made.sop_class_uid != SecondaryCaptureImageStorage)
    if made.sop_class_uid == SecondaryCaptureImageStorage:
        _describe_plane(dataset, picture, made.spacing_mm, made.said.units)
    else:
        _describe_frames(dataset, picture, made)
    return file_bytes(dataset)


def _content(picture: Picture, said: Said, affine: Float64 | None, spacing: tuple[float, float] | None) -> str:
    stream, pixels = picture.stream, picture.pixels
    facts = {
        "version": _FORMAT_VERSION,
        "said": [said.modality, said.units],
        "photometric": picture.photometric,
        "rescale": picture.rescale,
        "affine": None if affine is None else affine.tolist(),
        "spacing": spacing,
        "lossy": picture.lossy_ratio is not None,
        "stack": picture.stack,
        "syntax": stream.syntax if stream else "",
        "shape": picture.shape if stream else list(pixels.shape) if pixels is not None else [],
        "type": str(pixels.dtype) if pixels is not None else "",
    }
    return digest(facts, stream.data if stream else _octets(pixels))


def _octets(pixels: NDArray[Any] | None) -> memoryview:
    assert pixels is not None
    return np.ascontiguousarray(pixels).view(np.uint8).data


def _sop_class(picture: Picture, affine: Float64 | None) -> UID:
    if not picture.stack and affine is None:
        return SecondaryCaptureImageStorage
    if picture.photometric == "RGB":
        return MultiFrameTrueColorSecondaryCaptureImageStorage
    assert picture.pixels is not None
    if picture.photometric == "MONOCHROME2" and picture.pixels.dtype.itemsize == 1:
        return MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    return MultiFrameGrayscaleWordSecondaryCaptureImageStorage


def _syntax(picture: Picture) -> UID:
    return UID(picture.stream.syntax) if picture.stream else ExplicitVRLittleEndian


def file_dataset(sop_class_uid: UID, sop_uid: UID, syntax: UID) -> FileDataset:
    """An instance with its file meta information, without anything else."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.FileMetaInformationGroupLength, meta.FileMetaInformationVersion = 0, b"\0\1"  # the length is filled in on writing
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = sop_uid
    return dataset


def describe_study(dataset: Dataset, image: Instance) -> None:
    """Patient, study and series of an image, also for what belongs to it. Unknown attributes are left out."""
    if not image.said.patient_id.isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = image.said.patient_id
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"):
        setattr(dataset, keyword, "")
    dataset.ReferringPhysicianName = dataset.StudyID = ""
    dataset.StudyInstanceUID = uid(image.content, "study")
    dataset.Modality = image.said.modality
    dataset.SeriesNumber = None
    dataset.InstanceNumber = 1


def _describe_pixels(dataset: Dataset, picture: Picture, *, multi_frame: bool) -> None:
    frames, dataset.Rows, dataset.Columns = picture.shape
    stream, pixels = picture.stream, picture.pixels
    if stream is not None:
        samples, bits, allocated = stream.samples, stream.bits, 8 if stream.bits <= 8 else 16
        value, dataset_vr = encapsulate([stream.data]), "OB"
    else:
        assert pixels is not None
        samples = 3 if picture.photometric == "RGB" else 1
        bits = allocated = 8 * pixels.dtype.itemsize
        if pixels.nbytes > _LARGEST_BYTES:
            raise Quarantined("IMPORT_TOO_LARGE", f"{pixels.nbytes} bytes of pixels, more than DICOM stores uncompressed")
        value, dataset_vr = _little_endian(pixels), "OB" if bits == 8 else "OW"
    if multi_frame:
        dataset.NumberOfFrames = frames
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = picture.photometric
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = allocated, bits, bits - 1, 0
    if picture.lossy_ratio is not None:
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = format_number_as_ds(round(picture.lossy_ratio, 3))
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
    else:
        dataset.LossyImageCompression = "00"
    dataset[_PIXEL_DATA] = DataElement(_PIXEL_DATA, dataset_vr, value)


def _little_endian(pixels: NDArray[Any]) -> bytes:
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    return data + bytes(len(data) % 2)


def _describe_plane(dataset: Dataset, picture: Picture, spacing: tuple[float, float] | None, units: str) -> None:
    if spacing is not None:
        _state_spacing(dataset, spacing)
    if picture.rescale is not None or units:
        _rescale(dataset, picture.rescale or (1.0, 0.0), units)


def _state_spacing(dataset: Dataset, spacing: tuple[float, float]) -> None:
    """The spacing as one in the patient, also of projections (PS3.3 10.7.1.1): that is what a stated spacing means."""
    dataset.PixelSpacing = numbers(spacing)
    dataset.PixelSpacingCalibrationType, dataset.PixelSpacingCalibrationDescription = "GEOMETRY", "as stated on import"


def _describe_frames(dataset: Dataset, picture: Picture, made: Instance) -> None:
    """SC Multi-frame Image and functional groups (PS3.3 C.8.6.3, C.7.6.16); Rescale Slope says there that it is 1."""
    dataset.BurnedInAnnotation = "NO"  # of type 1: has to be said, and a stack of frames shows no text in practice
    if picture.photometric == "MONOCHROME2":
        dataset.PresentationLUTShape = "IDENTITY"
        _rescale(dataset, (1.0, 0.0), "US")
    frames = made.shape[0]
    shared, groups = Dataset(), [Dataset() for _ in range(frames)]
    if picture.rescale is not None or made.said.units:
        transformation = Dataset()
        _rescale(transformation, picture.rescale or (1.0, 0.0), made.said.units or "US")
        shared.PixelValueTransformationSequence = [transformation]
    if made.affine is None and made.spacing_mm is not None:
        _state_spacing(dataset, made.spacing_mm)
    if made.affine is not None:
        shared.PixelMeasuresSequence = [pixel_measures(made.affine)]
        dataset.FrameOfReferenceUID = made.frame_of_reference_uid
        dataset.PositionReferenceIndicator = ""
        shared.PlaneOrientationSequence = [plane_orientation(made.affine)]
        for number, group in enumerate(groups):
            group.PlanePositionSequence = [plane_position(made.affine, number)]
    if frames > 1:
        dataset.FrameIncrementPointer = _PER_FRAME_GROUPS
    dataset.ContentDate, dataset.ContentTime = UNKNOWN_DATE, UNKNOWN_TIME
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups


def _rescale(dataset: Dataset, rescale: tuple[float, float], units: str) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = numbers(rescale)
    dataset.RescaleType = units or "US"


def file_bytes(dataset: FileDataset) -> bytes:
    """The file (PS3.10)."""
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset)
    return buffer.getvalue()
