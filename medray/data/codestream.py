"""What a compressed image says about itself, read from its marker segments before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SOF = {0xC0: "JPEG", 0xC1: "JPEG", 0xC2: "JPEG", 0xC3: "JPEG lossless", 0xF7: "JPEG-LS"}  # ITU-T T.81 table B.1, T.87 C.1.1
_RGB_IDS = (b"RGB", b"rgb")
_SOC_SIZ = b"\xff\x4f\xff\x51"
_SCAN, _TILE_PART = 0xDA, 0x90
_START_OF_TILE_PART, _END = b"\xff\x90", b"\xff\xd9"
_CAPABILITIES, _SIZE, _CODING_STYLE, _QUANTIZATION = 0x50, 0x51, 0x52, 0x5C  # ITU-T T.814 A.3, T.800 A.5.1, A.6.1, A.6.4
_MAIN_HEADER = [_CAPABILITIES, _SIZE, _CODING_STYLE, _QUANTIZATION]
_COMMENT, _TILE_LENGTHS = 0x64, 0x55


@dataclass(frozen=True, slots=True)
class CodeStream:
    """The image that a code stream states.

    Attributes:
        codec: ``"JPEG"`` (sequential or progressive), ``"JPEG lossless"``, ``"JPEG-LS"``, ``"JPEG 2000"``, or "" for neither.
        rows, columns, samples, bits: the image; 0 where none is stated.
        signed: whether JPEG 2000 samples are signed; other codecs know no sign.
        colour: ``"RGB"`` or ``"YBR"`` where a JPEG says so by its component ids or a JFIF marker (ITU-T T.871 6.1), else "".
        subsampled: whether JPEG 2000 components differ in size.
        tiles: number of JPEG 2000 tiles; 0 where they do not cover the image as T.800 B.3 asks for.
        reversible: whether JPEG 2000 uses the 5-3 wavelet and so stays within its range of values.
        openjph: whether JPEG 2000 blocks are of Part 15 and the main header is as whole and plain as OpenJPH needs it: it crashes
            where COD or QCD are missing or too short.
    """

    codec: str = ""
    rows: int = 0
    columns: int = 0
    samples: int = 0
    bits: int = 0
    signed: bool = False
    colour: str = ""
    subsampled: bool = False
    tiles: int = 1
    reversible: bool = False
    openjph: bool = False


def read(data: bytes) -> CodeStream:
    """The image that a JPEG, JPEG-LS or JPEG 2000 code stream states, the last also inside a JP2 file. Never raises."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    start = 0 if data.startswith(_SOC_SIZ) else data.find(_SOC_SIZ)
    return _jpeg2000(data, start) if start >= 0 and start + 42 <= len(data) else CodeStream()


def _segments(data: bytes, position: int, last: int) -> Iterator[tuple[int, int, int]]:
    """(marker, offset of its parameters, their length) up to the first ``last``; fill bytes are passed over (T.81 B.1.1.2)."""
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == last:
            return
        length = data[position + 2] << 8 | data[position + 3]
        yield marker, position + 4, length - 2
        position += 2 + max(length, 2)


def _jpeg(data: bytes) -> CodeStream:
    jfif = False
    for marker, at, length in _segments(data, 2, _SCAN):
        if marker == 0xE0:
            jfif |= data.startswith(b"JFIF", at)
        elif marker in _SOF and length >= 6 and at + length <= len(data):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at)
            rgb = data[at + 6 : at + length : 3] in _RGB_IDS
            return CodeStream(_SOF[marker], rows, columns, samples, bits, colour="RGB" if rgb else "YBR" if jfif else "")
    return CodeStream()


def _jpeg2000(data: bytes, start: int) -> CodeStream:
    """SIZ and COD of the main header (ITU-T T.800 A.5.1, A.6.1)."""
    right, bottom, left, top, tile_columns, tile_rows, tile_left, tile_top, samples = struct.unpack_from(">8IH", data, start + 8)
    components = data[start + 42 : start + 42 + 3 * samples]
    if not components or not tile_columns or not tile_rows:
        return CodeStream()
    fits = tile_left <= left < min(right, tile_left + tile_columns) and tile_top <= top < min(bottom, tile_top + tile_rows)
    tiles = -(-(right - tile_left) // tile_columns) * -(-(bottom - tile_top) // tile_rows)
    found = list(_segments(data, start + 2, _TILE_PART))
    segments = [(marker, data[at : at + length]) for marker, at, length in found]
    end = found[-1][1] + max(found[-1][2], 0) if found else start
    styles = [value for marker, value in segments if marker == _CODING_STYLE]
    return CodeStream(
        "JPEG 2000",
        bottom - top,
        right - left,
        samples,
        (components[0] & 0x7F) + 1,
        signed=bool(components[0] & 0x80),
        subsampled=any(factor != 1 for factor in components[1::3] + components[2::3]),
        tiles=tiles if fits else 0,
        reversible=bool(styles) and styles[-1][9:10] == b"\x01",
        openjph=_suits_openjph(segments) and _is_whole(data, end),
    )


def _is_whole(data: bytes, position: int) -> bool:
    """Whether tile-parts (T.800 A.4.2) reach to the end marker: OpenJPH takes a short code stream for whole."""
    while data[position : position + 2] == _START_OF_TILE_PART:
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length < 14:
            return False
        position += length
    return data[position : position + 2] == _END


def _suits_openjph(segments: list[tuple[int, bytes]]) -> bool:
    steering = sorted(segment for segment in segments if segment[0] not in (_COMMENT, _TILE_LENGTHS))
    if [marker for marker, _ in steering] != _MAIN_HEADER:
        return False
    capabilities, _, style, quantization = (value for _, value in steering)
    if len(style) < 10 or len(capabilities) < 6 or not quantization:
        return False
    levels, precincts = style[5], style[0] & 1
    reversible = quantization[0] & 0x1F == 0 and len(quantization) == 2 + 3 * levels
    return levels <= 32 and len(style) == 10 + precincts * (levels + 1) and reversible
