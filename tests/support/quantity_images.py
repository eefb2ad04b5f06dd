"""Small images whose pixels are quantities: CT, PET and others with what states the units of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
from dicom_series import AXIAL, ROOT, as_bytes
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
)

STORED = np.arange(64, dtype=np.uint16).reshape(8, 8) * 16


def image(sop_class: str, modality: str, stored: NDArray[Any] = STORED, **attributes: Any) -> FileDataset:
    """A grey plane, or a multi-frame image of (frames, rows, columns), with attributes by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID(f"{ROOT}.3")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID, found.SOPInstanceUID = sop_class, f"{ROOT}.3"
    found.StudyInstanceUID, found.SeriesInstanceUID, found.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.9"
    found.PatientID, found.Modality = "P1", modality
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.Rows, found.Columns = stored.shape[-2:]
    bits = 8 * stored.dtype.itemsize
    found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
    found.PixelRepresentation = int(stored.dtype.kind == "i")
    found.ImagePositionPatient, found.ImageOrientationPatient = [0, 0, 0], list(AXIAL)
    found.PixelSpacing, found.SliceThickness = [1, 1], 1
    if stored.ndim == 3:
        found.NumberOfFrames = len(stored)
    found.PixelData = np.ascontiguousarray(stored).tobytes()
    return changed(found, **attributes)


def changed(found: FileDataset, **attributes: Any) -> FileDataset:
    """The data set with other attributes; None takes one out."""
    for name, value in attributes.items():
        if value is None:
            if name in found:
                delattr(found, name)
        else:
            setattr(found, name, value)
    return found


def ct(stored: NDArray[Any] = STORED, **attributes: Any) -> bytes:
    """A CT image, an axial original."""
    given = {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "RescaleSlope": "0.5", "RescaleIntercept": "-100"}
    return as_bytes(image(CTImageStorage, "CT", stored, **{**given, **attributes}))


def pet(stored: NDArray[Any] = STORED, **attributes: Any) -> bytes:
    """A PET image, corrected for attenuation and for decay to the start of the scan an hour after the injection."""
    return as_bytes(pet_dataset(stored, **attributes))


def pet_dataset(stored: NDArray[Any] = STORED, **attributes: Any) -> FileDataset:
    """The data set of :func:`pet`; attributes of the radiopharmaceutical by their keyword as well."""
    drug = {
        "RadiopharmaceuticalStartTime": "090000",
        "RadionuclideTotalDose": "370000000",
        "RadionuclideHalfLife": "6586.2",
    }
    given = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "Units": "BQML",
        "RescaleSlope": "2.5",
        "RescaleIntercept": "0",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "DecayCorrection": "START",
        "SeriesDate": "20200102",
        "SeriesTime": "100000",
        "AcquisitionDate": "20200102",
        "AcquisitionTime": "100000",
        "PatientWeight": "70",
        **attributes,
    }
    of_drug = {name: given.pop(name) for name in [*given] if name.startswith("Radio") and not name.endswith("Sequence")}
    sequence = Sequence([item(**{name: value for name, value in {**drug, **of_drug}.items() if value is not None})])
    given.setdefault("RadiopharmaceuticalInformationSequence", sequence)
    return image(PositronEmissionTomographyImageStorage, "PT", stored, **given)


def item(**values: Any) -> Dataset:
    """An item of a sequence."""
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def mapping(
    units: str = "mm2/s", slope: float = 1e-6, intercept: float = 0.0, first: int = 0, last: int = 65535, **values: Any
) -> Dataset:
    """An item of Real World Value Mapping Sequence (PS3.3 C.7.6.16.2.11)."""
    found = item(
        LUTLabel=values.pop("label", "map"),
        MeasurementUnitsCodeSequence=Sequence([item(CodeValue=units, CodingSchemeDesignator="UCUM", CodeMeaning="units")]),
    )
    found.add_new(0x00409216, values.pop("vr", "US"), first)
    found.add_new(0x00409211, found[0x00409216].VR, last)
    if "table" in values:
        found.RealWorldValueLUTData = values.pop("table")
    else:
        found.RealWorldValueSlope, found.RealWorldValueIntercept = slope, intercept
    return found
