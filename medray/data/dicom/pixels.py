"""The pixel data of one frame → stored values (PS3.5 8.1, PS3.3 C.7.6.3): native, or through a codec."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRBigEndian

from medray.data.dicom import codecs, tags
from medray.data.dicom.blocks import by_blocks
from medray.data.dicom.dataset import DicomFile, PixelModule
from medray.data.dicom.encapsulation import frame_bytes
from medray.data.dicom.trailing import check_trailing
from medray.errors import Quarantined

Pixels = NDArray[Any]

_YBR_TO_RGB = np.array(  # PS3.3 C.7.6.3.1.2, ITU-T T.871 section 7
    [[1, 1, 1], [0, -0.114 * 1.772 / 0.587, 1.772], [1.402, -0.299 * 1.402 / 0.587, 0]], dtype=np.float32
)


def stored_values(file: DicomFile, header: PixelModule, frame: int = 0) -> Pixels:
    """The stored values of one frame; colour as RGB, palette colour as indices. Other frames are not touched.

    Args:
        file: an image that :func:`medray.data.dicom.checks.classify` let pass.
        header: of the file.
        frame: counted from 0.

    Returns:
        uint8, uint16, int8 or int16 (rows, columns), or (rows, columns, 3); perhaps a read-only view of the file.

    Raises:
        Excluded: the transfer syntax is not decoded, see :func:`medray.data.dicom.codecs.check_syntax`.
        Quarantined: PIXELS_* where the pixel data contradicts the header or cannot be decoded.
    """
    return decode_stored(file, header, frame)[0]


def decode_stored(file: DicomFile, header: PixelModule, frame: int = 0) -> tuple[Pixels, tuple[str, ...]]:
    """As :func:`stored_values`, and the flags DELIMITER_MISSING, J2K_DEPTH_DIFFERS and J2K_SIGN_DIFFERS where they hold."""
    codecs.check_syntax(header.transfer_syntax)
    if header.transfer_syntax in codecs.NATIVE:
        assert file.pixels is not None
        check_trailing(file, file.pixels.start + file.pixels.length_bytes, "PIXELS_LENGTH")
        return _native(file, header, frame), ()
    code_stream, flags = frame_bytes(file, header.frames, frame)
    pixels, stated = codecs.decode_frame(code_stream, header)
    dtype = _dtype(header)
    if stated.codec == "JPEG 2000":
        values = pixels.astype(dtype, copy=False)
        if stated.signed != header.signed:
            values = _within(values, min(stated.bits, header.bits_stored))
            flags = ("J2K_SIGN_DIFFERS", *flags)
        if stated.bits != header.bits_stored:
            flags = ("J2K_DEPTH_DIFFERS", *flags)
    else:  # JPEG-LS knows no sign; some encoders state another depth than the header
        bits = min(stated.bits, header.bits_stored) if stated.codec == "JPEG-LS" and header.signed else header.bits_stored
        values = _within(pixels.astype(dtype, copy=False), bits)
    if stated.codec != "JPEG" and codecs.is_ybr(stated, header):
        values = rgb_of(values, header.bits_stored)
    return values, flags


def _dtype(header: PixelModule) -> np.dtype[Any]:
    return np.dtype(f"{'i' if header.signed else 'u'}{max(header.bits_allocated, 8) // 8}")


def _within(values: Pixels, bits: int) -> Pixels:
    """The values in their lowest bits alone, with their sign; what lies above (overlays: PS3.5 8.1.2) does not count."""
    unused = 8 * values.itemsize - bits
    if unused <= 0:
        return values
    if values.dtype.kind == "u":
        return np.asarray(values & values.dtype.type((1 << bits) - 1))
    shifted: Pixels = np.left_shift(values, unused)
    shifted >>= unused
    return shifted


def _native(file: DicomFile, header: PixelModule, frame: int) -> Pixels:
    if header.photometric in ("YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420"):
        raise Quarantined("PIXELS_PHOTOMETRIC", f"{header.photometric} without the compression that it belongs to")
    if header.bits_allocated == 1:
        return _bits(file, header, frame)
    subsampled = header.photometric == "YBR_FULL_422"
    if subsampled and header.columns % 2:
        raise Quarantined("PIXELS_SHAPE", f"YBR_FULL_422 with an odd number of columns, {header.columns}")
    count = header.rows * header.columns * (2 if subsampled else header.samples)
    flat = _within(_numbers(file, header, count, frame * count), header.bits_stored)
    if header.samples == 1:
        return flat.reshape(header.rows, header.columns)
    if subsampled:
        values = _upsampled(flat, header)
    elif file.dataset.whole(tags.PLANAR_CONFIGURATION) == 1:
        values = np.moveaxis(flat.reshape(header.samples, header.rows, header.columns), 0, -1)
    else:
        values = flat.reshape(header.rows, header.columns, header.samples)
    return rgb_of(values, header.bits_stored) if header.photometric.startswith("YBR") else values


def _numbers(file: DicomFile, header: PixelModule, count: int, first: int) -> Pixels:
    """Native values from the ``first`` of all frames on, in this machine's byte order."""
    big, dtype = header.transfer_syntax == ExplicitVRBigEndian, _dtype(header)
    start, end = _extent(file, first * dtype.itemsize, count * dtype.itemsize)
    if big and dtype.itemsize == 1 and _is_of_words(file):
        return _unswapped(file.data, start, end).view(dtype)
    found = np.frombuffer(file.data, dtype.newbyteorder(">" if big else "<"), count, start)
    return found.astype(dtype) if big else found


def _is_of_words(file: DicomFile) -> bool:
    """Whether the pixel data is OW, which explicit VR says 8 bytes before the value (PS3.5 7.1.2)."""
    assert file.pixels is not None
    return file.data[file.pixels.start - 8 : file.pixels.start - 6] == b"OW"


def _extent(file: DicomFile, offset: int, length: int) -> tuple[int, int]:
    """Where some bytes of the pixel data start and end in the file."""
    assert file.pixels is not None
    start, end = file.pixels.start + offset, file.pixels.start + offset + length
    if offset + length > file.pixels.length_bytes or end > len(file.data):
        raise Quarantined("PIXELS_TRUNCATED", f"the pixel data ends before byte {offset + length}")
    return start, end


def _unswapped(data: bytes, start: int, end: int) -> NDArray[np.uint8]:
    """Bytes of big-endian 16-bit words (OW) in the order of little-endian ones (PS3.5 8.1.1); values start at even offsets."""
    low, high = start & ~1, (end + 1) & ~1
    words = np.frombuffer(data[low:high].ljust(high - low, b"\0"), "u2").byteswap()
    return words.view(np.uint8)[start - low : end - low]


def _bits(file: DicomFile, header: PixelModule, frame: int) -> Pixels:
    """1-bit values, the first in the lowest bit (PS3.5 8.1.1); frames need not start at a byte."""
    plane = header.rows * header.columns
    first, last = frame * plane, (frame + 1) * plane
    start, end = _extent(file, first // 8, (last + 7) // 8 - first // 8)
    bits = np.unpackbits(np.frombuffer(file.data, np.uint8, end - start, start), bitorder="little")
    return bits[first % 8 : first % 8 + plane].reshape(header.rows, header.columns)


def _upsampled(flat: Pixels, header: PixelModule) -> Pixels:
    """YBR_FULL_422: Y Y Cb Cr for each two pixels of a row (PS3.3 C.7.6.3.1.2) → (rows, columns, 3)."""
    pairs = flat.reshape(-1, 4)
    values: Pixels = np.empty((len(pairs), 2, 3), flat.dtype)
    values[:, :, 0] = pairs[:, :2]
    values[:, :, 1:] = pairs[:, None, 2:]
    return values.reshape(header.rows, header.columns, 3)


def rgb_of(ybr: Pixels, bits: int) -> Pixels:
    """YBR_FULL → RGB of the same unsigned type, rounded and clipped (PS3.3 C.7.6.3.1.2).

    Args:
        ybr: (rows, columns, 3) of values from 0 to 2**bits - 1.
        bits: of a sample.
    """

    def converted(block: Pixels) -> Pixels:
        values = block.astype(np.float32)
        values[..., 1:] -= 1 << (bits - 1)
        rgb = values @ _YBR_TO_RGB
        rgb += np.float32(0.5)
        return np.clip(np.floor(rgb, out=rgb), 0, (1 << bits) - 1, out=rgb).astype(block.dtype)

    return by_blocks(converted, ybr)
