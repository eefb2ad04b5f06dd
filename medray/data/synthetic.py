"""Synthetic archives: phantoms as labelled DICOM instances, for tests, demonstrations and load.

Everything about an instance, its UIDs and bytes included, follows from the spec and the index: any process can make any
part of an archive, in any order. An archive of more patients, or in another transfer syntax, holds the same images.
"""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SegmentationStorage,
    UltrasoundImageStorage,
)

from medray.data.phantom import Finding, SyntheticSpec, phantom
from medray.data.segmentation_file import DrawnOn, describe_segmentation
from medray.types import Bool

__all__ = [
    "LABEL_COLUMNS",
    "Label",
    "SyntheticSpec",
    "labels_csv",
    "synthetic_instance",
    "synthetic_uid",
    "write_archive",
]

LABEL_COLUMNS = ("SOPInstanceUID", "PatientID", "finding", "malignant", "mask", "area_px")
MASKS = "masks"
"""The folder of the masks, beside the label table."""
IMPLEMENTATION_CLASS_UID = UID("2.25.227186684422187359145812016273055429755")

_SYNTAX = {
    "explicit": ExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpegls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
}
_SOP_CLASS = {"speckle": UltrasoundImageStorage, "noise": ComputedRadiographyImageStorage}
_SAME_IMAGES = {"patients", "transfer_syntax"}
"""Fields that do not change an image: they stay out of the UIDs."""


@dataclass(frozen=True)
class Label:
    """The truth about one instance.

    Attributes:
        sop_uid, patient_id: of which instance.
        finding: what it shows.
        malignant: 1 where that is malignant, else 0.
        mask: where the mask of its lesion lies, relative to the label table; "" where it has none.
        area_px: number of pixels of the lesion.
    """

    sop_uid: str
    patient_id: str
    finding: Finding
    malignant: int
    mask: str = ""
    area_px: int = 0

    def row(self) -> dict[str, str | int]:
        """By the names of :data:`LABEL_COLUMNS`."""
        return dict(zip(LABEL_COLUMNS, astuple(self), strict=True))


def synthetic_instance(spec: SyntheticSpec, index: int) -> tuple[str, bytes, Label]:
    """File name, DICOM file (PS3.10) and label of the image number ``index`` of an archive.

    Raises:
        ConfigError: ``SYNTHETIC_INDEX`` when the archive has no such image.
    """
    name, data, label, _ = _made(spec, index)
    return name, data, label


def write_archive(
    spec: SyntheticSpec,
    put: Callable[[str, bytes], object],
    indices: Iterable[int] | None = None,
    put_mask: Callable[[str, bytes], object] | None = None,
) -> list[Label]:
    """Make the given images (all by default) and hand each to ``put(name, data)``; returns their labels.

    Names are relative, ``<PatientID>/<SOPInstanceUID>.dcm``. To spread the work, give each worker its own indices and
    write :func:`labels_csv` of all labels at the end. ``put_mask`` gets the DICOM SEG of each lesion, as
    ``<SOPInstanceUID>.seg.dcm``: labels name it under :data:`MASKS`.
    """
    labels = []
    for index in range(spec.count) if indices is None else indices:
        name, data, label, outline = _made(spec, index)
        put(name, data)
        if put_mask is not None and outline is not None:
            put_mask(label.mask.removeprefix(f"{MASKS}/"), outline())
        labels.append(label)
    return labels


def _made(spec: SyntheticSpec, index: int) -> tuple[str, bytes, Label, Callable[[], bytes] | None]:
    """File name, file and label of an image, and what makes the file of its mask, if it has a lesion."""
    image = phantom(spec, index)
    patient, view = divmod(index, spec.images_per_study)
    dataset = _dataset(spec, patient, view, image.pixels)
    uid, area = str(dataset.SOPInstanceUID), int(image.lesion.sum())
    mask = f"{MASKS}/{uid}.seg.dcm" if area else ""
    label = Label(uid, dataset.PatientID, image.finding, image.malignant, mask, area)
    outline = partial(_segmentation, spec, patient, view, image.lesion) if area else None
    return f"{dataset.PatientID}/{uid}.dcm", _file_bytes(dataset), label, outline


def labels_csv(labels: Iterable[Label]) -> bytes:
    """The labels as CSV, UTF-8, with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, LABEL_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(label.row() for label in labels)
    return text.getvalue().encode()


def synthetic_uid(spec: SyntheticSpec, *path: str | int) -> str:
    """A UID that follows from the spec and a path as ``("study", 3)``: a name-based UUID (PS3.5 B.2, RFC 9562 v5)."""
    name = "/".join(map(str, ("medray", spec.model_dump_json(exclude=_SAME_IMAGES), *path)))
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def _dataset(spec: SyntheticSpec, patient: int, view: int, pixels: NDArray[Any]) -> FileDataset:
    """The instance of PS3.3 A.6 (Ultrasound Image) or A.2 (Computed Radiography Image)."""
    sop_uid = synthetic_uid(spec, "image", patient, view)
    dataset = _instance(_SOP_CLASS[spec.texture], sop_uid, _SYNTAX[spec.transfer_syntax])
    _describe_study(dataset, spec, patient, view)
    (_describe_ultrasound if spec.texture == "speckle" else _describe_radiograph)(dataset)
    _set_pixels(dataset, pixels, spec.transfer_syntax)
    return dataset


def _segmentation(spec: SyntheticSpec, patient: int, view: int, lesion: Bool) -> bytes:
    """The DICOM SEG of a lesion; it is the same whatever the transfer syntax of the image."""
    image = DrawnOn(
        sop_class_uid=_SOP_CLASS[spec.texture],
        sop_uid=synthetic_uid(spec, "image", patient, view),
        series_uid=synthetic_uid(spec, "series", patient),
        shape=(1, *lesion.shape),
    )

    def uid(role: str) -> str:
        return synthetic_uid(spec, role, patient, view)

    dataset = _instance(SegmentationStorage, uid("segmentation"), ExplicitVRLittleEndian)
    _describe_study(dataset, spec, patient, view)
    del dataset.Laterality  # which a SEG says of its frames, if at all
    dataset.ContentDate, dataset.ContentTime = dataset.StudyDate, dataset.StudyTime
    describe_segmentation(dataset, lesion[None].astype(np.uint8), {1: "lesion"}, image, uid)
    return _file_bytes(dataset)


def _instance(sop_class_uid: str, sop_uid: str, syntax: str) -> FileDataset:
    """An instance with its file meta information, without anything else."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "MEDRAY"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    return dataset


def _describe_study(dataset: Dataset, spec: SyntheticSpec, patient: int, view: int) -> None:
    dataset.PatientName = f"Synthetic^{patient:06d}"
    dataset.PatientID = f"SYN-{patient:06d}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = synthetic_uid(spec, "study", patient)
    dataset.SeriesInstanceUID = synthetic_uid(spec, "series", patient)
    dataset.StudyID = str(patient)
    dataset.StudyDate = f"2026{patient % 12 + 1:02d}{patient % 28 + 1:02d}"
    dataset.StudyTime = f"{8 + patient % 10:02d}{patient % 60:02d}00"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = view + 1
    dataset.Manufacturer = "medray synthetic"
    dataset.BodyPartExamined = "BREAST"
    dataset.PatientOrientation = ""
    dataset.Laterality = "L" if patient % 2 else "R"


def _describe_ultrasound(dataset: Dataset) -> None:
    dataset.Modality = "US"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.LossyImageCompression = "00"


def _describe_radiograph(dataset: Dataset) -> None:
    dataset.Modality = "CR"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ViewPosition = ""
    dataset.ImagerPixelSpacing = [0.2, 0.2]
    dataset.LossyImageCompression = "00"
    dataset.WindowCenter = 28000
    dataset.WindowWidth = 40000


def _set_pixels(dataset: FileDataset, pixels: NDArray[Any], syntax: str) -> None:
    bits = pixels.dtype.itemsize * 8
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    little_endian = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    if syntax == "explicit":
        data = little_endian.tobytes()
        dataset.PixelData = data + bytes(len(data) % 2)
        dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    elif syntax == "rle":
        dataset.compress(RLELossless, little_endian, encoding_plugin="pydicom", generate_instance_uid=False)
    else:
        dataset.PixelData = encapsulate([_codestream(little_endian, syntax)])
        dataset["PixelData"].VR = "OB"


def _codestream(pixels: NDArray[Any], syntax: str) -> bytes:
    """One lossless codestream (PS3.5 A.4)."""
    import imagecodecs

    if syntax == "jpegls":
        return bytes(imagecodecs.jpegls_encode(pixels))
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, numthreads=1))


def _file_bytes(dataset: FileDataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
