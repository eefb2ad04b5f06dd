"""Code streams of compressed transfer syntaxes → stored values, by imagecodecs (which releases the GIL).

What a code stream says of itself is compared with the header before it is decoded, so that memory is bounded by the header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from medray.data.dicom import codestream
from medray.data.dicom.codestream import CodeStream
from medray.data.dicom.dataset import PixelModule
from medray.errors import Excluded, Quarantined

Pixels = NDArray[Any]

JPEG = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit})
JPEG_LOSSLESS = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
JPEG_LS = frozenset({uid.JPEGLSLossless, uid.JPEGLSNearLossless})
HTJ2K = frozenset({uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})
JPEG_2000 = frozenset({uid.JPEG2000Lossless, uid.JPEG2000, *HTJ2K})
RLE = frozenset({uid.RLELossless})
COMPRESSED: Mapping[str, str] = {
    **dict.fromkeys(JPEG, "JPEG"),
    **dict.fromkeys(JPEG_LOSSLESS, "JPEG lossless"),
    **dict.fromkeys(JPEG_LS, "JPEG-LS"),
    **dict.fromkeys(JPEG_2000, "JPEG 2000"),
    **dict.fromkeys(RLE, "RLE"),
}
"""Transfer syntax → the codec of its code streams."""
NATIVE = frozenset(
    {uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian}
)
_ELSEWHERE = {uid.JPIPHTJ2KReferenced, uid.JPIPHTJ2KReferencedDeflate}
_MULTI_COMPONENT = {uid.JPEG2000MCLossless, uid.JPEG2000MC}

MAX_SCANS = 100
MAX_TILES = 4096
MAX_DECODER_BYTES = 1 << 30
_JCS_RGB, _JCS_YCBCR = 2, 3  # libjpeg's J_COLOR_SPACE
_JPEG_SOS, _JPEG_EOI = b"\xff\xda", b"\xff\xd9"  # start of scan, end of image (ITU-T T.81 table B.1)
_YBR = ("YBR_FULL", "YBR_FULL_422")
_RLE_HEADER = struct.Struct("<16I")  # PS3.5 G.5
_RLE_SURPLUS_BYTES = 128  # one run; some encoders pad the last one


def check_syntax(syntax: str) -> None:
    """Return for a transfer syntax whose pixels are decoded.

    Raises:
        Excluded: PIXELS_VIDEO (MPEG2, H.264, H.265, SMPTE ST 2110), PIXELS_ELSEWHERE (JPIP), PIXELS_MULTI_COMPONENT (JPEG 2000
            Part 2).
        Quarantined: DICOM_UNKNOWN_TRANSFER_SYNTAX.
    """
    if syntax in NATIVE or syntax in COMPRESSED:
        return
    if syntax in _ELSEWHERE:
        raise Excluded("PIXELS_ELSEWHERE", "the pixels are on a JPIP server, not in the file")
    if syntax in _MULTI_COMPONENT:
        raise Excluded("PIXELS_MULTI_COMPONENT", "JPEG 2000 Part 2, which compresses several frames as one")
    if syntax in uid.AllTransferSyntaxes:
        raise Excluded("PIXELS_VIDEO", "a video stream")
    raise Quarantined("DICOM_UNKNOWN_TRANSFER_SYNTAX", "the transfer syntax is none of the standard")


def decode_frame(data: bytes, header: PixelModule) -> tuple[Pixels, CodeStream]:
    """Decode one frame; JPEG's and JPEG 2000's own colour transforms are undone.

    Args:
        data: code stream of a frame of a compressed transfer syntax.
        header: what the image must be; its photometric interpretation says whether a JPEG without RGB marks is YCbCr.

    Returns:
        Integers (rows, columns) or (rows, columns, samples), and what the code stream states. Values of signed images are still
        unsigned, except those of signed JPEG 2000.

    Raises:
        Quarantined: PIXELS_SIZE where the code stream holds another image than the header states, PIXELS_TRUNCATED where it has
            no end, PIXELS_CODEC where it is of another codec or broken, PIXELS_TOO_MANY where it needs too much memory.
    """
    if COMPRESSED[header.transfer_syntax] == "RLE":
        return _rle(data, header), CodeStream("RLE", header.rows, header.columns, header.samples, header.bits_stored)
    stated = codestream.read(data)
    _check(data, stated, header)
    try:
        pixels = _DECODERS[stated.codec](data, stated, header)
    except (RuntimeError, ValueError) as error:  # what imagecodecs raises on broken code streams
        raise Quarantined("PIXELS_CODEC", f"the {stated.codec} code stream is broken ({type(error).__name__})") from error
    shape = (header.rows, header.columns) + ((header.samples,) if header.samples > 1 else ())
    if pixels.shape != shape:
        raise Quarantined("PIXELS_SIZE", f"decodes to {pixels.shape}, the header says {shape}")
    return pixels, stated


def _check(data: bytes, stated: CodeStream, header: PixelModule) -> None:
    expected = COMPRESSED[header.transfer_syntax]
    if stated.codec != expected:
        raise Quarantined("PIXELS_CODEC", f"{stated.codec or 'unknown data'} where the transfer syntax says {expected}")
    size = stated.rows, stated.columns, stated.samples
    if size != (header.rows, header.columns, header.samples) or stated.bits > max(header.bits_allocated, 8):
        raise Quarantined("PIXELS_SIZE", f"the code stream holds {size} of {stated.bits} bits, not what the header says")
    if stated.codec != "JPEG 2000":
        end = data.rfind(_JPEG_EOI)
        if end < 0 or data.find(_JPEG_SOS, end) >= 0:  # libjpeg would fill up with grey, CharLS search for seconds
            raise Quarantined("PIXELS_TRUNCATED", f"the {stated.codec} code stream has no end")
        if stated.codec == "JPEG" and data.count(_JPEG_SOS) > MAX_SCANS:  # a progressive one costs a pass over the image
            raise Quarantined("PIXELS_CODEC", f"a {stated.codec} code stream of more than {MAX_SCANS} scans")
        if 8 * len(data) < _fewest_bits(stated):  # libjpeg would fill up a large image from a few bytes
            raise Quarantined("PIXELS_TRUNCATED", f"a {stated.codec} code stream of {len(data)} bytes for {size} values")
    elif stated.subsampled or not 1 <= stated.tiles <= MAX_TILES:
        raise Quarantined("PIXELS_CODEC", f"a JPEG 2000 code stream of {stated.tiles} tiles, or of components of several sizes")
    elif stated.decoder_bytes > MAX_DECODER_BYTES:
        raise Quarantined("PIXELS_TOO_MANY", f"JPEG 2000 of {size} values in blocks so small that they take too much memory")


def _fewest_bits(stated: CodeStream) -> int:
    """Of Huffman codes, of a bit at least each: one for each lossless value, or for each DCT block (ITU-T T.81 H.1.2, F.1.2)."""
    if stated.codec == "JPEG lossless":
        return stated.rows * stated.columns * stated.samples
    return -(-stated.rows // 8) * -(-stated.columns // 8) if stated.codec == "JPEG" else 0


def is_ybr(stated: CodeStream, header: PixelModule) -> bool:
    """Whether the components of a code stream are luminance and colour differences, as the code stream or the header says."""
    if header.samples != 3 or stated.colour == "RGB":
        return False
    return header.photometric in _YBR or stated.colour == "YBR"


def _jpeg(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    """Baseline or 12-bit JPEG; libjpeg takes its own guess at the colour space unless it is told."""
    if stated.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(data))
    colour = _JCS_YCBCR if is_ybr(stated, header) else _JCS_RGB
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=colour, outcolorspace=_JCS_RGB))


def _jpeg_lossless(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    """libjpeg-turbo is three times as fast as the decoder for SOF3 alone, and takes all predictors and 2 to 16 bits."""
    if stated.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(data))
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=_JCS_RGB, outcolorspace=_JCS_RGB))


def _jpeg_ls(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    return np.asarray(imagecodecs.jpegls_decode(data))


def _jpeg_2000(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    """OpenJPEG, and for reversible HTJ2K of a plain main header the twice as fast OpenJPH.

    imagecodecs' OpenJPH wraps irreversible values around that overshoot the range (0 becomes 255), where OpenJPEG clips them. It
    also hides errors: the rows from the error on are 0. So a last row of zeros is decoded again by OpenJPEG, which raises.
    """
    if stated.openjph and stated.reversible and data.startswith(b"\xff\x4f"):
        pixels = np.asarray(imagecodecs.htj2k_decode(data, planar=False))
        if pixels.ndim >= 2 and pixels[-1].reshape(pixels.shape[1], -1)[:, -1].any():
            return pixels
    return np.asarray(imagecodecs.jpeg2k_decode(data))


_DECODERS: Mapping[str, Callable[[bytes, CodeStream, PixelModule], Pixels]] = {
    "JPEG": _jpeg,
    "JPEG lossless": _jpeg_lossless,
    "JPEG-LS": _jpeg_ls,
    "JPEG 2000": _jpeg_2000,
}


def _rle(data: bytes, header: PixelModule) -> Pixels:
    """PS3.5 G: one segment for each byte of a sample, the high one first, then the next sample's.

    Segment by segment: imagecodecs' decoder of whole frames leaves memory as it was where a segment is short, and is slower.
    """
    size_bytes = header.bits_allocated // 8
    if not size_bytes:
        raise Quarantined("PIXELS_BITS", "RLE of 1-bit values")
    offsets = _rle_offsets(data, header.samples * size_bytes)
    planes = np.empty((header.samples, header.rows * header.columns), f"u{size_bytes}")
    for index, (start, end) in enumerate(zip(offsets, [*offsets[1:], len(data)], strict=True)):
        plane, octets = planes[index // size_bytes], _rle_segment(data[start:end], planes.shape[1])
        if index % size_bytes:
            plane <<= 8
            plane |= octets
        else:
            plane[:] = octets
    values = planes.reshape(header.samples, header.rows, header.columns)
    return np.moveaxis(values, 0, -1) if header.samples > 1 else values[0]


def _rle_segment(data: bytes, length: int) -> NDArray[np.uint8]:
    """The bytes of a segment; some encoders write a run too many."""
    for surplus in (0, _RLE_SURPLUS_BYTES):
        try:
            found = imagecodecs.packbits_decode(data, out=length + surplus)
        except (RuntimeError, ValueError) as error:  # also for a byte too many
            broken = error
            continue
        if len(found) < length:
            raise Quarantined("PIXELS_TRUNCATED", f"an RLE segment of {len(found)} bytes, {length} expected")
        return np.frombuffer(found, np.uint8, length)
    raise Quarantined("PIXELS_CODEC", "an RLE segment is broken") from broken


def _rle_offsets(data: bytes, segments: int) -> tuple[int, ...]:
    if len(data) < _RLE_HEADER.size:
        raise Quarantined("PIXELS_TRUNCATED", "RLE without its header")
    count, *table = _RLE_HEADER.unpack_from(data)
    offsets = table[:segments]
    if count != segments:
        raise Quarantined("PIXELS_CODEC", f"RLE of {count} segments, {segments} expected")
    if any(start >= end for start, end in zip([_RLE_HEADER.size - 1, *offsets], [*offsets, len(data)], strict=True)):
        raise Quarantined("PIXELS_CODEC", "the RLE segment table does not fit the data")
    return tuple(offsets)
