"""DICOM images whose headers say how large a pixel is, in one way or several."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, UltrasoundImageStorage

ROOT = "1.2.826.0.1.3680043.8.498"
PIXELS = np.random.default_rng(1).integers(0, 255, (40, 60), dtype=np.uint8)


def dataset(modality: str, pixels: np.ndarray = PIXELS, **attributes: Any) -> FileDataset:
    """An 8-bit grey image of 40 × 60 pixels; of CT with its rescale."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID = CTImageStorage if modality == "CT" else UltrasoundImageStorage
    found.SOPInstanceUID, found.SeriesInstanceUID, found.StudyInstanceUID = (f"{ROOT}.{n}" for n in (1, 2, 3))
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = found.SOPClassUID, found.SOPInstanceUID
    found.Modality, found.PatientID = modality, "P1"
    found.Rows, found.Columns = pixels.shape
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 8, 8, 7, 0
    if modality == "CT":
        found.RescaleSlope, found.RescaleIntercept = 1, 0
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    found.PixelData = pixels.tobytes()
    found["PixelData"].VR = "OB"
    return found


def encoded(found: FileDataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The bytes of a file."""
    found.file_meta.TransferSyntaxUID = UID(syntax)
    found.set_original_encoding(False, syntax != ExplicitVRBigEndian)
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def image(modality: str, pixels: np.ndarray = PIXELS, **attributes: Any) -> bytes:
    """The bytes of :func:`dataset`."""
    return encoded(dataset(modality, pixels, **attributes))


def region(
    box: Sequence[int] | None, deltas: tuple[float | None, float | None], kind: int = 1, units: int | tuple[int, int] = 3
) -> Dataset:
    """An item of Sequence of Ultrasound Regions: box as (x0, y0, x1, y1), deltas along x and y."""
    found = Dataset()
    found.RegionSpatialFormat, found.RegionDataType, found.RegionFlags = kind, 1, 0
    if box is not None:
        found.RegionLocationMinX0, found.RegionLocationMinY0, found.RegionLocationMaxX1, found.RegionLocationMaxY1 = box
    across, down = units if isinstance(units, tuple) else (units, units)
    found.PhysicalUnitsXDirection, found.PhysicalUnitsYDirection = across, down
    for keyword, delta in zip(("PhysicalDeltaX", "PhysicalDeltaY"), deltas, strict=True):
        if delta is not None:
            setattr(found, keyword, delta)
    return found


def ultrasound(*regions: Dataset, pixels: np.ndarray = PIXELS, **attributes: Any) -> bytes:
    """An ultrasound image with these regions."""
    return image("US", pixels, SequenceOfUltrasoundRegions=Items(regions), **attributes)


def groups(**sequences: Dataset) -> Items:
    """Shared functional groups: keyword of a group's sequence → its item."""
    found = Dataset()
    for keyword, one in sequences.items():
        setattr(found, keyword, Items([one]))
    return Items([found])


def item(**attributes: Any) -> Dataset:
    """A data set of these attributes."""
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found
