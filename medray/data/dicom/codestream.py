"""What a compressed image says about itself, read from its marker segments before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from medray.data.dicom import jpeg2000

_SOF = {0xC0: "JPEG", 0xC1: "JPEG", 0xC2: "JPEG", 0xC3: "JPEG lossless", 0xF7: "JPEG-LS"}  # ITU-T T.81 table B.1, T.87 C.1.1
_RGB_IDS = (b"RGB", b"rgb")
_SOC_SIZ = b"\xff\x4f\xff\x51"
_SCAN = 0xDA


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
        openjph: whether JPEG 2000 blocks are of Part 15, and the code stream as whole and plain as OpenJPH needs it: it crashes
            where COD or QCD are missing or too short, and takes a short code stream for whole.
        decoder_bytes: memory that a JPEG 2000 decoder takes beside the image; 0 for other codecs.
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
    decoder_bytes: int = 0


def read(data: bytes) -> CodeStream:
    """The image that a JPEG, JPEG-LS or JPEG 2000 code stream states, the last also inside a JP2 file. Never raises."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    start = 0 if data.startswith(_SOC_SIZ) else data.find(_SOC_SIZ)
    return _jpeg2000(data, start) if start >= 0 and start + 42 <= len(data) else CodeStream()


def _jpeg(data: bytes) -> CodeStream:
    jfif = False
    for marker, at, length in jpeg2000.segments(data, 2, _SCAN):
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
    found = list(jpeg2000.segments(data, start + 2, jpeg2000.START_OF_TILE_PART))
    main = [(marker, data[at : at + length]) for marker, at, length in found]
    parts, is_whole = jpeg2000.tile_part_headers(data, found[-1][1] + max(found[-1][2], 0))
    styles = [segment for segment in main + parts if segment[0] in (jpeg2000.CODING_STYLE, jpeg2000.COMPONENT_STYLE)]
    rows, columns = bottom - top, right - left
    return CodeStream(
        "JPEG 2000",
        rows,
        columns,
        samples,
        (components[0] & 0x7F) + 1,
        signed=bool(components[0] & 0x80),
        subsampled=any(factor != 1 for factor in components[1::3] + components[2::3]),
        tiles=tiles if fits else 0,
        reversible=bool(styles) and all(value[9:10] == b"\x01" for _, value in styles),
        openjph=is_whole and jpeg2000.suits_openjph(main) and len(styles) == 1,
        decoder_bytes=jpeg2000.decoder_bytes(max(rows * columns, 0), samples, styles),
    )
