"""Parsed file → header record: class, identifiers, geometry, display. What contradicts itself is refused in checks.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from medray.data.dicom import tags
from medray.data.dicom.acquisition import acquisition_of
from medray.data.dicom.charset import is_plain, is_valid
from medray.data.dicom.dataset import DataSet, DicomFile
from medray.data.dicom.functional import element_source
from medray.data.dicom.lookup import first_lut, first_voi_lut, is_readable
from medray.data.dicom.pixel_size import pixel_size
from medray.data.dicom.private import rows_are_flipped
from medray.data.dicom.real_world import stored_maps
from medray.data.dicom.units import units_of
from medray.data.pseudonym import patient_key
from medray.types import Header

MAX_AGE_YEARS = 90
_AGE = re.compile(r"(\d{3})([DWMY])")
_DATE = re.compile(r"(\d{4})\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12]\d|3[01])")
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_TEXTS = (tags.PATIENT_NAME, tags.PATIENT_ID, tags.MANUFACTURER, tags.BODY_PART)
_CODES = (tags.MODALITY, tags.BODY_PART, tags.LATERALITY, tags.IMAGE_LATERALITY, tags.VIEW_POSITION)
_INTEGERS = (tags.SERIES_NUMBER, tags.INSTANCE_NUMBER, tags.ACQUISITION_NUMBER, tags.TEMPORAL_POSITION)
_DECIMALS = (tags.ECHO_TIME, tags.SLICE_THICKNESS)
_CODE = re.compile(r"[A-Za-z0-9 _/-]{0,16}")  # CS (PS3.5 6.2) and what is often seen: nothing that names, commands or marks up
_UID = re.compile(r"[0-9.]{0,64}")
_UIDS = (tags.SOP_INSTANCE, tags.STUDY_INSTANCE, tags.SERIES_INSTANCE, tags.FRAME_OF_REFERENCE)
_LEADING_ZERO = re.compile(rb"\.0[0-9]")
_FUNCTIONS = {"LINEAR", "LINEAR_EXACT", "SIGMOID"}


def header_of(file: DicomFile, frame: int = 0) -> Header:
    """The header record of a file; of a multi-frame image with the geometry, the window and the units of one frame.

    Units are those of decoded planes: colour has none, nor has MONOCHROME1, which is mirrored.

    Raises nothing for odd values: they are left out and flagged VALUE_INVALID, WINDOW_INVALID, REAL_WORLD_INVALID,
    CHARSET_INVALID.
    """
    found = file.dataset
    text, whole, integer = found.text, found.whole, found.integer
    placed = element_source(found, frame, tags.PLANE_POSITION, tags.IMAGE_POSITION)  # what a whole file states is of its first
    window, function, window_flags = voi_window(file, frame)
    maps, map_flags = stored_maps(found, frame)
    integers = {tag: integer(tag) for tag in _INTEGERS}
    decimals = {tag: found.decimal(tag) for tag in _DECIMALS}
    codes = {tag: _code(found, tag) for tag in _CODES}
    size = pixel_size(found, frame, codes[tags.MODALITY])
    age, year = _age_years(text(tags.PATIENT_AGE)), _year(text(tags.STUDY_DATE))
    reference = _uid(text(tags.FRAME_OF_REFERENCE))
    kind, photometric = sop_class(file), _word(found, tags.PHOTOMETRIC_INTERPRETATION)
    read = {tags.PATIENT_AGE: age, tags.STUDY_DATE: year, tags.FRAME_OF_REFERENCE: reference, **integers, **decimals, **codes}
    return Header.quickly(
        sop_uid=_uid(text(tags.SOP_INSTANCE)),
        series_uid=_uid(text(tags.SERIES_INSTANCE)),
        study_uid=_uid(text(tags.STUDY_INSTANCE)),
        patient_key=patient_key(_patient_id(found)),
        modality=codes[tags.MODALITY],
        sop_class_uid=kind,
        rows=whole(tags.ROWS) or 0,
        columns=whole(tags.COLUMNS) or 0,
        frames=integer(tags.NUMBER_OF_FRAMES) or 1,
        transfer_syntax=file.meta.text(tags.TRANSFER_SYNTAX),
        photometric=photometric,
        samples=whole(tags.SAMPLES_PER_PIXEL) or 1,
        bits_allocated=whole(tags.BITS_ALLOCATED) or 0,
        bits_stored=whole(tags.BITS_STORED) or 0,
        signed=whole(tags.PIXEL_REPRESENTATION) == 1,
        manufacturer=_word(found, tags.MANUFACTURER),
        body_part=codes[tags.BODY_PART],
        laterality=codes[tags.LATERALITY] or codes[tags.IMAGE_LATERALITY],
        view_position=codes[tags.VIEW_POSITION],
        sex=sex if (sex := text(tags.PATIENT_SEX)) in ("M", "F", "O") else "",
        age_years=age,
        study_year=year,
        image_type=tuple(part if _CODE.fullmatch(part) else "" for part in found.texts(tags.IMAGE_TYPE)[:8]),
        series_number=integers[tags.SERIES_NUMBER],
        instance_number=integers[tags.INSTANCE_NUMBER],
        acquisition_number=integers[tags.ACQUISITION_NUMBER],
        temporal_position=integers[tags.TEMPORAL_POSITION],
        echo_time_ms=decimals[tags.ECHO_TIME],
        frame_of_reference_uid=reference,
        spacing_mm=size.spacing_mm,
        pixel_aspect=size.pixel_aspect,
        ultrasound_regions=size.ultrasound_regions,
        slice_thickness_mm=_positive(
            element_source(found, frame, tags.PIXEL_MEASURES, tags.SLICE_THICKNESS).decimal(tags.SLICE_THICKNESS)
        ),
        position_mm=_position(placed) if placed is not found or not frame else None,
        orientation=_orientation(element_source(found, frame, tags.PLANE_ORIENTATION, tags.IMAGE_ORIENTATION)),
        voi_window=window,
        voi_function=function,
        units=units_of(found, frame, kind) if photometric == "MONOCHROME2" else "",
        real_world_units=tuple([one.units for one in maps]),
        **acquisition_of(found),
        flags=tuple(
            sorted({*file.flags, *window_flags, *map_flags, *size.flags, *_odd(found, read), *_odd_uids(file), *_noted(found)})
        ),
    )


def sop_class(file: DicomFile) -> str:
    """The SOP Class UID: of the file meta information, else of the data set."""
    return file.meta.text(tags.MEDIA_STORAGE_SOP_CLASS) or file.dataset.text(tags.SOP_CLASS)


def voi_window(file: DicomFile, frame: int) -> tuple[tuple[float, float] | None, str, tuple[str, ...]]:
    """The first VOI window (centre, width), its function, and WINDOW_INVALID if it or the VOI LUT is invalid (C.11.2.1.2).

    The window of a MONOCHROME1 image is mirrored with its pixels (see :func:`medray.data.dicom.image.image_of`).
    """
    found = file.dataset
    source, lut = element_source(found, frame, tags.FRAME_VOI_LUT, tags.WINDOW_CENTER), first_voi_lut(found, frame)
    flags = () if lut is None or is_readable(lut) else ("WINDOW_INVALID",)
    if not source.text(tags.WINDOW_CENTER) and not source.text(tags.WINDOW_WIDTH):
        return None, "LINEAR", flags
    centre, width = source.decimal(tags.WINDOW_CENTER), source.decimal(tags.WINDOW_WIDTH)
    function = source.text(tags.VOI_LUT_FUNCTION) or "LINEAR"
    narrowest = 1.0 if function == "LINEAR" else 1e-300  # at least 1, or above 0
    if centre is None or width is None or width < narrowest or function not in _FUNCTIONS:
        return None, "LINEAR", ("WINDOW_INVALID",)
    if found.text(tags.PHOTOMETRIC_INTERPRETATION) == "MONOCHROME1":
        asymmetry = 1.0 if function == "LINEAR" else 0.0  # C.11.2.1.2.1: (c - 0.5) ± (w - 1) / 2
        centre = mirror_sum(found, frame) - centre + asymmetry
    return (centre, width), function, flags


def mirror_sum(found: DataSet, frame: int) -> float:
    """Value + mirrored value of a MONOCHROME1 image in modality units: stored v becomes last - v, or so the output of its LUT."""
    lut = first_lut(found, tags.MODALITY_LUT_SEQUENCE)
    if lut is not None and len(described := lut.wholes(tags.LUT_DESCRIPTOR)) == 3:
        return float((1 << min(described[2], 16)) - 1)
    last = -1 if found.whole(tags.PIXEL_REPRESENTATION) else (1 << (found.whole(tags.BITS_STORED) or 0)) - 1
    slope, intercept = rescale(found, frame) or (1.0, 0.0)
    return slope * last + 2 * intercept


def rescale(found: DataSet, frame: int) -> tuple[float, float] | None:
    """(slope, intercept) of a frame; None where the file has neither, or no numbers."""
    source = element_source(found, frame, tags.PIXEL_VALUE_TRANSFORMATION, tags.RESCALE_SLOPE)
    slope, intercept = source.decimal(tags.RESCALE_SLOPE), source.decimal(tags.RESCALE_INTERCEPT)
    return None if slope is None or intercept is None else (slope, intercept)


def _patient_id(found: DataSet) -> str | bytes:
    """The text of the id; its bytes where they cannot all be read, so that two patients never share what is left of it."""
    text = found.text(tags.PATIENT_ID)
    if "\ufffd" in text and not is_valid(raw := found.values[tags.PATIENT_ID], found.charset):
        return raw.strip(b" \0")
    return text


def _word(found: DataSet, tag: int) -> str:
    words = found.texts(tag)
    return words[0][:64] if words else ""


def _code(found: DataSet, tag: int) -> str:
    word = _word(found, tag)
    return word if _CODE.fullmatch(word) else ""


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _position(found: DataSet) -> tuple[float, float, float] | None:
    numbers = found.decimals(tags.IMAGE_POSITION)
    return (numbers[0], numbers[1], numbers[2]) if numbers is not None and len(numbers) == 3 else None


def _orientation(found: DataSet) -> tuple[float, float, float, float, float, float] | None:
    numbers = found.decimals(tags.IMAGE_ORIENTATION)
    if numbers is None or len(numbers) != 6:
        return None
    return numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]


def _age_years(text: str) -> int | None:
    match = _AGE.fullmatch(text)
    return min(int(int(match[1]) / _PER_YEAR[match[2]]), MAX_AGE_YEARS) if match else None


def _year(text: str) -> int | None:
    match = _DATE.fullmatch(text)
    return int(match[1]) if match else None


def _uid(text: str) -> str:
    return text if _UID.fullmatch(text) else ""


def _odd(found: DataSet, read: Mapping[int, object]) -> Set[str]:
    """VALUE_INVALID where something that is there was read as nothing, CHARSET_INVALID where text is not in its character set."""
    odd = set()
    if any(value in (None, "") and found.text(tag) for tag, value in read.items() if tag in found.values):
        odd.add("VALUE_INVALID")
    texts = [found.values.get(tag, b"") for tag in _TEXTS]
    if not is_plain(b"".join(texts)) and not all(is_plain(raw) or is_valid(raw, found.charset) for raw in texts):
        odd.add("CHARSET_INVALID")
    return odd


def _noted(found: DataSet) -> Iterator[str]:
    if found.text(tags.BURNED_IN_ANNOTATION) == "YES":
        yield "BURNED_IN_ANNOTATION"
    if tags.GE_SEQUENCE in found.values and rows_are_flipped(found):
        yield "GE_ROWS_FLIPPED"


def _odd_uids(file: DicomFile) -> Iterator[str]:
    """META_UID_DIFFERS and UID_LEADING_ZERO; the UIDs of the data set count, as they are."""
    found, stated = file.dataset.values, file.meta.values.get(tags.MEDIA_STORAGE_SOP_INSTANCE)
    if stated != found.get(tags.SOP_INSTANCE):
        instance, other = file.dataset.text(tags.SOP_INSTANCE), file.meta.text(tags.MEDIA_STORAGE_SOP_INSTANCE)
        if instance and other and instance != other:
            yield "META_UID_DIFFERS"
    uids = b".".join((b"", *[found.get(tag, b"") for tag in _UIDS]))
    if b".0" in uids and _LEADING_ZERO.search(uids):
        yield "UID_LEADING_ZERO"
