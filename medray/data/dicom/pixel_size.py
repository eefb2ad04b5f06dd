"""How large a pixel is: pixel spacing, ultrasound regions, the detector and its magnification, scanned films, aspect ratio."""

from __future__ import annotations

from typing import NamedTuple

from medray.data.dicom import tags
from medray.data.dicom.dataset import DataSet
from medray.data.dicom.functional import element_source
from medray.data.dicom.regions import measured_regions
from medray.data.ultrasound import Regions, alike

SECTIONAL = frozenset({"CT", "MR", "PT", "NM"})
"""Modalities whose Pixel Spacing is that of a plane in the patient."""
PROJECTION = frozenset({"CR", "DX", "DG", "IO", "MG", "PX", "RF", "RG", "XA"})
"""Modalities of projection radiography: what is larger on the detector lies nearer to the source."""
CALIBRATED = frozenset({"GEOMETRY", "FIDUCIAL"})
LARGEST_MAGNIFICATION = 20.0
_SAME = 1e-3  # by which part one attribute may be rounded otherwise than another of the same value
_PAIRS = frozenset({tags.PIXEL_SPACING, tags.IMAGER_PIXEL_SPACING, tags.NOMINAL_SCANNED_PIXEL_SPACING})

Pair = tuple[float, float]
Flags = tuple[str, ...]


class PixelSize(NamedTuple):
    """What the header of an image says about the size of its pixels; fields as in :class:`medray.types.Header`."""

    spacing_mm: Pair | None
    pixel_aspect: float | None
    ultrasound_regions: Regions
    flags: Flags


def pixel_size(found: DataSet, frame: int, modality: str) -> PixelSize:
    """The size of a pixel of a frame.

    That of a plane in the patient stands; else 2-D ultrasound regions decide where there are any; then Pixel Spacing that was
    calibrated; then the spacing at the detector over the magnification; then that of the scanner of a film (PS3.3 10.7.1.1).
    """
    source = element_source(found, frame, tags.PIXEL_MEASURES, tags.PIXEL_SPACING)
    spacing = _pair(source, tags.PIXEL_SPACING)
    regions: Regions = ()
    flags: Flags = ()
    if spacing is not None and (source is not found or (modality in SECTIONAL and not _is_of_film(found, spacing))):
        pass  # of a plane in the patient, as it stands
    elif tags.ULTRASOUND_REGIONS in found.items:
        spacing, regions, flags = _of_regions(found, spacing)
    elif tags.SHARED_GROUPS in found.items or not found.values.keys().isdisjoint(_PAIRS):
        odd = any(found.text(tag) and _pair(found, tag) is None for tag in _PAIRS)
        spacing, flags = _of_projection(found, frame, spacing, modality)
        flags = (*flags, "VALUE_INVALID") if odd else flags
    if tags.PIXEL_ASPECT_RATIO not in found.values:
        return PixelSize(spacing, None, regions, flags)
    aspect, more = _aspect(found, spacing)
    return PixelSize(spacing, aspect, regions, (*flags, *more))


def _pair(found: DataSet, tag: int) -> Pair | None:
    """(row, column) distance in mm (10.7.1.3)."""
    numbers = found.decimals(tag)
    return (numbers[0], numbers[1]) if numbers is not None and len(numbers) == 2 and min(numbers) > 0 else None


def _of_regions(found: DataSet, stated: Pair | None) -> tuple[Pair | None, Regions, Flags]:
    """Spacing, regions and flags of an ultrasound image; Pixel Spacing stands where no region is 2-D."""
    spacing, regions, flags = measured_regions(found)
    if not regions:
        return stated, (), flags
    if stated is not None and (spacing is None or not alike(stated, spacing)):
        flags = (*flags, "SPACING_DIFFERS")
    return spacing, regions, flags


def _of_projection(found: DataSet, frame: int, stated: Pair | None, modality: str) -> tuple[Pair | None, Flags]:
    """Spacing where it may be that at a detector or of a scanner (10.7.1.1, 10.7.1.2): in the patient, where the file tells."""
    if stated is not None and found.text(tags.PIXEL_SPACING_CALIBRATION_TYPE) in CALIBRATED:
        return stated, ()
    at = element_source(found, frame, tags.FRAME_PIXEL_DATA_PROPERTIES, tags.IMAGER_PIXEL_SPACING)
    imager, nominal = _pair(at, tags.IMAGER_PIXEL_SPACING), _pair(found, tags.NOMINAL_SCANNED_PIXEL_SPACING)
    if imager is not None and (stated is None or _same(stated, imager)):
        return _in_patient(found, frame, imager)
    if nominal is not None and (stated is None or _same(stated, nominal)):
        return nominal, ("SPACING_NOMINAL",)
    unknown = stated is not None and imager is None and nominal is None and modality in PROJECTION
    return stated, ("SPACING_AT_DETECTOR",) if unknown else ()


def _is_of_film(found: DataSet, stated: Pair) -> bool:
    """Whether Pixel Spacing repeats that of the scanner of a film: sections were printed too, and shrunk to fit."""
    nominal = _pair(found, tags.NOMINAL_SCANNED_PIXEL_SPACING)
    return nominal is not None and _same(stated, nominal)


def _same(one: Pair, other: Pair) -> bool:
    return all(abs(a - b) <= _SAME * max(a, b) for a, b in zip(one, other, strict=True))


def _in_patient(found: DataSet, frame: int, imager: Pair) -> tuple[Pair, Flags]:
    """The spacing at the detector over the magnification; as it is where that is unknown."""
    factor, flags = _magnification(found, frame)
    if factor is None:
        return imager, (*flags, "SPACING_AT_DETECTOR")
    return (imager[0] / factor, imager[1] / factor), (*flags, "SPACING_ESTIMATED")


def _magnification(found: DataSet, frame: int) -> tuple[float | None, Flags]:
    """The stated factor, else the distance of the detector over that of the patient from the source (C.8.7.5, C.8.11.5)."""
    at = element_source(found, frame, tags.X_RAY_GEOMETRY, tags.MAGNIFICATION)
    factor = at.decimal(tags.MAGNIFICATION)
    if factor is not None and 1 <= factor <= LARGEST_MAGNIFICATION:
        return factor, ()
    flags: Flags = ("VALUE_INVALID",) if at.text(tags.MAGNIFICATION) else ()
    at = element_source(found, frame, tags.X_RAY_GEOMETRY, tags.SOURCE_TO_DETECTOR)
    detector, patient = at.decimal(tags.SOURCE_TO_DETECTOR), at.decimal(tags.SOURCE_TO_PATIENT)
    if detector is None or patient is None or not 0 < patient < detector <= LARGEST_MAGNIFICATION * patient:
        return None, flags
    return detector / patient, flags


def _aspect(found: DataSet, spacing: Pair | None) -> tuple[float | None, Flags]:
    """Height over width of a pixel (C.7.6.3.1.7) where no spacing says it; None for a square one."""
    if not found.text(tags.PIXEL_ASPECT_RATIO):
        return None, ()
    ratio = _pair(found, tags.PIXEL_ASPECT_RATIO)
    aspect = ratio[0] / ratio[1] if ratio is not None else 0.0
    if not 1e-3 < aspect < 1e3:
        return None, ("VALUE_INVALID",)
    if spacing is not None:
        return None, () if alike((aspect, 1), (spacing[0] / spacing[1], 1)) else ("SPACING_DIFFERS",)
    return (None if aspect == 1 else aspect), ()
