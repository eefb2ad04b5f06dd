"""A pydicom pixel-decoder plugin over imagecodecs: every compressed transfer syntax that it decodes, with the GIL released."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

PLUGIN = "imagecodecs"
DECODER_DEPENDENCIES = dict.fromkeys(
    (
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.HTJ2K,
    ),
    ("imagecodecs",),
)
"""Transfer syntaxes of the plugin; the name and form are fixed by pydicom's plugin interface."""

_J2K = {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
_JPEG_LS = {uid.JPEGLSLossless, uid.JPEGLSNearLossless}
_JCS_RGB = 2  # libjpeg's J_COLOR_SPACE; the same on both sides means no conversion
_JPEG_SOS, _JPEG_EOI = b"\xff\xda", b"\xff\xd9"  # start of scan, end of image (ITU-T T.81 table B.1)
_JPEG_DCT = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}


def register() -> None:
    """Offer the plugin to pydicom; later calls do nothing."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether the plugin decodes a transfer syntax (part of pydicom's plugin interface)."""
    return syntax in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray:
    """One encoded frame as raw little-endian pixel data, colour by pixel (part of pydicom's plugin interface).

    Raises:
        ValueError: the code stream holds another image size than the header states, or has no end; known before it is decoded.
    """
    stated = stated_shape(src)
    if stated != (runner.rows, runner.columns, runner.samples_per_pixel):
        raise ValueError(f"the compressed image is {stated}, not as the header says")
    if runner.transfer_syntax not in _J2K and src.rfind(_JPEG_EOI) < src.rfind(_JPEG_SOS):
        # libjpeg would fill up with grey, CharLS search for seconds
        raise ValueError("the JPEG code stream has no end")
    pixels = _decoder(runner)(src)
    shape = stated if stated[2] > 1 else stated[:2]
    if pixels.shape != shape:
        raise ValueError(f"decodes to {pixels.shape}, the header says {shape}")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")  # the code stream's own colour transform is undone
    return bytearray(np.ascontiguousarray(pixels).tobytes())


def stated_shape(data: bytes) -> tuple[int, int, int]:
    """(rows, columns, components) that a JPEG, JPEG-LS or JPEG 2000 code stream states; zeros where it states none.

    Of JPEG and JPEG-LS the first frame header (SOF0 to SOF3, SOF55; ITU-T T.81 B.2.2, T.87 C.2.2), of JPEG 2000 the SIZ marker
    segment (ITU-T T.800 A.5.1), also inside a JP2 file.
    """
    if not data.startswith(b"\xff\xd8"):
        return _siz_shape(data)
    position = 2
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in (0xC0, 0xC1, 0xC2, 0xC3, 0xF7):
            rows, columns, components = struct.unpack_from(">HHB", data, position + 5)
            return rows, columns, components
        position += 1 if marker == 0xFF else 2 + length
    return 0, 0, 0


def _siz_shape(data: bytes) -> tuple[int, int, int]:
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or start + 42 > len(data):
        return 0, 0, 0
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    return bottom - top, right - left, int.from_bytes(data[start + 40 : start + 42], "big")


def _decoder(runner: DecodeRunner) -> Callable[[bytes], NDArray[Any]]:
    syntax = runner.transfer_syntax
    if syntax in _J2K:
        return imagecodecs.jpeg2k_decode
    if syntax in _JPEG_LS:
        return imagecodecs.jpegls_decode
    if syntax in _JPEG_DCT:
        return _jpeg_without_colour_transform
    return imagecodecs.jpegsof3_decode


def _jpeg_without_colour_transform(data: bytes) -> NDArray[Any]:
    """Baseline or 12-bit JPEG; the components stay as stored, since pydicom converts by the photometric interpretation."""
    as_stored: dict[str, Any] = {"colorspace": _JCS_RGB, "outcolorspace": _JCS_RGB} if stated_shape(data)[2] == 3 else {}
    pixels: NDArray[Any] = imagecodecs.jpeg8_decode(data, **as_stored)
    return pixels
