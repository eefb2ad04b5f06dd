"""Native pixel data (PS3.5 8.1, PS3.3 C.7.6.3): stored values as they lie in the file, or in the bytes of one frame."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRBigEndian

from medray.data.dicom import tags
from medray.data.dicom.colour import TRANSFORMED, rgb_of
from medray.data.dicom.dataset import DicomFile, PixelModule
from medray.errors import Quarantined

Pixels = NDArray[Any]


def dtype_of(header: PixelModule) -> np.dtype[Any]:
    """uint8, uint16, int8 or int16, as the header says; uint8 for single bits."""
    return np.dtype(f"{'i' if header.signed else 'u'}{max(header.bits_allocated, 8) // 8}")


def within(values: Pixels, bits: int) -> Pixels:
    """The values in their lowest bits alone, with their sign; what lies above (overlays: PS3.5 8.1.2) does not count."""
    unused = 8 * values.itemsize - bits
    if unused <= 0:
        return values
    if values.dtype.kind == "u":
        return np.asarray(values & values.dtype.type((1 << bits) - 1))
    shifted: Pixels = np.left_shift(values, unused)
    shifted >>= unused
    return shifted


def of_file(file: DicomFile, header: PixelModule, frame: int) -> Pixels:
    """A frame of a file whose pixel data is not in fragments; perhaps a read-only view of the file.

    Raises:
        Quarantined: PIXELS_PHOTOMETRIC, PIXELS_SHAPE, PIXELS_TRUNCATED.
    """
    _check(header)
    if header.bits_allocated == 1:
        return _bits(file, header, frame)
    count = _values(header)
    return _arranged(_numbers(file, header, count, frame * count), file, header)


def of_frame(data: bytes, file: DicomFile, header: PixelModule) -> Pixels:
    """The frame that its own bytes hold, little endian (PS3.5 A.4.11): one that is padded by at most one byte.

    Raises:
        Quarantined: PIXELS_PHOTOMETRIC, PIXELS_SHAPE, PIXELS_TRUNCATED, PIXELS_LENGTH.
    """
    _check(header)
    expected = frame_length(header)
    if len(data) < expected:
        raise Quarantined("PIXELS_TRUNCATED", f"a frame of {len(data)} bytes, {expected} expected")
    if len(data) > expected + expected % 2:
        raise Quarantined("PIXELS_LENGTH", f"a frame of {len(data)} bytes, {expected} expected")
    if header.bits_allocated == 1:
        return unpacked(data, header)
    return _arranged(np.frombuffer(data, dtype_of(header), _values(header)), file, header)


def inflated(data: bytes, header: PixelModule) -> bytes:
    """The native bytes of a deflated frame (PS3.5 8.2.16, A.4.13; RFC 1951); no more is inflated than the header asks for.

    Raises:
        Quarantined: PIXELS_TRUNCATED, PIXELS_CODEC, PIXELS_LENGTH, PIXELS_FRAGMENTS where another frame follows.
    """
    expected, inflater = frame_length(header), zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(data, expected + 2)
    except zlib.error as error:
        raise Quarantined("PIXELS_CODEC", "the deflated frame is broken") from error
    if not inflater.eof:
        if len(found) > expected + expected % 2:
            raise Quarantined("PIXELS_LENGTH", f"a frame inflates to more than {expected} bytes")
        raise Quarantined("PIXELS_TRUNCATED", "the deflated frame has no end")
    if inflater.unused_data.strip(b"\0"):
        raise Quarantined("PIXELS_FRAGMENTS", "something follows the deflated frame")
    return found


def frame_length(header: PixelModule) -> int:
    """Bytes of a native frame that lies alone."""
    return (_values(header) * header.bits_allocated + 7) // 8


def unpacked(data: bytes | bytearray, header: PixelModule) -> Pixels:
    """1-bit values of a frame that starts with a byte, the first in the lowest bit (PS3.5 8.1.1)."""
    packed, plane = np.frombuffer(data, np.uint8), header.rows * header.columns
    return np.unpackbits(packed, count=plane, bitorder="little").reshape(header.rows, header.columns)


def _check(header: PixelModule) -> None:
    if header.photometric in TRANSFORMED:
        raise Quarantined("PIXELS_PHOTOMETRIC", f"{header.photometric} without the compression that it belongs to")
    if header.photometric == "YBR_FULL_422" and header.columns % 2:
        raise Quarantined("PIXELS_SHAPE", f"YBR_FULL_422 with an odd number of columns, {header.columns}")


def _values(header: PixelModule) -> int:
    """Of a frame; YBR_FULL_422 stores two for a pixel."""
    return header.rows * header.columns * (2 if header.photometric == "YBR_FULL_422" else header.samples)


def _arranged(flat: Pixels, file: DicomFile, header: PixelModule) -> Pixels:
    """Values in the order of the file → (rows, columns), or RGB (rows, columns, 3)."""
    flat = within(flat, header.bits_stored)
    if header.samples == 1:
        return flat.reshape(header.rows, header.columns)
    if header.photometric == "YBR_FULL_422":
        values = _upsampled(flat, header)
    elif file.dataset.whole(tags.PLANAR_CONFIGURATION) == 1:
        values = np.moveaxis(flat.reshape(header.samples, header.rows, header.columns), 0, -1)
    else:
        values = flat.reshape(header.rows, header.columns, header.samples)
    return rgb_of(values, header.bits_stored) if header.photometric.startswith("YBR") else values


def _numbers(file: DicomFile, header: PixelModule, count: int, first: int) -> Pixels:
    """Native values from the ``first`` of all frames on, in this machine's byte order."""
    big, dtype = header.transfer_syntax == ExplicitVRBigEndian, dtype_of(header)
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
