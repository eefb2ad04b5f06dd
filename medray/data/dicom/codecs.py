"""Code streams of compressed transfer syntaxes → stored values, by imagecodecs (which releases the GIL).

What a code stream says of itself is compared with the header before it is decoded, so that memory is bounded by the header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from medray.data.dicom import codestream, rle
from medray.data.dicom.codestream import CodeStream
from medray.data.dicom.colour import is_ybr
from medray.data.dicom.dataset import PixelModule
from medray.data.dicom.syntaxes import COMPRESSED
from medray.errors import Quarantined

Pixels = NDArray[Any]

MAX_SCANS = 100
"""Of a progressive JPEG, each costs a pass over the image."""
MAX_TILES = 4096
MAX_DECODER_BYTES = 1 << 30
_JCS_RGB, _JCS_YCBCR = 2, 3  # libjpeg's J_COLOR_SPACE
_XL_NEEDS_MORE = "JXL_DEC_NEED_MORE_INPUT"  # so libjxl says that a code stream ends too soon
_JPEG_SOS, _JPEG_EOI = b"\xff\xda", b"\xff\xd9"  # start of scan, end of image (ITU-T T.81 table B.1)

_MORE = bytes(range(1, 255, 2))  # no byte that a marker begins with


def decode_frame(data: bytes, header: PixelModule) -> tuple[Pixels, CodeStream]:
    """Decode one frame; the colour transforms of JPEG, JPEG-LS, JPEG 2000 and JPEG XL are undone.

    Args:
        data: code stream of a frame of a compressed transfer syntax.
        header: what the image must be; its photometric interpretation says whether an unmarked JPEG is YCbCr.

    Returns:
        Integers (rows, columns) or (rows, columns, samples), and what the code stream states. Values of signed images are still
        unsigned, except those of signed JPEG 2000.

    Raises:
        Quarantined: PIXELS_SIZE where the code stream holds another image than the header states, PIXELS_TRUNCATED where it has
            no end, PIXELS_FRAGMENTS where another one follows, PIXELS_CODEC where it is of another codec or broken,
            PIXELS_TOO_MANY where it needs too much memory.
    """
    if COMPRESSED[header.transfer_syntax] == "RLE":
        return rle.decode(data, header), CodeStream("RLE", header.rows, header.columns, header.samples, header.bits_stored)
    stated = codestream.read(data)
    _check(data, stated, header)
    try:
        pixels = _DECODERS[stated.codec](data, stated, header)
    except (RuntimeError, ValueError) as error:  # what imagecodecs raises on broken code streams
        if _XL_NEEDS_MORE in str(error):
            raise Quarantined("PIXELS_TRUNCATED", f"the {stated.codec} code stream has no end") from error
        raise Quarantined("PIXELS_CODEC", f"the {stated.codec} code stream is broken ({type(error).__name__})") from error
    shape = (header.rows, header.columns) + ((header.samples,) if header.samples > 1 else ())
    if pixels.shape != shape:
        raise Quarantined("PIXELS_SIZE", f"decodes to {pixels.shape}, the header says {shape}")
    return pixels, stated


def _check(data: bytes, stated: CodeStream, header: PixelModule) -> None:
    expected = COMPRESSED[header.transfer_syntax]
    if stated.codec != expected:
        raise Quarantined("PIXELS_CODEC", f"{stated.codec or 'unknown data'} where the transfer syntax says {expected}")
    if not stated.plain:
        raise Quarantined("PIXELS_CODEC", "a JPEG XL animation, preview or image of floating-point values")
    size = stated.rows, stated.columns, stated.samples
    if size != (header.rows, header.columns, header.samples) or stated.bits > max(header.bits_allocated, 8):
        raise Quarantined("PIXELS_SIZE", f"the code stream holds {size} of {stated.bits} bits, not what the header says")
    if stated.repeats:
        raise Quarantined("PIXELS_FRAGMENTS", f"more than one {stated.codec} code stream in a fragment")
    if stated.codec in ("JPEG 2000", "JPEG XL"):
        _check_memory(stated)
    else:
        end = data.rfind(_JPEG_EOI)
        if end < 0 or data.find(_JPEG_SOS, end) >= 0:  # libjpeg would fill up with grey, CharLS search for seconds
            raise Quarantined("PIXELS_TRUNCATED", f"the {stated.codec} code stream has no end")
        if stated.many_scans and data.count(_JPEG_SOS) > MAX_SCANS:
            raise Quarantined("PIXELS_CODEC", f"a {stated.codec} code stream of more than {MAX_SCANS} scans")
        if 8 * len(data) < _fewest_bits(stated):  # libjpeg would fill up a large image from a few bytes
            raise Quarantined("PIXELS_TRUNCATED", f"a {stated.codec} code stream of {len(data)} bytes for {size} values")


def _check_memory(stated: CodeStream) -> None:
    size = stated.rows, stated.columns, stated.samples
    if stated.subsampled or not 1 <= stated.tiles <= MAX_TILES:
        raise Quarantined("PIXELS_CODEC", f"a JPEG 2000 code stream of {stated.tiles} tiles, or of components of several sizes")
    if stated.decoder_bytes > MAX_DECODER_BYTES:
        raise Quarantined("PIXELS_TOO_MANY", f"{stated.codec} of {size} values that would take too much memory to decode")


def _fewest_bits(stated: CodeStream) -> int:
    """Of Huffman codes, of a bit at least each: one for each lossless value, or for each DCT block (ITU-T T.81 H.1.2, F.1.2)."""
    if stated.codec == "JPEG lossless":
        return stated.rows * stated.columns * stated.samples
    return -(-stated.rows // 8) * -(-stated.columns // 8) if stated.codec == "JPEG" else 0


def _jpeg(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    """Baseline or 12-bit JPEG. Where its data ends before the image does, libjpeg fills up with medium grey, without an error.

    So an image that ends in that grey is decoded again with bytes added to its data: one that is whole does not take them.
    """
    pixels = _libjpeg(data, stated, header)
    grey = 1 << (stated.bits - 1)
    if pixels.item(-1) == grey and (pixels[-1, -1] == grey).all():
        end = data.rfind(_JPEG_EOI)
        if (_libjpeg(data[:end] + _MORE + data[end:], stated, header) != pixels).any():
            raise Quarantined("PIXELS_TRUNCATED", "the JPEG code stream ends before its image does")
    return pixels


def _libjpeg(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    """libjpeg guesses the colour space unless it is given."""
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


def _jpeg_xl(data: bytes, stated: CodeStream, header: PixelModule) -> Pixels:
    return np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))


_DECODERS: Mapping[str, Callable[[bytes, CodeStream, PixelModule], Pixels]] = {
    "JPEG": _jpeg,
    "JPEG lossless": _jpeg_lossless,
    "JPEG-LS": _jpeg_ls,
    "JPEG 2000": _jpeg_2000,
    "JPEG XL": _jpeg_xl,
}
