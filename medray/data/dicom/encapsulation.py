"""Fragments of encapsulated pixel data (PS3.5 A.4) → the code stream of one frame; the other frames are not touched.

Every table, item and length is checked against the bytes of the file. Where the fragments hold more
code streams than the header states frames, the file is refused whole: which one is meant cannot be known.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from pydicom.uid import RLELossless

from medray.data.dicom import tags, trailing
from medray.data.dicom.dataset import UNDEFINED_LENGTH, DicomFile
from medray.errors import Quarantined

MAX_FRAGMENTS_PER_FRAME = 1024
_ITEM, _DELIMITER = 0xE000FFFE, 0xE0DDFFFE  # as a little-endian number reads the two halves of the tag
_DELIMITER_BYTES = b"\xfe\xff\xdd\xe0\0\0\0\0"
_END_MARKER = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_PADDED_END_BYTES = 10  # how far from the end of a fragment its end marker may lie (as pydicom)
_SOC_SIZ, _JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
_STARTS = (_SOC_SIZ, _JP2, b"\x00\x00\x00\x0cJXL ")
_SHORT_STARTS = {b"\xff\xd8": 2, b"\xff\x0a": 4}  # SOI; JPEG XL, and the size that follows: how much two streams have in common
_ENDED = (b"\xff\xd8", _SOC_SIZ, _JP2)  # how those begin that end with the end marker
_HEADER = struct.Struct("<II")
_RLE_HEADER = struct.Struct("<16I")

Span = tuple[int, int]


def frame_bytes(file: DicomFile, frames: int, frame: int = 0) -> tuple[bytes, tuple[str, ...]]:
    """The code stream of one frame, and DELIMITER_MISSING where the fragments end with the file and not with their delimiter.

    Args:
        file: a file with encapsulated pixel data.
        frames: how many frames its header states.
        frame: which one, counted from 0.

    Raises:
        Quarantined: PIXELS_FRAGMENTS where tables, fragments and frames contradict each other, or a second pixel data element
            follows; PIXELS_TRUNCATED where the data ends before the frame does.
    """
    if file.pixels is None or not 0 <= frame < frames:
        raise Quarantined("PIXELS_FRAGMENTS", f"no frame {frame} of {frames}")
    table, first = _basic_table(file)
    if tags.EXTENDED_OFFSET_TABLE in file.dataset.values:
        offsets, lengths = _extended_table(file, frames)
        spans, end = _by_table(file, offsets, first, frame)
        spans = [_of_length(spans, lengths[frame])]
    elif table:
        spans, end = _by_table(file, _checked(table, frames), first, frame)
    else:
        spans, end = _by_starts(file, first, frames, frame)
    found = b"".join(file.data[start:stop] for start, stop in spans)
    if not found:
        raise Quarantined("PIXELS_FRAGMENTS", f"frame {frame} is empty")
    return found, _after(file, end, found if frame == frames - 1 else b"")


def _basic_table(file: DicomFile) -> tuple[tuple[int, ...], int]:
    """The basic offset table, and where the first fragment's item starts."""
    assert file.pixels is not None
    if file.pixels.start + 8 > len(file.data):
        raise Quarantined("PIXELS_TRUNCATED", "the encapsulated pixel data has no end")
    span = _item(file.data, file.pixels.start)
    if span is None or (span[1] - span[0]) % 4:
        raise Quarantined("PIXELS_FRAGMENTS", "no basic offset table")
    return struct.unpack_from(f"<{(span[1] - span[0]) // 4}I", file.data, span[0]), span[1]


def _item(data: bytes, at: int) -> Span | None:
    """Where the value of the item at an offset starts and ends; None where the sequence ends, with its delimiter or without."""
    tag, length = _HEADER.unpack_from(data, at) if at + 8 <= len(data) else (0, 0)
    if tag != _ITEM and (tag == _DELIMITER or _is_past_the_end(data, at)):
        return None
    if at + 8 > len(data):
        raise Quarantined("PIXELS_TRUNCATED", "the encapsulated pixel data ends inside the header of an item")
    if tag != _ITEM or length == UNDEFINED_LENGTH:
        raise Quarantined("PIXELS_FRAGMENTS", "something other than an item between the fragments")
    if at + 8 + length > len(data):
        raise Quarantined("PIXELS_TRUNCATED", f"a fragment of {length} bytes ends after the file")
    return at + 8, at + 8 + length


def _is_past_the_end(data: bytes, at: int) -> bool:
    """Whether only a cut delimiter, padding of one value or Data Set Trailing Padding follows."""
    rest = data[at:]
    return _DELIMITER_BYTES.startswith(rest) or rest.startswith(trailing.PADDING) or not rest.strip(rest[:1])


def _fragments(data: bytes, at: int, end: int | None, limit: int) -> tuple[list[Span], int]:
    """The fragments that are not empty from an item on, up to ``end`` or, without it, to the end of the sequence; and where."""
    found: list[Span] = []
    count = 0
    while at != end:
        span = _item(data, at)
        if span is None:
            if end is None:
                break
            code = "PIXELS_FRAGMENTS" if _is_delimited(data, at) else "PIXELS_TRUNCATED"
            raise Quarantined(code, "the encapsulated pixel data ends before the frames of its offset table do")
        if end is not None and span[1] > end:
            raise Quarantined("PIXELS_FRAGMENTS", "the offset table points between the fragments")
        if count == limit:
            raise Quarantined("PIXELS_FRAGMENTS", f"more than {limit} fragments")
        count += 1
        if span[1] > span[0]:
            found.append(span)
        at = span[1]
    return found, at


def _is_delimited(data: bytes, at: int) -> bool:
    return data.startswith(_DELIMITER_BYTES[:4], at) and at + len(_DELIMITER_BYTES) <= len(data)


def _checked(table: tuple[int, ...], frames: int) -> tuple[int, ...]:
    if len(table) != frames or table[0] != 0 or any(next_ <= offset for offset, next_ in pairwise(table)):
        raise Quarantined("PIXELS_FRAGMENTS", f"an offset table of {len(table)} entries that does not fit {frames} frames")
    return table


def _extended_table(file: DicomFile, frames: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets and lengths of the frames (PS3.3 C.7.6.3.1.8)."""
    raw = [file.dataset.values.get(tag, b"") for tag in (tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS)]
    if any(len(values) != 8 * frames for values in raw):
        raise Quarantined("PIXELS_FRAGMENTS", f"an extended offset table that does not fit {frames} frames")
    offsets, lengths = (struct.unpack(f"<{frames}Q", values) for values in raw)
    return _checked(offsets, frames), lengths


def _by_table(file: DicomFile, table: tuple[int, ...], first: int, frame: int) -> tuple[list[Span], int | None]:
    """The fragments of a frame, and where the sequence ends; None where the file ends before that, in another frame."""
    last = frame + 1 == len(table)
    spans, end = _frame_fragments(file, first + table[frame], None if last else first + table[frame + 1])
    if last:
        return spans, end
    try:
        return spans, _frame_fragments(file, first + table[-1], None)[1]
    except Quarantined as error:
        if error.code != "PIXELS_TRUNCATED":
            raise
        return spans, None


def _frame_fragments(file: DicomFile, at: int, end: int | None) -> tuple[list[Span], int]:
    if at >= len(file.data):
        raise Quarantined("PIXELS_TRUNCATED", "the file ends before this frame")
    spans, stop = _fragments(file.data, at, end, MAX_FRAGMENTS_PER_FRAME)
    if len(_starts(file, spans)) > 1:
        raise Quarantined("PIXELS_FRAGMENTS", "more than one code stream for a frame of the offset table")
    return spans, stop


def _of_length(spans: list[Span], length: int) -> Span:
    """The one fragment of a frame (PS3.3 C.7.6.3.1.8); its length may leave out the byte that pads it."""
    if len(spans) != 1 or not 0 <= spans[0][1] - spans[0][0] - length <= 1 or not length:
        raise Quarantined("PIXELS_FRAGMENTS", "the extended offset table does not point to a fragment of its length")
    return spans[0][0], spans[0][0] + length


def _by_starts(file: DicomFile, first: int, frames: int, frame: int) -> tuple[list[Span], int]:
    """The fragments of a frame where no table tells, and where the sequence ends."""
    spans, end = _fragments(file.data, first, None, MAX_FRAGMENTS_PER_FRAME * frames)
    if len(spans) == frames > 1:
        return [spans[frame]], end
    starts = _starts(file, spans)
    if len(starts) != frames:
        is_cut = len(starts) < frames and not _is_delimited(file.data, end)
        message = f"{len(spans)} fragments hold {len(starts)} code streams, for {frames} frames"
        raise Quarantined("PIXELS_TRUNCATED" if is_cut else "PIXELS_FRAGMENTS", message)
    return spans[starts[frame] : [*starts, len(spans)][frame + 1]], end


def _starts(file: DicomFile, spans: list[Span]) -> list[int]:
    """The numbers of the fragments with which a code stream begins."""
    found: list[int] = []
    for number, (start, _) in enumerate(spans):
        if not found or _begins(file, spans[found[-1]][0], start):
            found.append(number)
    return found


def _begins(file: DicomFile, before: int, start: int) -> bool:
    """Whether another code stream begins at a fragment, and not the one that began ``before`` goes on.

    No JPEG and JPEG 2000 code stream holds these bytes within its coded data (ITU-T T.81 B.1.1.5, T.800 B.10.1).
    """
    data = file.data
    if data.startswith(_STARTS, start):
        is_inside = data.startswith(_SOC_SIZ, start) and data.startswith(_JP2, before)
        return not is_inside or data.find(_SOC_SIZ, before, start) >= 0
    length = _SHORT_STARTS.get(data[start : start + 2], 0)
    if length:
        return data[start : start + length] == data[before : before + length]
    return file.meta.text(tags.TRANSFER_SYNTAX) == RLELossless and _is_rle_header(data, start)


def _is_rle_header(data: bytes, at: int) -> bool:
    """Whether a fragment begins as PS3.5 G.5 says: the number of segments, ascending offsets from 64 on, zeros."""
    if at + _RLE_HEADER.size > len(data):
        return False
    count, *offsets = _RLE_HEADER.unpack_from(data, at)
    used = offsets[:count]
    return used[:1] == [_RLE_HEADER.size] and not any(offsets[count:]) and all(low < high for low, high in pairwise(used))


def _after(file: DicomFile, end: int | None, last: bytes) -> tuple[str, ...]:
    """Check what comes after the fragments; DELIMITER_MISSING where they have no delimiter and the last code stream is whole.

    Args:
        file: the file.
        end: where the fragments end; None where the file ends before that.
        last: the last frame's code stream, b"" where another one is asked for.
    """
    if end is None:
        return ()
    if _is_delimited(file.data, end):
        trailing.check_trailing(file, end + len(_DELIMITER_BYTES), "PIXELS_FRAGMENTS")
        return ()
    if last.startswith(_ENDED) and last.find(_END_MARKER, max(0, len(last) - _PADDED_END_BYTES)) < 0:
        raise Quarantined("PIXELS_TRUNCATED", "the encapsulated pixel data has no end, and neither has its last code stream")
    trailing.check_trailing(file, end, "PIXELS_FRAGMENTS")
    return ("DELIMITER_MISSING",)
