"""Synthetic DICOM series, classic and enhanced, and how a volume compares with what dcm2niix makes of the same files."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from medray.data.volume import Volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.9396926, 0.3420201, 0.0, -0.2961981, 0.8137977, -0.5)
ROOT = "1.2.826.0.1.3680043.8.498"


@dataclass(frozen=True)
class SeriesSpec:
    """A series to be made; slice k lies at ``origin_mm + k * step_mm`` (the normal times ``slice_mm`` where no step is given)."""

    modality: str = "CT"
    slices: int = 6
    rows: int = 7
    columns: int = 9
    orientation: tuple[float, ...] = AXIAL
    spacing_mm: tuple[float, float] = (0.8, 0.5)
    slice_mm: float = 2.5
    step_mm: tuple[float, float, float] | None = None
    origin_mm: tuple[float, float, float] = (-20.0, 31.5, 104.25)
    slope: float | None = 1.0
    intercept: float | None = -1024.0
    signed: bool = False
    reverse_numbers: bool = False
    seed: int = 0
    patient: str = "P1"
    series_uid: str = f"{ROOT}.2"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> NDArray[np.float64]:
        """mm from slice to slice."""
        if self.step_mm is not None:
            return np.asarray(self.step_mm)
        return np.cross(self.orientation[:3], self.orientation[3:]) * self.slice_mm

    def positions(self) -> NDArray[np.float64]:
        """float64 (slices, 3)."""
        return np.asarray(self.origin_mm) + np.arange(self.slices)[:, None] * self.step

    def stored(self) -> NDArray[np.int16] | NDArray[np.uint16]:
        """Stored values (slices, rows, columns), no two slices alike."""
        low, high = (-900, 2000) if self.signed else (0, 4000)
        shape = (self.slices, self.rows, self.columns)
        values = np.random.default_rng(self.seed).integers(low, high, shape)
        return values.astype(np.int16) if self.signed else values.astype(np.uint16)


def datasets(spec: SeriesSpec) -> list[FileDataset]:
    """The slices of a series in geometric order."""
    stored, positions = spec.stored(), spec.positions()
    return [_slice(spec, k, stored[k], positions[k]) for k in range(spec.slices)]


def _slice(spec: SeriesSpec, k: int, stored: NDArray[Any], position: NDArray[np.float64]) -> FileDataset:
    found = _empty(CTImageStorage if spec.modality == "CT" else MRImageStorage, f"{spec.series_uid}.{spec.seed}.{k + 1}", spec)
    found.InstanceNumber = spec.slices - k if spec.reverse_numbers else k + 1
    found.ImagePositionPatient = [decimal(value) for value in position]
    found.ImageOrientationPatient = [decimal(value) for value in spec.orientation]
    found.PixelSpacing = [decimal(value) for value in spec.spacing_mm]
    found.SliceThickness = decimal(abs(spec.slice_mm))
    found.Rows, found.Columns = spec.rows, spec.columns
    found.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if spec.modality == "CT" else ["ORIGINAL", "PRIMARY", "M", "ND"]
    if spec.slope is not None:
        found.RescaleSlope, found.RescaleIntercept = decimal(spec.slope), decimal(spec.intercept)
    _pixels(found, spec, stored)
    for name, value in spec.extra.items():
        setattr(found, name, value)
    return found


def _empty(sop_class: str, uid: str, spec: SeriesSpec) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID, found.SOPInstanceUID = sop_class, uid
    found.StudyInstanceUID, found.SeriesInstanceUID, found.FrameOfReferenceUID = f"{ROOT}.1", spec.series_uid, f"{ROOT}.9"
    found.PatientID, found.Modality, found.Manufacturer = spec.patient, spec.modality, "ACME"
    found.StudyDate, found.StudyTime, found.SeriesNumber, found.AcquisitionNumber = "20200102", "101112", 4, 1
    if spec.modality == "MR":
        found.EchoTime, found.RepetitionTime, found.MagneticFieldStrength = "12.5", "500", "1.5"
    return found


def _pixels(found: Dataset, spec: SeriesSpec, stored: NDArray[Any]) -> None:
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 16, 15, int(spec.signed)
    found.PixelData = stored.tobytes()


def decimal(value: float | None) -> str:
    """A decimal string of at most 16 characters."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return text if len(text) <= 16 else f"{value:.6f}"


def as_bytes(dataset: Dataset) -> bytes:
    """A DICOM file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def files(spec: SeriesSpec) -> list[bytes]:
    """The files of a series in geometric order."""
    return [as_bytes(dataset) for dataset in datasets(spec)]


def shuffled(items: Sequence[Any], seed: int = 3) -> list[Any]:
    """The items in another order."""
    return [items[index] for index in np.random.default_rng(seed).permutation(len(items))]


def enhanced(slices: Sequence[Dataset], spec: SeriesSpec, *, frame_items: Sequence[dict[str, Any]] = ()) -> FileDataset:
    """An enhanced multi-frame object of classic slices, frame k from slice k (PS3.3 A.36, A.38).

    Args:
        slices: of :func:`datasets`.
        spec: of these slices.
        frame_items: attributes for Frame Content of each frame.
    """
    found = _empty(EnhancedCTImageStorage if spec.modality == "CT" else EnhancedMRImageStorage, f"{spec.series_uid}.77", spec)
    found.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    found.InstanceNumber, found.NumberOfFrames = 1, len(slices)
    found.Rows, found.Columns = spec.rows, spec.columns
    _pixels(found, spec, np.concatenate([np.frombuffer(one.PixelData, np.uint8) for one in slices]))
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=slices[0].ImageOrientationPatient)]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=slices[0].PixelSpacing, SliceThickness=slices[0].SliceThickness)]
    found.SharedFunctionalGroupsSequence = [shared]
    found.PerFrameFunctionalGroupsSequence = [
        _frame(one, index, frame_items[index] if frame_items else {}) for index, one in enumerate(slices)
    ]
    return found


def _frame(one: Dataset, index: int, content: dict[str, Any]) -> Dataset:
    frame = Dataset()
    frame.FrameContentSequence = [_item(**{"StackID": "1", "DimensionIndexValues": [1, index + 1], **content})]
    frame.PlanePositionSequence = [_item(ImagePositionPatient=one.ImagePositionPatient)]
    if "RescaleSlope" in one:
        frame.PixelValueTransformationSequence = [
            _item(RescaleIntercept=one.RescaleIntercept, RescaleSlope=one.RescaleSlope, RescaleType="US")
        ]
    return frame


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def dcm2niix(sources: Sequence[bytes] | Path, folder: Path) -> list[Path]:
    """The NIfTI files that dcm2niix makes of DICOM files (a folder, or their bytes); Philips' private scaling is not used."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not on this machine")
    given, made = sources, folder / "nifti"
    if not isinstance(sources, Path):
        given = folder / "dicom"
        given.mkdir()
        for number, data in enumerate(sources):
            (given / f"{number:04}.dcm").write_bytes(data)
    made.mkdir()
    command = ["dcm2niix", "-b", "n", "-z", "n", "-p", "n", "-f", "%s_%q", "-o", str(made), str(given)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return sorted(made.glob("*.nii"))


@dataclass(frozen=True)
class Agreement:
    """How far a volume and a NIfTI image are apart: places of voxels in mm, spacing in mm, voxel values."""

    place_mm: float
    spacing_mm: float
    value: float


def compare(volume: Volume, nifti: Path, time: int = 0) -> Agreement:
    """Every voxel of the volume against the NIfTI voxel at its place; flips and the RAS system are undone by the affines."""
    image = nibabel.load(nifti)
    theirs = np.asarray(image.get_fdata(), dtype=np.float64)
    theirs = theirs[..., time] if theirs.ndim == 4 else theirs
    ours = volume.voxels.transpose()  # (columns, rows, slices), as the affine counts
    between = np.linalg.inv(image.affine) @ volume.affine_ras
    signs = np.rint(between[:3, :3]).astype(int)
    assert (np.abs(signs).sum(axis=0) == 1).all(), "axes are no permutation"
    assert (np.abs(signs).sum(axis=1) == 1).all(), "axes are no permutation"
    axis = np.abs(signs).argmax(axis=0)  # of theirs, for each of ours
    mirrored = tuple(int(axis[k]) for k in range(3) if signs[axis[k], k] < 0)
    values = np.abs(np.flip(theirs, mirrored).transpose(axis) - ours)
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(np.array(ours.shape) - 1), 1]
    at = corners[:, :3] @ signs.T + [theirs.shape[k] - 1 if k in mirrored else 0 for k in range(3)]
    place_mm = np.abs(at @ image.affine[:3, :3].T + image.affine[:3, 3] - (corners @ volume.affine_ras.T)[:, :3]).max()
    zooms = np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
    return Agreement(float(place_mm), float(np.abs(zooms[axis] - volume.spacing_mm[::-1]).max()), float(values.max()))
