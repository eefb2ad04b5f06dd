"""Synthetic multi-frame objects whose frames lie elsewhere than Plane Position says: Enhanced US volumes, NM reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dicom_series import ROOT, SeriesSpec, decimal
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

NUCLEAR = "1.2.840.10008.5.1.4.1.1.20"
ULTRASOUND_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"


def item(**values: Any) -> Dataset:
    """A data set of some attributes."""
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _empty(spec: SeriesSpec, sop_class: str, modality: str, frames: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID(f"{spec.series_uid}.5")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID, found.SOPInstanceUID = sop_class, f"{spec.series_uid}.5"
    found.StudyInstanceUID, found.SeriesInstanceUID, found.FrameOfReferenceUID = f"{ROOT}.1", spec.series_uid, f"{ROOT}.9"
    found.PatientID, found.Modality, found.Manufacturer = spec.patient, modality, "ACME"
    found.StudyDate, found.StudyTime, found.SeriesNumber, found.InstanceNumber = "20200102", "101112", 4, 1
    found.NumberOfFrames, found.Rows, found.Columns = frames, spec.rows, spec.columns
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 16, 15, 0
    return found


def reconstruction(
    spec: SeriesSpec, *, order: Sequence[int] | None = None, sign: int = 1, detectors: int = 1, kind: str = "RECON TOMO"
) -> FileDataset:
    """A series as one NM image (PS3.3 A.5).

    Args:
        spec: its slices; ``sign`` -1: stacked against the normal, the first slice is that of ``spec``.
        order: of the slices among the frames; as they come.
        detectors: how many items say where the first slice lies.
        kind: value 3 of Image Type.
    """
    order = range(spec.slices) if order is None else order
    found = _empty(spec, NUCLEAR, "NM", len(order))
    found.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    found.PixelSpacing = [decimal(value) for value in spec.spacing_mm]
    found.SliceThickness, found.SpacingBetweenSlices = decimal(spec.slice_mm), decimal(sign * spec.slice_mm)
    found.FrameIncrementPointer = [0x00540080]
    found.NumberOfSlices, found.SliceVector = spec.slices, [at + 1 for at in order]
    found.DetectorInformationSequence = [
        item(
            ImagePositionPatient=[decimal(value) for value in spec.origin_mm],
            ImageOrientationPatient=[decimal(value) for value in spec.orientation],
        )
        for _ in range(detectors)
    ]
    found.NumberOfDetectors = detectors
    found.PixelData = np.stack([spec.stored()[at] for at in order]).tobytes()
    return found


def ultrasound_volume(spec: SeriesSpec, *, order: Sequence[int] | None = None) -> FileDataset:
    """A series as one Enhanced US Volume (PS3.3 A.59), its frames in some order, in the frame of reference of the volume."""
    order = list(range(spec.slices) if order is None else order)
    found = _empty(spec, ULTRASOUND_VOLUME, "US", len(order))
    found.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    found.UltrasoundAcquisitionGeometry, found.VolumeFrameOfReferenceUID = "APEX", f"{ROOT}.10"
    found.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationVolumeSequence=[item(ImageOrientationVolume=list(spec.orientation))],
            PixelMeasuresSequence=[item(PixelSpacing=[decimal(value) for value in spec.spacing_mm])],
        )
    ]
    found.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[item(DimensionIndexValues=[1, at + 1])],
            PlanePositionVolumeSequence=[item(ImagePositionVolume=spec.positions()[at].tolist())],
        )
        for at in order
    ]
    found.PixelData = np.stack([spec.stored()[at] for at in order]).tobytes()
    return found
