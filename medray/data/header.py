"""What a DICOM data set says before its pixels are read: class, identifiers, geometry; contradictions are refused here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
    SegmentationStorage,
)

from medray.data.pseudonym import patient_key
from medray.errors import Excluded, Quarantined
from medray.types import Bool, Header

MAX_PIXELS = 1 << 29
_RLE_RATIO = 64  # two bytes stand for 128 at most (PS3.5 G.3)
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420"}
_GREY = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
_LOOK = "look at the file with a DICOM viewer"
_AGAIN = "fetch it again from its source"


def classify(dataset: Dataset, *, has_pixels: bool) -> None:
    """Return for a single-frame image; raise for everything else.

    Raises:
        Excluded: OBJECT_DICOMDIR, OBJECT_SEGMENTATION, OBJECT_NOT_AN_IMAGE, IMAGE_MULTI_FRAME.
        Quarantined: a broken or contradictory header.
    """
    meta = dataset.file_meta
    sop_class = str(meta.get("MediaStorageSOPClassUID", "") or dataset.get("SOPClassUID", ""))
    if sop_class == MediaStorageDirectoryStorage:
        raise Excluded("OBJECT_DICOMDIR", "a DICOMDIR, which is an index and no image")
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        raise Quarantined("DICOM_NO_TRANSFER_SYNTAX", "no Transfer Syntax UID (0002,0010)", _LOOK)
    name = UID(sop_class).name
    if not sop_class:
        raise Quarantined("DICOM_MISSING_UID", "no SOPClassUID", "ask the source to send it again")
    if sop_class == SegmentationStorage:
        raise Excluded("OBJECT_SEGMENTATION", "a segmentation, which is a label and no image")
    if "Image Storage" not in name:
        raise Excluded("OBJECT_NOT_AN_IMAGE", f"SOP class {name} is no image")
    if syntax not in AllTransferSyntaxes:
        raise Quarantined(
            "DICOM_UNKNOWN_TRANSFER_SYNTAX", f"transfer syntax {UID(syntax).name}", "convert the file to a standard one"
        )
    if not has_pixels:
        raise Quarantined("PIXELS_MISSING", "an image object without pixel data", _AGAIN)
    _check_identifiers(dataset)
    _check_pixel_description(dataset)
    if _frames(dataset) > 1:
        raise Excluded("IMAGE_MULTI_FRAME", f"{_frames(dataset)} frames; only single-frame images are handled")


def _check_identifiers(dataset: Dataset) -> None:
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        uid = str(dataset.get(keyword, "") or "")
        if not uid:
            raise Quarantined("DICOM_MISSING_UID", f"no {keyword}", "ask the source to send it again")
        if not UID(uid).is_valid:
            raise Quarantined("DICOM_BAD_UID", f"{keyword} is malformed", "ask the source to send it again")
    if str(dataset.file_meta.get("MediaStorageSOPInstanceUID", dataset.SOPInstanceUID)) != str(dataset.SOPInstanceUID):
        raise Quarantined("DICOM_UID_MISMATCH", "SOP Instance UID differs between file meta information and data set", _LOOK)


def _check_pixel_description(dataset: Dataset) -> None:
    rows, columns, samples = (_whole(dataset, key, 0) for key in ("Rows", "Columns", "SamplesPerPixel"))
    if min(rows, columns) < 1 or samples not in (1, 3):
        raise Quarantined("PIXELS_SHAPE", f"{rows} rows × {columns} columns × {samples} samples", _LOOK)
    if rows * columns * samples > MAX_PIXELS:
        raise Quarantined("PIXELS_TOO_MANY", f"{rows} × {columns} × {samples} values", f"at most {MAX_PIXELS} are decoded")
    allocated, stored, high = (_whole(dataset, key, -1) for key in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise Quarantined("PIXELS_BITS", f"{allocated} bits allocated, {stored} stored", "8 to 16 bits are handled")
    if high != stored - 1:
        raise Quarantined("PIXELS_HIGH_BIT", f"high bit {high} with {stored} bits stored", "expected bits stored - 1")
    _check_photometric(dataset, samples)
    _check_rescale(dataset)


def _check_photometric(dataset: Dataset, samples: int) -> None:
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric not in (_COLOUR if samples == 3 else _GREY):
        raise Quarantined("PIXELS_PHOTOMETRIC", f"photometric interpretation {photometric!r} with {samples} samples", _LOOK)
    if photometric == "PALETTE COLOR" and "RedPaletteColorLookupTableData" not in dataset:
        raise Quarantined("PIXELS_NO_PALETTE", "PALETTE COLOR without a palette", _AGAIN)


def _check_rescale(dataset: Dataset) -> None:
    if "ModalityLUTSequence" in dataset:
        return
    slope, intercept = _decimal(dataset.get("RescaleSlope")), _decimal(dataset.get("RescaleIntercept"))
    if slope is None and intercept is None:
        if dataset.get("Modality") == "CT":
            raise Quarantined("CT_NO_RESCALE", "a CT image without rescale slope and intercept", "HU cannot be known")
        return
    if slope is None or intercept is None or slope == 0:
        raise Quarantined("PIXELS_RESCALE", f"rescale slope {slope}, intercept {intercept}", "the pixel values would be wrong")


def _frames(dataset: Dataset) -> int:
    value = dataset.get("NumberOfFrames")
    if value is None or value == "":
        return 1
    frames = _whole(dataset, "NumberOfFrames", 0)
    if frames < 1:
        raise Quarantined("PIXELS_FRAMES", "Number of Frames is no positive number", _LOOK)
    return frames


def check_pixel_length(dataset: Dataset, length_bytes: int, available_bytes: int) -> None:
    """Compare the length of the pixel data with the header and the file (PS3.5 8.1.1).

    Args:
        dataset: the header of an image.
        length_bytes: length of the pixel data element as it says itself.
        available_bytes: bytes of the file from the value of the element on.

    Raises:
        Quarantined: PIXELS_TRUNCATED, PIXELS_LENGTH.
    """
    syntax, expected = dataset.file_meta.TransferSyntaxUID, expected_bytes(dataset)
    if syntax == RLELossless and _RLE_RATIO * available_bytes < expected:
        raise Quarantined("PIXELS_TRUNCATED", f"{available_bytes} bytes of RLE for {expected} bytes of pixels", _AGAIN)
    if syntax.is_encapsulated:
        return
    present = length_bytes if syntax == DeflatedExplicitVRLittleEndian else min(length_bytes, available_bytes)
    if present < max(expected, length_bytes):
        raise Quarantined("PIXELS_TRUNCATED", f"{present} bytes of pixel data, {max(expected, length_bytes)} expected", _AGAIN)
    if length_bytes > max(2 * expected - 1, expected + 1):  # a second frame that the header does not tell of
        raise Quarantined("PIXELS_LENGTH", f"{length_bytes} bytes of pixel data, {expected} expected", _LOOK)


def expected_bytes(dataset: Dataset) -> int:
    """Size of one uncompressed frame in bytes; YBR_FULL_422 stores two values a pixel (PS3.3 C.7.6.3.1.2)."""
    samples = 2 if dataset.PhotometricInterpretation == "YBR_FULL_422" else dataset.SamplesPerPixel
    return int(dataset.Rows * dataset.Columns * samples * dataset.BitsAllocated // 8)


def header_of(dataset: Dataset) -> Header:
    """The header record of an image that :func:`classify` let pass."""
    return Header(
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        study_uid=str(dataset.StudyInstanceUID),
        patient_key=patient_key(str(dataset.get("PatientID", "") or "")),
        modality=_text(dataset, "Modality"),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frames=1,
        transfer_syntax=str(dataset.file_meta.TransferSyntaxUID),
        photometric=_text(dataset, "PhotometricInterpretation"),
        bits_stored=int(dataset.BitsStored),
        manufacturer=_text(dataset, "Manufacturer"),
        body_part=_text(dataset, "BodyPartExamined"),
        laterality=_text(dataset, "Laterality") or _text(dataset, "ImageLaterality"),
        spacing_mm=_spacing_mm(dataset),
        voi_window=_voi_window(dataset),
    )


def _spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(keyword)
        if isinstance(value, MultiValue) and len(value) == 2:
            row, column = _decimal(value[0]), _decimal(value[1])
            if row and column and row > 0 and column > 0:
                return (row, column)
    return None


def _voi_window(dataset: Dataset) -> tuple[float, float] | None:
    """First VOI window; mirrored with the pixels of MONOCHROME1 (see :func:`medray.data.dicom.decode`)."""
    centre, width = (_decimal(_first(dataset.get(key))) for key in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width < 1:
        return None
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        last = -1 if dataset.get("PixelRepresentation", 0) else (1 << dataset.BitsStored) - 1
        slope, intercept = (
            _decimal(dataset.get("RescaleSlope")) or 1.0,
            _decimal(dataset.get("RescaleIntercept")) or 0.0,
        )
        centre = slope * last + 2 * intercept - centre + 1  # C.11.2.1.2.1 is asymmetric by one: (c - 0.5) ± (w - 1) / 2
    return (centre, width)


def is_padding(dataset: Dataset, stored: NDArray[np.integer]) -> Bool | None:
    """bool (rows, columns), True on padding (PS3.3 C.7.5.1.1.2); None where the header names no padding value."""
    value = dataset.get("PixelPaddingValue")
    if value is None or dataset.PhotometricInterpretation == "PALETTE COLOR":
        return None
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    return np.asarray((stored >= low) & (stored <= high))


def _first(value: Any) -> Any:
    return (value[0] if len(value) else None) if isinstance(value, MultiValue) else value


def _text(dataset: Dataset, keyword: str) -> str:
    value = _first(dataset.get(keyword))
    return "" if value is None else str(value).strip()[:64]


def _decimal(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(dataset: Dataset, keyword: str, default: int) -> int:
    value = dataset.get(keyword)
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        return default
