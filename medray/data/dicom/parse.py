"""DICOM file (PS3.10) → parsed head: file meta information, data set, where the pixel data is."""

from __future__ import annotations

import io
import zlib

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medray.data.dicom import tags
from medray.data.dicom.dataset import UNDEFINED_LENGTH, DataSet, DicomFile, PixelElement, quiet
from medray.data.dicom.selection import IMAGES, Selection
from medray.data.dicom.syntaxes import DEFLATED
from medray.data.dicom.walker import Doubt, NeedsMore, Walk, is_vr, walk
from medray.errors import Quarantined

MAX_INFLATED_BYTES = 1 << 30
_META_START = 132
_NO_PREAMBLE = bytes(128)


def parse(head: bytes, size_bytes: int, selection: Selection = IMAGES) -> DicomFile | None:
    """Parse a file, or the head of one.

    Args:
        head: the first bytes of the file.
        size_bytes: size of the whole file.
        selection: which elements of the data set to keep.

    Returns:
        The file up to its pixel data, or None when ``head`` ends before that and more of the file is needed.

    Raises:
        Quarantined: not DICOM, or broken.
    """
    _check_magic(head)
    try:
        meta, start = file_meta(head, size_bytes)
        if meta.text(tags.TRANSFER_SYNTAX) in DEFLATED:
            if len(head) < size_bytes:
                return None
            inflated = _inflated(head[start:])
            return _data_set(head, meta, start, inflated, len(inflated), 0, selection)
        return _data_set(head, meta, start, head, size_bytes, start, selection)
    except NeedsMore:
        return None


def _check_magic(head: bytes) -> None:
    """Raise Quarantined (DICOM_EMPTY, DICOM_NOT_DICOM) unless the bytes begin as a DICOM file does (PS3.10 7.1)."""
    if not head:
        raise Quarantined("DICOM_EMPTY", "the file is empty")
    if head[128:132] != b"DICM":
        raise Quarantined("DICOM_NOT_DICOM", "no DICM prefix: this is not a DICOM file")


def file_meta(head: bytes, size_bytes: int) -> tuple[DataSet, int]:
    """The file meta information (PS3.10 7.1) and where the data set starts.

    Raises:
        NeedsMore: ``head`` ends inside it.
        Quarantined: DICOM_NO_TRANSFER_SYNTAX, or as :func:`medray.data.dicom.walker.walk`.
    """
    walked = walk(head, _META_START, size_bytes, explicit=True, only_group=2)
    meta, after = walked.dataset, walked.end
    if not meta.text(tags.TRANSFER_SYNTAX):
        raise Quarantined("DICOM_NO_TRANSFER_SYNTAX", "no Transfer Syntax UID (0002,0010)")
    return meta, after


def _meta_length_differs(meta: DataSet, end: int) -> bool:
    """Whether the group length of the file meta information is not that of its elements; these say where the data set starts."""
    stated = meta.values.get(tags.META_LENGTH)
    return stated is not None and _META_START + 12 + int.from_bytes(stated, "little") != end


def _data_set(
    head: bytes, meta: DataSet, meta_end: int, data: bytes, size_bytes: int, start: int, selection: Selection
) -> DicomFile:
    syntax = meta.text(tags.TRANSFER_SYNTAX)
    little, states_vr = syntax != ExplicitVRBigEndian, syntax != ImplicitVRLittleEndian
    explicit = is_vr(data[start + 4 : start + 6]) if len(data) >= start + 6 else states_vr
    try:
        walked = walk(data, start, size_bytes, explicit=explicit, little=little, selection=selection)
    except Doubt:
        if len(data) < size_bytes:
            raise NeedsMore from None
        walked = Walk(*second_opinion(data, start, explicit, little, selection), end=len(data), broken=True)
    odd = {
        "META_LENGTH_DIFFERS": _meta_length_differs(meta, meta_end),
        "PREAMBLE_NOT_ZERO": head[:128] != _NO_PREAMBLE,
        "SEQUENCE_BROKEN": walked.broken,
        "ENCODING_DIFFERS": explicit != states_vr,
    }
    return DicomFile(data, meta, walked.dataset, walked.pixels, tuple(flag for flag, holds in odd.items() if holds), start)


def read_again(file: DicomFile, selection: Selection) -> DataSet | None:
    """Other elements of a parsed file than those that every file is asked for, by another walk; None where they are broken."""
    explicit, little = is_vr(file.data[file.start + 4 : file.start + 6]), file.dataset.little
    try:
        return walk(file.data, file.start, len(file.data), explicit=explicit, little=little, selection=selection).dataset
    except (Doubt, Quarantined):
        return None


def _inflated(deflated: bytes) -> bytes:
    """The data set of a deflated file: a raw RFC 1951 stream (PS3.5 A.5); a bomb is refused before memory grows."""
    for keep in (False, True):
        inflater, total, chunk = zlib.decompressobj(-zlib.MAX_WBITS), 0, deflated
        parts: list[bytes] = []
        while chunk and not inflater.eof:
            try:
                part = inflater.decompress(chunk, 1 << 20)
            except zlib.error as error:
                raise Quarantined("DICOM_INFLATES", "the deflated data set is corrupt") from error
            total += len(part)
            if total > MAX_INFLATED_BYTES:
                raise Quarantined("DICOM_INFLATES", f"inflates to more than {MAX_INFLATED_BYTES} bytes")
            if keep:
                parts.append(part)
            chunk = inflater.unconsumed_tail
        if not inflater.eof:
            raise Quarantined("DICOM_TRUNCATED", "the deflated data set has no end")
    return b"".join(parts)


def second_opinion(
    data: bytes, start: int, explicit: bool, little: bool, selection: Selection = IMAGES
) -> tuple[DataSet, PixelElement | None]:
    """The data set as pydicom reads it, in the form of the walk's (:class:`medray.data.dicom.walker.Walk`).

    Args:
        data: the bytes at hand, up to the end of the data set.
        start: where its first element starts.
        explicit: whether elements state their value representation.
        little: whether numbers are little endian.
        selection: which elements to keep.

    Raises:
        Quarantined: DICOM_ENCODING; and whatever pydicom raises, see :func:`medray.data.dicom.decoding.boundary`.
    """
    length_bytes: int | None = None
    at: int = 0

    def at_pixels(tag: int, _vr: str | None, length: int) -> bool:
        nonlocal length_bytes, at
        if int(tag) not in tags.PIXEL_TAGS:
            return False
        length_bytes, at = length, int(tag)
        return True

    stream = io.BytesIO(data)
    stream.seek(start)
    with quiet():
        dataset = _as_data_set(read_dataset(stream, not explicit, little, stop_when=at_pixels), little, selection)
    if length_bytes is None:
        return dataset, None
    return dataset, PixelElement(at, stream.tell() + (12 if explicit else 8), length_bytes)


def _as_data_set(found: pydicom.Dataset, little: bool, selection: Selection, charset: str = "") -> DataSet:
    """The selected elements of a pydicom data set.

    Args:
        found: as pydicom reads it.
        little: whether its numbers are little endian.
        selection: which elements to keep.
        charset: Specific Character Set of what it lies in.

    Raises:
        Quarantined: DICOM_ENCODING.
    """
    values: dict[int, bytes] = {}
    items: dict[int, tuple[DataSet, ...]] = {}
    # sequences last: on the way to their items pydicom converts Pixel Representation; iterating a data set itself converts all
    for tag in sorted(found.keys(), key=lambda tag: int(tag) in selection.sequences):
        if int(tag) in selection.sequences:
            sequence = found[tag].value
            items[int(tag)] = tuple(_as_data_set(item, little, selection, charset) for item in sequence)
        elif int(tag) in selection.values:
            element = found.get_item(tag)
            raw = element.value or b""
            if not isinstance(raw, bytes) or (isinstance(element, RawDataElement) and element.length == UNDEFINED_LENGTH):
                raise Quarantined("DICOM_ENCODING", "an element is neither a value nor a sequence")
            values[int(tag)] = raw
            if int(tag) == tags.SPECIFIC_CHARACTER_SET:
                charset = values[int(tag)].decode("ascii", "replace").strip(" \0")
    return DataSet(values, items, little, charset)
