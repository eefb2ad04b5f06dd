"""RLE Lossless (PS3.5 annex G): the segments of a frame, by PackBits of imagecodecs (which releases the GIL)."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from medray.data.dicom.dataset import PixelModule
from medray.data.dicom.native import frame_length, unpacked
from medray.errors import Quarantined

_HEADER = struct.Struct("<16I")  # PS3.5 G.5
_RUN_CUT = "INPUT_CORRUPT"  # imagecodecs: a run goes on after the end
_SURPLUS_BYTES = 128  # one run; some encoders pad the last one


def decode(data: bytes, header: PixelModule) -> NDArray[Any]:
    """PS3.5 G: one segment for each byte of a sample, the high one first, then the next sample's.

    Segment by segment: imagecodecs' decoder of whole frames leaves memory as it was where a segment is short, and is slower.

    Returns:
        Unsigned integers (rows, columns) or (rows, columns, samples).

    Raises:
        Quarantined: PIXELS_TRUNCATED, PIXELS_CODEC.
    """
    size_bytes = header.bits_allocated // 8
    if not size_bytes:
        return _single_bits(data, header)
    offsets = _offsets(data, header.samples * size_bytes)
    planes = np.empty((header.samples, header.rows * header.columns), f"u{size_bytes}")
    for index, (start, end) in enumerate(zip(offsets, [*offsets[1:], len(data)], strict=True)):
        plane, octets = planes[index // size_bytes], _segment(data[start:end], planes.shape[1])
        if index % size_bytes:
            plane <<= 8
            plane |= octets
        else:
            plane[:] = octets
    values = planes.reshape(header.samples, header.rows, header.columns)
    return np.moveaxis(values, 0, -1) if header.samples > 1 else values[0]


def _single_bits(data: bytes, header: PixelModule) -> NDArray[Any]:
    """One segment: eight pixels a byte as in native frames, or by older writers one byte for each (G.2); its length tells."""
    if header.samples != 1:
        raise Quarantined("PIXELS_BITS", "RLE of 1-bit colour")
    segment, plane = data[_offsets(data, 1)[0] :], header.rows * header.columns
    try:
        found = imagecodecs.packbits_decode(segment, out=plane + _SURPLUS_BYTES)
    except (RuntimeError, ValueError) as error:
        raise Quarantined("PIXELS_CODEC", "an RLE segment is broken") from error
    if len(found) == frame_length(header):
        return unpacked(found, header)
    if len(found) < plane:
        raise Quarantined("PIXELS_TRUNCATED", f"an RLE segment of {len(found)} bytes for {plane} pixels of a bit")
    return np.frombuffer(found, np.uint8, plane).reshape(header.rows, header.columns) & 1


def _segment(data: bytes, length: int) -> NDArray[np.uint8]:
    """The bytes of a segment; some encoders write a run too many, or pad it (PS3.5 G.3.1) with another byte than 0."""
    for padding, surplus in ((0, 0), (0, _SURPLUS_BYTES), (1, 0), (1, _SURPLUS_BYTES)):
        try:
            found = imagecodecs.packbits_decode(data[: len(data) - padding], out=length + surplus)
        except (RuntimeError, ValueError) as error:  # also for a byte too many
            broken = error
            continue
        if len(found) < length:
            raise Quarantined("PIXELS_TRUNCATED", f"an RLE segment of {len(found)} bytes, {length} expected")
        return np.frombuffer(found, np.uint8, length)
    code = "PIXELS_TRUNCATED" if _RUN_CUT in str(broken) else "PIXELS_CODEC"
    raise Quarantined(code, "an RLE segment is broken") from broken


def _offsets(data: bytes, segments: int) -> tuple[int, ...]:
    if len(data) < _HEADER.size:
        raise Quarantined("PIXELS_TRUNCATED", "RLE without its header")
    count, *table = _HEADER.unpack_from(data)
    offsets = table[:segments]
    if count != segments:
        raise Quarantined("PIXELS_CODEC", f"RLE of {count} segments, {segments} expected")
    if any(start >= end for start, end in zip([_HEADER.size - 1, *offsets], [*offsets, len(data)], strict=True)):
        raise Quarantined("PIXELS_CODEC", "the RLE segment table does not fit the data")
    return tuple(offsets)
