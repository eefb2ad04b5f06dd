"""Fragments of encapsulated pixel data (PS3.5 A.4) → the bytes of one frame; the other frames are not touched.

No table, no item and no length is believed before it is checked against the bytes that are there.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from medray.data.dicom import tags
from medray.data.dicom.dataset import UNDEFINED_LENGTH, DicomFile
from medray.errors import Quarantined

MAX_FRAGMENTS_PER_FRAME = 1024
_ITEM, _DELIMITER = 0xE000FFFE, 0xE0DDFFFE  # as a little-endian number reads the two halves of the tag
_END_MARKER = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_START_MARKERS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")  # SOI; SOC and SIZ; a JP2 file
_PADDED_END_BYTES = 10  # how far from the end of a fragment its end marker may lie (as pydicom)
_HEADER = struct.Struct("<II")

Span = tuple[int, int]


def frame_bytes(file: DicomFile, frames: int, frame: int = 0) -> bytes:
    """The code stream of one frame.

    Args:
        file: a file with encapsulated pixel data.
        frames: how many frames its header states.
        frame: which one, counted from 0.

    Raises:
        Quarantined: PIXELS_FRAGMENTS where tables, fragments and frames contradict each other; PIXELS_TRUNCATED where the data
            ends before the frame does.
    """
    if file.pixels is None or not 0 <= frame < frames:
        raise Quarantined("PIXELS_FRAGMENTS", f"no frame {frame} of {frames}")
    data, (table, first) = file.data, _basic_table(file)
    if tags.EXTENDED_OFFSET_TABLE in file.dataset.values:
        return _by_extended_table(file, first, frames, frame)
    spans = _by_table(data, table, first, frames, frame) if table else _by_markers(data, first, frames, frame)
    found = b"".join(data[start:end] for start, end in spans)
    if not found:
        raise Quarantined("PIXELS_FRAGMENTS", f"frame {frame} is empty")
    return found


def _basic_table(file: DicomFile) -> tuple[tuple[int, ...], int]:
    """The basic offset table, and where the first fragment's item starts."""
    assert file.pixels is not None
    span = _item(file.data, file.pixels.start)
    if span is None or (span[1] - span[0]) % 4:
        raise Quarantined("PIXELS_FRAGMENTS", "no basic offset table")
    return struct.unpack_from(f"<{(span[1] - span[0]) // 4}I", file.data, span[0]), span[1]


def _item(data: bytes, at: int) -> Span | None:
    """Where the value of the item at an offset starts and ends; None for the sequence delimiter."""
    if at + 8 > len(data):
        raise Quarantined("PIXELS_TRUNCATED", "the encapsulated pixel data has no end")
    tag, length = _HEADER.unpack_from(data, at)
    if tag == _DELIMITER:
        return None
    if tag != _ITEM or length == UNDEFINED_LENGTH:
        raise Quarantined("PIXELS_FRAGMENTS", "something else than an item between the fragments")
    if at + 8 + length > len(data):
        raise Quarantined("PIXELS_TRUNCATED", f"a fragment of {length} bytes ends after the file")
    return at + 8, at + 8 + length


def _fragments(data: bytes, at: int, end: int | None, limit: int) -> list[Span]:
    """The fragments from an item on, up to ``end`` or, without it, to the delimiter."""
    found: list[Span] = []
    while at != end:
        span = _item(data, at)
        if span is None and end is None:
            break
        if span is None or (end is not None and span[1] > end):
            raise Quarantined("PIXELS_FRAGMENTS", "the offset table points between the fragments")
        if len(found) == limit:
            raise Quarantined("PIXELS_FRAGMENTS", f"more than {limit} fragments")
        found.append(span)
        at = span[1]
    return found


def _by_table(data: bytes, table: tuple[int, ...], first: int, frames: int, frame: int) -> list[Span]:
    if len(table) != frames or table[0] != 0 or any(next_ <= offset for offset, next_ in pairwise(table)):
        raise Quarantined("PIXELS_FRAGMENTS", f"an offset table of {len(table)} entries that are no offsets of {frames} frames")
    end = first + table[frame + 1] if frame + 1 < frames else None
    return _fragments(data, first + table[frame], end, MAX_FRAGMENTS_PER_FRAME)


def _by_extended_table(file: DicomFile, first: int, frames: int, frame: int) -> bytes:
    """One fragment a frame (PS3.3 C.7.6.3.1.8); a length may leave out the byte that pads the fragment."""
    raw = [file.dataset.values.get(tag, b"") for tag in (tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS)]
    if any(len(values) != 8 * frames for values in raw):
        raise Quarantined("PIXELS_FRAGMENTS", f"an extended offset table that is not of {frames} frames")
    offset, length = (struct.unpack_from("<Q", values, 8 * frame)[0] for values in raw)
    span = _item(file.data, first + offset)
    if span is None or not 0 <= span[1] - span[0] - length <= 1 or not length:
        raise Quarantined("PIXELS_FRAGMENTS", "the extended offset table does not point to a fragment of its length")
    return file.data[span[0] : span[0] + length]


def _by_markers(data: bytes, first: int, frames: int, frame: int) -> list[Span]:
    spans = _fragments(data, first, None, MAX_FRAGMENTS_PER_FRAME * frames)
    if len(spans) < frames:
        raise Quarantined("PIXELS_FRAGMENTS", f"{len(spans)} fragments for {frames} frames")
    if frames == 1:
        return spans
    if len(spans) == frames:
        return [spans[frame]]
    starts = [0, *(i + 1 for i, (this, next_) in enumerate(pairwise(spans)) if _is_boundary(data, this, next_))]
    if len(starts) != frames:
        raise Quarantined("PIXELS_FRAGMENTS", f"{len(spans)} fragments hold {len(starts)} frames, not {frames}")
    return spans[starts[frame] : [*starts, len(spans)][frame + 1]]


def _is_boundary(data: bytes, this: Span, next_: Span) -> bool:
    """Whether a code stream ends with this fragment and another starts with the next."""
    tail = max(this[0], this[1] - _PADDED_END_BYTES)
    return data.find(_END_MARKER, tail, this[1]) >= 0 and data.startswith(_START_MARKERS, next_[0], next_[1])
