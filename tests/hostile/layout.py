"""Where each element, item and fragment of a DICOM file lies: what the samples and the mutations cut and paste by."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
IMPLICIT, BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Part:
    """One element, item, fragment or delimiter.

    ``length`` is what it states; ``length_at`` and ``length_bytes`` are where and how wide; ``depth`` counts sequences around it.
    """

    tag: int
    vr: bytes
    start: int
    length_at: int
    length_bytes: int
    value: int
    length: int
    depth: int

    @property
    def end(self) -> int:
        """Where its value ends; of an undefined length where its value starts."""
        return self.value + (0 if self.length == UNDEFINED else self.length)


def layout(data: bytes) -> list[Part]:
    """The parts of a well-formed file in order; of a deflated file those of the file meta information."""
    meta = list(_walk(data, 132, len(data), 0, explicit=True, order="<", only_group=2))
    syntax = next((_text(data, part) for part in meta if part.tag == 0x00020010), "")
    if syntax == DEFLATED:
        return meta
    start = meta[-1].end if meta else 132
    order = ">" if syntax == BIG_ENDIAN else "<"
    return meta + list(_walk(data, start, len(data), 0, explicit=syntax != IMPLICIT, order=order))


def _text(data: bytes, part: Part) -> str:
    return data[part.value : part.end].decode("ascii").strip("\0 ")


def _walk(
    data: bytes, at: int, end: int, depth: int, *, explicit: bool, order: str, only_group: int | None = None
) -> Iterator[Part]:
    while at + 8 <= end:
        part = _part(data, at, depth, explicit, order)
        if only_group is not None and part.tag >> 16 != only_group:
            return
        yield part
        nested = part.tag == ITEM or part.vr == b"SQ" or part.length == UNDEFINED
        if nested and part.tag == PIXEL_DATA:
            at = yield from _fragments(data, part.value, end, depth + 1, order)
        elif nested:
            inner_end = end if part.length == UNDEFINED else part.end
            inside = list(_walk(data, part.value, inner_end, depth + 1, explicit=explicit, order=order))
            yield from inside
            at = inside[-1].end if part.length == UNDEFINED and inside else part.end
        else:
            at = part.end
        if part.tag in (ITEM_END, SEQUENCE_END):
            return


def _fragments(data: bytes, at: int, end: int, depth: int, order: str) -> Generator[Part, None, int]:
    while at + 8 <= end:
        part = _part(data, at, depth, False, order)
        yield part
        at = part.end
        if part.tag == SEQUENCE_END:
            break
    return at


def _part(data: bytes, at: int, depth: int, explicit: bool, order: str) -> Part:
    group, element = struct.unpack_from(f"{order}HH", data, at)
    tag = group << 16 | element
    if not explicit or group == 0xFFFE:
        return Part(tag, b"", at, at + 4, 4, at + 8, struct.unpack_from(f"{order}I", data, at + 4)[0], depth)
    vr = data[at + 4 : at + 6]
    if vr in LONG_VRS:
        return Part(tag, vr, at, at + 8, 4, at + 12, struct.unpack_from(f"{order}I", data, at + 8)[0], depth)
    return Part(tag, vr, at, at + 6, 2, at + 8, struct.unpack_from(f"{order}H", data, at + 6)[0], depth)
