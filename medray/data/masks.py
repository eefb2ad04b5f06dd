"""Masks of images: a table that names them, and DICOM SEG or PNG → the pixels of interest."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import imagecodecs
import numpy as np
import pyarrow as pa
import pydicom
from pydicom.uid import SegmentationStorage

from medray.data import store
from medray.data.dicom import boundary, tags
from medray.data.dicom.checks import check_frames, check_pixel_length
from medray.data.dicom.dataset import DicomFile, ImagePixel, image_pixel, quiet
from medray.data.dicom.header import sop_class
from medray.data.dicom.parse import parse
from medray.data.dicom.pixels import stored_values
from medray.data.dicom.syntaxes import check_syntax
from medray.data.labels import read_labels
from medray.errors import InputError, LabelError, Quarantined
from medray.types import Bool, Image

_PNG = b"\x89PNG\r\n\x1a\n"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"  # Label Map Segmentation Storage
_FRACTIONAL = "FRACTIONAL"


KEY_COLUMNS = {"sop_uid": "SOPInstanceUID", "series_uid": "SeriesInstanceUID"}


def read_masks(uri: str, key: str = "sop_uid") -> pa.Table:
    """A table of masks: the key of each input and ``mask``, the URI of its mask.

    Args:
        uri: CSV or Parquet table with the columns SOPInstanceUID (or SeriesInstanceUID) and mask: a URI, or a path relative to
            the table; an empty one means that there is none.
        key: ``sop_uid`` for masks of images, ``series_uid`` for those of volumes; rows without it are for others.

    Raises:
        LabelError: LABELS_UNREADABLE, LABELS_NO_KEY, MASKS_COLUMNS, MASKS_CONFLICT.
        StoreError: the table cannot be fetched.
    """
    table = read_labels(uri)
    if not {key, "mask"} <= set(table.column_names):
        raise LabelError("MASKS_COLUMNS", f"{uri} has not both columns {KEY_COLUMNS[key]} and mask", "name them so")
    folder = store.normalise(uri).rpartition("/")[0]
    found: dict[str, str] = {}
    for uid, mask in zip(table[key].to_pylist(), table["mask"].to_pylist(), strict=True):
        if uid and mask and found.setdefault(uid, mask) != mask:
            raise LabelError("MASKS_CONFLICT", f"{uri} names two masks for one {KEY_COLUMNS[key]}, {uid}", "merge them into one")
    places = [mask if "://" in mask or mask.startswith("/") else f"{folder}/{mask}" for mask in found.values()]
    return pa.table({key: pa.array(found, pa.string()), "mask": pa.array(places, pa.string())})


def decode_mask(data: bytes, image: Image) -> Bool:
    """The pixels of an image that a mask marks, bool (rows, columns).

    Args:
        data: a DICOM SEG (PS3.3 A.51: binary, or a label map), of whose frames those count that refer to the image (all, where
            none refers to any image), whatever segment they are of; or a PNG, of which every value above 0 counts.
        image: as decoded.

    Raises:
        Quarantined: MASK_UNREADABLE, MASK_SIZE.
    """
    with unreadable():
        return _png(data, image) if data.startswith(_PNG) else _segmentation(data, image)


@contextmanager
def unreadable() -> Iterator[None]:
    """Raise what is wrong with a mask as MASK_UNREADABLE, unless it is a matter of masks already."""
    with boundary():
        try:
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


def _png(data: bytes, image: Image) -> Bool:
    columns, rows = struct.unpack_from(">II", data.ljust(24, b"\0"), 16)
    check_size(rows, columns, image.pixels.shape)
    try:
        values = np.asarray(imagecodecs.png_decode(data))
    except (RuntimeError, ValueError) as error:
        raise Quarantined("MASK_UNREADABLE", f"the PNG of the mask is broken ({type(error).__name__})") from error
    if values.ndim == 3:  # an alpha channel, the last of two or four, says nothing
        values = values[..., : values.shape[2] - (values.shape[2] % 2 == 0)].max(-1)
    return np.asarray(values > 0)


def _segmentation(data: bytes, image: Image) -> Bool:
    file, header = open_segmentation(data)
    check_size(header.rows, header.columns, image.pixels.shape)
    mask = np.zeros(image.pixels.shape, bool)
    for frame in _frames(file, data, header.frames, image.header.sop_uid):
        mask |= stored_values(file, header, frame) > 0
    return mask


def open_segmentation(data: bytes) -> tuple[DicomFile, ImagePixel]:
    """A DICOM SEG that draws a line, and how its pixels are stored.

    Raises:
        Quarantined: MASK_UNREADABLE, or as the checks of images do.
    """
    file = parse(data, len(data))
    if file is None or file.pixels is None:
        raise Quarantined("MASK_UNREADABLE", "the mask has no pixels")
    if sop_class(file) not in (SegmentationStorage, LABEL_MAP):
        raise Quarantined("MASK_UNREADABLE", "the mask is neither a DICOM segmentation nor a PNG")
    if file.dataset.text(tags.SEGMENTATION_TYPE) == _FRACTIONAL:
        raise Quarantined("MASK_UNREADABLE", "the mask is a fractional segmentation, which draws no line")
    check_frames(file.dataset)
    check_syntax(file.meta.text(tags.TRANSFER_SYNTAX))
    check_pixel_length(file, len(data))
    return file, image_pixel(file)


def _frames(file: DicomFile, data: bytes, frames: int, sop_uid: str) -> list[int]:
    """The frames that refer to an image (PS3.3 C.7.6.16.2.6); one frame alone needs no reference."""
    if frames == 1:
        return [0]
    with quiet():
        found = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    sources = [_references(item) for item in found.get("PerFrameFunctionalGroupsSequence", ())]
    if not any(sources):
        return list(range(frames))
    return [frame for frame, uids in enumerate(sources) if sop_uid in uids]


def _references(groups: pydicom.Dataset) -> set[str]:
    derivations = groups.get("DerivationImageSequence") or ()
    sources = [source for item in derivations for source in item.get("SourceImageSequence") or ()]
    return {str(source.get("ReferencedSOPInstanceUID", "")) for source in sources}
