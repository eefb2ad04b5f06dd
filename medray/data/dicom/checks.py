"""Checks of a header before its pixels are read: contradictions and omissions are refused, each with a code."""

from __future__ import annotations

import re
from functools import cache

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage, SegmentationStorage

from medray.data.dicom import tags
from medray.data.dicom.dataset import UNDEFINED_LENGTH, DataSet, DicomFile
from medray.data.dicom.functional import group
from medray.data.dicom.header import sop_class
from medray.data.dicom.lookup import first_lut
from medray.data.dicom.syntaxes import LARGEST_RATIO, check_syntax, is_encapsulated
from medray.data.dicom.units import CT_IMAGES
from medray.errors import Excluded, Quarantined

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"  # Label Map Segmentation Storage
MAX_PIXELS = 1 << 29
"""Of one frame, in values."""
MAX_FRAMES = 1 << 20
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "XYB"}
_GREY = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
_IMAGES_BY_ANOTHER_NAME = {  # Enhanced US Volume, Ophthalmic OCT B-scan Volume Analysis: PS3.3 A.59, A.84
    "1.2.840.10008.5.1.4.1.1.6.2",
    "1.2.840.10008.5.1.4.1.1.77.1.5.8",
}
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")  # PS3.5 9.1; leading zeros are flagged
_OUTSIDE = re.compile(r"(^|\\)\.\.(\\|$)|^[/\\]|[/:]")


def classify(file: DicomFile) -> None:
    """Return for an image that can be decoded; raise for everything else.

    Raises:
        Excluded: OBJECT_DICOMDIR, OBJECT_SEGMENTATION, OBJECT_NOT_AN_IMAGE, PIXELS_FLOAT, or as :func:`check_syntax`.
        Quarantined: a broken or contradictory header.
    """
    check_frames(file.dataset)
    _check_class(file)
    check_syntax(file.meta.text(tags.TRANSFER_SYNTAX))
    if file.pixels is None:
        raise Quarantined("PIXELS_MISSING", "an image object without pixel data")
    _check_identifiers(file)
    _check_pixel_description(file.dataset)
    _check_rescale(file)


def _check_class(file: DicomFile) -> None:
    found = sop_class(file)
    if not found:
        raise Quarantined("DICOM_MISSING_UID", "no SOPClassUID")
    if found == MediaStorageDirectoryStorage:
        _check_directory(file.dataset)
        raise Excluded("OBJECT_DICOMDIR", "a DICOMDIR: an index of files, not an image")
    if found in (SegmentationStorage, LABEL_MAP_STORAGE):
        raise Excluded("OBJECT_SEGMENTATION", "a segmentation: a label, not an image")
    if file.pixels is not None and file.pixels.tag != tags.PIXEL_DATA:
        raise Excluded("PIXELS_FLOAT", "floating-point pixel data")
    if found not in _image_classes():
        name = UID_dictionary[found][0] if found in UID_dictionary else "of this object"
        raise Excluded("OBJECT_NOT_AN_IMAGE", f"the SOP class {name} is not an image")


@cache
def _image_classes() -> frozenset[str]:
    """SOP classes of the standard that are images (PS3.4 B.5): those whose name says so, and few others."""
    named = {uid for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and "Image Storage" in name}
    return frozenset(named | _IMAGES_BY_ANOTHER_NAME)


def _check_directory(found: DataSet) -> None:
    for record in found.items.get(tags.DIRECTORY_RECORDS, ()):
        if _OUTSIDE.search(record.text(tags.REFERENCED_FILE_ID)):
            raise Quarantined("DICOMDIR_OUTSIDE", "a DICOMDIR that names files outside its folder")


def _check_identifiers(file: DicomFile) -> None:
    for keyword, tag in (
        ("SOPInstanceUID", tags.SOP_INSTANCE),
        ("SeriesInstanceUID", tags.SERIES_INSTANCE),
        ("StudyInstanceUID", tags.STUDY_INSTANCE),
    ):
        uid = file.dataset.text(tag)
        if not uid:
            raise Quarantined("DICOM_MISSING_UID", f"no {keyword}")
        if len(uid) > 64 or not _UID.fullmatch(uid):
            raise Quarantined("DICOM_BAD_UID", f"{keyword} is malformed")
    if (file.dataset.text(tags.SOP_CLASS) or sop_class(file)) != sop_class(file):
        raise Quarantined("DICOM_UID_MISMATCH", "SOP Class UID differs between file meta information and data set")


def _check_pixel_description(found: DataSet) -> None:
    rows, columns, samples = (found.whole(tag) or 0 for tag in (tags.ROWS, tags.COLUMNS, tags.SAMPLES_PER_PIXEL))
    if min(rows, columns) < 1 or samples not in (1, 3):
        raise Quarantined("PIXELS_SHAPE", f"{rows} rows × {columns} columns × {samples} samples")
    if rows * columns * samples > MAX_PIXELS:
        raise Quarantined("PIXELS_TOO_MANY", f"{rows} × {columns} × {samples} values; at most {MAX_PIXELS} are decoded")
    allocated, stored = found.whole(tags.BITS_ALLOCATED) or 0, found.whole(tags.BITS_STORED) or 0
    if allocated not in (1, 8, 16) or not 1 <= stored <= allocated:
        raise Quarantined("PIXELS_BITS", f"{allocated} bits allocated, {stored} stored; 1, 8 and up to 16 bits are handled")
    if found.whole(tags.PIXEL_REPRESENTATION) not in (0, 1):
        raise Quarantined("PIXELS_BITS", "Pixel Representation is neither unsigned nor signed")
    if (high := found.whole(tags.HIGH_BIT)) != stored - 1:
        raise Quarantined("PIXELS_HIGH_BIT", f"high bit {high} with {stored} bits stored")
    if samples == 3 and found.whole(tags.PLANAR_CONFIGURATION) not in (0, 1, None):
        raise Quarantined("PIXELS_SHAPE", "Planar Configuration is neither 0 nor 1")
    _check_photometric(found, samples)
    _check_groups(found)


def _check_photometric(found: DataSet, samples: int) -> None:
    photometric = found.text(tags.PHOTOMETRIC_INTERPRETATION)
    if photometric not in (_COLOUR if samples == 3 else _GREY):
        raise Quarantined("PIXELS_PHOTOMETRIC", f"the photometric interpretation is unknown or does not fit {samples} samples")
    palette = zip(tags.PALETTE_DATA, tags.PALETTE_SEGMENTED, strict=True)
    if photometric == "PALETTE COLOR" and not all(plain in found or segmented in found for plain, segmented in palette):
        raise Quarantined("PIXELS_NO_PALETTE", "PALETTE COLOR without a palette")


def check_frames(found: DataSet) -> None:
    """Raise Quarantined (PIXELS_FRAMES) unless the number of frames is absent or from 1 to 2**20."""
    frames = found.integer(tags.NUMBER_OF_FRAMES)
    if tags.NUMBER_OF_FRAMES in found and found.text(tags.NUMBER_OF_FRAMES) and not 1 <= (frames or 0) <= MAX_FRAMES:
        raise Quarantined("PIXELS_FRAMES", f"Number of Frames is not from 1 to {MAX_FRAMES}")


def _check_groups(found: DataSet) -> None:
    frames = found.integer(tags.NUMBER_OF_FRAMES)
    per_frame = found.items.get(tags.PER_FRAME_GROUPS)
    if per_frame is not None and len(per_frame) != (frames or 1):
        raise Quarantined("PIXELS_FRAMES", f"{frames or 1} frames, {len(per_frame)} items of per-frame functional groups")


def _check_rescale(file: DicomFile) -> None:
    """Modality values can be known (PS3.3 C.11.1): a slope of 0, or one that is not a number, is refused.

    So are CT images without one (C.8.2.1, C.8.15.2): their Hounsfield units are unknown. A screen or a picture that a CT scanner
    saves as a secondary capture never had any.
    """
    found = file.dataset
    if first_lut(found, tags.MODALITY_LUT_SEQUENCE) is not None:
        return
    frames = len(found.items.get(tags.PER_FRAME_GROUPS, ())) or 1
    transformed = [group(found, frame, tags.PIXEL_VALUE_TRANSFORMATION) or found for frame in range(frames)]
    for source in {id(item): item for item in transformed}.values():
        if not source.text(tags.RESCALE_SLOPE) and not source.text(tags.RESCALE_INTERCEPT):
            if found.text(tags.MODALITY) == "CT" and sop_class(file) in CT_IMAGES:
                raise Quarantined("CT_NO_RESCALE", "a CT image without rescale slope and intercept")
            continue
        slope, intercept = source.decimal(tags.RESCALE_SLOPE), source.decimal(tags.RESCALE_INTERCEPT)
        if slope is None or intercept is None or slope == 0:
            raise Quarantined("PIXELS_RESCALE", "rescale slope or intercept is 0, missing or not a number")


def check_pixel_length(file: DicomFile, size_bytes: int) -> None:
    """Compare the length of the pixel data with the header and the file (PS3.5 8.1.1).

    Args:
        file: an image that :func:`classify` let pass.
        size_bytes: size of the whole file.

    Raises:
        Quarantined: PIXELS_TRUNCATED, PIXELS_LENGTH, PIXELS_FRAGMENTS.
    """
    assert file.pixels is not None
    syntax, expected, stated = file.meta.text(tags.TRANSFER_SYNTAX), _expected_bytes(file.dataset), file.pixels.length_bytes
    deflated = syntax == DeflatedExplicitVRLittleEndian
    available = (len(file.data) if deflated else size_bytes) - file.pixels.start
    if (ratio := LARGEST_RATIO.get(syntax)) is not None and ratio * available < expected:
        raise Quarantined("PIXELS_TRUNCATED", f"{available} compressed bytes for {expected} bytes of pixels")
    if is_encapsulated(syntax):
        if stated != UNDEFINED_LENGTH:
            raise Quarantined("PIXELS_FRAGMENTS", "compressed pixel data that is not in fragments")
        return
    if stated == UNDEFINED_LENGTH:
        raise Quarantined("PIXELS_FRAGMENTS", "uncompressed pixel data in fragments")
    if min(stated, available) < max(expected, stated):
        message = f"{min(stated, available)} bytes of pixel data, {max(expected, stated)} expected"
        raise Quarantined("PIXELS_TRUNCATED", message)
    if stated > max(2 * expected - 1, expected + 1):  # a second frame that the header does not tell of
        raise Quarantined("PIXELS_LENGTH", f"{stated} bytes of pixel data, {expected} expected")


def _expected_bytes(found: DataSet) -> int:
    """Size of all frames, uncompressed, in bytes; YBR_FULL_422 stores two values a pixel (PS3.3 C.7.6.3.1.2)."""
    rows, columns, samples = (found.whole(tag) or 0 for tag in (tags.ROWS, tags.COLUMNS, tags.SAMPLES_PER_PIXEL))
    values = 2 if found.text(tags.PHOTOMETRIC_INTERPRETATION) == "YBR_FULL_422" else samples
    bits = rows * columns * values * (found.whole(tags.BITS_ALLOCATED) or 0) * (found.integer(tags.NUMBER_OF_FRAMES) or 1)
    return (bits + 7) // 8
