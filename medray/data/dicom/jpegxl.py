"""Headers of JPEG XL images (ISO/IEC 18181-1 annex D, 18181-2): what they hold, read before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BARE = b"\xff\x0a"
_CONTAINER = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_MAX_BOXES = 1 << 12
_HEADER_BYTES = 64
"""More than the fields that are read here can take."""
_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # 18181-1 table D.3
_SIZE_BITS = (9, 13, 18, 30)


@dataclass(frozen=True, slots=True)
class XlHeader:
    """What a JPEG XL image states.

    Attributes:
        rows, columns: as a decoder gives them, after the orientation.
        samples: 1 or 3; 0 where there are more channels than those of grey or colour.
        bits: of a sample.
        is_plain: whether samples are integers, and the image one picture without preview and animation.
        is_xyb: whether the colours were made XYB, which loses precision.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    is_plain: bool
    is_xyb: bool = True


class _Bits:
    """Bits from the lowest of each byte on (18181-1 B.2); zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def choice(self, *options: tuple[int, int]) -> int:
        """U32(): two bits choose (number of bits, offset)."""
        count, offset = options[self.take(2)]
        return self.take(count) + offset


def is_jpeg_xl(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG XL code stream or container does."""
    return data.startswith((_BARE, _CONTAINER))


def read(data: bytes) -> XlHeader | None:
    """The header of a code stream, bare or in a container; None where there is none. Never raises."""
    start = data[:_HEADER_BYTES] if data.startswith(_BARE) else b"".join(_code_stream_parts(data))[:_HEADER_BYTES]
    return _header(_Bits(start[2:])) if start.startswith(_BARE) else None


def _code_stream_parts(data: bytes) -> Iterator[bytes]:
    """The first bytes of the code stream in the boxes jxlc or jxlp of a container (18181-2 clause 9)."""
    at, found = len(_CONTAINER), 0
    for _ in range(_MAX_BOXES):
        length, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + length if length else len(data)
        if kind in (b"jxlc", b"jxlp"):
            part = data[start + (4 if kind == b"jxlp" else 0) : end][:_HEADER_BYTES]
            found += len(part)
            yield part
        if found >= _HEADER_BYTES or not start <= end < len(data):
            return
        at = end


def _header(bits: _Bits) -> XlHeader:
    """SizeHeader and ImageMetadata up to the colour space (18181-1 D.2, D.3)."""
    rows, columns = _size(bits)
    if bits.take(1):  # all as usual
        return XlHeader(rows, columns, 3, 8, is_plain=True)
    orientation = preview = animation = 0
    if bits.take(1):
        orientation = bits.take(3)
        if bits.take(1):
            _size(bits)
        preview = bits.take(1)
        animation = 0 if preview else bits.take(1)
    if orientation >= 4:  # stored one lower; from 5 on rows and columns change places
        rows, columns = columns, rows
    if preview or animation:
        return XlHeader(rows, columns, 0, 0, is_plain=False)
    is_float = bits.take(1)
    depth = bits.choice((0, 32), (0, 16), (0, 24), (6, 1)) if is_float else bits.choice((0, 8), (0, 10), (0, 12), (6, 1))
    bits.take(4 * is_float + 1)  # bits of the exponent; modular_16bit_buffers
    if bits.choice((0, 0), (0, 1), (4, 2), (12, 1)):
        return XlHeader(rows, columns, 0, depth, is_plain=not is_float)
    is_xyb = bool(bits.take(1))
    is_grey = not bits.take(1) and _colour_space(bits) == 1
    return XlHeader(rows, columns, 1 if is_grey else 3, depth, is_plain=not is_float, is_xyb=is_xyb)


def _size(bits: _Bits) -> tuple[int, int]:
    """(rows, columns) of a SizeHeader."""
    small = bits.take(1)
    rows = _length(bits, small)
    ratio = bits.take(3)
    if not ratio:
        return rows, _length(bits, small)
    across, down = _RATIOS[ratio - 1]
    return rows, rows * across // down


def _length(bits: _Bits, small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.choice(*((count, 1) for count in _SIZE_BITS))


def _colour_space(bits: _Bits) -> int:
    """The colour space of a ColourEncoding that is not the usual one: 0 for RGB, 1 for grey."""
    bits.take(1)  # want_icc
    return bits.choice((0, 0), (0, 1), (4, 2), (6, 18))
