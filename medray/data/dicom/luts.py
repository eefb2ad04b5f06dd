"""Lookup tables of DICOM (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5): modality LUT, palette colour, VOI LUT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medray.data.dicom import tags
from medray.data.dicom.blocks import by_blocks
from medray.data.dicom.colour import luminance
from medray.data.dicom.dataset import DataSet, DicomFile
from medray.data.dicom.functional import element_source
from medray.data.dicom.header import mirror_sum, rescale
from medray.data.dicom.palette import expanded
from medray.errors import Quarantined
from medray.types import Float32, Float64, Header, VoiLut

_EXACT = 1 << 24
"""float32 holds every whole number up to here."""


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup table.

    Attributes:
        first: the value that maps to the first entry; smaller ones map there too, and larger than the last to the last.
        values: (entries,) of unsigned integers.
        bits: of an entry, as the descriptor says.
    """

    first: int
    values: NDArray[np.unsignedinteger[Any]]
    bits: int

    def look_up(self, entries: Float32, values: NDArray[Any]) -> Float32:
        """What stands in ``entries`` (as many as the table has) for each value, float32 of the values' shape."""

        def found(block: NDArray[Any]) -> Float32:
            indices = np.subtract(block, self.first, dtype=np.intp)
            return np.asarray(np.take(entries, indices, mode="clip"))

        return by_blocks(found, values)


def table(source: DataSet, descriptor: int, data: int, *, signed: bool, segmented: int | None = None) -> Table:
    """Read a lookup table: the descriptor (entries, first value, bits: PS3.3 C.11.1.1), 0 entries standing for 65,536.

    Args:
        source: the data set or item that holds it.
        descriptor, data: tags.
        signed: whether the first value is.
        segmented: tag of segmented data (PS3.3 C.7.9.2), read where ``data`` is missing.

    Raises:
        Quarantined: PIXELS_LUT.
    """
    described = source.wholes(descriptor)
    if len(described) != 3 or not 8 <= described[2] <= 16:
        raise Quarantined("PIXELS_LUT", "a lookup table without a descriptor of entries, first value and 8 to 16 bits")
    entries, first, bits = described[0] or 1 << 16, described[1], described[2]
    raw, order = source.values.get(data), "<" if source.little else ">"
    if raw is None and segmented is not None:
        values = expanded(source.values.get(segmented, b""), bits, little=source.little)
        if len(values) != entries:
            raise Quarantined("PIXELS_LUT", f"segments of {len(values)} entries, {entries} expected")
    elif raw is not None and len(raw) >= 2 * entries:
        values = np.frombuffer(raw, f"{order}u2", entries).astype(np.uint16)
    elif raw is not None and len(raw) >= entries and bits == 8:  # 8-bit entries packed in pairs
        values = np.frombuffer(raw, np.uint8, entries)
    else:
        raise Quarantined("PIXELS_LUT", f"a lookup table of {len(raw or b'')} bytes for {entries} entries of {bits} bits")
    return Table(first - (1 << 16) if signed and first >= 1 << 15 else first, values, bits)


def modality_values(stored: NDArray[Any], file: DicomFile, header: Header, frame: int) -> Float32:
    """Stored values (rows, columns) → modality values, float32 (rows, columns); MONOCHROME1 mirrored.

    Rescaled values are the float64 results of PS3.3 C.11.1, rounded to float32.

    Raises:
        Quarantined: PIXELS_LUT, PIXELS_NOT_FINITE, PIXELS_RESCALE.
    """
    inverted = header.photometric == "MONOCHROME1"
    if item := file.dataset.first_item(tags.MODALITY_LUT_SEQUENCE):
        lut = table(item, tags.LUT_DESCRIPTOR, tags.LUT_DATA, signed=header.signed)
        values: Float32 = lut.values.astype(np.float32)
        return lut.look_up((1 << lut.bits) - 1 - values if inverted else values, stored)
    if inverted:
        stored = np.subtract(stored.dtype.type(-1 if header.signed else (1 << header.bits_stored) - 1), stored)
    slope, intercept = rescale(file.dataset, frame) or (1.0, 0.0)
    if slope == 0:
        raise Quarantined("PIXELS_RESCALE", "the rescale slope is 0")
    return rescaled(stored, slope, intercept)


def rescaled(stored: NDArray[Any], slope: float, intercept: float) -> Float32:
    """float32(slope * stored + intercept), computed in float64 where float32 would round on the way.

    Raises:
        Quarantined: PIXELS_NOT_FINITE.
    """
    largest = float(1 << min(8 * stored.itemsize, 32))
    reach = abs(slope) * largest + abs(intercept)
    if not reach < float(np.finfo(np.float32).max):
        raise Quarantined("PIXELS_NOT_FINITE", "the modality LUT gives values that are not finite")
    if slope.is_integer() and intercept.is_integer() and reach <= _EXACT:
        values: Float32 = stored.astype(np.float32) if slope == 1 else np.multiply(stored, np.float32(slope), dtype=np.float32)
        if intercept:
            values += np.float32(intercept)
        return values

    def in_float64(block: NDArray[Any]) -> Float32:
        wide: Float64 = np.multiply(block, slope, dtype=np.float64)
        wide += intercept
        return wide.astype(np.float32)

    return by_blocks(in_float64, stored)


def palette_luminance(indices: NDArray[Any], dataset: DataSet, *, signed: bool) -> Float32:
    """Palette indices (rows, columns) → luma of their colours, in the units of the palette, float32 (rows, columns).

    Raises:
        Quarantined: PIXELS_LUT.
    """
    channels = [
        table(dataset, descriptor, data, signed=signed, segmented=segments)
        for descriptor, data, segments in zip(tags.PALETTE_DESCRIPTORS, tags.PALETTE_DATA, tags.PALETTE_SEGMENTED, strict=True)
    ]
    if len({(len(channel.values), channel.first) for channel in channels}) > 1:
        raise Quarantined("PIXELS_LUT", "the three tables of the palette differ in size")
    tones = luminance(np.stack([channel.values for channel in channels], axis=-1))
    return channels[0].look_up(tones, indices)


def voi_lut(file: DicomFile, header: Header, frame: int) -> VoiLut | None:
    """The first VOI LUT of a frame; mirrored with the pixels of MONOCHROME1, so that larger is brighter.

    Raises:
        Quarantined: PIXELS_LUT.
    """
    dataset = file.dataset
    item = element_source(dataset, frame, tags.FRAME_VOI_LUT, tags.VOI_LUT_SEQUENCE).first_item(tags.VOI_LUT_SEQUENCE)
    if item is None or header.samples > 1 or header.photometric == "PALETTE COLOR":
        return None
    lut = table(item, tags.LUT_DESCRIPTOR, tags.LUT_DATA, signed=_can_be_negative(dataset, header, frame))
    values = np.minimum(lut.values / np.float32((1 << lut.bits) - 1), np.float32(1)).astype(np.float32)
    if header.photometric != "MONOCHROME1":
        return VoiLut(float(lut.first), values)
    return VoiLut(mirror_sum(dataset, frame) - (lut.first + len(values) - 1), 1 - values[::-1])


def _can_be_negative(dataset: DataSet, header: Header, frame: int) -> bool:
    """Whether modality values can: then the first value of a VOI LUT is signed (PS3.3 C.11.2.1.1)."""
    if tags.MODALITY_LUT_SEQUENCE in dataset:
        return False
    slope, intercept = rescale(dataset, frame) or (1.0, 0.0)
    low, high = (-(1 << (header.bits_stored - 1)), 0) if header.signed else (0, (1 << header.bits_stored) - 1)
    return min(slope * low, slope * high) + intercept < 0
