"""The identity of an image in any encoding: a digest of its stored values and of the attributes that medray reads."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.tag import Tag

from medray.data.dicom import boundary, open_whole, tags
from medray.data.dicom.dataset import DataSet, DicomFile, image_pixel
from medray.data.dicom.header import header_of, sop_class
from medray.data.dicom.parse import parse
from medray.data.dicom.pixels import stored_values
from medray.data.dicom.selection import IMAGES, Selection
from medray.data.dicom.suv import suv_of
from medray.data.plane import GRIDS

_ENCODING = {
    tags.SPECIFIC_CHARACTER_SET,
    tags.SOP_CLASS,
    tags.SAMPLES_PER_PIXEL,
    tags.PHOTOMETRIC_INTERPRETATION,
    tags.PLANAR_CONFIGURATION,
    tags.NUMBER_OF_FRAMES,
    tags.BITS_ALLOCATED,
    tags.BITS_STORED,
    tags.HIGH_BIT,
    tags.EXTENDED_OFFSET_TABLE,
    tags.EXTENDED_OFFSET_TABLE_LENGTHS,
}
"""Attributes that another encoding may change; what they say of the image is in the record all the same."""

_UNUSED = {tags.PATIENT_NAME, tags.BURNED_IN_ANNOTATION}
"""Attributes that are read, but that no answer depends on."""

_COMPARED = Selection(IMAGES.values | {tags.IMAGE_COMMENTS}, IMAGES.sequences)
_WORDS = {"US", "SS", "OW", "AT", "US or SS", "US or OW", "US or SS or OW", "OB or OW"}
_NUMBERS = {**dict.fromkeys(_WORDS, "u2"), "UL": "u4", "SL": "i4", "FL": "f4", "FD": "f8"}
_TEXT_NUMBERS = {"DS", "IS"}


def image_digest(data: bytes) -> str:
    """SHA-256 of the content of an image, in hexadecimal digits: equal for files that differ only in encoding.

    Of the pixels it takes the stored values of every frame, bit for bit (colour as RGB), one frame in memory at a time. Of the
    attributes it takes what medray reads (identifiers, geometry, modality and VOI transformations, units, padding, palette,
    functional groups, what the image shows) and Image Comments, as values: numbers as numbers, texts without padding and in
    whatever character set; of PET also the factor to SUV, for dose, weight and times. Transfer syntax, file meta information,
    private elements (but those that cut a grid of slices or make the factor) and all that medray does not read are left out.

    Args:
        data: a DICOM file.

    Raises:
        Excluded, Quarantined: as :func:`medray.data.dicom.decode`.
    """
    file = open_whole(data)
    with boundary():
        parsed, pixel = parse(data, len(data), _COMPARED), image_pixel(file)
        assert parsed is not None
        is_grid = not GRIDS.isdisjoint(file.dataset.texts(tags.IMAGE_TYPE))
        kind = pixel.photometric if pixel.samples == 1 else "colour"
        mirrored_at = pixel.bits_stored if kind == "MONOCHROME1" else 0  # else it changes no value
        record = [sop_class(file), pixel.frames, kind, mirrored_at, _record(parsed.dataset, private=is_grid), *_uptake(file)]
        digest = hashlib.sha256(json.dumps(record).encode())
        for frame in range(pixel.frames):
            values = np.ascontiguousarray(stored_values(file, pixel, frame), "<i2" if pixel.signed else "<u2")
            digest.update(values.data)
        return digest.hexdigest()


def _uptake(file: DicomFile) -> list[float | str]:
    """The SUV factor of PET, or why it is unknown; nothing for other images."""
    suv = suv_of(file, header_of(file))
    return [] if suv is None else [suv.reason if suv.factor is None else suv.factor]


def _record(dataset: DataSet, *, private: bool) -> list[Any]:
    """The attributes of a data set as plain data, in the order of their tags; what is empty is not there."""
    values = [[tag, _value(dataset, tag)] for tag in dataset.values if _counts(tag, private)]
    items = [
        [tag, [_record(item, private=private) for item in found]] for tag, found in dataset.items.items() if _counts(tag, private)
    ]
    return sorted(entry for entry in values + items if entry[1])


def _counts(tag: int, private: bool) -> bool:
    return tag not in _ENCODING and tag not in _UNUSED and (private or not tag >> 16 & 1)


def _value(dataset: DataSet, tag: int) -> list[Any] | str:
    """The values of an element: numbers, or texts; of a private one, its bytes in hexadecimal digits."""
    raw, kind = dataset.values[tag], _representation(tag)
    if kind in _NUMBERS:
        dtype = np.dtype(_NUMBERS[kind]).newbyteorder("<" if dataset.little else ">")
        return list(np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype).tolist())
    if not kind:
        return raw.hex()
    numbers = dataset.decimals(tag) if kind in _TEXT_NUMBERS else None
    return list(numbers or dataset.texts(tag))


@cache
def _representation(tag: int) -> str:
    """The value representation that the standard gives an element (PS3.6 chapter 6); "" for a private one."""
    return dictionary_VR(Tag(tag)) if dictionary_has_tag(Tag(tag)) else ""
