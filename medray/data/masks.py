"""Masks of images: DICOM SEG or PNG → the pixels of interest."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import imagecodecs
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from medray.data.dicom import boundary
from medray.data.geometry import axes
from medray.data.mask_frames import counted_frames
from medray.data.mask_geometry import Target
from medray.data.segmentation import MaskChoice, open_segmentation
from medray.errors import InputError, Quarantined
from medray.types import Bool, Image

_PNG = b"\x89PNG\r\n\x1a\n"
_INDEXED = b"\3"  # colour type, at byte 25 (PNG 11.2.2); the depth lies before it


def decode_mask(data: bytes, image: Image, segment: int | None = None, level: float | None = None) -> Bool:
    """The pixels of an image that a mask marks, bool (rows, columns).

    Args:
        data: a DICOM SEG (PS3.3 A.51) of which those frames count that lie on the image or, where nothing says where they lie,
            refer to it (:func:`medray.data.mask_frames.counted_frames`); or a PNG, of which every value above 0 counts: of an
            indexed one the index, of colours any channel, alpha never.
        image: as decoded.
        segment: number of the segment that counts: Referenced Segment Number, the value in a label map or in a PNG of one
            channel; None: all.
        level: from which part of Maximum Fractional Value on a pixel of a fractional SEG counts, above 0 and at most 1.

    Raises:
        Quarantined: MASK_UNREADABLE, MASK_SIZE, MASK_GEOMETRY, MASK_OTHER_IMAGE.
    """
    with unreadable():
        if data.startswith(_PNG):
            return _png(data, image, segment)
        found = open_segmentation(data)
        check_size(found.pixel.rows, found.pixel.columns, image.shape)
        mask = np.zeros(image.shape, bool)
        for frame, _ in counted_frames(found, _target(image), segment):
            mask |= found.marked(frame, MaskChoice(segment, level))
        return mask


def _target(image: Image) -> Target:
    header = image.header
    known = axes(header.orientation) is not None and header.position_mm is not None and header.spacing_mm is not None
    return Target(
        shape=(image.shape[0], image.shape[1]),
        sources=((header.sop_uid, image.frame),),
        frames=header.frames,
        series_uid=header.series_uid,
        frame_of_reference_uid=header.frame_of_reference_uid,
        orientation=header.orientation,
        positions_mm=np.array([header.position_mm], np.float64) if known else None,
        spacing_mm=header.spacing_mm,
        thickness_mm=header.slice_thickness_mm,
    )


@contextmanager
def unreadable() -> Iterator[None]:
    """Raise an error of a mask as MASK_UNREADABLE, unless its code is one of masks already."""
    try:
        with boundary():
            yield
    except InputError as error:
        if error.code.startswith("MASK_"):
            raise
        raise Quarantined("MASK_UNREADABLE", f"the mask is broken: {error.code}, {error.message}") from error


def check_size(rows: int, columns: int, shape: tuple[int, ...]) -> None:
    """Raise Quarantined: MASK_SIZE unless a mask has the shape (rows, columns) of the image."""
    if (rows, columns) != shape:
        expected = " × ".join(map(str, shape))
        raise Quarantined("MASK_SIZE", f"a mask of {rows} × {columns} pixels for an image of {expected}")


def _png(data: bytes, image: Image, segment: int | None) -> Bool:
    columns, rows = struct.unpack_from(">II", data.ljust(24, b"\0"), 16)
    check_size(rows, columns, image.shape)
    try:
        values = _indices(data) if data[25:26] == _INDEXED else np.asarray(imagecodecs.png_decode(data))
    except (OSError, RuntimeError, SyntaxError, ValueError) as error:
        raise Quarantined("MASK_UNREADABLE", f"the PNG of the mask is broken ({type(error).__name__})") from error
    if values.ndim == 3:  # an alpha channel, the last of two or four, says nothing
        values = values[..., : values.shape[2] - (values.shape[2] % 2 == 0)]
        values = values[..., 0] if values.shape[2] == 1 else values
    if segment is None:
        return np.asarray(values > 0 if values.ndim == 2 else (values > 0).any(-1))
    if values.ndim == 3 or not segment:
        raise Quarantined("MASK_UNREADABLE", f"a PNG with colours for labels, or the segment {segment}, which is its background")
    depth = data[24]
    return np.asarray(values == (segment if depth >= 8 or data[25:26] == _INDEXED else segment * (255 // ((1 << depth) - 1))))


def _indices(data: bytes) -> NDArray[np.uint8]:
    """The values of an indexed PNG, uint8 (rows, columns): places in its palette, not the colours there."""
    with PIL.Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
        return np.asarray(opened)
