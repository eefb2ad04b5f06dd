"""The pixel data of one frame → stored values (PS3.5 8.1, 8.2): native, or through a codec."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.dicom import codecs, colour, native
from medray.data.dicom.codestream import CodeStream
from medray.data.dicom.dataset import DicomFile, PixelModule
from medray.data.dicom.encapsulation import frame_bytes
from medray.data.dicom.native import dtype_of, within
from medray.data.dicom.syntaxes import COMPRESSED, LOSSLESS, NATIVE, check_syntax
from medray.data.dicom.trailing import check_trailing

Pixels = NDArray[Any]


def stored_values(file: DicomFile, header: PixelModule, frame: int = 0) -> Pixels:
    """The stored values of one frame; colour as RGB, palette colour as indices. Other frames are not touched.

    Args:
        file: an image that :func:`medray.data.dicom.checks.classify` let pass.
        header: of the file.
        frame: counted from 0.

    Returns:
        uint8, uint16, int8 or int16 (rows, columns), or (rows, columns, 3); perhaps a read-only view of the file.

    Raises:
        Excluded: the transfer syntax is not decoded, see :func:`medray.data.dicom.syntaxes.check_syntax`.
        Quarantined: PIXELS_* where the pixel data contradicts the header or cannot be decoded.
    """
    return decode_stored(file, header, frame)[0]


def decode_stored(file: DicomFile, header: PixelModule, frame: int = 0) -> tuple[Pixels, tuple[str, ...]]:
    """As :func:`stored_values`, and what is odd about the frame.

    Flags: COLOUR_DIFFERS, DELIMITER_MISSING, J2K_DEPTH_DIFFERS, J2K_SIGN_DIFFERS, LOSSY_SIGN (:data:`medray.remedies.FLAGS`).
    """
    check_syntax(header.transfer_syntax)
    if header.transfer_syntax in NATIVE:
        assert file.pixels is not None
        check_trailing(file, file.pixels.start + file.pixels.length_bytes, "PIXELS_LENGTH")
        return native.of_file(file, header, frame), ()
    (data, flags), codec = frame_bytes(file, header.frames, frame), COMPRESSED[header.transfer_syntax]
    if codec in ("", "deflate"):
        return native.of_frame(native.inflated(data, header) if codec else data, file, header), flags
    pixels, stated = codecs.decode_frame(data, header)
    flags += _contradictions(stated, header)
    if _is_lossy(stated, header):
        values, is_doubtful = _after_loss(pixels, stated, header)
        flags += ("LOSSY_SIGN",) if is_doubtful else ()
    else:
        values = _without_loss(pixels, stated, header)
    if stated.codec != "JPEG" and colour.is_ybr(stated, header):
        values = colour.rgb_of(values, header.bits_stored)
    return values, flags


def _is_lossy(stated: CodeStream, header: PixelModule) -> bool:
    """Whether values may lie beside those that were stored, and so beyond Bits Stored."""
    if stated.codec in ("JPEG 2000", "JPEG XL"):  # a reversible code stream may have been cut to a rate
        return not stated.reversible or header.transfer_syntax not in LOSSLESS
    return stated.codec == "JPEG" or stated.near > 0


def _contradictions(stated: CodeStream, header: PixelModule) -> tuple[str, ...]:
    flags: tuple[str, ...] = ("COLOUR_DIFFERS",) if colour.differs(stated, header) else ()
    if stated.codec == "JPEG 2000" and stated.bits != header.bits_stored:
        flags += ("J2K_DEPTH_DIFFERS",)
    if stated.codec == "JPEG 2000" and stated.signed != header.signed:
        flags += ("J2K_SIGN_DIFFERS",)
    return flags


def _without_loss(pixels: Pixels, stated: CodeStream, header: PixelModule) -> Pixels:
    """What is above Bits Stored may be an overlay and does not count; some encoders state another depth than the header."""
    values = pixels.astype(dtype_of(header), copy=False)
    if stated.codec == "JPEG 2000" and stated.signed == header.signed:
        is_mirrored = header.photometric == "MONOCHROME1" and stated.bits > header.bits_stored  # the end of the range counts
        return (
            np.minimum(values, values.dtype.type((1 << header.bits_stored) - 1)) if is_mirrored and not header.signed else values
        )
    counts_stated = stated.codec == "JPEG 2000" or (header.signed and stated.codec in ("JPEG-LS", "JPEG XL"))
    return within(values, min(stated.bits, header.bits_stored) if counts_stated else header.bits_stored)


def _after_loss(pixels: Pixels, stated: CodeStream, header: PixelModule) -> tuple[Pixels, bool]:
    """The values of a lossy codec within the range of Bits Stored: what overshoots stays at its limit and never wraps around.

    Returns:
        The values, and whether loss may have changed the sign of some: it lies among the bits of an unsigned number.
    """
    bits, other_sign, is_doubtful = header.bits_stored, header.signed != stated.signed, False
    if stated.bits < bits or (stated.bits == bits and not (other_sign and header.signed)):  # no room to overshoot
        return _without_loss(pixels, stated, header), other_sign
    if other_sign:
        pixels, is_doubtful = _with_other_sign(pixels, stated, header)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if header.signed else (0, (1 << bits) - 1)
    clipped = np.clip(pixels, low, high) if pixels.dtype.kind == "i" else np.minimum(pixels, pixels.dtype.type(high))
    return clipped.astype(dtype_of(header), copy=False), is_doubtful


def _with_other_sign(pixels: Pixels, stated: CodeStream, header: PixelModule) -> tuple[Pixels, bool]:
    """Numbers of the header's sign from a code stream of the other sign, or of none; and whether some may be of the wrong one.

    A writer hands over signed values either whole, as two's complement of the depth that the code stream states, or only the bits
    stored, as an unsigned number. Negative ones are at the top of the one range or of the other, within the error of the codec.
    Where none is, those above the largest overshoot if others are just below it; else they are the lowest, which pads positive
    ones.
    """
    bits, largest = header.bits_stored, 1 << (header.bits_stored - 1)
    error = stated.near or largest // 2
    if not header.signed:
        is_whole = int(pixels.min()) >= -error
        return (pixels, False) if is_whole else (within(pixels.view(f"u{pixels.itemsize}"), bits), True)
    most, signed = int(pixels.max()), f"i{pixels.itemsize}"
    if most < largest or (most < largest + error and ((pixels >= largest - error) & (pixels < largest)).any()):
        return pixels, most >= largest
    if stated.bits > bits and most >= (1 << stated.bits) - largest - error:
        return within(pixels.view(signed), stated.bits), False
    return within(np.minimum(pixels, pixels.dtype.type(2 * largest - 1)).view(signed), bits), True
